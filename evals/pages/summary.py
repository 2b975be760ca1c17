"""Results for people: one table, agent and baselines side by side, and a few plain sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from evals.figures.answers import ANSWER_METRICS
from evals.figures.metrics import IMAGE_METRICS, LOWER_IS_BETTER, PLACE_METRICS, Metric

if TYPE_CHECKING:
    from rich.console import Console

    from evals.results import Results

    Standing = tuple[tuple[str, ...], ...]
    """Metrics on which the agent is behind, level, ahead within chance, ahead by more than that."""

MEANING = {
    "image_auroc": "how often an anomalous photo outscores a normal one",
    "image_ap": "average precision of the photo scores",
    "image_f1max": "F1 at the best threshold for these very photos",
    "accuracy": "photos with the right verdict",
    "overkill": "normal photos called anomalous; lower is better",
    "miss": "anomalous photos called normal; lower is better",
    "pixel_auroc": "the same as image_auroc, over pixels",
    "pro": "overlap with each marked region, up to 30 % false pixels",
    "localisation_hit": "marked defects hit by the most suspicious pixel",
    "type_accuracy": "right kind named, of the defects found whose kind is known",
    "citation_precision": "citing sentences that what they cite supports",
    "mle_type": "verdict and kind, 1 to 5",
    "mle_location": "place, 1 to 5",
    "mle_logic": "reasons, 1 to 5",
    "mle": "mean of the three, 1 to 5",
    "unscored": "answers that could not be judged; lower is better",
}
ROOM = 92
"""Columns a terminal needs for the detector's intervals too."""


def groups(results: Results) -> list[tuple[str, tuple[str, ...]]]:
    """The rows of the table by heading; what the agent wrote only where it wrote."""
    found = [("Photos", IMAGE_METRICS), ("Places", PLACE_METRICS)]
    return [*found, ("Answers", ANSWER_METRICS)] if results.depth == "full" else found


def number(metric: Metric | None) -> str:
    """`0.912`, or `-` without a value."""
    return "-" if metric is None or metric.value is None else f"{metric.value:.3f}"


def figure(metric: Metric | None) -> str:
    """`0.912 [0.87, 0.95]`, `0.912` without an interval, `-` without a value."""
    if metric is None or metric.ci95 is None:
        return number(metric)
    return f"{number(metric)} [{metric.ci95[0]:.2f}, {metric.ci95[1]:.2f}]"


def sentence(results: Results) -> str:
    """Where the agent beats which baseline by more than chance, and above all where it does not, in plain words."""
    if results.n == results.failed:
        return "No photo could be inspected, so nothing can be said."
    alike: dict[Standing, list[str]] = {}
    for baseline, differences in results.against.items():
        alike.setdefault(_standing(differences), []).append(baseline)
    return " ".join(_said(standing, _listed(names), len(names)) for standing, names in alike.items())


def _said(standing: Standing, names: str, count: int) -> str:
    behind, level, unsure, ahead = standing
    if not any(standing):
        return f"The agent cannot be held against {names}, which gave no scores that can be compared."
    apart = (("is behind on", behind), ("is level on", level), ("is ahead within chance on", unsure))
    parts = [f"{how} {_listed(names)}" for how, names in apart if names]
    if not parts:
        return f"The agent beats {names} on {_listed(ahead)}, each by more than chance."
    it = "it" if count == 1 else "them"
    rest = f"; it beats {it} by more than chance on {_listed(ahead)}" if ahead else ""
    where = "everywhere" if ahead else "anywhere by more than chance"
    return f"The agent does not beat {names} {where}: it {_listed(parts)}{rest}."


def _standing(differences: Mapping[str, Metric]) -> Standing:
    behind, level, unsure, ahead = [], [], [], []
    for name, difference in differences.items():
        if difference.value is None:
            continue
        gain = -difference.value if name in LOWER_IS_BETTER else difference.value
        if gain == 0:
            level.append(name)
        elif gain < 0:
            behind.append(name)
        elif difference.ci95 is None or difference.ci95[0] <= 0 <= difference.ci95[1]:
            unsure.append(name)
        else:
            ahead.append(name)
    return tuple(behind), tuple(level), tuple(unsure), tuple(ahead)


def table_notes(results: Results) -> list[str]:
    """What the table leaves unsaid: failures, notes, and why figures are missing."""
    lines = []
    if results.failed:
        first = results.failures[0]
        lines.append(f"{results.failed} of {results.n} photos failed and are in no figure; {first.id}: {first.error}")
    if results.uncertain:
        lines.append(f"{results.uncertain} verdicts are uncertain: not right, but neither overkill nor miss")
    lines += results.notes
    shown = {name for _, names in groups(results) for name in names}
    reasons: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for system, figures in columns(results).items():
        missing: dict[str, list[str]] = {}
        for name, metric in figures.items():
            if name in shown and metric.value is None and metric.reason is not None:
                missing.setdefault(metric.reason, []).append(name)
        for reason, names in missing.items():
            reasons.setdefault((reason, tuple(names)), []).append(system)
    return lines + [
        f"{_listed(systems)}: {reason} ({', '.join(names)})" for (reason, names), systems in reasons.items()
    ]


def columns(results: Results) -> dict[str, dict[str, Metric]]:
    """The agent and its baselines, in the order of the table."""
    return {"agent": results.metrics} | {str(name): figures for name, figures in results.baselines.items()}


def heading(results: Results) -> str:
    """Data, setting, depth, number of photos and model, on one line."""
    model = "no model" if results.model is None else f"{results.model.name} {results.model.revision}"
    return f"{results.data}, {results.setting}, {results.depth}, {results.n} photos, {model}"


def cost_line(results: Results) -> str:
    """What the agent took, on one line."""
    cost = results.cost
    parts = [f"{cost.seconds:.1f} s of inspection"]
    if cost.images_per_second is not None:
        parts.append(f"{cost.images_per_second:.2f} photos/s")
    if cost.fit_seconds is not None:
        parts.append(f"{cost.fit_seconds:.1f} s to fit")
    if cost.tokens is not None:
        parts.append(f"{cost.tokens} tokens")
    return ", ".join(parts)


def print_results(results: Results, console: Console | None = None) -> None:
    """Print the table, the notes and the sentences; to stdout by default."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    to = console or Console()
    table = Table(
        title=Text(heading(results)),  # no mark-up: a folder may be called [b]
        title_justify="left",
        caption="[95 % bootstrap interval over photos]",
        caption_justify="left",
    )
    table.add_column("metric", no_wrap=True)
    systems = columns(results)
    with_intervals = ("agent", "detector") if to.width >= ROOM else ("agent",)
    for system in systems:
        # In two lines where the terminal is narrow: then all fits into 80 columns.
        table.add_column(system.replace("_", "_\n"), justify="right", no_wrap=True)
    for _, names in groups(results):
        for name in names:
            cells = (
                (figure if system in with_intervals else number)(figures.get(name))
                for system, figures in systems.items()
            )
            table.add_row(name, *cells, end_section=name == names[-1])
    to.print(table, markup=False)
    to.print(cost_line(results), markup=False, highlight=False)
    for line in table_notes(results):
        to.print(f"note: {line}", markup=False, highlight=False, soft_wrap=True)
    to.print(sentence(results), markup=False, highlight=False, soft_wrap=True)


def _listed(items: Iterable[str]) -> str:
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last
