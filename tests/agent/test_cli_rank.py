"""`data rank` from photos to AD-PL, with the embedded model."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from parts import plate
from typer.testing import CliRunner

from agent.cli_rank import rank_app
from training.adpl import PreferenceRecord


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAGE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    plate(True).save(tmp_path / "part.png")
    plate(False).save(tmp_path / "good.png")
    return tmp_path


def run(*arguments: str, code: int = 0, typed: str = "") -> tuple[str, str]:
    result = CliRunner().invoke(rank_app, list(arguments), input=typed, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


def test_from_photos_to_adpl_by_two_raters(photos: Path) -> None:
    sample = ("sample", "part.png", "none.png", "--reference", "good.png", "--out", "ranking")
    out, err = run(*sample, code=2)
    assert ": 20 answers" in out
    assert "none.png" in err
    assert "is in ranking already" in run("sample", "part.png", "--reference", "good.png", "--out", "ranking")[0]
    run("sheet", "ranking", "--out", "sheet.csv")
    with open("sheet.csv", encoding="utf-8-sig", newline="") as file:
        # A will be the best of both raters: their verdict is its own.
        verdicts = [str(row["A"].startswith("True")).lower() for row in csv.DictReader(file)]
    typed = "".join(f"{verdict[0]} ABCD\n" for verdict in verdicts) + "The plate has a red spot.\n"
    assert "5 of 5 questions ranked" in run("order", "ranking", "--rater", "a", typed=typed)[0]
    assert "nothing to compare" in run("agreement", "ranking")[0]
    with open("sheet.csv", encoding="utf-8-sig", newline="") as file:
        rows = [
            row | {"verdict": verdict, "order": "BACD"}
            for row, verdict in zip(csv.DictReader(file), verdicts, strict=True)
        ]
    with open("sheet.csv", "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    assert "5 rankings kept" in run("read", "ranking", "sheet.csv", "--rater", "b")[0]
    shown, _ = run("agreement", "ranking")
    assert "a, b: Kendall's tau-b 0.67 (95 % interval 0.67 to 0.67), 5 questions; same verdict in 100%" in shown
    assert "1 pairs, 0 left out" in run("export", "ranking", "--out", "adpl.json")[0]
    (record,) = (PreferenceRecord.model_validate(r) for r in json.loads(Path("adpl.json").read_text(encoding="utf-8")))
    assert record.test_image == "part.png"
    assert record.conclusion_en == "The plate has a red spot."
    assert record.facts


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sample", "part.png", "--reference", "good.png", "--out", "x", "--temperature", "0"), "--temperature 0"),
        (("sample", "part.png", "--reference", "good.png", "--out", "x", "--questions", "no.txt"), "no.txt"),
        (("sample", "part.png", "--reference", "good.png", "--out", "x", "--questions", "two.txt"), "2 different"),
        (("order", "nowhere", "--rater", "a"), "has no candidates.jsonl"),
        (("sheet", "nowhere", "--out", "s.csv"), "has no candidates.jsonl"),
        (("read", "nowhere", "s.csv", "--rater", "a"), "has no candidates.jsonl"),
        (("agreement", "nowhere"), "has no candidates.jsonl"),
        (("export", "nowhere", "--out", "x.json"), "has no candidates.jsonl"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(photos: Path, arguments: tuple[str, ...], message: str) -> None:
    (photos / "two.txt").write_text("Is it good?\nIs it bad?\n", encoding="utf-8")
    out, err = run(*arguments, code=2)
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_without_a_subcommand_it_shows_help() -> None:
    assert "agreement" in run()[0]
