"""Sessions: questions, tool calls, pauses, corrections, forks, and going on in another process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from langchain_core.tools import ToolException, tool
from parts import ScriptedChat, plate, scripted
from PIL import Image
from sessions import ALONE, GOOD, INSPECTION, PLAN, SUSPECTS, begun, calls, use

import agent
from agent.images import InputError
from agent.model import Vlm
from agent.session import Pause, Reply, Session, Step, Token, sessions
from agent.session.files import SessionError


def prompts(vlm: Vlm) -> list[str]:
    assert isinstance(vlm.chat, ScriptedChat)
    return [str(messages[1].content[-1]["text"]) for messages in vlm.chat._asked]  # type: ignore[index]


def pictures(vlm: Vlm) -> list[int]:
    assert isinstance(vlm.chat, ScriptedChat)
    return [sum(part["type"] == "image" for part in messages[1].content) for messages in vlm.chat._asked]  # type: ignore[index, misc]


def test_a_question_is_answered_over_what_the_inspection_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vlm = scripted(*INSPECTION, ("It is in the upper left [E1].", None))
    use(monkeypatch, vlm, tmp_path)
    session = begun(tmp_path)
    reply = session.ask("Where is it?")
    assert reply.text == "It is in the upper left. [E1]"
    assert reply.cites == ["E1"]
    assert reply.report.verdict == "anomalous"
    assert reply.report.id == session.id
    assert prompts(vlm)[-1].endswith("Question: Where is it?")
    assert [turn.question for turn in session.turns()] == ["Where is it?"]


def test_steps_and_words_come_as_they_are_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, scripted(*INSPECTION, ("It is in the upper left [E1].", None)), tmp_path)
    session = begun(tmp_path)
    steps = [event for event in session.inspect() if isinstance(event, Step)]
    assert [step.node for step in steps] == ["propose", "gather", "propose", "gather", "verify", "report"]
    assert "heatmap: Heat map (one-shot): score" in steps[1].text
    assert list(session.inspect()) == []
    events = list(session.stream("Where is it?"))
    assert "".join(e.text for e in events if isinstance(e, Token)) == "It is in the upper left [E1]."
    assert isinstance(events[-1], Reply)


def test_the_model_looks_where_it_wants_and_cites_what_it_saw(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vlm = scripted(*INSPECTION, calls("zoom", where="lower right"), ("The lower right is plain [E5].", None))
    use(monkeypatch, vlm, tmp_path)
    session = begun(tmp_path)
    turn = session.ask("Look closer at the lower right.").turn
    [look] = turn.looks
    assert (look.id, look.tool) == ("E5", "zoom")
    assert "lower right" in look.summary
    assert f"[E5] {look.summary}" in prompts(vlm)[-1]
    assert pictures(vlm)[-1] == 3, "the new close-up is shown in place of the first"
    assert turn.steps[0].supported
    assert session.picture(look.image_ids[0]).size == (448, 448)


def test_what_is_wrong_with_a_call_goes_back_to_the_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vlm = scripted(
        *INSPECTION,
        calls("zoom", where="behind it"),
        calls("weigh"),
        calls("heatmap"),
        ("<tool_call>{broken</tool_call>", None),
        calls("measure"),
        ("It is in the upper left [E1].", None),
        follows_instructions=True,
    )
    use(monkeypatch, vlm, tmp_path)
    turn = begun(tmp_path).ask("Where is it?").turn
    assert turn.looks == []
    assert [failed.split(":")[0] for failed in turn.failed] == [
        "zoom",
        "weigh",
        "heatmap",
        "the call cannot be read",
        "measure",
    ]
    assert "not a place; expected one of upper left" in turn.failed[0]
    assert "there is no such tool; there are" in turn.failed[1]
    assert "was called with these arguments before; what it found is [E1]" in turn.failed[2]
    assert all(failed in prompts(vlm)[-1] for failed in turn.failed)


def test_a_model_that_only_calls_has_to_answer_in_the_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    looks = [calls("zoom", where=[0, 0, 10 + i, 10 + i]) for i in range(6)]
    vlm = scripted(*INSPECTION, *looks, ("It is in the upper left [E1].", None))
    use(monkeypatch, vlm, tmp_path)
    turn = begun(tmp_path).ask("Where is it?").turn
    assert len(turn.looks) == 6
    assert isinstance(vlm.chat, ScriptedChat)
    assert vlm.chat._offered[-1] == []


def test_facts_that_are_looked_up_can_be_cited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vlm = scripted(
        PLAN, ("", None), ALONE, (GOOD, 0.9), calls("query_facts", query="stain", defect_types=["stain"]), ("For stain the facts give the cause [F3].", None)
    )  # fmt: skip
    use(monkeypatch, vlm, tmp_path)
    turn = begun(tmp_path).ask("What causes stains?").turn
    assert [look.id for look in turn.looks] == ["Q2"]
    assert len({fact.id for fact in turn.facts}) == len(turn.facts) > 0


def test_a_fact_is_quoted_in_the_reply_and_while_it_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, scripted(*INSPECTION, ("The usual cause: [F2].", None)), tmp_path)
    session = begun(tmp_path)
    list(session.inspect())
    *events, reply = session.stream("What causes it?")
    assert isinstance(reply, Reply)
    [fact] = [fact for fact in session.report.facts if fact.id == reply.cites[0]]
    said = fact.text.rstrip(".")
    assert reply.turn.steps[0].text == f"The usual cause: {said}."
    assert reply.turn.steps[0].supported
    assert "".join(e.text for e in events if isinstance(e, Token)) == f"The usual cause: {said} [F2]."


def test_a_second_heat_map_is_against_a_reference_or_a_fitted_detector_that_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    vlm = scripted(
        *INSPECTION, calls("heatmap", against="reference-1"), calls("heatmap", against="../eye"), calls("heatmap", against="test"),
        ("The upper left stands out in the heat map [E5].", None), follows_instructions=True,
    )  # fmt: skip
    use(monkeypatch, vlm, tmp_path)
    turn = begun(tmp_path).ask("Against the reference alone?").turn
    [look] = turn.looks
    assert look.summary.startswith("Heat map (one-shot, against reference-1): score ")
    assert [failed.partition(": ")[2] for failed in turn.failed] == [
        f"against {name!r}: neither a fitted detector nor a reference; there are ['reference-1']"
        for name in ("../eye", "test")
    ]


def test_a_tool_of_the_users_own_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @tool
    def torque(bolt: str) -> str:
        """The torque of a bolt, from the line's log."""
        if bolt == "B9":
            raise ToolException("there is no bolt B9")
        return f"bolt {bolt}: 12.5 Nm\nsecond line"

    vlm = scripted(*INSPECTION, calls("torque", bolt="B9"), calls("torque", bolt="B1"), ("Bolt B1 has 12.5 Nm [E5].", None), follows_instructions=True)  # fmt: skip
    use(monkeypatch, vlm, tmp_path)
    turn = begun(tmp_path, tools=[torque]).ask("How tight is B1?").turn
    assert turn.failed == ["torque: there is no bolt B9"]
    assert turn.looks[0].summary == "bolt B1: 12.5 Nm second line"
    assert turn.steps[0].supported


