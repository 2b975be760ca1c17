"""How far raters agree on answers: judge against judge, judge against people.

Between two raters quadratic-weighted kappa (Cohen, 1968), Kendall's tau-b (1945) and Krippendorff's alpha, and alpha among
all of them; each with a 95 % bootstrap interval over records, since answers about one photo are alike. What the ratings
do not define is None with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from evals.errors import EvalError
from evals.figures.metrics import Metric
from evals.figures.resample import RESAMPLES, interval, weights
from evals.mle import SCALES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from evals.figures.resample import Floats
    from evals.judges.scores import Rating

Measured = Literal["type", "location", "logic", "mle"]
MEASURED: tuple[Measured, ...] = (*SCALES, "mle")
_LEVELS = 5
_REASONS = 5
"""Most reasons for missing scores that are kept of a rater."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RaterCount(_Part):
    """How much one rater has said."""

    name: str
    scored: int
    """Answers with a score on at least one scale."""
    ordered: int
    """Answers with a place in an order instead."""
    unscored: int
    """Answers with neither."""
    reasons: dict[str, int]
    """Why there is none, and how often; the most frequent ones."""


class ScaleAgreement(_Part):
    """Two raters on one scale."""

    answers: int
    """Scored by both."""
    questions: int
    """On which tau is defined: both tell at least two of the same answers apart."""
    kappa: Metric
    """Quadratic-weighted, of scores rounded to whole numbers, halves up: 1 the same, 0 as by chance, at least -1."""
    tau: Metric
    """Tau-b of the answers to a question, mean over questions: 1 the same order, 0 no relation, -1 reversed. On `mle` raters
    who gave an order take part."""
    alpha: Metric
    """Krippendorff's, ordinal, of scores rounded to whole numbers: 1 the same, 0 as by chance."""


class PairAgreement(_Part):
    """Two raters on the answers both have rated."""

    raters: tuple[str, str]
    scales: dict[Measured, ScaleAgreement]


class Agreement(_Part):
    """All raters, two by two and together."""

    raters: list[RaterCount]
    pairs: list[PairAgreement]
    alpha: dict[Measured, Metric]
    """Krippendorff's, ordinal, among all raters who score."""
    records: int
    resamples: int
    seed: int


def agreement(ratings: Sequence[Rating], *, resamples: int = RESAMPLES, seed: int = 0) -> Agreement:
    """Compare raters.

    Args:
        ratings: of at least two raters, one a rater and item.
        resamples: of the intervals; 0 leaves them out.
        seed: of the intervals.

    Raises:
        EvalError: fewer than two raters.
    """
    import numpy as np

    raters = list(dict.fromkeys(rating.rater for rating in ratings))
    if len(raters) < 2:
        raise EvalError(
            f"FILE: holds {len(raters)} rater{'' if raters else 's'} ({', '.join(map(repr, raters)) or 'none'}); "
            "expected at least 2; add the scores of a person or of another judge"
        )
    items = sorted({rating.item: rating for rating in ratings}.values(), key=lambda rating: rating.item)
    row = {name: i for i, name in enumerate(raters)}
    column = {rating.item: i for i, rating in enumerate(items)}
    scores = {name: np.full((len(raters), len(items)), np.nan) for name in MEASURED}
    preference = {name: np.full((len(raters), len(items)), np.nan) for name in MEASURED}
    for rating in ratings:
        at = row[rating.rater], column[rating.item]
        for name in MEASURED:
            score = rating.mean if name == "mle" else getattr(rating, name)
            if score is not None:
                scores[name][at] = preference[name][at] = score
        if rating.mean is None and rating.place is not None:
            preference["mle"][at] = -rating.place
    records = np.unique([rating.record for rating in items], return_inverse=True)[1]
    questions = np.unique([rating.question for rating in items], return_inverse=True)[1]
    pairs = []
    for a, b in combinations(range(len(raters)), 2):
        scales = {}
        for name in MEASURED:
            two = scores[name][[a, b]]
            tau, count = _tau(preference[name][[a, b]], questions, records, resamples, seed)
            scales[name] = ScaleAgreement(
                answers=int((~np.isnan(two)).all(0).sum()),
                questions=count,
                kappa=_kappa(two, records, resamples, seed),
                tau=tau,
                alpha=_alpha(two, records, resamples, seed),
            )
        pairs.append(PairAgreement(raters=(raters[a], raters[b]), scales=scales))
    return Agreement(
        raters=[_count(name, [rating for rating in ratings if rating.rater == name]) for name in raters],
        pairs=pairs,
        alpha={name: _alpha(scores[name], records, resamples, seed) for name in MEASURED},
        records=int(records.max()) + 1,
        resamples=resamples,
        seed=seed,
    )


def _count(name: str, ratings: Sequence[Rating]) -> RaterCount:
    scored = [any(getattr(rating, scale) is not None for scale in SCALES) for rating in ratings]
    left = [rating for rating, has in zip(ratings, scored, strict=True) if not has and rating.place is None]
    reasons = Counter(rating.unscored or "no reason given" for rating in left)
    return RaterCount(
        name=name,
        scored=sum(scored),
        ordered=sum(rating.place is not None and not has for rating, has in zip(ratings, scored, strict=True)),
        unscored=len(left),
        reasons=dict(reasons.most_common(_REASONS)),
    )


