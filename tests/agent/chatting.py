"""A session that plays a script, and a chat over it: in a test, or in a process of its own on a terminal."""

from __future__ import annotations

import io
import os
import sys
import time
import types
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # before anything loads it
    # The chat needs a few words of `agent.vlm` and none of its models, which take seconds to load.
    sys.modules["agent.vlm"] = package = types.ModuleType("agent.vlm")
    package.__path__ = [str(Path(__file__).parents[2] / "agent" / "vlm")]

import numpy as np
from PIL import Image
from reports import drawn_photo, hostile_report, hot_corner
from rich.console import Console

from agent.chat.loop import Chat
from agent.chat.pictures import Pictures
from agent.chat.reader import PipedReader, Reader, open_reader
from agent.conversation import Correction, Pause, Turn
from agent.images import InputError
from agent.render.lines import Lines
from agent.render.overlay import overlay
from agent.report import Answer, CitedEvidence, CitedFact, InspectionReport, ReasoningStep
from agent.session.steps import Reply, Step, Token
from tools.evidence import Evidence

ZOOM = Evidence(
    id="E2",
    tool="zoom",
    arguments={"image_id": "test", "box": [64, 48, 192, 96]},
    summary="Close-up of the region in the upper left.",
    values={"box_px": [60, 40, 200, 110]},
    image_ids=["test-60-40-200-110"],
)


def plain_report(**changes: Any) -> InspectionReport:
    """A report without anything hostile in it."""
    report = hostile_report()
    finding = report.findings[0].model_copy(
        update={
            "defect_type": "scratch",
            "description": "A line.",
            "cause": None,
            "recommendation": "Polish the plate.",
            "cites": ["F1", "E1"],
        }
    )
    plain: dict[str, Any] = {
        "id": "r1",
        "image": report.image.model_copy(update={"source": "plate.png"}),
        "category": "plate",
        "findings": [finding],
        "answer": None,
        "reasoning": [ReasoningStep(text="A line is there.", cites=["E1"], supported=True)],
        "facts": [CitedFact(id="F1", text="Scratches are thin.", source="a textbook")],
        "evidence": [
            CitedEvidence(
                id="E1", tool="heatmap", arguments={}, summary="Heat map: score 0.97.", values={"score": 0.97}
            )
        ],
        "warnings": [],
        "timings": {},
    }
    return report.model_copy(update=plain | changes)


def turn_of(number: int, question: str, text: str, *, supported: bool = True, cites: Sequence[str] = ("E2",)) -> Turn:
    """A turn of one sentence."""
    return Turn(
        number=number,
        question=question,
        answer=Answer(value=None, text=text),
        steps=[ReasoningStep(text=text, cites=list(cites), supported=supported)],
        looks=[ZOOM],
        facts=[],
    )


