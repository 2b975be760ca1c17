"""Defects that change the surface itself, by name.

Each edits a flattened `Surface` in place and returns its mask. `severity` runs from 0 (barely visible) to 1 (plain to
anyone) and drives both size and contrast. Masks are (size, size) float32 coverage, 0..1; the caller thresholds them.
"""

from __future__ import annotations

from collections.abc import Callable

from training.draw import damage, deposits, layers, marks, outline, relief
from training.draw.noise import Field, Rng
from training.draw.surface import Surface

SurfaceDefect = Callable[[Surface, Rng, float], Field]

SURFACE_DEFECTS: dict[str, SurfaceDefect] = {
    # colour and wear
    "scratch": marks.scratch, "scuff": marks.scuff, "stain": marks.stain, "discolouration": marks.discolouration,
    "burn": marks.burn, "uneven_surface": marks.uneven, "weave_fault": marks.weave_fault, "wear": marks.wear,
    "dead_pixel": marks.dead_pixel, "mura": marks.mura, "colour_mismatch": marks.colour_mismatch,
    "inactive_area": marks.inactive_area, "chatter_mark": marks.chatter_mark,
    # matter that does not belong
    "contamination": deposits.contamination, "foreign_body": deposits.foreign_body, "corrosion": deposits.corrosion,
    "run": deposits.run, "leak": deposits.leak, "inclusion": deposits.inclusion, "mould": deposits.mould,
    "knot": deposits.knot, "spatter": deposits.spatter, "rolled_in_scale": deposits.rolled_in_scale,
    # material opened
    "crack": damage.crack, "crazing": damage.crazing, "pit": damage.pit, "void": damage.void,
    "shrinkage": damage.shrinkage, "hole": damage.hole, "spalling": damage.spalling, "cut": damage.cut,
    "tear": damage.tear, "thread_damage": damage.thread_damage,
    # skins, films and jackets
    "peel": layers.peel, "insulation_damage": layers.insulation_damage, "exposed_conductor": layers.exposed_conductor,
    "seal_failure": layers.seal_failure, "bubble": layers.bubble, "blister": layers.blister,
    "delamination": layers.delamination, "dry_spot": layers.dry_spot,
    # form
    "dent": relief.dent, "sink_mark": relief.sink_mark, "wrinkle": relief.wrinkle, "fold": relief.fold,
    "orange_peel": relief.orange_peel, "cold_shut": relief.cold_shut, "fray": relief.fray,
    "deformation": relief.deformation, "bend": relief.bend, "misalignment": relief.misalignment,
    # the outline
    "chip": outline.chip, "break": outline.broken, "short_shot": outline.short_shot, "flash": outline.flash,
    "burr": outline.burr,
}  # fmt: skip

SHAPE_DEFECTS = frozenset(
    {
        "bend",
        "break",
        "chip",
        "deformation",
        "flash",
        "fold",
        "fray",
        "hole",
        "misalignment",
        "short_shot",
        "tear",
        "wrinkle",
    }
)
"""Those that move or remove material, and with it what else is on it."""
