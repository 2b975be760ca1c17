"""The task `ablation`: what each part of the agent is worth, on the same photos with one part left out at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from agent.inspector import Part
from evals.compare import compare
from evals.figures.metrics import Metric
from evals.files import write_whole
from evals.pages.summary import number
from evals.results import Results
from evals.run import run_dataset
from evals.several import hold

if TYPE_CHECKING:
    from rich.console import Console

    from agent.report import Setting
    from evals.outcome import Inspecting

PARTS: tuple[Part, ...] = get_args(Part)
SHOWN = (
    "image_auroc",
    "accuracy",
    "type_accuracy",
    "citation_precision",
    "mle_type",
    "mle_location",
    "mle_logic",
    "mle",
)
"""More is better in all of them."""


@dataclass(frozen=True)
class Ablation:
    """The whole agent, and the agent without each part."""

    whole: Results
    without: dict[Part, dict[str, Metric]]
    """By part left out: metric without it minus with it, with the interval of the paired difference."""
    failed: dict[str, int]
    """By run, `whole` or `without PART`, the photos that failed; those are in no difference."""


def run_ablation(
    load: Callable[[tuple[Part, ...]], Inspecting],
    data: Path | str,
    setting: Setting = "one-shot",
    limit: int | None = None,
    seed: int = 0,
    out: Path | str = "runs/ablation",
    *,
    model: str | None = None,
    show: bool = True,
) -> Ablation:
    """Inspect a folder with the whole agent and without each part in turn, at depth `full`.

    Leaves a run in `out`/whole and in `out`/without-PART each, and the table in `out`/ablation.md. A run that is finished
    is not run again, one that was stopped is taken up.

    Args:
        load: Gives the agent without the parts it is told.
        data: The folder; layout in `evals.dataset`.
        setting: What the agent is shown besides the photo.
        limit: At most so many photos, drawn by the seed.
        seed: Draws references, photos and the bootstrap.
        out: Folder for the runs.
        model: What `load` loads, as a user names it.
        show: Print progress to stderr.

    Raises:
        EvalError: a folder, setting or output folder that cannot be used, or runs in `out` that were asked otherwise.
    """
    asked = {"data": str(Path(data).resolve()), "setting": setting, "limit": limit, "seed": seed, "model": model}
    place = hold(Path(out), asked)
    failed: dict[str, int] = {}

    def run(name: str, *parts: Part) -> Results:
        folder = place / name.replace(" ", "-")
        if (folder / "results.json").is_file():
            results = Results.read(folder)
        else:
            agent = load(parts)
            results = run_dataset(
                lambda: agent, data, "folder", setting, "full", limit, seed, folder, model=model, show=show
            )
        failed[name] = results.failed
        return results

    whole = run("whole")
    without: dict[Part, dict[str, Metric]] = {}
    for part in PARTS:
        run(f"without {part}", part)
        without[part] = compare(place / "whole", place / f"without-{part}", seed=seed).differences
    found = Ablation(whole, without, failed)
    write_whole(place / "ablation.md", markdown(found))
    return found


def markdown(found: Ablation) -> str:
    """The table as Markdown, the whole agent first, and the sentence."""
    rows = [
        ["metric", "whole agent", *(f"without {part}" for part in found.without)],
        ["---"] * (2 + len(found.without)),
        *_rows(found),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + f"\n\n{sentence(found)}\n"


def print_ablation(found: Ablation, console: Console | None = None) -> None:
    """Print the table, and in words which parts matter by more than chance; to stdout by default."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    to = console or Console()
    title = Text(f"{found.whole.data}, {found.whole.setting}, {found.whole.n} photos")
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    for name in ("whole agent", *(f"without {part}" for part in found.without)):
        table.add_column(name, justify="right")
    for row in _rows(found):
        table.add_row(*row)
    to.print(table, markup=False)
    to.print(sentence(found), markup=False, highlight=False, soft_wrap=True)


def sentence(found: Ablation) -> str:
    """Which parts the agent is worse or better without, by more than chance, and what failed."""
    worse: list[str] = []
    better: list[str] = []
    for part, differences in found.without.items():
        for name in SHOWN:
            change = differences.get(name)
            if change is None or change.value is None or change.ci95 is None or change.ci95[0] <= 0 <= change.ci95[1]:
                continue
            (better if change.value > 0 else worse).append(f"{part} ({name} {change.value:+.3f})")
    parts = [f"worse without {', '.join(worse)}"] if worse else []
    parts += [f"better without {', '.join(better)}"] if better else []
    said = f"The agent is {' and '.join(parts)}." if parts else "No part matters beyond chance on these photos."
    failed = [f"{name}: {count}" for name, count in found.failed.items() if count]
    return f"{said} Photos that failed and are in no difference: {', '.join(failed)}." if failed else said


def _rows(found: Ablation) -> list[list[str]]:
    return [
        [name, number(found.whole.metrics.get(name)), *(_change(d.get(name)) for d in found.without.values())]
        for name in SHOWN
    ]


def _change(metric: Metric | None) -> str:
    if metric is None or metric.value is None:
        return "-"
    interval = "" if metric.ci95 is None else f" ({metric.ci95[0]:+.2f} to {metric.ci95[1]:+.2f})"
    return f"{metric.value:+.3f}{interval}"
