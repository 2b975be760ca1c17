"""Investigation sessions: an inspection, questions about it, a person's corrections; kept, resumed, forked, exported."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from filelock import FileLock, Timeout
from langchain_core.messages import AIMessage
from langgraph.types import Command

from agent.checkpoints import open_checkpoints
from agent.conversation import REVIEW_RULES, Acceptance, Correction, Pause, ReviewRule, Turn
from agent.gather import ask_person
from agent.images import ImageSource, InputError, LoadedImage, load_image
from agent.inspector import STEPS, Inspector, check_question, default_home, several
from agent.nodes import REMEMBERED
from agent.report import InspectionReport
from agent.reporting import new_id, report_of
from agent.session_files import Fork, KeptImages, SessionError, SessionFolder, SessionInfo, copied, session_infos
from agent.steps import Reply, Step, Token, step_of
from knowledge import StoreError
from knowledge.cases import PastCase
from knowledge.facts import snake
from tools.similar import embed_photo
from tools.toolbox import TEST

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool
    from PIL import Image

__all__ = ["Event", "Pause", "Reply", "Session", "SessionError", "SessionInfo", "Step", "Token", "sessions"]

Event = Token | Step | Pause | Reply
MOST_WHY = 1_000
"""Characters of a reason."""


class Session:
    """One photo under investigation. Every finished step is kept at once; `Session.resume(session.id)` goes on from it."""

    def __init__(
        self,
        image: ImageSource,
        *,
        reference: ImageSource | Sequence[ImageSource] | None = None,
        category: str | None = None,
        mm_per_px: float | None = None,
        model: str | None = None,
        review: Sequence[ReviewRule] = (),
        home: Path | None = None,
        tools: Sequence[BaseTool] = (),
    ) -> None:
        """Begin one; the inspection itself runs with `inspect`, at the first question, or when `report` is read.

        Args:
            image: as for `agent.inspect`.
            reference: as for `agent.inspect`.
            category: as for `agent.inspect`.
            mm_per_px: as for `agent.inspect`.
            model: as for `agent.inspect`.
            review: when to wait for a person before the verdict stands: `uncertain`, `critical`, `at odds`.
            home: folder of the agent's state; by default `$SAGE_HOME`.
            tools: as for `agent.inspect`.

        Raises:
            InputError: bad input.
            SessionError: it cannot be kept.
        """
        if unknown := [rule for rule in review if rule not in REVIEW_RULES]:
            raise InputError(f"review={unknown[0]!r}: expected of {', '.join(map(repr, REVIEW_RULES))}")
        inspector = Inspector.shared(model, home)
        photo = load_image(image)
        references = [load_image(r, argument="reference") for r in several(reference)]
        now = datetime.now(UTC)
        info = SessionInfo(
            id=new_id(now),
            created=now,
            image=photo.info(),
            references=[r.info() for r in references],
            category=category,
            mm_per_px=mm_per_px,
            model=model,
            model_revision=inspector.vlm.info.revision,
            review=list(review),
            notes=list(photo.warnings),
        )
        pictures = {TEST: photo.pixels} | {f"reference-{i}": r.pixels for i, r in enumerate(references, 1)}
        folder = SessionFolder(_root(inspector.home), info.id)
        folder.create(info, pictures)
        try:
            self._begin(inspector, info, photo, references, tools)
        except BaseException:  # what is refused leaves nothing behind
            folder.remove()
            raise

    @classmethod
    def resume(
        cls, id: str, *, home: Path | None = None, model: str | None = None, tools: Sequence[BaseTool] = ()
    ) -> Self:
        """Go on with a session.

        Args:
            id: as `session.id`.
            home: as it was begun with.
            model: another than it was begun with.
            tools: your own, which are not kept.

        Raises:
            SessionError: there is none of this id, or it is of another version or damaged.
        """
        if Path(id).name != id or id.startswith("."):
            raise SessionError(f"session {id!r}: is not an id; `sage-iad chat --list` shows those there are")
        folder = SessionFolder(_root(home), id)
        info = folder.read()
        photo, notes = folder.photo(TEST, info.image)
        references = []
        for i, reference in enumerate(info.references, 1):
            loaded, more = folder.photo(f"reference-{i}", reference)
            references.append(loaded)
            notes += more
        inspector = Inspector.shared(model or info.model, home)
        if inspector.vlm.info.revision != info.model_revision:
            notes.append(
                f"it was begun with another model (revision {info.model_revision}) and goes on with "
                f"{inspector.vlm.info.name} {inspector.vlm.info.revision}"
            )
        session = cls.__new__(cls)
        session._begin(inspector, info, photo, references, tools)
        session.notes += notes
        return session

    def _begin(
        self,
        inspector: Inspector,
        info: SessionInfo,
        photo: LoadedImage,
        references: Sequence[LoadedImage],
        tools: Sequence[BaseTool],
    ) -> None:
        self.info, self.inspector, self._tools = info, inspector, tools
        self.notes: list[str] = []
        """What a person should know of how the session goes on."""
        root = _root(inspector.home)
        self._folder = SessionFolder(root, info.id)
        self._checkpoints = open_checkpoints(root, os.environ.get("SAGE_SESSIONS"))
        self._images = KeptImages(self._folder.path)
        self._setup = inspector.set_up(
            photo, references, self._images, category=info.category, mm_per_px=info.mm_per_px, tools=tools
        )
        self._graph = self._setup.graph(
            inspector.vlm, more=[ask_person], review=info.review, checkpoints=self._checkpoints
        )
        self._config: Any = {"configurable": {"thread_id": info.id}, "recursion_limit": STEPS}

    @property
    def id(self) -> str:
        """By which it is resumed."""
        return self.info.id

    @property
    def folder(self) -> Path:
        """Where its pictures are."""
        return self._folder.path

    # --- what there is

    @property
    def values(self) -> dict[str, Any]:
        """The state as it stands, as `agent.state.InspectionState`; empty before the inspection."""
        return dict(self._snapshot().values)

    @property
    def report(self) -> InspectionReport:
        """The inspection as it stands, corrections included; runs it where it has not run yet."""
        for _ in self.inspect():
            pass
        return report_of(self._setup, self.inspector.vlm, self.values, self.id, self.info.created)

    @property
    def inspected(self) -> bool:
        """Whether it has come to a verdict."""
        return "verdict" in self.values

    @property
    def pause(self) -> Pause | None:
        """What the agent waits for."""
        waiting = self._snapshot().interrupts
        return Pause(**waiting[0].value) if waiting else None

    @property
    def unfinished(self) -> bool:
        """Whether a run was cut off, so that `finish` has something to do."""
        now = self._snapshot()
        return bool(now.next) and not now.interrupts

    @property
    def corrections(self) -> list[Correction]:
        """Those of persons, in their order."""
        return list(self.values.get("corrections") or [])

    @property
    def accepted(self) -> Acceptance | None:
        """Who let the verdict stand at a review."""
        return self.values.get("accepted")

    def turns(self) -> list[Turn]:
        """Every question with its answer, oldest first."""
        values = self.values
        found: dict[int, Turn] = {turn.number: turn for turn in values.get("turns") or []}
        if values.get("answered", 0) > REMEMBERED:
            for snapshot in self._graph.get_state_history(self._config):
                found |= {turn.number: turn for turn in snapshot.values.get("turns") or [] if turn.number not in found}
                if 1 in found:
                    break
        fork = self.info.forked_from
        if fork is not None and fork.turn and 1 not in found:
            parent = Session.resume(fork.session, home=self.inspector.home, model=self.info.model)
            found |= {turn.number: turn for turn in parent.turns() if turn.number <= fork.turn}
        return [found[number] for number in sorted(found)]

    def picture(self, id: str) -> Image.Image:
        """A photo, reference or crop by its id. Raises `tools.images.ToolError`: there is none of this id."""
        return self._images.photo(id)

    def overlay(self) -> Image.Image:
        """The photo with heat map and boxes."""
        from agent.render.overlay import overlay

        report = self.report
        return overlay(report.pictures.photo, report.pictures.anomaly_map, [f.box for f in report.findings])

    # --- what happens

    def inspect(self) -> Iterator[Event]:
        """Inspect the photo, step by step; nothing where that is done. Ends with a `Pause` where a review is due."""
        if self.inspected:
            return
        if self._snapshot().next:
            yield from self.finish()
            return
        yield from self._run(self._setup.beginning("full"))
        self._remember()

    def ask(self, text: str) -> Reply:
        """Ask something, and have the answer.

        Raises:
            InputError: no question, or the agent asks something back first: see `pause`, and use `answer`.
        """
        return self._reply(self.stream(text))

    def stream(self, text: str) -> Iterator[Event]:
        """Ask something: steps and tokens as they come, at last a `Reply`, or a `Pause` where the agent asks something back.

        Raises:
            InputError: no question, or the agent waits for an answer of yours, or was cut off in its last.
        """
        check_question(text)
        if not self.inspected:
            yield from self.inspect()
        if self.unfinished:
            raise InputError(
                f"question={text[:40]!r}: the last answer was cut off; let it end first with `session.finish()`"
            )
        pause = self.pause
        if pause is not None and pause.kind == "question":
            raise InputError(
                f"question={text[:40]!r}: the agent asks {pause.text!r} first; answer it with `session.answer(…)`"
            )
        asked: Any = Command(resume={"action": "ask", "question": text}) if pause else {"question": text}
        yield from self._run(asked)

    def answer(self, text: str) -> Iterator[Event]:
        """Answer what the agent asks back; it goes on with that. Raises `InputError` where it asks nothing."""
        check_question(text)
        pause = self.pause
        if pause is None or pause.kind != "question":
            raise InputError(f"answer={text[:40]!r}: the agent asks nothing; ask it something with `session.ask(…)`")
        yield from self._run(Command(resume=text))

    def finish(self) -> Iterator[Event]:
        """Go on where a run was cut off; finished steps are not run again."""
        if not self.unfinished:
            return
        before = self.inspected
        yield from self._run(None)
        if not before:
            self._remember()

    def accept(self, *, by: str, why: str = "") -> None:
        """Let the verdict stand at a review. Raises `InputError` where none is due."""
        if self.pause is None or self.pause.kind != "review":
            raise InputError(f"accept(by={by!r}): no review is due; the verdict stands as it is")
        acceptance = Acceptance(by=_said("by", by, 100), at=datetime.now(UTC), why=why[:MOST_WHY])
        self._run_all(Command(resume={"action": "accept", "acceptance": acceptance.model_dump(mode="json")}))

    def correct(
        self,
        *,
        by: str,
        why: str,
        verdict: Literal["normal", "anomalous"] | None = None,
        box: Sequence[int] | None = None,
        defect_type: str | None = None,
        answer: str | None = None,
        turn: int | None = None,
    ) -> None:
        """Put what a person knows in place of what the agent said; kept with who, when and why.

        Args:
            by: who.
            why: the reason, for those who read it later.
            verdict: of the part.
            box: x0, y0, x1, y1 of the defect in pixels of the photo, end exclusive.
            defect_type: kind of the defect; becomes snake case.
            answer: what should have been answered.
            turn: to which turn, by its number; None: to the verdict question.

        Raises:
            InputError: nothing is corrected, or a value does not fit the photo or the other values.
        """
        if not self.inspected:
            raise InputError("correct: the photo was not inspected yet; read `session.report` first")
        if self.unfinished:
            raise InputError("correct: the last answer was cut off; let it end first with `session.finish()`")
        if (pause := self.pause) is not None and pause.kind == "question":
            raise InputError(f"correct: the agent asks {pause.text!r} first; answer it with `session.answer(…)`")
        values = self.values
        question, instead = self._corrected(turn, values)
        checked = self._checked_box(box)
        if all(value is None for value in (verdict, box, defect_type, answer)):
            raise InputError("correct: nothing to correct; give verdict, box, defect_type or answer")
        if verdict is not None and verdict not in get_args(Literal["normal", "anomalous"]):
            raise InputError(f"verdict={verdict!r}: expected 'normal' or 'anomalous'")
        marked = "box" if box is not None else "defect_type" if defect_type is not None else None
        if marked and (verdict or values["verdict"]) != "anomalous":
            raise InputError(
                f"{marked}: the verdict is {verdict or values['verdict']}; a defect wants verdict='anomalous' with it"
            )
        kind = snake(defect_type) if defect_type is not None else None
        if kind == "" or (kind and len(kind) > 60):
            raise InputError(f"defect_type={defect_type!r}: expected a name such as 'scratch'")
        correction = Correction(
            by=_said("by", by, 100),
            at=datetime.now(UTC),
            why=_said("why", why, MOST_WHY),
            verdict=verdict,
            box=checked,
            defect_type=kind,
            answer=None if answer is None else _said("answer", answer, 2_000),
            question=question,
            instead_of=instead,
            verdict_before=values["verdict"],
        )
        if pause is not None:
            self._run_all(Command(resume={"action": "correct", "correction": correction.model_dump(mode="json")}))
        else:
            self._run_all({"correction": correction})
        self._remember()

    def fork(self, turn: int | None = None) -> Session:
        """A new session that goes on from after a turn of this one.

        Args:
            turn: its number; 0: from after the inspection; None: from now.

        Raises:
            InputError: there is no such turn.
            SessionError: it cannot be kept.
        """
        answered = self.values.get("answered", 0)
        at = answered if turn is None else turn
        found = next((s.values for s in self._graph.get_state_history(self._config) if _settled(s.values, at)), None)
        if found is None:
            raise InputError(f"turn={turn!r}: there is no such turn; expected 0 to {answered}")
        now = datetime.now(UTC)
        info = self.info.model_copy(
            update={"id": new_id(now), "created": now, "forked_from": Fork(session=self.id, turn=at)}
        )
        target = SessionFolder(_root(self.inspector.home), info.id)
        copied(self._folder, target)
        target.write(info)
        session = type(self).resume(info.id, home=self.inspector.home, model=self.info.model, tools=self._tools)
        session._graph.update_state(session._config, found, as_node="review")
        return session

    def export(self, path: Path | str) -> Path:
        """Write the session as one HTML file with every picture. Raises `SessionError` where it cannot be written."""
        from agent.render.session_page import session_html

        page = session_html(self.report, self.turns(), self.corrections, self.accepted, self.picture)
        target = Path(path)
        try:
            target.write_text(page, encoding="utf-8")
        except OSError as error:
            raise SessionError(
                f"export {str(target)!r}: cannot be written ({error.strerror}); name another file"
            ) from error
        return target

    # --- how

    def _snapshot(self) -> Any:
        with self._told():
            return self._graph.get_state(self._config)

    def _run_all(self, given: Any) -> None:
        for _ in self._run(given):
            pass

    def _run(self, given: Any) -> Iterator[Event]:
        """Run the graph until it ends or waits."""
        answered = self.values.get("answered", 0)
        with self._alone(), self._told():
            events: Iterator[Any] = self._graph.stream(
                given, self._config, stream_mode=["updates", "messages"], durability="sync"
            )
            for mode, event in events:
                if mode == "messages":
                    message, about = event
                    if about["langgraph_node"] == "reason" and isinstance(message, AIMessage) and message.content:
                        yield Token(str(message.content))
                    continue
                for node, update in event.items():
                    if isinstance(update, Mapping) and (step := step_of(node, update)) is not None:
                        yield step
        values = self.values
        if values.get("answered", 0) > answered:
            turn = values["turns"][-1]
            report = report_of(self._setup, self.inspector.vlm, values, self.id, self.info.created)
            cites = list(dict.fromkeys(id for step in turn.steps for id in step.cites))
            yield Reply(turn.answer.text, cites, report, turn)
        if (pause := self.pause) is not None:
            yield pause

    @staticmethod
    def _reply(events: Iterator[Event]) -> Reply:
        reply: Reply | None = None
        for event in events:
            reply = event if isinstance(event, Reply) else reply
            if isinstance(event, Pause) and event.kind == "question":
                raise InputError(f"the agent asks {event.text!r}; answer it with `session.answer(…)`")
        if reply is None:
            raise SessionError("the question was not answered; see `session.pause`")
        return reply

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No two processes run one session."""
        lock = FileLock(self._folder.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise SessionError(
                f"session {self.id!r}: is running in another window; end it there, or fork it"
            ) from error
        except OSError as error:
            raise SessionError(
                f"{self._folder.path}: cannot be written ({error.strerror or error}); make room"
            ) from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Faults of the store in one line; what was finished before is kept."""
        try:
            yield
        except sqlite3.Error as error:
            raise SessionError(
                f"session {self.id!r}: a step cannot be kept or read ({error}); make room and go on with "
                f"`sage-iad chat --resume {self.id}`: what was finished before is kept"
            ) from error

    def _corrected(self, turn: int | None, values: Mapping[str, Any]) -> tuple[str | None, str]:
        if turn is None:
            return None, values.get("said", "")
        for one in self.turns():
            if one.number == turn:
                return one.question, one.answer.text
        raise InputError(f"turn={turn!r}: there is no such turn; expected 1 to {values.get('answered', 0)}")

    def _checked_box(self, box: Sequence[int] | None) -> tuple[int, int, int, int] | None:
        if box is None:
            return None
        width, height = self._setup.photo.pixels.size
        fits = len(box) == 4 and 0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height
        if not fits:
            raise InputError(
                f"box={list(box)!r}: expected x0, y0, x1, y1 inside the {width} x {height} photo, x0 < x1, y0 < y1"
            )
        x0, y0, x1, y1 = map(int, box)
        return x0, y0, x1, y1

    def _remember(self) -> None:
        """Keep the inspection among past cases, for `similar_cases`; a memory that cannot be written ends no session."""
        values = self.values
        if "verdict" not in values:
            return
        kinds = [f.defect_type for f in values["findings"] if f.defect_type != "unclassified"]
        corrections = values.get("corrections") or []
        by_person = bool(values.get("accepted")) or any(c.verdict or c.defect_type or c.box for c in corrections)
        case = PastCase(
            id=self.id,
            kind="inspection",
            created=self.info.created,
            category=self.info.category or values.get("category"),
            verdict=values["verdict"],
            defect_types=kinds[:20],
            decided_by="person" if by_person else "agent",
            note=corrections[-1].why if corrections else "",
            sha256=self.info.image.sha256,
        )
        photos = [(case, self._setup.photo)]
        for reference in self._setup.references:
            update = {"id": f"reference-{reference.id}", "kind": "reference", "verdict": "normal", "defect_types": [], "decided_by": "person", "note": "", "sha256": reference.sha256}  # fmt: skip
            photos.append((case.model_copy(update=update), reference))
        try:
            self.inspector.cases.add_all((c, embed_photo(self.inspector.encoder, p.pixels)) for c, p in photos)
        except StoreError as error:
            self.notes.append(f"it was not kept among past cases: {error}")


def sessions(home: Path | None = None) -> list[SessionInfo]:
    """Those there are, newest first."""
    return list(session_infos(_root(home)))


def _root(home: Path | None) -> Path:
    return (default_home() if home is None else home) / "sessions"


def _settled(values: Mapping[str, Any], turn: int) -> bool:
    """Whether a checkpoint stands between two questions, after this turn."""
    return (
        "verdict" in values
        and values.get("answered", 0) == turn
        and not values.get("question")
        and not values.get("correction")
    )


def _said(argument: str, text: str, most: int) -> str:
    if not text.strip() or len(text) > most:
        raise InputError(f"{argument}={text[:40]!r}: {len(text)} characters, expected 1 to {most}")
    return text.strip()
