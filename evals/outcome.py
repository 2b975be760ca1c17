"""What one photo gave: the record that a run keeps of every sample, in Inspect's log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from agent.report import Depth, InspectionReport, ModelInfo, Verdict
from evals.dataset import Sample, read_mask
from evals.maps import Box, check_map, on_mask, pointed_at, reduce_map, reduce_mask, save_pair

if TYPE_CHECKING:
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
        self, image: ImageSource, *, reference: ImageSource | Sequence[ImageSource] | None = None
    ) -> float | None:
        """Probability of *anomalous* by the model without tools or facts; None for a model that gives
        none."""
        ...


class Outcome(BaseModel):
    """One inspected sample."""

    model_config = ConfigDict(extra="forbid")

    id: str
    """Of the sample: its path below the data folder."""
    label: Literal[0, 1]
    defect_type: str
    verdict: Verdict
    score: float
    """The agent's anomaly score, 0..1."""
    detector: float | None
    """The detector's part of it alone, 0..1, 0.5 at its threshold."""
    vlm: float | None
    """The model asked alone, without tools or facts; not the part in the agent's score, which saw both."""
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
    vlm = inspecting.vlm_alone(sample.path, reference=list(references))
    anomaly_map = report.pictures.anomaly_map
    check_map(anomaly_map, report.image.width, report.image.height)
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
        label=sample.label,
        defect_type=sample.defect_type,
        verdict=report.verdict,
        score=report.anomaly_score,
        detector=report.scores.detector,
        vlm=vlm,
        boxes=[finding.box for finding in found],
        map=kept,
        hit=hit,
        detector_hit=detector_hit,
        aligned=bool(sample.references) and tuple(references) == sample.references[:1],
        seconds=seconds,
        model=report.model,
    )


def _reduced_truth(sample: Sample, mask: Mask | None, anomaly_map: Map) -> Mask | None:
    import numpy as np

    if sample.label == 0:
        return reduce_mask(np.zeros(anomaly_map.shape, np.bool_))
    return None if mask is None else reduce_mask(mask)
