"""AD-PL, the preference data of SAGE: image pairs, five questions each, four answers each, ranked best first.

The layout is that of the published set (Zang et al., ACM Multimedia 2025), as a JSON array or as JSON lines.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

QUESTIONS = 5
ANSWERS = 4
PairType = Literal["standard comparison", "defect identification", "defect diagnosis"]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""Text that says something."""


UNANSWERABLE: Literal["unanswerable"] = "unanswerable"
Verdict = bool | Literal["unanswerable"]


def _verdict(value: object) -> object:
    """In place of the union's own check, which would give an error for each of its members."""
    if isinstance(value, bool) or value == UNANSWERABLE:
        return value
    raise PydanticCustomError("verdict_type", "expected true, false or 'unanswerable'")


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
    reward: float | None = Field(default=None, allow_inf_nan=False)
    """Score of an evaluator, on any scale, higher is better; finite. It need not agree with the rank."""


class RankedQuestion(_Part):
    """A question on an image pair with its answers, best first."""

    question_en: Words
    question_cn: str | None = None
    answer: Annotated[Verdict, PlainValidator(_verdict)]
    """The right verdict: true, false, or `unanswerable` where no photo of the part can tell and to say so is right."""
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
    box: list[int] = Field(min_length=4, max_length=4)
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
    evidence: list[Words] | None = None
    """What tools found, a sentence each; an answer cites the first as [E1]. Known where the agent's own answers were ranked."""
    close_up: Words | None = None
    """Path of a photo of the place that the heat map points at, where the model was shown one."""
    defects: list[MarkedDefect] | None = None
    """Empty for a normal test image; none where nobody marked it."""
    differences: list[str] | None = None
    """How the test image differs from the reference though it is allowed, as `training.draw.allowed` names it."""
    rewarded_by: str | None = None
    """Which evaluator was asked for rewards; a question without them is one that it could not score."""

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
