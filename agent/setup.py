"""What one inspection, or a session about one photo, works with."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.conversation import ReviewRule
from agent.fusion import Fusion
from agent.graph import build_graph
from agent.images import LoadedImage
from agent.nodes import Knowledge
from agent.report import Depth
from tools.detector import Detector
from tools.images import ImageStore
from tools.toolbox import TEST

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

    from agent.model import Vlm
    from agent.state import InspectionState


@dataclass(frozen=True)
class Setup:
    """The parts of it."""

    photo: LoadedImage
    references: Sequence[LoadedImage]
    category: str | None
    """As given."""
    family: str | None
    """Product family of the fact store, where `category` is one."""
    detector: Detector
    images: ImageStore
    reference_ids: Sequence[str]
    tools: Sequence[BaseTool]
    facts: Knowledge
    fusion: Fusion
    notes: Sequence[str]
    """How the photo was read, for the report."""

    def graph(
        self,
        vlm: Vlm,
        *,
        more: Sequence[BaseTool] = (),
        review: Collection[ReviewRule] = (),
        checkpoints: BaseCheckpointSaver[str] | None = None,
    ) -> CompiledStateGraph[InspectionState]:
        """The agent's graph over these parts; see `agent.graph.build_graph`."""
        return build_graph(
            vlm=vlm,
            tools=[*self.tools, *more],
            facts=self.facts,
            images=self.images,
            fusion=self.fusion,
            review=review,
            checkpoints=checkpoints,
        )

    def beginning(self, depth: Depth, question: str | None = None, loaded_ms: float = 0.0) -> dict[str, Any]:
        """The state an inspection starts from."""
        return {
            "image_id": TEST, "reference_ids": list(self.reference_ids), "category": self.family, "question": question,
            "setting": self.detector.setting, "depth": depth, "evidence": [], "warnings": list(self.notes), "timings": {"load": loaded_ms},
        }  # fmt: skip
