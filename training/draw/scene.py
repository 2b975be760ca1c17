"""A drawn inspection case: a test photo, a normal reference of the same product, and what is true of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.draw import objects, textures
from training.draw.defects import SURFACE_DEFECTS
from training.draw.faults import PRODUCT_FAULTS
from training.draw.noise import Rng
from training.draw.surface import Product, draw_setup, move, pose_matrix, snap
from training.draw.textures import Draw


@dataclass(frozen=True)
class Family:
    """A kind of product the engine can draw."""

    name: str
    category: str
    """Family of the fact pack it belongs to."""
    make: object
    """`(rng) -> Draw`: fixes a design."""
    defects: tuple[str, ...]
    fills: bool = False
    """The surface fills the picture and continues past its border."""

    @property
    def defect_types(self) -> tuple[str, ...]:
        """Names of the defects it can have."""
        return tuple(dict.fromkeys(_RENAMED.get((self.name, d), d) for d in self.defects))


_SURFACE = ("scratch", "stain", "contamination", "discolouration", "dent")
_METAL = ("scratch", "scuff", "pit", "dent", "corrosion", "stain", "crack", "contamination")
_SOLID = ("scratch", "crack", "chip", "break", "dent", "stain", "contamination", "deformation")
_PARTS = ("missing_part", "missing_part", "misplaced_part", "swapped_part", "extra_part")
_TRACKS = ("open_circuit", "short_circuit", "mouse_bite", "spur", "pinhole", "spurious_copper")

FAMILIES: tuple[Family, ...] = (
    Family("brushed_metal", "metal_surface", textures.brushed_metal, (*_METAL, "hole", "uneven_surface"), True),
    Family("ground_ceramic", "magnet", textures.ground_ceramic, ("crack", "pit", "chip", "fray", "uneven_surface", "scratch", "stain", "break"), True),
    Family("cast_metal", "casting", textures.cast_metal, (*_METAL, "hole", "uneven_surface"), True),
    Family("rolled_steel", "metal_surface", textures.rolled_steel, (*_METAL, "wrinkle", "crazing"), True),
    Family("wood", "wood", textures.wood, ("scratch", "crack", "hole", "stain", "dent", "burn", "discolouration", "scuff"), True),
    Family("leather", "leather", textures.leather, ("cut", "wrinkle", "scratch", "hole", "stain", "fray", "discolouration", "scuff"), True),
    Family("weave", "textile_stitching", textures.weave, ("cut", "hole", "fray", "weave_fault", "stain", "wrinkle", "contamination"), True),
    Family("carpet", "textile_stitching", textures.carpet, ("cut", "hole", "fray", "stain", "contamination", "foreign_body"), True),
    Family("glazed_tile", "ceramic_tile", textures.glazed_tile, ("crack", "chip", "scratch", "stain", "crazing", "pit", "uneven_surface"), True),
    Family("concrete", "road_concrete", textures.concrete, ("crack", "hole", "chip", "stain", "crazing", "corrosion"), True),
    Family("painted", "coating_paint", textures.painted, ("scratch", "bubble", "run", "dent", "contamination", "crazing", "corrosion", "scuff"), True),
    Family("printed_paper", "paper_print", textures.printed_paper, ("misprint", "misprint", "stain", "cut", "wrinkle", "hole", "scratch", "contamination"), True),
    Family("solar_cell", "solar_cell", textures.solar_cell, ("crack", "crack", "discolouration", "break", "scratch", "stain", "open_circuit", "burn"), True),
    Family("display", "display_glass", textures.display, ("scratch", "crack", "stain", "contamination", "bubble", "discolouration", "pit"), True),
    Family("rubber_mat", "rubber_seal", textures.rubber_mat, ("cut", "hole", "scuff", "deformation", "stain", "foreign_body", "bubble"), True),
    Family("seam", "textile_stitching", textures.seam, ("open_circuit", "misprint", "cut", "fray", "stain", "wrinkle"), True),
    Family("weld_bead", "weld", textures.weld_bead, ("crack", "pit", "contamination", "burn", "hole", "uneven_surface", "corrosion"), True),
    Family("die_grid", "chip_wafer", textures.die_grid, ("scratch", "crack", "contamination", "stain", "chip", "discolouration"), True),
    Family("washer_nut", "fastener", objects.washer_nut, (*_SOLID, "corrosion", "flash", "scuff")),
    Family("gear", "bearing_gear", objects.gear, (*_SOLID, "corrosion", "pit")),
    Family("bearing", "bearing_gear", objects.bearing, (*_PARTS[:3], "scratch", "corrosion", "contamination", "dent")),
    Family("screwed_plate", "fastener", objects.screwed_plate, (*_PARTS, "missing_part", "scratch", "dent", "corrosion", "stain")),
    Family("bare_board", "printed_circuit_board", objects.bare_board, _TRACKS),
    Family("assembled_board", "printed_circuit_board", objects.assembled_board, (*_PARTS, "rotated_part", "contamination", "burn", "foreign_body", "scratch")),
    Family("connector", "connector", objects.connector, (*_PARTS[:3], "rotated_part", "crack", "chip", "deformation", "contamination")),
    Family("tablets", "blister_pack", objects.tablets, (*_PARTS, "crack", "chip", "stain", "contamination", "foreign_body")),
    Family("pill", "capsule_tablet", objects.pill, (*_SOLID, "discolouration", "misprint", "foreign_body")),
    Family("baked", "food_bakery", objects.baked, ("crack", "break", "break", "chip", "hole", "burn", "foreign_body", "deformation", "contamination")),
    Family("vessel_mouth", "bottle_vial", objects.vessel_mouth, (*_SOLID, "foreign_body", "bubble")),
    Family("cable", "wire_cable", objects.cable, ("missing_part", "swapped_part", "misplaced_part", "cut", "deformation", "contamination", "chip")),
    Family("bristles", "zipper_brush", objects.bristles, ("missing_part", "misplaced_part", "extra_part", "fray", "deformation", "stain")),
    Family("moulded_cap", "plastic_moulding", objects.moulded_cap, (*_SOLID, "flash", "bubble", "burn", "uneven_surface")),
    Family("battery_tray", "battery", objects.battery_tray, (*_PARTS, "corrosion", "dent", "stain", "run")),
    Family("shaft", "machined_shaft", objects.shaft, (*_SOLID, "corrosion", "pit", "scuff", "flash")),
    Family("ring_seal", "rubber_seal", objects.ring_seal, ("cut", "break", "chip", "deformation", "flash", "contamination", "crack", "scuff")),
)  # fmt: skip

BY_NAME = {family.name: family for family in FAMILIES}
CATEGORIES = tuple(sorted({family.category for family in FAMILIES}))
MIN_AREA = 12
"""A mask of fewer pixels (at 224 px) counts as not drawn, and another attempt is made."""

# What a defect is called depends on what it happens to: the drawing is the same, the word is not.
_RENAMED = {
    ("solar_cell", "open_circuit"): "finger_interruption", ("seam", "open_circuit"): "skipped_stitch", ("seam", "misprint"): "loose_stitch",
    ("ground_ceramic", "fray"): "uneven_surface", ("ground_ceramic", "pit"): "blowhole", ("cast_metal", "pit"): "porosity",
    ("weld_bead", "pit"): "porosity", ("cast_metal", "hole"): "blowhole", ("weld_bead", "contamination"): "spatter",
}  # fmt: skip


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
    make: Draw = family.make(rng)  # type: ignore[operator]
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
                defects.append(Defect(_RENAMED.get((family.name, name), name), seen, box, severity))
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
