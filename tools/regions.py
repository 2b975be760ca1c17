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


# A middle that is not named is meant all the same: the left of a photo is its middle left.
_SAME = {
    "top": "upper", "above": "upper", "bottom": "lower", "below": "lower", "under": "lower", "center": "centre", "central": "centre",
    "mid": "middle",
}  # fmt: skip


def read_place(text: str) -> str | None:
    """The word of `PLACES` that a person or a model means, such as `upper left` for `the top left corner`; None: none."""
    words = {_SAME.get(word, word) for word in text.lower().replace("-", " ").split()}
    rows, columns = words & {"upper", "lower"}, words & {"left", "right"}
    if len(rows) > 1 or len(columns) > 1 or not (rows or columns or words & {"centre", "middle"}):
        return None
    row, column = rows.pop() if rows else "middle", columns.pop() if columns else "centre"
    return "centre" if (row, column) == ("middle", "centre") else f"{row} {column}"


def box_of_place(place: str, width: int, height: int) -> Box:
    """The ninth of a picture that a word of `PLACES` stands for."""
    row, column = divmod(PLACES.index(place), 3)
    return column * width // 3, row * height // 3, -(-(column + 1) * width // 3), -(-(row + 1) * height // 3)
