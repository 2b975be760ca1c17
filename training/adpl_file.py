"""Reads AD-PL files, and names the exact place of what is wrong in them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from PIL import Image
from pydantic import ValidationError

from training.adpl import MarkedDefect, PairType, PreferenceRecord, RankedQuestion
from training.data.mask import read_mask
from training.data.sample import DataError


@dataclass(frozen=True)
class AdplFault:
    """What is wrong at one place of a file."""

    place: str
    """`record 3, question 2, answer 4`, counted from 1; empty for the file as a whole."""
    problem: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}" if self.place else self.problem


def read_adpl(
    path: Path,
    images: Path | None = None,
    facts: Container[str] | None = None,
    seen: dict[str, str] | None = None,
) -> Iterator[PreferenceRecord | AdplFault]:
    """Read a file: its records in their order, and in place of what is none, the faults found there.

    Args:
        path: a JSON array of records, or JSON lines.
        images: folder that holds the images; where given, each image must be there, and each mask must fit its photo.
        facts: ids of the facts there are; where given, records may cite no others.
        seen: digests of records read before, to find those that are in two files; is added to.
    """
    seen = {} if seen is None else seen
    for number, value in enumerate(_values(path), 1):
        if isinstance(value, AdplFault):
            yield value
            continue
        try:
            record = PreferenceRecord.model_validate(value)
        except ValidationError as error:
            yield from (_fault(number, one) for one in error.errors())
            continue
        faults = list(faults_of(number, record, images, facts))
        first = seen.setdefault(_digest(record), f"record {number} of {path.name}")
        if first != f"record {number} of {path.name}":
            faults.append(AdplFault(f"record {number}", f"is the same as {first}"))
        if faults:
            yield from faults
        else:
            yield record


def _digest(record: PreferenceRecord) -> str:
    """Of what a record says; keys this package does not know are left out, and what an evaluator makes of its answers."""
    text = record.model_dump_json(
        include=set(PreferenceRecord.model_fields) - {"split", "rewarded_by"},
        exclude={"question_answer": {"__all__": {"answer_options": {"__all__": {"reward"}}}}},
    )
    return hashlib.sha256(text.encode()).hexdigest()


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
    whole = _decoded(text)
    if isinstance(whole, AdplFault):
        yield whole
        return
    if not isinstance(whole, list):
        yield AdplFault("", f"holds one {_kind(whole)}; expected an array of records, or one record a line")
        return
    if not whole:
        yield AdplFault("", "is an empty array; expected at least one record")
    yield from whole


def _lines(text: str) -> Iterator[Any]:
    whole = _decoded(text)  # a single record, over as many lines as it likes
    if not isinstance(whole, AdplFault):
        yield whole
        return
    # Not splitlines: a text may hold other line breaks, which JSON leaves as they are.
    for line, written in enumerate(text.split("\n"), 1):
        if written.strip():
            yield _decoded(written, line)


def _decoded(text: str, line: int = 0) -> Any:
    """The JSON value, or the fault; `line` where the text is one line of a file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        return AdplFault("", f"line {line or error.lineno}, column {error.colno}: is not JSON ({error.msg})")
    except (ValueError, RecursionError) as error:  # a number or a nesting beyond all bounds
        where = f"line {line}: " if line else ""
        return AdplFault("", f"{where}cannot be read as JSON ({' '.join(str(error).split())[:80]})")


