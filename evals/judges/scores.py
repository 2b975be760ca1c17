"""Scores of raters, be they people or judges, on answers: the file they are kept in, and orders that people gave.

The file is a CSV with one line an answer, or JSON lines with the same keys:

    rater,item,type,location,logic
    anna,parts/07.png/1c9e02ab/90f1d3c4,5,4,5
    anna,parts/07.png/1c9e02ab/b7720a1e,2,,3

- rater: any name, always the same. A judge is a rater: `write_scores` writes the same file.
- item: `<record>/<question>/<answer>`. Answers to one question share all but the last part; the record, which may hold
  further slashes, is the photo. `item_ids` names the answers of AD-PL records.
- type, location, logic: 1 (worst) to 5 on the scales of MLE; nothing (null in JSON) where there is no score.
- unscored, which may be left out: why there is no score.
- place, which may be left out: place of the answer among those to its question, 1 the best, for raters who gave an order.

Other columns are passed over, so that a sheet may show what was asked (`score_sheet`).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from evals.errors import EvalError
from evals.mle import SCALES, Judge, MleScore, Truth

if TYPE_CHECKING:
    from training.adpl import PreferenceRecord, RankedQuestion
    from training.rank.folder import RankFolder

NEEDED = ("rater", "item", *SCALES)
COLUMNS = (*NEEDED, "unscored")
_Score = Annotated[float, Field(ge=1, le=5)]


class Rating(BaseModel):
    """What one rater says of one answer."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    rater: str = Field(min_length=1)
    item: Annotated[str, StringConstraints(pattern=r"^.+/[^/]+/[^/]+$")]
    """`<record>/<question>/<answer>`."""
    # Without a default: a misspelt key must not pass for a missing score.
    type: _Score | None
    location: _Score | None
    logic: _Score | None
    unscored: str | None = None
    """Why there is no score."""
    place: int | None = Field(default=None, ge=1)
    """Among the answers to the question, 1 the best."""

    @property
    def question(self) -> str:
        return self.item.rpartition("/")[0]

    @property
    def record(self) -> str:
        return self.item.rsplit("/", 2)[0]

    @property
    def mean(self) -> float | None:
        """MLE: the mean of the three scales; None where one is missing."""
        if self.type is None or self.location is None or self.logic is None:
            return None
        # Means of samples are not exact: equal ones must stay equal.
        return round((self.type + self.location + self.logic) / 3, 9)


_EXPECTED: dict[str, str] = {
    "rater": "a name",
    "item": "`<record>/<question>/<answer>`",
    "place": "a whole number from 1",
    **dict.fromkeys(map(str, SCALES), "a number from 1 to 5, or nothing where there is no score"),
}


def read_scores(paths: Sequence[Path]) -> list[Rating]:
    """Read files of ratings, which may hold one rater or several.

    Raises:
        EvalError: a file, line or value is not right, or a rater rates an item twice.
    """
    found: dict[tuple[str, str], str] = {}
    ratings = []
    for path in paths:
        for line, rating in _read(path):
            here = f"{str(path)!r}, line {line}"
            first = found.setdefault((rating.rater, rating.item), here)
            if first != here:
                raise EvalError(
                    f"FILE {here}: rater {rating.rater!r} has rated item {rating.item!r} already, in {first}; "
                    "expected one line a rater and item; delete one of the two"
                )
            ratings.append(rating)
    return ratings


def _read(path: Path) -> Iterator[tuple[int, Rating]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise EvalError(
            f"FILE {str(path)!r}: cannot be read ({error.strerror}); expected CSV or JSON lines of scores"
        ) from error
    except UnicodeDecodeError as error:
        raise EvalError(f"FILE {str(path)!r}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    if not text.strip():
        raise EvalError(
            f"FILE {str(path)!r}: is empty; expected CSV with the columns {', '.join(NEEDED)}, or JSON lines"
        )
    for line, row in _json_rows(text) if text.lstrip().startswith("{") else _csv_rows(path, text):
        try:
            # Strings are numbers in CSV alone.
            yield (
                line,
                Rating.model_validate_json(row, strict=True) if isinstance(row, str) else Rating.model_validate(row),
            )
        except ValidationError as error:
            raise EvalError(f"FILE {str(path)!r}, line {line}: {_fault(error)}; mend the line or delete it") from error


def _json_rows(text: str) -> Iterator[tuple[int, str]]:
    # Not splitlines: a text may hold other line breaks, which JSON leaves as they are.
    for line, row in enumerate(text.split("\n"), 1):
        if row.strip():
            yield line, row


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, str | None]]]:
    head = text.partition("\n")[0]
    # Where the comma is the decimal sign, spreadsheets write semicolons.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if head.count(";") > head.count(",") else ",")
    names, begins = list[str](), 1
    try:
        for cells in reader:
            if not names:
                names = [cell.strip() for cell in cells]
                if missing := [name for name in NEEDED if name not in names]:
                    raise EvalError(
                        f"FILE {str(path)!r}, line 1: has no column {', '.join(missing)}; expected {', '.join(NEEDED)}"
                    )
            elif any(cell.strip() for cell in cells):
                row = dict.fromkeys(names) | dict(zip(names, (cell.strip() or None for cell in cells), strict=False))
                yield begins, row
            begins = reader.line_num + 1
    except csv.Error as error:
        raise EvalError(f"FILE {str(path)!r}, line {begins}: is not CSV ({error}); save it as CSV UTF-8") from error


