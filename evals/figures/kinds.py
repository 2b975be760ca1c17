"""A data set's own names of defects in the words of the fact store's ontology, and who was taken for what."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from knowledge.facts import snake
from knowledge.kinds import groups

if TYPE_CHECKING:
    from evals.outcome import Outcome

NO_FINDING = "none"
"""Stands for a photo without a finding, and for a normal photo."""

# Names that are read as a whole: the words of most say too little, those of some the wrong thing. None: names no one kind.
_NAMES: dict[str, str | None] = {
    "bend_and_part_mismatch": None, "ak": "pit", "bx": "deformation", "ch": "scuff", "hs": "scratch", "qs": "missing_part", "yw": "foreign_body",
    "zw": "contamination",  # the codes of Real-IAD
    "bent_lead": "bent_pin", "broken_teeth": "break", "cable_swap": "swapped_part", "copper": "spurious_copper",
    "cut_inner_insulation": "insulation_damage", "cut_outer_insulation": "insulation_damage", "extra": "extra_part",
    "faulty_imprint": "misprint", "flip": "rotated_part", "foreign_object": "foreign_body", "gray_stroke": "stain",
    "missing": "missing_part", "missing_cable": "missing_part", "missing_component": "missing_part", "missing_hole": None,
    "missing_wire": "missing_part", "misplaced": "misplaced_part", "open": "open_circuit", "part_mismatch": "swapped_part",
    "pill_type": "swapped_part", "pitted_surface": "pitting", "poke_insulation": "insulation_damage", "print": "stain",
    "short": "short_circuit", "split_teeth": None, "squeezed_teeth": "deformation", "thread": "foreign_body",
    "thread_side": "thread_damage", "thread_top": "thread_damage", "wrong_place": "misplaced_part",
}  # fmt: skip
_WORDS = {
    "abrasion": "scuff", "bent": "bend", "breakage": "break", "broken": "break", "burned": "burn", "burnt": "burn",
    "chipped": "chip", "color": "discolouration", "colour": "discolouration", "contaminated": "contamination",
    "corroded": "corrosion", "cracked": "crack", "deformed": "deformation", "dirt": "contamination", "dirty": "contamination",
    "discolor": "discolouration", "discolored": "discolouration", "discoloration": "discolouration", "discolour": "discolouration",
    "discoloured": "discolouration", "frayed": "fray", "glue": "contamination", "leaking": "leak", "liquid": "stain",
    "mildew": "mould", "mold": "mould", "mousebite": "mouse_bite", "misshape": "deformation", "oil": "stain", "poke": "hole",
    "pore": "porosity", "puncture": "hole", "rough": "uneven_surface", "rust": "corrosion", "rusty": "corrosion",
    "scratched": "scratch", "squeeze": "deformation", "stained": "stain", "torn": "tear", "uneven": "uneven_surface",
    "warped": "warpage", "worn": "wear",
}  # fmt: skip


def kind_of(name: str) -> str | None:
    """The kind that a defect's name in a data set stands for, such as `break` for `broken_large`.

    The name as a whole comes first, case, plural and a number at its end aside; else the one kind that its words name.

    Args:
        name: as the data set writes it, such as a folder's name.

    Returns:
        A defect type of `knowledge.kinds`; None where the name says no kind (`defective`), or two of them.
    """
    kinds = groups()
    words = [_singular(word) for word in re.sub(r"(_\d+)+$", "", snake(name)).split("_")]
    whole = "_".join(words)
    if whole in kinds:
        return whole
    if whole in _NAMES:
        return _NAMES[whole]
    named = {_WORDS.get(word, word) for word in words} & kinds.keys()
    return named.pop() if len(named) == 1 else None


def _singular(word: str) -> str:
    if word in groups() or word in _WORDS:
        return word
    for stem in (word.removesuffix("s"), word.removesuffix("es")):
        if stem in groups() or stem in _WORDS or stem in ("part", "object"):
            return stem
    return word


def confusion(outcomes: Sequence[Outcome]) -> Mapping[str, Mapping[str, int]]:
    """How often each true kind was called what, as counts of photos by true kind, then by named kind, most common first.

    Normal photos and photos without a finding stand under `NO_FINDING`; anomalous photos of unknown kind are left out.
    """
    counts: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        true = NO_FINDING if outcome.label == 0 else kind_of(outcome.defect_type)
        if true is not None:
            counts.setdefault(true, Counter())[_said(outcome)] += 1
    ordered = sorted(counts, key=lambda kind: (kind == NO_FINDING, -counts[kind].total(), kind))
    return {kind: dict(counts[kind].most_common()) for kind in ordered}


def _said(outcome: Outcome) -> str:
    return NO_FINDING if outcome.named is None or outcome.verdict == "normal" else outcome.named
