"""Looks that an inspection always takes, and those the model asked for: which tool is called on what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.tools import BaseTool, ToolException
from pydantic import ValidationError

from agent.vlm.prompt import one_line
from tools.evidence import Evidence
from tools.images import ToolError

FAILURES = (ToolError, ToolException, ValidationError)
"""What a call raises that the model is told of: a mistake of its own, or what a tool says with `ToolException`."""
MOST_SAID = 2_000
"""Characters that the model is told of what a tool of the user's own returns."""
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
            new.append(call(tools, name, {"image_id": image_id, "where": box}, f"E{before + len(new) + 1}"))
        except FAILURES as error:
            failed.append(f"{name} failed: {error}")
    return new, failed


def call(
    tools: Mapping[str, BaseTool],
    name: str,
    arguments: Mapping[str, Any],
    id: str,
    before: Mapping[str, Evidence] | None = None,
) -> Evidence:
    """Call a tool and give its evidence an id: E1, E2, … for looks, Q1, Q2, … for questions to the fact store.

    Args:
        tools: by name.
        name: of the tool.
        arguments: of the call.
        id: of the evidence.
        before: what is known, by the ids the model knows it by; no call is made a second time.

    Raises:
        ToolError, ToolException, pydantic.ValidationError: one of `FAILURES`.
    """
    if name not in tools:
        raise ToolError(f"there is no such tool; there are {', '.join(sorted(tools))}")
    _refuse_twice(name, dict(arguments), before or {})
    message = tools[name].invoke({"type": "tool_call", "name": name, "args": dict(arguments), "id": id})
    found = message.artifact
    if not isinstance(found, Evidence):  # a tool of the user's own
        said = one_line(str(message.content))[:MOST_SAID]
        if message.status == "error":
            raise ToolError(said)
        return Evidence(id=id, tool=name, arguments=dict(arguments), summary=said)
    _refuse_twice(found.tool, found.arguments, before or {})  # a place in words may be a box that was looked at
    return found.model_copy(update={"id": id})


def _refuse_twice(name: str, arguments: dict[str, Any], before: Mapping[str, Evidence]) -> None:
    for id, item in before.items():
        if (item.tool, item.arguments) == (name, arguments):
            raise ToolError(f"was called with these arguments before; what it found is [{id}]")
