"""Regions of a heat map, and words for where they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]
_ROWS, _COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")


@dataclass(frozen=True)
class Region:
    """A connected part of a heat map."""

    mask: NDArray[np.bool_]
    """(H, W)."""
    box: Box
    """x0, y0, x1, y1 in pixels, end exclusive."""
    peak: float
    """Highest map value inside, 0..1."""


def find_regions(anomaly_map: NDArray[np.float32], level: float = 0.5, limit: int = 5) -> list[Region]:
    """Connected regions of `anomaly_map` (H, W) at or above `level`, strongest first, at most `limit`."""
    from scipy.ndimage import find_objects, label, maximum

    labels, count = label(anomaly_map >= level)
    if not count:
        return []
    peaks = maximum(anomaly_map, labels, range(1, count + 1))
    boxes = find_objects(labels)
    order = np.argsort(-np.asarray(peaks), kind="stable")[:limit]
    regions = []
    for i in order:
        rows, columns = boxes[i]
        box = (int(columns.start), int(rows.start), int(columns.stop), int(rows.stop))
        regions.append(Region(labels == i + 1, box, float(peaks[i])))
    return regions


def place_of(x: float, y: float, width: int, height: int) -> str:
    """Where a point lies in a picture, in words, on a grid of three by three: `upper left`, `centre`, …"""
    row = _ROWS[min(2, max(0, int(3 * y / height)))]
    column = _COLUMNS[min(2, max(0, int(3 * x / width)))]
    if row == "middle":
        return "centre" if column == "centre" else f"middle {column}"
    return f"{row} {column}"


def place_of_box(box: Box, width: int, height: int) -> str:
    """Where the middle of a box lies, in words."""
    return place_of((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, width, height)


LEVELS = ("very low", "low", "near the threshold", "high", "very high")


def level_of(score: float) -> str:
    """A calibrated score in words; 0.5 is the threshold."""
    return LEVELS[min(4, max(0, int(5 * score)))]


PLACES = tuple(place_of(x, y, 3, 3) for y in (0.5, 1.5, 2.5) for x in (0.5, 1.5, 2.5))
"""Every word for a place."""
