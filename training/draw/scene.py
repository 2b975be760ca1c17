"""A drawn inspection case: a test photo, a normal reference of the same product, and what is true of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.draw.defects import SURFACE_DEFECTS
from training.draw.families import FAMILIES, Family
from training.draw.faults import PRODUCT_FAULTS
from training.draw.noise import Rng
from training.draw.surface import Product, draw_setup, move, pose_matrix, snap
from training.draw.textures import Draw

MIN_AREA = 12
"""A mask of fewer pixels (at 224 px) counts as not drawn, and another attempt is made."""


@dataclass(frozen=True)
class Defect:
    """A drawn defect."""

    defect_type: str
    mask: NDArray[np.bool_]
    """(H, W), in the test photo."""
    box: tuple[int, int, int, int]
    """x0, y0, x1, y1 in pixels, end exclusive."""
    severity: float
    """0 barely visible to 1 plain."""


@dataclass(frozen=True)
class Case:
    """One drawn inspection case; everything said about it in training text follows from these fields."""

    family: str
    category: str
    test: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    references: tuple[NDArray[np.uint8], ...]
    """Normal photos of the same design, (H, W, 3) RGB."""
    defects: tuple[Defect, ...]
    aligned: bool
    """The fixture holds the part still: test and reference can be compared pixel by pixel."""
    twin: NDArray[np.uint8] | None = None
    """The test photo as it would be without its defects, down to the noise; where it was asked for."""

    @property
    def anomalous(self) -> bool:
        return bool(self.defects)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Union of the defect masks, (H, W)."""
        out = np.zeros(self.test.shape[:2], bool)
        for defect in self.defects:
            out |= defect.mask
        return out


def draw_case(
    seed: Sequence[int],
    *,
    size: int = 224,
    anomalous: float = 0.5,
    references: int = 1,
    families: Sequence[Family] = FAMILIES,
    twin: bool = False,
) -> Case:
    """Draw one case; the same seed gives the same pixels.

    Args:
        seed: any non-negative integers, such as (run seed, index).
        size: side of the photos in pixels.
        anomalous: share of cases with a defect, 0..1.
        references: how many normal photos of the same design to draw besides.
        families: what to choose from.
        twin: whether to draw the test photo without its defects too.
    """
    rng = np.random.default_rng(list(seed))
    family = families[int(rng.integers(len(families)))]
    make: Draw = family.make(rng)
    setup = draw_setup(
        rng,
        scale=(1.0, 1.4) if family.fills else (0.8, 1.0),
        grey=0.6 if family.name in ("ground_ceramic", "solar_cell") else 0.25,
    )
    sameness = bool(rng.random() < 0.5)
    layout = int(rng.integers(2**31))

    def photo(faulty: bool) -> tuple[NDArray[np.uint8], list[Defect], NDArray[np.uint8] | None]:
        # Half of the designs repeat their exact grain in every photo, as prints, moulds and golden samples do.
        instance = make(np.random.default_rng(layout) if sameness and not family.fills else rng, size)
        matrix, flawless = pose_matrix(rng, setup, size), instance
        defects: list[Defect] = []
        product_fault, surface_defect = None, None
        if faulty:
            name = str(rng.choice(family.defects))
            severity = float(rng.beta(1.2, 1.2))
            if name in PRODUCT_FAULTS:
                product_fault = _try(PRODUCT_FAULTS[name], instance, rng, severity)
            else:
                surface_defect = SURFACE_DEFECTS[name]
        if product_fault is not None:
            instance, mask = product_fault
        surface = instance.flatten()
        if surface_defect is not None:
            mask = surface_defect(surface, rng, severity)
        if faulty and (product_fault is not None or surface_defect is not None):
            seen = move(mask.astype(np.float32), matrix, family.fills) > 0.3
            if seen.sum() >= MIN_AREA * (size / 224) ** 2:
                ys, xs = np.nonzero(seen)
                box = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
                defects.append(Defect(family.called.get(name, name), seen, box, severity))
        # The twin is taken with a copy of the generator: asking for it changes no other pixel.
        clean = snap(flawless.flatten(), setup, matrix, copy.deepcopy(rng), family.fills) if twin else None
        return snap(surface, setup, matrix, rng, family.fills), defects, clean

    faulty = bool(rng.random() < anomalous)
    test, defects, clean = photo(faulty)
    while faulty and not defects:
        test, defects, clean = photo(True)
    others = tuple(photo(False)[0] for _ in range(references))
    return Case(family.name, family.category, test, others, tuple(defects), aligned=setup.pose == 0, twin=clean)


def _try(fault: object, instance: Product, rng: Rng, severity: float) -> tuple[Product, NDArray[np.float32]] | None:
    for _ in range(4):
        made = fault(instance, rng, severity)  # type: ignore[operator]
        if made is not None:
            return made  # type: ignore[no-any-return]
    return None


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
