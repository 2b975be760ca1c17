"""What can be said truly about a drawn case: each sentence follows from the case, a fact, or what a tool found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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
        self.case, self.rng = case, rng
        self.ids = {look.tool: f"E{i}" for i, look in enumerate(looks, 1)}
        self.values = {look.tool: look.values for look in looks}
        self.by = {(f.defect_type, f.kind): f.alias for f in facts}
        self.described = list(dict.fromkeys(f.defect_type for f in facts if f.kind == "defect" and f.defect_type))
        self.object = next((f.alias for f in facts if f.kind == "object"), None)

    def say(self, *variants: str) -> str:
        return variants[int(self.rng.integers(len(variants)))]

    @property
    def type(self) -> str | None:
        """The drawn defect, where a fact describes it."""
        names = [d.defect_type for d in self.case.defects]
        return names[0] if names and names[0] in self.described else None

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

    def where(self) -> str:
        """Where the strongest region is."""
        found, id = self.values["heatmap"]["regions"][0], self.ids["heatmap"]
        return self.say(f"It is in the {found['place']} [{id}].", f"It lies in the {found['place']} [{id}].")

    def size(self) -> str:
        """How large the strongest region is, in the words of its measurement."""
        found, id = self.values["measure"], self.ids["measure"]
        size = f"{found['length_px']:.0f} by {found['width_px']:.0f} px"
        return self.say(f"It measures {size} [{id}].", f"Its size is {size} [{id}].")

    def shape(self) -> str:
        if "measure" not in self.values:
            return ""
        found, id = self.values["measure"], self.ids["measure"]
        return self.say(
            f"The region is {found['shape']} and {found['tone']} its surround [{id}].",
            f"It is {found['shape']} and {found['tone']} its surround [{id}].",
        )

    def against(self) -> str:
        if "compare" not in self.values:
            return ""
        ratio, id = self.values["compare"]["ratio"], self.ids["compare"]
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
        close = f"[{self.ids['zoom']}]" if "zoom" in self.ids else ""
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
        close = f"[{self.ids['zoom']}]" if "zoom" in self.ids else ""
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
