"""What flows through the graph. Images appear as ids; their pixels stay in the image store."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

from agent.conversation import Acceptance, Call, Correction, Turn
from agent.report import Depth, Finding, ReasoningStep, Verdict
from agent.vlm.prompt import Plan
from knowledge.facts import Fact
from tools.evidence import Evidence

Update = dict[str, Any]
"""What a node changes."""


def _merged(old: dict[str, float], new: dict[str, float]) -> dict[str, float]:
    return old | {key: old.get(key, 0.0) + value for key, value in new.items()}


class InspectionState(TypedDict, total=False):
    """State of one inspection and of the questions after it; each node returns the keys it changes."""

    image_id: str
    reference_ids: list[str]
    category: str | None
    setting: str
    """Of the detector that the inspection began with."""
    depth: Depth
    plan: Plan
    rounds: int
    """How often the model was asked what it needs."""
    evidence: Annotated[list[Evidence], operator.add]
    """Of the inspection, and what persons said in correction; that of follow-up questions is in `looked`."""
    facts: list[Fact]
    """Of the inspection, in the order of their short ids F1, F2, …"""
    asked: str
    """The verdict question over facts and evidence, as put before the model."""
    vlm_score: float | None
    """The model's probability of *anomalous* from the photos alone."""
    verdict: Verdict
    anomaly_score: float
    confidence: float
    findings: list[Finding]
    reasoning: list[ReasoningStep]
    said: str
    """The model's answer to the verdict question, as written."""
    warnings: Annotated[list[str], operator.add]
    timings: Annotated[dict[str, float], _merged]

    # Of the question at hand: the verdict question first, then those of the person.
    question: str | None
    """The person's question that is to be answered next; None: no more."""
    reply: str
    """The model's answer, as written."""
    calls: list[Call]
    """Tool calls that the model asked for and that are still to be made."""
    called: int
    """How many were made for this question."""
    fresh: list[Evidence]
    """What they found."""
    fresh_facts: list[Fact]
    failed: list[str]
    """What was wrong with those that found nothing, for the model to act on."""
    repairs: int
    critique: list[str]
    """What verification found wrong, for the model to mend."""

    # Of the whole conversation; the older part is in the checkpoints, so that the state stays small.
    looked: list[Evidence]
    """The last few pieces of evidence from follow-up questions."""
    looks: int
    """How many there were in all."""
    lookups: int
    """How many questions to the fact store there were in them."""
    turns: list[Turn]
    """The last few."""
    answered: int
    """How many there were in all."""

    # A person's part.
    due: list[str]
    """Why a review is due; empty when none is."""
    correction: Correction | None
    """One that is to be applied next."""
    corrections: Annotated[list[Correction], operator.add]
    accepted: Acceptance | None


def facts_by_id(state: InspectionState) -> dict[str, Fact]:
    """The facts of the prompt, by the ids that the model knows them by."""
    known = [*(state.get("facts") or []), *(state.get("fresh_facts") or [])]
    return {f"F{i}": fact for i, fact in enumerate(known, 1)}


def evidence_by_id(state: InspectionState) -> dict[str, Evidence]:
    """By the ids of this prompt, which stay small however long the session is; in an inspection they are its own."""
    known = [*state["evidence"], *(state.get("looked") or []), *(state.get("fresh") or [])]
    return {f"E{i}": e for i, e in enumerate((e for e in known if e.tool != "query_facts"), 1)}


def texts_by_id(state: InspectionState) -> dict[str, str]:
    """What facts and evidence of the prompt say, for a model that points at them."""
    facts = {id: fact.text for id, fact in facts_by_id(state).items()}
    return facts | {id: item.summary for id, item in evidence_by_id(state).items()}
