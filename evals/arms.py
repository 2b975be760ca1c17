"""Ways of training, side by side: a table and a plot of their figures with intervals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evals.figures.metrics import Metric


def write_comparison(found: Mapping[str, Mapping[str, Metric]], shown: Mapping[str, str], head: str, out: Path) -> Path:
    """`ablation.json` with all figures, `ablation.png` and `ablation.md` with those `shown`; returns the last.

    Args:
        found: figures of each arm by name.
        shown: names of figures, and what to call them.
        head: a sentence above the table: what was equal for all.
        out: folder.
    """
    (out / "ablation.json").write_text(
        json.dumps({n: {k: asdict(m) for k, m in f.items()} for n, f in found.items()}, indent=2) + "\n",
        encoding="utf-8",
    )
    _plot(found, shown, out / "ablation.png")
    lines = [head, "", "| trained with | " + " | ".join(shown.values()) + " |", "|---" * (len(shown) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(_cell(m[key]) for key in shown) + " |" for name, m in found.items()]
    table = out / "ablation.md"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def folder_of(name: str) -> str:
    """An arm's name as that of a folder."""
    return name.replace(",", "").replace(" ", "-").lower()


def _cell(metric: Metric) -> str:
    if metric.value is None:
        return "–"
    return f"{metric.value:.3f}" + (f" ({metric.ci95[0]:.3f} to {metric.ci95[1]:.3f})" if metric.ci95 else "")


def _plot(found: Mapping[str, Mapping[str, Metric]], shown: Mapping[str, str], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    size = (3 * len(shown), 1 + 0.35 * len(found))
    figure, axes = plt.subplots(1, len(shown), figsize=size, sharey=True, layout="constrained")
    names = list(found)[::-1]
    for axis, (key, title) in zip(axes, shown.items(), strict=True):
        for at, name in enumerate(names):
            metric = found[name][key]
            if metric.value is not None:
                low, high = metric.ci95 or (metric.value, metric.value)
                axis.plot([low, high], [at, at], color="0.6", linewidth=3, solid_capstyle="butt")
                axis.plot(metric.value, at, "o", color="C0")
        axis.set_title(title, fontsize=9)
        axis.set_yticks(range(len(names)), names)
        axis.grid(axis="x", alpha=0.3)
    figure.savefig(file, dpi=120)
    plt.close(figure)
