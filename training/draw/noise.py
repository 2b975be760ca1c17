"""Random fields that surfaces are made of. All return (size, size) float32."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]
Rng = np.random.Generator


def _normalised(field: Field) -> Field:
    low, high = float(field.min()), float(field.max())
    return ((field - low) / max(high - low, 1e-6)).astype(np.float32)


def value_noise(rng: Rng, size: int, cells: tuple[float, float]) -> Field:
    """Smooth noise in 0..1 with about `cells` (across, down) random bumps."""
    grid = rng.random((max(2, round(cells[1])) + 2, max(2, round(cells[0])) + 2), dtype=np.float32)
    return np.asarray(cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)


def fractal(rng: Rng, size: int, cells: float = 4, octaves: int = 5, gain: float = 0.55, stretch: float = 1) -> Field:
    """Sum of value noise at doubling frequencies, normalised to 0..1; `stretch` > 1 draws it out across."""
    total = np.zeros((size, size), np.float32)
    weight = 1.0
    for _ in range(octaves):
        if cells > size / 1.5:
            break
        total += weight * value_noise(rng, size, (cells / stretch, cells))
        cells, weight = cells * 2, weight * gain
    return _normalised(total)


def grain(rng: Rng, size: int, blur: tuple[float, float] = (0, 0)) -> Field:
    """White noise of mean 0 and unit deviation, blurred by `blur` (across, down) pixels."""
    field = rng.standard_normal((size, size), dtype=np.float32)
    if max(blur) > 0:
        field = cv2.GaussianBlur(
            field, (0, 0), max(blur[0], 0.01), sigmaY=max(blur[1], 0.01), borderType=cv2.BORDER_REFLECT_101
        )
        field /= max(float(field.std()), 1e-6)
    return field


def cells(rng: Rng, size: int, count: int) -> tuple[Field, Field]:
    """Voronoi cells: distance to the nearest border (0 at a border, 1 in the middle) and a random value per cell."""
    points = (rng.random((count, 2)) * size).astype(np.int32)
    seeds = np.full((size, size), 255, np.uint8)
    seeds[points[:, 1], points[:, 0]] = 0
    _distance, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    edges = ((labels != np.roll(labels, 1, 0)) | (labels != np.roll(labels, 1, 1))).astype(np.uint8)
    border = cv2.distanceTransform(1 - edges, cv2.DIST_L2, 3)
    value = rng.random(int(labels.max()) + 1, dtype=np.float32)[labels]
    return _normalised(np.minimum(border, np.percentile(border, 99))), value


def grid(size: int) -> tuple[Field, Field]:
    """Pixel coordinates (x, y) from the centre, in units of half the size: -1..1."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(axis, axis)
    return x, y


def smooth(distance: Field, width: float) -> Field:
    """Antialiased inside of a signed distance (negative inside): 1 inside, 0 outside, a ramp of `width`."""
    return np.asarray(np.clip(0.5 - distance / width, 0, 1), np.float32)


def warp(field: NDArray[np.float32], rng: Rng, amount: float, cell_count: float = 3) -> NDArray[np.float32]:
    """The field with its coordinates shaken smoothly by up to `amount` pixels."""
    size = field.shape[0]
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    dx = (value_noise(rng, size, (cell_count, cell_count)) - 0.5) * 2 * amount
    dy = (value_noise(rng, size, (cell_count, cell_count)) - 0.5) * 2 * amount
    return np.asarray(cv2.remap(field, xs + dx, ys + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.float32)


def lettering(size: int, word: str, at: tuple[int, int], scale: float, thickness: int) -> Field:
    """Coverage (size, size) of a word whose baseline starts at `at` (x, y)."""
    canvas = np.zeros((size, size), np.uint8)
    cv2.putText(canvas, word, at, cv2.FONT_HERSHEY_DUPLEX, scale, 255, thickness, cv2.LINE_AA)
    return canvas.astype(np.float32) / 255
