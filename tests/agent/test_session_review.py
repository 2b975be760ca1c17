"""Faults that a reading of the sessions by fresh eyes found: each with what it did before."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.tools import tool
from parts import ScriptedChat, plate, scripted
from sessions import ALONE, GOOD, INSPECTION, PLAN, SUSPECTS, begun, calls, use

from agent.images import InputError, load_image
from agent.inspector import Inspector
from agent.person import PersonNodes, ask_person
from agent.session import Pause, Session, sessions
from agent.session.corrected import corrected_cases
from agent.session.files import SessionError
from agent.session.thread import Thread
from knowledge import StoreError
from tools.images import ImageStore
from tools.toolbox import NAMES


def test_a_question_to_a_screening_is_left_without_an_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It went round between review and question until the step limit."""
    inspector = use(monkeypatch, scripted(ALONE), tmp_path)
    report = inspector.inspect(plate(True), reference=plate(False), depth="screen", question="Is it bent?")
    assert (report.verdict, report.answer) == ("anomalous", None)


def test_who_let_a_verdict_stand_is_remembered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The case stayed the agent's own."""
    inspector = use(monkeypatch, scripted(PLAN, SUSPECTS, ("", 0.01), (GOOD, 0.9)), tmp_path)
    session = begun(tmp_path, review=["uncertain"])
    list(session.inspect())
    session.accept(by="Q")
    case = inspector.cases.get(session.id)
    assert case is not None
    assert case.decided_by == "person"


def test_a_correction_that_was_cut_off_is_remembered_once_it_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The session said normal, the past cases said anomalous."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    inspector = use(monkeypatch, scripted(*INSPECTION), tmp_path)
    first = begun(tmp_path)
    assert first.report.verdict == "anomalous"
    with monkeypatch.context() as amid:
        amid.setattr(PersonNodes, "correct", killed)
        again = Session.resume(first.id, home=tmp_path)
        with pytest.raises(KeyboardInterrupt):
            again.correct(by="Q", why="a reflection", verdict="normal")
    session = Session.resume(first.id, home=tmp_path)
    list(session.finish())
    case = inspector.cases.get(session.id)
    assert case is not None
    assert (session.report.verdict, case.verdict, case.decided_by) == ("normal", "normal", "person")


def test_asking_the_person_is_not_a_name_for_a_tool_of_ones_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A session never called it, and a plain inspection ended in a `KeyError`."""
    inspector = use(monkeypatch, scripted(), tmp_path)
    with pytest.raises(InputError, match="ask_person is the name of a tool of the agent's own"):
        inspector.inspect(plate(True), tools=[ask_person])


def test_every_array_in_a_tool_schema_says_what_it_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A tuple's schema has no `items`, and servers of OpenAI's kind refuse it."""
    from langchain_core.utils.function_calling import convert_to_openai_tool

    inspector = use(monkeypatch, scripted(), tmp_path)
    tools = inspector.set_up(load_image(plate(True)), [load_image(plate(False))], ImageStore()).tools

    def arrays(schema: Any) -> Iterator[dict[str, Any]]:
        if isinstance(schema, dict):
            if schema.get("type") == "array":
                yield schema
            for part in schema.values():
                yield from arrays(part)
        elif isinstance(schema, list):
            for part in schema:
                yield from arrays(part)

    assert {tool.name for tool in tools} == set(NAMES)
    found = [array for tool in tools for array in arrays(convert_to_openai_tool(tool))]
    assert len(found) >= 4
    assert all("items" in array and "prefixItems" not in array for array in found)


