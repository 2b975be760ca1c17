"""The inspection as a LangGraph graph: propose ⇄ gather → reason ⇄ verify → report."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol

from langgraph.graph import END, START, StateGraph

from agent.findings import UNCLASSIFIED, build_findings
from agent.fusion import Fusion
from agent.gather import CLOSE_LOOKS, call, take_looks
from agent.report import ReasoningStep, Verdict
from agent.state import InspectionState
from agent.verify import problems_of
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
from knowledge.facts import Fact
from tools.images import ImageStore
from tools.toolbox import FactSource

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool
    from langgraph.graph.state import CompiledStateGraph
    from PIL import Image

    from agent.model import Vlm

MAX_ROUNDS = 2
"""How often the model is asked what it needs: before it has evidence, and once more with it."""
MAX_REPAIRS = 1
Update = dict[str, Any]


class Knowledge(FactSource, Protocol):
    """Facts, and the names of product families and defects."""

    def resolve_category(self, name: str) -> str | None:
        """The family of the fact store that `name` stands for, or None."""
        ...

    def defect_types(self) -> frozenset[str]:
        """Every defect type that a fact is about, snake case."""
        ...


def build_graph(
    *, vlm: Vlm, tools: Sequence[BaseTool], facts: Knowledge, images: ImageStore, fusion: Fusion
) -> CompiledStateGraph[InspectionState]:
    """The graph of one inspection, from the parts it is given."""
    nodes = _Nodes(vlm, {tool.name: tool for tool in tools}, facts, images, fusion)
    graph = StateGraph(InspectionState)
    for name in ("propose", "gather", "reason", "verify", "report"):
        graph.add_node(name, _timed(name, getattr(nodes, name)))  # type: ignore[call-overload]
    graph.add_conditional_edges(START, lambda s: "propose" if s["depth"] == "full" else "gather", ["propose", "gather"])
    graph.add_edge("propose", "gather")
    graph.add_conditional_edges("gather", nodes.after_gather, ["propose", "reason"])
    graph.add_edge("reason", "verify")
    graph.add_conditional_edges("verify", lambda s: "reason" if s.get("critique") else "report", ["reason", "report"])
    graph.add_edge("report", END)
    return graph.compile()


def _timed(name: str, node: Callable[[InspectionState], Update]) -> Callable[[InspectionState], Update]:
    @wraps(node)
    def run(state: InspectionState) -> Update:
        start = time.perf_counter()
        update = node(state)
        return {**update, "timings": {name: (time.perf_counter() - start) * 1000}}

    return run


class _Nodes:
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
        facts = [Fact.model_validate(fact) for fact in found.values["facts"]]
        return {**update, "evidence": [*looks, found], "facts": facts}

    def after_gather(self, state: InspectionState) -> str:
        """Ask the model again once it has evidence; then reason. A screening goes straight to the verdict."""
        return "propose" if state["depth"] == "full" and state["rounds"] < MAX_ROUNDS else "reason"

    def reason(self, state: InspectionState) -> Update:
        """Fuse facts and evidence: the verdict question, and the user's own where there is one."""
        evidence, facts = self._known(state)
        text = question_text(VERDICT_QUESTION, facts, evidence)
        if state["depth"] == "screen":
            reply = self._ask(state, text, close_up=True, max_tokens=1)
            return {"vlm_score": probability_true(reply), "reply": ""}
        critique = (
            f"Your last answer had faults; mend them: {one_line('; '.join(state['critique']))}"
            if state.get("critique")
            else ""
        )
        reply = self._ask(state, text, close_up=True, critique=critique)
        update: Update = {"reply": str(reply.content), "repairs": state.get("repairs", 0) + bool(critique)}
        if critique:  # The verdict keeps the probability it had before the model was told of its faults.
            return update
        update |= {"vlm_score": probability_true(reply), "asked": text}
        if state.get("question"):
            update["answer"] = str(
                self._ask(state, question_text(str(state["question"]), facts, evidence), close_up=True).content
            )
        return update

    def verify(self, state: InspectionState) -> Update:
        """Hold each sentence against what it cites; faults go back once, what is left is flagged."""
        if state["depth"] == "screen":
            return {"critique": [], "reasoning": []}
        aliases, evidence = self._aliases(state), {item.id: item for item in state["evidence"]}
        types = self.facts.defect_types()
        checked = [(s, problems_of(s, aliases, evidence, types)) for s in read_answer(state["reply"])[1]]
        faults = [f"{s.text!r}: {', '.join(p)}" for s, p in checked if p]
        if faults and self.vlm.follows_instructions and state.get("repairs", 0) < MAX_REPAIRS:
            return {"critique": faults}
        steps = [
            ReasoningStep(
                text=s.text, cites=[aliases[id].id if id in aliases else id for id in s.cites], supported=not p
            )
            for s, p in checked
        ]
        warnings = [f"not supported by what it cites: {fault}" for fault in faults]
        for sentence in read_answer(state.get("answer") or "")[1]:
            if found := problems_of(sentence, aliases, evidence, types):
                warnings.append(f"in the answer, not supported by what it cites: {sentence.text!r}: {', '.join(found)}")
        return {"critique": [], "reasoning": steps, "warnings": warnings}

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
        value, sentences = read_answer(state.get("reply", ""))
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
            findings = build_findings(good, self._aliases(state), state["evidence"], pixels, general)
            general = general if findings[0].defect_type == UNCLASSIFIED else []
        if self.vlm.caveat and any(finding.defect_type != UNCLASSIFIED for finding in findings):
            warnings.append(self.vlm.caveat)
        supported = sum(step.supported for step in steps) / max(1, len(steps)) if full else 1.0
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

    def _known(self, state: InspectionState) -> tuple[list[tuple[str, str]], list[NumberedFact]]:
        """Evidence and facts as they are put before the model."""
        evidence = [(item.id, item.summary) for item in state["evidence"] if item.tool != "query_facts"]
        facts = [NumberedFact(alias, f.kind, f.defect_type, f.text) for alias, f in self._aliases(state).items()]
        return evidence, facts

    def _aliases(self, state: InspectionState) -> dict[str, Fact]:
        return {f"F{i}": fact for i, fact in enumerate(state.get("facts") or [], 1)}

    def _ask(self, state: InspectionState, text: str, *, close_up: bool, critique: str = "", **limits: Any) -> Any:
        photos, views = shown(state, self.images, close_up=close_up)
        return self.vlm.ask(photos, views, text, critique, **limits)


def shown(state: InspectionState, images: ImageStore, *, close_up: bool) -> tuple[list[Image.Image], Views]:
    """The photos put before the model: test, references and, where one was taken, the close-up."""
    crops = [id for item in state["evidence"] if item.tool == "zoom" for id in item.image_ids][:1] if close_up else []
    photos = [images.photo(id) for id in (state["image_id"], *state["reference_ids"], *crops)]
    return photos, Views(len(state["reference_ids"]), bool(crops))
