"""What a session tells while it works: steps in words, tokens, replies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.conversation import Call, Turn
from agent.report import InspectionReport
from agent.vlm.prompt import Plan
from tools.evidence import Evidence


@dataclass(frozen=True)
class Token:
    """A piece of an answer as it is written."""

    text: str


@dataclass(frozen=True)
class Step:
    """A finished step."""

    node: str
    """Of the graph, such as `gather`."""
    text: str
    """What came of it, in words."""
    looks: tuple[Evidence, ...] = ()
    """What was found in it."""


@dataclass(frozen=True)
class Reply:
    """An answer."""

    text: str
    """With the ids of the facts and evidence it rests on."""
    cites: list[str]
    report: InspectionReport
    """As it stands after the answer."""
    turn: Turn


def step_of(node: str, update: Mapping[str, Any]) -> Step | None:
    """A finished node in words; None for one that a person has nothing to learn from."""
    looks = (*update.get("evidence", ()), *update.get("fresh", ()))
    if node == "propose":
        return Step(node, _plan(update["plan"]))
    if node == "gather":
        found = [_look(look) for look in looks]
        return Step(node, "; ".join([*found, *update.get("warnings", ())]) or "nothing more to look at", looks)
    if node == "reason":
        calls: list[Call] = [call for call in update.get("calls", ()) if call.name]
        return Step(node, "wants " + ", ".join(map(_call, calls))) if calls else None
    if node == "act":
        new = looks[-1:] if "fresh" in update else ()
        told = [_look(look) for look in new] + [f"failed: {line}" for line in update.get("failed", [])[-1:]]
        return Step(node, "; ".join(told), new) if told else None
    if node == "verify":
        return _checked(update)
    if node == "report":
        return Step(node, f"verdict: {update['verdict']}, score {update['anomaly_score']:.2f}")
    if node == "correct":
        return Step(node, "the correction is kept", looks)
    return None


def _plan(plan: Plan) -> str:
    known = f"takes it for {plan.category.replace('_', ' ')}" if plan.category else ""
    wants = f"wants {', '.join(plan.looks)}" if plan.looks else ""
    suspects = f"wants facts on {', '.join(plan.facts).replace('_', ' ')}" if plan.facts else ""
    return "; ".join(part for part in (known, wants, suspects) if part) or "has no wishes"


def _look(look: Evidence) -> str:
    return f"{look.tool.replace('_', ' ')}: {look.summary}"


def _call(call: Call) -> str:
    said = ", ".join(f"{value}" for value in call.arguments.values())
    return f"{call.name.replace('_', ' ')} ({said})" if said else call.name.replace("_", " ")


def _checked(update: Mapping[str, Any]) -> Step | None:
    if update.get("critique"):
        count = len(update["critique"])
        return Step(
            "verify", f"checked: {count} sentence{'s' if count != 1 else ''} not supported; asks for a better answer"
        )
    steps = update["turns"][-1].steps if update.get("turns") else update.get("reasoning", [])
    held = sum(step.supported for step in steps)
    return Step("verify", f"checked: {held} of {len(steps)} sentences hold against what they cite") if steps else None
