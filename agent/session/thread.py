"""One session's thread through the graph: run it, read where it stands, never twice at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from filelock import FileLock, Timeout
from langchain_core.messages import AIMessage

from agent.conversation import Pause, Turn
from agent.graph import STEPS
from agent.session.checkpoints import Checkpoints
from agent.session.files import SessionError
from agent.session.steps import Step, Token, step_of
from agent.state import texts_by_id
from agent.vlm.quotes import Quoting

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

    from agent.state import InspectionState


class Thread:
    """A graph with its checkpoints, for one session; `first` is the number of the first turn that is its own."""

    def __init__(
        self,
        graph: CompiledStateGraph[InspectionState],
        checkpoints: Checkpoints,
        id: str,
        folder: Path,
        first: int = 1,
    ) -> None:
        self.graph, self.checkpoints, self.id, self.folder, self.first = graph, checkpoints, id, folder, first
        self._turns: dict[int, Turn] = {}
        self.config: Any = {"configurable": {"thread_id": id}, "recursion_limit": STEPS}

    @property
    def values(self) -> dict[str, Any]:
        """The state as it stands; empty before the first run."""
        return dict(self._snapshot().values)

    @property
    def pause(self) -> Pause | None:
        """What it waits for."""
        waiting = self._snapshot().interrupts
        return Pause(**waiting[0].value) if waiting else None

    @property
    def unfinished(self) -> bool:
        """Whether a run was cut off."""
        now = self._snapshot()
        return bool(now.tasks) and not now.interrupts  # `next` is empty where a task had just ended

    def earlier(self) -> Iterator[Any]:
        """Snapshots, newest first."""
        with self._told():
            yield from self.graph.get_state_history(self.config)

    def turns(self) -> dict[int, Turn]:
        """Those of this thread, by number."""
        self._turns |= {turn.number: turn for turn in self.values.get("turns") or []}
        if self._turns and self.first not in self._turns:  # reading every checkpoint takes long: once is enough
            for snapshot in self.earlier():
                self._turns |= {t.number: t for t in snapshot.values.get("turns") or [] if t.number not in self._turns}
                if self.first in self._turns:
                    break
        return dict(self._turns)

    def settled(self, turn: int) -> Any:
        """The newest snapshot between two questions, after this turn; None: there is none."""
        return next((snapshot for snapshot in self.earlier() if _settled(snapshot.values, turn)), None)

    def go_on_from(self, values: Mapping[str, Any], config: Any = None) -> None:
        """Put these values on top of a checkpoint, by default the last; a review that was due is due again."""
        with self._alone(), self._told():
            self.graph.update_state(config or self.config, dict(values), as_node="report")
        for _ in self.run(None):
            pass

    def run(self, given: Any) -> Iterator[Step | Token]:
        """Run until it ends or waits; each finished step is kept before the next begins."""
        with self._alone(), self._told():
            events: Iterator[Any] = self.graph.stream(
                given, self.config, stream_mode=["updates", "messages"], durability="sync"
            )
            writing: Quoting | None = None
            for mode, event in events:
                if mode == "messages":
                    message, about = event
                    if about["langgraph_node"] == "reason" and isinstance(message, AIMessage) and message.content:
                        writing = writing or Quoting(
                            texts_by_id(cast("InspectionState", self.graph.get_state(self.config).values))
                        )
                        if text := writing.add(str(message.content)):
                            yield Token(text)
                    continue
                if writing is not None and (text := writing.rest()):
                    yield Token(text)
                writing = None
                for node, update in event.items():
                    if isinstance(update, Mapping) and (step := step_of(node, update)) is not None:
                        yield step

    def _snapshot(self) -> Any:
        with self._told():
            return self.graph.get_state(self.config)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No two processes run one session."""
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise SessionError(
                f"session {self.id!r}: is running in another window; end it there, or fork it"
            ) from error
        except OSError as error:
            raise SessionError(f"{self.folder}: cannot be written ({error.strerror or error}); make room") from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Faults of the store in one line; what was finished before is kept."""
        try:
            yield
        except self.checkpoints.faults as error:
            line = " ".join(str(error).split())[:200]
            raise SessionError(
                f"session {self.id!r}: a step cannot be kept or read ({line}); make room and go on with "
                f"`sage-iad chat --resume {self.id}`: what was finished before is kept"
            ) from error


def _settled(values: Mapping[str, Any], turn: int) -> bool:
    answered = "verdict" in values and values.get("answered", 0) == turn
    return answered and not values.get("question") and not values.get("correction")
