"""Detectors: a photo in, a heat map and a score in the same calibrated units out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tools.calibration import Calibration
from tools.matching import score_of, smoothed, within_distance

if TYPE_CHECKING:
    from PIL import Image

Array = NDArray[np.float32]


class DetectorError(ValueError):
    """A detector that cannot be fitted, read or used; the message says what to do."""


class Patches(Protocol):
    """What an encoder sees in one photo, patch by patch."""

    @property
    def features(self) -> Array:
        """(h, w, d), each vector of length 1."""
        ...

    @property
    def defect(self) -> Array:
        """(h, w), 0..1: how defect-like a patch looks by itself."""
        ...


class PatchEncoder(Protocol):
    """The eye, passed in from outside."""

    revision: str
    """Names the weights; a fitted detector refuses an encoder of another revision."""

    def patches(self, image: Image.Image, side: int | None = None) -> Patches:
        """Encode one RGB photo of any size, squashed to a square of `side` pixels; None: the encoder's own side."""
        ...


@dataclass(frozen=True)
class Detection:
    """What a detector found in one photo."""

    anomaly_map: Array
    """(H, W) of the photo, 0..1, in the units of `score`."""
    score: float
    """0..1, 0.5 at the threshold."""
    raw: float
    """Before calibration."""
    calibration: Calibration


class Detector(Protocol):
    """Anything that scores a photo."""

    @property
    def setting(self) -> str:
        """zero-shot, one-shot, few-shot or fitted."""
        ...

    def detect(self, image: Image.Image) -> Detection:
        """Score one RGB photo."""
        ...


def detection(raw_map: Array, calibration: Calibration, image: Image.Image, raw: float | None = None) -> Detection:
    """A raw map, (h, w), at the size of its photo and in calibrated units.

    Args:
        raw: image score of the map's maker; none: `score_of` the map.
    """
    from PIL import Image as PILImage

    raw = score_of(raw_map) if raw is None else raw
    full = np.asarray(PILImage.fromarray(raw_map, mode="F").resize(image.size, PILImage.Resampling.BILINEAR))
    return Detection(calibration.unit(full).astype(np.float32), float(calibration.unit(raw)), raw, calibration)


class ZeroShotDetector:
    """No normal photo at all: patches that look like damage, weighed with how rare they are in the image itself."""

    setting = "zero-shot"

    def __init__(self, encoder: PatchEncoder, calibration: Calibration) -> None:
        self.encoder, self.calibration = encoder, calibration

    def raw_map(self, image: Image.Image) -> Array:
        """(h, w), uncalibrated."""
        seen = self.encoder.patches(image)
        return smoothed(zero_shot_map(seen))

    def detect(self, image: Image.Image) -> Detection:
        """Score one RGB photo."""
        return detection(self.raw_map(image), self.calibration, image)


def zero_shot_map(seen: Patches) -> Array:
    """Unsmoothed raw map of the zero-shot setting: rarity plus the logit of the defect head.

    The head has a small say: it is far better than rarity on drawn photos, and on some real products worse than chance.
    """
    logit = np.log(np.clip(seen.defect, 1e-6, 1 - 1e-6) / np.clip(1 - seen.defect, 1e-6, 1))
    return (within_distance(seen.features) + 0.02 * logit).astype(np.float32)
