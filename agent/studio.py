"""The agent's graph for LangGraph Studio (`langgraph dev`), and its picture: `python -m agent.studio` prints it as Mermaid.

Studio sets what a run is about in its configuration: `image`, a path; and, if you like, `references`, `category`, `model`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from PIL import Image

from agent.images import InputError, load_image
from agent.inspector import Inspector
from agent.state import InspectionState
from tools.images import ImageStore


async def graph(config: RunnableConfig) -> CompiledStateGraph[InspectionState]:
    """The graph over the photo of this configuration; without one it can be looked at, not run."""
    # Studio's server refuses what holds up its loop, and reading photos and models does.
    return await asyncio.to_thread(_graph, config)


def _graph(config: RunnableConfig) -> CompiledStateGraph[InspectionState]:
    chosen = config.get("configurable") or {}
    image = chosen.get("image")
    photo = load_image(Image.new("RGB", (64, 64)) if image is None else image)
    references = [load_image(path, argument="references") for path in chosen.get("references") or []]
    inspector = Inspector.shared(chosen.get("model"))
    setup = inspector.set_up(photo, references, ImageStore(), category=chosen.get("category"))

    def begin(state: InspectionState) -> dict[str, Any]:
        """What an inspection starts from; a question that follows one starts from what there is."""
        if image is None:
            raise InputError(
                "image=None: nothing to inspect; set `image`, the path of a photo, in the run's configuration"
            )
        question = state.get("question")
        return {} if "verdict" in state else setup.beginning("full", question)

    outer = StateGraph(InspectionState)
    outer.add_node("begin", begin)
    outer.add_node("agent", setup.graph(inspector.vlm))
    outer.add_edge(START, "begin")
    outer.add_edge("begin", "agent")
    outer.add_edge("agent", END)
    return outer.compile()


def picture() -> str:
    """The graph as a Mermaid diagram, without the frame that is for Studio."""
    inspector = Inspector.shared()
    setup = inspector.set_up(load_image(Image.new("RGB", (64, 64))), [], ImageStore())
    return setup.graph(inspector.vlm).get_graph().draw_mermaid()


if __name__ == "__main__":
    print(picture())
