"""Where the finished steps of sessions are kept: SQLite in the session folder, or Postgres by its URL."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from agent.conversation import Acceptance, Call, Correction, Turn
from agent.report import Answer, Finding, ReasoningStep
from agent.session.files import SessionError
from agent.vlm.prompt import Plan
from knowledge.facts import Fact
from tools.evidence import Evidence

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

FILE = "sessions.sqlite"
WAIT_S = 30.0
"""For another process that writes."""
# Only these are made of what stands in a checkpoint; anything else stays plain data.
_NOUNS = (Acceptance, Answer, Call, Correction, Evidence, Fact, Finding, Plan, ReasoningStep, Turn)


@dataclass(frozen=True)
class Checkpoints:
    """A store of them."""

    saver: BaseCheckpointSaver[str]
    faults: tuple[type[Exception], ...]
    """What it raises when it cannot be read or written."""

    def close(self) -> None:
        """Close the connection."""
        self.saver.conn.close()  # type: ignore[attr-defined]

    def newest(self, id: str) -> dict[str, Any]:
        """The state of a session as it stands, without its graph; empty where there is none."""
        kept = self.saver.get_tuple({"configurable": {"thread_id": id}})
        return {} if kept is None else dict(kept.checkpoint["channel_values"])

    def turns(self, id: str) -> dict[int, Turn]:
        """Every turn that is kept of a session, by number."""
        found: dict[int, Turn] = {}
        for kept in self.saver.list({"configurable": {"thread_id": id}}):
            found = {t.number: t for t in kept.checkpoint["channel_values"].get("turns") or []} | found
        return found


def open_checkpoints(root: Path, url: str | None = None) -> Checkpoints:
    """The store of checkpoints.

    Args:
        root: folder of the sessions.
        url: `postgresql://…`; None: SQLite in `root`.

    Raises:
        SessionError: it cannot be opened.
    """
    serde = JsonPlusSerializer(allowed_msgpack_modules=[(noun.__module__, noun.__name__) for noun in _NOUNS])
    if url is not None:
        return _postgres(url, serde)
    from langgraph.checkpoint.sqlite import SqliteSaver

    try:
        root.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(root / FILE, check_same_thread=False, timeout=WAIT_S)
        saver = SqliteSaver(connection, serde=serde)
        saver.setup()
    except (OSError, sqlite3.Error) as error:
        raise SessionError(
            f"{root / FILE}: sessions cannot be kept ({error}); set SAGE_HOME to a folder that can be written"
        ) from error
    return Checkpoints(saver, (sqlite3.Error,))


def _postgres(url: str, serde: JsonPlusSerializer) -> Checkpoints:
    try:
        from langgraph.checkpoint.postgres import PostgresSaver  # type: ignore[import-not-found]
        from psycopg import Connection, Error, OperationalError  # type: ignore[import-not-found]
        from psycopg.rows import dict_row  # type: ignore[import-not-found]
    except ImportError as error:
        raise SessionError(
            f"SAGE_SESSIONS={_hidden(url)}: Postgres needs two packages more: pip install langgraph-checkpoint-postgres 'psycopg[binary]'"
        ) from error
    try:
        saver = PostgresSaver(
            Connection.connect(url, autocommit=True, prepare_threshold=0, row_factory=dict_row), serde=serde
        )
        saver.setup()
    except OperationalError as error:
        line = " ".join(str(error).split())[:200]
        raise SessionError(
            f"SAGE_SESSIONS={_hidden(url)}: no Postgres answers ({line}); check address, user and password"
        ) from error
    return Checkpoints(saver, (Error,))


def _hidden(url: str) -> str:
    """An address without user and password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
