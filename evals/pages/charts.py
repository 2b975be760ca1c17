"""Charts of an evaluation as inline SVG: they take the text colour of the page around them."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Scored = Mapping[str, tuple[Sequence[int], Sequence[float]]]

COLOURS = {"agent": "#2f7ed8", "detector": "#d9822b", "vlm": "#8a63d2", "vlm_heatmap": "#c2549c", "blend": "#4b9c8f"}
NORMAL, ANOMALOUS = "#2e9d62", "#d9463b"
"""Middle tones: they stand out on a white and on a dark page."""
_INK = "#010203"  # stands for the page's own text colour, which matplotlib cannot name
_BINS = 20
_TENTHS = 10
_DASHED = (0, (3, 3))


def roc_svg(systems: Scored) -> str | None:
    """ROC curve of every system that scored both normal and anomalous photos; None where none did.

    Args:
        systems: by name, labels (0 or 1) and scores of the same photos.
    """
    from sklearn.metrics import roc_curve

    figure, axes = _axes()
    for name, (labels, scores) in _with_both(systems).items():
        alarms, hits, _ = roc_curve(labels, scores)
        axes.plot(alarms, hits, **_line(name))
    axes.plot([0, 1], [0, 1], color=_INK, alpha=0.35, linewidth=1, linestyle=_DASHED)
    axes.set(xlabel="normal photos above the threshold", ylabel="anomalous photos above the threshold")
    return _curves(figure, "roc", "ROC curves of the agent and the baselines")


def pr_svg(systems: Scored) -> str | None:
    """Precision over recall; arguments and result as in `roc_svg`. Dashed: the share of anomalous photos."""
    from sklearn.metrics import precision_recall_curve

    figure, axes = _axes()
    for name, (labels, scores) in _with_both(systems).items():
        precision, recall, _ = precision_recall_curve(labels, scores)
        axes.plot(recall, precision, drawstyle="steps-post", **_line(name))
        if name == "agent":
            share = sum(labels) / len(labels)
            axes.axhline(share, color=_INK, alpha=0.35, linewidth=1, linestyle=_DASHED)
    axes.set(xlabel="recall: anomalous photos above the threshold", ylabel="precision: anomalous of those above")
    return _curves(figure, "pr", "Precision-recall curves of the agent and the baselines")


def calibration_svg(labels: Sequence[int], scores: Sequence[float]) -> str | None:
    """Reliability: share of anomalous photos over the agent's score, in tenths, with the photos in each; None without one."""
    import numpy as np

    if not labels:
        return None
    truth, said = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    bins = np.minimum((said * _TENTHS).astype(int), _TENTHS - 1)
    counts = np.bincount(bins, minlength=_TENTHS)
    used = np.flatnonzero(counts)
    mean = np.bincount(bins, said, _TENTHS)[used] / counts[used]
    share = np.bincount(bins, truth, _TENTHS)[used] / counts[used]
    figure, axes = _axes()
    axes.plot([0, 1], [0, 1], color=_INK, alpha=0.35, linewidth=1, linestyle=_DASHED)
    axes.plot(mean, share, color=COLOURS["agent"], linewidth=1.5, alpha=0.6)
    sizes = 30 + 220 * counts[used] / counts.max()  # square points
    axes.scatter(mean, share, s=sizes, color=COLOURS["agent"], zorder=3, clip_on=False)
    for x, y, count, size in zip(mean, share, counts[used], sizes, strict=True):
        # Inwards of the point, where neither the frame nor the next point's number is.
        above = y < 0.5
        axes.annotate(
            str(count),
            (x, y),
            xytext=(0, (size**0.5 / 2 + 3) * (1 if above else -1)),
            textcoords="offset points",
            ha="center",
            va="bottom" if above else "top",
            color=_INK,
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="mean score of the agent, by tenths; numbers: photos")
    axes.set_ylabel("share of anomalous photos")
    return _svg(figure, "calibration", "Share of anomalous photos over the agent's score")


def histogram_svg(labels: Sequence[int], scores: Sequence[float]) -> str | None:
    """How the agent's scores spread over normal and over anomalous photos; None without a score."""
    from matplotlib.ticker import MaxNLocator

    if not labels:
        return None
    figure, axes = _axes()
    edges = [i / _BINS for i in range(_BINS + 1)]
    of = [[s for s, truth in zip(scores, labels, strict=True) if truth == label] for label in (0, 1)]
    names = [f"normal, {len(of[0])}", f"anomalous, {len(of[1])}"]
    axes.hist(of, bins=edges, color=[NORMAL, ANOMALOUS], label=names, rwidth=0.9)
    axes.axvline(0.5, color=_INK, linewidth=1, linestyle=_DASHED)
    axes.set(xlim=(0, 1), xlabel="anomaly score of the agent; 0.5 is the threshold", ylabel="photos")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, labelcolor=_INK, borderaxespad=0)
    return _svg(figure, "scores", "Histogram of the agent's scores by truth")


def _axes() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4.2), layout="constrained")
    return figure, figure.add_subplot()


def _with_both(systems: Scored) -> Scored:
    return {name: scored for name, scored in systems.items() if len(set(scored[0])) == 2}


def _line(name: str) -> dict[str, Any]:
    # Ever narrower, one upon the other: where systems have the same curve, all of them are seen.
    place = list(COLOURS).index(name)
    return {"color": COLOURS[name], "linewidth": 5 - place, "zorder": 2 + place, "label": name}


def _curves(figure: Figure, name: str, title: str) -> str | None:
    (axes,) = figure.axes
    if not axes.get_legend_handles_labels()[0]:
        return None
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    figure.legend(
        loc="outside upper left",
        ncols=len(COLOURS),
        frameon=False,
        labelcolor=_INK,
        fontsize=9,
        handlelength=1,
        columnspacing=1,
    )
    return _svg(figure, name, title)


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
