"""Charts of AD-PL files as PNG, a colour for each file."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from agent.render.text import plain
from training.adpl import ANSWERS
from training.cues import Cue
from training.stats import Stats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DPI = 120
_COLUMNS = 4  # of the legend
_BARS = 20  # at most, of domains and of defect types


def write_charts(stats: Sequence[Stats], cues: Mapping[str, Sequence[Cue | None]], out: Path) -> list[Path]:
    """Write a PNG for each thing that at least one file says.

    Args:
        cues: by what is measured, one for each file.
        out: folder, made where it is not there.
    """
    figures = {
        "pair_types": _bars(stats, [s.pair_types for s in stats], "share of the file's records"),
        "domains": _bars(stats, [s.domains for s in stats], "share of the file's records"),
        "defect_types": _bars(stats, [_numbers(s) for s in stats], "share of the file's marked defects"),
        "severities": _severities(stats),
        "lengths": _by_rank(stats, [s.lengths for s in stats], "words of an answer"),
        "scores": _by_rank(stats, [_means(s) for s in stats], "MLE score"),
        "gaps": _gaps(stats),
        "cues": _cues(stats, cues),
    }
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in figures.items():
        if figure is not None:
            for axes in figure.axes:
                axes.spines[["top", "right"]].set_visible(False)
            handles, labels = figure.axes[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside upper center", ncols=_COLUMNS, frameon=False)
            written.append(out / f"{name}.png")
            with warnings.catch_warnings():
                # Names in Chinese, say: a box stands for each sign that the font lacks.
                warnings.filterwarnings("ignore", message="Glyph .* missing")
                figure.savefig(written[-1], dpi=_DPI)
    return written


def _numbers(stats: Stats) -> dict[str, int]:
    return {kind: len(values) for kind, values in stats.defects.severities.items()} if stats.defects else {}


def _means(stats: Stats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(m.mean for m in rank) for rank in stats.scores.by_rank) if stats.scores else ((),) * ANSWERS


def _figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def _bars(stats: Sequence[Stats], counts: Sequence[Mapping[str, int]], what: str) -> Figure | None:
    """Horizontal bars, the most common name on top: each as a share of all that its file has."""
    total: dict[str, int] = {}
    for count in counts:
        for name, number in count.items():
            total[name] = total.get(name, 0) + number
    names = sorted(total, key=lambda name: (-total[name], name))[:_BARS]
    if not names:
        return None
    figure, (axes,) = _figure(7, 1.2 + 0.12 * len(names) * (1 + len(stats)))
    places, thick = np.arange(len(names)), 0.8 / len(stats)
    for k, (s, count) in enumerate(zip(stats, counts, strict=True)):
        shares = [count.get(name, 0) / max(1, sum(count.values())) for name in names]
        axes.barh(places + (k + 0.5) * thick - 0.4, shares, thick, label=_plain(s.file.name))
    axes.set_yticks(places, [_plain(name) for name in names])
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.set_xlabel(what if len(names) == len(total) else f"{what}; the {len(names)} commonest of {len(total)}")
    return figure


def _severities(stats: Sequence[Stats]) -> Figure | None:
    of = {s.file.name: [v for values in s.defects.severities.values() for v in values] for s in stats if s.defects}
    if not any(of.values()):
        return None
    figure, (axes,) = _figure(6, 3.6)
    _shares(axes, of, [k / 10 for k in range(11)])
    axes.set(xlabel="severity", ylabel="share of the file's marked defects")
    return figure


def _by_rank(stats: Sequence[Stats], values: Sequence[Sequence[Sequence[float]]], what: str) -> Figure | None:
    """Median and middle 80 % of each rank."""
    if not any(rank for ranks in values for rank in ranks):
        return None
    figure, (axes,) = _figure(6, 3.6)
    for k, (s, ranks) in enumerate(zip(stats, values, strict=True)):
        if not all(ranks):
            continue
        low, middle, high = np.percentile(np.array(ranks, np.float64), [10, 50, 90], axis=1)
        places = np.arange(1, ANSWERS + 1) + 0.12 * (k - (len(stats) - 1) / 2)
        axes.errorbar(places, middle, (middle - low, high - middle), fmt="o", capsize=3, label=_plain(s.file.name))
    axes.set_xticks(range(1, ANSWERS + 1), ["best", "second", "third", "last"])
    axes.set_ylabel(f"{what}: median, middle 80 %")
    return figure


def _gaps(stats: Sequence[Stats]) -> Figure | None:
    given = {s.file.name: s.scores for s in stats if s.scores}
    if not given:
        return None
    figure, (closest, widest) = _figure(9, 3.6, columns=2)
    bin_edges = [(k - 0.5) / 3 for k in range(-12, 14)]  # a mean of three whole scores goes in thirds
    _shares(closest, {name: scores.closest for name, scores in given.items()}, bin_edges[12:])
    _shares(widest, {name: scores.widest for name, scores in given.items()}, bin_edges)
    closest.set(xlabel="gap of the closest neighbours", ylabel="share of the file's questions")
    widest.set(xlabel="best above last")
    return figure


def _shares(axes: Axes, of: Mapping[str, Sequence[float]], edges: Sequence[float]) -> None:
    """Histograms side by side, each of the bars of a file adding up to 1."""
    values = [np.array(v, np.float64) for v in of.values()]
    weights = [np.full(len(v), 1 / max(1, len(v))) for v in values]
    axes.hist(values, bins=edges, weights=weights, label=[_plain(name) for name in of], rwidth=0.9)


def _cues(stats: Sequence[Stats], cues: Mapping[str, Sequence[Cue | None]]) -> Figure | None:
    if not any(found for each in cues.values() for found in each):
        return None
    figure, (axes,) = _figure(7, 1.2 + 0.14 * len(cues) * (1 + len(stats)))
    for k, s in enumerate(stats):
        found = [(place, each[k]) for place, each in enumerate(cues.values())]
        rows = [(place + 0.15 * (k - (len(stats) - 1) / 2), cue) for place, cue in found if cue is not None]
        if rows:
            centre = np.array([cue.accuracy for _, cue in rows])
            reach = (centre - [cue.low for _, cue in rows], [cue.high for _, cue in rows] - centre)
            axes.errorbar(centre, [p for p, _ in rows], xerr=reach, fmt="o", capsize=3, label=_plain(s.file.name))
    axes.axvline(0.5, color="black", alpha=0.4, linestyle=(0, (3, 3)))
    axes.set_yticks(range(len(cues)), list(cues))
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="share of pairs ranked right, 95 % interval; chance is 0.5")
    return figure


def _plain(name: str) -> str:
    """A dollar sign would start a formula, an underscore at the start hide the name from the legend."""
    return plain(name).replace("$", r"\$").lstrip("_")
