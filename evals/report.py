"""report.html: an evaluation as one self-contained page, nothing fetched, no script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evals.charts import COLOURS, histogram_svg, roc_svg
from evals.errors import EvalError
from evals.gallery import Case, case, choose
from evals.metrics import IMAGE_METRICS, LOWER_IS_BETTER, PLACE_METRICS, Metric
from evals.outcome import Outcome
from evals.summary import MEANING, columns, sentence, table_notes

if TYPE_CHECKING:
    from markupsafe import Markup

    from evals.results import Results, Run

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_MOST_FAILURES = 50


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
    page = out / "report.html"
    worst, best = choose(run.outcomes)
    text = report_html(results, run.outcomes, _cases(worst, data, out), _cases(best, data, out))
    try:
        page.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EvalError(f"out {str(page)!r}: cannot be written ({error.strerror}); give another folder") from error
    return page


def report_html(
    results: Results, outcomes: Sequence[Outcome], worst: Sequence[Case] = (), best: Sequence[Case] = ()
) -> str:
    """The whole page as text; every text in it, file names and errors included, is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(signed=_signed, interval=_interval)
    return environment.get_template("report.html.j2").render(
        results=results,
        policy=_POLICY,
        sentence=sentence(results),
        notes=table_notes(results),
        systems=columns(results),
        colours=COLOURS,
        groups=(("Photos", IMAGE_METRICS), ("Places", PLACE_METRICS)),
        meaning=MEANING,
        best_of=_best_of(results),
        kinds=sorted({name for category in results.per_category.values() for name in category.metrics}, key=_rank),
        roc=_markup(roc_svg(_scored(outcomes))),
        histogram=_markup(histogram_svg([o.label for o in outcomes], [o.score for o in outcomes])),
        worst=worst,
        best=best,
        failures=results.failures[:_MOST_FAILURES],
    )


def _cases(outcomes: Sequence[Outcome], data: Path, out: Path) -> list[Case]:
    return [drawn for o in outcomes if (drawn := case(o, data, out)) is not None]


def _scored(outcomes: Sequence[Outcome]) -> dict[str, tuple[list[int], list[float]]]:
    systems: dict[str, tuple[list[int], list[float]]] = {}
    for name, scores in (
        ("agent", [o.score for o in outcomes]),
        ("detector", [o.detector for o in outcomes]),
        ("vlm", [o.vlm for o in outcomes]),
    ):
        pairs = [(o.label, s) for o, s in zip(outcomes, scores, strict=True) if s is not None]
        systems[name] = ([int(label) for label, _ in pairs], [score for _, score in pairs])
    return systems


def _best_of(results: Results) -> dict[str, set[str]]:
    """By metric, the systems with the best value; empty where only one has a value or all agree."""
    found = {}
    for name in (*IMAGE_METRICS, *PLACE_METRICS):
        values = {s: m[name].value for s, m in columns(results).items()}
        known = {s: v for s, v in values.items() if v is not None}
        top = (min if name in LOWER_IS_BETTER else max)(known.values(), default=None)
        winners = {s for s, v in known.items() if v == top}
        found[name] = winners if len(winners) < len(known) else set()
    return found


def _rank(name: str) -> int:
    return (*IMAGE_METRICS, *PLACE_METRICS).index(name)


def _signed(value: float) -> str:
    return f"{value:+.3f}" if value else f"{value:.3f}"


def _interval(metric: Metric) -> str:
    return "" if metric.ci95 is None else f"{metric.ci95[0]:.2f} to {metric.ci95[1]:.2f}"


def _markup(svg: str | None) -> Markup | None:
    from markupsafe import Markup

    # Drawn by us from numbers and fixed words; no text of the user's is in it.
    return None if svg is None else Markup(svg)
