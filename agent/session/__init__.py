"""Investigation sessions: an inspection, questions about it, a person's corrections; kept, resumed, forked, exported.

session ─► thread (runs the graph) ─► checkpoints (finished steps)
   ├────► files (card and pictures)     steps (what is told while it works)
   └────► corrections (checked), memory (past cases); corrected (for training)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.conversation import Pause
    from agent.session.files import SessionError, SessionInfo, sessions
    from agent.session.session import Event, Session
    from agent.session.steps import Reply, Step, Token

__all__ = ["Event", "Pause", "Reply", "Session", "SessionError", "SessionInfo", "Step", "Token", "sessions"]

_HOMES = {
    "Event": "agent.session.session",
    "Pause": "agent.conversation",
    "Reply": "agent.session.steps",
    "Session": "agent.session.session",
    "SessionError": "agent.session.files",
    "SessionInfo": "agent.session.files",
    "Step": "agent.session.steps",
    "Token": "agent.session.steps",
    "sessions": "agent.session.files",
}


def __getattr__(name: str) -> object:
    # Loaded on first use: a session brings the models, and the words of the chat do not need them.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
