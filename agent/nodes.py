"""What the agent does at each step of the graph; `agent.graph` says which step follows which."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from agent.conversation import Call, Turn
from agent.findings import UNCLASSIFIED, build_findings
from agent.fusion import Fusion
from agent.gather import CLOSE_LOOKS, FAILURES, call, take_looks
from agent.model import REFUSED
from agent.person import ASK_PERSON, next_look
from agent.report import Answer, ReasoningStep, Verdict
from agent.state import InspectionState, Update, evidence_by_id, facts_by_id, texts_by_id
from agent.verify import problems_of, verdict_problems
from agent.vlm.chat import probability_true
from agent.vlm.prompt import (
    VERDICT_QUESTION,
    NumberedFact,
    Plan,
    Views,
    one_line,
    plan_text,
    question_text,
    read_answer,
    read_plan,
)
from agent.vlm.quotes import quoted
from knowledge.facts import Fact
from tools.evidence import Evidence
from tools.images import ImageStore
from tools.toolbox import FactSource

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool
    from PIL import Image

    from agent.model import Vlm

MAX_ROUNDS = 2
"""How often the model is asked what it needs: before it has evidence, and once more with it."""
MAX_CALLS = 6
"""Tool calls of the model's own for one question; then it has to answer with what it has."""
MAX_REPAIRS = 1
MOST_FACTS = 16
"""Put before the model at once."""
LOOKED = 4
"""Pieces of evidence that a follow-up question sees from those before it."""
REMEMBERED = 6
"""Turns in the state; a model that follows instructions reads them."""


class Knowledge(FactSource, Protocol):
    """Facts, and the names of product families and defects."""

    def resolve_category(self, name: str) -> str | None:
        """The family of the fact store that `name` stands for, or None."""
        ...

    def defect_types(self) -> frozenset[str]:
        """Every defect type that a fact is about, snake case."""
        ...


