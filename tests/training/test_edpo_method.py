"""The arithmetic of E-DPO: entropies, pairs and the loss, against plain readings of the formulas."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from itertools import pairwise

import pytest

from training.edpo import edpo_loss, select_pairs, self_information
from training.edpo.method import Pair, pairs_of


def test_self_information_is_minus_the_logarithm_of_the_softmax() -> None:
    scores, tau = [5.0, 4.0, 2.5, 1.0], 0.7
    weights = [math.exp(s / tau) for s in scores]
    expected = [-math.log(w / sum(weights)) for w in weights]
    assert self_information(scores, tau) == pytest.approx(expected, abs=1e-12)
    # Its expectation is the entropy that the paper writes.
    p = [w / sum(weights) for w in weights]
    entropy = -sum(x * math.log(x) for x in p)
    assert sum(x * h for x, h in zip(p, self_information(scores, tau), strict=True)) == pytest.approx(entropy)


def test_differences_of_self_information_are_those_of_the_scores() -> None:
    rng = random.Random(0)
    for _ in range(200):
        scores = [rng.uniform(-50, 50) for _ in range(rng.randint(2, 8))]
        tau = rng.uniform(0.05, 5)
        h = self_information(scores, tau)
        for i, si in enumerate(scores):
            for j, sj in enumerate(scores):
                assert abs(h[i] - h[j]) == pytest.approx(abs(si - sj) / tau, rel=1e-9, abs=1e-9)


def test_scores_far_apart_do_not_overflow() -> None:
    assert self_information([1e4, 0.0]) == [0.0, 1e4]


def brute_force(scores: list[float]) -> list[tuple[int, int]]:
    """Every pair of neighbours in rank, and the ends, without a shortcut."""
    ranked = sorted(enumerate(scores), key=lambda item: (-item[1], item[0]))
    gaps = [(abs(a[1] - b[1]), place, (a[0], b[0])) for place, (a, b) in enumerate(pairwise(ranked))]
    smallest = min(gap for gap, _, _ in gaps)
    closest = next(pair for gap, _, pair in gaps if gap == smallest)
    ends = (ranked[0][0], ranked[-1][0])
    return [closest] if closest == ends else [closest, ends]


def test_the_pairs_are_those_of_a_brute_force_choice() -> None:
    rng = random.Random(1)
    for number in range(10_000):
        count = rng.randint(2, 7)
        scores = [float(rng.randint(1, 5)) if number % 2 else rng.uniform(1, 5) for _ in range(count)]
        assert select_pairs(scores, rng.choice([0.5, 1.0, 2.0])) == brute_force(scores), scores


@pytest.mark.parametrize(
    ("scores", "pairs"),
    [
        ([5, 4, 2, 1], [(0, 1), (0, 3)]),
        ([5, 3, 2.5, 1], [(1, 2), (0, 3)]),
        ([5, 1], [(0, 1)]),
        ([4, 4, 2, 1], [(0, 1), (0, 3)]),  # a tie is the smallest gap; its order is the rank
        ([3, 3, 3], [(0, 1), (0, 2)]),
        ([1, 5, 3.5], [(1, 2), (1, 0)]),  # places in the list as it came
    ],
)
def test_the_pairs_of_a_few_lists(scores: list[float], pairs: list[tuple[int, int]]) -> None:
    assert select_pairs(scores) == pairs


def test_the_order_of_a_ranking_stands_where_scores_contradict_it() -> None:
    """The second is ranked above the third, though an evaluator thinks otherwise."""
    assert pairs_of([4.0, 2.0, 2.5, 1.0]) == [
        Pair(1, 2, 0.5, closest=True),
        Pair(0, 3, 3.0, extremes=True),
    ]


def test_other_choices_of_pairs() -> None:
    scores = [5.0, 4.0, 3.5, 1.0]
    assert pairs_of(scores, "extremes") == [Pair(0, 3, 4.0, extremes=True)]
    assert pairs_of(scores, "closest", tau=0.5) == [Pair(1, 2, 1.0, closest=True)]
    every = pairs_of(scores, "all")
    assert [(p.chosen, p.rejected) for p in every] == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert [(p.closest, p.extremes) for p in every if p.closest or p.extremes] == [(False, True), (True, False)]
    assert [p.delta_h for p in pairs_of(scores, "extremes", gap="log")] == [math.log(5)]


def test_plogp_does_not_grow_steadily_with_the_score() -> None:
    scores = [5.0, 4.0, 1.0]
    weights = [math.exp(s) for s in scores]
    h = [-(w / sum(weights)) * math.log(w / sum(weights)) for w in weights]
    first_last = pairs_of(scores, "extremes", gap="plogp")[0]
    assert first_last.delta_h == pytest.approx(abs(h[0] - h[2]))
    assert h[1] > h[0] > h[2]


@pytest.mark.parametrize("eta", [0.0, 0.3, 2.0])
def test_the_loss_is_the_formula_in_double_precision(eta: float) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    values = [torch.randn(64, dtype=torch.float64) * 20 for _ in range(4)]
    delta = torch.rand(64, dtype=torch.float64) * 4
    losses = edpo_loss(*values, delta, beta=0.1, eta=eta)
    assert losses.shape == (64,)
    for i in range(64):
        pc, pr, rc, rr = (float(v[i]) for v in values)
        inside = 0.1 * ((pc - rc) - (pr - rr)) - eta * float(delta[i])
        assert float(losses[i]) == pytest.approx(math.log1p(math.exp(-inside)), abs=1e-12)
    single = edpo_loss(*(v.float() for v in values), delta.float(), beta=0.1, eta=eta)
    assert torch.allclose(single.double(), losses, atol=1e-5)


@pytest.mark.parametrize("scores", [[], [1.0], [1.0, math.nan], [1.0, math.inf]])
def test_scores_that_rank_nothing_are_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match=r"^scores .*: expected"):
        select_pairs(scores)


@pytest.mark.parametrize("tau", [0.0, -1.0, math.nan, math.inf])
def test_a_temperature_that_is_none_is_refused(tau: float) -> None:
    with pytest.raises(ValueError, match=r"^tau .*: expected a number above 0"):
        self_information([1.0, 2.0], tau)


def test_the_functions_cost_no_import_of_torch_or_trl() -> None:
    code = "import sys, training.edpo; sys.exit(any(m in sys.modules for m in ('torch', 'trl', 'transformers')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
