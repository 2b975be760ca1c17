"""The command line as a user runs it, in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PART, REFERENCE = ROOT / "examples" / "part.png", ROOT / "examples" / "reference.png"


def sage(*arguments: object, home: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"SAGE_HOME": str(home), "COLUMNS": "100"}
    command = [sys.executable, "-c", "from agent.cli import app; app()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=300)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def test_json_lines_and_one_bad_image_among_good_ones(home: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not an image")
    run = sage("inspect", PART, bad, PART, "--reference", REFERENCE, "--depth", "screen", "--json", home=home)
    assert run.returncode == 2
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert [("error" in line) for line in lines] == [False, True, False]
    assert lines[0]["schema_version"] == "1"
    assert "bad.png" in run.stderr


def test_the_files_of_a_report(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    run = sage("inspect", PART, "--reference", REFERENCE, "--out", out, "--fail-on-anomaly", home=home)
    assert run.returncode == 1, run.stderr
    assert sorted(p.name for p in out.iterdir()) == ["heatmap.png", "overlay.png", "report.html", "report.json"]
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["overlay"] == str(out / "overlay.png")
    assert "ANOMALOUS" in run.stdout.upper()


def test_fit_and_use_a_detector(home: Path, tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.mkdir()
    rng = np.random.default_rng(0)
    for i in range(5):
        Image.fromarray(rng.integers(100, 140, (64, 64, 3), dtype=np.uint8)).save(good / f"{i}.png")
    (good / "notes.png").write_text("not a photo")
    run = sage("fit", "sheet", good, "--false-alarm-rate", "0.01", home=home)
    assert run.returncode == 0, run.stderr
    assert "support no better" in run.stdout
    assert "skipped" in run.stderr
    used = sage("inspect", good / "0.png", "--category", "sheet", "--depth", "screen", "--json", home=home)
    assert json.loads(used.stdout)["setting"] == "fitted"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("inspect", "missing.png"), "missing.png"),
        (("inspect", PART, "--category", "nonesuch-xyz"), "neither a fitted detector"),
        (("inspect", PART, "--model", "no/such/model"), "cannot be loaded"),
        (("fit", "x", "missing-folder"), "missing-folder"),
        (("fit", "a/b", "."), "category 'a/b'"),
        (("facts", "remove", "no-such-id"), "no-such-id"),
        (("eval", "folder", "--data", "missing-folder", "--out", "{tmp}"), "missing-folder"),
        (("train", "encoder", "--config", "missing.yaml"), "missing.yaml"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: tuple[object, ...], message: str, home: Path, tmp_path: Path
) -> None:
    run = sage(*(str(a).format(tmp=tmp_path) for a in arguments), home=home)
    assert run.returncode == 2
    assert message in run.stderr
    lines = [line for line in run.stderr.splitlines() if line.startswith("sage-iad: ")]
    assert len(lines) == 1
    assert "Traceback" not in run.stderr


def test_unwritable_places_are_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    run = sage("inspect", PART, "--out", blocked / "below", home=tmp_path / "home")
    assert run.returncode == 2
    assert "--out" in run.stderr
    run = sage("inspect", PART, home=blocked / "below")
    assert run.returncode == 2
    assert "Traceback" not in run.stderr


def test_a_damaged_detector_names_the_command_that_mends_it(home: Path) -> None:
    folder = home / "detectors" / "broken"
    folder.mkdir(parents=True)
    (folder / "detector.json").write_text("{")
    run = sage("inspect", PART, "--category", "broken", home=home)
    assert run.returncode == 2
    assert "sage-iad fit broken" in run.stderr


def test_facts_can_be_added_found_and_removed(home: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("A bracket of type seven carries a green dot beside its left hole.\n")
    assert sage("facts", "add", own, "--category", "bracket", home=home).returncode == 0
    found = sage("facts", "search", "green dot bracket", "--category", "bracket", "--json", home=home)
    first = json.loads(found.stdout.splitlines()[0])
    assert "green dot" in first["text"]
    assert sage("facts", "remove", first["id"], home=home).returncode == 0


def test_help_teaches() -> None:
    run = sage("inspect", "--help", home=Path("unused"))
    assert run.returncode == 0
    assert "Example: sage-iad inspect" in run.stdout
