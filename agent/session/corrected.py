"""Sessions that a person corrected, as training takes them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.conversation import Correction, Turn
from agent.session.checkpoints import Checkpoints, open_checkpoints
from agent.session.files import SessionFolder, SessionInfo, sessions, sessions_root
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
    """Every session with a correction, oldest first; no model is loaded.

    Args:
        home: folder of the agent's state; by default `$SAGE_HOME`.

    Raises:
        agent.session.SessionError: the sessions cannot be read.
    """
    root = sessions_root(home)
    checkpoints = open_checkpoints(root, os.environ.get("SAGE_SESSIONS"))
    try:
        for info in reversed(sessions(home)):
            values = checkpoints.newest(info.id)
            if values.get("corrections"):
                yield _corrected(info, root / info.id, values, checkpoints)
    finally:
        checkpoints.close()


def _corrected(info: SessionInfo, folder: Path, values: dict[str, Any], checkpoints: Checkpoints) -> CorrectedSession:
    turns = {turn.number: turn for turn in SessionFolder(folder.parent, info.id).shared()}
    if any(correction.turn is not None for correction in values["corrections"]):
        turns |= checkpoints.turns(info.id)
    return CorrectedSession(
        session_id=info.id,
        test_image=folder / f"{TEST}.png",
        reference_image=folder / "reference-1.png" if info.references else None,
        category=info.category or values.get("category"),
        facts={fact.id: fact.text for fact in values["facts"]},
        evidence=[e.summary for e in values["evidence"] if e.tool not in ("query_facts", "person")],
        said=values["said"],
        turns=[turns[number] for number in sorted(turns)],
        corrections=values["corrections"],
    )
