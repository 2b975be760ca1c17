"""Metrics of what the agent wrote at depth `full`: kinds named, sentences that cite, and MLE.

Each is a ratio of two sums over photos, so that photos are what the bootstrap draws: sentences of one photo hang together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from evals.figures.kinds import kind_of
from evals.figures.metrics import Metric
from evals.figures.resample import RESAMPLES, interval, share, weights
from evals.mle import SCALES

if TYPE_CHECKING:
    from agent.report import Depth
    from evals.figures.resample import Drawn, Floats
    from evals.outcome import Outcome

    Parts = tuple[float, float]
    """Of one photo: what it adds to the sum above the line and to the sum below."""

MLE_METRICS = ("mle_type", "mle_location", "mle_logic", "mle")
"""1 to 5; every other metric is a share."""
ANSWER_METRICS = ("type_accuracy", "citation_precision", *MLE_METRICS, "unscored")
_NOT_WRITTEN = "nothing is written at depth screen"


def answer_metrics(
    outcomes: Sequence[Outcome], depth: Depth, *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Metric]:
    """Every metric of `ANSWER_METRICS`.

    - type_accuracy: of the anomalous photos that were called so and whose true kind is known, the share whose named kind it is.
    - citation_precision: of the sentences that cite anything, the share that what they cite supports.
    - mle_type, mle_location, mle_logic, mle: means over the answers that the reference judge scored, 1 to 5.
    - unscored: share of the judged answers that got no score.

    Args:
        outcomes: one a photo.
        depth: at which they were inspected; at `screen` no metric has a value.
        resamples: of the intervals.
        seed: of the intervals.
    """
    if depth == "screen":
        return dict.fromkeys(ANSWER_METRICS, Metric(None, reason=_NOT_WRITTEN))
    drawn = weights(len(outcomes), resamples, seed) if outcomes else None
    found = {}
    for name in ANSWER_METRICS:
        above, below = sums(name, outcomes)
        if drawn is None or not below.any():
            found[name] = Metric(None, reason=_lacking(name, outcomes))
        else:
            found[name] = Metric(float(above.sum() / below.sum()), *interval(ratio(above, below, drawn)))
    return found


def sums(name: str, outcomes: Sequence[Outcome]) -> tuple[Floats, Floats]:
    """What every photo adds above and below the line of a metric of `ANSWER_METRICS`, (n,) each."""
    import numpy as np

    parts = np.array([_PARTS[name](outcome) for outcome in outcomes], np.float64).reshape(-1, 2)
    return parts[:, 0], parts[:, 1]


def ratio(above: Floats, below: Floats, drawn: Drawn | Floats) -> Floats:
    """The metric for every row of weights, (R,); NaN where nothing is below the line."""
    import numpy as np

    return share(np.divide(above, below, out=np.zeros_like(above), where=below > 0), below, drawn)


def answer_notes(outcomes: Sequence[Outcome]) -> list[str]:
    """What these metrics leave out: photos of unknown kind, answers without a score and why."""
    notes = []
    unknown = Counter(o.defect_type for o in outcomes if o.label == 1 and kind_of(o.defect_type) is None)
    if unknown:
        notes.append(
            f"{unknown.total()} anomalous photos have names that say no kind of the ontology ({', '.join(sorted(unknown))}); "
            "type_accuracy leaves them out"
        )
    unscored = Counter(o.mle.unscored for o in outcomes if o.mle is not None and o.mle.unscored is not None)
    notes += [f"{count} answers are unscored: {reason}" for reason, count in unscored.most_common()]
    return notes


def _type(outcome: Outcome) -> Parts:
    kind = kind_of(outcome.defect_type) if outcome.label == 1 and outcome.verdict == "anomalous" else None
    return float(kind is not None and outcome.named == kind), float(kind is not None)


def _citations(outcome: Outcome) -> Parts:
    citing = [step for step in outcome.reasoning if step.cites]
    return float(sum(step.supported for step in citing)), float(len(citing))


def _scale(scale: str) -> Callable[[Outcome], Parts]:
    def parts(outcome: Outcome) -> Parts:
        score = None if outcome.mle is None else getattr(outcome.mle, scale)
        return (0.0, 0.0) if score is None else (float(score), 1.0)

    return parts


def _unscored(outcome: Outcome) -> Parts:
    return float(outcome.mle is not None and outcome.mle.unscored is not None), float(outcome.mle is not None)


_PARTS: dict[str, Callable[[Outcome], Parts]] = {
    "type_accuracy": _type,
    "citation_precision": _citations,
    **{f"mle_{scale}": _scale(scale) for scale in SCALES},
    "mle": _scale("mean"),
    "unscored": _unscored,
}


def _lacking(name: str, outcomes: Sequence[Outcome]) -> str:
    if not outcomes:
        return "no image was scored"
    if name == "type_accuracy":
        return "no anomalous photo of known kind was called anomalous"
    if name == "citation_precision":
        return "no sentence cites anything"
    judged = any(o.mle is not None for o in outcomes)
    return "no answer could be scored" if judged else "no answer was judged"