def test_a_tool_cannot_take_the_name_of_one_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @tool
    def zoom(where: str) -> str:
        """Another zoom."""
        return where

    use(monkeypatch, scripted(), tmp_path)
    with pytest.raises(InputError, match="zoom is the name of a tool of the agent's own"):
        begun(tmp_path, tools=[zoom])
    assert sessions(tmp_path) == []
    assert list((tmp_path / "sessions").glob("*/")) == []


def test_the_agent_asks_the_person_and_goes_on_with_the_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vlm = scripted(
        *INSPECTION,
        calls("ask_person", question="Is it\nseen by customers?"),
        ("The person says that it is hidden [E5].", None),
    )
    use(monkeypatch, vlm, tmp_path)
    session = begun(tmp_path)
    with pytest.raises(InputError, match="the agent asks 'Is it seen by customers\\?'"):
        session.ask("Does it matter?")
    assert session.pause == Pause(kind="question", text="Is it seen by customers?")
    with pytest.raises(InputError, match=r"the agent asks .* first"):
        session.ask("And so?")
    with pytest.raises(InputError, match=r"the agent asks .* first"):
        session.correct(by="me", why="so", verdict="normal")
    [*_, reply] = session.answer("No, it is hidden.")
    assert isinstance(reply, Reply)
    assert reply.turn.looks[0].summary == "Asked 'Is it seen by customers?', the person says: No, it is hidden."
    with pytest.raises(InputError, match="asks nothing"):
        list(session.answer("again"))


