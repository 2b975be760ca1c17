"""Two runs held against each other, photo by photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from evals.errors import EvalError
from evals.figures.answers import ANSWER_METRICS, ratio, sums
from evals.figures.maps import load_pair
from evals.figures.metrics import IMAGE_METRICS, PLACE_METRICS, RANKING, Metric, resampled
from evals.figures.pixels import Levels, Pixels
from evals.figures.resample import RESAMPLES, interval, share, weights
from evals.outcome import Outcome
from evals.results import Results
from evals.samples import read_samples

if TYPE_CHECKING:
    from typing import Literal

    from evals.figures.resample import Drawn, Floats


@dataclass(frozen=True)
class Change:
    """A photo whose verdict was right in one run and wrong in the other."""

    first: Outcome
    second: Outcome

    @property
    def better(self) -> bool:
        """Whether the second run is the right one."""
        return self.second.right


@dataclass(frozen=True)
class Comparison:
    """What the second run does differently from the first, on the photos that both inspected."""

    first: Results
    second: Results
    n: int
    """Photos that both runs inspected."""
    only_first: int
    only_second: int
    differences: dict[str, Metric]
    """Second minus first, with the interval of the paired difference; by name of the metric."""
    better: tuple[Change, ...]
    """Wrong in the first run, right in the second, by id."""
    worse: tuple[Change, ...]
    p: float | None
    """Of McNemar's exact test: how likely so lopsided a change of accuracy is where the runs are equally good; None where
    no photo changed."""


def compare(first: Path, second: Path, *, resamples: int = RESAMPLES, seed: int = 0) -> Comparison:
    """Compare two runs on the photos both inspected; of a benchmark, metrics are means over its products, as in its results.

    Args:
        first: folder that a run left, with results.json, samples.jsonl and maps.
        second: the same of the run to be held against it.
        resamples: of the intervals, drawn over photos.
        seed: of the intervals.

    Raises:
        EvalError: a folder that holds no run, runs without a photo in common, or ones that differ in what is true of it.
    """
    results = Results.read(first), Results.read(second)
    by_id = [{outcome.id: outcome for outcome in read_samples(run)} for run in (first, second)]
    common = sorted(by_id[0].keys() & by_id[1].keys())
    if not common:
        raise EvalError(
            f"runs {str(first)!r} and {str(second)!r}: have no photo in common; expected two runs on the same data"
        )
    one, other = [by_id[0][id] for id in common], [by_id[1][id] for id in common]
    for a, b in zip(one, other, strict=True):
        if (a.label, a.defect_type) != (b.label, b.defect_type):
            raise EvalError(
                f"runs {str(first)!r} and {str(second)!r}: {a.id!r} is {a.defect_type!r} in one and {b.defect_type!r} in the "
                "other; expected two runs on the same data"
            )
    full = results[0].depth == results[1].depth == "full"
    places = [i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a.right != b.right]
    changes = [Change(one[i], other[i]) for i in places]
    better = tuple(change for change in changes if change.better)
    worse = tuple(change for change in changes if not change.better)
    return Comparison(
        *results,
        n=len(common),
        only_first=len(by_id[0]) - len(common),
        only_second=len(by_id[1]) - len(common),
        differences=_differences(
            _Side(one, first), _Side(other, second), ANSWER_METRICS if full else (), resamples, seed
        ),
        better=better,
        worse=worse,
        p=_mcnemar(len(better), len(worse)),
    )


def verdict_line(found: Comparison) -> str:
    """How many photos changed side, and what McNemar's test says of it, on one line."""
    if found.p is None:
        return f"Of {found.n} photos inspected by both, none changed side."
    return (
        f"Of {found.n} photos inspected by both, {len(found.better)} turned from wrong to right and {len(found.worse)} "
        f"from right to wrong (McNemar's exact test: p = {found.p:.3f})."
    )


def _mcnemar(better: int, worse: int) -> float | None:
    from scipy.stats import binomtest

    return None if better + worse == 0 else float(binomtest(better, better + worse).pvalue)


class _Side:
    """The photos of one run, and the metrics of any resample of any of them."""

    def __init__(self, outcomes: Sequence[Outcome], run: Path) -> None:
        self.outcomes, self.run = outcomes, run

    def of(self, category: str) -> _Side:
        return _Side([o for o in self.outcomes if o.category == category], self.run)

    def measured(self, name: str, drawn: Drawn | Floats) -> Floats:
        """The metric for every row of weights over these photos, (R,), NaN where undefined."""
        import numpy as np

        if name in ANSWER_METRICS:
            return ratio(*sums(name, self.outcomes), drawn)
        if name in IMAGE_METRICS:
            labels = [o.label for o in self.outcomes]
            scores, verdicts = [o.score for o in self.outcomes], [o.verdict for o in self.outcomes]
            return resampled(name, labels, scores if name in RANKING else verdicts, drawn)
        if name == "localisation_hit":
            hits = np.array([bool(o.hit) for o in self.outcomes], np.float64)
            return share(hits, np.array([o.hit is not None for o in self.outcomes], np.float64), drawn)
        pixels, marked = self._pixels()
        return pixels.resampled(cast("Literal['pixel_auroc', 'pro']", name), drawn[:, marked])

    def _pixels(self) -> tuple[Pixels, list[int]]:
        """Counted anew for each metric: what is kept of 10,000 photos would take 100 MB a run."""
        pixels, marked = Pixels(), []
        for i, outcome in enumerate(self.outcomes):
            anomaly_map, mask = load_pair(self.run / outcome.map)
            if mask is not None:
                pixels.add(Levels.of(anomaly_map, mask))
                marked.append(i)
        return pixels, marked


def _differences(first: _Side, second: _Side, written: Sequence[str], resamples: int, seed: int) -> dict[str, Metric]:
    categories = sorted({outcome.category for outcome in first.outcomes})
    pairs = [(first.of(category), second.of(category)) for category in categories]
    return {name: _difference(name, pairs, resamples, seed) for name in (*IMAGE_METRICS, *PLACE_METRICS, *written)}


def _difference(name: str, pairs: Sequence[tuple[_Side, _Side]], resamples: int, seed: int) -> Metric:
    """Mean over products of the difference, undefined where it is for one; both runs are resampled together, photos within
    their product."""
    import numpy as np

    differences = []
    for number, (one, other) in enumerate(pairs):
        photos = len(one.outcomes)
        # The first row is the photos as they are. A seed for each product, or all would draw alike.
        drawn = np.concatenate([np.ones((1, photos), np.uint16), weights(photos, resamples, seed + number)])
        differences.append(other.measured(name, drawn) - one.measured(name, drawn))
        if not np.isfinite(differences[-1][0]):
            return Metric(None, reason=f"one of the runs has no value on the photos of {one.outcomes[0].category}")
    mean = np.mean(differences, axis=0)
    return Metric(float(mean[0]), *interval(mean[1:]))
