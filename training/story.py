"""What can be said truly about a drawn case: each sentence follows from the case, a fact, or what a tool found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.vlm.kinds import SOUND
from agent.vlm.prompt import NumberedFact
from training.draw.noise import Rng
from training.draw.scene import Case

MOST_CITED = 3
"""Descriptions cited for what fits none of them."""


@dataclass(frozen=True)
class Look:
    """What one tool call found, as the agent's tools report it."""

    tool: str
    summary: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Looks:
    """What the tools found in a case, passed in from outside."""

    looks: tuple[Look, ...]
    close_up: np.ndarray | None
    """(H, W, 3) uint8, where there was a region to look at."""


def words(defect_type: str) -> str:
    """A defect type as one writes it."""
    return defect_type.replace("_", " ")


class Story:
    """The sentences that can be said truly about one case."""

    def __init__(self, case: Case, looks: Sequence[Look], facts: Sequence[NumberedFact], rng: Rng) -> None:
        self.case, self.rng, self.facts = case, rng, facts
        self.looks = [(f"E{i}", look) for i, look in enumerate(looks, 1)]
        """With the ids by which they are cited; further looks of a session stand behind those of the inspection."""
        self.ids: dict[str, str] = {}
        self.values: dict[str, dict[str, Any]] = {}
        for id, look in self.looks:
            self.ids.setdefault(look.tool, id)
            self.values.setdefault(look.tool, look.values)
        self.by = {(f.defect_type, f.kind): f.alias for f in facts}
        self.described = list(dict.fromkeys(f.defect_type for f in facts if f.kind == "defect" and f.defect_type))
        self.object = next((f.alias for f in facts if f.kind == "object"), None)

    def say(self, *variants: str) -> str:
        return variants[int(self.rng.integers(len(variants)))]

    @property
    def places(self) -> tuple[str, ...]:
        """Where `it` is: the places that looks at what stands out in the heat map may name."""
        heat = self.values["heatmap"]
        return (str(heat["place"]), *(str(region["place"]) for region in heat["regions"][:1]))

    @property
    def close(self) -> tuple[str, dict[str, Any]] | None:
        """The close-up of it, where it was looked at: id and values."""
        return self.look("zoom", *self.places) if "heatmap" in self.values else None

    @property
    def likely(self) -> list[str]:
        """Kinds of defect that the close-up looks like, likeliest first; none where nobody looked."""
        like = self.close[1].get("likeness", ()) if self.close else ()
        return [str(item["kind"]) for item in like if item["kind"] != SOUND]

    @property
    def type(self) -> str | None:
        """The likeliest kind that a fact describes. Where nobody looked, the drawn one: a guess from the photo."""
        suspects = self.likely or [d.defect_type for d in self.case.defects][:1]
        return next((kind for kind in suspects if kind in self.described), None)

    @property
    def hit(self) -> bool:
        """The strongest region of the heat map lies on a drawn defect."""
        regions = self.values["heatmap"]["regions"]
        if not regions:
            return False
        x0, y0, x1, y1 = regions[0]["box_px"]
        return bool(self.case.mask[y0:y1, x0:x1].any())

    def heat(self) -> str:
        found, id = self.values["heatmap"], self.ids["heatmap"]
        level = found["level"]
        if found["regions"]:
            place = found["regions"][0]["place"]
            return self.say(
                f"The heat map is {level} and marks the {place} [{id}].",
                f"In the {place} the heat map is {level} and above its threshold [{id}].",
                f"The {place} stands out in the heat map, which is {level} [{id}].",
            )
        return self.say(
            f"The heat map is {level} and no region reaches its threshold [{id}].",
            f"No region stands out in the heat map, which is {level} [{id}].",
        )

    def where(self, place: str | None = None) -> str:
        """Where the strongest region is; `place`, where the prompt names another than its middle."""
        found, id = place or self.values["heatmap"]["regions"][0]["place"], self.ids["heatmap"]
        return self.say(f"It is in the {found} [{id}].", f"It lies in the {found} [{id}].")

    def look(self, tool: str, *places: str) -> tuple[str, dict[str, Any]] | None:
        """The last look that a tool took at one of the places, or its first of all where none is named: id and values."""
        taken = [(id, look.values) for id, look in self.looks if look.tool == tool]
        if not places:
            return taken[0] if taken else None
        there = [(id, values) for id, values in taken if values.get("place") in places]
        return there[-1] if there else None

    def size(self, *places: str) -> str:
        """How large the region is, in the words of its measurement."""
        if (look := self.look("measure", *places)) is None:
            return ""
        id, found = look
        size = f"{found['length_px']:.0f} by {found['width_px']:.0f} px"
        if "length_mm" in found:
            size = f"{found['length_mm']:.2f} by {found['width_mm']:.2f} mm"
        return self.say(f"It measures {size} [{id}].", f"Its size is {size} [{id}].")

    def shape(self, *places: str) -> str:
        if (look := self.look("measure", *places)) is None:
            return ""
        id, found = look
        return self.say(
            f"The region is {found['shape']} and {found['tone']} its surround [{id}].",
            f"It is {found['shape']} and {found['tone']} its surround [{id}].",
        )

    def against(self, *places: str) -> str:
        if (look := self.look("compare", *places)) is None:
            return ""
        id, ratio = look[0], look[1]["ratio"]
        if ratio >= 2:
            return self.say(
                f"Nothing in the reference looks like it [{id}].", f"The reference shows nothing of the kind [{id}]."
            )
        if ratio < 1.4:
            return self.say(f"The reference looks much the same there [{id}].", f"It agrees with the reference [{id}].")
        return self.say(
            f"It differs a little from the reference [{id}].", f"The reference differs only a little there [{id}]."
        )

    def kind(self) -> str:
        close = f"[{self.close[0]}]" if self.close else ""
        if not self.described:
            return (
                f"It has the look of the defect {words(self.case.defects[0].defect_type)}{' ' if close else ''}{close}."
            )
        if self.type is None:
            cites = "".join(f"[{self.by[t, 'defect']}]" for t in self.described[:MOST_CITED])
            return self.say(
                f"Its look fits none of the described defects {cites}{close}.",
                f"None of the described defects fits it {cites}{close}.",
            )
        cite = f"[{self.by[self.type, 'defect']}]{close}"
        name = words(self.type)
        return self.say(
            f"It has the look of the defect {name} {cite}.",
            f"This fits the description of {name} {cite}.",
            f"The look is that of {name} {cite}.",
        )

    def consequences(self) -> str:
        ids = [self.by.get((self.type, kind)) for kind in ("cause", "impact", "remedy")]
        if self.type is None or any(id is None for id in ids):
            return ""
        cause, impact, remedy = ids
        name = words(self.type)
        return self.say(
            f"For {name} the facts give the usual cause [{cause}], the effect on the part [{impact}] and the remedy [{remedy}].",
            f"The facts on {name} name its cause [{cause}], what it does to the part [{impact}] and what to do [{remedy}].",
        )

    def quiet(self) -> str:
        """Why a normal part is held to be normal."""
        cites = "".join(f"[{self.by[t, 'defect']}]" for t in self.described[:MOST_CITED])
        close = f"[{self.close[0]}]" if self.close else ""
        return self.say(
            f"No mark of the described kinds is visible {cites}{close}.",
            f"Nothing looks like the described defects {cites}{close}.",
        ) if cites else f"It looks as such a part should{f' [{self.object}]' if self.object else ''}."  # fmt: skip

    def seen(self) -> str:
        """The verdict from the evidence alone, without facts."""
        opening = "True." if self.case.anomalous else "False."
        return join(opening, self.heat(), self.shape(), self.against())

    def verdict(self) -> str:
        if not self.case.anomalous:
            return join("False.", self.heat(), self.against(), self.quiet())
        if self.values["heatmap"]["regions"] and not self.hit:
            return join("True.", self.heat(), self.kind(), self.consequences())
        return join("True.", self.heat(), self.shape(), self.against(), self.kind(), self.consequences())

    def judged(self) -> str:
        """The verdict without any evidence."""
        return join("True.", self.kind()) if self.case.anomalous else join("False.", self.quiet())


def join(*parts: str) -> str:
    return " ".join(part for part in parts if part)
