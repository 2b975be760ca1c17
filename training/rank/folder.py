"""The folder raters work in: what was sampled, how people mended it, and in which order they put it.

    DIR/candidates.jsonl    one image pair a line: five questions, up to four answers each, in an order that stays
    DIR/wordings.jsonl      answers that people wrote or corrected; the newest of an answer holds
    DIR/rankings.jsonl      what raters said; the newest of a rater on a question holds

Lines are only ever added. A ranking holds for the very answers it was made on: when one of them is reworded, the
question is asked again.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

from training.adpl import ANSWERS, QUESTIONS, PairType, Words

LETTERS = "ABCD"
"""Names of the answers to a question."""


class RankError(ValueError):
    """A folder of rankings, or something to be put into it, is not right; the message says what was expected."""


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Candidate(_Line):
    """One answer of a model."""

    text: Words
    score: float | None = Field(ge=0, le=1)
    """Share of its sentences that hold against what they cite: a hint, not a grade. None where it has no sentence."""
    model: str
    temperature: float
    seed: int


class AskedQuestion(_Line):
    """A question with its sampled answers: A is the first. Fewer than four leave it open until a person adds one."""

    question: Words
    candidates: list[Candidate] = Field(max_length=ANSWERS)


class Pair(_Line):
    """An image pair with its questions."""

    id: Words
    test_image: Words
    """Path as given."""
    reference_image: Words
    domain: Words
    pair_type: PairType
    facts: dict[str, str]
    """Texts by id; an answer cites the first as [F1]."""
    evidence: list[str]
    """What the tools found, in words; an answer cites the first as [E1]."""
    questions: list[AskedQuestion] = Field(min_length=QUESTIONS, max_length=QUESTIONS)


class _Said(_Line):
    rater: Words
    given: AwareDatetime
    question: str
    """Id of the question."""


class Wording(_Said):
    """An answer as a person wrote it."""

    letter: str = Field(pattern=f"^[{LETTERS}]$")
    text: Words


class Ranking(_Said):
    """What a rater says of a question and its four answers."""

    verdict: bool
    """The right answer: true or false."""
    order: str
    """All four letters, the best first."""
    conclusion: Words | None = None
    seen: str
    """Digest of the answers it was made on."""

    @field_validator("order")
    @classmethod
    def _every_letter_once(cls, order: str) -> str:
        if sorted(order) != list(LETTERS):
            raise ValueError(f"order {order!r}, expected each of {LETTERS} once, the best first, such as CABD")
        return order


@dataclass(frozen=True)
class Question:
    """A question as it stands now."""

    id: str
    pair: Pair
    number: int
    """Of the pair's five, from 1."""
    answers: tuple[str | None, ...]
    """Four; None where none was sampled and nobody has written one yet."""

    @property
    def asked(self) -> AskedQuestion:
        return self.pair.questions[self.number - 1]

    @property
    def missing(self) -> str:
        """Letters without an answer."""
        return "".join(letter for letter, text in zip(LETTERS, self.answers, strict=True) if text is None)

    @property
    def seen(self) -> str:
        """Digest of the answers."""
        return hashlib.sha256(json.dumps(self.answers).encode()).hexdigest()[:16]

    def answer(self, letter: str) -> str:
        """The answer of a letter that is not missing."""
        text = self.answers[LETTERS.index(letter)]
        assert text is not None, f"{self.id} has no answer {letter}"
        return text

    def cited(self) -> list[str]:
        """The facts and evidence that answers cite, a line each: `[E1] Heat map: …`."""
        known = {f"[F{i}]": text for i, text in enumerate(self.pair.facts.values(), 1)}
        known |= {f"[E{i}]": text for i, text in enumerate(self.pair.evidence, 1)}
        return [f"{id} {text}" for id, text in known.items() if any(id in (answer or "") for answer in self.answers)]

    def score(self, letter: str) -> float | None:
        """The hint on an answer; None where a person wrote it."""
        place = LETTERS.index(letter)
        sampled = self.asked.candidates[place] if place < len(self.asked.candidates) else None
        return sampled.score if sampled is not None and sampled.text == self.answers[place] else None


def same(one: str, other: str) -> bool:
    """Whether two answers differ in nothing but spaces and capitals, as AD-PL compares them."""
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()


