"""Rankings by way of a spreadsheet: a CSV file to fill in, and reading it with every fault named by its line."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from training.rank.folder import LETTERS, Question, RankError, RankFolder, same

NEEDED = ("question", "verdict", "order")
COLUMNS = ("question", "test_image", "reference_image", "asked", *LETTERS, "cited", "verdict", "order", "conclusion")
FORMULA = ("=", "+", "-", "@")
TRUTH = {"true": True, "t": True, "yes": True, "false": False, "f": False, "no": False}


@dataclass(frozen=True)
class ReadSheet:
    """What a sheet brought."""

    ranked: int
    reworded: int
    """Answers that were written or corrected in the sheet."""
    empty: int
    """Rows with neither verdict nor order."""


@dataclass(frozen=True)
class _Row:
    question: Question
    reworded: dict[str, str]
    verdict: bool
    order: str
    conclusion: str | None


def sheet(folder: RankFolder, rater: str | None = None) -> str:
    """The text of a CSV file: a row a question, filled in as far as `rater` has ranked."""
    said = folder.rankings()
    out = io.StringIO(newline="")
    table = csv.DictWriter(out, COLUMNS)
    table.writeheader()
    for id, question in folder.questions().items():
        pair = question.pair
        row = {"question": id, "test_image": pair.test_image, "reference_image": pair.reference_image}
        row |= {"asked": question.asked.question, "cited": "\n".join(question.cited())}
        row |= {letter: text or "" for letter, text in zip(LETTERS, question.answers, strict=True)}
        if rater is not None and (ranking := said.get((rater, id))):
            row |= {"verdict": str(ranking.verdict).lower(), "order": ranking.order}
            row |= {"conclusion": ranking.conclusion or ""}
        table.writerow({name: _inert(text) for name, text in row.items()})
    return out.getvalue()


def _inert(text: str) -> str:
    """Text that a spreadsheet would run as a formula, behind the mark that stops it."""
    return f"'{text}" if text.startswith(FORMULA) else text


def read_sheet(folder: RankFolder, path: Path, rater: str) -> ReadSheet:
    """Keep the rankings of a sheet as those of `rater`; what they have said already is not said again.

    The columns A to D are optional: a text that was changed there rewords the answer.

    Raises:
        RankError: with a line for each fault; then nothing of the sheet was kept.
    """
    questions, said = folder.questions(), folder.rankings()
    earlier: dict[tuple[str, str], list[str]] = {}
    for question in questions.values():
        for letter, candidate in zip(LETTERS, question.asked.candidates, strict=False):
            earlier[question.id, letter] = [candidate.text]
    for wording in folder.wordings():
        earlier.setdefault((wording.question, wording.letter), []).append(wording.text)
    rows, faults, empty, seen = list[_Row](), list[str](), 0, dict[str, int]()
    for line, values in _rows(path):
        if not values["verdict"] and not values["order"]:
            mended = [a for a in LETTERS if values[a] and not _known(values[a], values["question"], a, earlier)]
            if mended and values["question"] in questions:
                faults.append(f"{path}, line {line}: answer {mended[0]} was changed, but verdict and order are empty")
            empty += 1
            continue
        try:
            first = seen.setdefault(values["question"], line)
            if first != line:
                raise RankError(f"question {values['question']!r} stands in line {first} already")
            rows.append(_row(values, questions, earlier))
        except RankError as error:
            faults.append(f"{path}, line {line}: {error}")
    if faults:
        raise RankError("\n".join(faults))
    ranked = 0
    for row in rows:
        question = row.question
        for letter, text in row.reworded.items():
            folder.reword(rater, question, letter, text)
        old = said.get((rater, question.id))
        if row.reworded:
            question = folder.questions()[question.id]
        elif old and (old.verdict, old.order, old.conclusion) == (row.verdict, row.order, row.conclusion):
            continue
        folder.rank(rater, question, row.verdict, row.order, row.conclusion)
        ranked += 1
    return ReadSheet(ranked, sum(len(row.reworded) for row in rows), empty)


def _known(text: str, question: str, letter: str, earlier: dict[tuple[str, str], list[str]]) -> bool:
    """Whether an answer is, or once was, worded so."""
    return any(same(text, old) for old in earlier.get((question, letter), []))


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """The rows by the line they begin in; every column is there, with spaces stripped."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise RankError(f"FILE {str(path)!r}: cannot be read ({error.strerror}); expected a CSV file") from error
    except UnicodeDecodeError as error:
        raise RankError(f"FILE {str(path)!r}: byte {error.start} is not UTF-8; save it as CSV UTF-8") from error
    head = text.partition("\n")[0]
    # Where the comma is the decimal sign, spreadsheets write semicolons.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if head.count(";") > head.count(",") else ",")
    rows, begins, names = list[tuple[int, dict[str, str]]](), 1, list[str]()
    try:
        for cells in reader:
            if not names:
                names = [cell.strip() for cell in cells]
                if missing := [name for name in NEEDED if name not in names]:
                    raise RankError(
                        f"{path}, line 1: has no column {', '.join(missing)}; expected {', '.join(NEEDED)} and, if you "
                        "like, conclusion; `sage-iad data rank sheet` writes a sheet to fill in"
                    )
            elif any(cell.strip() for cell in cells):
                values = dict.fromkeys(COLUMNS, "")
                values |= {name: _read_cell(cell.strip()) for name, cell in zip(names, cells, strict=False)}
                rows.append((begins, values))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise RankError(f"{path}, line {begins}: is not CSV ({error})") from error
    if not names:
        raise RankError(f"FILE {str(path)!r}: is empty; `sage-iad data rank sheet` writes a sheet to fill in")
    return rows


def _read_cell(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


def _row(values: dict[str, str], questions: dict[str, Question], earlier: dict[tuple[str, str], list[str]]) -> _Row:
    question = questions.get(values["question"])
    if question is None:
        raise RankError(
            f"question {values['question']!r} is not in the folder, expected one such as {next(iter(questions), 'none: nothing was sampled yet')!r}"
        )
    verdict = TRUTH.get(values["verdict"].lower())
    if verdict is None:
        raise RankError(f"verdict {values['verdict']!r}, expected true or false")
    order = values["order"].upper().replace(" ", "").replace(",", "")
    if sorted(order) != list(LETTERS):
        raise RankError(f"order {values['order']!r}, expected each of {LETTERS} once, the best first, such as CABD")
    reworded: dict[str, str] = {}
    after = dict(zip(LETTERS, question.answers, strict=True))
    for letter in LETTERS:
        text, now = values[letter], after[letter]
        if not text or (now is not None and same(text, now)):
            continue
        if _known(text, question.id, letter, earlier):
            raise RankError(f"answer {letter} was reworded after this sheet was written; write the sheet anew")
        reworded[letter] = after[letter] = text
    for letter, answer in after.items():
        if answer is None:
            raise RankError(f"answer {letter} is missing; write one into column {letter}")
        if twin := next((o for o, t in after.items() if o > letter and t is not None and same(t, answer)), None):
            raise RankError(f"answers {letter} and {twin} are the same, expected four that differ")
    return _Row(question, reworded, verdict, order, values["conclusion"] or None)
