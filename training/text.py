"""Questions and reasoned answers about drawn cases; every sentence follows from the case or from the tools' evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.vlm.prompt import VERDICT_QUESTION, NumberedFact, Plan, Views, plan_reply, plan_text, question_text
from training.draw.families import BY_NAME
from training.draw.noise import Rng
from training.draw.scene import Case
from training.fact_index import FactIndex, numbered
from training.preference.scene import PLACES

SHARE = {"screen": 0.4, "plan": 0.4, "alone": 0.2, "suspect": 1.0, "verdict": 0.7, "question": 0.2}
"""How often each task is written for a case, on average."""
TASKS = tuple(SHARE)


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


@dataclass
class Example:
    """One prompt with the reply to learn."""

    text: str
    reply: str
    views: Views
    task: str


@dataclass
class Writer:
    """Writes the examples of a case."""

    facts: FactIndex

    def examples(self, case: Case, found: Looks, rng: Rng) -> list[Example]:
        """Some of: a plan, a second plan after the looks, the verdict from evidence alone and with facts, a question."""
        references = len(case.references)
        evidence = [(f"E{i}", look.summary) for i, look in enumerate(found.looks, 1)]
        near, close = Views(references), Views(references, found.close_up is not None)
        looks = ["heatmap", "zoom", "measure", "compare"] if references else ["heatmap", "zoom", "measure"]
        out = []
        if rng.random() < SHARE["screen"]:
            seen = _Story(case, found.looks, [], rng).seen()
            out.append(Example(question_text(VERDICT_QUESTION, [], evidence), seen, close, "screen"))
        if rng.random() < SHARE["plan"]:
            out.append(Example(plan_text([]), plan_reply(Plan(case.category, looks)), near, "plan"))
        if rng.random() < SHARE["alone"]:
            # The baseline of the model alone.
            opening = "True." if case.anomalous else "False."
            out.append(Example(question_text(VERDICT_QUESTION, [], []), opening, near, "alone"))
        suspects = self._suspects(case)
        if rng.random() < SHARE["suspect"]:
            out.append(Example(plan_text(evidence), plan_reply(Plan(None, [], suspects)), close, "suspect"))
        if rng.random() >= SHARE["verdict"]:
            return out
        if rng.random() < 0.45:
            # The plan is not always right: the model must also learn to say that no fact fits.
            suspects = [str(t) for t in rng.choice(BY_NAME[case.family].defect_types, 2, replace=False)]
        if rng.random() < 0.4:
            suspects = suspects[::-1]
        facts = numbered(self.facts.about(case.category, suspects))
        story = _Story(case, found.looks, facts, rng)
        out.append(Example(question_text(VERDICT_QUESTION, facts, evidence), story.verdict(), close, "verdict"))
        if rng.random() < SHARE["question"] / SHARE["verdict"]:
            question, reply = story.other_question(self._types(case))
            out.append(Example(question_text(question, facts, evidence), reply, close, "question"))
        return out

    def _types(self, case: Case) -> list[str]:
        return list(
            dict.fromkeys(t for t in BY_NAME[case.family].defect_types if self.facts.find(case.category, t, "defect"))
        )

    def _suspects(self, case: Case) -> list[str]:
        """The drawn defect, and what else such parts often have: always in the same order, so that only the picture decides."""
        true = [d.defect_type for d in case.defects]
        return list(dict.fromkeys(true + self._types(case)))[:2]


def words(defect_type: str) -> str:
    """A defect type as one writes it."""
    return defect_type.replace("_", " ")


class _Story:
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
        if self.type is None:
            cites = "".join(f"[{self.by[t, 'defect']}]" for t in self.described)
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
        cites = "".join(f"[{self.by[t, 'defect']}]" for t in self.described)
        close = f"[{self.ids['zoom']}]" if "zoom" in self.ids else ""
        return self.say(
            f"No mark of the described kinds is visible {cites}{close}.",
            f"Nothing looks like the described defects {cites}{close}.",
        ) if cites else self.say(f"It looks as such a part should [{self.object}].")  # fmt: skip

    def seen(self) -> str:
        """The verdict from the evidence alone, without facts."""
        opening = "True." if self.case.anomalous else "False."
        return _join(opening, self.heat(), self.shape(), self.against())

    def verdict(self) -> str:
        if not self.case.anomalous:
            return _join("False.", self.heat(), self.against(), self.quiet())
        if self.values["heatmap"]["regions"] and not self.hit:
            return _join("True.", self.heat(), self.kind(), self.consequences())
        return _join("True.", self.heat(), self.shape(), self.against(), self.kind(), self.consequences())

    def other_question(self, types: Sequence[str]) -> tuple[str, str]:
        """A question besides the verdict, with its answer."""
        true = [d.defect_type for d in self.case.defects]
        choice = self.rng.random()
        if choice < 0.45 and types:
            asked = true[0] if true and self.rng.random() < 0.5 else str(self.rng.choice(list(types)))
            question = self.say(
                f"Is there a defect of the type {words(asked)}?", f"Does the part show the defect {words(asked)}?"
            )
            if asked in true:
                return question, _join("True.", self.heat(), self.kind())
            return question, _join("False.", self.heat(), self.kind() if true else self.quiet())
        if choice < 0.75:
            if not true:
                question = self.say("Is the part free of defects?", "Can the part be accepted?")
                return question, _join("True.", self.heat(), self.quiet())
            question = self.say("Is the part free of defects?", "Can the part be accepted?")
            return question, _join("False.", self.heat(), self.kind(), self.consequences())
        here = _place(self.case) if true else None
        asked = here if here and self.rng.random() < 0.5 else str(self.rng.choice(PLACES))
        question = self.say(f"Is there a defect in the {asked} of the image?", f"Does the {asked} show a defect?")
        if here == asked:
            return question, _join("True.", self.heat(), self.kind())
        return question, _join("False.", self.heat(), self.kind() if true else self.quiet())


def _place(case: Case) -> str:
    """Where the first drawn defect is: the word of the ninth of the photo that its box's middle lies in."""
    size = case.test.shape[0]
    x0, y0, x1, y1 = case.defects[0].box
    return PLACES[min(2, int(3 * (y0 + y1) / 2 / size)) * 3 + min(2, int(3 * (x0 + x1) / 2 / size))]


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)
