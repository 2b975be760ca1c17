"""Detectors: a photo in, a heat map and a score in the same calibrated units out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

Array = NDArray[np.float32]


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

    def patches(self, image: Image.Image) -> Patches:
        """Encode one RGB photo of any size."""
        ...


@dataclass(frozen=True)
class Calibration:
    """Turns a raw distance into a score in 0..1 with 0.5 at the threshold."""

    threshold: float
    scale: float
    """Raw distance over which the odds change by a factor of e; > 0."""
    basis: str
    """What the threshold was derived from, in words."""

    def unit(self, raw: NDArray[np.floating] | float) -> NDArray[np.float64]:
        """Score in 0..1, rising with the raw distance."""
        z = np.clip((np.asarray(raw, np.float64) - self.threshold) / self.scale, -30, 30)
        return np.asarray(1 / (1 + np.exp(-z)))


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

    setting: str
    """zero-shot, one-shot, few-shot or fitted."""

    def detect(self, image: Image.Image) -> Detection:
        """Score one RGB photo."""
        ...


def nearest_distance(features: Array, bank: Array) -> Array:
    """Distance of every patch to its nearest neighbour in a bank of normal patches.

    The patch score of PatchCore (Roth et al., CVPR 2022, eq. 6) for vectors of length 1, where the Euclidean distance
    is sqrt(2 − 2 cos).

    Args:
        features: (h, w, d), rows of length 1.
        bank: (n, d), rows of length 1.

    Returns:
        (h, w) in 0..2.
    """
    h, w, d = features.shape
    cosine = (features.reshape(-1, d) @ bank.T).max(1)
    return np.asarray(np.sqrt(np.maximum(2 - 2 * cosine, 0)).reshape(h, w), np.float32)


def within_distance(features: Array, neighbours: int = 8) -> Array:
    """How rare a patch is inside its own image: mean distance to its `neighbours` nearest patches, those that touch it
    left out. (h, w) in 0..2."""
    h, w, d = features.shape
    flat = features.reshape(-1, d)
    cosine = flat @ flat.T
    rows, columns = np.divmod(np.arange(h * w), w)
    touching = (np.abs(rows[:, None] - rows) <= 2) & (np.abs(columns[:, None] - columns) <= 2)
    cosine[touching] = -1
    best = np.partition(cosine, -neighbours, axis=1)[:, -neighbours:]
    return np.asarray(np.sqrt(np.maximum(2 - 2 * best, 0)).mean(1).reshape(h, w), np.float32)


def score_of(raw_map: Array) -> float:
    """Image score of a raw map: its highest value, the outermost patches left out where the map is large enough."""
    inner = raw_map[1:-1, 1:-1] if min(raw_map.shape) > 4 else raw_map
    return float(inner.max())


def smoothed(raw_map: Array, sigma: float = 1.0) -> Array:
    """Gaussian over neighbouring patches: single odd patches are mostly noise."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(raw_map, sigma, mode="nearest"), np.float32)


def _detection(raw_map: Array, calibration: Calibration, image: Image.Image) -> Detection:
    from PIL import Image as PILImage

    raw = score_of(raw_map)
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
        return _detection(self.raw_map(image), self.calibration, image)


def zero_shot_map(seen: Patches) -> Array:
    """Unsmoothed raw map of the zero-shot setting: rarity plus the logit of the defect head, each on its own scale."""
    logit = np.log(np.clip(seen.defect, 1e-6, 1 - 1e-6) / np.clip(1 - seen.defect, 1e-6, 1))
    return (within_distance(seen.features) + 0.15 * logit).astype(np.float32)


class BankDetector:
    """Distance to a bank of normal patches: from the references given now, or from a fitted detector."""

    def __init__(self, encoder: PatchEncoder, bank: Array, calibration: Calibration, setting: str) -> None:
        self.encoder, self.bank, self.calibration, self.setting = encoder, bank, calibration, setting

    @classmethod
    def from_references(
        cls, encoder: PatchEncoder, references: Sequence[Image.Image], calibration: Calibration
    ) -> BankDetector:
        """One-shot or few-shot: every patch of every reference is the bank."""
        patches = [encoder.patches(reference).features for reference in references]
        bank = np.concatenate([p.reshape(-1, p.shape[-1]) for p in patches])
        return cls(encoder, bank, calibration, "one-shot" if len(references) == 1 else "few-shot")

    def raw_map(self, image: Image.Image) -> Array:
        """(h, w), uncalibrated."""
        return smoothed(nearest_distance(self.encoder.patches(image).features, self.bank))

    def detect(self, image: Image.Image) -> Detection:
        """Score one RGB photo."""
        return _detection(self.raw_map(image), self.calibration, image)
