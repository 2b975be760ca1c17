"""Means over questions that come in clusters, such as the five about one photo: resampled cluster by cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evals.figures.metrics import Metric
from evals.figures.resample import RESAMPLES, interval, weights

if TYPE_CHECKING:
    from evals.figures.resample import Floats


@dataclass(frozen=True)
class Value:
    """What one question gave."""

    item: str
    """Of the question; by it two systems are paired."""
    value: float
    """1 and 0 for right and wrong, or a score."""
    cluster: str
    """What is drawn as a whole: the photo or the record."""
    group: tuple[str, ...] = ()
    """Every group weighs the same within the one above it, however many questions it holds; () where none are made."""


def mean(values: Sequence[Value], *, seed: int = 0, resamples: int = RESAMPLES) -> Metric:
    """Mean over the groups' means, with its 95 % bootstrap interval over clusters."""
    import numpy as np

    if not values:
        return Metric(None, reason="no answer that this could be computed from")
    places = {cluster: place for place, cluster in enumerate(dict.fromkeys(v.cluster for v in values))}
    every_once = np.ones((1, len(places)))
    found = _mean(values, places, np.concatenate([every_once, weights(len(places), resamples, seed)]), 0)
    return Metric(float(found[0]), *interval(found[1:]))


def difference(first: Sequence[Value], second: Sequence[Value], *, seed: int = 0) -> Metric:
    """Mean of `first` minus that of `second` over the questions that both have, resampled together."""
    other = {v.item: v.value for v in second}
    both = [Value(v.item, v.value - other[v.item], v.cluster, v.group) for v in first if v.item in other]
    return mean(both, seed=seed)


def _mean(values: Sequence[Value], places: dict[str, int], drawn: Floats, level: int) -> Floats:
    """For every row of weights, (R,); NaN where a group was not drawn at all."""
    import numpy as np

    below: dict[str, list[Value]] = {}
    for value in values:
        if len(value.group) > level:
            below.setdefault(value.group[level], []).append(value)
    if below:
        return np.asarray(np.mean([_mean(part, places, drawn, level + 1) for part in below.values()], axis=0))
    total, count = np.zeros(len(places)), np.zeros(len(places))
    for value in values:
        total[places[value.cluster]] += value.value
        count[places[value.cluster]] += 1
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((drawn @ total) / (drawn @ count))
