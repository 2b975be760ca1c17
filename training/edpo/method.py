"""Scores to entropies, entropies to pairs, pairs to a loss: the arithmetic of E-DPO.

Source: Zang et al., ACM Multimedia 2025, section 3.4. The paper's entropy is a sum over all answers, the same number for each;
here it is the self-information of each answer, whose expectation that sum is. The difference of two is then |s_i - s_j| / tau.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Choice = Literal["closest and extremes", "closest", "extremes", "all"]
"""Which pairs of a ranked list are learnt from; the first is E-DPO's."""
Gap = Literal["self_information", "plogp", "log"]
"""How far apart two answers are: by self-information; by -p log p, which does not grow steadily with p; or by the logarithm of
1 + their difference in score, as in DPO with an offset (arXiv 2402.10571)."""


@dataclass(frozen=True)
class Pair:
    """Two answers of a list by their places in it."""

    chosen: int
    rejected: int
    delta_h: float
    """How far apart they are, at least 0; nats, but for the gap `log`."""
    closest: bool = False
    """Neighbours in rank with the smallest gap."""
    extremes: bool = False
    """The best and the worst."""


def probabilities(scores: Sequence[float], tau: float = 1.0) -> list[float]:
    """Softmax of `scores / tau`.

    Raises:
        ValueError: no score, one that is not finite, or `tau` not above 0.
    """
    return [math.exp(-h) for h in self_information(scores, tau)]


def self_information(scores: Sequence[float], tau: float = 1.0) -> list[float]:
    """-log p of each answer in nats, where p is the softmax of `scores / tau`.

    Args:
        scores: N scores on any scale, higher is better.
        tau: temperature, above 0, in units of the scores.

    Raises:
        ValueError: no score, one that is not finite, or `tau` not above 0.

    Returns:
        N values, at least 0.
    """
    if not tau > 0 or not math.isfinite(tau):
        raise ValueError(f"tau {tau!r}: expected a number above 0")
    if not scores or not all(math.isfinite(score) for score in scores):
        raise ValueError(f"scores {list(scores)!r}: expected one finite number an answer")
    scaled = [score / tau for score in scores]
    top = max(scaled)
    total = top + math.log(math.fsum(math.exp(value - top) for value in scaled))
    return [max(0.0, total - value) for value in scaled]


def select_pairs(scores: Sequence[float], tau: float = 1.0) -> list[tuple[int, int]]:
    """The two pairs of E-DPO as `(winner, loser)` places in `scores`, closest first; one where they coincide.

    The scores are sorted, best first; those that are equal stay in the order they come in. Rules and errors as of `pairs_of`.
    """
    order = sorted(range(len(scores)), key=lambda i: -scores[i])  # stable
    pairs = pairs_of([scores[i] for i in order], tau=tau)
    return [(order[pair.chosen], order[pair.rejected]) for pair in pairs]


def pairs_of(
    scores: Sequence[float],
    choice: Choice = "closest and extremes",
    gap: Gap = "self_information",
    tau: float = 1.0,
) -> list[Pair]:
    """Pairs of a list of ranked answers, closest first.

    The order of the list is the ranking, and says who wins; the scores say how far apart two answers are, and no more. So ties are
    pairs too, with a gap of 0. Of several equally close neighbours the best-ranked are taken. Where the closest neighbours are the
    extremes, there is one pair.

    Args:
        scores: N scores of answers, best ranked first, at least 2, on any scale, higher is better.
        choice: which pairs.
        gap: how far apart two answers are.
        tau: temperature of the softmax over the scores.

    Raises:
        ValueError: fewer than two scores, one that is not finite, or `tau` not above 0.
    """
    if len(scores) < 2:
        raise ValueError(f"scores {list(scores)!r}: expected at least 2, one an answer")
    apart, ranks = _apart(scores, gap, tau), range(len(scores))
    first_last = (0, len(scores) - 1)
    closest = min(pairwise(ranks), key=lambda pair: apart(*pair))
    wanted = {
        "closest and extremes": [closest, first_last],
        "closest": [closest],
        "extremes": [first_last],
        "all": list(combinations(ranks, 2)),
    }[choice]
    return [Pair(w, r, apart(w, r), (w, r) == closest, (w, r) == first_last) for w, r in dict.fromkeys(wanted)]


def _apart(scores: Sequence[float], gap: Gap, tau: float) -> Callable[[int, int], float]:
    p = probabilities(scores, tau)
    if gap == "plogp":
        return lambda i, j: abs(_plogp(p[i]) - _plogp(p[j]))
    if gap == "log":
        return lambda i, j: math.log1p(abs(scores[i] - scores[j]))
    # The sum over all answers cancels; left out, equal gaps stay equal to the last bit.
    return lambda i, j: abs(scores[i] - scores[j]) / tau


def _plogp(p: float) -> float:
    return -p * math.log(p) if p > 0 else 0.0


def edpo_loss(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    delta_h: Tensor,
    *,
    beta: float,
    eta: float,
) -> Tensor:
    """The loss of each pair: -log sigmoid(beta (log-ratio of the chosen - log-ratio of the rejected) - eta delta_h).

    Args:
        policy_chosen: log-probabilities of whole answers under the policy, nats, (B,).
        policy_rejected: (B,).
        ref_chosen: the same under the frozen reference policy, (B,).
        ref_rejected: (B,).
        delta_h: how far apart the two answers are, at least 0, (B,).
        beta: strength of the tie to the reference policy.
        eta: weight of the margin; 0 is plain DPO.

    Returns:
        Losses, (B,).
    """
    from torch.nn.functional import logsigmoid

    advantage = (policy_chosen - ref_chosen) - (policy_rejected - ref_rejected)
    return -logsigmoid(beta * advantage - eta * delta_h)
