"""The numbers of AD-PL files as tables on the terminal, and what looks wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.render.text import plain
from training.adpl import PreferenceRecord
from training.cues import MINIMAL_EDIT, Cue, length_cue, word_cue
from training.leaks import NEAR_BITS, Photos, Shared, photos_of, shared_by, unseen_shared
from training.stats import AdplFile, Stats, open_files, stats_of

NOT_GIVEN = "not given"
RANKS = ("best", "second", "third", "last")
CUES: dict[str, Callable[[Sequence[PreferenceRecord]], Cue | None]] = {
    "longer: best, last": length_cue,
    "longer: neighbours": lambda records: length_cue(records, "adjacent"),
    "words: all pairs": word_cue,
    "words: minimal pairs": lambda records: word_cue(records, minimal=True),
}
_EXAMPLES = 3
_KINDS = 12  # rows of domains, and of defect types
_WIDTH = 120

Rows = Mapping[str, Sequence[str]]
"""By label, one text for each file."""


def data_stats(
    paths: Sequence[Path], images: Path | None = None, out: Path | None = None, console: Console | None = None
) -> list[str]:
    """Print what AD-PL files hold, what they share, and how well surface cues alone rank their answers.

    Args:
        images: folder of the images of all files; by default looked for beside each.
        out: folder for the plots; none are made without it.

    Returns:
        The faults of the files, a line each; their good records are counted all the same.
    """
    console = console or Console()
    console.width = min(_WIDTH, console.width)
    files = open_files(paths, images)
    faults = [f"{path}: {fault}" for path, file in zip(paths, files, strict=True) for fault in file.faults]
    if not any(file.records for file in files):
        return faults
    names = [file.name for file in files]
    stats = [stats_of(file) for file in files]
    for title, rows in _contents(stats):
        console.print(_table(title, names, rows))
    cues = {name: [measure(file.records) for file in files] for name, measure in CUES.items()}
    title, rows = _cues(cues)
    console.print(_table(title, names, rows))
    _print_leaks(console, files)
    if out is not None:
        from training.stats_charts import write_charts

        for path in write_charts(stats, cues, out):
            console.print(_text(f"plot: {path}"))
    return faults


def _contents(stats: Sequence[Stats]) -> Iterator[tuple[str, Rows]]:
    """The tables of what is in the files: title and rows."""

    def each(tell: Callable[[Stats], object]) -> list[str]:
        return [str(tell(s)) for s in stats]

    kinds = list(dict.fromkeys(kind for s in stats for kind in s.pair_types))
    contents = {
        "records": each(lambda s: len(s.file.records)),
        "faults": each(lambda s: len(s.file.faults)),
        "questions": each(lambda s: s.questions),
        "answers": each(lambda s: s.answers),
        "images": each(lambda s: s.photos),
        "split": each(lambda s: NOT_GIVEN if s.splits is None else ", ".join(s.splits)),
        "families": each(lambda s: NOT_GIVEN if s.families is None else len(s.families)),
    }
    yield "Contents", contents | {kind: [str(s.pair_types[kind]) for s in stats] for kind in kinds}
    verdicts = {kind: [_verdicts(s, kind) for s in stats] for kind in kinds}
    yield "Verdicts: questions to which `true` is right", verdicts
    yield "Domains: records", _counts([s.domains for s in stats])
    yield "Defects: number, median severity (middle 80 %)", _defects(stats)
    lengths = {name: [_spread(s.lengths[k], "{:.0f}") for s in stats] for k, name in enumerate(RANKS)}
    yield "Words of an answer: median (middle 80 %)", lengths
    yield "MLE scores: median (middle 80 %)", _scores(stats)


def _verdicts(stats: Stats, kind: str) -> str:
    if kind not in stats.verdicts:
        return "none"
    verdicts = stats.verdicts[kind]
    return f"{verdicts.true / verdicts.questions:.0%} of {verdicts.questions}"


def _counts(counters: Sequence[Counter[str]]) -> Rows:
    shown, rest = _commonest(counters)
    rows = {name: [str(counter[name]) for counter in counters] for name in shown}
    if rest:
        rows[f"{len(rest)} others"] = [str(sum(counter[name] for name in rest)) for counter in counters]
    return rows


def _defects(stats: Sequence[Stats]) -> Rows:
    all_defects = [s.defects for s in stats]
    if not any(all_defects):
        return {"marked defects": [NOT_GIVEN] * len(stats)}
    shown, rest = _commonest([Counter({k: len(v) for k, v in d.severities.items()}) for d in all_defects if d])

    def of(kinds: Sequence[str]) -> list[str]:
        told = []
        for defects in all_defects:
            values = [value for kind in kinds for value in defects.severities.get(kind, [])] if defects else []
            told.append(f"{len(values)}, {_spread(values, '{:.2f}')}" if values else "0" if defects else NOT_GIVEN)
        return told

    rows = {
        "normal test images": [str(d.normal) if d else NOT_GIVEN for d in all_defects],
        "records without marks": [str(d.unmarked) if d else NOT_GIVEN for d in all_defects],
        **{kind: of([kind]) for kind in shown},
    }
    return rows | {f"{len(rest)} other types": of(rest)} if rest else rows


def _scores(stats: Sequence[Stats]) -> Rows:
    all_scores = [s.scores for s in stats]
    if not any(all_scores):
        return {"scores": [NOT_GIVEN] * len(stats)}
    ranks = {
        name: [_spread([m.mean for m in s.by_rank[k]], "{:.2f}") if s else NOT_GIVEN for s in all_scores]
        for k, name in enumerate(RANKS)
    }
    return ranks | {
        "gap, closest neighbours": [_spread(s.closest, "{:.2f}") if s else NOT_GIVEN for s in all_scores],
        "gap, best and last": [_spread(s.widest, "{:.2f}") if s else NOT_GIVEN for s in all_scores],
        "neighbours out of order": [str(s.contradictions) if s else NOT_GIVEN for s in all_scores],
        "questions without scores": [str(s.unscored) if s else NOT_GIVEN for s in all_scores],
    }


def _cues(cues: Mapping[str, Sequence[Cue | None]]) -> tuple[str, Rows]:
    title = (
        "Cues: share of pairs ranked right (95 % interval), number of pairs, most telling words\n"
        f"Chance is 0.50; minimal pairs differ in at most {MINIMAL_EDIT} words"
    )
    return title, {name: [_cue(cue) for cue in found] for name, found in cues.items()}


def _cue(cue: Cue | None) -> str:
    if cue is None:
        return "too few"
    return " ".join([f"{cue.accuracy:.2f} ({cue.low:.2f}..{cue.high:.2f})", f"{cue.pairs} pairs", *cue.words])


def _print_leaks(console: Console, files: Sequence[AdplFile]) -> None:
    photos = [photos_of(file) for file in files]
    rows = {
        "images read": _photo_row(photos, lambda p: len(p.read)),
        "images that cannot be read": _photo_row(photos, lambda p: len(p.unreadable)),
        "contents under several names": _photo_row(photos, lambda p: len(p.copies)),
    }
    console.print(_table("Images", [file.name for file in files], rows))
    for p in photos:
        if p is not None:
            _examples(console, f"{p.file}: cannot be read", p.unreadable)
            _examples(console, f"{p.file}: same content", [" = ".join(names) for names in p.copies])
    shared = shared_by(files, photos)
    if shared:
        console.print(_shared_table(shared))
    for pair in shared:
        both = f"{pair.first}, {pair.second}"
        _examples(console, f"{both}: same image", [f"{t.first} = {t.second}" for t in pair.same or ()])
        _examples(console, f"{both}: near image", [f"{t.first} ~ {t.second}, {t.bits} bits" for t in pair.near or ()])
        _examples(console, f"{both}: same question", pair.questions)
    for found in unseen_shared(files):
        told = NOT_GIVEN if found.shared is None else ", ".join(found.shared) or "none"
        console.print(_text(f"{found.split}: {found.what} that are seen in other splits: {told}"))


def _photo_row(photos: Sequence[Photos | None], tell: Callable[[Photos], int]) -> list[str]:
    return [NOT_GIVEN if p is None else str(tell(p)) for p in photos]


def _shared_table(shared: Sequence[Shared]) -> Table:
    table = Table(title=f"Shared by two files; near: at most {NEAR_BITS} of 255 bits differ", title_justify="left")
    table.add_column("files")
    for heading in ("same images", "near images", "same questions and answers"):
        table.add_column(heading, justify="right")
    for pair in shared:
        same, near = (NOT_GIVEN if twins is None else str(len(twins)) for twins in (pair.same, pair.near))
        table.add_row(_text(f"{pair.first}, {pair.second}"), same, near, str(len(pair.questions)))
    return table


def _examples(console: Console, what: str, found: Sequence[str]) -> None:
    for one in found[:_EXAMPLES]:
        console.print(_text(f"{what}: {one}"))
    if len(found) > _EXAMPLES:
        console.print(_text(f"{what}: {len(found) - _EXAMPLES} more"))


def _table(title: str, names: Sequence[str], rows: Rows) -> Table:
    """A column for each file."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in names:
        table.add_column(_text(name), justify="right")
    for label, told in rows.items():
        table.add_row(_text(label), *map(_text, told))
    return table


def _text(told: str) -> Text:
    """What files hold may look like markup or terminal control; it is shown as plain text."""
    return Text(plain(told))


def _spread(values: Sequence[float], form: str) -> str:
    if not values:
        return "none"
    low, middle, high = np.percentile(values, [10, 50, 90])
    return f"{form.format(middle)} ({form.format(low)}..{form.format(high)})"


def _commonest(counters: Sequence[Counter[str]]) -> tuple[list[str], list[str]]:
    """The names that are shown in rows of their own, and the rest."""
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    names = sorted(total, key=lambda name: (-total[name], name))
    return names[:_KINDS], names[_KINDS:]
