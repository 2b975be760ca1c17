"""The chat itself: reads a line, does what it says, shows what comes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from agent.chat import showing
from agent.chat.commands import choices, run_command
from agent.chat.flow import Flow
from agent.cli_errors import user_errors
from agent.conversation import Pause
from agent.session.steps import Reply, Step, Token
from tools.images import ToolError

if TYPE_CHECKING:
    from agent.chat.pictures import Pictures
    from agent.chat.reader import Choices, Reader
    from agent.conversation import Turn
    from agent.render.lines import Lines
    from agent.report import InspectionReport
    from agent.session import Event, Session, SessionInfo

_LAST = 3
"""How many turns are shown when a session goes on."""
_HINT = "Ask a question, or type /help for what else you can do."


class Chat:
    """One person, one session, one terminal."""

    def __init__(
        self,
        session: Session,
        to: Lines,
        pictures: Pictures,
        by: str,
        sessions: Callable[[], Sequence[SessionInfo]],
        open_reader: Callable[[Choices], Reader],
    ) -> None:
        self.to, self.pictures, self.by, self.sessions = to, pictures, by, sessions
        self.inspected = False
        """The inspection is done, so that the report is there at once."""
        self.crops: set[str] = set()
        """Ids of pictures that tools made while this chat ran."""
        self.problems = 0
        """How often something a person typed could not be done."""
        self._known: tuple[InspectionReport, list[Turn]] | None = None
        self.written = ""
        """The last answer, as it was written."""
        self.reader = open_reader(self._choices)
        self.talk_about(session)

    def talk_about(self, session: Session) -> None:
        """From now on this session is the one that is asked."""
        self.session = session
        self.pictures.session_id = session.id

    def begin(self) -> None:
        """A new session: inspect, show the verdict, and say what can be done.

        Raises:
            InputError: the photo cannot be inspected, so that there is nothing to talk about.
        """
        self.to.lines(("Session", "dim"), (self.session.id, "cyan"))
        if self.inspect():
            self._notes()
            self.to.lines((_HINT, "dim"))

    def go_on(self) -> None:
        """A session from before: what happened to it, the last turns, and what was cut off. Raises InputError."""
        self.to.lines(("Session", "dim"), (self.session.id, "cyan"), ("goes on", "dim"))
        self._notes()
        if not self.inspect(again=True):
            return
        turns, corrections = self.session.turns(), self.session.corrections
        if turns:
            self.to.heading("The last questions" if len(turns) > _LAST else "So far")
        if len(turns) > _LAST:
            self.to.lines((f"{len(turns) - _LAST} earlier ones: /history", "dim"))
        showing.print_turns(turns[-_LAST:], corrections, self.to)
        showing.print_corrections(corrections, self.to)
        if self.session.unfinished:
            self.to.lines(("An answer was cut off; it goes on now.", "yellow"))
            self.play(self.session.finish())
        elif self.session.pause is not None:
            showing.print_pause(self.session.pause, self.to)
        self.to.lines((_HINT, "dim"))

    def _notes(self) -> None:
        self.to.rows((("!", "bold yellow"), [(note, "")]) for note in self.session.notes)

    def run(self) -> None:
        """Read lines until there are no more or the person leaves."""
        while True:
            try:
                self._attempt(self.reader.read(self._label()))
            except KeyboardInterrupt:
                if not self.reader.by_person:
                    raise
                self.to.lines(("/quit or Ctrl-D leaves the chat.", "dim"))
            except EOFError:
                break
        self.to.whole(("Go on later with:", ""), (f"sage-iad chat --resume {self.session.id}", "cyan"))

    def inspect(self, again: bool = False) -> bool:
        """Inspect where that is not done yet, and show the verdict; False when the person stopped it.

        `again`: the verdict was seen in a chat before; no picture, and what the agent waits for is shown later.
        """
        if self.inspected:
            return True
        if not self.play(self.session.inspect()):
            return False
        self.inspected = True
        report = self.session.report
        names = showing.names_of(self.written, report.reasoning) or {}
        seen = {item.id for item in report.evidence}  # in the steps
        showing.print_cited({label: id for label, id in names.items() if id not in seen}, report, [], self.to)
        showing.print_verdict_in_short(report, self.to)
        if not again:
            run_command(self, "/show")
            if self.session.pause is not None:
                showing.print_pause(self.session.pause, self.to)
        return True

    def play(self, events: Iterator[Event]) -> bool:
        """Show what comes as it comes; a person's Ctrl-C stops it, and False comes back."""
        answer, self.written = Flow(self.to), ""
        paused: Pause | None = None
        anew = True  # the next token begins an answer
        try:
            while True:
                with self._waiting(not anew):
                    event = next(events, None)
                if event is None:
                    break
                if isinstance(event, Token):
                    self.written, anew = ("" if anew else self.written) + event.text, False
                    answer.add(event.text)
                    continue
                answer.end()
                anew = True
                if isinstance(event, Step):
                    self._step(event)
                elif isinstance(event, Reply):
                    self._reply(event)
                else:
                    paused = event
        except KeyboardInterrupt:
            if isinstance(events, Generator):
                events.close()  # before anything is asked of the session: it holds its lock while it runs
            answer.end(whole=False)
            if not self.reader.by_person:
                raise
            more = "; /finish goes on with it, another question leaves it" if self.session.unfinished else ""
            self.to.lines((f"Stopped{more}.", "yellow"))
            return False
        finally:
            answer.end()
        if paused is not None and self.inspected:
            showing.print_pause(paused, self.to)
        return True

    def problem(self, error: Exception) -> None:
        """One line on what could not be done."""
        self.problems += 1
        self.to.lines(("!", "bold red"), (str(error), ""))

    def known(self) -> tuple[InspectionReport, list[Turn]]:
        """Report and turns as they stand; read once a line, since completion asks at every key."""
        if self._known is None:
            self._known = self.session.report, self.session.turns()
        return self._known

    def _do(self, line: str) -> None:
        if line.startswith("/"):
            run_command(self, line)
        elif line and self.inspect():
            self.leave_stopped()
            pause = self.session.pause
            asked = pause is not None and pause.kind == "question"
            self.play(self.session.answer(line) if asked else self.session.stream(line))

    def leave_stopped(self) -> None:
        """Something new is to be done: an answer that was stopped is not waited for."""
        if self.inspected and self.session.unfinished:
            self.session.drop()
            self.to.lines(("The stopped question is left.", "dim"))

    def _reply(self, reply: Reply) -> None:
        """What the answer rests on; the answer itself where it was not written piece by piece."""
        names = showing.names_of(self.written, reply.turn.steps)
        if names is None:
            self.to.lines((reply.text, ""), indent=2)
        showing.print_grounds(reply, names or {}, self.session.turns(), self.to)

    def _step(self, step: Step) -> None:
        self.crops |= {id for item in step.looks if item.tool == "zoom" for id in item.image_ids}
        showing.print_step(step.text, step.looks, self.to)

    def _choices(self, line: str) -> list[tuple[str, str]]:
        try:
            return list(choices(self, line))
        except user_errors():  # what is wrong is said when the line is done, not while it is typed
            return []

    def _label(self) -> str:
        pause = self.session.pause if self.inspected else None
        return "your answer" if pause is not None and pause.kind == "question" else "you"

    def _waiting(self, writing: bool) -> AbstractContextManager[object]:
        """A sign of life while nothing is written."""
        if writing or not self.to.console.is_terminal:
            return nullcontext()
        return self.to.console.status("working; Ctrl-C stops it", spinner="line")

    def _attempt(self, line: str) -> None:
        """Do what a line says; what a person can mend is said in one line, and the chat goes on."""
        mendable: tuple[type[Exception], ...] = (*user_errors(), ToolError)
        self._known = None
        try:
            self._do(line)
        except mendable as error:
            self.problem(error)
        finally:
            self._known = None
