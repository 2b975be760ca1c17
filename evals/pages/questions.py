"""report.html, summary.md and the terminal's table of the tasks that ask questions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from agent.render.text import plain
from evals.figures.metrics import LOWER_IS_BETTER, Metric
from evals.files import write_whole
from evals.pages.markdown import inert
from evals.pages.page import page
from evals.pages.summary import figure, number
from evals.questions.asked import Asked, AskedPhoto
from evals.questions.results import QuestionResults

if TYPE_CHECKING:
    from rich.console import Console

    from evals.mle import Fault

MOST_CASES = 12
"""Wrong answers shown."""
_SIDE = 280  # pixels of a picture's long side
MEANING = {
    "single_accuracy": "questions answered right",
    "group_accuracy": "groups of five with all five right",
    "accuracy": "questions answered right, every set and subtask weighing the same",
    "overkill": "normal photos said to have a defect; lower is better",
    "miss": "anomalous photos said to have none; lower is better",
    "mle_type": "verdict and kind of defect, 1 to 5",
    "mle_location": "place, 1 to 5",
    "mle_logic": "whether the reasons follow, 1 to 5",
    "mle": "mean of the three, 1 to 5",
    "unscored": "answers that could not be judged; lower is better",
}


@dataclass(frozen=True)
class WrongAnswer:
    """One question that the agent got wrong."""

    photo: AskedPhoto
    asked: Asked
    pictures: list[tuple[str, str]]
    """What it shows, and its `data:` URI; none where the file is no longer there."""

    @property
    def faults(self) -> list[Fault]:
        """What the reference judge found wrong with the words."""
        return [fault for score in self.asked.agent.scores.values() for fault in score.faults]


def write_report(results: QuestionResults, photos: Sequence[AskedPhoto], out: Path) -> None:
    """Write `out`/report.html and `out`/summary.md.

    Raises:
        EvalError: a file cannot be written.
    """
    write_whole(out / "report.html", report_html(results, photos))
    write_whole(out / "summary.md", markdown(results))


def report_html(results: QuestionResults, photos: Sequence[AskedPhoto]) -> str:
    """The whole page as text; every text in it is escaped."""
    return page(
        "questions.html.j2",
        results=results,
        sentence=sentence(results),
        notes=notes(results),
        meaning=MEANING,
        bar=next(iter(results.metrics), ""),
        cases=[WrongAnswer(photo, asked, _pictures(photo)) for photo, asked in wrong(photos)],
    )


def sentence(results: QuestionResults) -> str:
    """Whether tools and facts help, in plain words."""
    if results.n == results.failed:
        return "Nothing could be answered, so nothing can be said."
    ahead, behind, chance = list[str](), list[str](), list[str]()
    for name, gap in results.against["vlm"].items():
        if gap.value is None:
            continue
        gain = -gap.value if name in LOWER_IS_BETTER else gap.value
        clear = gap.ci95 is not None and not gap.ci95[0] <= 0 <= gap.ci95[1]
        (chance if not clear else ahead if gain > 0 else behind).append(name)
    said = [
        f"{verb} on {', '.join(names)}"
        for verb, names in (("is ahead", ahead), ("is behind", behind), ("cannot be told apart", chance))
        if names
    ]
    return f"Against the model alone, without tools or facts, the agent {'; it '.join(said)}." if said else ""


def notes(results: QuestionResults) -> list[str]:
    """What the table leaves unsaid."""
    lines = []
    if results.failed:
        first = results.failures[0]
        lines.append(f"{results.failed} of {results.n} photos failed and are in no figure; {first.id}: {first.error}")
    for system, count in results.undecided.items():
        if count:
            lines.append(f"{system}: {count} of {results.questions} replies chose no answer; they count as wrong")
    missing = {m.reason: n for n, m in results.metrics.items() if m.value is None and m.reason}
    return [*lines, *results.notes, *(f"{name}: {reason}" for reason, name in missing.items())]


def wrong(photos: Sequence[AskedPhoto], most: int = MOST_CASES) -> list[tuple[AskedPhoto, Asked]]:
    """Questions the agent got wrong, the kinds in turn, at most one of a photo and kind."""
    by_kind: dict[str, dict[str, tuple[AskedPhoto, Asked]]] = {}
    for photo in photos:
        for asked in photo.asked:
            if asked.agent.given != asked.right:
                by_kind.setdefault(asked.kind, {}).setdefault(photo.id, (photo, asked))
    turns = zip_longest(*(of_kind.values() for of_kind in by_kind.values()))
    return [one for turn in turns for one in turn if one is not None][:most]


def markdown(results: QuestionResults) -> str:
    """A summary for a pull request."""
    lines = [f"### {results.task}, {results.setting}", "", inert(sentence(results)), ""]
    lines += ["| metric | agent | vlm | agent − vlm |", "|---|--:|--:|--:|"]
    lines += [f"| {' | '.join(row)} |" for row in _rows(results)]
    lines += ["", "| kind | questions | " + " | ".join(names := _of_kinds(results)) + " |"]
    lines += ["|---|--:|" + "--:|" * len(names)]
    for kind, category in results.per_category.items():
        cells = [number(category.metrics.get(name)) for name in names]
        lines.append(f"| {inert(kind)} | {category.n} | {' | '.join(cells)} |")
    lines += ["", "In brackets the 95 % bootstrap interval over photos.", ""]
    lines += [f"- {inert(note)}" for note in notes(results)]
    lines += [f"- {inert(_model(results))}, {inert(results.data)}, {results.n} photos, {results.questions} questions"]
    return "\n".join([*lines, ""])


def print_results(results: QuestionResults, console: Console | None = None) -> None:
    """Print the table, the sentence and the notes; to stdout by default."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    to = console or Console()
    title = f"{results.data}, {results.setting}, {results.questions} questions on {results.n} photos, {_model(results)}"
    table = Table(
        title=Text(plain(title)), title_justify="left", caption_justify="left", padding=(0, 1, 0, 0), show_edge=False
    )
    table.caption = "[95 % bootstrap interval over photos]"
    table.add_column("metric")
    for system in ("agent", "model alone", "agent - alone"):
        table.add_column(system, justify="right", no_wrap=True)
    for row in _rows(results):
        table.add_row(*row)
    to.print(table, markup=False)
    for kind, category in results.per_category.items():
        shown = ", ".join(f"{name} {number(metric)}" for name, metric in category.metrics.items())
        to.print(plain(f"{kind}, {category.n} questions: {shown}"), markup=False, highlight=False, soft_wrap=True)
    for note in notes(results):
        to.print(plain(f"note: {note}"), markup=False, highlight=False, soft_wrap=True)
    to.print(sentence(results), markup=False, highlight=False, soft_wrap=True)


def _rows(results: QuestionResults) -> Iterator[tuple[str, str, str, str]]:
    for name, metric in results.metrics.items():
        gap, alone = results.against["vlm"].get(name), results.baselines["vlm"].get(name)
        yield name, figure(metric), figure(alone), _signed(gap)
    for judge, metrics in results.judges.items():
        for name, metric in metrics.items():
            yield f"{name} by {inert(judge)}", figure(metric), "-", "-"


def _signed(gap: Metric | None) -> str:
    return figure(gap) if gap is None or gap.value is None or gap.value <= 0 else f"+{figure(gap)}"


def _of_kinds(results: QuestionResults) -> list[str]:
    return list(dict.fromkeys(name for category in results.per_category.values() for name in category.metrics))


def _model(results: QuestionResults) -> str:
    return "no model" if results.model is None else f"{results.model.name} {results.model.revision}"


def _pictures(photo: AskedPhoto) -> list[tuple[str, str]]:
    from agent.images import InputError, load_image
    from agent.render.page import picture_of

    shown = []
    for name, path in (("photo", photo.photo), ("reference", photo.reference)):
        if path is None:
            continue
        try:
            shown.append((name, picture_of(load_image(path).pixels, _SIDE).uri))
        except InputError:
            continue
    return shown
