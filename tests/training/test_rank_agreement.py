"""Agreement of raters, against published examples and against the definitions written out."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from training.rank.agreement import Level, agreement, krippendorff_alpha
from training.rank.folder import Ranking

N = float("nan")
# Krippendorff 2011, section B: two observers, ten articles, two values.
TWO_OBSERVERS = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]], float)
# Krippendorff 2011, section C: four observers, twelve units, five values, some missing.
FOUR_OBSERVERS = np.array([
    [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
    [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
])  # fmt: skip


@pytest.mark.parametrize(
    ("ratings", "level", "published"),
    [
        (TWO_OBSERVERS, "nominal", 0.095),
        (FOUR_OBSERVERS, "nominal", 0.743),
        (FOUR_OBSERVERS, "ordinal", 0.815),
        (FOUR_OBSERVERS, "interval", 0.849),
    ],
)
def test_alpha_of_the_published_examples(ratings: NDArray[np.float64], level: Level, published: float) -> None:
    assert krippendorff_alpha(ratings, level) == pytest.approx(published, abs=5e-4)


def alpha_by_definition(ratings: NDArray[np.float64]) -> float:
    """Interval alpha pair by pair, without a table of coincidences."""
    units = [column[~np.isnan(column)] for column in ratings.T]
    units = [unit for unit in units if len(unit) > 1]
    everything = np.concatenate(units)
    observed = sum(sum((a - b) ** 2 for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in units)
    expected = sum((a - b) ** 2 for a, b in permutations(everything, 2)) / (len(everything) - 1)
    return float(1 - observed / expected)


def test_alpha_is_what_its_definition_says_on_random_ratings() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        ratings = rng.integers(1, 6, (4, 9)).astype(float)
        ratings[rng.random(ratings.shape) < 0.3] = N
        assert krippendorff_alpha(ratings, "interval") == pytest.approx(alpha_by_definition(ratings))


def test_alpha_by_hand() -> None:
    # Two raters put four answers in order; the second swaps the last two: ranks 1234 and 1243. Each value occurs twice,
    # so ordinal steps are 2 and squares 4. Observed: 2 units x 2 coincidences x 4 = 16. Expected: 2 x 2 x
    # (6 ordered pairs 1 step apart x 4 + 4 pairs 2 apart x 16 + 2 pairs 3 apart x 36) = 640. Alpha = 1 - 7 x 16 / 640.
    assert krippendorff_alpha(np.array([[1.0, 2, 3, 4], [1, 2, 4, 3]])) == pytest.approx(1 - 7 * 16 / 640)


def test_alpha_is_not_defined_without_variation_or_without_two_ratings_of_a_unit() -> None:
    assert np.isnan(krippendorff_alpha(np.ones((2, 5))))
    assert np.isnan(krippendorff_alpha(np.array([[1.0, N], [N, 2.0]])))


def said(rater: str, question: str, order: str, verdict: bool = True) -> tuple[tuple[str, str], Ranking]:
    given = datetime(2026, 1, 1, tzinfo=UTC)
    ranking = Ranking(rater=rater, given=given, question=question, verdict=verdict, order=order, seen="")
    return (rater, question), ranking


def test_tau_of_each_two_raters_over_the_questions_both_ranked() -> None:
    found = agreement(
        dict([
            said("a", "1", "ABCD"), said("b", "1", "BACD"),
            said("a", "2", "DCBA"), said("b", "2", "DCBA", verdict=False),
            said("c", "1", "DCBA"), said("a", "3", "ABCD"),
        ])
    )  # fmt: skip
    assert found is not None
    taus = {pair.raters: (pair.tau.value, pair.tau.questions, pair.verdicts) for pair in found.pairs}
    # One swap of six pairs: (5 - 1) / 6; nothing swapped: 1; turned round: -1.
    assert taus["a", "b"] == (pytest.approx((4 / 6 + 1) / 2), 2, 0.5)
    assert taus["a", "c"] == (pytest.approx(-1), 1, 1)
    assert taus["b", "c"] == (pytest.approx(-4 / 6), 1, 1)
    assert found.alpha.questions == 2
    a_c = next(pair for pair in found.pairs if pair.raters == ("a", "c"))
    assert a_c.tau.interval is None


def test_intervals_hold_the_figure_and_are_the_same_every_time() -> None:
    rng = np.random.default_rng(1)
    orders = ["".join(rng.permutation(list("ABCD"))) for _ in range(12)]
    rankings = dict(
        [
            line
            for i, order in enumerate(orders)
            for line in (said("a", str(i), order), said("b", str(i), order if i % 3 else order[::-1]))
        ]
    )
    found = agreement(rankings)
    assert found is not None
    assert found == agreement(rankings)
    for estimate in (found.alpha, found.pairs[0].tau):
        assert estimate.interval is not None
        low, high = estimate.interval
        assert low < estimate.value < high
    assert found.pairs[0].tau.value == pytest.approx((8 - 4) / 12)


def test_raters_who_say_the_same_agree_wholly_and_one_alone_with_nobody() -> None:
    both = dict([said(rater, str(i), "CABD") for rater in "ab" for i in range(4)])
    found = agreement(both)
    assert found is not None
    assert found.alpha.value == 1
    assert found.alpha.interval == (1, 1)
    assert agreement(dict([said("a", "1", "ABCD"), said("b", "2", "ABCD")])) is None
    assert agreement({}) is None
