"""The next step of an investigation session: a tool call where what an answer needs is not before the model, else the answer.

Every rule goes by what the prompt shows, not by what was drawn, so that it can be learnt; the kind of a defect alone is a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agent.vlm.prompt import DECLINED
from agent.vlm.tool_calls import tool_call_text
from training.story import Story, join, words
from training.wordings import PERSONS, UNKNOWN, Asked

MOST_KINDS = 2
"""Kinds of defect whose facts are told where it is open which of them it is."""
_FACT_KIND = {
    "cause": "cause", "consequence": "impact", "remedy": "remedy", "of_cause": "cause", "of_consequence": "impact", "of_remedy": "remedy",
    "known": "defect",
}  # fmt: skip
_QUERY = {"cause": "cause of {}", "impact": "effect of {}", "remedy": "remedy for {}", "defect": "{}"}
DESCRIPTIONS = {"query": "defects of such parts", "defect_types": []}
"""Facts on all defects that such parts have."""


def unseen_reply(thing: str) -> str:
    """What to say to a question about what no photo shows."""
    return f"{DECLINED}: the {thing} cannot be seen in it."


@dataclass
class Step:
    """One question, and what is before the model when it is asked."""

    story: Story
    asked: Asked
    references: bool
    """The model sees a reference."""
    failed: tuple[str, ...] = ()
    """Tools whose calls came to nothing."""

    def reply(self) -> str:
        """What to say or to call."""
        kind, story = self.asked.kind, self.story
        if kind in ("cause", "consequence", "remedy"):
            return self._of_it(_FACT_KIND[kind])
        if kind in _FACT_KIND:
            return self._of_kind(_FACT_KIND[kind])
        if kind in ("closer", "measure", "compare"):
            return self._at(self.asked.where or "centre")
        if kind == "position":
            return self._where()
        if kind in ("size", "shape"):
            return self._measured()
        if kind == "type":
            return self._type()
        if kind == "reference":
            return self._compared(self._peak, *self._here)
        if kind == "heat":
            return story.heat()
        if kind == "why":
            return self._reasons()
        if kind == "similar":
            return self._similar()
        if kind == "person":
            return self._person()
        return unseen_reply(self.asked.topic or "answer")

    # --- what is before the model

    @property
    def _heat(self) -> dict[str, Any]:
        return self.story.values["heatmap"]

    @property
    def _region(self) -> bool:
        return bool(self._heat["regions"])

    @property
    def _peak(self) -> str:
        """The one place that the line on the heat map names."""
        return str(self._heat["place"])

    @property
    def _here(self) -> tuple[str, ...]:
        """Where `it` is: the places that looks at it may name."""
        return self.story.places

    @property
    def _shown(self) -> str:
        """The place of the region, as far as it can be read."""
        looks = (self.story.look(tool, *self._here) for tool in ("measure", "zoom", "compare"))
        return next((str(look[1]["place"]) for look in looks if look is not None), self._peak)

    def _wanted(self, tool: str, where: str, *places: str) -> str | None:
        """The call of a tool that has not looked there; why there is no answer where that failed; None: it has looked."""
        if self.story.look(tool, where, *places) is not None:
            return None
        return self._failed(tool) or tool_call_text(tool, {"where": where})

    def _failed(self, tool: str) -> str | None:
        if tool not in self.failed:
            return None
        return f"{DECLINED}: {'no fact on it was found' if tool == 'query_facts' else f'the call of {tool} failed'}."

    # --- about the region that stands out

    def _nothing(self) -> str:
        """What to say of `it` where nothing stands out."""
        return join(self.story.heat(), self.story.against() if self.story.case.anomalous else self._quiet())

    def _quiet(self) -> str:
        return self.story.quiet() if self.story.described or self.story.object else ""

    def _where(self) -> str:
        if self._region:
            return join(self.story.where(self._shown), self.story.against())
        return join(
            self.story.heat(), f"Its peak is in the {self._peak} [{self.story.ids['heatmap']}].", self.story.against()
        )

    def _measured(self) -> str:
        if not self._region:
            return f"{DECLINED}: no region of it was measured."
        if step := self._wanted("measure", self._peak, *self._here):
            return step
        shape = self.story.shape(*self._here)
        return shape if self.asked.kind == "shape" else join(self.story.size(*self._here), shape)

    def _type(self) -> str:
        if not self._region and not self.story.case.anomalous:
            return self._nothing()
        if self._region and (step := self._wanted("zoom", self._peak, *self._here)):
            return step
        if not self.story.described:
            return self._failed("query_facts") or tool_call_text("query_facts", DESCRIPTIONS)
        return self.story.kind() if self.story.case.anomalous else self.story.quiet()

    def _reasons(self) -> str:
        story = self.story
        if not story.case.anomalous:
            return join(story.heat(), story.against(), self._quiet())
        shape = story.shape(*self._here) if self._region else ""
        return join(story.heat(), shape, story.against(), story.kind() if story.described else "")

    def _of_it(self, kind: str) -> str:
        """Cause, effect or remedy: the facts on it, for each kind that it may be."""
        known = [t for t in dict.fromkeys(f.defect_type for f in self.story.facts) if t and (t, kind) in self.story.by]
        if known:
            return join(*(self._fact(t, kind, "If it is the defect") for t in known[:MOST_KINDS]))
        if not self._region:
            return self._nothing()
        if reply := self._failed("query_facts"):
            return reply
        suspects = [self.story.type, *self.story.likely, *self.story.described]
        name = next((name for name in suspects if name), None)
        return tool_call_text("query_facts", DESCRIPTIONS) if name is None else self._query(kind, name)

    # --- about a kind that was named

    def _of_kind(self, kind: str) -> str:
        name = self.asked.defect_type or ""
        if (name, kind) in self.story.by:
            told = self._fact(name, kind, "On the defect")
            return join(told, self._fact(name, "cause", "On the defect")) if self.asked.kind == "known" else told
        if reply := self._failed("query_facts"):
            return reply
        return self._query(kind, name)

    def _fact(self, defect_type: str, kind: str, opening: str) -> str:
        """A fact, pointed at: `agent.vlm.quotes` puts its own words in."""
        id = self.story.by.get((defect_type, kind))
        return "" if id is None else f"{opening} {words(defect_type)}: [{id}]."

    @staticmethod
    def _query(kind: str, defect_type: str) -> str:
        query = _QUERY[kind].format(words(defect_type))
        return tool_call_text("query_facts", {"query": query, "defect_types": [defect_type]})

    # --- about a place that was named

    def _at(self, where: str) -> str:
        story = self.story
        if self.asked.kind == "measure":
            return self._wanted("measure", where) or join(story.size(where), story.shape(where))
        if self.asked.kind == "compare":
            return self._compared(where)
        if step := self._wanted("zoom", where):
            return step
        step = self._wanted("compare", where) if self.references else None
        if step and not step.startswith(DECLINED):
            return step
        look = story.look("zoom", where)
        close = f"The close-up shows the {where} [{look[0] if look else ''}]."
        heat = (
            story.heat()
            if where in self._here or not self._region
            else f"The heat map has its peak in the {self._peak} [{story.ids['heatmap']}]."
        )
        return join(close, heat, story.against(where) if self.references else "")

    def _compared(self, where: str, *places: str) -> str:
        if not self.references:
            return f"{DECLINED}: there is no reference to compare it with."
        return self._wanted("compare", where, *places) or self.story.against(where, *places)

    # --- what others know

    def _similar(self) -> str:
        if (look := self.story.look("similar_cases")) is None:
            return self._failed("similar_cases") or tool_call_text("similar_cases", {})
        id, cases = look[0], look[1]["cases"]
        if not cases:
            return f"No similar case is on record [{id}]."
        return f"On record: [{id}]."

    def _person(self) -> str:
        heard = [
            (id, k.values)
            for id, k in self.story.looks
            if k.tool == "ask_person" and k.values["topic"] == self.asked.topic
        ]
        if not heard:
            question = PERSONS[self.asked.topic or "use"][0]
            return self._failed("ask_person") or tool_call_text("ask_person", {"question": question})
        id, said = heard[-1][0], heard[-1][1]["said"]
        if said == UNKNOWN:
            return f"{DECLINED}: the person does not know it either [{id}]."
        return f"From the person: [{id}]."
