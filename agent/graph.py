"""The agent as a LangGraph graph: an inspection, a person's review where one is due, and the questions that follow.

    propose ⇄ gather → reason ⇄ act → verify → report → review → listen → reason …

The verdict is the first question; those of a person go the same way, from `listen` on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from functools import wraps
from typing import TYPE_CHECKING

from langgraph.graph import END, START, StateGraph

from agent.conversation import ReviewRule
from agent.fusion import Fusion
from agent.nodes import Knowledge, Nodes
from agent.person import PersonNodes
from agent.state import InspectionState, Update
from tools.images import ImageStore

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

    from agent.model import Vlm

STEPS = 200
"""Of the graph at one go; its own budgets end it long before."""


def build_graph(
    *,
    vlm: Vlm,
    tools: Sequence[BaseTool],
    facts: Knowledge,
    images: ImageStore,
    fusion: Fusion,
    review: Collection[ReviewRule] = (),
    checkpoints: BaseCheckpointSaver[str] | None = None,
) -> CompiledStateGraph[InspectionState]:
    """The graph, from the parts it is given.

    Args:
        vlm: the model that reasons.
        tools: what it may call; `ask_person` only with `checkpoints`.
        facts: the fact store.
        images: photos and heat maps by id.
        fusion: of the detector's and the model's score.
        review: when to wait for a person; needs `checkpoints`.
        checkpoints: where finished steps are kept, so that a run can wait, or go on after a crash.
    """
    nodes = Nodes(vlm, {tool.name: tool for tool in tools}, facts, images, fusion)
    person = PersonNodes(images, review)
    graph = StateGraph(InspectionState)
    for name in ("propose", "gather", "reason", "act", "verify", "report", "listen"):
        graph.add_node(name, _timed(name, getattr(nodes, name)))  # type: ignore[call-overload]
    for name in ("review", "correct"):
        graph.add_node(name, getattr(person, name))
    graph.add_conditional_edges(START, _begin, ["propose", "gather", "listen", "correct", "review"])
    graph.add_edge("propose", "gather")
    graph.add_conditional_edges("gather", nodes.after_gather, ["propose", "reason"])
    graph.add_conditional_edges("reason", lambda s: "act" if s["calls"] else "verify", ["act", "verify"])
    graph.add_conditional_edges("act", lambda s: "act" if s["calls"] else "reason", ["act", "reason"])
    graph.add_conditional_edges("verify", _after_verify, ["reason", "report", "review"])
    graph.add_edge("report", "review")
    graph.add_conditional_edges("review", _after_review, ["correct", "listen", END])
    graph.add_edge("correct", "review")
    graph.add_edge("listen", "reason")
    return graph.compile(checkpointer=checkpoints)


def _begin(state: InspectionState) -> str:
    if state.get("correction"):
        return "correct"
    if "verdict" in state:
        return "listen" if state.get("question") else "review"
    return "propose" if state["depth"] == "full" else "gather"


def _after_verify(state: InspectionState) -> str:
    if state["critique"]:
        return "reason"
    return "review" if "verdict" in state else "report"


def _after_review(state: InspectionState) -> str:
    if state.get("correction"):
        return "correct"
    return "listen" if state.get("question") and state["depth"] == "full" else END  # a screening has no words


def _timed(name: str, node: Callable[[InspectionState], Update]) -> Callable[[InspectionState], Update]:
    @wraps(node)
    def run(state: InspectionState) -> Update:
        start = time.perf_counter()
        update = node(state)
        return {**update, "timings": {name: (time.perf_counter() - start) * 1000}}

    return run
