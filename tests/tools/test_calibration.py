"""Thresholds that keep what they promise, what a number of photos supports, and drift."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from tools.calibration import conformal_threshold, drift_of, photos_needed, support_in_words, supported_rate

# --- the threshold ---


def slow_threshold(scores: list[float], rate: str) -> tuple[float, float]:
    """The lowest score that a new one exceeds with probability at most `rate`, when all n + 1 orders are as likely.

    A new score exceeds the k-th smallest of n in n + 1 - k of the n + 1 places it can take.
    """
    ordered, n = sorted(scores), len(scores)
    for k in range(1, n + 1):
        if Decimal(n + 1 - k) <= Decimal(rate) * (n + 1):
            return ordered[k - 1], float(rate)
    return ordered[-1], 1 / (n + 1)


@pytest.mark.parametrize("rate", ["0.01", "0.05", "0.07", "0.1", "0.2", "0.29", "0.3", "0.45", "0.5"])
def test_threshold_is_the_lowest_that_keeps_the_promise(rate: str) -> None:
    rng = np.random.default_rng(3)
    for n in [3, 4, 9, 10, 11, 19, 20, 33, 99, 100, 101, 199, 300]:
        scores = rng.standard_normal(n)
        assert conformal_threshold(scores.astype(np.float64), float(rate)) == slow_threshold(scores.tolist(), rate), n


def test_too_few_photos_promise_less_than_was_asked() -> None:
    scores = np.array([3, 1, 2], np.float32)
    assert conformal_threshold(scores, 0.01) == (3.0, 0.25)
    assert conformal_threshold(scores, 0.25) == (3.0, 0.25)
    assert conformal_threshold(scores, 0.5) == (2.0, 0.5)


def test_threshold_does_not_depend_on_the_order_and_leaves_the_scores_alone() -> None:
    scores = np.random.default_rng(0).standard_normal(30).astype(np.float32)
    before = scores.copy()
    assert conformal_threshold(scores, 0.1) == conformal_threshold(scores[::-1], 0.1)
    np.testing.assert_array_equal(scores, before)


# --- what photos support ---


def test_photos_needed_are_the_fewest_that_support_the_rate() -> None:
    for rate in (0.5, 0.3, 0.1, 0.07, 0.05, 0.02, 0.01, 0.005):
        n = photos_needed(rate)
        assert supported_rate(n) <= rate + 1e-12
        assert n == 1 or supported_rate(n - 1) > rate
        assert conformal_threshold(np.arange(n, dtype=np.float32), rate)[1] == pytest.approx(rate)
    assert [photos_needed(rate) for rate in (0.01, 0.05, 0.1)] == [99, 19, 9]


def test_support_in_words_says_how_many_more_are_needed() -> None:
    said = support_in_words(20, 0.01)
    assert "20 photos support no better than 4.76%" in said
    assert "79 more" in said
    assert "more" not in support_in_words(99, 0.01)


# --- drift ---


def test_drift_is_found_when_scores_rise_and_seldom_when_they_do_not() -> None:
    rng = np.random.default_rng(0)
    kept = rng.normal(size=60).astype(np.float32)
    threshold, rate = conformal_threshold(kept, 0.05)
    calm = [drift_of(kept, rng.permutation(kept)[:30], threshold, rate).drifted for _ in range(20)]
    assert not any(calm)
    fresh = [
        drift_of(r.normal(size=60), r.normal(size=30), 1.7, 0.05).drifted
        for r in (np.random.default_rng(i) for i in range(300))
    ]
    assert np.mean(fresh) <= 0.03
    found = drift_of(kept, (kept[:30] + 1).astype(np.float32), threshold, rate)
    assert found.drifted
    assert "no longer look like" in found.words
    assert found.photos == 30
    assert found.p < 0.005
    # A fall of the scores is no cause for alarm.
    assert not drift_of(kept, kept[:30] - 1, threshold, rate).drifted


def test_many_alarms_alone_are_a_drift() -> None:
    kept = np.arange(100, dtype=np.float32)
    new = np.concatenate([np.arange(0, 70, 5), np.full(6, 500)]).astype(np.float32)
    found = drift_of(kept, new, 94, 0.05)
    assert found.p > 0.005
    assert found.drifted
    assert found.above == pytest.approx(6 / 20)
