"""One evaluation from folder to report: the call behind `sage-iad eval folder`."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.errors import EvalError

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.log import EvalLog

    from agent.report import Depth, Setting
    from evals.outcome import Inspecting
    from evals.results import Results, Run

_FLUSH_EVERY = 10  # samples; as many are inspected again when a killed run is taken up


def run_folder(
    inspecting: Inspecting,
    data: Path | str,
    setting: Setting = "one-shot",
    depth: Depth = "screen",
    limit: int | None = None,
    seed: int = 0,
    out: Path | str = "runs/eval",
    *,
    show: bool = True,
) -> Results:
    """Evaluate the agent on an MVTec-AD-like folder, beside the detector alone and the model alone.

    Leaves results.json, report.html, logs/ (Inspect's, one folder a run) and maps/ in `out`. A run that was
    stopped is taken up where it stood when the same data, setting, depth, limit and seed are run into the
    same `out`; after a finished one a new run starts.

    Args:
        inspecting: The agent.
        data: The folder; layout in `evals.dataset`.
        setting: What the agent is shown besides the photo; see `evals.setting`.
        depth: `screen` or `full`.
        limit: At most so many photos, drawn by the seed.
        seed: Draws references, photos to fit to, the photos of `limit` and the bootstrap.
        out: Folder for everything the evaluation leaves; made if missing.
        show: Print progress to stderr and the table to stdout.

    Raises:
        EvalError: a folder, setting or output folder that cannot be used.
        tools.detector.DetectorError: a detector that cannot be fitted, in the fitted setting.
    """
    from evals.folder import folder
    from evals.report import write_report
    from evals.results import build
    from evals.summary import print_results

    place = _made(Path(out))
    asked: dict[str, Any] = {
        "data": str(Path(data).resolve()),
        "setting": setting,
        "depth": depth,
        "limit": limit,
        "seed": seed,
        "out": str(place.resolve()),
    }
    bar = _Bar(show)
    task = folder(**asked, inspecting=inspecting, done=bar.step)
    logs = _log_folder(place, {**asked, "inspecting": type(inspecting).__name__})
    with bar.running(len(task.dataset), _scored_before(logs)):
        log = _evaluate(task, logs)
    with _status("computing metrics", show):
        run = _read(log, asked, Path(data).resolve().name)
        results = build(run, place)
        results.save(place / "results.json")
        write_report(results, run, Path(data), place)
    if show:
        print_results(results)
    return results


def _made(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvalError(f"out {str(out)!r}: cannot be made ({error.strerror}); give another folder") from error
    return out


def _evaluate(task: Task, logs: Path) -> EvalLog:
    """Run the samples that `logs` does not hold yet; the whole log."""
    from inspect_ai import eval_set
    from inspect_ai.log import read_eval_log

    # eval_set announces itself on stdout, which belongs to the caller.
    with redirect_stdout(io.StringIO()):
        _, headers = eval_set(
            task,
            log_dir=str(logs),
            model=None,
            display="none",
            score_display=False,
            ctl_server=False,
            log_level="error",
            log_realtime=False,
            log_buffer=_FLUSH_EVERY,
            max_samples=1,
            retry_attempts=1,
            fail_on_error=False,
        )
    if not headers:
        raise KeyboardInterrupt  # which eval_set has swallowed
    log = read_eval_log(headers[0].location)
    if log.status != "success":
        reason = log.error.message if log.error else log.status
        raise EvalError(
            f"out {str(logs)!r}: the evaluation stopped ({' '.join(reason.split())}); run it again to go on"
        )
    return log


def _log_folder(out: Path, asked: dict[str, Any]) -> Path:
    """Where an unfinished run of the same evaluation left its log, else a new folder."""
    for folder in sorted((out / "logs").glob("*/"), reverse=True):
        headers = [_header(log) for log in folder.glob("*.eval")]
        if headers and all(header is not None and _unfinished(header, asked) for header in headers):
            return folder
    return out / "logs" / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"


def _unfinished(header: EvalLog, asked: dict[str, Any]) -> bool:
    same = {name: header.eval.task_args.get(name) for name in asked} == asked
    return same and header.status != "success"


def _header(log: Path) -> EvalLog | None:
    from inspect_ai.log import read_eval_log

    try:
        return read_eval_log(str(log), header_only=True)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # cut off while it was written: nothing to go on from


def _scored_before(logs: Path) -> int:
    from inspect_ai.log import read_eval_log_sample_summaries

    summaries = (read_eval_log_sample_summaries(str(log)) for log in logs.glob("*.eval"))
    return max((sum(s.error is None for s in summary) for summary in summaries), default=0)


def _read(log: EvalLog, asked: dict[str, Any], name: str) -> Run:
    from evals.folder import STORED
    from evals.outcome import Outcome
    from evals.results import Failure, Run

    samples = log.samples or []
    outcomes = [Outcome.model_validate(s.store[STORED]) for s in samples if s.error is None]
    failures = [
        Failure(id=str(s.id), defect_type=s.metadata["defect_type"], error=" ".join(s.error.message.split()))
        for s in samples
        if s.error is not None
    ]
    about = log.eval.metadata or {}
    notes = []
    if len(samples) < about["photos"]:
        notes.append(f"{len(samples)} of {about['photos']} photos, drawn by seed {asked['seed']}")
    if about["references"]:
        notes.append(f"references drawn by seed {asked['seed']}: {', '.join(about['references'])}")
    if about["fit_on"]:
        notes.append(f"detector fitted to {about['fit_on']} photos of train/good")
    usage = [used.total_tokens for used in log.stats.model_usage.values()]
    return Run(
        data=name,
        setting=asked["setting"],
        depth=asked["depth"],
        seed=asked["seed"],
        outcomes=sorted(outcomes, key=lambda o: o.id),
        failures=sorted(failures, key=lambda f: f.id),
        fit_seconds=about["fit_seconds"],
        tokens=sum(usage) if usage else None,
        notes=notes,
    )


class _Bar:
    """Photos done, rate and time left, on stderr."""

    def __init__(self, show: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("inspecting"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=Console(stderr=True),
            disable=not show,
        )
        self._task: Any = None

    @contextmanager
    def running(self, photos: int, before: int) -> Iterator[None]:
        """Show the bar for `photos`, of which `before` are done."""
        self._task = self._progress.add_task("", total=photos, completed=before, rate="")
        try:
            with self._progress:
                yield
        except KeyboardInterrupt:
            print("stopped; run the same command again to go on from here", file=sys.stderr)
            raise

    def step(self) -> None:
        """One photo is done."""
        self._progress.advance(self._task)
        speed = self._progress.tasks[0].speed
        if speed:
            rate = f"{speed:.1f} photos/s" if speed >= 1 else f"{1 / speed:.1f} s/photo"
            self._progress.update(self._task, rate=rate)


@contextmanager
def _status(text: str, show: bool) -> Iterator[None]:
    from rich.console import Console

    if not show:
        yield
        return
    with Console(stderr=True).status(text):
        yield
