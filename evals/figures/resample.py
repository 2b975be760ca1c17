"""Bootstrap over images: how far a metric would move if other photos of the same kind had been taken.

A resample is a row of weights: how often each image was drawn. Ranking metrics are computed for all resamples
at once from the scores sorted once, which is what makes a thousand of them cheap.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Drawn = NDArray[np.uint16]
    Measure = Callable[[Floats, Floats], Floats]
    """`area`, `average_precision` or `best_f1`."""

RESAMPLES = 1000
LEVEL = 0.95
CONSTANT = "no interval: every resample gives this value"
_LEAST_DEFINED = 0.9
_AT_ONCE = 50  # resamples; bounds the memory that their curves take


@lru_cache(maxsize=2)
def weights(images: int, resamples: int, seed: int) -> Drawn:
    """(resamples, images): how often each image was drawn, with replacement; every row sums to `images`.

    Not to be written to: the same array is handed out again.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    even = np.full(images, 1 / images)
    # In chunks into two bytes each: 1,000 rows of 10,000 images take 20 MB, not 80.
    drawn = np.empty((resamples, images), np.uint16)
    for start in range(0, resamples, _AT_ONCE):
        rows = drawn[start : start + _AT_ONCE]
        rows[:] = rng.multinomial(images, even, size=len(rows))
    drawn.flags.writeable = False
    return drawn


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
        return None, CONSTANT
    return (float(low), float(high)), None


def ranked(scores: Floats, labels: Floats, drawn: Drawn | Floats, measure: Measure) -> Floats:
    """A ranking metric for every resample.

    Args:
        scores: (n,) one an image; equal ones are taken as one threshold.
        labels: (n,) 0 or 1.
        drawn: (R, n) from `weights`.
        measure: maps the cumulative counts of some resamples, highest score first, (r, g) each, to (r,).

    Returns:
        (R,).
    """
    import numpy as np

    order = np.argsort(-scores, kind="stable")
    truth = labels[order]
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf))

    def cumulated(rows: Floats) -> Floats:
        return np.cumsum(np.add.reduceat(rows, starts, axis=1), axis=1)

    found = [
        measure(cumulated(rows[:, order] * truth), cumulated(rows[:, order] * (1 - truth))) for rows in chunks(drawn)
    ]
    return np.concatenate(found) if found else np.zeros(0)


def chunks(drawn: Drawn | Floats) -> Iterator[Floats]:
    """Some rows of weights at a time, as float64."""
    for start in range(0, len(drawn), _AT_ONCE):
        yield drawn[start : start + _AT_ONCE].astype(float)


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


def share(chosen: Floats, counted: Floats, drawn: Drawn | Floats) -> Floats:
    """For every resample the share of `chosen` among `counted` images, both (n,) of 0 and 1; NaN where none
    counts."""
    import numpy as np

    with np.errstate(invalid="ignore", divide="ignore"):
        found = [(rows @ (chosen * counted)) / (rows @ counted) for rows in chunks(drawn)]
    return np.concatenate(found) if found else np.zeros(0)
