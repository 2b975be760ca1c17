"""Saying which line of the prompt holds what is asked for, or that none does: the ground of calling a tool or answering.

To notice that something is not there is learnt last (training/LOG.md, 2026-11-27); here it is half of what there is to learn.
"""

from __future__ import annotations

from agent.vlm.prompt import question_text
from training.draw.noise import Rng
from training.fact_index import KINDS, FactIndex, numbered
from training.looks import LOOKS, similar, told
from training.preference.scene import PLACES
from training.story import Look, words
from training.wordings import PERSONS, SPOKEN

MOST_LOOKS, MOST_NAMED = 6, 4
ABSENT = 0.5
"""Share of the questions for what no line holds."""
_CLOSE = {"zoom": "close-up", "measure": "measurement", "compare": "comparison"}
_OF = {"defect": "description", "cause": "cause", "impact": "effect", "remedy": "remedy"}


class Finding:
    """Makes such rows, as in `Is there a close-up of the left edge?`, and `Yes [E4].` or `No.`."""

    def __init__(self, index: FactIndex) -> None:
        self._index, self._types = index, index.trained_types
        self._families = sorted({fact.category for fact in index.pack.facts if fact.defect_type in self._types})

    def row(self, rng: Rng) -> tuple[str, str]:
        """A prompt and its reply."""
        return self._fact(rng) if rng.random() < 0.5 else self._look(rng)

    def _look(self, rng: Rng) -> tuple[str, str]:
        looks = [self._some_look(rng) for _ in range(int(rng.integers(1, MOST_LOOKS + 1)))]
        there = {
            (look.tool, str(look.values.get("place") or look.values.get("topic") or "")): i
            for i, look in enumerate(looks, 1)
        }
        absent = [(tool, place) for tool in LOOKS for place in PLACES] + [("similar_cases", "")]
        absent = [key for key in [*absent, *(("ask_person", topic) for topic in PERSONS)] if key not in there]
        pool = absent if rng.random() < ABSENT else list(there)
        tool, about = pool[int(rng.integers(len(pool)))]
        if tool == "similar_cases":
            question = "Are similar cases listed?"
        elif tool == "ask_person":
            question = f"Did the person answer: {PERSONS[about][0]}"
        else:
            question = f"Is there a {_CLOSE[tool]} of the {SPOKEN[about][int(rng.integers(len(SPOKEN[about])))]}?"
        found = there.get((tool, about))
        evidence = [(f"E{i}", look.summary) for i, look in enumerate(looks, 1)]
        return question_text(question, [], evidence), "No." if found is None else f"Yes [E{found}]."

    @staticmethod
    def _some_look(rng: Rng) -> Look:
        choice = rng.random()
        if choice < 0.1:
            return similar(rng)
        if choice < 0.2:
            topic = list(PERSONS)[int(rng.integers(len(PERSONS)))]
            said = PERSONS[topic][2]
            return told(topic, said[int(rng.integers(len(said)))], rng)
        tools = list(LOOKS)
        return LOOKS[tools[int(rng.integers(len(tools)))]](PLACES[int(rng.integers(len(PLACES)))], rng)

    def _fact(self, rng: Rng) -> tuple[str, str]:
        category = self._families[int(rng.integers(len(self._families)))]
        described = [f.defect_type for f in self._index.defects(category, 40) if f.defect_type in self._types]
        count = min(len(described), int(rng.integers(1, MOST_NAMED + 1)))
        named = [str(t) for t in rng.choice(described, count, replace=False)]
        facts = [fact for fact in self._index.about(category, named) if rng.random() < 0.7]
        shown = numbered([facts[i] for i in rng.permutation(len(facts))] if rng.random() < 0.5 else facts)
        there = {(fact.defect_type, fact.kind): fact.alias for fact in shown if fact.defect_type}
        other = self._types[int(rng.integers(len(self._types)))]
        absent = [(t, kind) for t in (*named, other) for kind in KINDS if (t, kind) not in there]
        pool = absent if absent and (not there or rng.random() < ABSENT) else list(there)
        about, kind = pool[int(rng.integers(len(pool)))]
        found = there.get((about, kind))
        question = f"Is there a fact on {words(str(about))}, its {_OF[kind]}?"
        return question_text(question, shown, []), "No." if found is None else f"Yes [{found}]."