_L = TypeVar("_L", bound=_Line)


@dataclass(frozen=True)
class RankFolder:
    """A folder with candidates; what others add meanwhile is seen at the next call."""

    path: Path

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises RankError for a folder that nothing was sampled into."""
        if not (path / "candidates.jsonl").is_file():
            raise RankError(
                f"DIR {str(path)!r}: has no candidates.jsonl; expected a folder made by `sage-iad data rank sample`"
            )
        return cls(path)

    def pairs(self) -> list[Pair]:
        """In the order they were sampled."""
        return self._read("candidates.jsonl", Pair)

    def wordings(self) -> list[Wording]:
        """Oldest first."""
        return sorted(self._read("wordings.jsonl", Wording), key=lambda wording: wording.given)

    def questions(self) -> dict[str, Question]:
        """By id, pair after pair."""
        reworded = {(w.question, w.letter): w.text for w in self.wordings()}
        found: dict[str, Question] = {}
        for pair in self.pairs():
            for number, asked in enumerate(pair.questions, 1):
                id = f"{pair.id}:{number}"
                sampled = [candidate.text for candidate in asked.candidates] + [None] * ANSWERS
                answers = (reworded.get((id, letter), text) for letter, text in zip(LETTERS, sampled, strict=False))
                found[id] = Question(id, pair, number, tuple(answers))
        return found

    def newest(self) -> dict[tuple[str, str], Ranking]:
        """What each rater last said of each question, whether it still holds or not."""
        said = sorted(self._read("rankings.jsonl", Ranking), key=lambda ranking: ranking.given)
        return {(ranking.rater, ranking.question): ranking for ranking in said}

    def rankings(self) -> dict[tuple[str, str], Ranking]:
        """Those that hold, by rater and question."""
        seen = {id: question.seen for id, question in self.questions().items()}
        return {key: ranking for key, ranking in self.newest().items() if seen.get(ranking.question) == ranking.seen}

    def add_pair(self, pair: Pair) -> None:
        """Add a pair; the folder is made where there is none."""
        self._append("candidates.jsonl", pair)

    def reword(self, rater: str, question: Question, letter: str, text: str) -> None:
        """Write an answer, or correct one. Raises RankError where it says nothing, or the same as another."""
        if not text.strip():
            raise RankError(f"answer {letter} is empty, expected text")
        for other, answer in zip(LETTERS, question.answers, strict=True):
            if other != letter and answer is not None and same(answer, text):
                raise RankError(f"answer {letter} would be the same as answer {other}, expected one that differs")
        given = datetime.now(UTC)
        self._append(
            "wordings.jsonl", Wording(rater=rater, given=given, question=question.id, letter=letter, text=text)
        )

    def rank(self, rater: str, question: Question, verdict: bool, order: str, conclusion: str | None = None) -> None:
        """Keep what a rater says of a question. Raises RankError for one that is open, or another order than of all four."""
        if question.missing:
            raise RankError(f"question {question.id}: answer {question.missing[0]} is missing; write one first")
        try:
            ranking = Ranking(
                rater=rater, given=datetime.now(UTC), question=question.id, verdict=verdict, order=order,
                conclusion=conclusion, seen=question.seen,
            )  # fmt: skip
        except ValidationError as error:
            raise RankError(f"question {question.id}: {_first(error)}") from error
        self._append("rankings.jsonl", ranking)

    def _append(self, name: str, line: _Line) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        path = self.path / name
        # Half a line, left by a full disk or a lost connection, must not swallow the next one.
        torn = path.is_file() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
        with path.open("a", encoding="utf-8") as file:
            file.write(("\n" if torn else "") + line.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self, name: str, kind: type[_L]) -> list[_L]:
        path = self.path / name
        try:
            text = path.read_text(encoding="utf-8") if path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise RankError(f"{path}: cannot be read ({error})") from error
        read = []
        # Not splitlines: an answer may hold other line breaks, which JSON leaves as they are.
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            try:
                read.append(kind.model_validate_json(line))
            except ValidationError as error:
                raise RankError(f"{path}, line {number}: {_first(error)}; mend the line or delete it") from error
        return read


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(step) for step in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return message if message.startswith(place) else f"{place}: {message}"
