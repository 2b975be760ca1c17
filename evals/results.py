"""results.json: what an evaluation found, beside its baselines on the same photos."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent.fusion import Fusion
from agent.report import Depth, ModelInfo, Setting, Verdict
from evals import metrics
from evals.dataset import GOOD
from evals.errors import EvalError
from evals.maps import load_pair
from evals.metrics import IMAGE_METRICS, PLACE_METRICS, RANKING, Metric
from evals.outcome import Outcome
from evals.resample import RESAMPLES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pair = tuple[NDArray[np.float16], NDArray[np.bool_]]

PER_TYPE = ("image_auroc", "image_ap", "miss")
"""Image metrics that say something about one defect type; the others are about the normal photos or all of
them."""
_NO_MAP = {name: Metric(None, reason="draws no map of its own") for name in PLACE_METRICS}
THRESHOLD = 0.5
"""From which on a baseline's score is the verdict *anomalous*."""


Baseline = Literal["detector", "vlm", "vlm_heatmap", "blend"]
"""Detector alone; model alone, without tools or facts; model shown the detector's heat map; their fixed blend."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Failure(_Part):
    """A sample without a score."""

    id: str
    defect_type: str
    error: str
    """One line."""


class Category(_Part):
    """One defect type against all normal photos."""

    n: int
    """Photos of this type, failed ones counted."""
    failed: int
    metrics: dict[str, Metric]


class Cost(_Part):
    """What the agent took; the baselines are not counted."""

    seconds: float
    """Wall time of all inspections that succeeded, one after another."""
    images_per_second: float | None
    tokens: int | None
    """Of a served model, where the run's log counts them; None otherwise."""
    fit_seconds: float | None
    """Of fitting the detector, in the fitted setting."""


class Results(_Part):
    """The result of one evaluation, as `results.json`."""

    task: Literal["folder"] = "folder"
    created: datetime
    """UTC."""
    data: str
    """Name of the folder."""
    setting: Setting
    depth: Depth
    model: ModelInfo | None
    """None where no photo could be inspected."""
    seed: int
    n: int
    """Photos, failed ones counted."""
    failed: int
    uncertain: int
    """Verdicts *uncertain*: neither right nor overkill nor miss."""
    metrics: dict[str, Metric]
    baselines: dict[Baseline, dict[str, Metric]]
    against: dict[Baseline, dict[str, Metric]]
    """The agent's image metrics minus the baseline's, with the interval of the paired difference."""
    per_category: dict[str, Category]
    cost: Cost
    notes: list[str]
    """What a reader has to know before comparing these figures with others."""
    failures: list[Failure]
    environment: dict[str, str]
    """Versions and machine."""

    def save(self, path: Path) -> None:
        """Write as JSON, whole or not at all.

        Raises:
            EvalError: the file cannot be written.
        """
        draft = path.with_suffix(".tmp")
        try:
            draft.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
            draft.replace(path)
        except OSError as error:
            raise EvalError(f"out {str(path)!r}: cannot be written ({error.strerror}); give another folder") from error


class Run(_Part):
    """What an evaluation was asked to do and what came of every sample; the input of `build`."""

    data: str
    setting: Setting
    depth: Depth
    seed: int
    outcomes: list[Outcome]
    failures: list[Failure]
    fit_seconds: float | None = None
    tokens: int | None = None
    notes: list[str] = Field(default_factory=list)


def build(run: Run, out: Path) -> Results:
    """Compute every metric; maps are read from below `out`.

    Raises:
        EvalError: a map that cannot be read, or outcomes of more than one model.
    """
    outcomes = run.outcomes
    pairs = {o.id: pair for o in outcomes if (pair := _truth_and_map(out / o.map)) is not None}
    seconds = sum(o.seconds for o in outcomes)
    return Results(
        created=datetime.now(UTC),
        data=run.data,
        setting=run.setting,
        depth=run.depth,
        model=_one_model(outcomes),
        seed=run.seed,
        n=len(outcomes) + len(run.failures),
        failed=len(run.failures),
        uncertain=sum(o.verdict == "uncertain" for o in outcomes),
        metrics={
            **_image_metrics(outcomes, [o.score for o in outcomes], [o.verdict for o in outcomes], run.seed),
            **_place_metrics(outcomes, pairs, run.seed, RESAMPLES),
        },
        baselines={
            "detector": {
                **_baseline(outcomes, [o.detector for o in outcomes], run.seed),
                **{name: Metric(None, reason="the one map is shown under the agent") for name in PLACE_METRICS[:2]},
                "localisation_hit": metrics.localisation_hit(
                    [o.detector_hit for o in outcomes if o.detector_hit is not None], seed=run.seed
                ),
            },
            "vlm": {
                **_baseline(outcomes, [o.vlm for o in outcomes], run.seed),
                **_NO_MAP,
            },
            "vlm_heatmap": {**_baseline(outcomes, [o.vlm_heatmap for o in outcomes], run.seed), **_NO_MAP},
            "blend": {**_baseline(outcomes, [blend(o) for o in outcomes], run.seed), **_NO_MAP},
        },
        against={name: _against(outcomes, scores, run.seed) for name, scores in baseline_scores(outcomes).items()},
        per_category=_per_category(run, pairs),
        cost=Cost(
            seconds=round(seconds, 3),
            images_per_second=round(len(outcomes) / seconds, 3) if seconds > 0 else None,
            tokens=run.tokens,
            fit_seconds=None if run.fit_seconds is None else round(run.fit_seconds, 3),
        ),
        notes=[*run.notes, *_notes(outcomes, pairs)],
        failures=run.failures,
        environment=environment(),
    )


