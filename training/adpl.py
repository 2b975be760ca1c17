"""AD-PL, the preference data of SAGE: image pairs, five questions each, four answers each, ranked best first.

The layout is that of the published set (Zang et al., ACM Multimedia 2025), as a JSON array or as JSON lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

QUESTIONS = 5
ANSWERS = 4
PairType = Literal["standard comparison", "defect identification", "defect diagnosis"]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""Text that says something."""


class _Part(BaseModel):
    # Other keys are kept: a record that is read and written again loses nothing.
    model_config = ConfigDict(extra="allow", strict=True)


class MleScores(_Part):
    """How good an answer is on each scale of MLE, 1 to 5; their mean ranks it."""

    type: int = Field(ge=1, le=5)
    location: int = Field(ge=1, le=5)
    logic: int = Field(ge=1, le=5)

    @property
    def mean(self) -> float:
        return (self.type + self.location + self.logic) / 3


class RankedAnswer(_Part):
    """One of the answers to a question; its rank is its place in the list."""

    answer_en: Words
    answer_cn: str | None = None
    scores: MleScores | None = None
    """Known for made answers, whose faults are known."""


class RankedQuestion(_Part):
    """A question on an image pair with its answers, best first."""

    question_en: Words
    question_cn: str | None = None
    answer: bool
    """The right verdict: true or false."""
    answer_options: list[RankedAnswer]
    conclusion_en: Words | None = None
    """In `defect diagnosis`, where each question has a conclusion of its own."""

    @model_validator(mode="after")
    def _four_that_differ(self) -> Self:
        if len(self.answer_options) != ANSWERS:
            raise ValueError(f"answer_options holds {len(self.answer_options)} answers, expected exactly {ANSWERS}")
        seen: dict[str, int] = {}
        for number, option in enumerate(self.answer_options, 1):
            first = seen.setdefault(" ".join(option.answer_en.split()).casefold(), number)
            if first != number:
                raise ValueError(f"answers {first} and {number} are the same, expected {ANSWERS} that differ")
        return self


class MarkedDefect(_Part):
    """A defect of the test image whose place is known."""

    defect_type: Words
    severity: float = Field(ge=0, le=1)
    """0 barely visible to 1 plain to anyone."""
    box: tuple[int, int, int, int]
    """x0, y0, x1, y1 in pixels, end exclusive."""
    mask: Words
    """Path of a grey picture of the photo's size, white on the defect, below the folder of images."""


class PreferenceRecord(_Part):
    """One image pair with its five questions.

    The published set has the fields up to `conclusion_en`; those after it are known for made records.
    """

    domain: Words
    test_image: Words
    """Path below the folder of images."""
    reference_image: Words
    """Of a normal part of the same product."""
    pair_type: PairType
    question_answer: list[RankedQuestion]
    conclusion_en: Words | None = None
    """For all questions together; in `defect diagnosis` each has its own instead."""
    split: str | None = None
    family: str | None = None
    """Which product was drawn."""
    facts: list[str] | None = None
    """Ids of facts; an answer cites the first as [F1]."""
    defects: list[MarkedDefect] | None = None
    """Empty for a normal test image; none where nobody marked it."""

    @model_validator(mode="after")
    def _five_with_conclusions(self) -> Self:
        if len(self.question_answer) != QUESTIONS:
            raise ValueError(
                f"question_answer holds {len(self.question_answer)} questions, expected exactly {QUESTIONS}"
            )
        if self.pair_type == "defect diagnosis":
            without = [n for n, question in enumerate(self.question_answer, 1) if question.conclusion_en is None]
            if without:
                listed = ", ".join(map(str, without))
                raise ValueError(f"questions {listed} have no conclusion_en, which `defect diagnosis` expects in each")
        elif self.conclusion_en is None:
            raise ValueError(f"conclusion_en is missing, which {self.pair_type!r} expects beside question_answer")
        return self