def test_nobody_is_asked_before_the_verdict(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vlm = scripted(*INSPECTION, ("It is in the upper left [E1].", None))
    use(monkeypatch, vlm, tmp_path)
    begun(tmp_path).ask("Where is it?")
    assert isinstance(vlm.chat, ScriptedChat)
    assert "ask_person" not in vlm.chat._offered[3]
    assert "ask_person" in vlm.chat._offered[4]


def test_earlier_answers_are_shown_with_the_ids_of_this_prompt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A correction between two questions moved the ids, and a true sentence was resolved to the person's words."""
    vlm = scripted(
        *INSPECTION, calls("zoom", where="lower right"), ("The lower right was looked at [E5].", None),
        ("The lower right was looked at [E6].", None), follows_instructions=True,
    )  # fmt: skip
    use(monkeypatch, vlm, tmp_path)
    session = begun(tmp_path)
    session.ask("Look at the lower right.")
    session.correct(by="Q", why="felt it", verdict="anomalous")
    turn = session.ask("What did you look at?").turn
    assert isinstance(vlm.chat, ScriptedChat)
    prompt = str(vlm.chat._asked[-1][1].content[-1]["text"])  # type: ignore[index]
    assert "Answered: The lower right was looked at. [E6]" in prompt
    assert "[E6] Close-up of the region in the lower right" in prompt
    assert turn.steps[0].cites == ["E5"], "the session's own id"
    assert turn.steps[0].supported


def test_a_measure_of_another_place_is_not_the_findings_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plan = ("category: metal_surface\nlooks: heatmap, zoom", None)
    vlm = scripted(plan, SUSPECTS, ALONE, calls("measure", where=[60, 60, 96, 96]), (GOOD, 0.9))
    use(monkeypatch, vlm, tmp_path)
    first = begun(tmp_path).report.findings[0]
    assert "lower right" not in first.description


def test_the_same_question_twice_is_two_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, scripted(*INSPECTION, ("One [E1].", None), ("Two [E1].", None)), tmp_path)
    session = begun(tmp_path)
    session.ask("Why?")
    session.ask("Why?")
    session.correct(by="Q", why="so", answer="Other.", turn=2)
    assert (session.corrections[0].turn, session.corrections[0].instead_of) == (2, "Two. [E1]")
    told = session.report.evidence[-1].summary
    assert "to the question 'Why?' the answer is: Other" in told


def test_correcting_an_answer_decides_no_review(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vlm = scripted(PLAN, SUSPECTS, ("", 0.02), ("False. It looks normal [F9].", 0.02), ("It is red [E1].", None))
    use(monkeypatch, vlm, tmp_path)
    session = begun(tmp_path, review=["uncertain"])
    session.ask("What colour is it?")
    pause = session.pause
    assert pause is not None
    session.correct(by="Q", why="seen", answer="It is grey.", turn=1)
    assert session.pause == pause
    session.correct(by="Q", why="seen", verdict="normal")
    assert session.pause is None
    session.correct(by="Q", why="seen again", verdict="anomalous")
    assert session.report.findings[0].box != (0, 0, 96, 96), "the regions are back"


def test_forks_of_forks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    replies = ((f"It is answer {i} [E1].", None) for i in range(12))
    inspector = use(monkeypatch, scripted(*INSPECTION, *replies), tmp_path)
    session = Session(plate(True), reference=plate(False), inspector=inspector)
    with pytest.raises(InputError, match="was not inspected yet"):
        session.fork()
    for i in range(9):
        session.ask(f"Question {i}?")
    fork = session.fork(8)
    fork.ask("Another?")
    again = fork.fork(9)
    shutil.rmtree(session.folder)
    assert [turn.number for turn in again.turns()] == list(range(1, 10))
    assert again.turns()[-1].question == "Another?"
    with pytest.raises(InputError, match=f"is one of session {session.id}, which this is a fork of; fork that one"):
        fork.fork(3)


def test_a_fork_that_cannot_be_made_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, scripted(*INSPECTION), tmp_path)
    session = begun(tmp_path)
    assert session.report.verdict == "anomalous"

    def fails(*_: Any) -> None:
        raise SessionError("no room")

    monkeypatch.setattr(Thread, "go_on_from", fails)
    with pytest.raises(SessionError, match="no room"):
        session.fork()
    assert [info.id for info in sessions(tmp_path)] == [session.id]
    assert len(list((tmp_path / "sessions").glob("*/"))) == 1


def test_steps_that_are_gone_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, scripted(*INSPECTION), tmp_path)
    session = begun(tmp_path)
    list(session.inspect())
    session.close()
    for file in (tmp_path / "sessions").glob("sessions.sqlite*"):
        file.unlink()
    assert "its steps are not in sessions.sqlite" in Session.resume(session.id, home=tmp_path).notes[0]


