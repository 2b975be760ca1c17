"""Bootstrap over images: how far a metric would move if other photos of the same kind had been taken.

A resample is a row of weights: how often each image was drawn. Ranking metrics are computed for all resamples
at once from the scores sorted once, which is what makes a thousand of them cheap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Measure = Callable[[Floats, Floats], Floats]
    """`area`, `average_precision` or `best_f1`."""

RESAMPLES = 1000
LEVEL = 0.95
_LEAST_DEFINED = 0.9
_AT_ONCE = 50  # resamples; bounds the memory of pixel metrics, whose curves have up to 15,361 points


def weights(images: int, resamples: int, seed: int) -> Floats:
    """(resamples, images): how often each image was drawn, with replacement; every row sums to `images`."""
    import numpy as np

    rng = np.random.default_rng(seed)
    return rng.multinomial(images, np.full(images, 1 / images), size=resamples).astype(np.float64)


def interval(values: Floats) -> tuple[tuple[float, float] | None, str | None]:
    """The middle 95 % of a metric's values over resamples, (R,), NaN where it was undefined; or None and
    why."""
    import numpy as np

    defined = values[np.isfinite(values)]
    if len(values) == 0:
        return None, "interval not computed"
    if len(defined) < _LEAST_DEFINED * len(values):
        return (
            None,
            f"no interval: too few images, {1 - len(defined) / len(values):.0%} of the resamples undefined",
        )
    low, high = np.percentile(defined, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    if low == high:
        # Not a narrow interval but an unknown one: 12 of 12 right says little about the thirteenth.
        return None, "no interval: every resample gives this value"
    return (float(low), float(high)), None


def ranked(scores: Floats, positive: Floats, negative: Floats, drawn: Floats, measure: Measure) -> Floats:
    """A ranking metric for every resample.

    Args:
        scores: (g,) distinct or not; equal ones are taken as one threshold.
        positive: (n, g) weight of positives that image i has at score j.
        negative: (n, g) the same of negatives.
        drawn: (R, n) from `weights`.
        measure: maps the cumulative counts of `_AT_ONCE` resamples, highest score first, (r, g) each, to
            (r,).

    Returns:
        (R,).
    """
    import numpy as np

    distinct, place = np.unique(-scores, return_inverse=True)
    if len(distinct) < len(scores):
        merge = np.zeros((len(scores), len(distinct)))
        merge[np.arange(len(scores)), place] = 1
        positive, negative = positive @ merge, negative @ merge
    else:
        order = np.argsort(-scores)
        positive, negative = positive[:, order], negative[:, order]
    chunks = [
        measure(np.cumsum(rows @ positive, axis=1), np.cumsum(rows @ negative, axis=1)) for rows in _chunks(drawn)
    ]
    return np.concatenate(chunks) if chunks else np.zeros(0)


def _chunks(drawn: Floats) -> Iterator[Floats]:
    for start in range(0, len(drawn), _AT_ONCE):
        yield drawn[start : start + _AT_ONCE]


def area(hits: Floats, alarms: Floats, limit: float = 1.0) -> Floats:
    """Area under the curve of hit rate over false-alarm rate up to `limit`, divided by `limit`; NaN without
    both.

    Args:
        hits: (r, g) cumulative weight of positives, highest score first.
        alarms: (r, g) the same of negatives.
        limit: in (0, 1]; the curve is interpolated there.

    Returns:
        (r,) in 0..1.
    """
    import numpy as np

    with np.errstate(invalid="ignore", divide="ignore"):
        y = np.pad(hits / hits[:, -1:], ((0, 0), (1, 0)))
        x = np.pad(alarms / alarms[:, -1:], ((0, 0), (1, 0)))
        step = np.diff(x)
        kept = np.clip(np.minimum(x[:, 1:], limit) - x[:, :-1], 0, None)
        end = y[:, :-1] + np.diff(y) * np.where(step > 0, kept / step, 0)
        return np.asarray((kept * (y[:, :-1] + end) / 2).sum(1) / limit)


def average_precision(hits: Floats, alarms: Floats) -> Floats:
    """Sum over thresholds of precision times the recall gained, (r,); NaN without positives. Arguments as in
    `area`."""
    import numpy as np

    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(hits > 0, hits / (hits + alarms), 0)
        gained = np.diff(np.pad(hits, ((0, 0), (1, 0)))) / hits[:, -1:]
        return np.asarray((precision * gained).sum(1))


def best_f1(hits: Floats, alarms: Floats) -> Floats:
    """Highest F1 over thresholds, (r,); NaN without positives. Arguments as in `area`."""
    import numpy as np

    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * hits / (hits + alarms + hits[:, -1:])
    return np.where(hits[:, -1] > 0, np.nanmax(np.where(np.isfinite(f1), f1, 0), axis=1), np.nan)


def share(chosen: Floats, counted: Floats, drawn: Floats) -> Floats:
    """For every resample the share of `chosen` among `counted` images, both (n,) of 0 and 1; NaN where none
    counts."""
    import numpy as np

    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((drawn @ (chosen * counted)) / (drawn @ counted))