def test_a_review_waits_and_can_be_accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, scripted(PLAN, SUSPECTS, ("", 0.02), ("False. It looks normal [F9].", 0.02)), tmp_path)
    session = begun(tmp_path, review=["uncertain", "at odds"])
    *_, last = session.inspect()
    assert isinstance(last, Pause)
    assert session.pause == last
    assert last.text.startswith("the verdict is uncertain; the detector (")
    session.accept(by="Q", why="looked at it")
    assert session.pause is None
    assert session.accepted is not None
    assert (session.accepted.by, session.report.verdict) == ("Q", "uncertain")
    with pytest.raises(InputError, match="no review is due"):
        session.accept(by="Q")


def test_questions_can_be_asked_before_a_review_is_decided(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vlm = scripted(
        PLAN, SUSPECTS, ("", 0.02), ("False. It looks normal [F9].", 0.02), ("It is in the upper left [E1].", None)
    )
    use(monkeypatch, vlm, tmp_path)
    session = begun(tmp_path, review=["uncertain"])
    assert session.ask("Where?").text.startswith("It is in")
    assert session.pause is not None
    session.correct(
        by="Q", why="a scratch, felt with a nail", verdict="anomalous", box=(8, 8, 24, 24), defect_type="Scratch"
    )
    assert session.pause is None
    report = session.report
    assert report.verdict == "anomalous"
    first = report.findings[0]
    assert (first.box, first.defect_type) == ((8, 8, 24, 24), "scratch")
    assert first.cites[0] == "E5"
    assert (
        "Q says: the part is anomalous; the defect is scratch; it is in the upper left. Why: a scratch"
        in report.evidence[-1].summary
    )
    assert any("corrected by Q (was uncertain)" in line for line in report.warnings)
    [correction] = session.corrections
    assert correction.instead_of == "False. It looks normal [F9]."


def test_a_correction_can_come_at_any_time_and_is_remembered_among_past_cases(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inspector = use(monkeypatch, scripted(*INSPECTION, ("It is in the centre [E1].", None)), tmp_path)
    session = begun(tmp_path)
    session.ask("Where is it?")
    case = inspector.cases.get(session.id)
    assert case is not None
    assert (case.verdict, case.decided_by, case.defect_types) == ("anomalous", "agent", ["scratch"])
    session.correct(by="Q", why="a reflection", verdict="normal")
    case = inspector.cases.get(session.id)
    assert case is not None
    assert (case.verdict, case.decided_by, case.note) == ("normal", "person", "a reflection")
    assert session.report.findings == []
    session.correct(by="Q", why="wrong place", answer="It is in the upper left [E1].", turn=1)
    assert session.corrections[-1].question == "Where is it?"
    assert session.corrections[-1].instead_of == "It is in the centre. [E1]"
    assert inspector.cases.count() == 2, "the part and its reference"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "nothing to correct"),
        ({"verdict": "bad"}, "verdict='bad': expected 'normal' or 'anomalous'"),
        ({"verdict": "normal", "box": (0, 0, 5, 5)}, "a defect wants verdict='anomalous'"),
        ({"box": (5, 5, 5, 9)}, "expected x0, y0, x1, y1 inside the 96 x 96 photo"),
        ({"box": (0, 0, 97, 9)}, "expected x0, y0, x1, y1 inside the 96 x 96 photo"),
        ({"box": (0, 0, 9)}, "expected x0, y0, x1, y1 inside"),
        ({"defect_type": "!!"}, "expected a name such as 'scratch'"),
        ({"answer": " "}, "answer=' ': 1 characters, expected 1 to"),
        ({"answer": "So.", "turn": 3}, "turn=3: there is no such turn"),
        ({"verdict": "normal", "by": ""}, "by='': 0 characters"),
        ({"verdict": "normal", "why": ""}, "why='': 0 characters"),
    ],
)
def test_a_correction_that_does_not_fit_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wrong: dict[str, object], says: str
) -> None:
    use(monkeypatch, scripted(*INSPECTION), tmp_path)
    session = begun(tmp_path)
    assert session.report.verdict == "anomalous"
    with pytest.raises(InputError) as caught:
        session.correct(**({"by": "Q", "why": "so"} | wrong))  # type: ignore[arg-type]
    assert says in str(caught.value)
    assert session.corrections == []


def test_a_fork_goes_on_from_an_earlier_turn_and_leaves_the_first_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    vlm = scripted(*INSPECTION, ("One [E1].", None), ("Two [E1].", None), ("Other [E1].", None))
    use(monkeypatch, vlm, tmp_path)
    session = begun(tmp_path)
    session.ask("One?")
    session.ask("Two?")
    fork = session.fork(1)
    fork.ask("Other?")
    assert [turn.question for turn in fork.turns()] == ["One?", "Other?"]
    assert [turn.question for turn in session.turns()] == ["One?", "Two?"]
    assert session.fork(0).turns() == []
    with pytest.raises(InputError, match="expected 0 to 2"):
        session.fork(3)


