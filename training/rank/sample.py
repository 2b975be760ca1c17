"""Candidate answers drawn from a model, four that differ to a question, in an order that says nothing."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from agent.vlm.prompt import VERDICT_QUESTION
from training.adpl import ANSWERS
from training.rank.folder import AskedQuestion, Candidate, same

TRIES = 16
"""Most draws to a question; a model that is sure gives the same answer again and again."""
DEFAULT_QUESTIONS = (
    VERDICT_QUESTION,
    "Does the test part look like the part in the reference image?",
    "Does one place of the test part stand out from the rest?",
    "Is the test part free of defects?",
    "Can the test part be accepted?",
)
"""Asked of every pair where no others are given."""


class Answers(Protocol):
    """A model with one image pair before it."""

    def answer(self, question: str, *, temperature: float, seed: int) -> str:
        """An answer, drawn at the temperature."""
        ...

    def support(self, answer: str) -> float | None:
        """Share of an answer's sentences that hold, 0 to 1; None where it has none."""
        ...


def sample_question(
    model: Answers, question: str, *, name: str, temperature: float, rng: np.random.Generator
) -> AskedQuestion:
    """Draw answers until there are four that differ, or `TRIES` draws gave no more: then the question stays open.

    Args:
        model: answers and scores.
        question: what to ask.
        name: of the model, for the record.
        temperature: above 0; higher gives answers that differ more.
        rng: draws the seeds of the answers and their order.
    """
    found: list[Candidate] = []
    for _ in range(TRIES):
        seed = int(rng.integers(2**31))
        text = model.answer(question, temperature=temperature, seed=seed).strip()
        if not text or any(same(text, other.text) for other in found):
            continue
        score = model.support(text)
        found.append(Candidate(text=text, score=score, model=name, temperature=temperature, seed=seed))
        if len(found) == ANSWERS:
            break
    # A model's likeliest answer tends to be drawn first, which would tell raters which one it is.
    return AskedQuestion(question=question, candidates=[found[i] for i in rng.permutation(len(found))])
