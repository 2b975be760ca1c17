"""Looks that an inspection always takes, and those the model asked for: which tool is called on what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.tools import BaseTool

from tools.evidence import Evidence

CLOSE_LOOKS = ("zoom", "measure", "compare")
"""Looks at a place; the heat map comes before them and names the place."""


def take_looks(
    tools: Mapping[str, BaseTool], image_id: str, wanted: Sequence[str], first: int = 1
) -> Iterator[Evidence]:
    """Call the heat map and then the `wanted` looks at its strongest region, or at its peak where no region stands out.

    Yields evidence with ids from `E{first}` on.
    """
    heat = call(tools, "heatmap", {"image_id": image_id}, first)
    yield heat
    regions = heat.values["regions"]
    box = regions[0]["box_px"] if regions else heat.values["peak_box_px"]
    for name in CLOSE_LOOKS:
        # Nothing stands out: there is no region whose size could be measured.
        if name not in wanted or name not in tools or (name == "measure" and not regions):
            continue
        first += 1
        yield call(tools, name, {"image_id": image_id, "box": box}, first)


def call(tools: Mapping[str, BaseTool], name: str, arguments: dict[str, Any], number: int) -> Evidence:
    """Call a tool and number its evidence."""
    message = tools[name].invoke({"type": "tool_call", "name": name, "args": arguments, "id": f"E{number}"})
    evidence: Evidence = message.artifact
    return evidence.model_copy(update={"id": f"E{number}"})
