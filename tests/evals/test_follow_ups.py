"""The exam of sessions: who follows the rules gets full marks, whoever writes nonsense gets none, and tools can be taken away."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

pytest.importorskip("datasets")

from agent.vlm.nano import shipped
from agent.vlm.prompt import DECLINED
from agent.vlm.tool_calls import tool_call_text
from evals.follow_up_answers import Before, band_of, cites_fact, right
from evals.follow_up_turns import Turn, Visit, visits
from evals.follow_ups import FollowUps
from knowledge.facts import Fact
from tools.evidence import Evidence
from training.draw.scene import draw_case
from training.draw.splits import HELD_OUT_FAMILIES
from training.wordings import KINDS, Asked

pytestmark = pytest.mark.skipif(not (shipped("sage-eye") / "calibration.json").is_file(), reason="no shipped eye")


@pytest.fixture(scope="module")
def seen() -> list[Visit]:
    return list(visits(6, shipped("sage-eye")))


def sat(seen: list[Visit], exam: FollowUps, say: object = None) -> list[Turn]:
    turns = [turn for visit in seen for turn in exam.turns(visit)]

    def ask(asked: Sequence[Turn]) -> list[str]:
        return [turn.wanted if say is None else str(say) for turn in asked]

    exam.sit(turns, ask)
    return turns


def test_who_follows_the_rules_gets_full_marks(seen: list[Visit]) -> None:
    exam = FollowUps()
    turns = sat(seen, exam)
    figures = {name: metric.value for name, metric in exam.metrics(turns).items()}
    # Where a defect is and what it is called the rules can only say as well as the detector and a guess.
    guessed = {
        "right, position",
        "right, type",
        "right, all",
        "right, wordings held out",
        "right, wordings of training",
    }
    for name, value in figures.items():
        if name.startswith("right, ") and name not in guessed and value is not None:
            assert value == 1, (name, [t for t in turns if name.endswith(t.asked.kind)])
    for name in (
        "calls that are valid",
        "calls that were needed",
        "needed first calls that were made",
        "ended in an answer",
    ):
        assert figures[name] == 1, name
    assert figures["answered at once where all was there"] == 1
    assert 0 < (figures["calls a question"] or 0) < 2
    assert any(len(turn.steps) > 1 for turn in turns)
    assert {visit.case.family for visit in seen} <= HELD_OUT_FAMILIES
    assert {t.held_out for t in turns} == {True, False}


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "It is so.",
        "<tool_call>zoom</tool_call>",
        "<tool_call>{",
        tool_call_text("zoom", {"where": 7}),
        tool_call_text("zoom", {}),
        tool_call_text("measure", {"where": "nowhere"}),
        tool_call_text("query_facts", {"defect_types": 3}),
        tool_call_text("query_facts", {"query": 1, "defect_types": [["x"], None]}),
        tool_call_text("no_such_tool", {"a": "b"}),
        tool_call_text("ask_person", {}),
    ],
)
def test_nonsense_is_counted_and_ends(seen: list[Visit], nonsense: str) -> None:
    exam = FollowUps()
    turns = sat(seen[:2], exam, nonsense)
    figures = {name: metric.value for name, metric in exam.metrics(turns).items()}
    assert figures["right, all"] == 0
    assert figures["calls that are valid"] in (0, None)


def test_a_tool_that_is_taken_away_is_missed(seen: list[Visit]) -> None:
    exam = FollowUps(off=["measure"])
    turns = sat(seen, exam)
    assert all(item.tool != "measure" for turn in turns for item in turn.evidence)
    figures = {name: metric.value for name, metric in exam.metrics(turns).items()}
    assert figures["ended in an answer"] == 1
    assert figures["right, measure"] in (0, None)
    assert (figures["right, size"] or 0) < 1


def test_the_same_questions_are_asked_of_every_model(seen: list[Visit]) -> None:
    one, other = ([t.asked for visit in seen for t in FollowUps().turns(visit)] for _ in range(2))
    assert one == other
    assert {asked.kind for asked in one} <= set(KINDS)


# --- what is right


@pytest.fixture(scope="module")
def before() -> Before:
    case = next(c for i in range(60) if len((c := draw_case((95, i), anomalous=1.0, references=1)).defects) == 1)
    facts = {
        "F1": Fact.create("Cooled too fast.", category="wood", kind="cause", source="x", defect_type="crack"),
        "F2": Fact.create("It grows.", category="wood", kind="impact", source="x", defect_type="crack"),
    }
    heat = {"level": "high", "place": "centre", "regions": [{"place": "centre"}], "score": 0.9}
    measure = {"place": "upper left", "length_px": 20.4, "width_px": 4.6, "shape": "longish", "tone": "darker than"}
    evidence = [
        Evidence(id="E1", tool="heatmap", summary="Heat map: high, peak in the centre.", values=heat),
        Evidence(id="E2", tool="measure", summary="Region in the upper left: 20 by 5 px.", values=measure),
        Evidence(id="E3", tool="compare", summary="Against the reference.", values={"place": "centre", "ratio": 2.5}),
        Evidence(id="E4", tool="ask_person", summary="The person says: it is new.", values={"said": "it is new"}),
    ]
    return Before(case, True, facts, evidence)


@pytest.mark.parametrize(
    ("asked", "reply", "good"),
    [
        (Asked("cause", "?"), "If it is the defect crack: Cooled too fast [F1].", True),
        (Asked("cause", "?"), "If it is the defect crack: Cooled too slowly [F1].", False),
        (Asked("cause", "?"), "If it is the defect crack: It grows [F2].", False),
        (Asked("cause", "?"), "Cooled too fast [F2].", False),
        (Asked("of_cause", "?", defect_type="dent"), f"{DECLINED}: no fact on it was found.", True),
        (Asked("of_cause", "?", defect_type="dent"), "Cooled too fast [F1].", False),
        (Asked("measure", "?", where="upper left"), "It measures 20 by 5 px [E2].", True),
        (Asked("measure", "?", where="upper left"), "It measures 20 by 5 px [E1].", False),
        (Asked("measure", "?", where="centre"), "It measures 20 by 5 px [E2].", False),
        (Asked("reference", "?"), "Nothing in the reference looks like it [E3].", True),
        (Asked("reference", "?"), "It agrees with the reference [E3].", False),
        (Asked("person", "?", topic="history"), "The person says: it is new [E4].", True),
        (Asked("person", "?", topic="history"), "The person says: it is old [E4].", False),
        (Asked("unseen", "?", topic="mass"), f"{DECLINED}: the mass cannot be seen in it.", True),
        (Asked("unseen", "?", topic="mass"), "It is 3 kg [E1].", False),
        (Asked("heat", "?"), "The heat map is high [E1].", True),
        (Asked("heat", "?"), "The heat map is low [E1].", False),
        (Asked("heat", "?"), tool_call_text("heatmap", {}), False),
    ],
)
def test_what_is_right(before: Before, asked: Asked, reply: str, good: bool) -> None:
    assert right(asked, reply, before) is good


def test_a_fact_may_be_cited_without_being_told(before: Before) -> None:
    assert cites_fact(Asked("cause", "?"), "The cause of crack is in the facts [F1].", before)
    assert not cites_fact(Asked("cause", "?"), "The cause of crack is in the facts [F2].", before)


def test_positions_are_held_against_what_was_drawn(before: Before) -> None:
    from training.preference.scene import places_of

    main, touched = places_of(before.case.mask)
    assert right(Asked("position", "?"), f"It is in the {main} [E1].", before)
    away = next(p for p in ("upper left", "lower right", "upper right", "lower left") if p not in touched)
    assert not right(Asked("position", "?"), f"It is in the {away} [E1].", before)


@pytest.mark.parametrize(
    ("reply", "band"),
    [
        ("The reference looks much the same there [E1].", "same"),
        ("It agrees with the reference [E1].", "same"),
        ("It differs a little from the reference [E1].", "a little"),
        ("The reference differs only a little there [E1].", "a little"),
        ("Nothing in the reference looks like it [E1].", "other"),
        ("The reference shows nothing of the kind [E1].", "other"),
        ("It is so.", None),
    ],
)
def test_how_far_the_reference_differs_is_read(reply: str, band: str | None) -> None:
    assert band_of(reply) == band