@dataclass(frozen=True)
class AdplFault:
    """What is wrong at one place of a file."""

    place: str
    """`record 3, question 2, answer 4`, counted from 1; empty for the file as a whole."""
    problem: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}" if self.place else self.problem


def read_adpl(path: Path, images: Path | None = None) -> Iterator[PreferenceRecord | AdplFault]:
    """Read a file: its records in their order, and in place of what is none, the faults found there.

    Args:
        path: a JSON array of records, or JSON lines.
        images: folder that holds the images; where given, each image must be there.
    """
    seen: dict[str, int] = {}
    for number, value in enumerate(_values(path), 1):
        if isinstance(value, AdplFault):
            yield value
            continue
        try:
            record = PreferenceRecord.model_validate(value)
        except ValidationError as error:
            yield from (_fault(number, one) for one in error.errors())
            continue
        faults = list(_missing(number, record, images)) if images is not None else []
        first = seen.setdefault(record.model_dump_json(), number)
        if first != number:
            faults.append(AdplFault(f"record {number}", f"is the same as record {first}"))
        if faults:
            yield from faults
        else:
            yield record


def _values(path: Path) -> Iterator[Any]:
    """The values of the array, or of the lines."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        yield AdplFault("", f"cannot be read ({error.strerror}); expected a JSON file of AD-PL records")
        return
    except UnicodeDecodeError as error:
        yield AdplFault("", f"byte {error.start} is not UTF-8; save the file as UTF-8")
        return
    if not text.strip():
        yield AdplFault("", "is empty; expected a JSON array of AD-PL records, or one record a line")
        return
    if text.lstrip()[0] == "{":
        yield from _lines(text)
        return
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        yield AdplFault("", f"line {error.lineno}, column {error.colno}: is not JSON ({error.msg})")
        return
    if not isinstance(whole, list):
        yield AdplFault("", f"holds one {_kind(whole)}; expected an array of records, or one record a line")
        return
    if not whole:
        yield AdplFault("", "is an empty array; expected at least one record")
    yield from whole


def _lines(text: str) -> Iterator[Any]:
    try:
        yield json.loads(text)  # a single record, over as many lines as it likes
        return
    except json.JSONDecodeError:
        pass
    for line, written in enumerate(text.splitlines(), 1):
        if not written.strip():
            continue
        try:
            yield json.loads(written)
        except json.JSONDecodeError as error:
            yield AdplFault("", f"line {line}, column {error.colno}: is not JSON ({error.msg})")


_NAMES = {"question_answer": "question", "answer_options": "answer"}
_EXPECTED = {
    "string_type": "text",
    "string_too_short": "text that says something",
    "bool_type": "true or false",
    "list_type": "an array",
    "model_type": "an object",
    "literal_error": " or ".join(map(repr, get_args(PairType))),
}


def _fault(number: int, error: Any) -> AdplFault:
    """Pydantic's place, such as ('question_answer', 1, 'answer_options', 3, 'answer_en'), in words."""
    place, key = [f"record {number}"], ""
    for step in error["loc"]:
        if isinstance(step, int):
            place.append(f"{_NAMES.get(key, key)} {step + 1}")
            key = ""
        else:
            key = step
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        message = f"{key} is missing"
    elif error["type"] != "value_error":
        message = f"{key or 'it'} is {_shown(error['input'])}, expected {_EXPECTED.get(error['type'], message)}"
    return AdplFault(", ".join(place), message)


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return f"an {_kind(value)}" if isinstance(value, dict) else f"an array of {len(value)}"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _kind(value: object) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def _missing(number: int, record: PreferenceRecord, images: Path) -> Iterator[AdplFault]:
    for key in ("test_image", "reference_image"):
        name = getattr(record, key)
        if not (images / name).is_file():
            yield AdplFault(f"record {number}", f"{key} {name!r} is not in {str(images)!r}")
