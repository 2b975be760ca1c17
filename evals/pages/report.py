"""report.html: an evaluation as one self-contained page, nothing fetched, no script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evals.figures.kinds import confusion
from evals.figures.metrics import LOWER_IS_BETTER
from evals.files import write_whole
from evals.outcome import Outcome
from evals.pages.charts import COLOURS, calibration_svg, histogram_svg, pr_svg, roc_svg
from evals.pages.gallery import Case, case, choose
from evals.pages.page import markup, page
from evals.pages.summary import MEANING, columns, groups, sentence, table_notes
from evals.results import baseline_scores

if TYPE_CHECKING:
    from markupsafe import Markup

    from evals.results import Results, Run

_MOST_FAILURES = 50
_OF_CATEGORY = ("image_ap", "accuracy", "miss", "pixel_auroc", "pro", "localisation_hit", "mle")


def write_report(results: Results, run: Run, data: Path, out: Path) -> Path:
    """Write `out`/report.html and return its path.

    Args:
        results: What to show.
        run: The outcomes behind it.
        data: The folder with the photos.
        out: The folder with the maps.

    Raises:
        EvalError: a map cannot be read or the page cannot be written.
    """
    worst, best = choose(run.outcomes)
    text = report_html(results, run.outcomes, _cases(worst, data, out), _cases(best, data, out))
    return write_whole(out / "report.html", text)


def report_html(
    results: Results, outcomes: Sequence[Outcome], worst: Sequence[Case] = (), best: Sequence[Case] = ()
) -> str:
    """The whole page as text; every text in it, file names and errors included, is escaped."""
    taken = confusion(outcomes) if results.depth == "full" else {}
    return page(
        "report.html.j2",
        results=results,
        sentence=sentence(results),
        notes=table_notes(results),
        systems=columns(results),
        colours=COLOURS,
        groups=groups(results),
        meaning=MEANING,
        best_of=_best_of(results),
        of_category=_of_category(results),
        charts=_charts(outcomes),
        confusion=taken,
        named=[*dict.fromkeys([*taken, *(name for row in taken.values() for name in row)])],
        latency=_latency(outcomes),
        worst=worst,
        best=best,
        failures=results.failures[:_MOST_FAILURES],
    )


def _cases(outcomes: Sequence[Outcome], data: Path, out: Path) -> list[Case]:
    return [drawn for o in outcomes if (drawn := case(o, data, out)) is not None]


def _charts(outcomes: Sequence[Outcome]) -> dict[str, Markup]:
    labels, scores = [o.label for o in outcomes], [o.score for o in outcomes]
    systems = _scored(outcomes)
    drawn = {
        "ROC curve": markup(roc_svg(systems)),
        "Precision and recall": markup(pr_svg(systems)),
        "Scores of the agent": markup(histogram_svg(labels, scores)),
        "Calibration of the agent": markup(calibration_svg(labels, scores)),
    }
    return {title: chart for title, chart in drawn.items() if chart is not None}


def _scored(outcomes: Sequence[Outcome]) -> dict[str, tuple[list[int], list[float]]]:
    systems: dict[str, tuple[list[int], list[float]]] = {}
    given: list[tuple[str, Sequence[float | None]]] = [
        ("agent", [o.score for o in outcomes]),
        *baseline_scores(outcomes).items(),
    ]
    for name, scores in given:
        pairs = [(o.label, s) for o, s in zip(outcomes, scores, strict=True) if s is not None]
        systems[name] = ([int(label) for label, _ in pairs], [score for _, score in pairs])
    return systems


def _latency(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Seconds that inspections took: median, 95th percentile and longest; empty without one."""
    import numpy as np

    if not outcomes:
        return {}
    median, most, longest = np.percentile([o.seconds for o in outcomes], [50, 95, 100])
    return {"median": float(median), "95th percentile": float(most), "longest": float(longest)}


def _best_of(results: Results) -> dict[str, set[str]]:
    """By metric, the systems with the best value; empty where only one has a value or all agree."""
    found = {}
    for name in (name for _, names in groups(results) for name in names):
        values = {s: metrics[name].value for s, metrics in columns(results).items() if name in metrics}
        known = {s: v for s, v in values.items() if v is not None}
        top = (min if name in LOWER_IS_BETTER else max)(known.values(), default=None)
        winners = {s for s, v in known.items() if v == top}
        found[name] = winners if len(winners) < len(known) else set()
    return found


def _of_category(results: Results) -> list[str]:
    """The metrics shown of a category, beside the bars."""
    known = {name for category in results.per_category.values() for name in category.metrics}
    return [name for name in _OF_CATEGORY if name in known]
