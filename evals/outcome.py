"""What one photo gave: the record that a run keeps of every sample, in Inspect's log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from agent.report import Depth, InspectionReport, ModelInfo, ReasoningStep, Verdict
from evals.figures.maps import Box
from evals.mle import MleScore

if TYPE_CHECKING:
    from PIL import Image

    from agent.images import ImageSource
    from tools.detector import Detector


class Inspecting(Protocol):
    """The agent as an evaluation needs it; `agent.inspector.Inspector` is one."""

    def inspect(
        self,
        image: ImageSource,
        *,
        reference: ImageSource | Sequence[ImageSource] | None = None,
        category: str | None = None,
        question: str | None = None,
        depth: Depth = "full",
        detector: Detector | None = None,
    ) -> InspectionReport:
        """Inspect one photo; the report holds its pictures."""
        ...

    def fit(self, photos: Sequence[ImageSource], *, false_alarm_rate: float = ..., seed: int = 0) -> Detector:
        """A detector fitted to normal photos, to be passed to `inspect`."""
        ...

    def vlm_alone(
        self,
        image: ImageSource,
        *,
        reference: ImageSource | Sequence[ImageSource] | None = None,
        heat_map: Image.Image | None = None,
    ) -> float | None:
        """Probability of *anomalous* by the model without tools or facts, with the heat map as a further picture
        where it is given; None for a model that gives none."""
        ...


class Outcome(BaseModel):
    """One inspected sample."""

    model_config = ConfigDict(extra="forbid")

    id: str
    """Of the sample: its path below the data folder, unique over all products."""
    category: str
    """The product."""
    label: Literal[0, 1]
    defect_type: str
    verdict: Verdict
    score: float
    """The agent's anomaly score, 0..1."""
    detector: float | None
    """The detector's part of it alone, 0..1, 0.5 at its threshold."""
    vlm: float | None
    """The model asked alone, without tools or facts; not the part in the agent's score, which saw both."""
    vlm_heatmap: float | None = None
    """The same with the detector's heat map as a further picture."""
    boxes: list[Box]
    """Of the findings, highest score first; x0, y0, x1, y1 in pixels of the photo."""
    map: str
    """File of the reduced anomaly map and mask, below the output folder."""
    hit: bool | None
    """Whether the most suspicious pixel of the top finding lies on the mask, without a finding that of the
    map; None without a mask."""
    detector_hit: bool | None
    """Whether the most suspicious pixel of the whole map lies on the mask; None without a mask."""
    aligned: bool
    """Whether the reference was the sample's own, aligned one."""
    seconds: float
    """Wall time of the inspection, the baselines left out."""
    model: ModelInfo
    named: str | None = None
    """Kind of the first finding, in the words of the fact store's ontology; None without a finding, or at depth `screen`."""
    reasoning: list[ReasoningStep] = []
    """At depth `full`."""
    mle: MleScore | None = None
    """By the reference judge, at depth `full`."""
    fit_seconds: float | None = None
    """Of fitting the detector, in the fitted setting, where this was the first photo to be inspected with it."""

    @property
    def right(self) -> bool:
        """Whether the verdict is; *uncertain* is not."""
        return self.verdict == ("anomalous" if self.label else "normal")
