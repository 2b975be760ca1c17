"""Figures of a whole benchmark: the mean over its products, as is usual in the field, each product weighing the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from evals.figures.metrics import Metric
from evals.figures.resample import CONSTANT


def mean_over(figures: Mapping[str, Mapping[str, Metric]]) -> dict[str, Metric]:
    """The mean of every metric over products.

    Args:
        figures: By product, then by metric; all products have the same ones. With one product they stay as they are.
    """
    parts = list(figures.values())
    if len(parts) == 1:
        return dict(parts[0])
    return {name: _mean(list(figures), [part[name] for part in parts]) for name in parts[0]}


def _mean(products: Sequence[str], metrics: Sequence[Metric]) -> Metric:
    """The interval is put together from those of the products, which are independent (MOVER: Zou and Donner, Statistics
    in Medicine 27, 2008). A product whose metric no resample moves adds nothing to its width."""
    lacking = [(name, m.reason) for name, m in zip(products, metrics, strict=True) if m.value is None]
    if lacking:
        name, reason = lacking[0]
        if len(lacking) == len(metrics) and len({reason for _, reason in lacking}) == 1:
            return Metric(None, reason=reason)
        return Metric(None, reason=f"undefined for {len(lacking)} of {len(metrics)} products; {name}: {reason}")
    values = [m.value for m in metrics if m.value is not None]
    value = sum(values) / len(values)
    if all(m.reason == CONSTANT for m in metrics):
        return Metric(value, reason=CONSTANT)
    below = above = 0.0
    for name, metric in zip(products, metrics, strict=True):
        if metric.ci95 is not None and metric.value is not None:
            below += (metric.value - metric.ci95[0]) ** 2
            above += (metric.ci95[1] - metric.value) ** 2
        elif metric.reason != CONSTANT:
            return Metric(value, reason=f"no interval; {name}: {metric.reason}")
    return Metric(value, (value - math.sqrt(below) / len(values), value + math.sqrt(above) / len(values)))