def test_tools_that_cannot_be_offered_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @tool
    async def later(text: str) -> str:
        """Look later."""
        return text

    @tool
    def compare(text: str) -> str:
        """Compare prices."""
        return text

    @tool
    def look(text: str) -> str:
        """Look."""
        return text

    inspector = use(monkeypatch, scripted(), tmp_path)
    for tools, says in (
        ([later], "later is asynchronous only"),
        ([compare], "compare is the name of"),
        ([look, look], "2 of them"),
    ):
        with pytest.raises(InputError, match=says):
            inspector.inspect(plate(True), tools=tools)


def test_what_an_answer_cites_is_in_the_report_however_old_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    later = ((f"The lower right was looked at, {i} [E5].", None) for i in range(8))
    vlm = scripted(
        *INSPECTION, calls("zoom", where="lower right"), ("The lower right was looked at [E5].", None), *later
    )
    use(monkeypatch, vlm, tmp_path)
    session = begun(tmp_path)
    session.ask("Look at the lower right.")
    for i in range(8):
        session.ask(f"And {i}?")
    assert "E5" in {item.id for item in session.report.evidence}


def test_a_question_that_waits_for_the_person_can_be_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vlm = scripted(*INSPECTION, calls("ask_person", question="Is it a lid?"), ("It is in the upper left [E1].", None))
    use(monkeypatch, vlm, tmp_path)
    session = begun(tmp_path)
    *_, last = session.stream("What is it?")
    assert isinstance(last, Pause)
    session.drop()
    assert session.ask("Where is it?").turn.number == 1


def test_similar_cases_do_not_tell_of_this_parts_own_reference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vlm = scripted(*INSPECTION, *INSPECTION, calls("similar_cases"), ("There is no other [E5].", None))
    use(monkeypatch, vlm, tmp_path)
    assert begun(tmp_path).report.verdict == "anomalous"
    turn = begun(tmp_path).ask("Seen before?").turn
    assert turn.looks[0].values["cases"] == []


def test_corrections_are_read_without_a_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, scripted(*INSPECTION, ("It is in the centre [E1].", None)), tmp_path)
    session = begun(tmp_path)
    session.ask("Where is it?")
    session.correct(by="Q", why="a reflection", verdict="normal")
    session.correct(by="Q", why="wrong place", answer="It is in the upper left [E1].", turn=1)
    monkeypatch.setattr(Inspector, "shared", None)
    [found] = corrected_cases(tmp_path)
    assert found.said == GOOD
    assert [turn.question for turn in found.turns] == ["Where is it?"]
    assert len(found.corrections) == 2
    assert len(found.evidence) == 4


def test_a_model_that_asks_the_person_before_the_verdict_is_told_that_it_cannot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A call that was not offered was made all the same, and the inspection waited with nothing to show."""
    vlm = scripted(PLAN, SUSPECTS, ALONE, calls("ask_person", question="Is it a lid?"), (GOOD, 0.9), follows_instructions=True)  # fmt: skip
    use(monkeypatch, vlm, tmp_path)
    session = begun(tmp_path)
    assert session.report.verdict == "anomalous"
    assert session.pause is None
    assert any("ask_person: there is no such tool" in line for line in session.report.warnings)


def test_a_card_that_cannot_be_written_leaves_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(path: Path, content: str) -> None:
        raise StoreError(f"{path}: cannot be written: No space left on device")

    use(monkeypatch, scripted(), tmp_path)
    monkeypatch.setattr("agent.session.files.replace_file", full)
    with pytest.raises(SessionError, match="No space left on device; make room"):
        begun(tmp_path)
    assert list((tmp_path / "sessions").glob("*/")) == []


def test_how_the_photo_was_read_is_told_after_a_resume_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, scripted(), tmp_path)
    clear = plate(True).convert("RGBA")
    clear.putpixel((0, 0), (0, 0, 0, 0))
    id = Session(clear, reference=plate(False), home=tmp_path).id
    use(monkeypatch, scripted(*INSPECTION), tmp_path)
    assert "transparent parts were laid over white" in Session.resume(id, home=tmp_path).report.warnings
