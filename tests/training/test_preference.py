"""AD-PL text: the best answer is true, the others are wrong as their scores say, and no word gives them away."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest

from knowledge.facts import shipped_pack
from knowledge.kinds import groups, near
from training.adpl import MleScores, PairType, PreferenceRecord
from training.cues import word_cue
from training.draw.scene import Case
from training.draw.splits import SPLITS
from training.fact_index import FactIndex
from training.make import draw_pair, tell_pair
from training.preference.questions import QUESTIONS, Asked, Question
from training.preference.record import AdplWriter
from training.preference.scene import EXTENTS, PLACES, Mark, Scene, describe
from training.preference.telling import Telling, flawed, honest, score
from training.preference.wording import SENTENCES, UNCOUNTED, named, say

PAIRS = 400
SIZE = 64
_CITED = re.compile(r"\[F(\d+)\]")


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Case, PreferenceRecord]]:
    writer, split = AdplWriter(FactIndex(shipped_pack())), SPLITS["train"]
    made = []
    for index in range(PAIRS):
        case = draw_pair(split, 5, index, SIZE)
        made.append((case, tell_pair(writer, case, split, 5, index, str(index))))
    return made


# --- form ---


def test_every_record_has_five_questions_with_four_answers_best_first(
    pairs: list[tuple[Case, PreferenceRecord]],
) -> None:
    assert {record.pair_type for _, record in pairs} == set(get_args(PairType))
    for _, record in pairs:
        for question in record.question_answer:
            scores = [option.scores for option in question.answer_options]
            assert all(scores)
            means = [s.mean for s in scores if s]
            assert means[0] == 5
            assert all(a > b for a, b in pairwise(means)), means


def test_the_same_seed_tells_the_same() -> None:
    writer, split = AdplWriter(FactIndex(shipped_pack())), SPLITS["train"]
    again = AdplWriter(FactIndex(shipped_pack()))
    for index in range(6):
        case = draw_pair(split, 6, index, SIZE)
        assert tell_pair(writer, case, split, 6, index, "a") == tell_pair(again, case, split, 6, index, "a")


def test_true_and_false_are_about_equally_often_right(pairs: list[tuple[Case, PreferenceRecord]]) -> None:
    right = [question.answer for _, record in pairs for question in record.question_answer]
    assert np.mean(right) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(len(right)))


# --- truth ---


def test_the_best_answer_opens_with_the_right_verdict_and_tells_what_was_drawn(
    pairs: list[tuple[Case, PreferenceRecord]],
) -> None:
    for case, record in pairs:
        scene = describe(case)
        for question in record.question_answer:
            best = question.answer_options[0].answer_en
            assert best.startswith("True." if question.answer else "False.")
            if scene.anomalous:
                mark = scene.marks[0]
                for word in (named(mark.defect_type), mark.place, mark.extent, mark.tone):
                    assert word in best
            else:
                assert any(best.endswith(end) for end in (f"[F{len(record.facts or [])}].",)), best


def test_the_best_answer_cites_facts_about_the_kind_it_names(pairs: list[tuple[Case, PreferenceRecord]]) -> None:
    facts = {fact.id: fact for fact in shipped_pack().facts}
    for _, record in pairs:
        ids = record.facts or []
        for question in record.question_answer:
            text = question.answer_options[0].answer_en
            for sentence in re.split(r"(?<=\.) ", text):
                cited = [facts[ids[int(n) - 1]] for n in _CITED.findall(sentence)]
                about = {fact.defect_type for fact in cited if fact.kind == "defect"}
                assert all(named(kind or "") in sentence for kind in about), sentence


def test_every_citation_of_every_answer_exists(pairs: list[tuple[Case, PreferenceRecord]]) -> None:
    known = {fact.id for fact in shipped_pack().facts}
    for _, record in pairs:
        assert set(record.facts or []) <= known
        for question in record.question_answer:
            for option in question.answer_options:
                assert all(1 <= int(n) <= len(record.facts or []) for n in _CITED.findall(option.answer_en))


def test_an_answer_with_a_wrong_verdict_never_scores_more_than_one_for_its_type(
    pairs: list[tuple[Case, PreferenceRecord]],
) -> None:
    wrong = 0
    for _, record in pairs:
        for question in record.question_answer:
            for option in question.answer_options:
                assert option.scores is not None
                right = option.answer_en.startswith("True.") == question.answer
                wrong += not right
                assert right == (option.scores.type > 1), option
    assert wrong > PAIRS


# --- no surface cue ---


def test_words_do_not_give_away_the_better_of_a_minimal_pair(pairs: list[tuple[Case, PreferenceRecord]]) -> None:
    cue = word_cue([record for _, record in pairs], minimal=True)
    assert cue is not None
    assert cue.pairs > 300
    assert cue.accuracy < 0.57, cue


def test_the_longer_answer_is_not_the_better_one(pairs: list[tuple[Case, PreferenceRecord]]) -> None:
    longer, shorter = 0, 0
    for _, record in pairs:
        for question in record.question_answer:
            first, last = (len(question.answer_options[i].answer_en.split()) for i in (0, -1))
            longer, shorter = longer + (first > last), shorter + (first < last)
    assert longer / (longer + shorter) == pytest.approx(0.5, abs=0.06)


# --- scores ---

MARK = Mark("scratch", "upper left", frozenset({"upper left"}), "small", "darker than")
BAD, GOOD = Scene((MARK,), ("plain",)), Scene((), ("dust",))
TRUE_BAD, TRUE_GOOD = honest(BAD, "dent"), honest(GOOD, "dent")


def told(**changes: str) -> Telling:
    mark = replace(MARK, **changes)  # type: ignore[arg-type]
    return replace(TRUE_BAD, scene=replace(BAD, marks=(mark,)), about=mark.defect_type, named=mark.defect_type)


@pytest.mark.parametrize(
    ("telling", "truth", "right", "expected"),
    [
        (TRUE_BAD, TRUE_BAD, True, (5, 5, 5)),
        (TRUE_GOOD, TRUE_GOOD, True, (5, 5, 5)),
        (told(defect_type="crack"), TRUE_BAD, True, (3, 5, 5)),
        (told(defect_type="stain"), TRUE_BAD, True, (2, 5, 5)),
        (told(place="upper centre"), TRUE_BAD, True, (5, 3, 5)),
        (told(place="lower right"), TRUE_BAD, True, (5, 1, 5)),
        (told(extent="large"), TRUE_BAD, True, (5, 4, 5)),
        (told(extent="large", tone="brighter than"), TRUE_BAD, True, (5, 3, 5)),
        (replace(TRUE_BAD, about="dent"), TRUE_BAD, True, (5, 5, 3)),
        (replace(TRUE_BAD, accepts=True), TRUE_BAD, True, (5, 5, 2)),
        (replace(TRUE_GOOD, scene=Scene((), ("cloud",))), TRUE_GOOD, True, (5, 3, 5)),
        (TRUE_GOOD, TRUE_BAD, False, (1, 1, 2)),
        (TRUE_BAD, TRUE_GOOD, False, (1, 1, 2)),
        (TRUE_GOOD, TRUE_BAD, True, (2, 1, 3)),
        (told(place="centre"), TRUE_BAD, False, (1, 3, 4)),
    ],
)
def test_scores_follow_from_what_is_wrong(
    telling: Telling, truth: Telling, right: bool, expected: tuple[int, int, int]
) -> None:
    assert score(telling, truth, right) == MleScores(type=expected[0], location=expected[1], logic=expected[2])


OTHER = Scene((Mark("stain", "centre", frozenset({"centre"}), "large", "brighter than"),), ("plain",))


@pytest.mark.parametrize(("truth", "other_facts"), [(TRUE_BAD, "stain"), (TRUE_GOOD, "scratch")])
@pytest.mark.parametrize("seed", range(5))
def test_every_flawed_telling_scores_below_the_truth(truth: Telling, other_facts: str, seed: int) -> None:
    wrong = list(flawed(truth, OTHER, "dent", other_facts, np.random.default_rng(seed)))
    assert truth not in wrong
    grades = {score(one, truth, True).mean for one in wrong}
    assert max(grades) < 5
    assert len(grades) >= 4
    assert any(one.scene.anomalous != truth.scene.anomalous for one in wrong)


def test_what_the_other_scene_has_in_common_is_no_flaw() -> None:
    for one in flawed(TRUE_BAD, replace(BAD, marks=(MARK,)), "dent", "dent", np.random.default_rng(0)):
        assert not one.scene.marks or one.scene.marks[0] == MARK


def test_a_wrong_difference_is_one_that_is_not_there() -> None:
    truth = honest(Scene((), ("dust", "cloud")), "dent")
    told = {
        one.scene.differences
        for seed in range(60)
        for one in flawed(truth, OTHER, "dent", "stain", np.random.default_rng(seed))
        if not one.scene.anomalous
    }
    assert told == {truth.scene.differences, ("plain",), ("batch_colour",), ("passing_shadow",)}


# --- scenes, questions, words ---


def test_the_scene_says_where_and_how_large_the_defect_is(pairs: list[tuple[Case, PreferenceRecord]]) -> None:
    for case, _ in pairs:
        scene = describe(case)
        assert scene.anomalous == case.anomalous
        assert scene.types == {d.defect_type for d in case.defects}
        for mark in scene.marks:
            mask = next(d.mask for d in case.defects if d.defect_type == mark.defect_type)
            limits = dict(zip([word for _, word in EXTENTS], [0, *(limit for limit, _ in EXTENTS)], strict=False))
            assert mask.mean() > limits[mark.extent]
            assert mark.place in PLACES


def scene_at(place: str, extent: str = "small") -> Scene:
    return Scene((Mark("scratch", place, frozenset({place}), extent, "darker than"),), ("plain",))


@pytest.mark.parametrize(("pair_type", "questions"), QUESTIONS.items())
def test_questions_hold_where_they_should(pair_type: str, questions: tuple[Question, ...]) -> None:
    assert len(questions) == 5
    asked = Asked("scratch", "centre", "quote")
    for question in questions:
        on_good, on_bad = question.holds(GOOD, asked), question.holds(scene_at("centre", "large"), asked)
        assert on_good != on_bad, question.name
        for form in (*question.affirmed, *question.denied):
            text = say(np.random.default_rng(0), (form,), kind="scratch", place="centre", quote="It is so.")
            assert text.endswith("?")
            assert not set("<>{}|") & set(text)


def test_every_sentence_can_be_said_in_all_its_forms() -> None:
    values = dict.fromkeys(
        ("kind", "place", "extent", "tone", "asked", "cite", "cause", "impact", "quoted", "end"), "x"
    )
    for key, forms in SENTENCES.items():
        for form in forms:
            said = {say(np.random.default_rng(seed), (form,), **values) for seed in range(8)}
            assert all(text.endswith(".") and not set("<>{}|") & set(text) for text in said), key


def test_every_known_kind_of_defect_is_in_one_group() -> None:
    kinds = {fact.defect_type for fact in shipped_pack().facts if fact.defect_type}
    assert kinds == set(groups())
    assert set(groups()) >= UNCOUNTED
    assert [named(kind) for kind in ("corrosion", "scratch", "open_circuit")] == [
        "corrosion",
        "a scratch",
        "an open circuit",
    ]
    assert near("scratch", "crack")
    assert not near("scratch", "stain")
    assert not near("scratch", "no_such_kind")
