"""A person's correction from what they give: every value checked against the photo and the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from agent.conversation import Correction, Turn
from agent.images import InputError
from knowledge.facts import snake

MOST_NAME, MOST_WHY, MOST_ANSWER = 100, 1_000, 2_000
"""Characters."""


def checked_correction(
    values: Mapping[str, Any],
    size: tuple[int, int],
    turns: Sequence[Turn],
    *,
    by: str,
    why: str,
    verdict: Literal["normal", "anomalous"] | None,
    box: Sequence[int] | None,
    defect_type: str | None,
    answer: str | None,
    turn: int | None,
) -> Correction:
    """The correction; arguments by name as of `agent.session.Session.correct`.

    Args:
        values: the state, with a verdict.
        size: width and height of the photo in pixels.
        turns: all of them.

    Raises:
        InputError: nothing is corrected, or a value does not fit the photo or the other values.
    """
    about = next((one for one in turns if one.number == turn), None)
    if turn is not None and about is None:
        raise InputError(f"turn={turn!r}: there is no such turn; expected 1 to {len(turns)}")
    if all(value is None for value in (verdict, box, defect_type, answer)):
        raise InputError("correct: nothing to correct; give verdict, box, defect_type or answer")
    if verdict not in (None, "normal", "anomalous"):
        raise InputError(f"verdict={verdict!r}: expected 'normal' or 'anomalous'")
    marked = "box" if box is not None else "defect_type" if defect_type is not None else None
    after = verdict or values["verdict"]
    if marked and after != "anomalous":
        raise InputError(f"{marked}: the verdict is {after}; a defect wants verdict='anomalous' with it")
    kind = None if defect_type is None else snake(defect_type)
    if kind is not None and not 0 < len(kind) <= 60:
        raise InputError(f"defect_type={defect_type!r}: expected a name such as 'scratch'")
    return Correction(
        by=checked_text("by", by, MOST_NAME),
        at=datetime.now(UTC),
        why=checked_text("why", why, MOST_WHY),
        verdict=verdict,
        box=None if box is None else _inside(box, *size),
        defect_type=kind,
        answer=None if answer is None else checked_text("answer", answer, MOST_ANSWER),
        turn=turn,
        question=None if about is None else about.question,
        instead_of=values.get("said", "") if about is None else about.answer.text,
        verdict_before=values["verdict"],
    )


def _inside(box: Sequence[int], width: int, height: int) -> tuple[int, int, int, int]:
    if len(box) == 4:
        x0, y0, x1, y1 = map(int, box)
        if 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height:
            return x0, y0, x1, y1
    raise InputError(
        f"box={list(box)!r}: expected x0, y0, x1, y1 inside the {width} x {height} photo, x0 < x1, y0 < y1"
    )


def checked_text(argument: str, text: str, most: int) -> str:
    """Text of a person, without spaces around it. Raises `InputError` where it is none or too long."""
    if not text.strip() or len(text) > most:
        raise InputError(f"{argument}={text[:40]!r}: {len(text)} characters, expected 1 to {most}")
    return text.strip()
