"""The verdict that an answer opens with."""

from __future__ import annotations

from agent.vlm.prompt import DECLINED, read_answer
from training.adpl import UNANSWERABLE, Verdict


def verdict_of(answer: str) -> Verdict | None:
    """True, False, or that no photo can tell; None where it opens with none of them."""
    return UNANSWERABLE if answer.startswith(DECLINED) else read_answer(answer)[0]
