"""Agreement of raters, against independent implementations; and the files that scores come in."""

from __future__ import annotations

import io
import json
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console
from sklearn.metrics import cohen_kappa_score

from evals.errors import EvalError
from evals.figures.resample import weights
from evals.judges.agreement import MEASURED, Agreement, Measured, agreement, print_agreement, weighted_kappa
from evals.judges.scores import (
    Rating,
    item_ids,
    judged,
    orders_of_folder,
    ratings_of_records,
    read_scores,
    score_sheet,
    write_scores,
)
from evals.mle import SCALES, MleScore, Truth
from training.adpl import MleScores, PreferenceRecord
from training.rank.export import export
from training.rank.folder import AskedQuestion, Candidate, Pair, RankFolder

Floats = NDArray[np.float64]
N = float("nan")


def rated(rater: str, item: str, *scores: float | None, place: int | None = None) -> Rating:
    given = scores or (None, None, None)
    return Rating(rater=rater, item=item, type=given[0], location=given[1], logic=given[2], place=place)


def random_ratings(seed: int, *, fractions: bool = False) -> list[Rating]:
    """Three raters on up to 4 answers to each of 3 questions on 6 records; ties, and a fifth of the scores missing."""
    rng = np.random.default_rng(seed)
    found = []
    for item in (f"dir/{r}.png/q{q}/{a}" for r in range(6) for q in range(3) for a in range(4)):
        true = rng.integers(1, 6)
        for rater in "abc":
            raw = np.clip(true + rng.integers(-1, 2, 3) + (rng.choice([0, 0.25, 0.5], 3) if fractions else 0), 1, 5)
            scores = [None if rng.random() < 0.2 else float(score) for score in raw]
            if rng.random() < 0.9:
                found.append(rated(rater, item, *scores))
    return sorted(found, key=lambda rating: rating.rater)


def columns(ratings: list[Rating], scale: str) -> tuple[list[str], Floats]:
    """Items, and (raters, items) scores."""
    items = sorted({rating.item for rating in ratings})
    table = np.full((len({rating.rater for rating in ratings}), len(items)), N)
    for rating in ratings:
        score = rating.mean if scale == "mle" else getattr(rating, scale)
        table["abc".index(rating.rater), items.index(rating.item)] = N if score is None else score
    return items, table


def half_up(scores: Floats) -> NDArray[np.int_]:
    return np.array([int(score + 0.5) for score in scores], int)


def kappa_by_definition(one: Floats, other: Floats) -> float:
    """Answer by answer: how far apart the two are, against how far apart they would be if paired at random."""
    a, b = half_up(one), half_up(other)
    observed = np.mean([(x - y) ** 2 for x, y in zip(a, b, strict=True)])
    chance = np.mean([(x - y) ** 2 for x in a for y in b])
    return float(1 - observed / chance)


def tau_by_definition(one: Floats, other: Floats) -> float:
    concordant = discordant = tied_one = tied_other = 0
    for i, j in combinations(range(len(one)), 2):
        a, b = np.sign(one[i] - one[j]), np.sign(other[i] - other[j])
        concordant += a * b > 0
        discordant += a * b < 0
        tied_one += a == 0
        tied_other += b == 0
    pairs = len(one) * (len(one) - 1) / 2
    return float((concordant - discordant) / np.sqrt((pairs - tied_one) * (pairs - tied_other)))


