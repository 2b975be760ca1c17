"""The families of products the engine can draw: each a maker of designs, and the defects it can have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from training.draw import (
    assemblies,
    boards,
    cloths,
    formed,
    goods,
    minerals,
    mouldings,
    panels,
    sheets,
    solder,
    solids,
    textures,
    trays,
    vessels,
    wiring,
    zipper_brush,
)
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


_METAL = ("scratch", "scuff", "pit", "dent", "corrosion", "stain", "crack", "contamination")
_SOLID = ("scratch", "crack", "chip", "break", "dent", "stain", "contamination", "deformation")
_PARTS = ("missing_part", "missing_part", "misplaced_part", "swapped_part", "extra_part")
_TRACKS = ("open_circuit", "short_circuit", "mouse_bite", "spur", "pinhole", "spurious_copper")

FAMILIES: tuple[Family, ...] = (
    Family("brushed_metal", "metal_surface", textures.brushed_metal, (*_METAL, "hole", "uneven_surface", "inclusion", "wear"), True, {"wear": "scuff"}),
    Family("ground_ceramic", "magnet", minerals.ground_ceramic, ("crack", "pit", "chip", "fray", "uneven_surface", "scratch", "stain", "break"), True, {"fray": "uneven_surface", "pit": "blowhole"}, grey=0.6),
    Family("cast_metal", "casting", textures.cast_metal, (*_METAL, "hole", "uneven_surface", "shrinkage", "cold_shut", "inclusion"), True, {"pit": "porosity", "hole": "blowhole"}),
    Family("rolled_steel", "metal_surface", textures.rolled_steel, (*_METAL, "wrinkle", "crazing", "rolled_in_scale", "inclusion"), True),
    Family("wood", "wood", textures.wood, ("scratch", "crack", "hole", "stain", "dent", "burn", "discolouration", "scuff", "knot", "chip"), True),
    Family("leather", "leather", textures.leather, ("cut", "wrinkle", "scratch", "hole", "stain", "fold", "discolouration", "scuff", "crack"), True),
    Family("weave", "textile_stitching", cloths.weave, ("cut", "hole", "fray", "weave_fault", "stain", "wrinkle", "contamination", "tear"), True),
    Family("carpet", "textile_stitching", cloths.carpet, ("cut", "hole", "fray", "stain", "contamination", "foreign_body", "wear"), True, {"wear": "scuff"}),
    Family("glazed_tile", "ceramic_tile", minerals.glazed_tile, ("crack", "chip", "scratch", "stain", "crazing", "pit", "uneven_surface", "foreign_body"), True, {"pit": "pinhole"}),
    Family("concrete", "road_concrete", minerals.concrete, ("crack", "hole", "spalling", "stain", "void", "wear", "chip"), True, {"hole": "pothole"}),
    Family("painted", "coating_paint", textures.painted, ("scratch", "blister", "run", "dent", "contamination", "crazing", "corrosion", "scuff", "peel", "orange_peel"), True),
    Family("printed_paper", "paper_print", sheets.printed_paper, ("misprint", "misprint", "stain", "cut", "wrinkle", "tear", "scuff", "discolouration", "contamination"), True, {"discolouration": "colour_mismatch"}),
    Family("solar_cell", "solar_cell", panels.solar_cell, ("crack", "crack", "discolouration", "break", "scratch", "inactive_area", "open_circuit", "burn", "chip"), True, {"open_circuit": "finger_interruption"}, grey=0.6),
    Family("display", "display_glass", panels.display, ("scratch", "crack", "stain", "contamination", "bubble", "dead_pixel", "mura", "chip"), True),
    Family("rubber_mat", "rubber_seal", sheets.rubber_mat, ("cut", "void", "scuff", "deformation", "stain", "foreign_body", "bubble", "wear", "tear"), True, {"wear": "scuff"}),
    Family("seam", "textile_stitching", cloths.seam, ("open_circuit", "misprint", "cut", "fray", "stain", "wrinkle", "hole"), True, {"open_circuit": "skipped_stitch", "misprint": "loose_stitch"}),
    Family("weld_bead", "weld", sheets.weld_bead, ("crack", "pit", "spatter", "contamination", "burn", "hole", "uneven_surface", "corrosion", "discolouration"), True, {"pit": "porosity", "contamination": "spatter"}),
    Family("die_grid", "chip_wafer", panels.die_grid, ("scratch", "crack", "contamination", "stain", "chip", "discolouration"), True),
    Family("knotty_wood", "wood", textures.knotty_wood, ("scratch", "crack", "hole", "stain", "chip", "burn", "contamination", "dent"), True),
    Family("stone", "ceramic_tile", minerals.stone, ("crack", "chip", "scratch", "stain", "pit", "discolouration", "contamination"), True),
    Family("knit", "textile_stitching", cloths.knit, ("cut", "hole", "fray", "stain", "weave_fault", "contamination", "wrinkle", "tear"), True),
    Family("carbon_fibre", "composite", cloths.carbon_fibre, ("scratch", "crack", "foreign_body", "void", "fray", "weave_fault", "dry_spot", "delamination"), True, {"fray": "fibre_misalignment", "weave_fault": "fibre_misalignment"}),
    Family("wire_mesh", "metal_surface", cloths.wire_mesh, ("hole", "deformation", "weave_fault", "cut", "contamination", "corrosion", "foreign_body", "fray"), True),
    Family("carton", "packaging_carton", sheets.carton, ("scratch", "stain", "dent", "tear", "cut", "hole", "wrinkle", "misprint", "scuff", "contamination"), True),
    Family("tread_plate", "metal_surface", sheets.tread_plate, ("scratch", "corrosion", "dent", "crack", "stain", "contamination", "scuff", "wear"), True, {"wear": "scuff"}),
    Family("foil", "metal_surface", sheets.foil, ("hole", "wrinkle", "scratch", "tear", "stain", "dent", "contamination", "fold"), True, {"fold": "wrinkle"}),
    Family("washer_nut", "fastener", solids.washer_nut, (*_SOLID, "corrosion", "burr", "flash", "scuff"), called={"burr": "flash"}),
    Family("gear", "bearing_gear", solids.gear, (*_SOLID, "break", "corrosion", "pit", "wear", "spalling"), called={"pit": "pitting", "spalling": "pitting", "chip": "break"}),
    Family("bearing", "bearing_gear", assemblies.bearing, (*_PARTS[:3], "scratch", "corrosion", "contamination", "dent", "scuff", "wear", "pit"), called={"pit": "pitting"}),
    Family("screwed_plate", "fastener", assemblies.screwed_plate, (*_PARTS, "missing_part", "scratch", "dent", "corrosion", "stain")),
    Family("bare_board", "printed_circuit_board", boards.bare_board, _TRACKS),
    Family("assembled_board", "printed_circuit_board", boards.assembled_board, (*_PARTS, "rotated_part", "wrong_colour", "contamination", "burn", "foreign_body", "scratch"), called={"wrong_colour": "swapped_part"}),
    Family("connector", "connector", wiring.connector, (*_PARTS[:2], "bent_pin", "bent_pin", "crooked_row", "crack", "chip", "deformation", "contamination", "flash", "corrosion"), called={"crooked_row": "misalignment"}),
    Family("tablets", "blister_pack", trays.tablets, (*_PARTS, "rotated_part", "wrong_colour", "wrong_count", "crack", "chip", "stain", "contamination", "foreign_body", "seal_failure", "hole"), called={"hole": "pinhole", "missing_part": "empty_pocket", "wrong_colour": "discolouration"}),
    Family("pill", "capsule_tablet", goods.pill, (*_SOLID, "discolouration", "misprint", "foreign_body")),
    Family("baked", "food_bakery", goods.baked, ("crack", "break", "break", "chip", "hole", "burn", "mould", "stain", "foreign_body", "deformation", "contamination")),
    Family("vessel_mouth", "bottle_vial", vessels.vessel_mouth, (*_SOLID, "chip", "foreign_body", "bubble")),
    Family("cable", "wire_cable", wiring.cable, ("missing_part", "swapped_part", "wrong_colour", "misplaced_part", "cut", "deformation", "contamination", "insulation_damage", "exposed_conductor"), called={"wrong_colour": "swapped_part"}),
    Family("bristles", "zipper_brush", zipper_brush.bristles, ("missing_part", "misplaced_part", "wrong_count", "wrong_colour", "fray", "deformation", "stain"), called={"wrong_colour": "swapped_part"}),
    Family("moulded_cap", "plastic_moulding", mouldings.moulded_cap, (*_SOLID, "flash", "short_shot", "sink_mark", "bubble", "burn", "uneven_surface")),
    Family("battery_tray", "battery", assemblies.battery_tray, (*_PARTS[:2], "misplaced_part", "swapped_part", "crooked_row", "wrong_colour", "corrosion", "dent", "stain", "leak", "insulation_damage"), called={"crooked_row": "misalignment", "wrong_colour": "swapped_part"}),
    Family("shaft", "machined_shaft", solids.shaft, ("scratch", "crack", "dent", "stain", "contamination", "corrosion", "pit", "scuff", "burr", "chatter_mark", "bend", "burn")),
    Family("solder_joints", "solder_joint", solder.solder_joints, ("cold_solder", "solder_bridge", "solder_bridge", "insufficient_solder", "excess_solder", "contamination", "crack", "spatter"), called={"spatter": "contamination"}),
    Family("terminal_block", "connector", wiring.terminal_block, (*_PARTS[:4], "crack", "deformation", "contamination", "scratch", "burn")),
    Family("pin_header", "connector", wiring.pin_header, (*_PARTS[:3], "bent_pin", "bent_pin", "crooked_row", "crack", "contamination", "scratch", "corrosion"), called={"crooked_row": "misalignment"}),
    Family("zipper", "zipper_brush", zipper_brush.zipper, ("missing_part", "split", "split", "rotated_part", "crooked_row", "fray", "deformation", "contamination", "stain", "cut"), called={"rotated_part": "bend", "crooked_row": "bend"}),
    Family("counted_tray", "packaging_carton", trays.counted_tray, ("missing_part", "misplaced_part", "rotated_part", "swapped_part", "wrong_count", "wrong_count", "wrong_colour", "crooked_row", "contamination", "foreign_body"), called={"wrong_colour": "colour_mismatch", "crooked_row": "misalignment"}),
    Family("bricks", "toy_assembly", trays.bricks, (*_PARTS[:3], "extra_part", "wrong_colour", "rotated_part", "scratch", "contamination"), called={"wrong_colour": "swapped_part"}),
    Family("fuse_box", "generic_object", trays.fuse_box, (*_PARTS[:4], "rotated_part", "crooked_row", "foreign_body", "contamination", "crack"), called={"crooked_row": "misplaced_part"}),
    Family("ring_seal", "rubber_seal", mouldings.ring_seal, ("cut", "break", "chip", "deformation", "flash", "contamination", "crack", "scuff", "void", "scratch")),
    Family("screw", "fastener", solids.screw, ("thread_damage", "thread_damage", "bend", "scratch", "corrosion", "dent", "stain", "crack", "contamination", "deformation")),
    Family("spring", "generic_object", formed.spring, ("deformation", "bend", "break", "corrosion", "scratch", "crack", "stain", "contamination", "foreign_body"), called={"bend": "deformation"}),
    Family("pipe_end", "pipe_tube", formed.pipe_end, ("burr", "dent", "scratch", "crack", "corrosion", "deformation", "contamination", "stain", "chip")),
    Family("casting_part", "casting", formed.casting_part, ("pit", "hole", "cold_shut", "shrinkage", "inclusion", "crack", "flash", "break", "scratch", "scuff", "dent"), called={"pit": "porosity", "hole": "blowhole"}),
    Family("gasket", "rubber_seal", mouldings.gasket, ("cut", "tear", "crack", "deformation", "flash", "hole", "contamination", "scratch", "stain", "break"), called={"tear": "cut"}),
    Family("capsule", "capsule_tablet", goods.capsule, ("crack", "dent", "deformation", "leak", "misprint", "scratch", "discolouration", "contamination", "hole", "foreign_body")),
    Family("sweets", "food_bakery", goods.sweets, ("crack", "break", "chip", "mould", "stain", "foreign_body", "deformation", "discolouration", "hole", "contamination")),
    Family("pouch", "packaging_carton", goods.pouch, ("seal_failure", "tear", "hole", "misprint", "wrinkle", "dent", "stain", "scratch", "cut", "contamination"), called={"cut": "tear"}),
    Family("bottle", "bottle_vial", vessels.bottle, ("missing_part", "misprint", "crack", "scratch", "dent", "stain", "run", "contamination", "foreign_body", "bubble")),
    Family("glass_vial", "bottle_vial", vessels.glass_vial, ("crack", "break", "chip", "scratch", "foreign_body", "bubble", "misprint", "stain", "contamination")),
)  # fmt: skip

BY_NAME = {family.name: family for family in FAMILIES}
