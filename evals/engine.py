"""How every task runs: its samples through Inspect AI, bounded in parallel, with a bar, and taken up where it was stopped.

The agent is inspected as a whole, so no Inspect model takes part. Inspect's log keeps a record a sample in its store
and the error of every sample that failed; what a resumed run still has to do, the journal knows (`evals.journal`).
"""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from evals.errors import EvalError
from evals.journal import Journal, R

if TYPE_CHECKING:
    from inspect_ai import Task

_BLOCK = 500  # samples
_URL = "#%?"  # signs that Inspect reads in a path as it would in a URL
STORED = "record"
"""Key of the record in a sample's store."""
A = TypeVar("A")
T = TypeVar("T")


@dataclass(frozen=True)
class Item:
    """A sample to be looked at."""

    id: str
    """Unique in the run."""
    about: dict[str, Any] = field(default_factory=dict)
    """For the reader of the log; JSON."""


@dataclass(frozen=True)
class Ran(Generic[R]):
    """What came of every sample."""

    records: list[R]
    """Of those that succeeded, in the order of the items."""
    errors: dict[str, str]
    """By id, what made a sample fail, in one line."""
    tokens: int | None
    """Of models that Inspect served, None without one."""


@contextmanager
def ran(
    task: str,
    items: Sequence[Item],
    look: Callable[[str], Awaitable[R]],
    grade: Callable[[R], float],
    kind: type[R],
    asked: dict[str, Any],
    out: Path,
    *,
    jobs: int = 1,
    show: bool = True,
) -> Iterator[Ran[R]]:
    """Look at every item that no stopped run of the same has looked at; inside the `with`, results are made of it.

    A run counts as finished when the `with` block ends without an exception: until then the next one with the same
    `asked` into the same `out` goes on from here, even when this process is killed.

    Args:
        task: Its name.
        items: In the order in which they are looked at.
        look: Gives the record of an item, by its id; what it raises fails this item alone.
        grade: 1 for a right record, 0 for a wrong one, for the reader of the log.
        kind: Type of the records.
        asked: What tells this run from others; JSON.
        out: Folder; the log comes to lie below `out`/logs.
        jobs: How many items are looked at at once.
        show: Draw the bar on stderr.

    Raises:
        EvalError: no item, fewer than one job, a folder that cannot be written, or Inspect stopped the run.
    """
    if jobs < 1:
        raise EvalError(f"jobs {jobs!r}: expected 1 or more")
    if not items:
        raise EvalError(f"task {task!r}: has nothing to look at; expected one sample or more")
    made(out)
    journal = Journal.open(out / "logs", asked, kind)
    bar = _Bar(show)

    async def remembered(id: str) -> R:
        if id in journal.records:
            return journal.records[id]
        try:
            record = await look(id)
            journal.add(record)
        finally:
            bar.step()
        return record

    finished = False
    try:
        with bar.running(len(items), len(journal.records)):
            # In blocks, since Inspect sets all samples of a task up at its start, and keeps 20 KB of memory for each.
            logs = []
            for at in range(0, len(items), _BLOCK):
                block = _task(task, items[at : at + _BLOCK], remembered, grade, asked)
                logs.append(_evaluate(block, journal.folder / f"{at:06}", jobs))
                del block
                gc.collect()  # it lies in cycles, which Python would let grow to hundreds of MB
        yield _ran(logs, items, journal)
        finished = True
    finally:
        journal.close(finished=finished)


def in_thread(function: Callable[[A], T]) -> Callable[[A], Awaitable[T]]:
    """The same function for `ran`: in a thread, since an agent may run an event loop of its own, and so that several
    samples can be looked at at once."""
    from anyio.to_thread import run_sync

    async def call(argument: A) -> T:
        return await run_sync(function, argument)

    return call


def made(out: Path) -> Path:
    """The folder, made if missing.

    Raises:
        EvalError: it cannot be made, or Inspect would take its name for a URL and write elsewhere.
    """
    if found := set(_URL) & set(str(out.resolve())):
        raise EvalError(f"out {str(out)!r}: its path holds {min(found)!r}; give a folder without any of {_URL}")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvalError(f"out {str(out)!r}: cannot be made ({error.strerror}); give another folder") from error
    return out


def _task(
    name: str,
    items: Sequence[Item],
    look: Callable[[str], Awaitable[R]],
    grade: Callable[[R], float],
    asked: dict[str, Any],
) -> Task:
    from inspect_ai import Task
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.scorer import Score, Scorer, Target, mean, scorer
    from inspect_ai.solver import Generate, Solver, TaskState, solver

    # Without arguments, which the log would hold as text.
    @solver(name="agent")
    def agent() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            record = await look(str(state.sample_id))
            state.store.set(STORED, record.model_dump(mode="json"))
            return state

        return solve

    @scorer(name="right", metrics=[mean()])
    def right() -> Scorer:
        async def score(state: TaskState, target: Target) -> Score:
            return Score(value=grade(await look(str(state.sample_id))))

        return score

    samples = [Sample(id=item.id, input=item.id, metadata=item.about) for item in items]
    return Task(
        name=name,
        dataset=MemoryDataset(samples, name=name),
        solver=agent(),
        scorer=right(),
        fail_on_error=False,
        metadata=asked,
    )


@dataclass(frozen=True)
class _Log:
    """What a run needs of Inspect's log."""

    errors: dict[str, str]
    """By id of the sample."""
    tokens: list[int]
    """By model."""


def _evaluate(task: Task, logs: Path, jobs: int) -> _Log:
    """Run the samples that `logs` does not hold yet."""
    from inspect_ai import eval_set
    from inspect_ai.log import read_eval_log_sample_summaries

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
            max_samples=jobs,
            retry_attempts=1,
            fail_on_error=False,
        )
    if not headers:
        raise KeyboardInterrupt  # which eval_set has swallowed
    header = headers[0]
    if header.status != "success":
        reason = header.error.message if header.error else header.status
        raise EvalError(
            f"out {str(logs)!r}: the evaluation stopped ({' '.join(reason.split())}); run it again to go on"
        )
    summaries = read_eval_log_sample_summaries(header.location)
    errors = {str(summary.id): summary.error for summary in summaries if summary.error is not None}
    return _Log(errors, [used.total_tokens for used in header.stats.model_usage.values()])


def _ran(logs: Sequence[_Log], items: Sequence[Item], journal: Journal[R]) -> Ran[R]:
    told = {id: error for log in logs for id, error in log.errors.items()}
    failed = [item.id for item in items if item.id not in journal.records]
    errors = {id: " ".join(told.get(id, "the log has no record of it").split()) for id in failed}
    tokens = [number for log in logs for number in log.tokens]
    records = [journal.records[item.id] for item in items if item.id in journal.records]
    return Ran(records, errors, sum(tokens) if tokens else None)


class _Bar:
    """Samples done, rate and time left, on stderr."""

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
