"""results.json: what an evaluation found, beside its baselines on the same photos."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.fusion import Fusion
from agent.report import Depth, ModelInfo, Setting, Verdict
from evals.dataset import GOOD, TaskName
from evals.errors import EvalError
from evals.figures import metrics
from evals.figures.answers import answer_metrics, answer_notes
from evals.figures.maps import load_pair
from evals.figures.metrics import IMAGE_METRICS, PLACE_METRICS, RANKING, Metric
from evals.figures.pixels import Levels, Pixels
from evals.figures.products import mean_over
from evals.files import write_whole
from evals.outcome import Outcome

PER_TYPE = ("image_auroc", "image_ap", "miss")
"""Image metrics that say something about one defect type; the others are about the normal photos or all of
them."""
_NO_MAP = {name: Metric(None, reason="draws no map of its own") for name in PLACE_METRICS}
THRESHOLD = 0.5
"""From which on a baseline's score is the verdict *anomalous*."""


Baseline = Literal["detector", "vlm", "vlm_heatmap", "blend"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)
"""Detector alone; model alone, without tools or facts; model shown the detector's heat map; their fixed blend."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Failure(_Part):
    """A sample without a score."""

    id: str
    category: str = ""
    """The product."""
    defect_type: str
    error: str
    """One line."""


class Category(_Part):
    """One product, or where there is but one, one of its defect types against all normal photos."""

    n: int
    """Photos of this product or type, failed ones counted."""
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

    task: TaskName = "folder"
    created: datetime
    """UTC."""
    data: str
    """Name of the folder, and of the one product of a benchmark."""
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
    """Of a benchmark: the mean over its products; likewise those of the baselines, and the differences."""
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

    @classmethod
    def read(cls, run: Path) -> Self:
        """The results that a run left in its folder.

        Raises:
            EvalError: no such file, or another task's or version's.
        """
        try:
            return cls.model_validate_json((run / "results.json").read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise EvalError(
                f"run {str(run)!r}: cannot read results.json ({error}); give the --out folder of an eval"
            ) from error
        except ValidationError as error:
            raise EvalError(
                f"run {str(run)!r}: results.json is none of photos inspected ({error.error_count()} errors); "
                "give the --out folder of an eval of this version"
            ) from error

    def save(self, path: Path) -> None:
        """Write as JSON, whole or not at all.

        Raises:
            EvalError: the file cannot be written.
        """
        write_whole(path, self.model_dump_json(indent=2) + "\n")


class Run(_Part):
    """What an evaluation was asked to do and what came of every sample; the input of `build`."""

    task: TaskName = "folder"
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
    products = _products(run)
    maps = {name: _read_maps(part, out) for name, part in products.items()}
    agent = {name: _agent(part, maps[name].pixels, run) for name, part in products.items()}
    against = {name: _all_against(part, run.seed) for name, part in products.items()}
    baselines = {name: _baselines(part, run.seed) for name, part in products.items()}
    seconds = sum(o.seconds for o in outcomes)
    return Results(
        task=run.task,
        created=datetime.now(UTC),
        data=run.data,
        setting=run.setting,
        depth=run.depth,
        model=one_model(outcome.model for outcome in outcomes),
        seed=run.seed,
        n=len(outcomes) + len(run.failures),
        failed=len(run.failures),
        uncertain=sum(o.verdict == "uncertain" for o in outcomes),
        metrics=mean_over(agent),
        baselines={system: mean_over({name: part[system] for name, part in baselines.items()}) for system in BASELINES},
        against={system: mean_over({name: part[system] for name, part in against.items()}) for system in BASELINES},
        per_category=_per_type(run, *maps.values()) if len(products) == 1 else _per_product(run, agent),
        cost=Cost(
            seconds=round(seconds, 3),
            images_per_second=round(len(outcomes) / seconds, 3) if seconds > 0 else None,
            tokens=run.tokens,
            fit_seconds=None if run.fit_seconds is None else round(run.fit_seconds, 3),
        ),
        notes=[
            *run.notes,
            *_notes(outcomes, sum(found.unknown for found in maps.values())),
            *(answer_notes(outcomes) if run.depth == "full" else []),
        ],
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


def one_model(used: Iterable[ModelInfo]) -> ModelInfo | None:
    """The model of all photos, None without one.

    Raises:
        EvalError: a run was stopped and taken up with another model.
    """
    models = {(model.name, model.revision): model for model in used}
    if len(models) > 1:
        names = ", ".join(f"{name} {revision}" for name, revision in sorted(models))
        raise EvalError(
            f"out: a stopped run there was taken up with another model ({names}); "
            "delete its folder of logs and run again, or give another folder"
        )
    return next(iter(models.values()), None)


def _products(run: Run) -> dict[str, list[Outcome]]:
    """The outcomes of every product that was asked about, even where all of its photos failed."""
    found: dict[str, list[Outcome]] = {name: [] for name in sorted({x.category for x in _everything(run)})} or {"": []}
    for outcome in run.outcomes:
        found[outcome.category].append(outcome)
    return found


@dataclass
class _Maps:
    """What the maps of one product come down to."""

    pixels: Pixels = field(default_factory=Pixels)
    by_type: dict[str, Levels] = field(default_factory=dict)
    unknown: int = 0
    """Anomalous photos without a mask, which are in neither."""


def _read_maps(outcomes: Sequence[Outcome], out: Path) -> _Maps:
    found = _Maps()
    for outcome in outcomes:
        anomaly_map, mask = load_pair(out / outcome.map)
        if mask is None:
            found.unknown += 1
            continue
        levels, kind = Levels.of(anomaly_map, mask), outcome.defect_type
        found.pixels.add(levels)
        found.by_type[kind] = found.by_type[kind] + levels if kind in found.by_type else levels
    return found


def _agent(outcomes: Sequence[Outcome], pixels: Pixels, run: Run) -> dict[str, Metric]:
    return {
        **_image_metrics(outcomes, [o.score for o in outcomes], [o.verdict for o in outcomes], run.seed),
        "pixel_auroc": pixels.pixel_auroc(seed=run.seed),
        "pro": pixels.pro(seed=run.seed),
        "localisation_hit": _hits([o.hit for o in outcomes], run.seed),
        **answer_metrics(outcomes, run.depth, seed=run.seed),
    }


def _hits(hits: Sequence[bool | None], seed: int) -> Metric:
    return metrics.localisation_hit([hit for hit in hits if hit is not None], seed=seed)


def _baselines(outcomes: Sequence[Outcome], seed: int) -> dict[Baseline, dict[str, Metric]]:
    found = {
        name: {**_baseline(outcomes, scores, seed), **_NO_MAP} for name, scores in baseline_scores(outcomes).items()
    }
    shown = {name: Metric(None, reason="the one map is shown under the agent") for name in PLACE_METRICS[:2]}
    found["detector"] |= {**shown, "localisation_hit": _hits([o.detector_hit for o in outcomes], seed)}
    return found


def _all_against(outcomes: Sequence[Outcome], seed: int) -> dict[Baseline, dict[str, Metric]]:
    return {name: _against(outcomes, scores, seed) for name, scores in baseline_scores(outcomes).items()}


def _image_metrics(
    outcomes: Sequence[Outcome], scores: Sequence[float], verdicts: Sequence[Verdict], seed: int
) -> dict[str, Metric]:
    labels = [o.label for o in outcomes]
    return {
        name: getattr(metrics, name)(labels, scores if name in RANKING else verdicts, seed=seed)
        for name in IMAGE_METRICS
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


def _per_type(run: Run, maps: _Maps) -> dict[str, Category]:
    normal = [o for o in run.outcomes if o.defect_type == GOOD]
    found = {}
    for kind in sorted({x.defect_type for x in _everything(run)} - {GOOD}):
        of_kind = [o for o in run.outcomes if o.defect_type == kind]
        failed = sum(f.defect_type == kind for f in run.failures)
        both = [*normal, *of_kind]
        image = _image_metrics(both, [o.score for o in both], [o.verdict for o in both], run.seed)
        # Without the intervals of pixel metrics, which would take longer here than all the rest.
        counts = [maps.by_type[name] for name in (GOOD, kind) if name in maps.by_type]
        pixels = Pixels()
        for levels in counts:
            pixels.add(levels)
        figures = {name: image[name] for name in PER_TYPE} | {
            "pixel_auroc": pixels.pixel_auroc(resamples=0),
            "pro": pixels.pro(resamples=0),
            "localisation_hit": _hits([o.hit for o in both], run.seed),
        }
        found[kind] = Category(n=len(of_kind) + failed, failed=failed, metrics=figures)
    return found


def _per_product(run: Run, figures: dict[str, dict[str, Metric]]) -> dict[str, Category]:
    found = {}
    for name, part in figures.items():
        failed = sum(f.category == name for f in run.failures)
        n = sum(o.category == name for o in run.outcomes) + failed
        found[name] = Category(n=n, failed=failed, metrics=part)
    return found


def _everything(run: Run) -> Iterable[Outcome | Failure]:
    return [*run.outcomes, *run.failures]


def _notes(outcomes: Sequence[Outcome], unmarked: int) -> list[str]:
    found = []
    if aligned := sum(o.aligned for o in outcomes):
        found.append(f"{aligned} of {len(outcomes)} photos were shown with an aligned reference of their own")
    if 0 < unmarked < sum(o.label for o in outcomes):
        found.append(f"{unmarked} anomalous photos have no mask; pixel_auroc, pro and localisation_hit leave them out")
    for name, scores in baseline_scores(outcomes).items():
        missing = scores.count(None)
        if 0 < missing < len(scores):
            found.append(f"{name}: gave no score for {missing} of {len(scores)} photos, which its column leaves out")
    return found
