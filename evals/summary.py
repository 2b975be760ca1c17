"""Results for people: one table, agent and baselines side by side, and one plain sentence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from evals.metrics import IMAGE_METRICS, LOWER_IS_BETTER, PLACE_METRICS, Metric

if TYPE_CHECKING:
    from rich.console import Console

    from evals.results import Results

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
}


def figure(metric: Metric) -> str:
    """`0.912 [0.87, 0.95]`, `0.912` without an interval, `-` without a value."""
    if metric.value is None:
        return "-"
    interval = "" if metric.ci95 is None else f" [{metric.ci95[0]:.2f}, {metric.ci95[1]:.2f}]"
    return f"{metric.value:.3f}{interval}"


def sentence(results: Results) -> str:
    """Where the agent does not beat the plain detector, in plain words."""
    if results.n == results.failed:
        return "No photo could be inspected, so nothing can be said."
    behind, level, unsure, ahead = _standing(results)
    if not (behind or level or unsure or ahead):
        return "The plain detector gave no score, so the agent cannot be held against it."
    parts = []
    if behind:
        parts.append(f"is behind on {_listed(_both(results, name) for name in behind)}")
    if level:
        parts.append(f"is level on {_listed(level)}")
    if unsure:
        parts.append(f"is ahead within chance on {_listed(_both(results, name) for name in unsure)}")
    if not parts:
        return f"The agent beats the plain detector on {_listed(ahead)}, each by more than chance."
    if not ahead:
        return f"The agent beats the plain detector nowhere by more than chance: it {_listed(parts)}."
    return f"The agent does not beat the plain detector everywhere: it {_listed(parts)}. It beats it by more than chance on {_listed(ahead)}."


def _standing(results: Results) -> tuple[list[str], list[str], list[str], list[str]]:
    """Metrics by how the agent stands: behind, level, ahead within chance, ahead by more than that."""
    behind, level, unsure, ahead = [], [], [], []
    for name, difference in results.against["detector"].items():
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
    return behind, level, unsure, ahead


def table_notes(results: Results) -> list[str]:
    """What the table leaves unsaid: failures, notes, and why figures are missing."""
    lines = []
    if results.failed:
        first = results.failures[0]
        lines.append(f"{results.failed} of {results.n} photos failed and are in no figure; {first.id}: {first.error}")
    if results.uncertain:
        lines.append(f"{results.uncertain} verdicts are uncertain: not right, but neither overkill nor miss")
    lines += results.notes
    reasons: dict[str, list[str]] = {}
    for system, figures in columns(results).items():
        for name, metric in figures.items():
            if metric.reason is not None and metric.value is None:
                reasons.setdefault(f"{system}: {metric.reason}", []).append(name)
    return lines + [f"{reason} ({', '.join(names)})" for reason, names in reasons.items()]


def columns(results: Results) -> dict[str, dict[str, Metric]]:
    """The agent and its baselines, in the order of the table."""
    return {"agent": results.metrics} | {str(name): figures for name, figures in results.baselines.items()}


def print_results(results: Results, console: Console | None = None) -> None:
    """Print the table, the sentence and the notes; to stdout by default."""
    from rich.console import Console
    from rich.table import Table

    to = console or Console()
    model = "no model" if results.model is None else f"{results.model.name} {results.model.revision}"
    title = f"{results.data}, {results.setting}, {results.depth}, {results.n} photos, {model}"
    table = Table(
        title=title,
        title_justify="left",
        caption="[95 % bootstrap interval over photos]",
        caption_justify="left",
    )
    systems = columns(results)
    table.add_column("metric")
    for system in systems:
        table.add_column(system if system == "agent" else f"{system} alone", justify="right", no_wrap=True)
    for name in (*IMAGE_METRICS, *PLACE_METRICS):
        table.add_row(
            name,
            *(figure(figures[name]) for figures in systems.values()),
            end_section=name == IMAGE_METRICS[-1],
        )
    to.print(table, markup=False)
    speed = "" if results.cost.images_per_second is None else f", {results.cost.images_per_second:.2f} photos/s"
    to.print(f"{results.cost.seconds:.1f} s of inspection{speed}", markup=False, highlight=False)
    for line in table_notes(results):
        to.print(f"note: {line}", markup=False, highlight=False, soft_wrap=True)
    to.print(sentence(results), markup=False, highlight=False, soft_wrap=True)


def _both(results: Results, name: str) -> str:
    agent, detector = results.metrics[name], results.baselines["detector"][name]
    if agent.value is None or detector.value is None:
        return name
    return f"{name} ({agent.value:.3f} against {detector.value:.3f})"


def _listed(items: Iterable[str]) -> str:
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last
