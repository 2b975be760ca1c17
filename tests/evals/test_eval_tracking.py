"""What MLflow and TensorBoard were told, read back from their own files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from drawn_run import leave, mixed

from evals.errors import EvalError
from evals.pages.tracking import track
from evals.results import Results


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return leave(tmp_path / "out", mixed(12))


def test_mlflow_holds_metrics_what_was_asked_and_the_files(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "false")  # so that what is set in the test is taken back after it
    where = track(results, "mlflow", tmp_path / "out")
    assert where == (tmp_path / "out/mlruns").as_uri()
    assert track(results, "mlflow", tmp_path / "out") == where  # a second run of the same experiment
    client = mlflow.MlflowClient(where)
    experiment = client.get_experiment_by_name("sage-iad folder")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 2
    data = runs[0].data
    whole = results.metrics["image_auroc"]
    assert data.metrics["agent/image_auroc"] == pytest.approx(whole.value)
    assert whole.ci95 is not None
    assert data.metrics["agent/image_auroc_high"] == pytest.approx(whole.ci95[1])
    assert data.metrics["detector/accuracy"] == pytest.approx(results.baselines["detector"]["accuracy"].value)
    assert "vlm/pro" not in data.metrics
    assert data.params["setting"] == "zero-shot"
    assert data.params["model"] == "fake"
    assert data.params["seed"] == "0"
    assert data.params["data"] == "plates"
    kept = client.download_artifacts(runs[0].info.run_id, "results.json", str(tmp_path))
    assert Results.model_validate_json(Path(kept).read_text()) == results
    assert runs[0].info.status == "FINISHED"


def test_mlflow_goes_where_the_user_keeps_it(results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mine").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    assert track(results, "mlflow", tmp_path / "out") == (tmp_path / "mine").as_uri()
    assert (tmp_path / "mine").is_dir()
    assert not (tmp_path / "out/mlruns").exists()


def test_what_mlflow_refuses_is_one_line(results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://host")
    with pytest.raises(EvalError, match=r"track 'mlflow': cannot log .*the run is whole in"):
        track(results, "mlflow", tmp_path / "out")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_holds_the_metrics(results: Results, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    where = track(results, "tensorboard", tmp_path / "out")
    assert where == str(tmp_path / "out/tensorboard")
    events = EventAccumulator(where)
    events.Reload()
    (scalar,) = events.Scalars("agent/image_auroc")
    assert scalar.value == pytest.approx(results.metrics["image_auroc"].value)
    assert "vlm/pro" not in events.Tags()["scalars"]
    (tag,) = events.Tags()["tensors"]
    (text,) = events.Tensors(tag)
    assert b"zero-shot" in text.tensor_proto.string_val[0]


@pytest.mark.parametrize(("where", "module"), [("mlflow", "mlflow"), ("tensorboard", "torch.utils.tensorboard")])
def test_a_tracker_that_is_not_installed_is_named(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=where):
        track(results, where, tmp_path / "out")  # type: ignore[arg-type]
