"""A contact sheet of drawn cases."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from training.draw.scene import Case


def sheet(cases: Sequence[Case], columns: int = 4) -> NDArray[np.uint8]:
    """A contact sheet: test with the defect outlined, and its reference, side by side, (H, W, 3)."""
    tiles = []
    for case in cases:
        shown = case.test.copy()
        contours, _ = cv2.findContours(case.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(shown, contours, -1, (255, 0, 0), 1)
        label = f"{case.family} " + ", ".join(f"{d.defect_type} {d.severity:.1f}" for d in case.defects)
        tile = np.hstack([shown, *case.references[:1]])
        strip = np.full((16, tile.shape[1], 3), 255, np.uint8)
        cv2.putText(strip, label, (3, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
        tiles.append(np.vstack([strip, tile]))
    while len(tiles) % columns:
        tiles.append(np.full_like(tiles[0], 255))
    return np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])
