"""A drawn inspection case: a test photo, a normal reference of the same product, and what is true of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.draw.allowed import VARIATIONS
from training.draw.camera import Matrix, Setup, draw_setup, move, pose_matrix, snap
from training.draw.defects import SHAPE_DEFECTS, SURFACE_DEFECTS
from training.draw.families import FAMILIES, Family
from training.draw.faults import PRODUCT_FAULTS, ProductFault
from training.draw.noise import Field, Rng
from training.draw.surface import Part, Product, Surface, blank
from training.draw.textures import Draw

VARIED = 0.18
"""Share of photos that show each of the allowed variations."""
DESIGN_TRIES = 40
"""Attempts at a defect before another design is drawn."""
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
    variations: tuple[str, ...] = ()
    """What the test photo shows that is allowed: names of `training.draw.allowed`."""
    several: bool = False
    """More than one item of the product is in the picture."""
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
    types: frozenset[str] | None = None,
    aligned: float = 0.15,
    twin: bool = False,
) -> Case:
    """Draw one case; the same seed gives the same pixels.

    Args:
        seed: any non-negative integers, such as (run seed, index).
        size: side of the photos in pixels.
        anomalous: share of cases with a defect, 0..1.
        references: how many normal photos of the same design to draw besides.
        families: what to choose from.
        types: kinds of defect to choose from, where a family has them; none: all of the family's.
        aligned: share of stations that hold the part still, so that test and reference agree pixel by pixel but for
            noise and grain; in the others the reference is another instance in another pose.
        twin: whether to draw the test photo without its defects too.

    Raises:
        ValueError: a family has none of `types`.
    """
    # Its length goes in too: numpy pads seeds with zeros, and (1,) would be (1, 0).
    rng = np.random.default_rng([len(seed), *seed])
    family = families[int(rng.integers(len(families)))]
    names = [d for d in family.defects if types is None or family.called.get(d, d) in types]
    if not names:
        raise ValueError(f"types: {family.name} has none of {sorted(types or ())}; give kinds that it can have")
    station = _Station(family, rng, size, aligned)
    faulty = bool(rng.random() < anomalous)
    test, defects, variations, clean = station.photo(names if faulty else [], varied=True, twin=twin)
    tries = 1
    while faulty and not defects:
        if tries % DESIGN_TRIES == 0:  # this design cannot have any of these
            station = _Station(family, rng, size, aligned)
        test, defects, variations, clean = station.photo(names, varied=True, twin=twin)
        tries += 1
    # References are chosen with care: what is allowed but not usual is on the test photo alone.
    others = tuple(station.photo([], varied=False, twin=False)[0] for _ in range(references))
    still = station.setup.pose == 0
    return Case(family.name, family.category, test, others, tuple(defects), still, variations, station.several, clean)


Photo = tuple[NDArray[np.uint8], list[Defect], tuple[str, ...], NDArray[np.uint8] | None]


class _Station:
    """One design of a family before one camera."""

    def __init__(self, family: Family, rng: Rng, size: int, aligned: float) -> None:
        self.family, self.rng, self.size = family, rng, size
        self.make = family.make(rng)
        partial = not family.fills and rng.random() < 0.12
        self.several = (
            not (family.fills or partial or set(family.defects) & set(PRODUCT_FAULTS)) and rng.random() < 0.15
        )
        if self.several:
            self.make = _several(self.make, rng)
        scale = (1.0, 1.4) if family.fills else (1.15, 1.6) if partial else (0.8, 1.0)
        self.setup: Setup = draw_setup(rng, scale=scale, grey=family.grey, aligned=aligned)
        # Half of the designs repeat their exact grain in every photo, as prints, moulds and golden samples do.
        self.layout = int(rng.integers(2**31))
        self.sameness = bool(rng.random() < 0.5) and not family.fills
        self.gain: float | None = None
        """Of the camera, set at its first photo: were it set anew each time, another shade would not be seen."""

    def photo(self, names: list[str], *, varied: bool, twin: bool) -> Photo:
        """One photo of a new instance: with a defect of one of `names`, or, where there is none, a good one."""
        rng, size, fills = self.rng, self.size, self.family.fills
        instance = self.make(np.random.default_rng(self.layout) if self.sameness else rng, size)
        if fills:  # their makers give relief in pixels of a picture of 224
            instance.base.height *= np.float32(size / 224)
        matrix, flawless = pose_matrix(rng, self.setup, size), instance
        masks: list[tuple[str, Field, float]] = []
        later = []
        for name in self._wanted(names):
            severity = float(rng.beta(1.2, 1.2))
            if name in SURFACE_DEFECTS:
                later.append((name, severity))
            elif (made := _try(PRODUCT_FAULTS[name], instance, rng, severity)) is not None:
                instance, mask = made
                masks.append((name, mask, severity))
        surface = instance.flatten()
        masks += [(name, SURFACE_DEFECTS[name](surface, rng, severity), severity) for name, severity in later]
        shown = [(name, VARIATIONS[name]) for name in VARIATIONS if varied and rng.random() < VARIED]
        # The twin is taken with a copy of the generator: asking for it changes no other pixel.
        twin_rng = copy.deepcopy(rng)
        taken = self._take(surface, shown, matrix, rng)
        clean = self._take(flawless.flatten(), shown, matrix, twin_rng) if twin else None
        found = [_seen(self.family, *item, matrix, fills) for item in masks]
        return taken, [d for d in found if d is not None], tuple(name for name, _ in shown), clean

    def _wanted(self, names: list[str]) -> list[str]:
        """One kind of defect, now and then two.

        The second only marks the surface: a second fault of the parts could undo the first, and one of the shape would
        carry the first away from its mask.
        """
        if not names:
            return []
        first = str(self.rng.choice(names))
        marks = [name for name in names if name in SURFACE_DEFECTS and name not in SHAPE_DEFECTS and name != first]
        second = [str(self.rng.choice(marks))] if marks and self.rng.random() < 0.12 else []
        return [first, *second]

    def _take(self, surface: Surface, shown: list[Shown], matrix: Matrix, rng: Rng) -> NDArray[np.uint8]:
        for _, vary in shown:
            vary(surface, rng)
        photo, self.gain = snap(surface, self.setup, matrix, rng, self.family.fills, self.gain)
        return photo


Shown = tuple[str, Callable[[Surface, Rng], None]]


def _seen(family: Family, name: str, mask: Field, severity: float, matrix: Matrix, fills: bool) -> Defect | None:
    """The defect as the photo shows it, or none where next to nothing of it is in the picture."""
    seen = move(mask.astype(np.float32), matrix, fills) > 0.3
    if seen.sum() < MIN_AREA * (mask.shape[0] / 224) ** 2:
        return None
    ys, xs = np.nonzero(seen)
    box = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
    return Defect(family.called.get(name, name), seen, box, severity)


def _several(make: Draw, rng: Rng) -> Draw:
    """Two to four items of a product side by side."""
    columns, rows = ((2, 1), (1, 2), (2, 2), (3, 1))[int(rng.integers(4))]
    turns = rng.choice([0, 90, 180, 270], columns * rows) if rng.random() < 0.5 else np.zeros(columns * rows)

    def draw(rng: Rng, size: int) -> Product:
        n = round(size / max(columns, rows) * 0.98)
        parts = []
        for i in range(columns * rows):
            x = (i % columns - (columns - 1) / 2) * n * 1.02 + size / 2
            y = (i // columns - (rows - 1) / 2) * n * 1.02 + size / 2
            item = make(rng, n).flatten()
            angle = float(turns[i] + rng.normal(0, 3))
            parts.append(Part(item, x + rng.normal(0, 0.01) * size, y + rng.normal(0, 0.01) * size, angle, "item"))
        return Product(blank(size, alpha=0.0), parts=tuple(parts))

    return draw


def _try(fault: ProductFault, instance: Product, rng: Rng, severity: float) -> tuple[Product, Field] | None:
    for _ in range(4):
        made = fault(instance, rng, severity)
        if made is not None:
            return made
    return None
