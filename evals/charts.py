"""Charts of an evaluation as inline SVG: they take the text colour of the page around them."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"agent": "#2f7ed8", "detector": "#d9822b", "vlm": "#8a63d2", "vlm_heatmap": "#c2549c", "blend": "#4b9c8f"}
NORMAL, ANOMALOUS = "#2e9d62", "#d9463b"
"""Middle tones: they stand out on a white and on a dark page."""
_INK = "#010203"  # stands for the page's own text colour, which matplotlib cannot name
_BINS = 20


def roc_svg(systems: Mapping[str, tuple[Sequence[int], Sequence[float]]]) -> str | None:
    """ROC curve of every system that scored both normal and anomalous photos; None where none did.

    Args:
        systems: by name, labels (0 or 1) and scores of the same photos.
    """
    from matplotlib.figure import Figure
    from sklearn.metrics import roc_curve

    figure = Figure(figsize=(5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    drawn = 0
    for name, (labels, scores) in systems.items():
        if len(set(labels)) < 2:
            continue
        alarms, hits, _ = roc_curve(labels, scores)
        width = 2.6 if name == "agent" else 1.7
        label = name if name == "agent" else f"{name} alone"
        axes.plot(
            alarms,
            hits,
            color=COLOURS[name],
            linewidth=width,
            label=label,
            zorder=3 if name == "agent" else 2,
        )
        drawn += 1
    if not drawn:
        return None
    axes.plot([0, 1], [0, 1], color=_INK, alpha=0.35, linewidth=1, linestyle=(0, (3, 3)))
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="normal photos above the threshold")
    axes.set_ylabel("anomalous photos above the threshold")
    axes.legend(loc="lower right", frameon=False, labelcolor=_INK)
    return _svg(figure, "roc", "ROC curves of the agent and the baselines")


def histogram_svg(labels: Sequence[int], scores: Sequence[float]) -> str | None:
    """How the agent's scores spread over normal and over anomalous photos; None without a score."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    if not labels:
        return None
    figure = Figure(figsize=(5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    edges = [i / _BINS for i in range(_BINS + 1)]
    of = [[s for s, truth in zip(scores, labels, strict=True) if truth == label] for label in (0, 1)]
    names = [f"normal, {len(of[0])}", f"anomalous, {len(of[1])}"]
    axes.hist(of, bins=edges, color=[NORMAL, ANOMALOUS], label=names, rwidth=0.9)
    axes.axvline(0.5, color=_INK, linewidth=1, linestyle=(0, (3, 3)))
    axes.set(xlim=(0, 1), xlabel="anomaly score of the agent; 0.5 is the threshold", ylabel="photos")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, labelcolor=_INK, borderaxespad=0)
    return _svg(figure, "scores", "Histogram of the agent's scores by truth")


def _svg(figure: Figure, name: str, title: str) -> str:
    """The figure as markup for the middle of a page: no prologue, no metadata, ids of its own."""
    import matplotlib

    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(_INK)
        axes.spines[["left", "bottom"]].set_alpha(0.4)
        axes.tick_params(colors=_INK, length=3)
        axes.xaxis.label.set_color(_INK)
        axes.yaxis.label.set_color(_INK)
        axes.patch.set_visible(False)
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    # Two charts on one page would share ids such as `axes_1`.
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text).replace(_INK, "currentColor")
    return text.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