class Nodes:
    """Everything but a person's part, which is in `agent.person`."""

    def __init__(
        self, vlm: Vlm, tools: Mapping[str, BaseTool], facts: Knowledge, images: ImageStore, fusion: Fusion
    ) -> None:
        self.vlm, self.tools, self.facts, self.images, self.fusion = vlm, tools, facts, images, fusion

    def propose(self, state: InspectionState) -> Update:
        """Self-guided: the model says what the object is, and which looks and facts it wants."""
        evidence, facts = self._known(state)
        reply = self._ask(state, plan_text(evidence, facts), close_up=bool(evidence), max_tokens=64)
        plan = read_plan(str(reply.content))
        # The second plan adds to the first: what was asked for before and not again is still wanted.
        plan.facts = plan.facts or (state["plan"].facts if "plan" in state else [])
        category = state.get("category") or (self.facts.resolve_category(plan.category) if plan.category else None)
        return {"plan": plan, "category": category, "rounds": state.get("rounds", 0) + 1}

    def gather(self, state: InspectionState) -> Update:
        """Call tools: looks and the defects such parts have after the first plan, and what is known of the suspected
        defect after the second. Heat map and facts are never left out."""
        plan = state.get("plan") or Plan(looks=list(CLOSE_LOOKS))
        looks, failed = take_looks(self.tools, state["image_id"], plan.looks, state["evidence"])
        update: Update = {"evidence": looks, "warnings": failed}
        wanted = {
            "query": " ".join(plan.facts) or state.get("category") or "defect",
            "defect_types": plan.facts[:2],
            "category": state.get("category"),
        }
        asked = [item for item in state["evidence"] if item.tool == "query_facts"]
        if state["depth"] == "screen" or any(item.arguments == wanted for item in asked):
            return update
        found = call(self.tools, "query_facts", wanted, f"Q{len(asked) + 1}")
        return {**update, "evidence": [*looks, found], "facts": _facts_of(found)}

    def after_gather(self, state: InspectionState) -> str:
        """Ask the model again once it has evidence; then reason. A screening goes straight to the verdict."""
        return "propose" if state["depth"] == "full" and state["rounds"] < MAX_ROUNDS else "reason"

    def listen(self, state: InspectionState) -> Update:
        """Begin with the next question."""
        return {"reply": "", "calls": [], "called": 0, "fresh": [], "fresh_facts": [], "failed": [], "repairs": 0, "critique": []}  # fmt: skip

    def reason(self, state: InspectionState) -> Update:
        """Fuse facts and evidence into an answer to the question at hand, or into the tool calls it needs first."""
        update: Update = {"calls": []}
        if "vlm_score" not in state:
            # From the photos alone: a probability that knows of the heat map would count the detector twice.
            alone = self._ask(state, question_text(VERDICT_QUESTION, [], []), close_up=False, quiet=True, max_tokens=1)
            update["vlm_score"] = probability_true(alone)
        if state["depth"] == "screen":
            return {**update, "reply": ""}
        evidence, facts = self._known(state)
        first = "verdict" not in state
        said = self._said(state) if self.vlm.follows_instructions else []
        text = question_text(VERDICT_QUESTION if first else str(state["question"]), facts, evidence, said)
        critique = state.get("critique") or []
        notes = [f"Your last answer had faults; mend them: {one_line('; '.join(critique))}"] if critique else []
        if state.get("failed"):
            lines = one_line("; ".join(state["failed"]))
            framed = f"\n<data>\n{lines}\n</data>" if self.vlm.follows_instructions else f" {lines}"
            notes.append(f"Calls that failed:{framed}")
        # A model that was not trained to act on failed calls would make the same one again.
        may_call = not critique and (self.vlm.follows_instructions or not state.get("failed"))
        offered = list(self._tools(state).values()) if may_call and state.get("called", 0) < MAX_CALLS else []
        reply = self._ask(state, text, close_up=True, critique="\n".join(notes), tools=offered)
        if (why := reply.response_metadata.get(REFUSED)) and "asked" not in state:
            update["warnings"] = [
                f"the model's server takes no tool calls ({one_line(why)}); start it with tool calling on"
            ]
        calls = [Call(name=made["name"], arguments=made["args"]) for made in reply.tool_calls]
        problems = [str(bad.get("error") or bad.get("args")) for bad in reply.invalid_tool_calls]
        if offered and (calls or problems):
            failed = [
                *(state.get("failed") or []),
                *(f"the call cannot be read: {one_line(p)[:300]}" for p in problems),
            ]
            if calls:
                return {**update, "calls": calls, "failed": failed}
            return {**update, "calls": [Call(name="", arguments={})], "failed": failed}
        update |= {
            "reply": quoted(str(reply.content), texts_by_id(state)),
            "repairs": state.get("repairs", 0) + bool(critique),
        }
        return update | ({"asked": text} if first and not critique else {})

    def act(self, state: InspectionState) -> Update:
        """Make one tool call that the model asked for. One a step, so that none is made twice after a crash."""
        wanted, *rest = state["calls"]
        called = state.get("called", 0) + 1
        update: Update = {"calls": rest if called < MAX_CALLS else [], "called": called}
        if not wanted.name:  # It could not be read, which `reason` has noted.
            return update
        fresh, failed = state.get("fresh") or [], state.get("failed") or []
        try:
            found = self._call(wanted, state)
        except FAILURES as error:
            return {**update, "failed": [*failed, f"{wanted.name}: {one_line(str(error))[:300]}"]}
        update["fresh"] = [*fresh, found]
        if found.tool == "query_facts":
            known = {fact.id for fact in [*(state.get("facts") or []), *(state.get("fresh_facts") or [])]}
            new = [fact for fact in _facts_of(found) if fact.id not in known]
            update["fresh_facts"] = ([*(state.get("fresh_facts") or []), *new])[
                : max(0, MOST_FACTS - len(state.get("facts") or []))
            ]
        return update

    def verify(self, state: InspectionState) -> Update:
        """Hold each sentence against what it cites; faults go back once, what is left is flagged."""
        if state["depth"] == "screen":
            return {"critique": [], "reasoning": [], "said": ""}
        aliases, evidence, types = facts_by_id(state), evidence_by_id(state), self.facts.defect_types()
        value, sentences = read_answer(state["reply"])
        checked = [(s, problems_of(s, aliases, evidence, types)) for s in sentences]
        faults = [f"{s.text!r}: {', '.join(p)}" for s, p in checked if p]
        # To another question than the verdict, True may well mean that there is no defect.
        against = [] if "verdict" in state else verdict_problems(value, sentences, evidence)
        if (faults or against) and self.vlm.follows_instructions and state.get("repairs", 0) < MAX_REPAIRS:
            return {"critique": [*faults, *against]}
        names = {alias: fact.id for alias, fact in aliases.items()} | {alias: e.id for alias, e in evidence.items()}
        steps = [
            ReasoningStep(text=s.text, cites=[names.get(id, id) for id in s.cites], supported=not p) for s, p in checked
        ]
        fresh, fresh_facts = state.get("fresh") or [], state.get("fresh_facts") or []
        update: Update = {"critique": [], "calls": [], "fresh": [], "fresh_facts": []}
        if "verdict" not in state:
            warnings = [f"not supported by what it cites: {fault}" for fault in faults]
            warnings += [f"the model contradicts itself: {line}" for line in against]
            warnings += [f"tool call failed: {failed}" for failed in state.get("failed") or []]
            facts = [*(state.get("facts") or []), *fresh_facts]
            return {
                **update,
                "reasoning": steps,
                "said": state["reply"],
                "warnings": warnings,
                "evidence": fresh,
                "facts": facts,
            }
        turn = Turn(
            number=state.get("answered", 0) + 1,
            question=str(state["question"]),
            answer=_answer(state["reply"], names),
            steps=steps,
            looks=fresh,
            facts=fresh_facts,
            failed=state.get("failed") or [],
        )
        return {
            **update,
            "question": None,
            "turns": [*(state.get("turns") or []), turn][-REMEMBERED:],
            "answered": turn.number,
            "looked": [*(state.get("looked") or []), *(e for e in fresh if e.tool != "query_facts")][-LOOKED:],
            "looks": state.get("looks", 0) + sum(e.tool != "query_facts" for e in fresh),
            "lookups": state.get("lookups", 0) + sum(e.tool == "query_facts" for e in fresh),
        }

    def report(self, state: InspectionState) -> Update:
        """Fuse the two scores into the verdict and gather the findings."""
        heat = next(item for item in state["evidence"] if item.tool == "heatmap")
        detector, vlm = float(heat.values["score"]), state.get("vlm_score")
        score = self.fusion.fuse(detector, vlm)
        warnings = []
        verdict: Verdict = "anomalous" if score >= 0.5 else "normal"
        # A model whose word weighs nothing in this setting cannot call a verdict in question either.
        heard = vlm if self.fusion.vlm > 0 else None
        if heard is not None and (detector - 0.5) * (heard - 0.5) < 0 and abs(detector - heard) > 0.6:
            verdict = "uncertain"
            warnings.append(
                f"detector ({detector:.2f}) and model ({heard:.2f}) contradict each other; look at the part, or give more good photos"
            )
        if vlm is None:
            warnings.append("the model gave no log-probabilities of True and False; the score is the detector's alone")
        steps = state.get("reasoning", [])
        value, sentences = read_answer(state.get("said", ""))
        full = state["depth"] == "full"
        if full and value is None:
            warnings.append("the model's answer opens with neither True nor False")
        elif full and verdict != "uncertain" and value != (verdict == "anomalous"):
            warnings.append(
                f"the model's words say {'a defect' if value else 'no defect'}, the fused score says {verdict}"
            )
        if full and not steps:
            warnings.append("the model gave no reasons")
        findings, general = [], list[Fact]()
        if verdict != "normal":
            good = [s for s, step in zip(sentences, steps, strict=True) if step.supported] if value else []
            photo = self.images.photo(state["image_id"])
            general = (
                self.facts.search("what to do", kinds=["impact", "remedy"], defect_types=[UNCLASSIFIED]) if full else []
            )
            pixels = photo.width * photo.height
            findings = build_findings(good, facts_by_id(state), state["evidence"], pixels, general)
            general = general if findings[0].defect_type == UNCLASSIFIED else []
        if self.vlm.caveat and any(finding.defect_type != UNCLASSIFIED for finding in findings):
            warnings.append(self.vlm.caveat)
        against = verdict_problems(value, sentences, evidence_by_id(state))
        supported = sum(step.supported for step in steps) / max(1, len(steps) + len(against)) if full else 1.0
        agreement = 1.0 if heard is None else 1 - abs(detector - heard) / 2
        confidence = abs(2 * score - 1) * agreement * supported
        return {
            "verdict": verdict,
            "anomaly_score": score,
            "confidence": confidence,
            "findings": findings,
            "warnings": warnings,
            **({"facts": [*(state.get("facts") or []), *general]} if general else {}),
        }

    def _call(self, wanted: Call, state: InspectionState) -> Evidence:
        fresh = state.get("fresh") or []
        asked = sum(e.tool == "query_facts" for e in [*state["evidence"], *fresh]) + state.get("lookups", 0)
        id = f"Q{asked + 1}" if wanted.name == "query_facts" else f"E{next_look(state)}"
        before = evidence_by_id(state) | {e.id: e for e in fresh if e.tool == "query_facts"}
        return call(self._tools(state), wanted.name, wanted.arguments, id, before)

    def _tools(self, state: InspectionState) -> dict[str, BaseTool]:
        """Those the model may call. Before the verdict nobody is asked: there is nothing yet that they could be shown."""
        return {name: tool for name, tool in self.tools.items() if "verdict" in state or name != ASK_PERSON}

    def _known(self, state: InspectionState) -> tuple[list[tuple[str, str]], list[NumberedFact]]:
        """Evidence and facts as they are put before the model."""
        evidence = [(alias, item.summary) for alias, item in evidence_by_id(state).items()]
        facts = [NumberedFact(alias, f.kind, f.defect_type, f.text) for alias, f in facts_by_id(state).items()]
        return evidence, facts

    def _said(self, state: InspectionState) -> list[tuple[str, str]]:
        """What was asked and answered before, so that `why?` has something to ask about."""
        if "verdict" not in state:
            return []
        names = {fact.id: alias for alias, fact in facts_by_id(state).items()}
        names |= {item.id: alias for alias, item in evidence_by_id(state).items()}
        turns = [(turn.question, _renamed(turn.answer.text, names)) for turn in state.get("turns") or []]
        return [(VERDICT_QUESTION, state["said"]), *turns]

    def _ask(self, state: InspectionState, text: str, *, close_up: bool, critique: str = "", **limits: Any) -> Any:
        photos, views = shown(state, self.images, close_up=close_up)
        return self.vlm.ask(photos, views, text, critique, **limits)