_NAMES = {"question_answer": "question", "answer_options": "answer", "defects": "defect"}
_EXPECTED = {
    "string_type": "text",
    "string_too_short": "text that says something",
    "verdict_type": 'true, false or "unanswerable"',
    "list_type": "an array",
    "model_type": "an object",
    "too_short": "4 numbers",
    "too_long": "4 numbers",
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
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
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


UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What Pillow raises for a file that is no picture, is cut off, or is beyond all bounds."""
_CITED = re.compile(r"\[([FE])(\d+)\]")


def faults_of(
    number: int, record: PreferenceRecord, images: Path | None = None, facts: Container[str] | None = None
) -> Iterator[AdplFault]:
    """What is wrong with a record of the right form: files, facts, ranks."""
    here = f"record {number}"
    if images is not None:
        for key in ("test_image", "reference_image", "close_up"):
            name = getattr(record, key)
            problem = None if name is None else _photo_problem(images, name)
            if problem:
                yield AdplFault(here, f"{key} {problem}")
        for place, defect in enumerate(record.defects or [], 1):
            problem = _mask_problem(images, record.test_image, defect)
            if problem:
                yield AdplFault(f"{here}, defect {place}", problem)
    for id in record.facts or []:
        if facts is not None and id not in facts:
            yield AdplFault(here, f"fact {id!r} is not in the fact store")
    for place, question in enumerate(record.question_answer, 1):
        yield from _question_faults(f"{here}, question {place}", question, record)


def _question_faults(here: str, question: RankedQuestion, record: PreferenceRecord) -> Iterator[AdplFault]:
    scores = [option.scores.mean for option in question.answer_options if option.scores is not None]
    if 0 < len(scores) < len(question.answer_options):
        yield AdplFault(
            here, f"{len(scores)} of {len(question.answer_options)} answers have scores, expected all or none"
        )
    elif scores != sorted(scores, reverse=True):
        listed = ", ".join(f"{score:.2f}" for score in scores)
        yield AdplFault(here, f"answers are not best first: their mean scores are {listed}")
    rewards = sum(option.reward is not None for option in question.answer_options)
    if 0 < rewards < len(question.answer_options):
        yield AdplFault(here, f"{rewards} of {len(question.answer_options)} answers have rewards, expected all or none")
    opening = question.answer_options[0].answer_en[:5].casefold()
    if opening.startswith(("true", "false")) and opening.startswith("true") != question.answer:
        right = str(question.answer).lower()
        yield AdplFault(f"{here}, answer 1", f"opens with {opening.rstrip('.,')!r}, but the right verdict is {right}")
    shown = {"F": len(record.facts or []), "E": len(record.evidence or [])}
    for place, option in enumerate(question.answer_options, 1):
        cited = _CITED.findall(option.answer_en)
        beyond = [(kind, number) for kind, number in cited if not 1 <= int(number[:9]) <= shown[kind]]
        if beyond:
            kind, number = beyond[0]
            what = f"{shown[kind]} {'facts' if kind == 'F' else 'sentences of evidence'}"
            yield AdplFault(f"{here}, answer {place}", f"cites [{kind}{number}], but the record has {what}")


def below(folder: Path, name: str) -> Path | None:
    """The path of an image a record names; None where it would lie outside the folder."""
    try:
        path = (folder / name).resolve()
    except (OSError, ValueError):  # too long, or with a null character
        return None
    return path if path.is_relative_to(folder.resolve()) else None


def _photo_problem(images: Path, name: str) -> str | None:
    """What is wrong with a photo, if anything."""
    path = below(images, name)
    if path is None:
        return f"{_shown(name)} is no path below {str(images)!r}"
    try:
        if not path.is_file():
            return f"{_shown(name)} is not in {str(images)!r}"
        with Image.open(path) as picture:
            picture.load()
    except UNREADABLE as error:
        return f"{_shown(name)} cannot be read ({' '.join(str(error).split())[:80]})"
    return None


def _mask_problem(images: Path, photo: str, defect: MarkedDefect) -> str | None:
    """What is wrong with a mask, if anything; a photo that cannot be read is named elsewhere."""
    paths = below(images, photo), below(images, defect.mask)
    if paths[1] is None:
        return f"mask {_shown(defect.mask)} is no path below {str(images)!r}"
    try:
        marked = read_mask(paths[1])
    except DataError as error:
        return str(error)
    ys, xs = np.nonzero(marked)
    box = [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1]
    if box != defect.box:
        return f"box is {defect.box}, but its mask lies in {box}"
    try:
        if paths[0] is None or not paths[0].is_file():
            return None
        with Image.open(paths[0]) as picture:
            width, height = picture.size
    except UNREADABLE:
        return None
    if marked.shape != (height, width):
        return f"mask {_shown(defect.mask)} is {marked.shape[1]} x {marked.shape[0]} pixels, expected {width} x {height} as its photo"
    return None
