"""Investigation sessions: an inspection, questions about it, a person's corrections; kept, resumed, forked, exported.

session ─► thread (runs the graph) ─► checkpoints (finished steps)
   ├────► files (card and pictures)     steps (what is told while it works)
   └────► corrections (checked), memory (past cases); corrected (for training)
"""

from agent.conversation import Pause
from agent.session.files import SessionError, SessionInfo, sessions
from agent.session.session import Event, Session
from agent.session.steps import Reply, Step, Token

__all__ = ["Event", "Pause", "Reply", "Session", "SessionError", "SessionInfo", "Step", "Token", "sessions"]
