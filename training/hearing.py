"""Saying what a question asks for: the ground of choosing a tool or the fact that answers it.

In an answer only the first words tell what was heard, and the rest of it drowns them; here the reply is nothing else.
"""

from __future__ import annotations

from agent.vlm.prompt import question_text
from training.draw.noise import Rng
from training.fact_index import FactIndex
from training.follow_ups import unseen_topic
from training.preference.scene import PLACES
from training.wordings import KINDS, NAMING, PLACED, ask


class Hearing:
    """Makes such rows: a question of a session, as in `What about the left edge?`, and `closer: middle left.`."""

    def __init__(self, index: FactIndex) -> None:
        self._types = index.trained_types

    def row(self, rng: Rng) -> tuple[str, str]:
        """A prompt and its reply: the kind of question, and what it names."""
        kind = KINDS[int(rng.integers(len(KINDS)))]
        named: str | None
        if kind == "unseen":
            question, named = unseen_topic(rng)
        else:
            place = PLACES[int(rng.integers(len(PLACES)))] if kind in PLACED else None
            defect_type = self._types[int(rng.integers(len(self._types)))] if kind in NAMING else None
            asked = ask(kind, rng, place, defect_type)
            question, named = asked.question, asked.where or asked.defect_type or asked.topic
        heard = kind.replace("_", " ")
        # The question stands last, as it does where it is answered: it is heard from the same place.
        text = f"What is asked for?\n{question_text(question, [], [])}"
        return text, f"{heard}: {named}." if named else f"{heard}."
