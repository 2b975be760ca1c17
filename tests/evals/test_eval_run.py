"""From folder to report in every setting, with a scripted agent."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals import EvalError
from evals.figures.answers import ANSWER_METRICS
from evals.figures.maps import load_pair
from evals.figures.metrics import IMAGE_METRICS, PLACE_METRICS, Metric
from evals.pages.summary import sentence
from evals.results import Results
from evals.run import run_folder

Make = Callable[..., Path]
Fake = Callable[..., Any]


@pytest.fixture(autouse=True)
def collect_garbage() -> Iterator[None]:
    yield
    gc.collect()


@pytest.mark.parametrize("setting", ["zero-shot", "one-shot", "few-shot", "fitted"])
def test_every_setting_from_folder_to_report(
    fake: Fake, make_folder: Make, tmp_path: Path, setting: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = fake()
    found = run_folder(agent, make_folder(), setting, "screen", None, 3, tmp_path / "out", show=False)
    assert (found.n, found.failed, found.setting, found.depth, found.seed) == (6, 0, setting, "screen", 3)
    shown = {"zero-shot": 0, "one-shot": 1, "few-shot": 4, "fitted": 0}[setting]
    assert {len(call["reference"]) for call in agent.calls} == {shown}
    assert {call["depth"] for call in agent.calls} == {"screen"}
    assert len(agent.fitted) == (5 if setting == "fitted" else 0)
    assert all((call["detector"] is agent.detector) == (setting == "fitted") for call in agent.calls)
    assert (found.cost.fit_seconds is not None) == (setting == "fitted")
    assert found.metrics["image_auroc"].value == 1
    assert found.metrics["localisation_hit"].value == 1
    assert found.baselines["vlm"]["accuracy"].value == 0.5
    written = capsys.readouterr()
    assert written.out == written.err == ""
    heat, mask = load_pair(tmp_path / "out/maps/test/dent/000.png.npz")
    assert heat.dtype == np.float16
    assert mask is not None
    assert mask.sum() == 100
    assert list((tmp_path / "out/logs").rglob("*.eval"))


def test_results_json_has_the_shape_of_the_contract(fake: Fake, make_folder: Make, tmp_path: Path) -> None:
    run_folder(fake(), make_folder(good=4, bad=4, stained=2), out=tmp_path / "out", show=False)
    read = json.loads((tmp_path / "out/results.json").read_text())
    assert {
        *("task", "setting", "model", "seed", "n", "failed", "metrics", "baselines", "per_category", "cost"),
        "environment",
    } <= set(read)
    assert read["task"] == "folder"
    assert set(read["metrics"]) == {*IMAGE_METRICS, *PLACE_METRICS, *ANSWER_METRICS}
    assert set(read["baselines"]) == {"detector", "vlm", "vlm_heatmap", "blend"}
    for figures in (read["metrics"], *read["baselines"].values()):
        for metric in figures.values():
            assert set(metric) == {"value", "ci95", "reason"}
            assert metric["ci95"] is None or len(metric["ci95"]) == 2
            assert metric["value"] is not None or metric["reason"]
    assert set(read["per_category"]) == {"dent", "stain"}
    assert read["per_category"]["stain"]["metrics"]["pro"]["reason"] == "no anomalous image with a mask"
    assert {"seconds", "images_per_second", "tokens"} <= set(read["cost"])
    assert read["cost"]["tokens"] is None
    assert read["model"] == {"name": "fake", "revision": "1", "stage": "sfe"}
    assert "inspect-ai" in read["environment"]
    assert any("2 anomalous photos have no mask" in note for note in read["notes"])
    assert Results.model_validate(read).n == 10


def test_failures_are_counted_and_never_scored(fake: Fake, make_folder: Make, tmp_path: Path) -> None:
    root = make_folder(good=4, bad=4)
    (root / "test/good/001.png").write_bytes(b"no picture")
    agent = fake(fails_on=["dent/001.png", "dent/002.png"])
    found = run_folder(agent, root, "zero-shot", out=tmp_path / "out", show=False)
    assert (found.n, found.failed) == (8, 3)
    assert [f.id for f in found.failures] == ["test/dent/001.png", "test/dent/002.png", "test/good/001.png"]
    assert "the lamp" in found.failures[0].error
    assert "\n" not in found.failures[0].error
    assert (found.per_category["dent"].n, found.per_category["dent"].failed) == (4, 2)
    assert found.metrics["accuracy"].value == 1
    assert found.cost.images_per_second is not None


def test_nothing_inspected_is_nothing_said(fake: Fake, make_folder: Make, tmp_path: Path) -> None:
    found = run_folder(fake(fails_on=["png"]), make_folder(), out=tmp_path / "out", show=False)
    assert found.failed == found.n == 6
    assert found.model is None
    assert all(m.value is None and m.reason for m in found.metrics.values())
    assert sentence(found).startswith("No photo could be inspected")
    assert (tmp_path / "out/report.html").is_file()


def test_a_blind_agent_and_a_silent_model(fake: Fake, make_folder: Make, tmp_path: Path) -> None:
    found = run_folder(fake(blind=True, vlm=None), make_folder(), out=tmp_path / "out", show=False)
    assert found.metrics["image_auroc"].value == 0.5
    assert found.metrics["miss"].value == 1
    assert found.metrics["localisation_hit"].value == 0
    assert found.baselines["vlm"]["image_auroc"] == Metric(None, None, "gives no score")


def test_limit_and_aligned_references(fake: Fake, make_folder: Make, tmp_path: Path) -> None:
    root = make_folder(good=5, bad=5)
    (root / "manifest.csv").write_text("file,reference\ntest/dent/000.png,train/good/001.png\n")
    agent = fake()
    found = run_folder(agent, root, "one-shot", "full", 4, 0, tmp_path / "out", show=False)
    assert found.n == 4
    assert found.depth == "full"
    assert "4 of 10 photos, drawn by seed 0" in found.notes
    assert any(note.startswith("references drawn by seed 0: train/good/") for note in found.notes)
    agent = fake()
    found = run_folder(agent, root, "one-shot", out=tmp_path / "other", show=False)
    assert "1 of 10 photos were shown with an aligned reference of their own" in found.notes
    assert agent.calls[0]["reference"] == [root.resolve() / "train/good/001.png"]


def test_what_cannot_be_evaluated_is_said_before_the_work(fake: Fake, make_folder: Make, tmp_path: Path) -> None:
    agent = fake()
    with pytest.raises(EvalError, match="no such folder"):
        run_folder(agent, tmp_path / "nowhere", out=tmp_path / "out")
    with pytest.raises(EvalError, match="needs 4 or more"):
        run_folder(agent, make_folder(train=3), "few-shot", out=tmp_path / "out")
    with pytest.raises(EvalError, match="seed -1: expected 0"):
        run_folder(agent, tmp_path / "plates", "zero-shot", seed=-1, out=tmp_path / "out")
    for odd in ("a#b", "100%25", "why?"):
        with pytest.raises(EvalError, match="its path holds"):
            run_folder(agent, tmp_path / "plates", "zero-shot", out=tmp_path / odd)
    assert not agent.calls
    (tmp_path / "file").write_text("")
    with pytest.raises(EvalError, match="cannot be made"):
        run_folder(agent, tmp_path / "plates", "zero-shot", out=tmp_path / "file")


def test_a_second_run_starts_anew(fake: Fake, make_folder: Make, tmp_path: Path) -> None:
    root = make_folder()
    run_folder(fake(), root, "zero-shot", out=tmp_path / "out", show=False)
    again = fake(revision="2")
    found = run_folder(again, root, "zero-shot", out=tmp_path / "out", show=False)
    assert len(again.calls) == 6
    assert found.model is not None
    assert found.model.revision == "2"


def test_importing_evals_is_cheap() -> None:
    heavy = "('torch', 'inspect_ai', 'sklearn', 'matplotlib', 'numpy', 'pydantic', 'anomalib')"
    code = f"import sys, evals, evals.dataset; sys.exit([m for m in {heavy} if m in sys.modules] != [])"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
