"""What can be said in words about a drawn image pair."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.draw.scene import Case

PLACES = (
    "upper left", "upper centre", "upper right", "middle left", "centre", "middle right", "lower left", "lower centre", "lower right",
)  # fmt: skip
"""Ninths of a photo, row by row."""
EXTENTS = ((0.003, "tiny"), (0.015, "small"), (0.06, "medium-sized"), (1.0, "large"))
"""Up to which share of the photo a defect is called so."""


@dataclass(frozen=True)
class Mark:
    """A defect as one would describe it."""

    defect_type: str
    place: str
    """The ninth that most of it lies in."""
    touched: frozenset[str]
    """All ninths it reaches into."""
    extent: str
    tone: str
    """`darker than`, `brighter than` or `about as bright as` its surround."""


@dataclass(frozen=True)
class Scene:
    """An image pair in words."""

    marks: tuple[Mark, ...]
    """Largest first; none on a normal part."""
    differences: tuple[str, ...]
    """What differs from the reference though it is allowed, as `training.draw.allowed` names it; `plain`: none of those."""

    @property
    def anomalous(self) -> bool:
        return bool(self.marks)

    @property
    def types(self) -> frozenset[str]:
        return frozenset(mark.defect_type for mark in self.marks)

    @property
    def touched(self) -> frozenset[str]:
        return frozenset[str]().union(*(mark.touched for mark in self.marks))


def describe(case: Case) -> Scene:
    """The scene of a drawn case."""
    grey = case.test.astype(np.float32).mean(2)
    found = [mark_of(d.defect_type, d.mask, grey) for d in sorted(case.defects, key=lambda d: -int(d.mask.sum()))]
    return Scene(tuple(found), case.variations or ("plain",))


def mark_of(defect_type: str, mask: NDArray[np.bool_], grey: NDArray[np.float32]) -> Mark:
    """A defect in words.

    Args:
        defect_type: what it is.
        mask: (H, W), True on it.
        grey: (H, W), brightness of the photo, 0..255.
    """
    return Mark(defect_type, *places_of(mask), _extent(mask), _tone(mask, grey))


def places_of(mask: NDArray[np.bool_]) -> tuple[str, frozenset[str]]:
    """The ninth of the photo with most of a mask, and all with any of it."""
    share = cv2.resize(mask.astype(np.float32), (3, 3), interpolation=cv2.INTER_AREA).ravel()
    return PLACES[int(share.argmax())], frozenset(name for name, part in zip(PLACES, share, strict=True) if part > 0)


def _extent(mask: NDArray[np.bool_]) -> str:
    share = float(mask.mean())
    return next(word for limit, word in EXTENTS if share <= limit)


def _tone(mask: NDArray[np.bool_], grey: NDArray[np.float32]) -> str:
    near = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    ring = near & ~mask
    gap = float(grey[mask].mean()) - float(grey[ring].mean() if ring.any() else grey.mean())
    return "darker than" if gap < -6 else "brighter than" if gap > 6 else "about as bright as"
