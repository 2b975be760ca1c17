"""Corrections as AD-PL: the person's answer over the agent's, and every order by construction."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from PIL import Image

from agent.vlm.prompt import VERDICT_QUESTION, read_answer
from knowledge.facts import Fact, shipped_pack
from training.adpl import RankedQuestion
from training.adpl_file import faults_of
from training.edpo.questions import ranked_questions
from training.fact_index import FactIndex
from training.preference.scene import PLACES
from training.rank.corrections import Box, Corrected, CorrectedAnswer, CorrectedCase, CorrectionError, corrected_record
from training.rank.sample import DEFAULT_QUESTIONS

PACK = shipped_pack()
KNOWN = {fact.id: fact for fact in PACK.facts}
CARTON = "packaging_carton"
SHOWN = FactIndex(PACK).about(CARTON, ["contamination", "dent"])
"""Four facts on contamination, four on dents, one on the product: F1 to F9."""
SAID_BAD = (
    "True. The heat map is high and marks the centre [E1]. It looks like contamination [F1]. Its harm is known [F3]."
)
SAID_GOOD = "False. No region stands out in the heat map [E1]. So the part can be accepted [F9]."
UPPER_LEFT: Box = (2, 2, 28, 20)
FOLLOW_UP = "Is the print straight?"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("test.png", "reference.png"):
        Image.new("RGB", (120, 90), "grey").save(tmp_path / name)
    return tmp_path


def case(photos: Path, said: str = SAID_BAD, called: bool | None = True, **changes: object) -> CorrectedCase:
    made = CorrectedCase(
        id="20260101T000000-abcdef",
        test_image=photos / "test.png",
        reference_image=photos / "reference.png",
        category=CARTON,
        facts={fact.id: fact.text for fact in SHOWN},
        evidence={
            "E1": "Heat map: score 0.77 (high), peak in the centre.",
            "E2": "Region in the upper left: 26 by 18 px.",
        },
        said=said,
        called=called,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def record(of: CorrectedCase) -> Corrected:
    made = corrected_record(of, "test.png", "reference.png", PACK)
    assert not list(faults_of(1, made.record, of.test_image.parent, KNOWN))
    return made


def texts(question: RankedQuestion) -> list[str]:
    return [option.answer_en for option in question.answer_options]


def facts_on(defect_type: str, made: Corrected) -> list[Fact]:
    return [KNOWN[id] for id in made.record.facts or () if KNOWN[id].defect_type == defect_type]


def test_a_false_alarm_puts_the_right_account_first_and_what_the_agent_said_last(photos: Path) -> None:
    made = record(case(photos, anomalous=False)).record
    assert [question.question_en for question in made.question_answer] == list(DEFAULT_QUESTIONS)
    assert [question.answer for question in made.question_answer] == [False, True, False, True, True]
    verdict, *others = made.question_answer
    assert texts(verdict)[-1] == SAID_BAD
    assert texts(verdict)[0].startswith("False. ")
    assert all(option.scores is None for option in verdict.answer_options)
    for question in others:
        assert [option.scores is not None for option in question.answer_options] == [True] * 4
        best, *_, worst = texts(question)
        assert (read_answer(best)[0], read_answer(worst)[0]) == (question.answer, not question.answer)
        # The opposite account is the agent's own claim.
        assert "centre" in worst
        assert "contamination" in worst
    assert made.conclusion_en == " ".join(sentence.text for sentence in read_answer(texts(verdict)[0])[1])
    assert made.evidence == list(case(photos).evidence.values())


def test_a_missed_defect_is_told_by_its_box_and_its_kind_with_the_looks_and_facts_that_show_it(photos: Path) -> None:
    made = record(case(photos, SAID_GOOD, False, anomalous=True, box=UPPER_LEFT, defect_type="dent"))
    best, *_, last = texts(made.record.question_answer[0])
    assert last == SAID_GOOD
    assert "medium-sized area" in best
    assert re.search(r"upper left[^.]*\[E2\]", best)
    (described,) = [f"[F{i}]" for i, id in enumerate(made.record.facts or (), 1) if KNOWN[id].kind == "defect" and KNOWN[id].defect_type == "dent"]  # fmt: skip
    assert re.search(rf"a dent[^.]*{re.escape(described)}", best)
    for question in made.record.question_answer[1:]:
        assert "upper left" in texts(question)[0]
        assert "upper left" not in texts(question)[-1]


def test_facts_on_a_kind_that_the_agent_had_not_looked_up_come_in(photos: Path) -> None:
    made = record(case(photos, SAID_GOOD, False, anomalous=True, box=UPPER_LEFT, defect_type="tear"))
    assert {fact.kind for fact in facts_on("tear", made)} == {"defect", "cause", "impact", "remedy"}
    assert [id for id in made.record.facts or () if KNOWN[id].defect_type != "tear"] == [fact.id for fact in SHOWN]
    assert "a tear" in texts(made.record.question_answer[0])[0]
    # The agent cites the same facts as before, by their new numbers.
    accepted = f"[F{(made.record.facts or []).index(SHOWN[8].id) + 1}]"
    assert texts(made.record.question_answer[0])[-1].endswith(f"accepted {accepted}.")


def test_a_verdict_alone_says_no_place_and_no_kind(photos: Path) -> None:
    made = record(case(photos, SAID_GOOD, False, anomalous=True))
    for question in made.record.question_answer:
        best = texts(question)[0]
        assert not any(place in best for place in PLACES)
        assert "contamination" not in best
        assert "dent" not in best
        assert (
            KNOWN[(made.record.facts or [])[int(re.findall(r"\[F(\d+)\]", best)[0]) - 1]].defect_type == "unclassified"
        )


def test_what_persons_let_stand_is_told_as_the_agent_told_it(photos: Path) -> None:
    made = record(case(photos, defect_type="dent")).record
    verdict = made.question_answer[0]
    assert texts(verdict)[1] == SAID_BAD
    assert "centre" in texts(verdict)[0]
    assert "a dent" in texts(verdict)[0]
    assert [read_answer(text)[0] for text in texts(verdict)] == [True, True, False, False]
    # With another box the kind stands; a box in the same ninth does not make the agent's words wrong.
    moved = record(case(photos, box=UPPER_LEFT)).record.question_answer[0]
    assert "contamination" in texts(moved)[0]
    assert texts(moved)[1] == SAID_BAD
    assert SAID_BAD not in texts(record(case(photos, box=(45, 35, 75, 55))).record.question_answer[0])


def test_a_corrected_answer_stands_over_the_agents_and_both_with_the_other_word(photos: Path) -> None:
    given = CorrectedAnswer(
        FOLLOW_UP,
        "False, it leans to the left [E1]. Look at the edge [E7].",
        f"True. The print is straight [{SHOWN[8].id}] [E2].",
    )
    made = record(case(photos, answers=(given,)))
    assert made.notes == []
    verdict, asked, *others = made.record.question_answer
    assert verdict.question_en == VERDICT_QUESTION
    assert verdict.answer
    assert SAID_BAD not in texts(verdict)  # nobody said that it is wrong
    assert asked.question_en == FOLLOW_UP
    assert not asked.answer
    assert texts(asked) == [
        "False. It leans to the left [E1]. Look at the edge.",
        "True. It leans to the left [E1]. Look at the edge.",
        "False. The print is straight [F9][E2].",
        "True. The print is straight [F9][E2].",
    ]
    assert [question.question_en for question in others] == list(DEFAULT_QUESTIONS[1:4])


def test_a_right_word_with_other_reasons_stands_above_the_wrong_word(photos: Path) -> None:
    given = CorrectedAnswer(FOLLOW_UP, "False. It leans.", "False. It is smudged [E1].")
    asked = record(case(photos, answers=(given,))).record.question_answer[1]
    assert texts(asked) == [
        "False. It leans.",
        "False. It is smudged [E1].",
        "True. It leans.",
        "True. It is smudged [E1].",
    ]
    declined = replace(given, instead_of="The photo does not allow an answer: the print is out of sight.")
    assert texts(record(case(photos, answers=(declined,))).record.question_answer[1])[1] == declined.instead_of


def test_a_worded_verdict_gives_the_verdict_too(photos: Path) -> None:
    given = CorrectedAnswer(VERDICT_QUESTION, "False. The spot is glare [E1].", SAID_BAD)
    verdict, *others = record(case(photos, answers=(given,))).record.question_answer
    assert texts(verdict)[0] == given.answer
    assert texts(verdict)[-1] == SAID_BAD
    assert [question.answer for question in others] == [True, False, True, True]
    unopened = replace(given, answer="The spot is glare [E1].")
    assert (
        texts(record(case(photos, anomalous=False, answers=(unopened,))).record.question_answer[0])[0] == given.answer
    )


def test_what_a_record_cannot_hold_is_named(photos: Path) -> None:
    open_ended = CorrectedAnswer("How long is it?", "Three millimetres.", "Two millimetres.")
    too_alike = CorrectedAnswer(FOLLOW_UP, "False. It is so.", "True. It is so.")
    more = [CorrectedAnswer(f"Question {i}?", "True. Yes, it is.", "False. No.") for i in range(6)]
    made = record(case(photos, anomalous=False, answers=(open_ended, too_alike, *more)))
    assert [question.question_en for question in made.record.question_answer] == [
        VERDICT_QUESTION,
        *(m.question for m in more[:4]),
    ]
    assert [note.split(": ")[0] for note in made.notes] == [
        "'How long is it?'",
        f"'{FOLLOW_UP}'",
        "'Question 4?'",
        "'Question 5?'",
    ]
    assert "opens with neither True nor False" in made.notes[0]
    assert "too alike" in made.notes[1]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "nothing that differs"),
        ({"anomalous": True}, "nothing that differs"),
        ({"answers": (CorrectedAnswer(FOLLOW_UP, "true.  so.", "True. So."),)}, "nothing that differs"),
        ({"called": None, "box": UPPER_LEFT}, "neither normal nor anomalous"),
        ({"called": False, "box": UPPER_LEFT}, "stays normal"),
        ({"box": (500, 500, 510, 510)}, "outside the photo of 120 x 90"),
        (
            {"anomalous": False, "answers": (CorrectedAnswer(VERDICT_QUESTION, "True. A dent.", SAID_BAD),)},
            "opens with True",
        ),
    ],
)
def test_corrections_that_make_no_record_say_why(photos: Path, changes: dict[str, object], why: str) -> None:
    with pytest.raises(CorrectionError, match=why):
        record(case(photos, **changes))  # type: ignore[arg-type]


def test_facts_that_training_does_not_know_are_neither_carried_nor_cited(photos: Path) -> None:
    own = {"plate-note-1": "Our cartons are brown."} | {fact.id: fact.text for fact in SHOWN}
    said = "True. It is brown [F1]. It looks like contamination [F2][plate-note-1]. See [the drawing]."
    made = record(case(photos, said, facts=own, anomalous=False)).record
    assert "plate-note-1" not in (made.facts or [])
    assert (
        texts(made.question_answer[0])[-1] == "True. It is brown. It looks like contamination [F1]. See [the drawing]."
    )


@pytest.mark.parametrize("category", [CARTON, "our_boxes", None])
def test_every_kind_of_correction_gives_pairs_to_learn_from(photos: Path, category: str | None) -> None:
    answers = ((), (CorrectedAnswer(FOLLOW_UP, "True. It is.", "False. It is not."),))
    boxes, kinds = (None, UPPER_LEFT, (0, 0, 120, 90)), (None, "dent", "tear", "no_such_kind")
    made = []
    for number, (said, called, box, kind, given) in enumerate(
        product((SAID_BAD, SAID_GOOD, "", "Hard to say."), (True, False, None), boxes, kinds, answers)
    ):
        one = case(photos, said, called, id=f"s{number}", category=category, box=box, defect_type=kind, answers=given)
        for anomalous in (True, False) if not (box or kind) else (True,):
            try:
                made.append(record(replace(one, anomalous=anomalous)).record)
            except CorrectionError as error:
                assert "nothing that differs" in str(error)  # noqa: PT017
    assert len(made) > 250
    for question in (question for one in made for question in one.question_answer):
        best, *wrong = texts(question)
        assert read_answer(best)[0] is question.answer
        scores = [option.scores.mean for option in question.answer_options if option.scores]
        assert len(scores) in (0, 4)
        assert len(set(scores)) == len(scores)
        assert wrong
    file = photos / "adpl.json"
    file.write_text(json.dumps([one.model_dump(mode="json", exclude_none=True) for one in made]), encoding="utf-8")
    read = ranked_questions(file, None)
    assert (len(read.rows), read.left_out, read.contradicted) == (5 * len(made), [], 0)


def test_the_same_case_gives_the_same_record_and_another_other_words(photos: Path) -> None:
    one = case(photos, anomalous=False)
    assert record(one) == record(one)
    assert len({texts(record(replace(one, id=f"s{i}")).record.question_answer[1])[0] for i in range(12)}) > 6
