"""compare.html: two runs beside each other, with pictures of the photos whose verdict changed side."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evals.compare import Change, Comparison, verdict_line
from evals.figures.metrics import LOWER_IS_BETTER, Metric
from evals.files import write_whole
from evals.pages.gallery import case
from evals.pages.page import page
from evals.pages.summary import MEANING

if TYPE_CHECKING:
    from rich.console import Console

    from evals.pages.gallery import Case

    Shown = tuple[Change, Case | None, Case | None]

_MOST_PICTURES = 24  # of each side


def write_comparison(found: Comparison, first: Path, second: Path, out: Path) -> Path:
    """Write `out`/compare.html and return its path; photos that are no longer where the first run saw them are left out.

    Args:
        found: of `compare(first, second)`.
        first: folder of the first run, with its maps and logs.
        second: the same of the second run.
        out: folder, made where missing.

    Raises:
        EvalError: a map cannot be read or the page cannot be written.
    """
    photos = _photos(first)

    def shown(changes: Sequence[Change]) -> list[Shown]:
        return [_pictures(change, photos, first, second) for change in changes[:_MOST_PICTURES]]

    text = page(
        "compare.html.j2",
        found=found,
        line=verdict_line(found),
        meaning=MEANING,
        says={name: says(name, metric) for name, metric in found.differences.items()},
        better=shown(found.better),
        worse=shown(found.worse),
    )
    out.mkdir(parents=True, exist_ok=True)
    return write_whole(out / "compare.html", text)


def says(name: str, difference: Metric) -> str:
    """A difference in words: `better`, `worse`, either by more than chance; `within chance`; `the same`; or why it cannot
    be said."""
    if difference.value is None:
        return difference.reason or "not measured"
    if difference.value == 0:
        return "the same"
    if difference.ci95 is None:
        return difference.reason or "no interval"
    if difference.ci95[0] <= 0 <= difference.ci95[1]:
        return "within chance"
    return "better" if (difference.value > 0) != (name in LOWER_IS_BETTER) else "worse"


def print_comparison(found: Comparison, console: Console | None = None) -> None:
    """Print the differences and how many photos changed side; to stdout by default."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="second minus first", title_justify="left")
    table.add_column("metric", no_wrap=True)
    table.add_column("difference", justify="right")
    table.add_column("95 % interval", justify="right")
    table.add_column("says")
    for name, difference in found.differences.items():
        value = "-" if difference.value is None else f"{difference.value:+.3f}"
        interval = "-" if difference.ci95 is None else f"{difference.ci95[0]:+.3f} to {difference.ci95[1]:+.3f}"
        table.add_row(name, value, interval, says(name, difference))
    to = console or Console()
    to.print(table, markup=False)
    to.print(verdict_line(found), markup=False, highlight=False, soft_wrap=True)


def _pictures(change: Change, photos: Path | None, first: Path, second: Path) -> Shown:
    if photos is None:
        return change, None, None
    return change, case(change.first, photos, first), case(change.second, photos, second)


def _photos(run: Path) -> Path | None:
    """The folder of photos, as the run's own log names it; None where that is gone."""
    from inspect_ai.log import read_eval_log

    for log in sorted(run.glob("logs/**/*.eval"), reverse=True):
        try:
            data = (read_eval_log(str(log), header_only=True).eval.metadata or {}).get("data")
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            continue  # cut off while it was written
        if data is not None and Path(data).is_dir():
            return Path(data)
    return None
