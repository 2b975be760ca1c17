"""Can this judge be trusted? Its order of answers of known worth, its steadiness against rewording, and the faults it catches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from evals.figures.clustered import Value, mean
from evals.figures.metrics import Metric
from evals.judges.planted import Forms, planted, reworded
from evals.mle import Judge, Truth

if TYPE_CHECKING:
    from rich.console import Console

    from training.adpl import PreferenceRecord, RankedQuestion

_SAME = 1e-9


class JudgeCheck(BaseModel):
    """What a judge makes of answers whose worth is known; intervals over records."""

    model_config = ConfigDict(extra="forbid")

    judge: str
    records: int
    tau: Metric
    """Kendall's tau-b with the order that the four answers are given in, mean over questions; see `order_tau`."""
    unmoved: Metric
    """Share of answers that score the same when reworded, reordered and lengthened."""
    caught: dict[str, Metric]
    """By planted fault: share of answers that score lower than the right one."""
    false_faults: Metric
    """Share of right answers, reworded, that are not given the best score on every scale."""
    unscored: int
    """Answers the judge gave no score; they are in no other figure."""


@dataclass
class _Tally:
    tau: list[Value] = field(default_factory=list)
    unmoved: list[Value] = field(default_factory=list)
    false_faults: list[Value] = field(default_factory=list)
    caught: dict[str, list[Value]] = field(default_factory=dict)
    unscored: int = 0


def check_judge(
    judge: Judge,
    records: Sequence[PreferenceRecord],
    truth_of: Callable[[PreferenceRecord, RankedQuestion], Truth],
    *,
    forms: Forms | None = None,
    seed: int = 0,
) -> JudgeCheck:
    """Put AD-PL records of the data engine before a judge.

    Args:
        judge: who is tested.
        records: as the data engine words them; others are only ordered, since their sentences cannot be taken apart.
        truth_of: what is known of a record's question.
        forms: how sentences are reworded; none: as the data engine words them.
        seed: draws wording and faults.
    """
    rng, tally = np.random.default_rng(seed), _Tally()
    for number, record in enumerate(records):
        for place, question in enumerate(record.question_answer):
            truth = truth_of(record, question)
            _question(judge, truth, [o.answer_en for o in question.answer_options], (number, place), forms, rng, tally)
    return JudgeCheck(
        judge=judge.name,
        records=len(records),
        tau=mean(tally.tau, seed=seed),
        unmoved=mean(tally.unmoved, seed=seed),
        caught={how: mean(values, seed=seed) for how, values in sorted(tally.caught.items())},
        false_faults=mean(tally.false_faults, seed=seed),
        unscored=tally.unscored,
    )


def order_tau(scores: Sequence[float | None]) -> float | None:
    """Kendall's tau-b of scores with falling order, -1 to 1; None where fewer than two answers are scored.

    A judge that gives all answers one score tells nothing apart: that is 0.
    """
    from scipy.stats import kendalltau

    given = [(-place, score) for place, score in enumerate(scores) if score is not None]
    if len(given) < 2:
        return None
    if len({score for _, score in given}) == 1:
        return 0.0
    return float(kendalltau(*zip(*given, strict=True)).statistic)


def _question(
    judge: Judge, truth: Truth, answers: Sequence[str], at: tuple[int, int], forms: Forms | None, rng: np.random.Generator, tally: _Tally
) -> None:  # fmt: skip
    def score(text: str) -> float | None:
        found = judge.judge(text, truth).mean
        tally.unscored += found is None
        return found

    def value(of: str, what: float) -> Value:
        return Value(f"{at[0]}/{at[1]}/{of}", float(what), str(at[0]))

    scores = [score(answer) for answer in answers]
    best = scores[0]
    if (tau := order_tau(scores)) is not None:
        tally.tau.append(value("order", tau))
    for i, (answer, first) in enumerate(zip(answers, scores, strict=True)):
        other = reworded(answer, rng) if forms is None else reworded(answer, rng, forms)
        if other is None:
            return
        second = score(other)
        if first is None or second is None:
            continue
        tally.unmoved.append(value(str(i), abs(first - second) < _SAME))
        if i == 0:
            tally.false_faults.append(value("right", second < 5 - _SAME))
    for wrong in planted(answers[0], truth, rng):
        marked = score(wrong.answer)
        if marked is not None and best is not None:
            name = f"{wrong.fault}: {wrong.how}"
            tally.caught.setdefault(name, []).append(value(name, marked < best - _SAME))


def print_check(found: JudgeCheck, console: Console | None = None) -> None:
    """Print the figures as a table; to stdout by default."""
    from rich.console import Console
    from rich.table import Table

    from evals.pages.summary import figure

    table = Table(
        title=f"{found.judge}, {found.records} records, {found.unscored} answers unscored", title_justify="left"
    )
    table.add_column("what")
    table.add_column("share [95 % interval]", justify="right", no_wrap=True)
    rows: Mapping[str, Metric] = {
        "order of the four answers (tau)": found.tau,
        "unmoved by rewording, order and length": found.unmoved,
        "right answers with a false fault": found.false_faults,
        **{f"caught, {name}": metric for name, metric in found.caught.items()},
    }
    for name, metric in rows.items():
        table.add_row(name, figure(metric))
    (console or Console()).print(table, markup=False)
