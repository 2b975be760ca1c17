"""A contact sheet of image pairs, to look at what was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

STRIP = 18
"""Height in pixels of the line of text above a pair."""


@dataclass(frozen=True)
class Pair:
    """One image pair to show."""

    test: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    reference: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    """(H, W), where the defects are."""
    label: str


def sheet(pairs: Sequence[Pair], columns: int = 4) -> NDArray[np.uint8]:
    """Test with its defects outlined, and reference, side by side under their label, (H, W, 3)."""
    tiles = [_tile(pair) for pair in pairs]
    while len(tiles) % columns:
        tiles.append(np.full_like(tiles[0], 255))
    return np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])


def _tile(pair: Pair) -> NDArray[np.uint8]:
    shown = pair.test.copy()
    # Just outside the defect: an outline on it would hide the small ones.
    around = cv2.dilate(pair.mask.astype(np.uint8), np.ones((7, 7), np.uint8))
    contours, _ = cv2.findContours(around, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(shown, contours, -1, (255, 0, 0), 1)
    both = np.hstack([shown, pair.reference])
    strip = np.full((STRIP, both.shape[1], 3), 255, np.uint8)
    cv2.putText(strip, pair.label, (3, STRIP - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([strip, both])
