"""Measurements of a region of a photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.regions import Box


@dataclass(frozen=True)
class Measurement:
    """Size, shape and contrast of a region."""

    area_px: int
    area_fraction: float
    """Of the photo, 0..1."""
    length_px: float
    """Long side of the smallest rectangle around the region, at any angle."""
    width_px: float
    """Short side of that rectangle."""
    elongation: float
    """Length over width, >= 1."""
    contrast: float
    """Mean brightness inside minus that of a ring around it, -1..1: negative is darker."""
    texture_ratio: float
    """Standard deviation of the brightness inside over that of the ring; 1 is alike."""


def measure_region(photo: NDArray[np.uint8], mask: NDArray[np.bool_], box: Box) -> Measurement:
    """Measure the part of `mask` (H, W) that lies in `box` of `photo` (H, W, 3).

    Raises:
        ValueError: no pixel of the mask lies in the box.
    """
    import cv2

    x0, y0, x1, y1 = box
    region = np.zeros(mask.shape, np.uint8)
    region[y0:y1, x0:x1] = mask[y0:y1, x0:x1]
    area = int(region.sum())
    if area == 0:
        raise ValueError(f"box {box!r}: no pixel of the region lies in it")
    points = np.argwhere(region)[:, ::-1].astype(np.float32)
    _, (a, b), _ = cv2.minAreaRect(points)
    # minAreaRect spans pixel centres: a line one pixel wide would measure 0.
    length, width = max(a, b) + 1, min(a, b) + 1
    reach = max(3, round(0.25 * float(np.sqrt(area))))
    grown = cv2.dilate(region, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    ring = (grown > 0) & (region == 0)
    grey = photo.astype(np.float32).mean(2) / 255
    inside, around = grey[region > 0], grey[ring] if ring.any() else grey[region > 0]
    return Measurement(
        area_px=area,
        area_fraction=area / mask.size,
        length_px=float(length),
        width_px=float(width),
        elongation=float(length / width),
        contrast=float(inside.mean() - around.mean()),
        texture_ratio=float((inside.std() + 1e-3) / (around.std() + 1e-3)),
    )
