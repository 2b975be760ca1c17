"""Logging of an evaluation to MLflow or TensorBoard, for those who keep their runs there; never unless asked."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from evals.errors import EvalError
from evals.pages.summary import columns, sentence

if TYPE_CHECKING:
    from evals.results import Results

Tracker = Literal["mlflow", "tensorboard"]


def track(results: Results, where: Tracker, out: Path) -> str:
    """Log metrics, baselines, what was asked, and, to MLflow, the files the run left; returns where it went.

    Metrics are named `agent/image_auroc`, `detector/image_auroc` and so on, with `_low` and `_high` for the ends of the
    interval; what has no value is left out.

    Args:
        results: what to log.
        where: `mlflow` logs to MLFLOW_TRACKING_URI where that is set, else to the folder `out`/mlruns; `tensorboard` to
            `out`/tensorboard.
        out: the folder of the run.

    Raises:
        ModuleNotFoundError: the tracker is not installed.
        EvalError: MLflow does not take it.
    """
    if where == "tensorboard":
        return _to_tensorboard(results, out)
    from mlflow.exceptions import MlflowException

    try:
        return _to_mlflow(results, out)
    except (MlflowException, OSError) as error:
        line = " ".join(str(error).split())[:200]
        raise EvalError(
            f"track 'mlflow': cannot log ({line}); the run is whole in {str(out)!r}, log it again"
        ) from error


def _to_mlflow(results: Results, out: Path) -> str:
    from mlflow import MlflowClient, get_tracking_uri
    from mlflow.entities import Metric, Param
    from mlflow.environment_variables import MLFLOW_ALLOW_FILE_STORE
    from mlflow.tracking import is_tracking_uri_set

    if is_tracking_uri_set():
        uri = get_tracking_uri()
    else:
        # A folder needs nothing installed beyond mlflow-skinny, a database would; MLflow wants to be told that it may.
        MLFLOW_ALLOW_FILE_STORE.set(True)
        uri = (out / "mlruns").resolve().as_uri()
    client = MlflowClient(uri)
    name = f"sage-iad {results.task}"
    found = client.get_experiment_by_name(name)
    experiment = found.experiment_id if found else client.create_experiment(name)
    run = client.create_run(experiment, run_name=f"{results.data}, {results.setting}").info.run_id
    now = int(results.created.timestamp() * 1000)
    metrics = [Metric(key, value, now, 0) for key, value in _metrics(results).items()]
    client.log_batch(run, metrics, [Param(key, value) for key, value in _asked(results).items()])
    for name in ("results.json", "report.html", "summary.md"):
        if (out / name).is_file():
            client.log_artifact(run, str(out / name))
    client.set_terminated(run)
    return uri


def _to_tensorboard(results: Results, out: Path) -> str:
    from torch.utils.tensorboard import SummaryWriter

    folder = out / "tensorboard"
    with SummaryWriter(str(folder)) as writer:
        for key, value in _metrics(results).items():
            writer.add_scalar(key, value, 0)
        asked = "\n".join(f"- {key}: {value}" for key, value in _asked(results).items())
        writer.add_text("evaluation", f"{asked}\n\n{sentence(results)}", 0)
    return str(folder)


def _metrics(results: Results) -> dict[str, float]:
    found: dict[str, float] = {}
    for system, figures in columns(results).items():
        for name, metric in figures.items():
            if metric.value is None or not math.isfinite(metric.value):
                continue
            found[f"{system}/{name}"] = metric.value
            if metric.ci95 is not None:
                found[f"{system}/{name}_low"], found[f"{system}/{name}_high"] = metric.ci95
    found |= {"photos": float(results.n), "failed": float(results.failed), "seconds": results.cost.seconds}
    if results.cost.images_per_second is not None:
        found["photos_per_second"] = results.cost.images_per_second
    return found


def _asked(results: Results) -> dict[str, str]:
    model = results.model
    named = {} if model is None else {"model": model.name, "revision": model.revision, "stage": model.stage}
    return {
        "task": results.task,
        "data": results.data,
        "setting": results.setting,
        "depth": results.depth,
        "seed": str(results.seed),
        **named,
    }
