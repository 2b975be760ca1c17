"""Investigation sessions about drawn cases: questions over more or less complete evidence, with each step that answers them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from agent.vlm.prompt import NumberedFact, Views, question_text
from agent.vlm.tool_calls import read_tool_calls
from knowledge.facts import Fact
from training.draw.families import FAMILIES
from training.draw.noise import Rng
from training.draw.scene import Case
from training.draw.splits import HELD_OUT_FAMILIES, HELD_OUT_TYPES
from training.fact_index import FactIndex, numbered
from training.follow_ups import unseen_topic
from training.looks import CALLED_BEFORE, LOOKS, crop, similar, told, why_failed
from training.preference.scene import PLACES
from training.steps import Step
from training.story import Look, Looks, Story
from training.wordings import NAMING, PERSONS, PLACED, UNKNOWN, Asked, Kind, ask

WEIGHTS: dict[Kind, float] = {
    "position": 1.0, "size": 1.2, "shape": 0.6, "type": 1.0, "cause": 1.3, "consequence": 1.3, "remedy": 1.3, "reference": 0.8,
    "heat": 0.4, "why": 0.7, "closer": 1.6, "measure": 1.0, "compare": 1.0, "known": 0.8, "of_cause": 0.6, "of_consequence": 0.6,
    "of_remedy": 0.6, "similar": 0.7, "person": 0.8, "unseen": 1.0,
}  # fmt: skip
"""How often each kind of question is asked."""
FAILS = 0.06
"""Share of the calls that come to nothing."""
REPEATS = 0.2
"""Share of the questions for a look that is there already where it was asked for again before they are answered."""
LOOKED_AT: dict[Kind, str] = {"closer": "zoom", "measure": "measure", "compare": "compare"}
CALLED = ("zoom", "measure", "compare", "query_facts", "similar_cases", "ask_person")
"""Tools that answers of a session take."""
MOST_FACTS = 16
"""As many as there are ids."""
STEPS = 4
_TRAINED = sorted({f.category for f in FAMILIES if f.name not in HELD_OUT_FAMILIES})
_OF_FACTS: frozenset[Kind] = frozenset({"cause", "consequence", "remedy", *NAMING})
READS_FACTS = _OF_FACTS | {"type", "why"}
"""Kinds of questions whose answers rest on facts."""


@dataclass(frozen=True)
class Told:
    """One step: what is put before the model, and what it is to reply."""

    text: str
    reply: str
    views: Views
    close_up: np.ndarray | None
    """The newest close-up, where it is not the one that the case was kept with."""


class Sessions:
    """Draws sessions about cases."""

    def __init__(self, index: FactIndex, described: int, shown: bool = True) -> None:
        self.index, self.described, self.shown = index, described, shown
        self._types = index.trained_types

    def session(self, case: Case, found: Looks, rng: Rng) -> Iterator[Told]:
        """The steps that answer one question about a case."""
        kinds, weights = list(WEIGHTS), np.array(list(WEIGHTS.values()))
        kind = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
        looks = self._looks(case, found, rng)
        before = Story(case, looks, [], rng)
        facts = self._facts(case, kind, rng, before.likely[:1] or [d.defect_type for d in case.defects][:1])
        asked = self._asked(kind, case, looks, facts, rng)
        close_up: np.ndarray | None = None
        shown = any(look.tool == "zoom" for look in looks if look in found.looks)
        failures: dict[str, str] = {}
        if rng.random() < FAILS:  # one that had no need to be made, most of the time
            failures[CALLED[int(rng.integers(len(CALLED)))]] = why_failed(rng)
        # Called in vain a second time: what it found the first time is to be read.
        tool = LOOKED_AT.get(kind)
        if tool and (seen := before.look(tool, asked.where or "")) and rng.random() < REPEATS:
            failures[tool] = CALLED_BEFORE.format(seen[0])
        for _ in range(STEPS):
            story = Story(case, looks, facts, rng)
            reply = Step(story, asked, bool(case.references), tuple(failures)).reply()
            text = question_text(asked.question, facts, [(id, look.summary) for id, look in story.looks])
            if failures:
                text += f"\nCalls that failed: {'; '.join(f'{name}: {why}' for name, why in failures.items())}"
            yield Told(text, reply, Views(len(case.references), shown and found.close_up is not None), close_up)
            calls, _, _ = read_tool_calls(reply)
            if not calls:
                return
            name, arguments = calls[0].name, calls[0].arguments
            if rng.random() < FAILS:
                failures[name] = why_failed(rng)
            elif name == "query_facts":
                if not self.shown:
                    return  # what it would find is not put before the model
                if len(more := self._queried(case, arguments["defect_types"], facts, rng)) == len(facts):
                    failures[name] = CALLED_BEFORE.format("Q2")
                facts = more
            elif name == "similar_cases":
                looks = [*looks, similar(rng)]
            elif name == "ask_person":
                looks = [*looks, self._heard(asked.topic or "use", rng, unknown=0.15)]
            else:
                looks = [*looks, self._look(name, arguments["where"], found, rng)]
                if name == "zoom":
                    shown = True
                    close_up = None if looks[-1] in found.looks else crop(case.test, arguments["where"])

    def _look(self, tool: str, where: str, found: Looks, rng: Rng) -> Look:
        """What the tool found there when the case was drawn, else something such as it finds."""
        heat = found.looks[0].values
        for look in found.looks:
            # Asked for the peak, the tools look at the region around it, whose middle may lie in the next ninth.
            if look.tool == tool and (look.values["place"] == where or heat["place"] == where):
                return look
        return LOOKS[tool](where, rng)

    def _looks(self, case: Case, found: Looks, rng: Rng) -> list[Look]:
        """All that the inspection found, or the heat map and some of it, and what was looked at since."""
        choice, close = rng.random(), list(found.looks[1:])
        if choice > 0.8:
            close = []
        elif choice > 0.45:
            close = [look for look in close if rng.random() < 0.5]
        looks = [found.looks[0], *close]
        tools = [tool for tool in LOOKS if tool != "compare" or case.references]
        for _ in range(int(rng.choice([0, 0, 0, 1, 2, 3]))):
            place = PLACES[int(rng.integers(len(PLACES)))]
            if all(look.values.get("place") != place for look in looks):
                looks.append(LOOKS[tools[int(rng.integers(len(tools)))]](place, rng))
        if rng.random() < 0.06:
            looks.append(similar(rng))
        if rng.random() < 0.08:
            looks.append(self._heard(list(PERSONS)[int(rng.integers(len(PERSONS)))], rng))
        return looks

    @staticmethod
    def _heard(topic: str, rng: Rng, unknown: float = 0.0) -> Look:
        """What the person said on a topic; with some probability that they do not know."""
        known = PERSONS[topic][2]
        return told(topic, UNKNOWN if rng.random() < unknown else known[int(rng.integers(len(known)))], rng)

    def _facts(self, case: Case, kind: Kind, rng: Rng, suspected: list[str]) -> list[NumberedFact]:
        if not self.shown:
            return []
        choice = rng.random()
        if kind in _OF_FACTS and choice < 0.4:  # of any product: what they say must not matter
            category = _TRAINED[int(rng.integers(len(_TRAINED)))]
            described = [f.defect_type or "" for f in self.index.defects(category, 40)]
            count = min(len(described), int(rng.integers(1, 3)))
            facts = self.index.about(category, [str(t) for t in rng.choice(described, count, replace=False)])
        elif choice < 0.6:
            types = [f.defect_type or "" for f in self.index.defects(case.category, 40)]
            other = [str(rng.choice(types))] if rng.random() < 0.6 else []
            suspects = [*suspected, *other] if rng.random() < 0.85 else other
            facts = self.index.about(case.category, [suspects[i] for i in rng.permutation(len(suspects))])
        elif choice < 0.93:
            facts = self._descriptions(case, rng)
        else:
            facts = []
        if kind not in READS_FACTS and rng.random() < 0.6:
            facts = facts[: int(rng.integers(4))]  # which do not matter there; short prompts train faster
        return numbered(facts)

    def _descriptions(self, case: Case, rng: Rng) -> list[Fact]:
        """What the agent looks up before it has a suspicion; in no order that could be learnt."""
        facts = self.index.defects(case.category, self.described)
        return [facts[i] for i in rng.permutation(len(facts))] + self.index.find(case.category, "", "object")[:1]

    def _asked(self, kind: Kind, case: Case, looks: Sequence[Look], facts: Sequence[NumberedFact], rng: Rng) -> Asked:
        if kind == "unseen":
            question, topic = unseen_topic(rng)
            return Asked(kind, question, topic=topic)
        place = PLACES[int(rng.integers(len(PLACES)))] if kind in PLACED else None
        if kind in PLACED and rng.random() < 0.3:  # where something was looked at before
            place = str(looks[int(rng.integers(len(looks)))].values.get("place", place))
        about = None
        if kind in NAMING:
            shown = sorted({f.defect_type for f in facts if f.defect_type} - HELD_OUT_TYPES)
            here = sorted({f.defect_type or "" for f in self.index.defects(case.category, 40)} - HELD_OUT_TYPES)
            pools = (shown or here, here, self._types)
            pool = pools[int(rng.choice(3, p=[0.55, 0.3, 0.15]))]
            about = pool[int(rng.integers(len(pool)))]
        return ask(kind, rng, place, about)

    def _queried(self, case: Case, types: Sequence[str], facts: Sequence[NumberedFact], rng: Rng) -> list[NumberedFact]:
        """The facts once the fact store was asked; it describes what else there is where it knows nothing of these types."""
        types = [t for t in types if self.index.find(case.category, t, "defect")]
        found = self.index.about(case.category, types) if types else self._descriptions(case, rng)
        new = [fact for fact in found if all(fact.text != known.text for known in facts)]
        more = [NumberedFact(f"F{i}", f.kind, f.defect_type, f.text) for i, f in enumerate(new, len(facts) + 1)]
        return [*facts, *more][:MOST_FACTS]
