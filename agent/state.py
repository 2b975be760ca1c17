"""What flows through the inspection graph. Images appear as ids; their pixels stay in the image store."""

from __future__ import annotations

import operator
from typing import Annotated, TypedDict

from agent.report import Depth, Finding, ReasoningStep, Verdict
from agent.vlm.prompt import Plan
from knowledge.facts import Fact
from tools.evidence import Evidence


def _merged(old: dict[str, float], new: dict[str, float]) -> dict[str, float]:
    return old | {key: old.get(key, 0.0) + value for key, value in new.items()}


class InspectionState(TypedDict, total=False):
    """State of one inspection; each node returns the keys it changes."""

    image_id: str
    reference_ids: list[str]
    category: str | None
    question: str | None
    depth: Depth
    plan: Plan
    rounds: int
    """How often the model was asked what it needs."""
    evidence: Annotated[list[Evidence], operator.add]
    facts: list[Fact]
    """In the order of their short ids F1, F2, …"""
    asked: str
    """The verdict question over facts and evidence, as put before the model."""
    vlm_score: float | None
    reply: str
    """The model's answer to the verdict question, as written."""
    answer: str | None
    """The model's answer to the user's own question, as written."""
    repairs: int
    critique: list[str]
    """What verification found wrong, for the model to mend."""
    reasoning: list[ReasoningStep]
    verdict: Verdict
    anomaly_score: float
    confidence: float
    findings: list[Finding]
    warnings: Annotated[list[str], operator.add]
    timings: Annotated[dict[str, float], _merged]
