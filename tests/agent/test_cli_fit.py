"""`fit` and `export` as a user runs them, with an eye that sees colours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from parts import ColourEye
from PIL import Image
from typer.testing import CliRunner

from agent import cli_fit
from agent.cli import app


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAGE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(cli_fit, "_eye", ColourEye)
    return tmp_path / "home"


def sage(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def sheet(seed: int, spot: bool = False, side: int = 64) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(100, 140, (side, side, 3), dtype=np.uint8)
    if spot:
        pixels[16:32, 16:32] = (230, 20, 20)
    return Image.fromarray(pixels)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A folder with five photos of good sheets: too few to choose settings on, which would import anomalib."""
    (tmp_path / "good").mkdir()
    for i in range(5):
        sheet(i).save(tmp_path / "good" / f"{i}.png")
    return tmp_path / "good"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def one_line(result: Result) -> str:
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("sage-iad: ")]
    assert len(lines) == 1
    assert "Traceback" not in result.output
    return lines[0]


def test_fit_says_what_the_photos_support_and_leaves_a_page(home: Path, good: Path) -> None:
    run = sage("fit", "sheet", good)
    assert run.exit_code == 0, run.output
    assert "5 photos support no better than that; for 1 % give 94 more" in run.stdout
    assert "at most 16.7 % of good parts" in run.stdout
    assert "chosen: matching" in run.stdout
    page = (home / "detectors" / "sheet" / "fit.html").read_text(encoding="utf-8")
    assert "Needs more photos" in page
    assert [p.name for p in (home / "detectors").iterdir()] == ["sheet"]


def test_the_page_goes_where_it_is_wanted(home: Path, good: Path, tmp_path: Path) -> None:
    assert sage("fit", "sheet", good, "--out", tmp_path / "pages").exit_code == 0
    assert (tmp_path / "pages" / "fit.html").exists()
    assert not (home / "detectors" / "sheet" / "fit.html").exists()


def test_a_defective_photo_is_flagged_by_name_and_others_are_left_out(home: Path, good: Path) -> None:
    sheet(9, spot=True).save(good / "spoilt.png")
    sheet(10, side=48).save(good / "small.png")
    (good / "bad.png").write_text("not a photo")
    run = sage("fit", "sheet", good, "--false-alarm-rate", "0.2")
    assert run.exit_code == 0, run.output
    assert "look first: spoilt.png" in run.stdout
    assert "skipped bad.png" in run.stderr
    assert "2 sizes" in run.stderr
    assert "as asked" in run.stdout
    assert "spoilt.png" in (home / "detectors" / "sheet" / "fit.html").read_text(encoding="utf-8")


def test_a_false_alarm_can_be_added(home: Path, good: Path, tmp_path: Path) -> None:
    sage("fit", "sheet", good)
    sheet(11).save(tmp_path / "alarm.png")
    run = sage("fit", "sheet", tmp_path / "alarm.png", "--add")
    assert run.exit_code == 0, run.output
    assert "6 photos" in run.stdout
    card = json.loads((home / "detectors" / "sheet" / "detector.json").read_text(encoding="utf-8"))
    assert card["normals"]["names"][-1] == "alarm.png"


def test_check_compares_and_changes_nothing(home: Path, good: Path, tmp_path: Path) -> None:
    sage("fit", "sheet", good)
    before = contents(home)
    other = tmp_path / "other"
    other.mkdir()
    for i in range(20):
        sheet(20 + i, spot=True).save(other / f"{i}.png")
    same = sage("fit", "sheet", good, "--check")
    changed = sage("fit", "sheet", other, "--check")
    assert same.exit_code == changed.exit_code == 0, same.output + changed.output
    assert "20 new normal photos" in changed.stdout
    assert "fit again" in changed.stdout
    assert contents(home) == before


def test_many_photos_are_sampled(home: Path, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tools import fit

    whole = fit.sample_photos
    monkeypatch.setattr(fit, "sample_photos", lambda photos: whole(photos, limit=4))
    run = sage("fit", "sheet", good)
    assert "5 photos found; a random sample of 4 is used" in run.stderr
    assert "fitted to 4 photos" in run.stdout


def test_ctrl_c_changes_nothing(home: Path, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sage("fit", "sheet", good)
    before = contents(home)

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tools.fit.fit_detector", stopped)
    run = sage("fit", "sheet", good)
    assert run.exit_code == 130
    assert "stopped; nothing was changed" in run.stderr
    assert contents(home) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sheet", "missing-folder"), "missing-folder"),
        (("a/b", "{good}"), "category 'a/b'"),
        (("sheet", "{good}", "--false-alarm-rate", "0.9"), "false_alarm_rate 0.9"),
        (("sheet", "{good}/0.png"), "1 given, at least 3"),
        (("sheet", "{good}", "--add"), "no detector is called so"),
        (("sheet", "{good}", "--check"), "no detector is called so"),
        (("sheet", "{good}", "--add", "--check"), "give one of them"),
    ],
)
def test_bad_input_is_one_line(home: Path, good: Path, arguments: tuple[str, ...], message: str) -> None:
    assert message in one_line(sage("fit", *(a.format(good=good) for a in arguments)))
    assert not home.exists() or not contents(home)


def test_export_of_what_is_not_there_is_one_line(home: Path, tmp_path: Path) -> None:
    assert "no detector is called so" in one_line(sage("export", "sheet", "--out", tmp_path / "onnx"))
