"""Distances between patches, and from a map of distances to a score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


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


def smoothed(raw_map: Array, sigma: float = 1.0) -> Array:
    """Gaussian over neighbouring patches: single odd patches are mostly noise."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(raw_map, sigma, mode="nearest"), np.float32)


def score_of(raw_map: Array) -> float:
    """Image score of a raw map: its highest value, the outermost patches left out where the map is large enough."""
    inner = raw_map[1:-1, 1:-1] if min(raw_map.shape) > 4 else raw_map
    return float(inner.max())
