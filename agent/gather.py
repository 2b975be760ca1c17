"""Looks that an inspection always takes, and those the model asked for: which tool is called on what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.tools import BaseTool

from tools.evidence import Evidence
from tools.images import ToolError

CLOSE_LOOKS = ("zoom", "measure", "compare")
"""Looks at a place; the heat map comes before them and names the place."""


def take_looks(
    tools: Mapping[str, BaseTool], image_id: str, wanted: Sequence[str], taken: Sequence[Evidence] = ()
) -> tuple[list[Evidence], list[str]]:
    """Call the heat map, and the `wanted` looks at its strongest region or, where none stands out, at its peak.

    What is among `taken` is not called again.

    Returns:
        The new evidence, its ids going on from those of `taken`, and a line for each close look that failed.
    """
    new: list[Evidence] = []
    before = sum(item.tool != "query_facts" for item in taken)  # which are numbered apart
    heat = next((item for item in taken if item.tool == "heatmap"), None)
    if heat is None:
        heat = call(tools, "heatmap", {"image_id": image_id}, f"E{before + 1}")
        new.append(heat)
    regions = heat.values["regions"]
    box = regions[0]["box_px"] if regions else heat.values["peak_box_px"]
    failed, done = [], {item.tool for item in taken}
    for name in CLOSE_LOOKS:
        # Nothing stands out: there is no region whose size could be measured.
        if name not in wanted or name not in tools or name in done or (name == "measure" and not regions):
            continue
        try:
            new.append(call(tools, name, {"image_id": image_id, "box": box}, f"E{before + len(new) + 1}"))
        except ToolError as error:
            failed.append(f"{name} failed: {error}")
    return new, failed


def call(tools: Mapping[str, BaseTool], name: str, arguments: dict[str, Any], id: str) -> Evidence:
    """Call a tool and give its evidence an id: E1, E2, … for looks, Q1, Q2, … for questions to the fact store."""
    message = tools[name].invoke({"type": "tool_call", "name": name, "args": arguments, "id": id})
    evidence: Evidence = message.artifact
    return evidence.model_copy(update={"id": id})