def _fault(error: ValidationError) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    expected = _EXPECTED.get(name, first["msg"])
    if not name:
        return f"is no JSON object with the keys {', '.join(NEEDED)} ({first['msg']})"
    return (
        f"{name} is missing, expected {expected}"
        if first["type"] == "missing"
        else f"{name} {first['input']!r}, expected {expected}"
    )


def write_scores(path: Path, rater: str, scores: Mapping[str, MleScore]) -> None:
    """Write the scores of a judge, or of anyone, as a CSV that `read_scores` reads.

    Args:
        path: of the file; one that is there is replaced.
        rater: such as the name of the judge.
        scores: by item.

    Raises:
        EvalError: an item is no `<record>/<question>/<answer>`.
        OSError: the file cannot be written.
    """
    out = io.StringIO(newline="")
    table = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    table.writeheader()
    for item, score in scores.items():
        row = {"rater": rater, "item": item, **score.model_dump(include={*SCALES, "unscored"})}
        try:
            Rating.model_validate(row)
        except ValidationError as error:
            raise EvalError(f"scores: {_fault(error)}") from error
        table.writerow(row)
    path.write_text(out.getvalue(), encoding="utf-8", newline="")


def item_ids(record: PreferenceRecord) -> list[list[str]]:
    """The items of an AD-PL record: a list a question, in it an id an answer, in the order of the record.

    They depend on what the texts say, not on the order of the answers, so that files in which different people put the
    same answers into order name them alike.
    """
    return [
        [_item(record, number, question.question_en, option.answer_en) for option in question.answer_options]
        for number, question in enumerate(record.question_answer, 1)
    ]


def _item(pair: Any, number: int, question: str, answer: str) -> str:
    """`pair` is a record, or a pair of a folder of rankings: both name two images and a kind of questions."""
    asked = _digest(pair.reference_image, pair.pair_type, str(number), question)
    return f"{pair.test_image}/{asked}/{_digest(answer)}"


def _digest(*texts: str) -> str:
    # AD-PL takes answers that differ in spaces and capitals alone as the same.
    told = [" ".join(text.split()).casefold() for text in texts]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:8]


def ratings_of_records(records: Iterable[PreferenceRecord], rater: str) -> list[Rating]:
    """What AD-PL records themselves say of their answers, as a rater: the order, best first, which in an export of
    `sage-iad data rank` is that of people; and the scores of made answers, where the records hold them."""
    found = []
    for record in records:
        for question, items in zip(record.question_answer, item_ids(record), strict=True):
            for place, (option, item) in enumerate(zip(question.answer_options, items, strict=True), 1):
                made = option.scores.model_dump() if option.scores else dict.fromkeys(SCALES)
                found.append(Rating.model_validate({"rater": rater, "item": item, "place": place, **made}))
    return found


def judged(
    records: Iterable[PreferenceRecord], judge: Judge, truth_of: Callable[[PreferenceRecord, RankedQuestion], Truth]
) -> dict[str, MleScore]:
    """A judge's scores of all answers that AD-PL records give, by item; `truth_of` says what is known of a question."""
    return {
        item: judge.judge(option.answer_en, truth)
        for record in records
        for question, items in zip(record.question_answer, item_ids(record), strict=True)
        for truth in [truth_of(record, question)]
        for option, item in zip(question.answer_options, items, strict=True)
    }


def orders_of_folder(folder: RankFolder) -> list[Rating]:
    """The orders that each rater of a folder of `sage-iad data rank` has given, and that still hold.

    Raises:
        RankError: the folder cannot be read.
    """
    questions = folder.questions()
    found = []
    for (rater, id), ranking in folder.rankings().items():
        asked = questions[id]
        for place, letter in enumerate(ranking.order, 1):
            item = _item(asked.pair, asked.number, asked.asked.question, asked.answer(letter))
            found.append(Rating(rater=rater, item=item, type=None, location=None, logic=None, place=place))
    return found


def score_sheet(records: Iterable[PreferenceRecord], rater: str) -> str:
    """The text of a CSV to fill in: an answer a line, beside question and best answer, not in the order of the records."""
    out = io.StringIO(newline="")
    table = csv.writer(out, lineterminator="\n")
    table.writerow([*NEEDED, "photo", "question", "right", "best_answer", "answer"])
    for record in records:
        for question, items in zip(record.question_answer, item_ids(record), strict=True):
            options = question.answer_options
            # By digest: whoever scores must not see which answer the record has first.
            for item, option in sorted(zip(items, options, strict=True), key=lambda pair: pair[0]):
                shown = [
                    record.test_image,
                    question.question_en,
                    question.answer,
                    options[0].answer_en,
                    option.answer_en,
                ]
                table.writerow([rater, item, *[""] * len(SCALES), *shown])
    return out.getvalue()
