"""The reference judge: what each fault costs, and that wording costs nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from paraphrases import PARAPHRASES
from paraphrases_unseen import PARAPHRASES as UNSEEN

from evals.judges.check import check_judge, order_tau
from evals.judges.planted import reworded, take_apart
from evals.judges.reference import ReferenceJudge
from evals.judges.truth import truth_of_question
from evals.mle import SCALES, Citable, FaultKind, MleScore, TrueDefect, Truth, judge_reference
from knowledge.facts import shipped_pack
from training.adpl import UNANSWERABLE, PreferenceRecord, RankedQuestion
from training.make import Order, make

TruthOf = Callable[[PreferenceRecord, RankedQuestion], Truth]
FACTS = {
    "F1": Citable(text="A scratch is a fine line cut into the surface.", kind="defect", defect_type="scratch"),
    "F2": Citable(text="Scratches come from chips under the clamp.", kind="cause", defect_type="scratch"),
    "F3": Citable(text="A dent is a shallow hollow.", kind="defect", defect_type="dent"),
    "E1": Citable(text="The strongest place is in the upper left, score 0.91.", places=("upper left",)),
}
SCRATCHED = Truth(
    anomalous=True,
    defects=(
        TrueDefect(
            defect_type="scratch", places=("upper left", "upper centre"), box=(4, 4, 20, 20), area_fraction=0.01, tone="darker"
        ),
    ),
    citable=FACTS,
)  # fmt: skip
GOOD = Truth(anomalous=False, differences=("dust",), citable=FACTS)
RIGHT = (
    "True. A small mark in the upper left is darker than its surround. It has the look of a scratch [F1]. "
    "The part should be set apart [F2]."
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[PreferenceRecord], TruthOf]:
    """Records of the data engine, and what is known of their questions."""
    folder = tmp_path_factory.mktemp("adpl")
    for _ in make(Order(24, seed=5, size=96), folder, processes=1):
        pass
    records = [
        PreferenceRecord.model_validate_json(line)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    facts = {fact.id: fact for fact in shipped_pack().facts}
    return records, lambda record, question: truth_of_question(record, question, folder, facts)


UNSEEN_WEIGHT = GOOD.model_copy(update={"question": "What is its weight?", "answer": UNANSWERABLE})


@pytest.mark.parametrize(
    ("answer", "mark"),
    [
        ("The photo does not allow an answer: the weight cannot be seen in it.", 5),
        ("False. Nothing stands out [E1].", 1),
        ("It weighs 30 grams.", 1),
    ],
)
def test_what_no_photo_can_tell_is_rightly_declined(answer: str, mark: int) -> None:
    score = ReferenceJudge().judge(answer, UNSEEN_WEIGHT)
    assert marks(score) == (mark,) * 3
    assert bool(score.faults) == (mark == 1)
    assert ReferenceJudge().judge("", UNSEEN_WEIGHT).unscored


def test_to_decline_what_can_be_told_is_no_answer() -> None:
    score = ReferenceJudge().judge("The photo does not allow an answer: the mark cannot be seen in it.", SCRATCHED)
    assert marks(score) == (1, 1, 1)
    assert score.faults[0].kind == "no answer"


def marks(score: MleScore) -> tuple[float | None, ...]:
    return score.type, score.location, score.logic


def kinds(score: MleScore) -> set[FaultKind]:
    return {fault.kind for fault in score.faults}


def test_a_right_answer_has_no_fault() -> None:
    score = judge_reference(RIGHT, SCRATCHED)
    assert marks(score) == (5, 5, 5)
    assert score.faults == ()
    assert score.mean == 5


@pytest.mark.parametrize(
    ("old", "new", "expected", "fault"),
    [
        ("a scratch [F1]", "a crack", (3, 5, 3), "wrong type"),  # near; and [F2] is about scratches
        ("a scratch [F1]", "a dent [F3]", (2, 5, 3), "wrong type"),
        ("upper left", "upper centre", (5, 4, 5), "wrong place"),  # the scratch reaches into it
        ("upper left", "middle left", (5, 3, 5), "wrong place"),
        ("upper left", "lower right", (5, 1, 5), "wrong place"),
        ("in the upper left ", "", (5, 3, 5), "no place"),
        ("small", "large", (5, 4, 5), "wrong size"),
        ("darker than", "brighter than", (5, 4, 5), "wrong tone"),
        ("[F1]", "[F9]", (5, 5, 3), "fabricated citation"),
        ("[F1]", "[F3]", (5, 5, 3), "unsupported claim"),
        ("should be set apart", "can be accepted", (5, 5, 2), "contradiction"),
        ("True", "False", (1, 5, 1), "wrong reply"),
        ("True. ", "", (3, 5, 5), "no verdict"),
    ],
)
def test_each_fault_costs_its_points(old: str, new: str, expected: tuple[float, ...], fault: FaultKind) -> None:
    assert old in RIGHT
    score = judge_reference(RIGHT.replace(old, new), SCRATCHED)
    assert fault in kinds(score), score.faults
    assert marks(score) == expected, score.faults
    assert all(f.why and f.points > 0 for f in score.faults)


def test_every_point_lost_is_explained() -> None:
    """What the scales lack to 5 is what the faults add up to, but that type counts the gravest and none falls below 1."""
    text = RIGHT.replace("upper left", "lower left").replace("small", "tiny").replace("[F1]", "[F3][F12]")
    score = judge_reference(text, SCRATCHED)
    lost = {scale: [f.points for f in score.faults if f.scale == scale] for scale in SCALES}
    assert lost["location"]
    assert lost["logic"]
    for scale in ("location", "logic"):
        assert getattr(score, scale) == max(1, 5 - sum(lost[scale]))


def test_a_normal_part_taken_for_a_bad_one() -> None:
    score = judge_reference(RIGHT, GOOD)
    assert {"wrong reply", "wrong verdict"} <= kinds(score)
    assert marks(score) == (1, 1, 2)


def test_a_normal_part_and_its_allowed_differences() -> None:
    text = "False. {} There is no sign of a scratch [F1]. So the part can be passed on."
    assert marks(judge_reference(text.format("Some specks of dust are visible."), GOOD)) == (5, 5, 5)
    wrong = judge_reference(text.format("A soft shadow falls over one side."), GOOD)
    assert kinds(wrong) == {"wrong difference"}
    assert wrong.location == 3
    unknown = GOOD.model_copy(update={"differences": None})
    assert judge_reference(text.format("A soft shadow falls over one side."), unknown).faults == ()


def test_a_number_and_a_place_are_held_against_the_evidence() -> None:
    good = f"{RIGHT} The heat map is strongest in the upper left, with 0.91 [E1]."
    assert judge_reference(good, SCRATCHED).faults == ()
    for old, new in (("0.91", "0.41"), ("strongest in the upper left", "strongest in the centre")):
        assert "unsupported claim" in kinds(judge_reference(good.replace(old, new), SCRATCHED)), new


def test_a_cause_has_to_be_in_what_is_cited() -> None:
    assert judge_reference(f"{RIGHT} It comes from chips under the clamp [F2].", SCRATCHED).faults == ()
    for claim in ("It comes from a worn electrode [F2].", "It was caused by a worn electrode."):
        assert kinds(judge_reference(f"{RIGHT} {claim}", SCRATCHED)) == {"unsupported claim"}, claim


def test_place_in_pixels() -> None:
    said = RIGHT.replace("in the upper left", "at (6, 6, 12, 12)")
    assert judge_reference(said, SCRATCHED).faults == ()
    assert kinds(judge_reference(said.replace("(6, 6, 12, 12)", "(60, 60, 70, 70)"), SCRATCHED)) == {"wrong place"}


def test_the_parts_of_an_answer_are_scored_too() -> None:
    score = judge_reference(RIGHT.replace("small", "large").replace("[F1]", "[F3]"), SCRATCHED)
    assert score.part(step=0) == {"type": 5, "location": 4, "logic": 5}
    assert score.part(step=1) == {"type": 5, "location": 5, "logic": 3}
    assert score.part(step=2) == {"type": 5, "location": 5, "logic": 5}
    two = judge_reference(RIGHT.replace("a scratch [F1]", "a dent and a stain [F1]"), SCRATCHED)
    assert two.part(step=1)["type"] == two.type == 2  # the gravest counts in the part as in the whole
    far = judge_reference(RIGHT.replace("upper left", "lower right"), SCRATCHED)
    assert far.part(finding=0)["location"] == 1


def test_an_empty_answer_is_unscored() -> None:
    score = judge_reference("  ", SCRATCHED)
    assert score.mean is None
    assert score.unscored == "the answer says nothing"


def test_words_that_do_not_answer_score_worst() -> None:
    """Silence must not be better than a wrong answer: a model would do best to say nothing."""
    for text in ("category: weld\nlooks: heatmap, zoom\nfacts: scratch, dent", "I would need another photo."):
        for truth in (SCRATCHED, GOOD):
            score = judge_reference(text, truth)
            assert marks(score) == (1, 1, 1), score.faults
            assert kinds(score) == {"no answer"}


def test_an_answer_without_reasons_or_citations_loses_logic() -> None:
    assert marks(judge_reference("True.", SCRATCHED)) == (3, 3, 2)
    assert marks(judge_reference("False.", GOOD)) == (5, 3, 2)
    assert "no reasons" in kinds(judge_reference("True. The part should be set apart.", SCRATCHED))
    bare = RIGHT.replace(" [F1]", "").replace(" [F2]", "")
    assert marks(judge_reference(bare, SCRATCHED)) == (5, 5, 3)
    assert marks(judge_reference(f"{bare} It was caused by a worn electrode.", SCRATCHED)) == (5, 5, 3)  # one lack
    assert judge_reference(bare, SCRATCHED.model_copy(update={"citable": {}})).faults == ()


def test_a_heat_map_without_a_region_is_a_sight_of_nothing() -> None:
    text = "False. No region stands out in the heat map, which is low [E1]. Nothing looks like the described defects [F1][F3][E1]."
    assert judge_reference(text, GOOD.model_copy(update={"differences": None})).faults == ()
    assert "wrong verdict" in kinds(judge_reference(text, SCRATCHED))


def test_a_score_is_whole_or_unscored() -> None:
    with pytest.raises(ValueError, match="or none of them and a reason"):
        MleScore(type=5, location=5)
    with pytest.raises(ValueError, match="or none of them and a reason"):
        MleScore()


def test_order_faults_and_steadiness_on_made_answers(made: tuple[list[PreferenceRecord], TruthOf]) -> None:
    """The bars of an evaluator one can trust, on answers whose worth is known by construction."""
    records, truth_of = made
    found = check_judge(ReferenceJudge(), records, truth_of)
    assert found.unscored == 0
    assert found.tau.value is not None
    assert found.tau.value >= 0.9
    assert found.unmoved.value == 1
    assert found.false_faults.value == 0
    assert len({name.split(":")[0] for name in found.caught}) == 6
    for name, caught in found.caught.items():
        assert (caught.value or 0) >= 0.95, name


@pytest.mark.parametrize(("forms", "least"), [(PARAPHRASES, 0.99), (UNSEEN, 0.95)])
def test_other_words_score_the_same(
    made: tuple[list[PreferenceRecord], TruthOf], forms: dict[str, tuple[str, ...]], least: float
) -> None:
    """Sentences as other people word them, in another order, with neutral sentences between."""
    records, truth_of = made
    found = check_judge(ReferenceJudge(), records[::2], truth_of, forms=forms)
    assert found.unmoved.value is not None
    assert found.unmoved.value >= least
    assert found.false_faults.value is not None
    assert found.false_faults.value < 0.05


def test_a_judge_that_scores_by_length_fails_the_check(made: tuple[list[PreferenceRecord], TruthOf]) -> None:
    class ByLength:
        name = "by length"

        def judge(self, answer: str, truth: Truth) -> MleScore:
            mark = min(5.0, 1 + len(answer) / 150)
            return MleScore(type=mark, location=mark, logic=mark)

    records, truth_of = made
    found = check_judge(ByLength(), records[:6], truth_of)
    assert found.tau.value is not None
    assert found.tau.value < 0.5
    assert found.unmoved.value is not None
    assert found.unmoved.value < 0.5
    assert found.caught["contradiction: the defect is denied in the end"].value == 0


def test_a_judge_is_held_against_the_order_the_answers_are_given_in() -> None:
    assert order_tau([5, 4, 3, 2]) == 1
    assert order_tau([2, 3, 4, 5]) == -1
    assert order_tau([4, 5, 3, 2]) == pytest.approx(4 / 6)
    assert order_tau([3, 3, 3, 3]) == 0
    assert order_tau([5, None, 3, None]) == 1
    assert order_tau([None, None, None, 4]) is None


def test_a_judge_that_gives_no_scores_has_no_figures(made: tuple[list[PreferenceRecord], TruthOf]) -> None:
    class Silent:
        name = "silent"

        def judge(self, answer: str, truth: Truth) -> MleScore:
            return MleScore(unscored="no reply")

    records, truth_of = made
    found = check_judge(Silent(), records[:2], truth_of)
    assert found.tau.value is None
    assert found.unmoved.value is None
    assert found.caught == {}
    assert found.unscored >= 2 * 5 * 4


def test_answers_are_taken_apart_and_put_together(made: tuple[list[PreferenceRecord], TruthOf]) -> None:
    import numpy as np

    records, _ = made
    for record in records:
        for question in record.question_answer:
            for option in question.answer_options:
                apart = take_apart(option.answer_en)
                assert apart is not None, option.answer_en
                assert apart[0] == option.answer_en.split(" ")[0]
    assert reworded("True. Whatever this is, the data engine did not say it.", np.random.default_rng(0)) is None
