"""`sage-iad eval ...` as a person runs it, with a scripted agent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agent.cli import app
from training.make import Order, make

Make = Callable[..., Path]


@pytest.fixture
def run(fake: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command with the scripted agent in place of the real one."""
    monkeypatch.setattr("agent.inspector.Inspector.load", lambda *a, **k: fake(fails_on=["003.png"]))

    def call(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["eval", *map(str, arguments)])

    return call


@pytest.fixture(scope="module")
def adpl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adpl")
    for _ in make(Order(3, seed=2, size=64), folder, processes=1):
        pass
    return folder


def test_a_folder_and_too_many_failures(run: Callable[..., Result], make_folder: Make, tmp_path: Path) -> None:
    data = make_folder(good=4, bad=4)
    asked = ("folder", "--data", data, "--setting", "zero-shot", "--out", tmp_path / "a")
    done = run(*asked)
    assert done.exit_code == 0, done.output
    assert "image_auroc" in done.stdout
    assert "2 of 8 photos failed" in done.stdout
    few = run(*asked, "--max-failures", 1)
    assert few.exit_code == 1
    assert "2 samples failed, more than the 1 of --max-failures" in few.stderr
    assert run(*asked, "--max-failures", 2).exit_code == 0


def test_a_missing_folder_is_one_line(run: Callable[..., Result], tmp_path: Path) -> None:
    for task in ("folder", "mvtec", "suite", "ablation", "mmad"):
        wrong = run(task, "--data", tmp_path / "nothing", "--out", tmp_path / "out")
        assert wrong.exit_code == 2, (task, wrong.output)
        assert len(wrong.stderr.strip().splitlines()) == 1
        assert "nothing" in wrong.stderr


def test_two_runs_compared(run: Callable[..., Result], make_folder: Make, tmp_path: Path) -> None:
    data = make_folder(good=3, bad=3)
    for name in "ab":
        assert run("folder", "--data", data, "--setting", "zero-shot", "--out", tmp_path / name).exit_code == 0
    done = run("compare", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "c")
    assert done.exit_code == 0, done.output
    assert "accuracy" in done.stdout
    assert "<html" in (tmp_path / "c/compare.html").read_text()


def test_judge_and_agreement(run: Callable[..., Result], adpl: Path, tmp_path: Path) -> None:
    records = next(adpl.glob("*.jsonl"))
    asked = ("--data", records, "--images", adpl)
    done = run("judge", *asked, "--limit", 1, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert "order of the four answers" in done.stdout
    assert json.loads((tmp_path / "judge.json").read_text())["tau"]["value"] > 0.9
    done = run("agreement", *asked, "--judge", "reference", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "reference.csv").read_text().startswith("rater,item,type,location,logic")
    raters = json.loads((tmp_path / "agreement.json").read_text())["raters"]
    assert {rater["name"] for rater in raters} == {"records", "reference judge 2"}
    done = run("agreement", *asked, "--sheet", tmp_path / "sheet.csv", "--rater", "anna")
    assert done.exit_code == 0
    assert (tmp_path / "sheet.csv").read_text().splitlines()[1].startswith("anna,")
    done = run("agreement", "--judge", "reference", "--out", tmp_path)
    assert done.exit_code == 2
    assert "expected --data and --images" in done.stderr
