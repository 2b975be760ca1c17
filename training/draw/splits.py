"""What is trained on and what is kept from training: by design number, by family and by kind of defect."""

from __future__ import annotations

from dataclasses import dataclass

from training.draw.families import FAMILIES, Family

HELD_OUT_FAMILIES = frozenset(
    {"leather", "wire_mesh", "stone", "gear", "connector", "vessel_mouth", "capsule", "zipper"}
)
"""Never drawn for training."""
HELD_OUT_TYPES = frozenset({"chip", "burn", "spur", "rotated_part", "wrinkle", "foreign_body", "solder_bridge"})
"""Kinds of defect never drawn for training."""


@dataclass(frozen=True)
class Split:
    """One part of the drawn world; the same index draws another case in each."""

    name: str
    number: int
    """Goes into the seeds."""
    families: tuple[Family, ...]
    types: frozenset[str]
    """Kinds of defect that may be drawn."""


def _splits() -> dict[str, Split]:
    seen = tuple(f for f in FAMILIES if f.name not in HELD_OUT_FAMILIES)
    new = tuple(f for f in FAMILIES if f.name in HELD_OUT_FAMILIES)
    every = {name for family in FAMILIES for name in family.defect_types}
    known = frozenset(every - HELD_OUT_TYPES)
    prone = tuple(f for f in seen if HELD_OUT_TYPES.intersection(f.defect_types))
    made = (
        Split("train", 0, seen, known),
        Split("validation", 1, seen, known),
        Split("unseen_families", 2, new, known),
        Split("unseen_defects", 3, prone, HELD_OUT_TYPES),
    )
    return {split.name: split for split in made}


SPLITS = _splits()
TRAINED_KINDS = tuple(sorted({t for f in SPLITS["train"].families for t in f.defect_types} & SPLITS["train"].types))
"""Kinds of defect that training draws."""