def environment() -> dict[str, str]:
    """Versions of what the figures depend on, and the machine in a few words."""
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    found["cores"] = str(os.cpu_count())
    for name in ("sage-iad", "inspect-ai", "numpy", "scikit-learn", "torch", "transformers", "anomalib"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _one_model(outcomes: Sequence[Outcome]) -> ModelInfo | None:
    models = {(o.model.name, o.model.revision): o.model for o in outcomes}
    if len(models) > 1:
        names = ", ".join(f"{name} {revision}" for name, revision in sorted(models))
        raise EvalError(
            f"out: photos there were inspected by more than one model ({names}); run again with the same one"
        )
    return next(iter(models.values()), None)


def _truth_and_map(path: Path) -> Pair | None:
    anomaly_map, mask = load_pair(path)
    return None if mask is None else (anomaly_map, mask)


def _image_metrics(
    outcomes: Sequence[Outcome], scores: Sequence[float], verdicts: Sequence[Verdict], seed: int
) -> dict[str, Metric]:
    labels = [o.label for o in outcomes]
    return {
        name: getattr(metrics, name)(labels, scores if name in RANKING else verdicts, seed=seed)
        for name in IMAGE_METRICS
    }


def _place_metrics(outcomes: Sequence[Outcome], pairs: dict[str, Pair], seed: int, resamples: int) -> dict[str, Metric]:
    known = [pairs[o.id] for o in outcomes if o.id in pairs]
    maps, masks = [pair[0] for pair in known], [pair[1] for pair in known]
    return {
        "pixel_auroc": metrics.pixel_auroc(maps, masks, seed=seed, resamples=resamples),
        "pro": metrics.pro(maps, masks, seed=seed, resamples=resamples),
        "localisation_hit": metrics.localisation_hit([o.hit for o in outcomes if o.hit is not None], seed=seed),
    }


def called(score: float) -> Verdict:
    """The verdict of a baseline."""
    return "anomalous" if score >= THRESHOLD else "normal"


def _baseline(outcomes: Sequence[Outcome], scores: Sequence[float | None], seed: int) -> dict[str, Metric]:
    scored = [(o, s) for o, s in zip(outcomes, scores, strict=True) if s is not None]
    if outcomes and not scored:
        return {name: Metric(None, reason="gives no score") for name in IMAGE_METRICS}
    return _image_metrics([o for o, _ in scored], [s for _, s in scored], [called(s) for _, s in scored], seed)


def blend(outcome: Outcome) -> float | None:
    """Detector and model alone with equal say: the mean of their log-odds."""
    return None if outcome.detector is None or outcome.vlm is None else Fusion().fuse(outcome.detector, outcome.vlm)


def baseline_scores(outcomes: Sequence[Outcome]) -> dict[Baseline, list[float | None]]:
    """The scores of every baseline, in the order of the outcomes."""
    return {
        "detector": [o.detector for o in outcomes],
        "vlm": [o.vlm for o in outcomes],
        "vlm_heatmap": [o.vlm_heatmap for o in outcomes],
        "blend": [blend(o) for o in outcomes],
    }


def _against(outcomes: Sequence[Outcome], scores: Sequence[float | None], seed: int) -> dict[str, Metric]:
    both = [(o, s) for o, s in zip(outcomes, scores, strict=True) if s is not None]
    labels = [o.label for o, _ in both]
    found = {}
    for name in IMAGE_METRICS:
        if name in RANKING:
            found[name] = metrics.difference(name, labels, [o.score for o, _ in both], [s for _, s in both], seed=seed)
        else:
            said, baseline = [o.verdict for o, _ in both], [called(s) for _, s in both]
            found[name] = metrics.difference(name, labels, said, baseline, seed=seed)
    return found


def _per_category(run: Run, pairs: dict[str, Pair]) -> dict[str, Category]:
    normal = [o for o in run.outcomes if o.defect_type == GOOD]
    found = {}
    for kind in sorted({x.defect_type for x in _everything(run)} - {GOOD}):
        of_kind = [o for o in run.outcomes if o.defect_type == kind]
        failed = sum(f.defect_type == kind for f in run.failures)
        both = [*normal, *of_kind]
        image = _image_metrics(both, [o.score for o in both], [o.verdict for o in both], run.seed)
        # Without the intervals of pixel metrics, which would take longer here than all the rest.
        figures = {name: image[name] for name in PER_TYPE} | _place_metrics(both, pairs, run.seed, 0)
        found[kind] = Category(n=len(of_kind) + failed, failed=failed, metrics=figures)
    return found


def _everything(run: Run) -> Iterable[Outcome | Failure]:
    return [*run.outcomes, *run.failures]


def _notes(outcomes: Sequence[Outcome], pairs: dict[str, Pair]) -> list[str]:
    found = []
    if aligned := sum(o.aligned for o in outcomes):
        found.append(f"{aligned} of {len(outcomes)} photos were shown with an aligned reference of their own")
    unmarked = sum(o.label == 1 and o.id not in pairs for o in outcomes)
    if 0 < unmarked < sum(o.label for o in outcomes):
        found.append(f"{unmarked} anomalous photos have no mask; pixel_auroc, pro and localisation_hit leave them out")
    for name, scores in (("detector", [o.detector for o in outcomes]), ("vlm", [o.vlm for o in outcomes])):
        missing = scores.count(None)
        if 0 < missing < len(scores):
            found.append(f"{name}: gave no score for {missing} of {len(scores)} photos, which its column leaves out")
    return found
