"""The nouns of an investigation session: turns, corrections by a person, and what an inspection waits for."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from agent.report import Answer, ReasoningStep, Verdict
from knowledge.facts import Fact
from tools.evidence import Evidence

ReviewRule = Literal["uncertain", "critical", "at odds"]
"""When an inspection waits for a person: no clear verdict, a critical finding, or detector and model on different sides."""
REVIEW_RULES: tuple[ReviewRule, ...] = get_args(ReviewRule)


class _Noun(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Call(_Noun):
    """A tool call that the model asked for."""

    name: str
    arguments: dict[str, object] = Field(default_factory=dict)


class Turn(_Noun):
    """One question of a person and what came of it."""

    number: int
    """From 1."""
    question: str
    answer: Answer
    steps: list[ReasoningStep]
    """The answer sentence by sentence, each held against what it cites."""
    looks: list[Evidence]
    """What the tools found for it, in the order of the calls."""
    facts: list[Fact]
    """Those looked up for it."""
    failed: list[str] = Field(default_factory=list)
    """Calls that found nothing, and why."""


class Correction(_Noun):
    """What a person says instead of the agent; None where they agree with it."""

    by: str
    """Who; any name."""
    at: datetime
    why: str
    verdict: Literal["normal", "anomalous"] | None = None
    box: tuple[int, int, int, int] | None = None
    """x0, y0, x1, y1 in pixels of the photo, end exclusive."""
    defect_type: str | None = None
    """Snake case."""
    answer: str | None = None
    """What the agent should have answered to `question`."""
    turn: int | None = None
    """The number of the turn whose answer is corrected; None: the verdict's."""
    question: str | None = None
    """Its question."""
    instead_of: str = ""
    """What the agent had said to that question."""
    verdict_before: Verdict = "uncertain"


class Acceptance(_Noun):
    """A person lets the agent's verdict stand."""

    by: str
    at: datetime
    why: str = ""


class Pause(_Noun):
    """What the agent waits for before it goes on."""

    kind: Literal["review", "question"]
    text: str
    """The question to the person, or why a review is due."""
