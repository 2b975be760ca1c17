"""AD-PL as a test of judges: whether a judge orders the four given answers of a question as they are given, best first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evals.figures.clustered import Value, mean
from evals.mle import Judge, Truth

if TYPE_CHECKING:
    from evals.figures.metrics import Metric
    from training.adpl import PreferenceRecord, RankedQuestion


@dataclass(frozen=True)
class JudgeOrder:
    """How well a judge orders given answers."""

    tau: Metric
    """Kendall's tau-b with the given order, mean over questions, -1 to 1; interval over records."""
    questions: int
    """Questions with at least two scored answers."""
    unscored: int
    """Answers without a score; they are left out of their question's order."""


def rank_by_judge(
    records: Iterable[PreferenceRecord],
    judge: Judge,
    truth_of: Callable[[PreferenceRecord, RankedQuestion], Truth],
    *,
    seed: int = 0,
) -> JudgeOrder:
    """Have the four given answers of every question scored, and hold the scores against the order they are given in.

    A question whose answers all get one score counts as tau 0: the judge tells nothing apart there.

    Args:
        records: AD-PL; answers are best first.
        judge: who scores.
        truth_of: what is known of a record's question.
        seed: of the interval.
    """
    from scipy.stats import kendalltau

    taus, unscored = [], 0
    for number, record in enumerate(records, 1):
        for place, question in enumerate(record.question_answer, 1):
            truth = truth_of(record, question)
            means = [judge.judge(option.answer_en, truth).mean for option in question.answer_options]
            scored = [(-rank, score) for rank, score in enumerate(means) if score is not None]
            unscored += len(means) - len(scored)
            if len(scored) < 2:
                continue
            order, scores = zip(*scored, strict=True)
            tau = float(kendalltau(order, scores).statistic) if len(set(scores)) > 1 else 0.0
            taus.append(Value(f"{number}/{place}", tau, str(number)))
    return JudgeOrder(mean(taus, seed=seed), len(taus), unscored)