def weighted_kappa(tables: Floats) -> Floats:
    """Quadratic-weighted kappa of (…, V, V) tables of counts, one rater down, the other across: (…), at most 1; NaN where
    both give one and the same value throughout, or nothing.

    scikit-learn's takes one table at a time, made of labels; a test holds the two together.
    """
    import numpy as np

    steps = np.arange(tables.shape[-1])
    distance = (steps[:, None] - steps) ** 2
    by_chance = tables.sum(-1)[..., :, None] * tables.sum(-2)[..., None, :]
    total = tables.sum((-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 - total * (tables * distance).sum((-2, -1)) / (by_chance * distance).sum((-2, -1)))


def _kappa(two: Floats, records: NDArray[np.intp], resamples: int, seed: int) -> Metric:
    """Of (2, items) scores."""
    import numpy as np

    both = ~np.isnan(two).any(0)
    if not both.any():
        return Metric(None, reason=_NOTHING_SHARED)
    first, second = _whole(two[:, both]).astype(np.intp) - 1
    clusters = np.unique(records[both], return_inverse=True)[1]
    tables = np.zeros((clusters.max() + 1, _LEVELS, _LEVELS))
    np.add.at(tables, (clusters, first, second), 1)
    value = float(weighted_kappa(tables.sum(0)))
    if np.isnan(value):
        return Metric(None, reason="both give one and the same score throughout")
    drawn = weights(len(tables), resamples, seed)
    return Metric(value, *interval(weighted_kappa(np.tensordot(drawn.astype(np.float64), tables, 1))))


def _alpha(scores: Floats, records: NDArray[np.intp], resamples: int, seed: int) -> Metric:
    """Of (raters, items) scores."""
    import numpy as np

    from training.rank.agreement import alpha_of, coincidences

    several = (~np.isnan(scores)).sum(0) > 1
    if not several.any():
        return Metric(None, reason=_NOTHING_SHARED)
    whole, clusters = _whole(scores[:, several]), np.unique(records[several], return_inverse=True)[1]
    values = np.arange(1.0, _LEVELS + 1)
    # Coincidences add up over answers, so that a resample of records is a sum.
    tables = np.stack([coincidences(whole[:, clusters == i], values) for i in range(clusters.max() + 1)])
    value = alpha_of(tables.sum(0), values)
    if np.isnan(value):
        return Metric(None, reason="all give one and the same score throughout")
    drawn = np.tensordot(weights(len(tables), resamples, seed), tables, 1)
    return Metric(value, *interval(np.array([alpha_of(table, values) for table in drawn])))


def _tau(
    two: Floats, questions: NDArray[np.intp], records: NDArray[np.intp], resamples: int, seed: int
) -> tuple[Metric, int]:
    """Of (2, items) preferences, the better the higher; and on how many questions it is defined."""
    import numpy as np
    from scipy.stats import kendalltau

    both = np.flatnonzero(~np.isnan(two).any(0))
    # Items are sorted, so those of a question stand together.
    groups = np.split(both, np.flatnonzero(np.diff(questions[both])) + 1) if len(both) else []
    told = [group for group in groups if (np.ptp(two[:, group], axis=1) > 0).all()]
    if not told:
        return Metric(
            None, reason="no question with two answers that both tell apart" if groups else _NOTHING_SHARED
        ), 0
    # scipy's is off in the last digit, which would make one value look like several.
    taus = np.round([kendalltau(*two[:, group]).statistic for group in told], 12)
    clusters = np.unique([records[group[0]] for group in told], return_inverse=True)[1]
    sums, counts = np.bincount(clusters, taus), np.bincount(clusters).astype(np.float64)
    drawn = weights(len(sums), resamples, seed)
    return Metric(float(taus.mean()), *interval((drawn @ sums) / (drawn @ counts))), len(told)


_NOTHING_SHARED = "no answer scored by both"


def _whole(scores: Floats) -> Floats:
    """Rounded to whole numbers, halves up; NaN stays."""
    import numpy as np

    return np.floor(scores + 0.5)


def print_agreement(found: Agreement, console: Console | None = None) -> None:
    """A table for every two raters, alpha of all, who left how much unscored; to stdout by default."""
    from rich.console import Console
    from rich.table import Table

    from agent.render.text import plain
    from evals.pages.summary import figure

    to = console or Console()

    def line(text: str) -> None:
        to.print(plain(text), markup=False, highlight=False, soft_wrap=True)

    for pair in found.pairs:
        line(f"{pair.raters[0]} against {pair.raters[1]}")
        table = Table()
        for name in ("scale", "answers", "kappa", "tau-b", "questions", "alpha"):
            # In a narrow terminal intervals go to a second line.
            wraps = name in ("kappa", "tau-b", "alpha")
            table.add_column(name, justify="left" if name == "scale" else "right", no_wrap=not wraps)
        missing: dict[str, list[str]] = {}
        for scale, of in pair.scales.items():
            shown = figure(of.kappa), figure(of.tau), str(of.questions), figure(of.alpha)
            table.add_row(scale, str(of.answers), *shown)
            for name, metric in (("kappa", of.kappa), ("tau", of.tau), ("alpha", of.alpha)):
                if metric.value is None and metric.reason:
                    missing.setdefault(metric.reason, []).append(f"{name} of {scale}")
        to.print(table, markup=False)
        for reason, names in missing.items():
            line(f"note: {reason} ({', '.join(names)})")
    if len(found.raters) > 2:
        alphas = ", ".join(f"{scale} {figure(metric)}" for scale, metric in found.alpha.items())
        line(f"alpha of all {len(found.raters)} raters: {alphas}")
    for rater in found.raters:
        ordered = f", {rater.ordered} put in order" if rater.ordered else ""
        line(f"{rater.name}: {rater.scored} answers scored{ordered}, {rater.unscored} unscored")
        for reason, times in rater.reasons.items():
            line(f"- {times} times: {reason}")
    line(f"kappa: quadratic-weighted; tau-b: within a question; [95 % bootstrap interval over {found.records} records]")
