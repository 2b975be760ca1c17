"""Investigation sessions: an inspection, questions about it, a person's corrections; kept, resumed, forked, exported."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from langgraph.types import Command

from agent.conversation import REVIEW_RULES, Acceptance, Correction, Pause, ReviewRule, Turn
from agent.images import ImageSource, InputError, LoadedImage, load_image
from agent.inspector import Inspector, check_question, several
from agent.person import ask_person
from agent.report import InspectionReport
from agent.reporting import new_id, report_of
from agent.session.checkpoints import FILE, open_checkpoints
from agent.session.corrections import MOST_NAME, MOST_WHY, checked_correction, checked_text
from agent.session.files import (
    Fork,
    KeptImages,
    SessionError,
    SessionFolder,
    SessionInfo,
    copied,
    sessions_root,
)
from agent.session.memory import remember
from agent.session.steps import Reply, Step, Token
from agent.session.thread import Thread
from agent.setup import Setup
from knowledge import StoreError
from tools.detector import DetectorError
from tools.toolbox import TEST

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool
    from PIL import Image

Event = Token | Step | Pause | Reply


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
        inspector: Inspector | None = None,
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
            inspector: one of your own, in place of `model` and `home`.

        Raises:
            InputError: bad input.
            SessionError: it cannot be kept.
        """
        if unknown := [rule for rule in review if rule not in REVIEW_RULES]:
            raise InputError(f"review={unknown[0]!r}: expected of {', '.join(map(repr, REVIEW_RULES))}")
        inspector = inspector or Inspector.shared(model, home)
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
        folder = SessionFolder(sessions_root(inspector.home), info.id)
        with ExitStack() as undo:
            undo.callback(folder.remove)  # what is refused leaves nothing behind
            folder.create(info, pictures)
            self._begin(inspector, info, photo, references, tools)
            undo.pop_all()

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
        folder = SessionFolder(sessions_root(home), id)
        info = folder.read()
        photo, references, notes = folder.photos(info)
        inspector = Inspector.shared(model or info.model, home)
        if inspector.vlm.info.revision != info.model_revision:
            notes.append(
                f"it was begun with another model (revision {info.model_revision}) and goes on with "
                f"{inspector.vlm.info.name} {inspector.vlm.info.revision}"
            )
        session = cls.__new__(cls)
        session._begin(inspector, info, photo, references, tools)
        session.notes += notes
        if session._images.has_map(f"{TEST}-heatmap") and not session.values:
            session.notes.append(
                f"its steps are not in {FILE} or what SAGE_SESSIONS names; put them back, or it is inspected anew"
            )
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
        self.notes = [inspector.vlm.answers_caveat] if inspector.vlm.answers_caveat else []
        """What a person should know of how the session goes on."""
        root = sessions_root(inspector.home)
        self._folder = SessionFolder(root, info.id)
        self._images = KeptImages(self._folder.path)
        self._setup = self._set_up(photo, references)
        checkpoints = open_checkpoints(root, os.environ.get("SAGE_SESSIONS"))
        graph = self._setup.graph(inspector.vlm, more=[ask_person], review=info.review, checkpoints=checkpoints.saver)
        first = info.forked_from.turn + 1 if info.forked_from else 1
        self._thread = Thread(graph, checkpoints, info.id, self.folder, first)

    def _set_up(self, photo: LoadedImage, references: Sequence[LoadedImage]) -> Setup:
        """What the session works with. Where its detector is gone, what was found with it still stands."""

        def with_category(category: str | None) -> Setup:
            return self.inspector.set_up(
                photo, references, self._images, category=category, mm_per_px=self.info.mm_per_px, tools=self._tools
            )

        try:
            return with_category(self.info.category)
        except (InputError, DetectorError) as error:
            if self.info.category is None or not self._images.has_map(f"{TEST}-heatmap"):
                raise
            setup = with_category(None)
            self.notes.append(
                f"{error}; what was found with it stands, and a new heat map is of the setting {setup.detector.setting}"
            )
            return replace(setup, category=self.info.category)

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
        return self._thread.values

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
        return self._thread.pause

    @property
    def unfinished(self) -> bool:
        """Whether a run was cut off, so that `finish` has something to do."""
        return self._thread.unfinished

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
        found = {turn.number: turn for turn in self._folder.shared()} | self._thread.turns()
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
        if self.unfinished:
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
                f"question={text[:40]!r}: the last answer was cut off; let it end with `session.finish()`, or leave it with `session.drop()`"
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
        yield from self._run(None)
        self._remember()  # it may have been the inspection, or a correction

    def drop(self) -> None:
        """Leave a question whose answer was cut off, or waits for an answer of yours: the session is as it was before it.

        Nothing where there is none.
        """
        pause = self.pause
        waits = pause is not None and pause.kind == "question"
        if not self.inspected or not (self.unfinished or waits):
            return
        before = self._thread.settled(self.values.get("answered", 0))
        self._thread.go_on_from({}, before.config)

    def accept(self, *, by: str, why: str = "") -> None:
        """Let the verdict stand at a review. Raises `InputError` where none is due."""
        if self.pause is None or self.pause.kind != "review":
            raise InputError(f"accept(by={by!r}): no review is due; the verdict stands as it is")
        reason = checked_text("why", why, MOST_WHY) if why else ""
        acceptance = Acceptance(by=checked_text("by", by, MOST_NAME), at=datetime.now(UTC), why=reason)
        self._run_all(Command(resume={"action": "accept", "acceptance": acceptance.model_dump(mode="json")}))
        self._remember()

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
            raise InputError(
                "correct: the last answer was cut off; let it end with `session.finish()`, or leave it with `session.drop()`"
            )
        if (pause := self.pause) is not None and pause.kind == "question":
            raise InputError(f"correct: the agent asks {pause.text!r} first; answer it with `session.answer(…)`")
        correction = checked_correction(
            self.values,
            self._setup.photo.pixels.size,
            self.turns(),
            by=by,
            why=why,
            verdict=verdict,
            box=box,
            defect_type=defect_type,
            answer=answer,
            turn=turn,
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
        if not self.inspected:
            raise InputError("fork: the photo was not inspected yet; read `session.report` first")
        answered = self.values.get("answered", 0)
        at = answered if turn is None else turn
        came_from = self.info.forked_from
        if came_from is not None and 0 <= at < came_from.turn:
            raise InputError(
                f"turn={turn!r}: is one of session {came_from.session}, which this is a fork of; fork that one"
            )
        found = self._thread.settled(at)
        if found is None:
            raise InputError(f"turn={turn!r}: there is no such turn; expected 0 to {answered}")
        now = datetime.now(UTC)
        info = self.info.model_copy(
            update={"id": new_id(now), "created": now, "forked_from": Fork(session=self.id, turn=at)}
        )
        target = SessionFolder(sessions_root(self.inspector.home), info.id)
        session = type(self).__new__(type(self))
        with ExitStack() as undo:
            undo.callback(target.remove)
            copied(self._folder, target)
            target.share([one for one in self.turns() if one.number <= at])
            session._begin(self.inspector, info, self._setup.photo, self._setup.references, self._tools)
            session._thread.go_on_from(found.values)
            target.write(info)  # last: it counts from now on
            undo.pop_all()
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

    def close(self) -> None:
        """Let go of the store; the session is kept."""
        self._thread.checkpoints.close()

    # --- how

    def _run_all(self, given: Any) -> None:
        for _ in self._run(given):
            pass

    def _run(self, given: Any) -> Iterator[Event]:
        """Run the graph until it ends or waits."""
        answered = self.values.get("answered", 0)
        yield from self._thread.run(given)
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

    def _remember(self) -> None:
        """A memory that cannot be written ends no session."""
        values = self.values
        if "verdict" not in values:
            return
        try:
            remember(self.inspector.cases, self.inspector.encoder, self.info, self._setup, values)
        except StoreError as error:
            self.notes.append(f"it was not kept among past cases: {error}")
