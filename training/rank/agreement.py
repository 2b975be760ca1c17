"""How far raters agree on orders: Kendall's tau between two, Krippendorff's alpha among all.

Source of alpha: Krippendorff, *Computing Krippendorff's Alpha-Reliability*, 2011, sections C to E.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from training.rank.folder import LETTERS, Ranking

Level = Literal["nominal", "ordinal", "interval"]
RESAMPLES = 2000
"""Of the bootstrap."""


@dataclass(frozen=True)
class Estimate:
    """A figure over questions."""

    value: float
    interval: tuple[float, float] | None
    """95 % bootstrap interval over questions; None where there is only one question."""
    questions: int
    """Questions it rests on."""


@dataclass(frozen=True)
class PairAgreement:
    """Two raters on the questions both have ranked."""

    raters: tuple[str, str]
    tau: Estimate
    """Kendall's tau-b of their orders, mean over questions: 1 the same, 0 no relation, -1 reversed."""
    verdicts: float
    """Share of questions with the same verdict, 0 to 1."""


@dataclass(frozen=True)
class Agreement:
    """All raters on all questions that at least two of them have ranked."""

    pairs: list[PairAgreement]
    alpha: Estimate
    """Krippendorff's alpha, ordinal, of the rank each answer got: 1 perfect, 0 as by chance."""


def agreement(rankings: Mapping[tuple[str, str], Ranking], seed: int = 0) -> Agreement | None:
    """Compare raters; None where no question was ranked by two.

    Args:
        rankings: by rater and question.
        seed: draws the bootstrap.
    """
    raters = sorted({rater for rater, _ in rankings})
    by_question: dict[str, dict[str, Ranking]] = {}
    for (rater, question), ranking in rankings.items():
        by_question.setdefault(question, {})[rater] = ranking
    shared = [said for _, said in sorted(by_question.items()) if len(said) > 1]
    if not shared:
        return None
    pairs = []
    for one, other in combinations(raters, 2):
        both = [(said[one], said[other]) for said in shared if one in said and other in said]
        if both:
            taus = np.array([stats.kendalltau(_ranks(a), _ranks(b)).statistic for a, b in both])
            tau = _estimate(taus, lambda values: float(values.mean()), seed)
            pairs.append(PairAgreement((one, other), tau, float(np.mean([a.verdict == b.verdict for a, b in both]))))
    # Coincidences add up over units, so that a resample of questions is a sum.
    values = np.arange(1.0, len(LETTERS) + 1)
    tables = np.stack([coincidences(np.stack([_ranks(r) for r in said.values()]), values) for said in shared])
    return Agreement(pairs, _estimate(tables, lambda some: alpha_of(some.sum(0), values), seed))


def _ranks(ranking: Ranking) -> NDArray[np.float64]:
    """(4,): rank of A, B, C, D, 1 the best."""
    return np.array([ranking.order.index(letter) + 1.0 for letter in LETTERS])


def _estimate(
    per_question: NDArray[np.float64], statistic: Callable[[NDArray[np.float64]], Any], seed: int
) -> Estimate:
    """A statistic of (Q, …) values, one a question, with its percentile bootstrap interval."""
    count = len(per_question)
    value = statistic(per_question)
    if count < 2:
        return Estimate(value, None, count)
    interval = stats.bootstrap(
        (np.arange(count),),
        lambda chosen: statistic(per_question[chosen]),
        n_resamples=RESAMPLES,
        vectorized=False,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(value, (float(interval.low), float(interval.high)), count)


def krippendorff_alpha(ratings: NDArray[np.float64], level: Level = "ordinal") -> float:
    """Krippendorff's alpha of (raters, units) ratings, nan where a rater gave none.

    nan where it is not defined: no unit has two ratings, or all ratings are the same.
    """
    values = np.unique(ratings[~np.isnan(ratings)])
    return alpha_of(coincidences(ratings, values), values, level)


def coincidences(ratings: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How often two raters gave two values to one unit: (V, V), symmetric.

    Args:
        ratings: (raters, units), nan where a rater gave none; units with one rating count for nothing.
        values: (V,), every value there is, ascending.
    """
    counts = (ratings[:, :, None] == values).sum(0)  # (units, V)
    several = counts[counts.sum(1) > 1].astype(np.float64)
    pairs = np.einsum("uv,uw->uvw", several, several) - several[:, :, None] * np.eye(len(values))
    return np.asarray((pairs / (several.sum(1) - 1)[:, None, None]).sum(0))


def alpha_of(table: NDArray[np.float64], values: NDArray[np.float64], level: Level = "ordinal") -> float:
    """Alpha from a (V, V) table of coincidences; nan where it is not defined."""
    totals = table.sum(0)
    differences = _squared_differences(totals, values, level)
    expected = float((np.outer(totals, totals) * differences).sum())
    if expected == 0:
        return float("nan")
    return 1 - (float(totals.sum()) - 1) * float((table * differences).sum()) / expected


def _squared_differences(totals: NDArray[np.float64], values: NDArray[np.float64], level: Level) -> NDArray[np.float64]:
    """(V, V): how far apart two values are, which is what the levels of measurement differ in."""
    if level == "nominal":
        return 1 - np.eye(len(values))
    # Ordinal: how many ratings lie between, half of those at the ends counted.
    scale = values if level == "interval" else np.cumsum(totals) - totals / 2
    return np.asarray((scale[:, None] - scale) ** 2)
