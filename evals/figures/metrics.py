"""Metrics of anomaly detection, each with a 95 % bootstrap interval over images.

A metric that the images do not define is None with the reason, never a stand-in number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from evals.errors import EvalError
from evals.figures.resample import RESAMPLES, area, average_precision, best_f1, interval, ranked, share, weights

if TYPE_CHECKING:
    from agent.report import Verdict
    from evals.figures.resample import Drawn, Floats, Measure


@dataclass(frozen=True)
class Metric:
    """One figure and how far to trust it."""

    value: float | None
    """0 to 1, for MLE 1 to 5; None where the images do not define it."""
    ci95: tuple[float, float] | None = None
    """Bootstrap over images, 2.5th to 97.5th percentile; None where there is none."""
    reason: str | None = None
    """Why the value or the interval is None."""


IMAGE_METRICS = ("image_auroc", "image_ap", "image_f1max", "accuracy", "overkill", "miss")
PLACE_METRICS = ("pixel_auroc", "pro", "localisation_hit")
LOWER_IS_BETTER = frozenset({"overkill", "miss", "unscored"})
RANKING = frozenset({"image_auroc", "image_ap", "image_f1max"})
"""Computed from scores; the other image metrics from verdicts."""


def image_auroc(labels: Sequence[int], scores: Sequence[float], *, resamples: int = RESAMPLES, seed: int = 0) -> Metric:
    """Area under the ROC curve of image scores: how often an anomalous image outscores a normal one, ties
    half.

    Args:
        labels: 0 normal, 1 anomalous.
        scores: Rising with the anomaly; any range.
        resamples: Of the interval; 0 leaves it out.
        seed: Of the interval.
    """
    from sklearn.metrics import roc_auc_score

    lacking = _lacking(labels, scores, both=True)
    if lacking:
        return Metric(None, reason=lacking)
    return _with_interval(float(roc_auc_score(labels, scores)), "image_auroc", labels, scores, resamples, seed)


def image_ap(labels: Sequence[int], scores: Sequence[float], *, resamples: int = RESAMPLES, seed: int = 0) -> Metric:
    """Average precision of image scores, without interpolation; arguments as in `image_auroc`."""
    from sklearn.metrics import average_precision_score

    lacking = _lacking(labels, scores, both=True)
    if lacking:
        return Metric(None, reason=lacking)
    value = float(average_precision_score(labels, scores))
    return _with_interval(value, "image_ap", labels, scores, resamples, seed)


def image_f1max(labels: Sequence[int], scores: Sequence[float], *, resamples: int = RESAMPLES, seed: int = 0) -> Metric:
    """F1 at the best threshold for these very images, so an upper bound; arguments as in `image_auroc`."""
    from sklearn.metrics import precision_recall_curve

    lacking = _lacking(labels, scores, both=True)
    if lacking:
        return Metric(None, reason=lacking)
    precision, recall, _ = precision_recall_curve(labels, scores)
    value = max(2 * p * r / (p + r) if p + r > 0 else 0.0 for p, r in zip(precision, recall, strict=True))
    return _with_interval(float(value), "image_f1max", labels, scores, resamples, seed)


def accuracy(
    labels: Sequence[int], verdicts: Sequence[Verdict], *, resamples: int = RESAMPLES, seed: int = 0
) -> Metric:
    """Share of images with the right verdict; *uncertain* is not right."""
    return _verdict_share("accuracy", labels, verdicts, resamples, seed)


def overkill(
    labels: Sequence[int], verdicts: Sequence[Verdict], *, resamples: int = RESAMPLES, seed: int = 0
) -> Metric:
    """Share of the normal images called anomalous; *uncertain* is not counted as such, but the image
    counts."""
    return _verdict_share("overkill", labels, verdicts, resamples, seed)


def miss(labels: Sequence[int], verdicts: Sequence[Verdict], *, resamples: int = RESAMPLES, seed: int = 0) -> Metric:
    """Share of the anomalous images called normal; *uncertain* is not counted as such, but the image
    counts."""
    return _verdict_share("miss", labels, verdicts, resamples, seed)


def localisation_hit(hits: Sequence[bool], *, resamples: int = RESAMPLES, seed: int = 0) -> Metric:
    """Share of the anomalous images with a mask whose one most suspicious pixel lies on it
    (`maps.pointed_at`)."""
    import numpy as np

    if not hits:
        return Metric(None, reason="no anomalous image with a mask")
    chosen = np.asarray(hits, np.float64)
    values = share(chosen, np.ones_like(chosen), weights(len(chosen), resamples, seed))
    return Metric(float(chosen.mean()), *interval(values))


def difference(
    name: str,
    labels: Sequence[int],
    first: Sequence[float] | Sequence[Verdict],
    second: Sequence[float] | Sequence[Verdict],
    *,
    seed: int = 0,
) -> Metric:
    """An image metric of `first` minus that of `second`, with the interval of the difference.

    Both are resampled together, image by image, which tells far smaller differences from chance than two
    separate intervals do.

    Args:
        name: One of IMAGE_METRICS.
        labels: 0 normal, 1 anomalous.
        first: Scores for image_auroc, image_ap and image_f1max, verdicts for the others.
        second: The same images by the other system.
        seed: Of the interval.
    """
    import numpy as np

    lacking = _lacking(labels, first, both=name in RANKING)
    if lacking:
        return Metric(None, reason=lacking)
    every_once = np.ones((1, len(labels)))
    a, b = (resampled(name, labels, values, every_once) for values in (first, second))
    drawn = weights(len(labels), RESAMPLES, seed)
    values = resampled(name, labels, first, drawn) - resampled(name, labels, second, drawn)
    if math.isnan(a[0] - b[0]):
        return Metric(None, reason="no image of the label it looks at")
    return Metric(float(a[0] - b[0]), *interval(values))


def resampled(
    name: str, labels: Sequence[int], values: Sequence[float] | Sequence[Verdict], drawn: Drawn | Floats
) -> Floats:
    """An image metric for every row of weights, (R,), NaN where undefined. Arguments as in `difference`."""
    import numpy as np

    truth = np.asarray(labels, np.float64)
    if name in RANKING:
        return ranked(np.asarray(values, np.float64), truth, drawn, _CURVES[name])
    chosen, counted = _chosen(name, labels, [str(v) for v in values])
    return share(chosen, counted, drawn)


_CURVES: dict[str, Measure] = {"image_auroc": area, "image_ap": average_precision, "image_f1max": best_f1}


def _with_interval(
    value: float, name: str, labels: Sequence[int], scores: Sequence[float], resamples: int, seed: int
) -> Metric:
    return Metric(value, *interval(resampled(name, labels, scores, weights(len(labels), resamples, seed))))


def _verdict_share(
    name: Literal["accuracy", "overkill", "miss"],
    labels: Sequence[int],
    verdicts: Sequence[Verdict],
    resamples: int,
    seed: int,
) -> Metric:
    lacking = _lacking(labels, verdicts, both=False)
    if lacking:
        return Metric(None, reason=lacking)
    chosen, counted = _chosen(name, labels, verdicts)
    if not counted.any():
        return Metric(None, reason=f"no {'normal' if name == 'overkill' else 'anomalous'} image was scored")
    values = share(chosen, counted, weights(len(labels), resamples, seed))
    return Metric(float((chosen * counted).sum() / counted.sum()), *interval(values))


def _chosen(name: str, labels: Sequence[int], verdicts: Sequence[str]) -> tuple[Floats, Floats]:
    """Which images the metric counts as hit, and which it looks at, (n,) of 0 and 1 each."""
    import numpy as np

    truth, said = np.asarray(labels), np.asarray(verdicts)
    hit, of = {
        "accuracy": (said == np.where(truth == 1, "anomalous", "normal"), truth >= 0),
        "overkill": (said == "anomalous", truth == 0),
        "miss": (said == "normal", truth == 1),
    }[name]
    return hit.astype(np.float64), of.astype(np.float64)


def _lacking(labels: Sequence[int], values: Sequence[object], *, both: bool) -> str | None:
    """Why nothing can be said of these images, or None."""
    if len(labels) != len(values):
        raise EvalError(f"labels and values: {len(labels)} and {len(values)} given; expected one value an image")
    normal, anomalous = sum(x == 0 for x in labels), sum(x == 1 for x in labels)
    if not labels:
        return "no image was scored"
    if both and not (normal and anomalous):
        return f"needs normal and anomalous images; scored were {normal} and {anomalous}"
    return None
