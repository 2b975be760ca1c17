"""Aligned references (golden samples): whether a reference shows the same scene pixel by pixel, and where a photo departs
from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

Array = NDArray[np.float32]

AGREEMENT = float(np.sqrt(3 / 4))
"""Correlation from which a reference counts as aligned: it explains three quarters of the variance of the photo's
structure, in at least half of the blocks that have any. On drawn pairs other products stay below 0.4, and 1 in
314 pairs of other designs of the same product lies above; strict, since an aligned reference that is missed is still
matched by its features."""
COARSE = 128
"""Longer side in pixels at which photos are registered."""
FINE = 320
"""Longer side in pixels at which they are compared; smaller photos are compared at their own size."""
BLOCK = 16
"""Side in coarse pixels of a block whose structure is correlated."""
MIN_STRUCTURED = 0.04
"""Share of blocks with structure above the noise below which nothing can be said of alignment."""
TOLERANCE = 2
"""Fine pixels an edge may lie off."""
FLOOR = 4.0
"""Grey levels of 255 taken as noise besides what is measured: two noiseless files still differ by rounding and JPEG."""


@dataclass(frozen=True)
class Registration:
    """How a reference lies under a photo."""

    matrix: NDArray[np.float64]
    """(2, 3): takes a point of the photo to the reference, both in pixels of the photo at its fine size."""
    agreement: float
    """-1..1: median correlation of the structured blocks once registered; 0 where there is too little structure."""

    @property
    def aligned(self) -> bool:
        """Whether the two can be compared pixel by pixel."""
        return self.agreement >= AGREEMENT


def fine_size(photo: Image.Image) -> tuple[int, int]:
    """Width and height at which a photo is compared."""
    scale = min(1.0, FINE / max(photo.size))
    return max(1, round(photo.width * scale)), max(1, round(photo.height * scale))


def pixels(photo: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """An RGB photo of any size at `size` (width, height): (h, w, 3)."""
    return np.asarray(photo.resize(size, resample=2, reducing_gap=3.0))


def register(photo: NDArray[np.uint8], reference: NDArray[np.uint8]) -> Registration:
    """Lay a reference under a photo.

    A shift by phase correlation (Kuglin & Hines 1975), then an affine map by enhanced correlation (Evangelidis &
    Psarakis, TPAMI 2008) where the shift alone leaves something to gain.

    Args:
        photo: (h, w, 3) RGB.
        reference: (h, w, 3) RGB, of the same size.
    """
    import cv2

    h, w = photo.shape[:2]
    scale = min(1.0, COARSE / max(h, w))
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    if min(size) < 2 * BLOCK:
        return Registration(np.eye(2, 3), 0.0)
    greys = [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (photo, reference)]
    test, golden = (cv2.resize(g, size, interpolation=cv2.INTER_AREA).astype(np.float32) for g in greys)
    # After the blur of `_structure`, white noise keeps 1 / (4 pi sigma²) of its variance; a block needs four times that.
    noise = 4 * (max(_noise(test), _noise(golden)) ** 2 / (4 * np.pi * 0.8**2) + 0.1)
    seen, known = _structure(test), _structure(golden)

    def agreement(matrix: NDArray[np.float64]) -> float:
        return _agreement(seen, _moved(known, matrix), noise)

    shift, _ = cv2.phaseCorrelate(seen, known, cv2.createHanningWindow(size, cv2.CV_32F))
    still, shifted = np.eye(2, 3), np.hstack([np.eye(2), np.reshape(shift, (2, 1))])
    best = max((still, shifted), key=agreement)
    reached = agreement(best)
    if reached < 0.95:
        # Convergence needs smooth images: edges of a pixel's width pull from no further than that.
        soft_test, soft_golden = (cv2.GaussianBlur(x, (0, 0), 1.5) for x in (test, golden))
        stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 1e-4)
        try:
            start = best.astype(np.float32)
            _, bent = cv2.findTransformECC(soft_test, soft_golden, start, cv2.MOTION_AFFINE, stop, None, 1)
        except cv2.error:  # it does not converge: nothing in common
            bent = best
        if agreement(bent) > reached + 0.01:
            best, reached = bent.astype(np.float64), agreement(bent)
    # From coarse to fine: pixel centres lie at half-integers of the scaled axes.
    linear, offset = best[:, :2], best[:, 2]
    across = np.array(size) / (w, h)
    moved = (linear @ (0.5 * across - 0.5) + offset + 0.5) / across - 0.5
    return Registration(np.hstack([linear * across / across[:, None], moved[:, None]]), reached)


def departure(photo: NDArray[np.uint8], reference: NDArray[np.uint8], registration: Registration) -> Array:
    """Where a photo departs from an aligned reference.

    The reference is matched in light (slowly varying gain), edges may lie `TOLERANCE` pixels off either way, and what
    remains is measured against the noise of the pair.

    Args:
        photo: (h, w, 3) RGB.
        reference: (h, w, 3) RGB, of the same size.
        registration: of the two.

    Returns:
        (h, w), from 0 upwards, without unit: log(1 + z), z the smoothed difference as a multiple of what 95 % of the
        pixels stay below before any tolerance. 0 where the reference does not reach.
    """
    import cv2

    h, w = photo.shape[:2]
    test, golden = photo.astype(np.float32), _moved(reference.astype(np.float32), registration.matrix)
    golden = golden * np.clip((_light(test) + 8) / (_light(golden) + 8), 0.6, 1.7)
    test, golden = (cv2.GaussianBlur(x, (0, 0), 0.8) for x in (test, golden))
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * TOLERANCE + 1, 2 * TOLERANCE + 1))

    def beyond(a: Array, b: Array) -> Array:
        """How far `a` lies outside all that `b` is within the tolerance."""
        return np.asarray(np.maximum(a - cv2.dilate(b, window), cv2.erode(b, window) - a))

    # Either way: what is new on the photo, and what the reference has and the photo lacks.
    off = np.maximum(np.maximum(beyond(test, golden), beyond(golden, test)).max(-1), 0)
    covered = cv2.warpAffine(
        np.ones((h, w), np.uint8), registration.matrix, (w, h), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    )
    off *= cv2.erode(covered, np.ones((7, 7), np.uint8))
    usual = float(np.quantile(np.abs(test - golden).max(-1), 0.95)) + FLOOR
    # A narrow blur for small defects, a wide one for faint and large ones.
    gathered = (cv2.GaussianBlur(off, (0, 0), 1.5) + cv2.GaussianBlur(off, (0, 0), 4.0)) / 2
    return np.asarray(np.log1p(gathered / usual), np.float32)


def _structure(grey: Array) -> Array:
    """Band of detail: neither noise nor light."""
    import cv2

    return np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.8) - cv2.GaussianBlur(grey, (0, 0), 4), np.float32)


def _noise(grey: Array) -> float:
    """Standard deviation of white noise (Immerkaer, CVIU 1996; a median, so that edges do not count)."""
    import cv2

    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return float(np.median(np.abs(cv2.filter2D(grey, -1, kernel)))) / 0.6745 / 6


def _agreement(a: Array, b: Array, noise: float) -> float:
    """Median correlation over the blocks of two structures, (h, w) each, whose variance exceeds `noise` in either."""
    import cv2

    def mean(x: Array) -> Array:
        inner = slice(BLOCK // 2, 1 - BLOCK // 2, BLOCK // 2)
        return np.asarray(cv2.boxFilter(x, -1, (BLOCK, BLOCK))[inner, inner])

    mean_a, mean_b = mean(a), mean(b)
    variance_a, variance_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    structured = np.maximum(variance_a, variance_b) > noise
    if structured.mean() < MIN_STRUCTURED:
        return 0.0
    correlation = (mean(a * b) - mean_a * mean_b) / np.sqrt(np.maximum(variance_a * variance_b, 1e-6))
    return float(np.median(correlation[structured]))


def _moved(image: Array, matrix: NDArray[np.float64]) -> Array:
    """An image of the reference, (h, w) or (h, w, 3), as it lies under the photo."""
    import cv2

    size = (image.shape[1], image.shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(image, np.asarray(matrix, np.float64), size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    )


def _light(image: Array) -> Array:
    """What varies slowly: blurred by an eighth of the longer side, computed at a quarter of the size."""
    import cv2

    h, w = image.shape[:2]
    small = cv2.resize(image, (max(1, w // 4), max(1, h // 4)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(cv2.GaussianBlur(small, (0, 0), max(h, w) / 32), (w, h)))
