"""results.json of the tasks that ask questions: `adpl` and `mmad`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from agent.report import ModelInfo, Setting
from evals.figures.clustered import Value, difference, mean
from evals.figures.metrics import Metric
from evals.files import write_whole
from evals.questions.asked import AskedPhoto, Failure, Run
from evals.results import Category, Cost, environment, one_model

System = Literal["agent", "vlm"]
Values = dict[str, list[Value]]
"""By metric, what every question gave."""
Measure = Callable[[Sequence[AskedPhoto], System], Values]
"""What a task measures of one system."""


class QuestionResults(BaseModel):
    """The result of one evaluation, as `results.json`."""

    model_config = ConfigDict(extra="forbid")

    task: Literal["adpl", "mmad"]
    created: datetime
    """UTC."""
    data: str
    """Name of the file or folder."""
    setting: Setting
    model: ModelInfo | None
    """None where no photo could be inspected."""
    seed: int
    n: int
    """Photos that were to be asked about, failed ones counted."""
    failed: int
    questions: int
    """Those of failed photos counted."""
    undecided: dict[System, int]
    """Replies that chose none of the answers; they count as wrong."""
    metrics: dict[str, Metric]
    baselines: dict[Literal["vlm"], dict[str, Metric]]
    """The model alone, without tools or facts, on the same questions."""
    against: dict[Literal["vlm"], dict[str, Metric]]
    """The agent's metrics minus the baseline's, with the interval of the paired difference."""
    judges: dict[str, dict[str, Metric]] = {}
    """MLE by further judges, by name; that of the first is in `metrics`."""
    per_category: dict[str, Category]
    """By pair type or subtask; `n` and `failed` are questions."""
    cost: Cost
    notes: list[str]
    failures: list[Failure]
    environment: dict[str, str]
    """Versions and machine."""

    def save(self, path: Path) -> None:
        """Write as JSON, whole or not at all.

        Raises:
            EvalError: the file cannot be written.
        """
        write_whole(path, self.model_dump_json(indent=2) + "\n")


def build(
    task: Literal["adpl", "mmad"], data: str, setting: Setting, seed: int, run: Run, measure: Measure, notes: list[str]
) -> QuestionResults:
    """Compute every metric of both systems, with intervals over photos.

    Raises:
        EvalError: photos of more than one model.
    """
    seconds = sum(photo.seconds for photo in run.photos)
    agent, vlm = measure(run.photos, "agent"), measure(run.photos, "vlm")
    return QuestionResults(
        task=task,
        created=datetime.now(UTC),
        data=data,
        setting=setting,
        model=one_model(photo.model for photo in run.photos),
        seed=seed,
        n=len(run.photos) + len(run.failures),
        failed=len(run.failures),
        questions=sum(len(photo.asked) for photo in run.photos) + sum(len(f.kinds) for f in run.failures),
        undecided={"agent": _undecided(run.photos, "agent"), "vlm": _undecided(run.photos, "vlm")},
        metrics=_means(agent, seed),
        baselines={"vlm": _means(vlm, seed)},
        against={"vlm": {name: difference(agent[name], vlm[name], seed=seed) for name in agent}},
        per_category=_per_category(run, measure, seed),
        cost=Cost(
            seconds=round(seconds, 3),
            images_per_second=round(len(run.photos) / seconds, 3) if seconds > 0 else None,
            tokens=run.tokens,
            fit_seconds=None,
        ),
        notes=notes,
        failures=run.failures,
        environment=environment(),
    )


def _means(values: Values, seed: int) -> dict[str, Metric]:
    return {name: mean(of, seed=seed) for name, of in values.items()}


def _undecided(photos: Sequence[AskedPhoto], system: System) -> int:
    return sum(getattr(asked, system).given is None for photo in photos for asked in photo.asked)


def _per_category(run: Run, measure: Measure, seed: int) -> dict[str, Category]:
    unanswered = Counter(kind for failure in run.failures for kind in failure.kinds)
    kinds = dict.fromkeys([*(a.kind for photo in run.photos for a in photo.asked), *unanswered])
    found = {}
    for kind in kinds:
        photos = [
            photo.model_copy(update={"asked": of_kind})
            for photo in run.photos
            if (of_kind := [a for a in photo.asked if a.kind == kind])
        ]
        failed = unanswered[kind]
        figures = _means({name: of for name, of in measure(photos, "agent").items() if of}, seed)
        found[kind] = Category(n=sum(len(p.asked) for p in photos) + failed, failed=failed, metrics=figures)
    return found
