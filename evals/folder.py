"""The Inspect AI task: a folder of labelled photos, inspected one after another in one setting.

The agent is inspected as a whole, so no Inspect model takes part: run it with `model=None`. The log keeps one
`evals.outcome.Outcome` a sample in its store; the anomaly maps are files below `out`/maps, not in the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset
from inspect_ai.dataset import Sample as InspectSample
from inspect_ai.scorer import CORRECT, INCORRECT, NOANSWER, Score, Scorer, Target, accuracy, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver

from evals.dataset import pick, read_folder
from evals.outcome import Inspecting, Outcome, inspect_sample
from evals.setting import shown

if TYPE_CHECKING:
    from agent.report import Depth, Setting
    from evals.dataset import Sample

STORED = "outcome"
"""Key of the outcome in a sample's store."""
FALSE_ALARM_RATE = 0.05
"""At which the fitted setting puts its threshold."""


@task
def folder(
    data: str,
    setting: Setting = "one-shot",
    depth: Depth = "screen",
    limit: int | None = None,
    seed: int = 0,
    out: str = "runs/eval",
    inspecting: Inspecting | None = None,
    done: Callable[[], None] | None = None,
) -> Task:
    """Inspect the test photos of an MVTec-AD-like folder.

    Args:
        data: The folder; layout in `evals.dataset`.
        setting: What the agent is shown besides the photo; see `evals.setting`.
        depth: `screen` or `full`.
        limit: At most so many photos, drawn by the seed.
        seed: Draws references, photos to fit to and the photos of `limit`.
        out: Folder for the maps.
        inspecting: The agent; by default `agent.inspector.Inspector.load()`.
        done: Called after every photo, inspected or failed.

    Raises:
        EvalError: a folder or setting that cannot be evaluated.
        tools.detector.DetectorError: a detector that cannot be fitted, in the fitted setting.
    """
    read = read_folder(data)
    seen = shown(read, setting, seed)
    samples = pick(read.samples, limit, seed)
    agent = _default() if inspecting is None else inspecting
    detector, start = None, time.perf_counter()
    if seen.fit_on:
        detector = agent.fit(seen.fit_on, false_alarm_rate=FALSE_ALARM_RATE, seed=seed)
    fit_seconds = time.perf_counter() - start if seen.fit_on else None
    by_id = {sample.id: sample for sample in samples}

    def look(name: str) -> Outcome:
        sample = by_id[name]
        references = seen.references(sample)
        return inspect_sample(agent, sample, references, depth=depth, detector=detector, out=Path(out))

    return Task(
        dataset=MemoryDataset([_to_inspect(sample) for sample in samples], name=read.name),
        solver=inspection(look, done),
        scorer=verdict(),
        fail_on_error=False,
        metadata={
            "fit_seconds": fit_seconds,
            "fit_on": len(seen.fit_on),
            "photos": len(read.samples),
            "references": [path.relative_to(read.root).as_posix() for path in seen.common],
        },
    )


def _default() -> Inspecting:
    from agent.inspector import Inspector

    return Inspector.load()


def _to_inspect(sample: Sample) -> InspectSample:
    return InspectSample(
        id=sample.id,
        input=sample.id,
        target="anomalous" if sample.label else "normal",
        metadata={"defect_type": sample.defect_type, "has_mask": bool(sample.masks)},
    )


@solver
def inspection(look: Callable[[str], Outcome], done: Callable[[], None] | None = None) -> Solver:
    """Inspect the sample of the state and store its outcome; what `look` raises fails this sample alone."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        try:
            # In a thread: an agent that runs an event loop of its own could not do so inside Inspect's.
            outcome = await anyio.to_thread.run_sync(look, str(state.sample_id))
        finally:
            if done is not None:
                done()
        state.store.set(STORED, outcome.model_dump(mode="json"))
        state.output.completion = outcome.verdict
        return state

    return solve


@scorer(metrics=[accuracy()])
def verdict() -> Scorer:
    """Right, wrong or *uncertain*; the metrics proper need all samples and are computed in
    `evals.results`."""

    async def score(state: TaskState, target: Target) -> Score:
        outcome = Outcome.model_validate(state.store.get(STORED))
        value = CORRECT if outcome.verdict == target.text else INCORRECT
        if outcome.verdict == "uncertain":
            value = NOANSWER
        scores = {"score": outcome.score, "detector": outcome.detector, "vlm": outcome.vlm}
        return Score(value=value, answer=outcome.verdict, metadata=scores)

    return score
