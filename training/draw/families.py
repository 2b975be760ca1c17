"""The families of products the engine can draw: each a maker of designs, and the defects it can have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from training.draw import assemblies, solids, textures
from training.draw.noise import Rng
from training.draw.textures import Draw


@dataclass(frozen=True)
class Family:
    """A kind of product the engine can draw."""

    name: str
    category: str
    """Family of the fact pack it belongs to."""
    make: Callable[[Rng], Draw]
    """`(rng) -> Draw`: fixes a design."""
    defects: tuple[str, ...]
    fills: bool = False
    """The surface fills the picture and continues past its border."""
    called: Mapping[str, str] = field(default_factory=dict)
    """What a drawn defect is called on this product, where that is another word."""
    grey: float = 0.25
    """Share of stations with a monochrome camera, 0..1."""

    @property
    def defect_types(self) -> tuple[str, ...]:
        """Names of the defects it can have."""
        return tuple(dict.fromkeys(self.called.get(d, d) for d in self.defects))


_SURFACE = ("scratch", "stain", "contamination", "discolouration", "dent")
_METAL = ("scratch", "scuff", "pit", "dent", "corrosion", "stain", "crack", "contamination")
_SOLID = ("scratch", "crack", "chip", "break", "dent", "stain", "contamination", "deformation")
_PARTS = ("missing_part", "missing_part", "misplaced_part", "swapped_part", "extra_part")
_TRACKS = ("open_circuit", "short_circuit", "mouse_bite", "spur", "pinhole", "spurious_copper")

FAMILIES: tuple[Family, ...] = (
    Family("brushed_metal", "metal_surface", textures.brushed_metal, (*_METAL, "hole", "uneven_surface"), True),
    Family("ground_ceramic", "magnet", textures.ground_ceramic, ("crack", "pit", "chip", "fray", "uneven_surface", "scratch", "stain", "break"), True, {"fray": "uneven_surface", "pit": "blowhole"}, grey=0.6),
    Family("cast_metal", "casting", textures.cast_metal, (*_METAL, "hole", "uneven_surface"), True, {"pit": "porosity", "hole": "blowhole"}),
    Family("rolled_steel", "metal_surface", textures.rolled_steel, (*_METAL, "wrinkle", "crazing"), True),
    Family("wood", "wood", textures.wood, ("scratch", "crack", "hole", "stain", "dent", "burn", "discolouration", "scuff"), True),
    Family("leather", "leather", textures.leather, ("cut", "wrinkle", "scratch", "hole", "stain", "fray", "discolouration", "scuff"), True),
    Family("weave", "textile_stitching", textures.weave, ("cut", "hole", "fray", "weave_fault", "stain", "wrinkle", "contamination"), True),
    Family("carpet", "textile_stitching", textures.carpet, ("cut", "hole", "fray", "stain", "contamination", "foreign_body"), True),
    Family("glazed_tile", "ceramic_tile", textures.glazed_tile, ("crack", "chip", "scratch", "stain", "crazing", "pit", "uneven_surface"), True),
    Family("concrete", "road_concrete", textures.concrete, ("crack", "hole", "chip", "stain", "crazing", "corrosion"), True),
    Family("painted", "coating_paint", textures.painted, ("scratch", "bubble", "run", "dent", "contamination", "crazing", "corrosion", "scuff"), True),
    Family("printed_paper", "paper_print", textures.printed_paper, ("misprint", "misprint", "stain", "cut", "wrinkle", "hole", "scratch", "contamination"), True),
    Family("solar_cell", "solar_cell", textures.solar_cell, ("crack", "crack", "discolouration", "break", "scratch", "stain", "open_circuit", "burn"), True, {"open_circuit": "finger_interruption"}, grey=0.6),
    Family("display", "display_glass", textures.display, ("scratch", "crack", "stain", "contamination", "bubble", "discolouration", "pit"), True),
    Family("rubber_mat", "rubber_seal", textures.rubber_mat, ("cut", "hole", "scuff", "deformation", "stain", "foreign_body", "bubble"), True),
    Family("seam", "textile_stitching", textures.seam, ("open_circuit", "misprint", "cut", "fray", "stain", "wrinkle"), True, {"open_circuit": "skipped_stitch", "misprint": "loose_stitch"}),
    Family("weld_bead", "weld", textures.weld_bead, ("crack", "pit", "contamination", "burn", "hole", "uneven_surface", "corrosion"), True, {"pit": "porosity", "contamination": "spatter"}),
    Family("die_grid", "chip_wafer", textures.die_grid, ("scratch", "crack", "contamination", "stain", "chip", "discolouration"), True),
    Family("washer_nut", "fastener", solids.washer_nut, (*_SOLID, "corrosion", "flash", "scuff")),
    Family("gear", "bearing_gear", solids.gear, (*_SOLID, "corrosion", "pit")),
    Family("bearing", "bearing_gear", assemblies.bearing, (*_PARTS[:3], "scratch", "corrosion", "contamination", "dent")),
    Family("screwed_plate", "fastener", assemblies.screwed_plate, (*_PARTS, "missing_part", "scratch", "dent", "corrosion", "stain")),
    Family("bare_board", "printed_circuit_board", assemblies.bare_board, _TRACKS),
    Family("assembled_board", "printed_circuit_board", assemblies.assembled_board, (*_PARTS, "rotated_part", "contamination", "burn", "foreign_body", "scratch")),
    Family("connector", "connector", assemblies.connector, (*_PARTS[:3], "rotated_part", "crack", "chip", "deformation", "contamination")),
    Family("tablets", "blister_pack", assemblies.tablets, (*_PARTS, "crack", "chip", "stain", "contamination", "foreign_body")),
    Family("pill", "capsule_tablet", solids.pill, (*_SOLID, "discolouration", "misprint", "foreign_body")),
    Family("baked", "food_bakery", solids.baked, ("crack", "break", "break", "chip", "hole", "burn", "foreign_body", "deformation", "contamination")),
    Family("vessel_mouth", "bottle_vial", solids.vessel_mouth, (*_SOLID, "foreign_body", "bubble")),
    Family("cable", "wire_cable", assemblies.cable, ("missing_part", "swapped_part", "misplaced_part", "cut", "deformation", "contamination", "chip")),
    Family("bristles", "zipper_brush", assemblies.bristles, ("missing_part", "misplaced_part", "extra_part", "fray", "deformation", "stain")),
    Family("moulded_cap", "plastic_moulding", solids.moulded_cap, (*_SOLID, "flash", "bubble", "burn", "uneven_surface")),
    Family("battery_tray", "battery", assemblies.battery_tray, (*_PARTS, "corrosion", "dent", "stain", "run")),
    Family("shaft", "machined_shaft", solids.shaft, (*_SOLID, "corrosion", "pit", "scuff", "flash")),
    Family("ring_seal", "rubber_seal", solids.ring_seal, ("cut", "break", "chip", "deformation", "flash", "contamination", "crack", "scuff")),
)  # fmt: skip

BY_NAME = {family.name: family for family in FAMILIES}
CATEGORIES = tuple(sorted({family.category for family in FAMILIES}))