def test_old_turns_are_read_from_the_checkpoints(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vlm = scripted(*INSPECTION, *((f"It is answer {i} [E1].", None) for i in range(15)))
    use(monkeypatch, vlm, tmp_path)
    session = begun(tmp_path)
    for i in range(15):
        session.ask(f"Question {i}?")
    assert [turn.question for turn in session.turns()] == [f"Question {i}?" for i in range(15)]
    assert len(session.values["turns"]) == 6


def test_checkpoints_hold_no_pictures_and_grow_little(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    replies = [
        reply for i in range(12) for reply in (calls("zoom", where=[0, 0, 20 + i, 20]), ("It is plain [E5].", None))
    ]
    use(monkeypatch, scripted(*INSPECTION, *replies), tmp_path)
    session = begun(tmp_path)
    sizes = []
    for i in range(12):
        session.ask(f"Question {i}?")
        store = session._thread.checkpoints.saver.conn  # type: ignore[attr-defined]
        sizes.append(
            store.execute("SELECT length(checkpoint) FROM checkpoints ORDER BY checkpoint_id DESC LIMIT 1").fetchone()[
                0
            ]
        )
    assert max(np.diff(sizes)) < 8_000
    assert sizes[-1] - sizes[7] < 2_000, "it has levelled off"
    assert sizes[-1] < 60_000


def test_two_windows_cannot_run_one_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from filelock import FileLock

    use(monkeypatch, scripted(*INSPECTION), tmp_path)
    session = begun(tmp_path)
    with FileLock(tmp_path / "sessions" / session.id / ".lock"), pytest.raises(SessionError, match="in another window"):
        list(session.inspect())


def test_a_review_rule_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"review='always': expected of 'uncertain', 'critical', 'at odds'"):
        begun(tmp_path, review=["always"])


def test_the_package_offers_sessions() -> None:
    assert agent.Session is Session
    assert agent.SessionError is SessionError
    assert issubclass(agent.SessionError, agent.InputError)


def test_a_picture_of_a_session_is_read_back_as_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, scripted(*INSPECTION), tmp_path)
    session = begun(tmp_path)
    list(session.inspect())
    use(monkeypatch, scripted(), tmp_path)
    again = Session.resume(session.id, home=tmp_path)
    assert np.array_equal(np.asarray(again.picture("test")), np.asarray(plate(True)))
    assert isinstance(again.overlay(), Image.Image)


def stopped_at_first_step(session: Session, question: str) -> None:
    """A person stops the answer when the first tool call is made."""
    events = session.stream(question)
    for event in events:
        if isinstance(event, Step) and event.node == "act":
            break
    events.close()  # type: ignore[attr-defined]


def test_a_stopped_answer_goes_on_or_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    look = calls("zoom", where="lower right")
    vlm = scripted(
        *INSPECTION, look, ("The lower right is plain [E5].", None), look, ("It is in the upper left [E1].", None)
    )
    use(monkeypatch, vlm, tmp_path)
    session = begun(tmp_path)
    list(session.inspect())
    stopped_at_first_step(session, "Look closer.")
    assert session.unfinished
    with pytest.raises(InputError, match=r"the last answer was cut off; let it end with"):
        session.ask("Where is it?")
    [*_, reply] = session.finish()
    assert isinstance(reply, Reply)
    assert len(reply.turn.looks) == 1
    stopped_at_first_step(session, "Look again.")
    session.drop()
    assert not session.unfinished
    session.drop()
    assert session.ask("Where is it?").turn.number == 2
    assert [turn.question for turn in session.turns()] == ["Look closer.", "Where is it?"]


def test_a_review_is_still_due_after_a_question_was_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    look = calls("zoom", where="lower right")
    vlm = scripted(PLAN, SUSPECTS, ("", 0.02), ("False. It looks normal [F9].", 0.02), look, look)
    use(monkeypatch, vlm, tmp_path)
    session = begun(tmp_path, review=["uncertain"])
    list(session.inspect())
    pause = session.pause
    assert pause is not None
    stopped_at_first_step(session, "Look closer.")
    assert session.pause is None
    session.drop()
    assert session.pause == pause
    assert session.fork().pause == pause
    session.correct(by="Q", why="so", verdict="normal")
    assert session.fork().report.verdict == "normal"
