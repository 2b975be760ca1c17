"""MLE, multiscale logical evaluation: an answer about a part, scored 1 to 5 for type, location and logic.

Source: Zang et al., ACM Multimedia 2025, section 4. There, a language model judges; here a judge is anything with
`judge`, and what cannot be judged is *unscored* with a reason, never a number.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from training.adpl import Verdict

Scale = Literal["type", "location", "logic"]
SCALES: tuple[Scale, ...] = ("type", "location", "logic")
BEST, WORST = 5.0, 1.0
FaultKind = Literal[
    "wrong verdict", "no answer", "no verdict", "no reasons", "wrong reply", "wrong type", "no type", "wrong place", "no place", "wrong size", "wrong tone",
    "wrong difference", "unsupported claim", "fabricated citation", "contradiction",
]  # fmt: skip


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Fault(_Part):
    """Why points were taken off."""

    kind: FaultKind
    scale: Scale
    points: float = Field(gt=0)
    """What it costs on its scale; the sum may fall below the worst score, which it is cut at."""
    why: str
    """One line."""
    step: int | None = None
    """Number of the sentence at fault, from 0; None: of the answer as a whole."""
    finding: int | None = None
    """Number of the true defect it concerns, from 0; None: of no single one."""


def scales_of(faults: Iterable[Fault]) -> dict[Scale, float]:
    """What faults leave of the best scores. On *type* the gravest counts: a wrong kind said three times is one mistake. On
    the others they add up."""
    lost = dict.fromkeys(SCALES, 0.0)
    for fault in faults:
        before = lost[fault.scale]
        lost[fault.scale] = max(before, fault.points) if fault.scale == "type" else before + fault.points
    return {scale: max(WORST, BEST - points) for scale, points in lost.items()}


class MleScore(_Part):
    """An answer on the three scales, 1 (worst) to 5, or unscored with the reason."""

    type: float | None = Field(default=None, ge=1, le=5)
    location: float | None = Field(default=None, ge=1, le=5)
    logic: float | None = Field(default=None, ge=1, le=5)
    unscored: str | None = None
    """Why there is no score; None where there is one."""
    faults: tuple[Fault, ...] = ()
    """Every point the reference judge took off."""
    remarks: tuple[str, ...] = ()
    """A model judge's own reasons, one line each."""

    @model_validator(mode="after")
    def _whole_or_unscored(self) -> Self:
        missing = [scale for scale in SCALES if getattr(self, scale) is None]
        if (len(missing) == len(SCALES)) != (self.unscored is not None) or (missing and self.unscored is None):
            raise ValueError(f"scores for all of {', '.join(SCALES)}, or none of them and a reason in `unscored`")
        return self

    def part(self, *, step: int | None = None, finding: int | None = None) -> dict[Scale, float]:
        """The three scales of one sentence or of one true defect alone: the best score less what is wrong with just it."""
        return scales_of(
            fault
            for fault in self.faults
            if (step is not None and fault.step == step) or (finding is not None and fault.finding == finding)
        )

    @property
    def mean(self) -> float | None:
        """MLE proper; None where unscored."""
        if self.type is None or self.location is None or self.logic is None:
            return None
        return (self.type + self.location + self.logic) / 3


class TrueDefect(_Part):
    """A defect that is there."""

    defect_type: str | None = None
    """In the ontology of the fact store; None where nobody named it."""
    places: tuple[str, ...] = ()
    """Ninths of the photo it reaches into, most of it first, such as `upper left`; empty where nobody marked it."""
    box: tuple[int, int, int, int] | None = None
    """x0, y0, x1, y1 in pixels, end exclusive."""
    area_fraction: float | None = Field(default=None, ge=0, le=1)
    tone: Literal["darker", "brighter", "alike"] | None = None
    """Against its surround."""


class Citable(_Part):
    """A fact or a tool's evidence that an answer may cite."""

    text: str
    kind: str | None = None
    """Of a fact: object, defect, cause, impact, remedy or standard; of evidence: None."""
    defect_type: str | None = None
    places: tuple[str, ...] = ()
    """Ninths of the photo that evidence lies in."""


class Truth(_Part):
    """What is known of the part an answer is about, and what the answer could rest on."""

    anomalous: bool
    defects: tuple[TrueDefect, ...] = ()
    """Largest first; empty on a normal part, and on an anomalous one that nobody described."""
    question: str | None = None
    """What was asked; None: whether the part is defective."""
    answer: Verdict | None = None
    """The right reply to the question, `unanswerable` where no photo can tell; None where it is the verdict."""
    differences: tuple[str, ...] | None = None
    """Allowed differences from the reference that are there, as the data engine names them; None: unknown."""
    citable: dict[str, Citable] = Field(default_factory=dict)
    """By the id an answer cites, such as F1 or E2."""
    reference_answer: str | None = None
    """A right answer in words, for judges that compare texts."""


class Judge(Protocol):
    """Scores answers."""

    name: str
    """With its version: what a log has to say of who judged."""

    def judge(self, answer: str, truth: Truth) -> MleScore:
        """Score one answer, which opens with True or False and gives its reasons in sentences with cited ids."""
        ...


def judge_reference(answer: str, truth: Truth) -> MleScore:
    """Score an answer by what is known of the part, with a reason for every point taken off; see `evals.judges.reference`."""
    from evals.judges.reference import ReferenceJudge

    return ReferenceJudge().judge(answer, truth)
