"""What one photo gave: the record that a run keeps of every sample, in Inspect's log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from agent.render.overlay import overlay
from agent.report import Depth, InspectionReport, ModelInfo, ReasoningStep, Verdict
from evals.dataset import Sample, read_mask
from evals.maps import Box, check_map, on_mask, pointed_at, reduce_map, reduce_mask, save_pair
from evals.mle import MleScore

if TYPE_CHECKING:
    from PIL import Image

    from agent.images import ImageSource
    from evals.maps import Map, Mask
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
    """Of the sample: its path below the data folder."""
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


def inspect_sample(
    inspecting: Inspecting,
    sample: Sample,
    references: Sequence[Path],
    *,
    depth: Depth,
    detector: Detector | None,
    out: Path,
) -> Outcome:
    """Inspect one photo, ask the model alone about the same photo, and keep the reduced map below `out`/maps.

    Raises:
        EvalError: an anomaly map that is not of the photo's size or leaves 0..1.
        OSError: the map cannot be written.
        Exception: whatever `inspecting` raises; the run records it as a failed sample.
    """
    start = time.perf_counter()
    report = inspecting.inspect(sample.path, reference=list(references), depth=depth, detector=detector)
    seconds = time.perf_counter() - start
    anomaly_map = report.pictures.anomaly_map
    check_map(anomaly_map, report.image.width, report.image.height)
    vlm = inspecting.vlm_alone(sample.path, reference=list(references))
    heat = overlay(report.pictures.photo, anomaly_map)
    vlm_heatmap = inspecting.vlm_alone(sample.path, reference=list(references), heat_map=heat)
    mask = read_mask(*sample.masks) if sample.masks else None
    found = sorted(report.findings, key=lambda finding: finding.score, reverse=True)
    hit = detector_hit = None
    if mask is not None:
        hit = on_mask(pointed_at(anomaly_map, found[0].box if found else None), mask)
        detector_hit = on_mask(pointed_at(anomaly_map), mask)
    kept = f"maps/{sample.id}.npz"
    save_pair(out / kept, reduce_map(anomaly_map), _reduced_truth(sample, mask, anomaly_map))
    return Outcome(
        id=sample.id,
        category=sample.category,
        label=sample.label,
        defect_type=sample.defect_type,
        verdict=report.verdict,
        score=report.anomaly_score,
        detector=report.scores.detector,
        vlm=vlm,
        vlm_heatmap=vlm_heatmap,
        boxes=[finding.box for finding in found],
        map=kept,
        hit=hit,
        detector_hit=detector_hit,
        aligned=bool(sample.references) and tuple(references) == sample.references[:1],
        seconds=seconds,
        model=report.model,
        named=found[0].defect_type if depth == "full" and found else None,
        reasoning=report.reasoning,
    )


def _reduced_truth(sample: Sample, mask: Mask | None, anomaly_map: Map) -> Mask | None:
    import numpy as np

    if sample.label == 0:
        return reduce_mask(np.zeros(anomaly_map.shape, np.bool_))
    return None if mask is None else reduce_mask(mask)
