"""The chat over a scripted session: what it prints, and what it asks of the session."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from chatting import ZOOM, FakeSession, chat_over, plain_report, said, tokens, turn_of
from reports import ANSI, MARKUP, hostile_report
from rich.console import Console

from agent.chat.commands import COMMANDS
from agent.chat.correcting import read_box, read_turn, read_type, read_verdict
from agent.chat.flow import Flow
from agent.chat.pictures import photo_part
from agent.conversation import Pause
from agent.images import InputError
from agent.render.lines import Lines
from agent.session.steps import Step, Token

HERE = Path(__file__).parent


def flowed(text: str, width: int = 40, size: int = 3) -> str:
    out = io.StringIO()
    flow = Flow(Lines(Console(file=out, width=width, highlight=False)))
    for at in range(0, len(text), size):
        flow.add(text[at : at + size])
    flow.end()
    return out.getvalue()


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_an_answer_is_wrapped_as_it_comes(size: int) -> None:
    text = "The line is deep [E2].  It crosses\nthe plate and ends at the hole, which is worn."
    shown = flowed(text, size=size)
    assert shown.split() == text.split()
    assert all(line.startswith("  ") and len(line) <= 40 for line in shown.splitlines())
    assert shown.endswith("\n")


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_control_codes_in_an_answer_reach_no_terminal(size: int) -> None:
    shown = flowed(f"a {ANSI} {MARKUP} \x1b[31 x\u202e y\x9b2J \x07", size=size)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)
    assert "[bold" in shown


def test_words_without_spaces_are_shown_before_they_end_and_folded() -> None:
    assert flowed("检" * 100).replace("\n", "").replace(" ", "") == "检" * 100
    out = io.StringIO()
    Flow(Lines(Console(file=out, width=40))).add("x" * 50)
    assert "x" in out.getvalue()


def test_inspection_verdict_answer_and_what_it_rests_on(tmp_path: Path) -> None:
    text = "The line is deep [E2]. Polish it [F1]."
    turn = turn_of(1, "How deep?", text, supported=False, cites=["E2", "F1", "E9"])
    session = FakeSession([[Step("gather", "zoom: a close-up", (ZOOM,)), *tokens(text), turn]])
    shown = said(session, "How deep?\n", tmp_path)
    assert session.calls == [("stream", "How deep?")]
    places = [
        "heat map: score 0.97", "ANOMALOUS", "1. scratch · critical", "Polish the plate.", "/help", "you> How deep?",
        "[E2] zoom: Close-up", "/show E2", text, "[E2]  zoom: Close-up of the region", "[F1]  Scratches are thin. (a textbook)",
        "[E9]  is not known here", "not supported by what it cites: The line", f"--resume {session.id}",
    ]  # fmt: skip
    at = -1
    for words in places:
        assert shown.find(words, at + 1) > at, (words, shown)
        at = shown.find(words, at + 1)


def test_a_mended_answer_stands_on_lines_of_its_own_and_one_without_tokens_is_shown_too(tmp_path: Path) -> None:
    mend = Step("verify", "checked the answer: 1 sentence not supported, mending it", ())
    session = FakeSession([[*tokens("It is red."), mend, *tokens("It is grey."), turn_of(1, "q", "It is grey.")],
                           [turn_of(2, "r", "It is flat.")]])  # fmt: skip
    lines = said(session, "q\nr\n", tmp_path).splitlines()
    assert [line.strip() for line in lines].count("It is grey.") == 1
    assert "  It is red." in lines
    assert "  It is flat." in lines


def test_hostile_texts_are_inert_everywhere(tmp_path: Path) -> None:
    evil = f"{ANSI} {MARKUP} \u202e"
    turn = turn_of(1, evil, evil, supported=False).model_copy(update={"failed": [evil]})
    session = FakeSession(
        [[Step("gather", evil, (ZOOM,)), *tokens(evil), turn], [Pause(kind="question", text=evil)], [InputError(evil)]],
        report=hostile_report(), notes=[evil], pause=Pause(kind="review", text=evil),
    )  # fmt: skip
    typed = f"{evil}\n/history\n/report\n/facts\n/evidence\n/show {evil}\n/export {evil}\nand?\n{evil}\n/{evil}\n"
    shown = said(session, typed, tmp_path)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)
    assert "[bold red]" in shown
    assert "NORMAL 0.01" not in [line.strip() for line in shown.splitlines()]


def test_review_tells_why_and_can_be_accepted(tmp_path: Path) -> None:
    session = FakeSession(pause=Pause(kind="review", text="the verdict is uncertain"))
    shown = said(session, "/accept seen it\n/accept\n", tmp_path)
    assert "A person should look at this part: the verdict is uncertain" in shown
    assert "/correct" in shown
    assert session.calls == [("accept", ("anna", "seen it"))]
    assert "Accepted by anna: the verdict anomalous stands." in shown
    assert "No review is due" in shown


def test_the_line_after_the_agents_question_is_its_answer(tmp_path: Path) -> None:
    session = FakeSession([[Pause(kind="question", text="Which side is up?")],
                           [*tokens("Fine."), turn_of(1, "q", "Fine.")]])  # fmt: skip
    shown = said(session, "q\n/evidence\nthe left\n", tmp_path)
    assert session.calls == [("stream", "q"), ("answer", "the left")]
    assert "The agent asks you: Which side is up?" in shown
    assert "your answer> the left" in shown


def test_correcting_asks_wrong_values_again_and_loses_nothing(tmp_path: Path) -> None:
    session = FakeSession(done=True, past=[turn_of(1, "How deep?", "Deep.")], refuse=["why='Depth': too short"])
    typed = "/correct|bad|a|1 2 3|600 0 700 10|10, 20, 30, 40|9 lives|Deep Scratch|Shallow.|7|1||Depth||"
    again = "|||||I measured it|-|"  # what was said before stays, but for the reason
    shown = said(session, (typed + again).replace("|", "\n"), tmp_path)
    assert [name for name, _ in session.calls] == ["correct", "correct"]
    (kept,) = session.corrections
    assert (kept.by, kept.verdict, kept.box, kept.defect_type) == (
        "anna",
        "anomalous",
        (10, 20, 30, 40),
        "deep_scratch",
    )
    assert (kept.answer, kept.question, kept.why) == ("Shallow.", "How deep?", "I measured it")
    for words in ("no verdict", "four whole numbers", "within 0 to 640", "no kind of defect", "type a number from 1 to 1",
                  "why='Depth': too short", "needs a reason", "What you said is kept", "[10 20 30 40]", "Kept, as said by anna"):  # fmt: skip
        assert words in shown, words


def test_a_correction_to_normal_asks_for_no_box_and_shows_the_new_verdict(tmp_path: Path) -> None:
    session = FakeSession()
    shown = said(session, "/correct\nnormal\n\nseen it\nbob\n", tmp_path)
    assert session.corrections[0].by == "bob"
    assert session.corrections[0].box is None
    assert "NORMAL" in shown
    assert "Box of" not in shown


@pytest.mark.parametrize("typed", ["/correct\nnormal\n/cancel\n", "/correct\n\n\n\n\n\n\n", "/correct\nnormal\n"])
def test_a_correction_can_be_dropped(typed: str, tmp_path: Path) -> None:
    session = FakeSession()
    assert "othing was corrected" in said(session, typed, tmp_path)
    assert not session.calls


def test_values_of_a_correction() -> None:
    assert read_verdict("N") == "normal"
    assert read_box("[0, 0, 640, 480]", 640, 480) == (0, 0, 640, 480)
    assert read_type("Missing-part") == "missing_part"
    assert read_turn("0", [turn_of(3, "q", "a")]) == 0
    for words in ("1.5 2 3 4", "-1 0 5 5", "5 0 5 9", "a b c d", "1 2 3 4 5"):
        with pytest.raises(ValueError, match=re.escape(repr(words))):
            read_box(words, 640, 480)


def test_what_fails_is_one_line_and_the_chat_goes_on(tmp_path: Path) -> None:
    session = FakeSession([[Token("So it is"), InputError("the server\ndoes not answer")], [turn_of(1, "r", "Yes.")]])
    chat, out = chat_over(session, "q\n/shw\n/export\n/facts F9\n/fork 5\nr\n", tmp_path)
    chat.begin()
    chat.run()
    lines = out.getvalue().splitlines()
    assert "  So it is" in lines
    assert "! the server does not answer" in lines
    assert (
        "! there is no command '/shw'; did you mean /show? /help lists them; questions begin without a slash" in lines
    )
    assert "  Yes." in lines
    assert chat.problems == 5


def test_a_photo_that_cannot_be_inspected_ends_the_chat(tmp_path: Path) -> None:
    session = FakeSession([["inspect", InputError("image='x.png': is empty")]])
    chat, _ = chat_over(session, "", tmp_path)
    with pytest.raises(InputError, match="is empty"):
        chat.begin()


def test_stopping_an_answer_keeps_the_chat(tmp_path: Path) -> None:
    session = FakeSession(
        [[Token("So it"), KeyboardInterrupt()], [*tokens("Yes it is."), turn_of(1, "q", "Yes it is.")]]
    )
    session.cuts = True
    shown = said(session, "q\n/finish\n/finish\n", tmp_path)
    assert "Stopped; /finish goes on with it, another question leaves it." in shown
    assert "  Yes it is." in shown
    assert "Nothing was stopped" in shown
    assert [name for name, _ in session.calls] == ["stream", "finish"]


def test_another_question_leaves_the_one_that_was_stopped(tmp_path: Path) -> None:
    session = FakeSession([[Token("So it"), KeyboardInterrupt()], [turn_of(1, "r", "Yes.")]])
    session.cuts = True
    shown = said(session, "q\nr\n", tmp_path)
    assert "The stopped question is left." in shown
    assert [name for name, _ in session.calls] == ["stream", "drop", "stream"]


def test_ctrl_c_ends_a_script(tmp_path: Path) -> None:
    session = FakeSession([[Token("So it"), KeyboardInterrupt()]])
    with pytest.raises(KeyboardInterrupt):
        said(session, "q\nr\n", tmp_path, person=False)
    assert session.calls == [("stream", "q")]


def test_an_inspection_that_was_stopped_goes_on_with_the_next_question(tmp_path: Path) -> None:
    session = FakeSession([["inspect", KeyboardInterrupt()], [turn_of(1, "q", "Yes.")]])
    shown = said(session, "q\n", tmp_path)
    assert shown.index("Stopped") < shown.index("ANOMALOUS") < shown.index("Yes.")


def test_going_on_shows_notes_the_last_turns_and_the_answer_that_was_cut_off(tmp_path: Path) -> None:
    past = [turn_of(n, f"question {n}", "word " * 200) for n in range(1, 6)]
    session = FakeSession(
        [[*tokens("At last."), turn_of(6, "q", "At last.")]],
        done=True, past=past, unfinished=True, notes=["the photo was moved since"],
    )  # fmt: skip
    chat, out = chat_over(session, "/history\n/quit\n", tmp_path)
    chat.go_on()
    chat.run()
    before, after = out.getvalue().split("you> /history")
    assert "! " in before
    assert "the photo was moved since" in before
    assert "question 2" not in before
    assert "2 earlier ones: /history" in before
    assert before.index("question 5") < before.index("cut off") < before.index("At last.")
    assert max(len(line) for line in before.splitlines()) <= 100
    assert "question 1" in after


def test_forking_goes_on_in_the_new_session(tmp_path: Path) -> None:
    session = FakeSession(done=True, past=[turn_of(1, "q", "a"), turn_of(2, "r", "b")])
    shown = said(session, "/fork 1\n/history\n", tmp_path)
    assert session.calls == [("fork", 1)]
    assert f"sage-iad chat --resume {session.id}" in shown
    assert shown.rstrip().endswith("sage-iad chat --resume 20260504T030202-def456")
    assert "2. r" not in shown


def test_export_asks_before_it_writes_over_a_file(tmp_path: Path) -> None:
    record = tmp_path / "my record.html"
    said(FakeSession(), f"/export {record.with_suffix('')}\n", tmp_path)
    assert record.read_text(encoding="utf-8") == "<html>"
    record.write_text("mine", encoding="utf-8")
    said(FakeSession(), f"/export '{record}'\nno\n", tmp_path)
    assert record.read_text(encoding="utf-8") == "mine"
    said(FakeSession(), f"/export {record}\nyes\n", tmp_path)
    assert record.read_text(encoding="utf-8") == "<html>"
    failed = said(FakeSession(), f"/export {tmp_path}/none/x.html\n", tmp_path)
    assert "cannot be written" in " ".join(failed.split())


def test_pictures_are_files_without_colours_and_cells_with_them(tmp_path: Path) -> None:
    session = FakeSession()
    shown = said(session, "/show 1\n/show reference-1\n/show test-60-40-200-110\n", tmp_path)
    written = tmp_path / session.id / "shown"
    assert str(written / "overlay.png") in shown.replace("\n", "")
    assert {path.name for path in written.iterdir()} == {"overlay.png", "finding-1.png", "reference-1.png"}
    assert "there is no picture 'test-60-40-200-110'" in shown.replace("\n", " ")
    coloured = said(FakeSession(), "/show\n", tmp_path / "other", colours=True)
    rows = [line for line in coloured.splitlines() if "▄" in line]
    assert 20 <= len(rows) <= 2 * 24
    assert max(row.count("▄") for row in rows) <= 72
    assert "38;2;64;224;255" in coloured  # the box
    assert not (tmp_path / "other").exists()
    assert "▄" not in said(FakeSession(), "/show\n", tmp_path, colours=True, wanted=False)


def test_the_legend_of_an_overlay_is_left_out_of_small_pictures() -> None:
    overlay = FakeSession().overlay()
    part, scale = photo_part(overlay, 640, 480)
    assert (part.size, scale) == ((640, 480), 1.0)
    assert overlay.height > 480


def test_open_hands_the_file_to_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("typer.launch", lambda path: opened.append(path) or len(opened) - 1)
    shown = said(FakeSession(), "/open\n/open E1\n/open test\n", tmp_path)
    assert [Path(path).name for path in opened] == ["overlay.png", "test.png"]
    assert "No picture viewer could be started" in shown
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert "open the file yourself" in said(FakeSession(), "/open\n", tmp_path)
    assert len(opened) == (2 if sys.platform.startswith("linux") else 3)


def test_help_lists_every_command_with_an_example(tmp_path: Path) -> None:
    shown = said(FakeSession(), "/help\n", tmp_path)
    for name in COMMANDS:
        assert name in shown


def test_completion_knows_commands_and_what_they_take(tmp_path: Path) -> None:
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    from agent.chat.commands import choices
    from agent.chat.reader import _completer

    chat, _ = chat_over(FakeSession(past=[turn_of(1, "q", "a")]), "", tmp_path)
    completer = _completer(lambda line: choices(chat, line))
    offered = lambda line: [c.text for c in completer.get_completions(Document(line), CompleteEvent())]  # noqa: E731
    assert offered("/sh") == ["/show"]
    assert offered("/show ") == []  # nothing is inspected to complete a line
    chat.begin()
    assert offered("/show ") == ["overlay", "test", "reference-1", "1", "E2"]
    assert offered("/facts F") == ["F1"]
    assert offered("what about /sh") == []


def test_a_report_in_full_is_the_one_of_inspect(tmp_path: Path) -> None:
    shown = said(FakeSession(report=plain_report()), "/report\n", tmp_path)
    assert "Reasoning" in shown
    assert "Origin" in shown


def test_on_a_terminal_ctrl_c_stops_the_answer_and_ctrl_d_the_chat(tmp_path: Path) -> None:
    with _Terminal([sys.executable, "-m", "chatting"], tmp_path) as screen:
        screen.expect("you>")
        screen.type("How lonk\x7fg?\r")
        screen.expect("goes on and")
        screen.type("\x03")
        screen.expect("Stopped")
        screen.expect("you>")
        screen.type("\x1b[A\r")  # the question again, from the history
        screen.expect("The line is deep")
        screen.expect("you>")
        screen.type("\x04")
        screen.expect("--resume 20260504T030201-abc123")
        assert screen.ended() == 0
    assert "+How long?" in (tmp_path / "history").read_text(encoding="utf-8")
    assert (tmp_path / "history").stat().st_mode & 0o077 == 0


class _Terminal:
    """A process on a terminal of its own."""

    def __init__(self, command: list[str], home: Path) -> None:
        self.master, slave = pty.openpty()
        path = os.pathsep.join([str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"SAGE_HOME": str(home), "PYTHONPATH": path, "TERM": "xterm-256color",
                                    "COLUMNS": "90", "LINES": "30", "PROMPT_TOOLKIT_NO_CPR": "1"}  # fmt: skip
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True,
            preexec_fn=lambda: _control(slave),
        )  # fmt: skip
        os.close(slave)
        self.seen = ""

    def __enter__(self) -> _Terminal:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()  # where a test has failed it still waits
        self.process.wait()

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def expect(self, words: str, seconds: float = 20.0) -> None:
        """Wait for `words` after what was waited for before."""
        until = time.monotonic() + seconds
        while words not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"no {words!r} in {self.seen[-2000:]!r}"
            self.seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(self.master, 65536).decode(errors="replace"))
        self.seen = self.seen.split(words, 1)[1]

    def ended(self) -> int:
        code = self.process.wait(20)
        os.close(self.master)
        return code


def _control(terminal: int) -> None:
    import fcntl
    import signal
    import termios

    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    # Tests that a shell runs in the background ignore it, and hand that down.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
