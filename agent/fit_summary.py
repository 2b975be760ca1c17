"""What a fit did, in the terms of a reader: for the page and for the terminal."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.images import InputError, load_image
from agent.render.fit_page import FitSummary, StrangeNormal
from agent.render.overlay import overlay
from agent.render.text import rate_text, score_text
from tools.detector import detection
from tools.fit import FittedDetector
from tools.matching import smoothed

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from agent.normals import Normals
    from tools.other_detectors import OtherDetector

SHOWN = 6
"""Strange photos on the page, at least; all that stand far out are shown, up to `_MOST`."""
_MOST = 24
_PACKAGES = ("sage-iad", "torch", "anomalib", "numpy")


def summarise(category: str, folder: Path, detector: FittedDetector | OtherDetector, normals: Normals) -> FitSummary:
    """Sum up a fit or an addition.

    Args:
        category: name of the detector.
        folder: where it is kept.
        detector: as fitted, or with photos added.
        normals: the photos just read, which are the last of the detector's.
    """
    scores = detector.calibration.unit(detector.normals)
    common: dict[str, Any] = {
        "category": category,
        "created": datetime.now(UTC),
        "scores": scores.tolist(),
        "asked": detector.asked,
        "rate": detector.rate,
        "strange": _strangest(detector, scores, normals),
        "warnings": normals.warnings(),
    }
    origin = {
        "Photos": ", ".join(map(str, normals.paths)),
        "Detector": str(folder),
        "Threshold": f"raw {detector.calibration.threshold:.4g}; {detector.calibration.basis}",
        "Versions": f"{', '.join(f'{name} {version(name)}' for name in _PACKAGES)}, Python {platform.python_version()}",
    }
    if isinstance(detector, FittedDetector):
        return FitSummary(
            **common,
            detector="patchcore",
            photos=len(scores),
            settings=_settings(detector),
            why=detector.choice.why,
            tried=detector.choice.tried,
            origin=origin | {"Encoder": detector.encoder.revision},
        )
    return FitSummary(
        **common,
        detector=detector.name,
        photos=len(normals.files),
        origin=origin | {"Weights": detector.model.made_with},
    )


def summary_lines(summary: FitSummary) -> list[str]:
    """The same for the terminal, the most important first."""
    lines = [f"{summary.category}: {summary.detector} fitted to {summary.photos} photos of good parts"]
    n, asked = len(summary.scores), rate_text(summary.asked)
    promise = f"at most {rate_text(summary.rate)} of good parts will be called anomalous"
    if summary.missing:
        more = f"{n} photos support no better than that; for {asked} give {summary.missing} more"
        lines.append(f"{promise}: {more}")
    else:
        lines.append(f"{promise}, as asked; {n} photos support that")
    if summary.settings:
        lines.append(f"chosen: {'; '.join(f'{name} {value}' for name, value in summary.settings.items())}")
    if summary.why:
        lines.append(f"why: {summary.why}")
    for photo in summary.standing_out:
        lines.append(f"look first: {photo.name} (score {score_text(photo.score)}) stands far out from the others")
    if summary.standing_out:
        lines.append("if one shows a defect, take it away and fit again: it hides its like")
    return lines


def _strangest(
    detector: FittedDetector | OtherDetector, scores: NDArray[np.float64], normals: Normals
) -> list[StrangeNormal]:
    """The photos with the highest held-out scores."""
    first = len(scores) - len(normals.files)  # index of the first of those just read
    if isinstance(detector, FittedDetector):
        names, far = detector.names, detector.strange
    elif first == 0:
        names, far = tuple(normals.names), []
    else:  # only a part was held out, and which is not known
        return []
    order = np.argsort(-scores, kind="stable")[: max(SHOWN, min(len(far), _MOST))]
    return [
        StrangeNormal(
            names[i],
            float(scores[i]),
            _overlay(detector, i, normals.files[i - first]) if i >= first else None,
            i in far,
        )
        for i in order.tolist()
    ]


def _overlay(detector: FittedDetector | OtherDetector, index: int, file: Path) -> Image | None:
    try:
        photo = load_image(file, argument="photo").pixels
    except InputError:  # gone since it was read
        return None
    if isinstance(detector, FittedDetector):
        # Without its own patches, or it would lie at a distance of almost 0 everywhere.
        features = detector.settings.features(detector.encoder, photo)
        raw_map = smoothed(detector.bank.distance(features, index))
        anomaly_map = detection(raw_map, detector.calibration, photo).anomaly_map
    else:
        anomaly_map = detector.detect(photo).anomaly_map
    # Most normals stay below the threshold, where no colour shows: a box says which place is the strangest.
    y, x = np.unravel_index(int(anomaly_map.argmax()), anomaly_map.shape)
    reach = max(photo.size) // 16
    return overlay(photo, anomaly_map, [(int(x) - reach, int(y) - reach, int(x) + reach, int(y) + reach)])


def _settings(detector: FittedDetector) -> Mapping[str, str]:
    chosen = detector.settings
    return {
        "matching": "with patches near the same place" if chosen.local else "with patches anywhere",
        "light": "evened out" if chosen.flatten else "as it is",
        "scale": f"{chosen.side} px",
    }


def patchcore_of(detector: FittedDetector | OtherDetector | None, category: str, purpose: str) -> FittedDetector:
    """The detector, where it is there and of the kind that can be added to, compared with and exported.

    Raises:
        InputError: it is not there, or of another kind.
    """
    if detector is None:
        raise InputError(
            f"category {category!r}: no detector is called so, {purpose}; fit one with `sage-iad fit {category} NORMAL_DIR`"
        )
    if not isinstance(detector, FittedDetector):
        raise InputError(
            f"category {category!r}: a {detector.name} detector, {purpose}; only patchcore can, so fit again with all photos"
        )
    return detector
