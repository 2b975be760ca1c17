"""One look at one photo: everything that an evaluation asks the agent about it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from agent.render.overlay import overlay
from evals.dataset import Sample, read_mask
from evals.errors import EvalError
from evals.figures.maps import check_map, on_mask, pointed_at, reduce_map, reduce_mask
from evals.outcome import Inspecting, Outcome

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from agent.report import Depth, InspectionReport
    from evals.figures.maps import Map, Mask
    from evals.mle import MleScore
    from evals.setting import Shown
    from tools.detector import Detector, DetectorError

FALSE_ALARM_RATE = 0.05
"""At which the fitted setting puts its threshold."""
_KEPT = 2  # detectors: where one product ends and the next begins, both are in use


@dataclass(frozen=True)
class Look:
    """What came of one photo; small enough to travel between machines."""

    outcome: Outcome
    anomaly_map: NDArray[np.float16]
    """Reduced."""
    mask: Mask | None
    """Reduced to the same size; None where the place of the defect is unknown."""


class Looker:
    """Looks at the photos of a run with one agent; may be used from several threads at once.

    A product's detector is fitted when its first photo comes, and dropped when those of the next but one do.
    """

    def __init__(self, inspecting: Inspecting, shown: Mapping[str, Shown], depth: Depth, seed: int) -> None:
        self.inspecting, self.shown, self.depth, self.seed = inspecting, shown, depth, seed
        self._fitted: dict[str, Detector | DetectorError] = {}
        self._seconds: dict[str, float] = {}  # of fits that no photo has been inspected with yet
        self._fitting = Lock()

    def look(self, sample: Sample) -> Look:
        """Inspect one photo; raises as `inspect_sample` and `detector` do."""
        detector = self.detector(sample.category)
        references = self.shown[sample.category].references(sample)
        look = inspect_sample(self.inspecting, sample, references, depth=self.depth, detector=detector)
        look.outcome.fit_seconds = self._seconds.pop(sample.category, None)
        return look

    def detector(self, category: str) -> Detector | None:
        """The product's detector; None outside the fitted setting.

        Raises:
            tools.detector.DetectorError: it cannot be fitted.
        """
        from tools.detector import DetectorError

        photos = self.shown[category].fit_on
        if not photos:
            return None
        with self._fitting:
            if category not in self._fitted:
                start = time.perf_counter()
                try:
                    fitted: Detector | DetectorError = self.inspecting.fit(
                        photos, false_alarm_rate=FALSE_ALARM_RATE, seed=self.seed
                    )
                    self._seconds[category] = time.perf_counter() - start
                except DetectorError as error:
                    fitted = error  # once for all photos of the product
                for oldest in list(self._fitted)[: 1 - _KEPT]:
                    del self._fitted[oldest]
                self._fitted[category] = fitted
            found = self._fitted[category]
        if isinstance(found, DetectorError):
            raise found
        return found


def inspect_sample(
    inspecting: Inspecting,
    sample: Sample,
    references: Sequence[Path],
    *,
    depth: Depth,
    detector: Detector | None,
) -> Look:
    """Inspect one photo, and ask the model alone about the same photo.

    Raises:
        EvalError: an anomaly map or a mask that is not of the photo's size, or a map that leaves 0..1.
        training.data.DataError: a mask that cannot be read.
        Exception: whatever `inspecting` raises; the run records it as a failed sample.
    """
    start = time.perf_counter()
    report = inspecting.inspect(sample.path, reference=list(references), depth=depth, detector=detector)
    seconds = time.perf_counter() - start
    anomaly_map = report.pictures.anomaly_map
    check_map(anomaly_map, report.image.width, report.image.height)
    mask = read_mask(*sample.masks) if sample.masks else None
    if mask is not None and mask.shape != anomaly_map.shape:
        raise EvalError(f"mask of {sample.id!r}: shape {mask.shape!r}; expected {anomaly_map.shape!r} like its photo")
    photo, shown = report.pictures.photo, list(report.pictures.references)  # as inspected: not decoded once more
    vlm = inspecting.vlm_alone(photo, reference=shown)
    vlm_heatmap = None
    if vlm is not None:  # a model that gives no probability gives none with a further picture
        vlm_heatmap = inspecting.vlm_alone(photo, reference=shown, heat_map=overlay(photo, anomaly_map))
    found = sorted(report.findings, key=lambda finding: finding.score, reverse=True)
    hit = detector_hit = None
    if mask is not None:
        hit = on_mask(pointed_at(anomaly_map, found[0].box if found else None), mask)
        detector_hit = on_mask(pointed_at(anomaly_map), mask)
    outcome = Outcome(
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
        map=f"maps/{sample.id}.npz",
        hit=hit,
        detector_hit=detector_hit,
        aligned=bool(sample.references) and tuple(references) == sample.references[:1],
        seconds=seconds,
        model=report.model,
        named=found[0].defect_type if depth == "full" and found else None,
        reasoning=report.reasoning,
        mle=_judged(sample, mask, report) if depth == "full" else None,
    )
    return Look(outcome, reduce_map(anomaly_map), _reduced_truth(sample, mask, anomaly_map))


def _judged(sample: Sample, mask: Mask | None, report: InspectionReport) -> MleScore:
    from evals.judges.reference import judge_report
    from evals.judges.truth import truth_of_sample

    return judge_report(report, truth_of_sample(sample, mask, report))


def _reduced_truth(sample: Sample, mask: Mask | None, anomaly_map: Map) -> Mask | None:
    import numpy as np

    if sample.label == 0:
        return reduce_mask(np.zeros(anomaly_map.shape, np.bool_))
    return None if mask is None else reduce_mask(mask)