class FakeSession:
    """Answers every question with the next of `script`; an exception in it is raised in its place."""

    def __init__(self, script: Sequence[Sequence[Any]] = (), **changes: Any) -> None:
        self.id = "20260504T030201-abc123"
        self.kept = changes.pop("report", None) or plain_report()
        self.script = [list(events) for events in script]
        self.pause: Pause | None = None
        self.unfinished = False
        self.cuts = False
        """An answer that is stopped stays unfinished."""
        self.corrections: list[Correction] = []
        self.notes: list[str] = []
        self.past: list[Turn] = []
        self.done = False
        self.calls: list[tuple[str, Any]] = []
        self.refuse: list[str] = []
        """What `correct` has against its arguments, one at each call."""
        for name, value in changes.items():
            setattr(self, name, value)

    @property
    def report(self) -> InspectionReport:
        assert self.done, "the inspection would run unseen"
        return self.kept

    def inspect(self) -> Iterator[Any]:
        if not self.done:
            yield Step("gather", "heat map: score 0.97", ())
            yield from self._play(
                [] if not self.script or self.script[0][:1] != ["inspect"] else self.script.pop(0)[1:]
            )
            self.done = True
            if self.pause is not None:
                yield self.pause

    def stream(self, text: str) -> Iterator[Any]:
        self.calls.append(("stream", text))
        yield from self._answer(text)

    def answer(self, text: str) -> Iterator[Any]:
        self.calls.append(("answer", text))
        self.pause = None
        yield from self._answer(text)

    def finish(self) -> Iterator[Any]:
        self.calls.append(("finish", None))
        self.unfinished = False
        yield from self._answer("the one before")

    def turns(self) -> list[Turn]:
        return list(self.past)

    def accept(self, *, by: str, why: str = "") -> None:
        self.calls.append(("accept", (by, why)))
        self.pause = None

    def correct(self, **said: Any) -> None:
        self.calls.append(("correct", said))
        if self.refuse:
            raise InputError(self.refuse.pop(0))
        turn = said.pop("turn")
        question = next((t.question for t in self.past if t.number == turn), None)
        self.corrections.append(Correction(at=datetime(2026, 5, 4, tzinfo=UTC), turn=turn, question=question, **said))
        if said["verdict"]:
            self.kept = self.kept.model_copy(update={"verdict": said["verdict"], "findings": []})

    def picture(self, id: str) -> Image.Image:
        if id not in ("test", "reference-1", "test-60-40-200-110"):
            raise InputError(f"no picture {id!r}")
        return drawn_photo()

    def overlay(self) -> Image.Image:
        return overlay(drawn_photo(), hot_corner().astype(np.float32), [f.box for f in self.kept.findings])

    def drop(self) -> None:
        self.calls.append(("drop", None))
        self.unfinished = False

    def fork(self, turn: int | None = None) -> FakeSession:
        self.calls.append(("fork", turn))
        return FakeSession(id="20260504T030202-def456", done=True, past=self.past[:turn])

    def export(self, path: Path) -> None:
        path.write_text("<html>", encoding="utf-8")

    def _answer(self, question: str) -> Iterator[Any]:
        yield from self._play(self.script.pop(0))

    def _play(self, events: Sequence[Any]) -> Iterator[Any]:
        for event in events:
            if isinstance(event, BaseException):
                self.unfinished = self.cuts
                raise event
            if isinstance(event, float):
                time.sleep(event)
                continue
            if isinstance(event, Pause):
                self.pause = event
            if isinstance(event, Turn):
                self.past.append(event)
                event = Reply(event.answer.text, event.steps[0].cites, self.report, event)
            yield event


def tokens(text: str) -> list[Token]:
    """A text in pieces that heed no word."""
    return [Token(text[at : at + 3]) for at in range(0, len(text), 3)]


def chat_over(
    session: Any,
    lines: str,
    home: Path,
    *,
    width: int = 100,
    colours: bool = False,
    wanted: bool = True,
    person: bool = True,
) -> tuple[Chat, io.StringIO]:
    """A chat whose person types `lines`, and what it prints."""
    out = io.StringIO()
    console = Console(file=out, width=width, height=40, force_terminal=False, color_system=None, highlight=False)
    if colours:
        console = Console(file=out, width=width, height=40, force_terminal=True, color_system="truecolor")
    to = Lines(console)

    def open_pipe(choices: Any) -> Reader:
        reader = PipedReader(console, io.StringIO(lines))
        reader.by_person = person
        return reader

    return Chat(session, to, Pictures(to, home, wanted), "anna", list, open_pipe), out


def said(session: Any, lines: str, home: Path, **options: Any) -> str:
    """What a chat over a new session prints."""
    chat, out = chat_over(session, lines, home, **options)
    chat.begin()
    chat.run()
    return out.getvalue()


def main() -> None:
    """On this process's own terminal: one long answer, then a short one."""
    slow = [piece for word in tokens("It goes on and on. " * 40) for piece in (word, 0.02)]
    answer = "The line is deep [E2]."
    session = FakeSession([slow, [*tokens(answer), turn_of(1, "How deep?", answer)]])
    console = Console(width=min(100, Console().width), highlight=False)
    to, home = Lines(console), Path(os.environ["SAGE_HOME"])
    chat = Chat(
        session,  # type: ignore[arg-type]
        to,
        Pictures(to, home),
        "anna",
        list,
        lambda choices: open_reader(console, home / "history", choices),
    )
    chat.begin()
    chat.run()


if __name__ == "__main__":
    sys.exit(main())
