"""Saying again what stands in the prompt: the ground that citations, places, numbers and names in answers are built on.

A small language model learns from answers alone how they are worded long before it learns to look up what they say. From rows
that can only be answered by looking up it learnt that in nine minutes on two cores (training/LOG.md, 2026-11-27).
"""

from __future__ import annotations

import re

from training.draw.noise import Rng
from training.fact_index import FactIndex
from training.preference.scene import PLACES

MOST_PIECES, MOST_LINES = 10, 5
ABSENT = 0.4
"""Share of the words asked for that no line is about: to notice that decides whether a tool has to be called."""


class Copying:
    """Makes such rows of pieces that stand in real prompts, put together at random so that nothing can be guessed."""

    def __init__(self, index: FactIndex) -> None:
        facts = index.pack.facts
        self._words = sorted({word for fact in facts for word in re.findall(r"[a-z]+", fact.text.lower())})
        self._types = index.trained_types

    def row(self, rng: Rng) -> tuple[str, str]:
        """A prompt and its reply: all of it again, what a line says, or what is said of a word, if anything is."""
        choice = rng.random()
        if choice < 0.6:
            said = " ".join(self._piece(rng) for _ in range(int(rng.integers(2, MOST_PIECES + 1))))
            return f"Question: Say: {said}", said
        count, tag = int(rng.integers(2, MOST_LINES + 1)), "E" if rng.random() < 0.5 else "F"
        asked = int(rng.integers(count))
        if choice < 0.8:
            lines = [", ".join(self._piece(rng) for _ in range(int(rng.integers(1, 4)))) for _ in range(count)]
            question, reply = f"What is [{tag}{asked + 1}]?", f"{lines[asked]} [{tag}{asked + 1}]."
        else:
            *keys, absent = (str(key) for key in rng.choice(self._words, count + 1, replace=False))
            lines = [f"{key}: {self._piece(rng)}" for key in keys]
            question, reply = f"What of {keys[asked]}?", f"On {lines[asked]} [{tag}{asked + 1}]."
            if rng.random() < ABSENT:
                question, reply = f"What of {absent}?", f"Nothing on {absent}."
        head = "Evidence" if tag == "E" else "Facts"
        listed = "\n".join(f"[{tag}{i}] {line}" for i, line in enumerate(lines, 1))
        return f"{head}:\n<data>\n{listed}\n</data>\nQuestion: {question}", reply

    def _piece(self, rng: Rng) -> str:
        choice = int(rng.integers(5))
        if choice == 0:
            return PLACES[int(rng.integers(len(PLACES)))]
        if choice == 1:
            name = self._types[int(rng.integers(len(self._types)))]
            return name.replace("_", " ") if rng.random() < 0.5 else name
        if choice == 2:
            return f"{int(rng.integers(1, 300))} by {int(rng.integers(1, 300))} px"
        if choice == 3:
            return f"{int(rng.integers(100)) / 100:.2f}"
        return " ".join(str(word) for word in rng.choice(self._words, int(rng.integers(1, 4))))
