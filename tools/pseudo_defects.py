"""Pseudo-defects pasted on normal photos: what settings are chosen by where no real defect is at hand.

Choosing a detector's settings with synthetic anomalies instead of labelled ones follows Fung et al., "Model selection of
anomaly detectors in the absence of labeled validation data" (2023); the cuts are those of CutPaste (Li et al., CVPR
2021), softened at their edge as in Natural Synthetic Anomalies (Schlüter et al., ECCV 2022).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

Array = NDArray[np.float32]


def pseudo_defect(photo: Image.Image, other: Image.Image, kind: int, rng: np.random.Generator) -> Image.Image:
    """A copy of a normal photo with one pseudo-defect on it.

    Args:
        photo: RGB.
        other: RGB of the same size, another normal photo: cuts come from it.
        kind: which of `KINDS`, modulo their number.
        rng: decides place, size, shape and strength.
    """
    from PIL import Image as PILImage

    pixels, source = np.asarray(photo, np.float32), np.asarray(other, np.float32)
    alpha = np.zeros(pixels.shape[:2], np.float32)
    while alpha.max() < 0.5:  # A thin or tiny mask may miss every pixel.
        middle = _place(pixels, rng)
        alpha = (
            _line(pixels.shape[:2], middle, rng)
            if KINDS[kind % len(KINDS)] is _scratch
            else _blob(pixels.shape[:2], middle, rng)
        )
    painted = KINDS[kind % len(KINDS)](pixels, source, alpha, rng)
    mixed = pixels + alpha[..., None] * (painted - pixels)
    return PILImage.fromarray(np.clip(np.rint(mixed), 0, 255).astype(np.uint8))


def _place(pixels: Array, rng: np.random.Generator, cells: int = 16) -> tuple[float, float]:
    """A place (y, x) in pixels, likelier where the photo shows detail: damage sits on the part, not on the ground."""
    h, w = pixels.shape[:2]
    grey = pixels.mean(-1)[: h // cells * cells, : w // cells * cells]
    detail = grey.reshape(cells, h // cells, cells, w // cells).std((1, 3)) + 1
    chance = (detail + detail.mean()).ravel()
    y, x = divmod(int(rng.choice(cells * cells, p=chance / chance.sum())), cells)
    return (y + rng.uniform()) * h / cells, (x + rng.uniform()) * w / cells


def _blob(shape: tuple[int, int], middle: tuple[float, float], rng: np.random.Generator) -> Array:
    """A soft-edged irregular patch, 3 to 16 % of the side across, small ones as likely as large: (h, w) in 0..1."""
    side = min(shape)
    across, along = side * np.exp(rng.uniform(np.log(0.015), np.log(0.08))), rng.uniform(1, 2.5)
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    radius = across * rng.uniform(0.6, 1.3, 16)
    tilt = rng.uniform(0, np.pi)
    u, v = radius * np.cos(angles) * along, radius * np.sin(angles)
    points = [
        (middle[1] + a * np.cos(tilt) - b * np.sin(tilt), middle[0] + a * np.sin(tilt) + b * np.cos(tilt))
        for a, b in zip(u, v, strict=True)
    ]
    return _drawn(shape, lambda draw: draw.polygon(points, fill=255), 0.004 * side)


def _line(shape: tuple[int, int], middle: tuple[float, float], rng: np.random.Generator) -> Array:
    """A thin bent line, 8 to 40 % of the side long: (h, w) in 0..1."""
    side = min(shape)
    steps = 6
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.25, steps))
    length = side * rng.uniform(0.08, 0.4) / steps
    x = middle[1] + np.cumsum(length * np.cos(heading))
    y = middle[0] + np.cumsum(length * np.sin(heading))
    width = max(1, round(side * rng.uniform(0.005, 0.016)))
    points = list(zip(x.tolist(), y.tolist(), strict=True))
    return _drawn(shape, lambda draw: draw.line(points, fill=255, width=width, joint="curve"), 0.002 * side)


def _drawn(shape: tuple[int, int], paint: Callable[..., None], blur: float) -> Array:
    from PIL import Image as PILImage
    from PIL import ImageDraw, ImageFilter

    mask = PILImage.new("L", (shape[1], shape[0]))
    paint(ImageDraw.Draw(mask))
    return np.asarray(mask.filter(ImageFilter.GaussianBlur(blur)), np.float32) / np.float32(255)


def _tone(rng: np.random.Generator) -> float:
    """A change of brightness in grey levels."""
    return float(rng.choice((-1, 1)) * rng.uniform(25, 100))


def _cut(pixels: Array, source: Array, alpha: Array, rng: np.random.Generator) -> Array:
    """A piece of another normal photo, from another place and turned."""
    h, w = alpha.shape
    moved = np.roll(source, (int(rng.integers(h // 8, h - h // 8)), int(rng.integers(w // 8, w - w // 8))), (0, 1))
    return moved[:, ::-1] if rng.uniform() < 0.5 else moved


def _scratch(pixels: Array, source: Array, alpha: Array, rng: np.random.Generator) -> Array:
    return np.asarray(pixels + _tone(rng), np.float32)


def _blot(pixels: Array, source: Array, alpha: Array, rng: np.random.Generator) -> Array:
    return np.asarray(pixels + 0.8 * _tone(rng), np.float32)


def _blurred(pixels: Array, source: Array, alpha: Array, rng: np.random.Generator) -> Array:
    from scipy.ndimage import gaussian_filter

    sigma = 0.015 * min(alpha.shape) * rng.uniform(0.6, 1.6)
    return np.asarray(gaussian_filter(pixels, (sigma, sigma, 0), truncate=2.5), np.float32)


def _missing(pixels: Array, source: Array, alpha: Array, rng: np.random.Generator) -> Array:
    """One even tone, that of the photo's border: a piece that is not there."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return np.broadcast_to(np.median(border, 0), pixels.shape)


KINDS: tuple[Callable[[Array, Array, Array, np.random.Generator], Array], ...] = (
    _cut, _scratch, _blot, _blurred, _missing,
)  # fmt: skip
