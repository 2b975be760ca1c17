"""Sessions that a person corrected, as training takes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.conversation import Correction, Turn
from agent.session import Session, sessions
from tools.toolbox import TEST


@dataclass(frozen=True)
class CorrectedSession:
    """What the agent said of a photo, and what a person said instead."""

    session_id: str
    test_image: Path
    reference_image: Path | None
    category: str | None
    facts: dict[str, str]
    """Texts by id, in the order of their short ids F1, F2, …"""
    evidence: list[str]
    """Summaries in the order of their ids E1, E2, …; without what persons said, which would give the answer away."""
    said: str
    """The agent's answer to the verdict question, as written."""
    turns: list[Turn]
    corrections: list[Correction]


def corrected_cases(home: Path | None = None) -> Iterator[CorrectedSession]:
    """Every session with a correction, oldest first.

    Args:
        home: folder of the agent's state; by default `$SAGE_HOME`.

    Raises:
        agent.session.SessionError: a session is damaged.
    """
    for info in reversed(sessions(home)):
        session = Session.resume(info.id, home=home)
        values = session.values
        if not values.get("corrections"):
            continue
        folder = session.folder
        yield CorrectedSession(
            session_id=session.id,
            test_image=folder / f"{TEST}.png",
            reference_image=folder / "reference-1.png" if info.references else None,
            category=info.category or values.get("category"),
            facts={fact.id: fact.text for fact in values["facts"]},
            evidence=[e.summary for e in values["evidence"] if e.tool not in ("query_facts", "person")],
            said=values["said"],
            turns=session.turns(),
            corrections=session.corrections,
        )
