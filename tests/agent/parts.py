"""Parts for tests of the agent: scripted models, a controllable eye, a few facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from PIL import Image
from pydantic import PrivateAttr

from agent.model import Vlm
from agent.report import ModelInfo
from agent.vlm.tool_calls import read_tool_calls
from knowledge.facts import Fact


class ScriptedChat(BaseChatModel):
    """Replays replies in order, records what it was asked, and fails when it has none left."""

    replies: list[tuple[str, float | None]]
    """Text, and the probability of True at its first token (None: no log-probabilities)."""
    _asked: list[list[BaseMessage]] = PrivateAttr(default_factory=list)
    _offered: list[list[str]] = PrivateAttr(default_factory=list)
    _limits: list[int | None] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.bind(tools=[tool.name for tool in tools], **kwargs)

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        assert len(self._asked) < len(self.replies), "the script has no reply left"
        text, p = self.replies[len(self._asked)]
        self._asked.append(messages)
        self._offered.append(kwargs.get("tools", []))
        self._limits.append(kwargs.get("max_tokens"))
        metadata: dict[str, Any] = {}
        if p is not None:
            top = [{"token": "True", "logprob": float(np.log(p))}, {"token": "False", "logprob": float(np.log(1 - p))}]
            metadata = {"logprobs": {"content": [{**top[0], "top_logprobs": top}]}}
        calls, problems, rest = read_tool_calls(text)
        message = AIMessage(
            content=rest,
            response_metadata=metadata,
            tool_calls=[{"name": c.name, "args": c.arguments, "id": f"call-{i}"} for i, c in enumerate(calls)],
            invalid_tool_calls=[
                {"type": "invalid_tool_call", "name": None, "args": "", "id": "bad", "error": problem}
                for problem in problems
            ],
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


def scripted(*replies: tuple[str, float | None], follows_instructions: bool = False) -> Vlm:
    """A model with a script."""
    info = ModelInfo(name="scripted", revision="0", stage="external")
    return Vlm(ScriptedChat(replies=list(replies)), info, side=32, follows_instructions=follows_instructions)


@dataclass(frozen=True)
class Seen:
    """Patches as an eye returns them."""

    features: np.ndarray
    defect: np.ndarray


class ColourEye:
    """Sees the mean colour of each cell: enough to find a spot of another colour."""

    revision = "colour"

    def patches(self, image: Image.Image, side: int | None = None) -> Seen:
        cells = np.asarray(image.resize((16, 16), resample=Image.Resampling.BOX), np.float32) / 255
        raised = np.concatenate([cells, np.ones((16, 16, 1), np.float32)], 2)
        return Seen(raised / np.linalg.norm(raised, axis=-1, keepdims=True), np.full((16, 16), 0.1, np.float32))


TYPES = ("scratch", "stain", "crack", "missing_part")
"""Defect types there are; facts are of the first two alone."""
FACTS = [
    Fact.create(f"A {kind} sentence about the {name} of a plate.", category="metal_surface", kind=kind, source="general practice", defect_type=name)
    for name in ("scratch", "stain")
    for kind in ("defect", "cause", "impact", "remedy")
] + [Fact.create("A plate is a flat part of rolled metal.", category="metal_surface", kind="object", source="general practice")]  # fmt: skip


GENERAL = [
    Fact.create(f"A {kind} sentence about the unknown.", category="generic_object", kind=kind, source="general practice", defect_type="unclassified")
    for kind in ("impact", "remedy")
]  # fmt: skip


class FewFacts:
    """A fact store of nine facts about a plate, and two about what is not known."""

    def search(
        self,
        query: str,
        *,
        category: str | None = None,
        kinds: Sequence[str] | None = None,
        defect_types: Sequence[str] | None = None,
        limit: int = 10,
    ) -> list[Fact]:
        found = [
            f
            for f in FACTS + GENERAL
            if (not kinds or f.kind in kinds) and (not defect_types or f.defect_type in defect_types)
        ]
        return found[:limit]

    def resolve_category(self, name: str) -> str | None:
        return "metal_surface" if "metal" in name else None

    def defect_types(self) -> frozenset[str]:
        return frozenset(TYPES)

    def categories(self) -> list[str]:
        return ["metal_surface"]


def plate(spot: bool, side: int = 96) -> Image.Image:
    """A grey plate, with a red spot in its upper left where asked for."""
    pixels = np.full((side, side, 3), 128, np.uint8)
    if spot:
        pixels[side // 12 : side // 4, side // 12 : side // 4] = (230, 20, 20)
    return Image.fromarray(pixels)