def alpha_by_definition(table: Floats) -> float:
    """Ordinal alpha, pair of ratings by pair of ratings."""
    units = [half_up(column[~np.isnan(column)]) for column in table.T]
    units = [unit for unit in units if len(unit) > 1]
    everything = np.concatenate(units)
    count = {value: int((everything == value).sum()) for value in range(1, 6)}

    def apart(a: int, b: int) -> float:
        low, high = sorted((a, b))
        return (sum(count[v] for v in range(low, high + 1)) - (count[low] + count[high]) / 2) ** 2

    observed = sum(sum(apart(a, b) for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in units)
    expected = sum(apart(a, b) for a, b in permutations(everything, 2)) / (len(everything) - 1)
    return float(1 - observed / expected)


@pytest.mark.parametrize("scale", MEASURED)
@pytest.mark.parametrize(("seed", "fractions"), [(0, False), (1, True), (2, True)])
def test_every_figure_is_what_its_definition_says(scale: Measured, seed: int, fractions: bool) -> None:
    ratings = random_ratings(seed, fractions=fractions)
    found = agreement(ratings, resamples=0)
    items, table = columns(ratings, scale)
    assert found.alpha[scale].value == pytest.approx(alpha_by_definition(table), abs=1e-6)
    assert [pair.raters for pair in found.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    for pair in found.pairs:
        of = pair.scales[scale]
        two = table[["abc".index(name) for name in pair.raters]]
        both = ~np.isnan(two).any(0)
        one, other = two[:, both]
        assert of.answers == both.sum()
        assert of.kappa.value == pytest.approx(kappa_by_definition(one, other), abs=1e-6)
        by_library = cohen_kappa_score(half_up(one), half_up(other), labels=[1, 2, 3, 4, 5], weights="quadratic")
        assert of.kappa.value == pytest.approx(by_library, abs=1e-6)
        assert of.alpha.value == pytest.approx(alpha_by_definition(two), abs=1e-6)
        questions = np.array([item.rpartition("/")[0] for item in items])[both]
        taus = []
        for question in np.unique(questions):
            a, b = one[questions == question], other[questions == question]
            if len(set(a)) > 1 and len(set(b)) > 1:
                taus.append(tau_by_definition(a, b))
        assert of.questions == len(taus)
        assert 0 < len(taus) < 18, "the ratings must have questions with ties throughout"
        assert of.tau.value == pytest.approx(np.mean(taus), abs=1e-6)


def test_intervals_are_those_of_records_drawn_again() -> None:
    """Every resample written out, record by record, and put through scikit-learn and the definitions."""
    ratings = [rating for rating in random_ratings(3) if rating.rater != "c"]
    found = agreement(ratings, resamples=40, seed=5).pairs[0].scales["type"]
    items, table = columns(ratings, "type")
    both = ~np.isnan(table).any(0)
    record = np.array([int(item.split("/")[1].removesuffix(".png")) for item in items])
    question = np.array([item.rpartition("/")[0] for item in items])
    kappas, taus, alphas = [], [], []
    for drawn in weights(6, 40, 5):
        chosen = np.concatenate([np.tile(np.flatnonzero(both & (record == r)), int(n)) for r, n in enumerate(drawn)])
        one, other = table[:, chosen]
        kappas.append(kappa_by_definition(one, other))
        alphas.append(alpha_by_definition(table[:, chosen]))
        of_questions = []
        for r, n in enumerate(drawn):
            for q in np.unique(question[both & (record == r)]):
                a, b = table[:, both & (question == q)]
                if len(set(a)) > 1 and len(set(b)) > 1:
                    of_questions += [tau_by_definition(a, b)] * int(n)
        taus.append(np.mean(of_questions))
    for metric, values in ((found.kappa, kappas), (found.tau, taus), (found.alpha, alphas)):
        assert metric.ci95 == pytest.approx(np.percentile(values, [2.5, 97.5]), abs=1e-6)


def test_kappa_of_many_tables_is_that_of_each() -> None:
    tables = np.random.default_rng(0).integers(0, 4, (7, 5, 5)).astype(float)
    for table, value in zip(tables, weighted_kappa(tables), strict=True):
        one, other = np.array([(i + 1, j + 1) for i in range(5) for j in range(5) for _ in range(int(table[i, j]))]).T
        assert value == pytest.approx(cohen_kappa_score(one, other, labels=[1, 2, 3, 4, 5], weights="quadratic"))


def test_raters_who_say_the_same_agree_and_who_say_the_reverse_do_not() -> None:
    items = [f"{r}/q/{a}" for r in range(4) for a in range(1, 6)]
    said = [rated("a", item, *[float(item[-1])] * 3) for item in items]
    same = agreement([*said, *(r.model_copy(update={"rater": "b"}) for r in said)]).pairs[0].scales["mle"]
    assert (same.kappa.value, same.tau.value, same.alpha.value) == (1, 1, 1)
    # Known without doubt only as far as the sample goes.
    assert same.tau.reason == "no interval: every resample gives this value"
    reverse = [rated("b", r.item, *[6 - float(r.item[-1])] * 3) for r in said]
    turned = agreement([*said, *reverse]).pairs[0].scales["mle"]
    assert (turned.kappa.value, turned.tau.value) == (-1, -1)


def test_what_is_not_defined_is_none_with_the_reason() -> None:
    flat = [rated(rater, f"r/q/{a}", 3, 3, 3) for rater in "ab" for a in range(4)]
    of = agreement(flat).pairs[0].scales["type"]
    assert of.kappa.value is None
    assert of.kappa.reason == "both give one and the same score throughout"
    assert of.alpha.value is None
    assert of.alpha.reason == "all give one and the same score throughout"
    assert of.tau.value is None
    assert of.tau.reason == "no question with two answers that both tell apart"
    apart = agreement([rated("a", "r/q/1", 3, 3, 3), rated("b", "r/q/2", 3, 3, 3)])
    for metric in (
        *(getattr(apart.pairs[0].scales["mle"], name) for name in ("kappa", "tau", "alpha")),
        apart.alpha["mle"],
    ):
        assert (metric.value, metric.reason) == (None, "no answer scored by both")
    with pytest.raises(EvalError, match=r"holds 1 rater \('a'\); expected at least 2"):
        agreement(flat[:4])
    with pytest.raises(EvalError, match="holds 0 raters"):
        agreement([])


def test_unscored_answers_are_counted_by_rater_and_reason(tmp_path: Path) -> None:
    scores = {
        "r/q/1": MleScore(type=5, location=4.5, logic=4),
        "r/q/2": MleScore(unscored="time-out"),
        "r/q/3": MleScore(unscored="time-out"),
        "r/q/4": MleScore(type=1, location=1, logic=2),
    }
    write_scores(tmp_path / "judge.csv", "model, of prompt 1", scores)
    (tmp_path / "people.csv").write_text(
        "rater,item,type,location,logic\nanna,r/q/1,5,5,4\nanna,r/q/2,,,\nanna,r/q/4,2,,1\n", encoding="utf-8"
    )
    found = agreement(read_scores([tmp_path / "judge.csv", tmp_path / "people.csv"]))
    judge, anna = found.raters
    assert (judge.name, judge.scored, judge.unscored, judge.reasons) == ("model, of prompt 1", 2, 2, {"time-out": 2})
    assert (anna.scored, anna.unscored, anna.reasons) == (2, 1, {"no reason given": 1})
    scales = found.pairs[0].scales
    assert {name: of.answers for name, of in scales.items()} == {"type": 2, "location": 1, "logic": 2, "mle": 1}
    assert scales["type"].tau.value == 1
    out = io.StringIO()
    print_agreement(found, Console(file=out, width=100))
    for part in (
        "model, of prompt 1 against anna",
        "2 answers scored, 2 unscored",
        "2 times: time-out",
        "kappa: quadratic-weighted",
    ):
        assert part in out.getvalue()
    assert "…" not in out.getvalue(), "nothing is cut off"
    assert Agreement.model_validate_json(found.model_dump_json()) == found


def candidate(text: str) -> Candidate:
    return Candidate(text=text, score=None, model="m", temperature=1.0, seed=1)


@pytest.fixture
def folder(tmp_path: Path) -> RankFolder:
    """Two pairs ranked by two people: anna always DCBA, ben ABCD on the first pair and DCBA on the second."""
    made = RankFolder(tmp_path / "ranking")
    for name in "xy":
        asked = [
            AskedQuestion(question=f"Is {q} good?", candidates=[candidate(f"True. Sign {a}.") for a in range(4)])
            for q in range(5)
        ]
        made.add_pair(
            Pair(
                id=name,
                test_image=f"{name}.png",
                reference_image="good.png",
                domain="plate",
                pair_type="standard comparison",
                facts={},
                evidence=[],
                questions=asked,
            )
        )
    for id, question in made.questions().items():
        made.rank("anna", question, True, "DCBA")
        made.rank("ben", question, True, "ABCD" if id.startswith("x") else "DCBA")
    return made


def test_orders_of_people_are_held_against_a_judge_and_each_other(folder: RankFolder, tmp_path: Path) -> None:
    """The judge scores what anna's export holds, and agrees with her."""
    records = export(folder, "anna").records
    items = [items for record in records for items in item_ids(record)]
    assert len({item for four in items for item in four}) == 2 * 5 * 4
    scores = {item: MleScore(type=5 - i, location=5 - i, logic=5) for four in items for i, item in enumerate(four)}
    write_scores(tmp_path / "judge.csv", "judge", scores)
    found = agreement([*read_scores([tmp_path / "judge.csv"]), *orders_of_folder(folder)])
    taus = {pair.raters: (pair.scales["mle"].tau.value, pair.scales["mle"].questions) for pair in found.pairs}
    # Per question tau is 1 or -1; ben turns those of the first pair round.
    assert taus == {("judge", "anna"): (1, 10), ("judge", "ben"): (0, 10), ("anna", "ben"): (0, 10)}
    of = found.pairs[0].scales
    assert of["mle"].kappa.value is None
    assert of["type"].tau.value is None
    assert {rater.name: (rater.scored, rater.ordered, rater.unscored) for rater in found.raters} == {
        "judge": (40, 0, 0), "anna": (0, 40, 0), "ben": (0, 40, 0),
    }  # fmt: skip
    exported = agreement([*read_scores([tmp_path / "judge.csv"]), *ratings_of_records(records, "exported")])
    assert exported.pairs[0].scales["mle"].tau.value == 1
    # Ben's own export has other orders, and names the same answers.
    bens = ratings_of_records(export(folder, "ben").records, "ben's")
    assert agreement([*read_scores([tmp_path / "judge.csv"]), *bens]).pairs[0].scales["mle"].tau.value == 0


class ByDigit:
    """Scores by the digit in the answer, and refuses the 2."""

    name = "by digit"

    def judge(self, answer: str, truth: Truth) -> MleScore:
        assert truth.question is not None
        digit = int(answer[-2])
        return MleScore(unscored="refused") if digit == 2 else MleScore(type=1 + digit, location=1 + digit, logic=5)


def test_a_judge_is_held_against_the_scores_that_records_were_made_with(folder: RankFolder) -> None:
    records = export(folder, "anna").records
    for record in records:
        for question in record.question_answer:
            for option in question.answer_options:
                digit = int(option.answer_en[-2])
                option.scores = MleScores(type=1 + digit, location=4 - digit, logic=5)
    scores = judged(records, ByDigit(), lambda _, question: Truth(anomalous=True, question=question.question_en))
    assert list(scores) == [item for record in records for items in item_ids(record) for item in items]
    given = [
        Rating(rater="judge", item=item, **score.model_dump(include={*SCALES, "unscored"}))
        for item, score in scores.items()
    ]
    found = agreement([*ratings_of_records(records, "as made"), *given])
    assert [(rater.scored, rater.ordered, rater.unscored) for rater in found.raters] == [(40, 0, 0), (30, 0, 10)]
    scales = found.pairs[0].scales
    assert (scales["type"].kappa.value, scales["type"].tau.value) == (1, 1)
    assert scales["location"].tau.value == -1


def test_a_sheet_is_filled_in_and_read(folder: RankFolder, tmp_path: Path) -> None:
    records = export(folder, "anna").records
    text = score_sheet(records, "anna")
    rows = text.splitlines()
    assert len(rows) == 1 + 40
    best_first = [item for record in records for items in item_ids(record) for item in items]
    assert [row.split(",")[1] for row in rows[1:]] != best_first
    filled = "\n".join(row.replace(",,,", ",5,4,3,", 1) for row in rows)
    (tmp_path / "sheet.csv").write_text(filled, encoding="utf-8")
    ratings = read_scores([tmp_path / "sheet.csv"])
    assert {rating.item for rating in ratings} == set(best_first)
    assert {(rating.type, rating.location, rating.logic) for rating in ratings} == {(5, 4, 3)}


def test_items_do_not_depend_on_spaces_capitals_or_order(folder: RankFolder) -> None:
    record = export(folder, "anna").records[0]
    changed = json.loads(record.model_dump_json())
    for question in changed["question_answer"]:
        question["answer_options"].reverse()
        for option in question["answer_options"]:
            option["answer_en"] = f"  {option['answer_en'].upper().replace(' ', '  ')}"
    again = item_ids(PreferenceRecord.model_validate(changed))
    assert [four[::-1] for four in again] == item_ids(record)
