"""Every folder below a folder in every setting, from one command, and the table that a README shows.

`python -m evals.suite RUNS --write README.md` puts the table of `RUNS`, left by `sage-iad eval suite`, between the lines
`<!-- suite -->` and `<!-- /suite -->` of a file.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from agent.report import Setting
from evals.errors import EvalError
from evals.figures.metrics import Metric
from evals.files import write_whole
from evals.pages.markdown import inert
from evals.pages.summary import number
from evals.results import Results
from evals.run import run_dataset
from evals.several import hold

if TYPE_CHECKING:
    from agent.report import Depth
    from evals.outcome import Inspecting

SETTINGS: tuple[Setting, ...] = get_args(Setting)
_BLOCK = re.compile(r"(<!-- suite -->\n).*?(<!-- /suite -->)", re.DOTALL)
_BESIDE = ("pixel_auroc", "miss", "overkill")
_HEAD = ("set", "setting", "photos", "agent, image AUROC (95 %)")


def run_suite(
    load: Callable[[], Inspecting],
    data: Path | str,
    settings: Sequence[Setting] = SETTINGS,
    depth: Depth = "screen",
    limit: int | None = None,
    seed: int = 0,
    out: Path | str = "runs/suite",
    *,
    model: str | None = None,
    jobs: int = 1,
    show: bool = True,
) -> list[Results]:
    """Evaluate on every folder below `data` that holds test/good, in every setting.

    Leaves a run in `out`/FOLDER-SETTING each and the table in `out`/table.md. A run that is finished is not run again.

    Args:
        load: Gives the agent; called once.
        data: Folder of folders; their layout is in `evals.dataset`.
        settings: Which.
        depth: `screen` or `full`.
        limit: At most so many photos of each folder, drawn by the seed.
        seed: Draws references, photos to fit to, the photos of `limit` and the bootstrap.
        out: Folder for the runs.
        model: What `load` loads, as a user names it.
        jobs: How many photos are inspected at once.
        show: Print progress to stderr.

    Raises:
        EvalError: no such folder below `data`, one that cannot be used, or runs in `out` that were asked otherwise.
        tools.detector.DetectorError: a detector that cannot be fitted, in the fitted setting.
    """
    sets = sorted(path.parent.parent for path in Path(data).glob("*/test/good"))
    if not sets:
        raise EvalError(
            f"data {str(data)!r}: holds no folder with test/good; expected folders in the layout of MVTec AD"
        )
    asked = {"data": str(Path(data).resolve()), "depth": depth, "limit": limit, "seed": seed, "model": model}
    place, agent = hold(Path(out), asked), load()
    for folder in sets:
        for setting in settings:
            run = place / f"{folder.name}-{setting}"
            if not (run / "results.json").is_file():
                run_dataset(
                    lambda: agent, folder, "folder", setting, depth, limit, seed, run,
                    model=model, jobs=jobs, show=show,
                )  # fmt: skip
    results = read_suite(place)
    write_whole(place / "table.md", table(results))
    return results


def read_suite(out: Path) -> list[Results]:
    """The results of every run below a folder.

    Raises:
        EvalError: none there, or one that cannot be read.
    """
    found = [Results.read(path.parent) for path in sorted(out.glob("*/results.json"))]
    if not found:
        raise EvalError(f"runs {str(out)!r}: holds no results.json; expected what `sage-iad eval suite --out` leaves")
    return found


def table(results: Sequence[Results]) -> str:
    """One row a set and setting, and the mean over the sets of each setting: the agent beside its baselines."""
    ranked = sorted(results, key=lambda r: (SETTINGS.index(r.setting), r.data))
    head = [*_HEAD, *(name.replace("_", " ") for name in ranked[0].baselines), *(n.replace("_", " ") for n in _BESIDE)]
    rows = [head, ["---"] * len(head)]
    rows += [[inert(r.data), r.setting, _photos([r]), *_cells([r])] for r in ranked]
    for setting in SETTINGS:
        of = [r for r in ranked if r.setting == setting]
        if len(of) > 1:
            rows.append([f"mean of {len(of)}", setting, _photos(of), *_cells(of)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _photos(results: Sequence[Results]) -> str:
    failed = sum(r.failed for r in results)
    return f"{sum(r.n for r in results)}{f' ({failed} failed)' if failed else ''}"


def _cells(results: Sequence[Results]) -> list[str]:
    """The figures of one run with its interval, or the means of several."""
    agent = [r.metrics["image_auroc"] for r in results]
    interval = agent[0].ci95 if len(results) == 1 else None
    cells = [_mean(agent) + ("" if interval is None else f" ({interval[0]:.2f} to {interval[1]:.2f})")]
    cells += [_mean([r.baselines[name]["image_auroc"] for r in results]) for name in results[0].baselines]
    return cells + [_mean([r.metrics[name] for r in results]) for name in _BESIDE]


def _mean(metrics: Sequence[Metric]) -> str:
    """`-` where one has no value: a mean of the others would be another thing."""
    values = [metric.value for metric in metrics if metric.value is not None]
    return number(Metric(sum(values) / len(values))) if len(values) == len(metrics) else "-"


def write_table(results: Sequence[Results], path: Path) -> None:
    """Put the table between the two marks of a Markdown file.

    Raises:
        EvalError: the file cannot be read or has no marks.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise EvalError(f"--write {str(path)!r}: cannot be read ({error.strerror})") from error
    if not _BLOCK.search(text):
        raise EvalError(f"--write {str(path)!r}: has no lines <!-- suite --> and <!-- /suite --> to write between")
    write_whole(path, _BLOCK.sub(lambda m: f"{m[1]}{table(results)}{m[2]}", text))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table of a suite, or write it into a file."""
    parser = argparse.ArgumentParser(prog="python -m evals.suite", description="The table of a suite of runs.")
    parser.add_argument("runs", type=Path, help="what `sage-iad eval suite --out` left")
    parser.add_argument("--write", type=Path, help="Markdown file with the lines <!-- suite --> and <!-- /suite -->")
    given = parser.parse_args(arguments)
    try:
        results = read_suite(given.runs)
        if given.write is None:
            print(table(results), end="")
        else:
            write_table(results, given.write)
    except EvalError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