def shown(state: InspectionState, images: ImageStore, *, close_up: bool) -> tuple[list[Image.Image], Views]:
    """The photos put before the model: test, references and, where one was taken, the close-up: the last for this question,
    or the first of the inspection."""
    looks = [*reversed(state.get("fresh") or []), *state["evidence"]]
    crops = [id for item in looks if item.tool == "zoom" for id in item.image_ids][:1] if close_up else []
    photos = [images.photo(id) for id in (state["image_id"], *state["reference_ids"], *crops)]
    return photos, Views(len(state["reference_ids"]), bool(crops))


def _facts_of(found: Evidence) -> list[Fact]:
    return [Fact.model_validate(fact) for fact in found.values["facts"]]


_ID = re.compile(r"\s*\[([^\[\]\s]+)\]")


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """An earlier answer with the ids of this prompt; of what is not in it any more, the id is left out."""
    return _ID.sub(lambda cited: f" [{names[cited[1]]}]" if cited[1] in names else "", text)


def _answer(reply: str, names: Mapping[str, str]) -> Answer:
    """An answer whose citations are the ids of facts and evidence, not the short ones of a prompt."""
    value, sentences = read_answer(reply)
    opening = [] if value is None else [f"{value}."]
    cited = [s.text + "".join(f" [{names.get(id, id)}]" for id in s.cites) for s in sentences]
    return Answer(value=value, text=" ".join([*opening, *cited]) or reply)
