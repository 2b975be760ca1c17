"""AD-PL: from records to accuracy, MLE and a page, with a scripted agent."""

from __future__ import annotations

import gc
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from answering import FACT, ScriptedAgent
from PIL import Image

from evals import EvalError
from evals.figures.clustered import Value, difference, mean
from evals.mle import MleScore, Truth
from evals.pages.questions import sentence, wrong
from evals.questions.adpl import measure, run_adpl
from evals.questions.results import QuestionResults
from training.adpl import PreferenceRecord
from training.make import stream

COUNT = 6


@pytest.fixture(autouse=True)
def collect_garbage() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with six drawn records, two of each pair type."""
    folder, lines = tmp_path_factory.mktemp("adpl"), []
    for case, record in itertools.islice(stream("train", 5, size=64), COUNT):
        pictures = {record.test_image: case.test, record.reference_image: case.references[0]}
        pictures |= {
            m.mask: d.mask.astype(np.uint8) * 255 for m, d in zip(record.defects or [], case.defects, strict=True)
        }
        for name, pixels in pictures.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / name)
        lines.append(record.model_dump_json(exclude_none=True))
    (folder / "train.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def records(made: Path) -> list[PreferenceRecord]:
    return [PreferenceRecord.model_validate_json(line) for line in (made / "train.jsonl").read_text().splitlines()]


def right_answers(records: Sequence[PreferenceRecord], rank: int = 0) -> Any:
    """Answers with the given answer of that rank, right ones first."""
    said = {
        (Path(record.test_image).name, question.question_en): question.answer_options[rank].answer_en
        for record in records
        for question in record.question_answer
    }
    return lambda image, question: said[image.name, question]


class Fixed:
    """A judge that gives what it is told to."""

    def __init__(self, name: str, *scores: float | None) -> None:
        self.name, self.scores, self.seen = name, itertools.cycle(scores), list[Truth]()

    def judge(self, answer: str, truth: Truth) -> MleScore:
        self.seen.append(truth)
        score = next(self.scores)
        return MleScore(unscored="no reply") if score is None else MleScore(type=score, location=score, logic=5)


def test_right_answers_win_against_a_model_that_always_says_true(
    made: Path, records: list[PreferenceRecord], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = ScriptedAgent(right_answers(records), alone=lambda image, question: "True.")
    found = run_adpl(agent, made / "train.jsonl", made, out=tmp_path)
    assert (found.task, found.n, found.failed, found.questions, found.setting) == ("adpl", 6, 0, 30, "one-shot")
    assert found.metrics["single_accuracy"].value == found.metrics["group_accuracy"].value == 1
    true = np.array([[q.answer for q in record.question_answer] for record in records])
    assert found.baselines["vlm"]["single_accuracy"].value == pytest.approx(true.mean())
    assert found.baselines["vlm"]["group_accuracy"].value == pytest.approx(true.all(1).mean())
    assert found.against["vlm"]["single_accuracy"].value == pytest.approx(1 - true.mean())
    assert "is ahead on single_accuracy" in sentence(found)
    assert set(found.per_category) == {"standard comparison", "defect identification", "defect diagnosis"}
    assert {c.n for c in found.per_category.values()} == {10}
    assert all(c.metrics["group_accuracy"].value == 1 for c in found.per_category.values())
    # One inspection a record, with its reference.
    assert agent.gathered == [(made / r.test_image, made / r.reference_image) for r in records]
    assert QuestionResults.model_validate_json((tmp_path / "results.json").read_text()) == found
    keys = json.loads((tmp_path / "results.json").read_text())
    assert {"task", "setting", "model", "seed", "n", "failed", "metrics", "baselines", "per_category", "cost"} <= set(
        keys
    )
    assert {"mle_type", "mle_location", "mle_logic", "mle", "unscored"} < set(found.metrics)
    assert capsys.readouterr().out == ""
    assert "| group_accuracy | 1.000 |" in (tmp_path / "summary.md").read_text()


def test_what_is_judged_is_each_answer_by_its_own_truth(
    made: Path, records: list[PreferenceRecord], tmp_path: Path
) -> None:
    first, second = Fixed("first 1", 5, 2), Fixed("second 1", 3, None)
    agent = ScriptedAgent()
    found = run_adpl(agent, made / "train.jsonl", made, out=tmp_path, judges=[first, second], show=False)
    # The first judge sees agent and model alone in turn, the second the agent only.
    assert found.metrics["mle_type"].value == 5
    assert found.baselines["vlm"]["mle_type"].value == 2
    assert found.against["vlm"]["mle"].value == pytest.approx(2)
    assert found.judges["second 1"]["unscored"].value == 0.5
    assert found.judges["second 1"]["mle_location"].value == 3
    assert "MLE by first 1" in found.notes
    truths = second.seen
    assert [t.question for t in truths] == [q.question_en for r in records for q in r.question_answer]
    assert [t.answer for t in truths] == [q.answer for r in records for q in r.question_answer]
    assert [t.anomalous for t in truths[::5]] == [bool(r.defects) for r in records]
    # By the short ids that the answers cite.
    assert truths[0].citable["F1"].text == FACT.text
    assert truths[0].citable["E1"].places == ("centre",)


def test_a_reply_with_neither_true_nor_false_is_wrong_and_counted(
    made: Path, records: list[PreferenceRecord], tmp_path: Path
) -> None:
    question = records[0].question_answer[0].question_en
    truly = right_answers(records)

    def answers(image: Path, asked: str) -> str:
        return "I cannot tell." if (image.name, asked) == ("000000_test.jpg", question) else truly(image, asked)

    found = run_adpl(ScriptedAgent(answers), made / "train.jsonl", made, out=tmp_path, judges=[], show=False)
    assert found.undecided == {"agent": 1, "vlm": 1}
    assert found.metrics["single_accuracy"].value == pytest.approx(29 / 30)
    assert found.metrics["group_accuracy"].value == pytest.approx(5 / 6)
    assert set(found.metrics) == {"single_accuracy", "group_accuracy"}
    page = (tmp_path / "report.html").read_text()
    assert "I cannot tell." in page
    assert page.count("<img") == 2
    assert 'src="http' not in page


def test_a_photo_that_cannot_be_opened_is_a_failure_and_the_run_finishes(
    made: Path, records: list[PreferenceRecord], tmp_path: Path
) -> None:
    (tmp_path / "set").symlink_to(made)
    lines = [json.loads(line) for line in (made / "train.jsonl").read_text().splitlines()]
    lines[1]["test_image"] = "images/nowhere.jpg"
    lines[2]["test_image"] = "../outside.jpg"
    (tmp_path / "broken.json").write_text(json.dumps(lines))
    out = tmp_path / "out"
    agent = ScriptedAgent(right_answers(records))
    found = run_adpl(agent, tmp_path / "broken.json", made, out=out, judges=[], show=False)
    assert (found.n, found.failed, found.questions) == (6, 2, 30)
    assert [f.id for f in found.failures] == ["2", "3"]
    assert "nowhere.jpg" in found.failures[0].error
    assert "no path below" in found.failures[1].error
    assert found.metrics["single_accuracy"].value == 1
    assert sum(c.failed for c in found.per_category.values()) == 10
    assert "nowhere.jpg" in (out / "report.html").read_text()
    assert "no path below" not in (out / "summary.md").read_text()


def test_zero_shot_shows_no_reference_and_limit_draws_records(made: Path, tmp_path: Path) -> None:
    agent = ScriptedAgent()
    found = run_adpl(agent, made / "train.jsonl", made, "zero-shot", 2, 3, tmp_path, judges=[], show=False)
    assert [reference for _, reference in agent.gathered] == [None, None]
    assert found.n == 2
    assert "2 of 6 records, drawn by seed 3" in found.notes


def test_a_stopped_run_is_taken_up_and_another_judge_starts_anew(made: Path, tmp_path: Path) -> None:
    calls = []

    def stops(image: Path, question: str) -> str:
        calls.append(image)
        if len(calls) > 22:  # in the third record: the model alone is asked the same way
            raise KeyboardInterrupt
        return "True."

    given: Any = (made / "train.jsonl", made)
    with pytest.raises(KeyboardInterrupt):
        run_adpl(ScriptedAgent(stops), *given, out=tmp_path, judges=[], show=False)
    other, again = ScriptedAgent(), ScriptedAgent()
    run_adpl(other, *given, out=tmp_path / "other", judges=[], show=False)
    found = run_adpl(again, *given, out=tmp_path, judges=[], show=False)
    assert len(other.gathered) == 6
    assert len(again.gathered) == 4
    assert (found.n, found.failed) == (6, 0)
    anew = ScriptedAgent()
    run_adpl(anew, *given, out=tmp_path, judges=[], show=False)
    assert len(anew.gathered) == 6


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"setting": "few-shot"}, "setting 'few-shot': expected zero-shot or one-shot"),
        ({"limit": 0}, "limit 0: expected 1 or more"),
        ({"data": "nowhere.json"}, "data 'nowhere.json': cannot be read"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(made: Path, tmp_path: Path, change: Any, says: str) -> None:
    given = {"data": made / "train.jsonl", "images": made, "out": tmp_path, "judges": []} | change
    with pytest.raises(EvalError, match=says) as caught:
        run_adpl(ScriptedAgent(), **given)
    assert "\n" not in str(caught.value)


def test_faulty_records_are_refused_with_the_place(made: Path, tmp_path: Path) -> None:
    record = json.loads((made / "train.jsonl").read_text().splitlines()[0])
    del record["question_answer"][2]["answer"]
    (tmp_path / "bad.json").write_text(json.dumps([record]))
    with pytest.raises(EvalError, match="record 1, question 3: answer is missing"):
        run_adpl(ScriptedAgent(), tmp_path / "bad.json", made, out=tmp_path / "out")


def test_means_are_resampled_by_cluster() -> None:
    # Ten records whose five answers stand or fall together: no more is known than of ten answers.
    together = [Value(f"{r}/{q}", float(r % 2), str(r)) for r in range(10) for q in range(5)]
    apart = [Value(f"{r}/{q}", float(r % 2), f"{r}/{q}") for r in range(10) for q in range(5)]
    wide, narrow = mean(together), mean(apart)
    assert wide.value == narrow.value == 0.5
    assert wide.ci95 is not None
    assert narrow.ci95 is not None
    assert wide.ci95[1] - wide.ci95[0] > 1.8 * (narrow.ci95[1] - narrow.ci95[0])
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 10, (4000, 10))
    expected = np.percentile((drawn % 2).mean(1), [2.5, 97.5])
    assert wide.ci95 == pytest.approx(expected, abs=0.06)


def test_groups_weigh_the_same_and_pairs_are_compared_by_item() -> None:
    values = [Value("a", 1, "1", ("x", "p")), Value("b", 0, "2", ("x", "q")), Value("c", 0, "3", ("x", "q"))]
    values += [Value("d", 1, "4", ("y",)), Value("e", 1, "5", ("y",))]
    assert mean(values, resamples=0).value == pytest.approx((0.5 + 1) / 2)
    first = [Value("a", 1, "1"), Value("b", 0, "2"), Value("c", 1, "3")]
    second = [Value("c", 0, "3"), Value("a", 1, "1")]
    assert difference(first, second).value == pytest.approx(0.5)
    assert mean([]).value is None


def test_cases_shown_take_the_kinds_in_turn(made: Path, tmp_path: Path) -> None:
    agent, kept = ScriptedAgent(lambda *_: "Hm."), []

    def keep(photos: Any, system: Any, judge: Any) -> Any:
        kept[:] = photos
        return measure(photos, system, judge)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "evals.questions.adpl.measure", lambda p, s, j: keep(p, s, j) if len(p) == COUNT else measure(p, s, j)
        )
        run_adpl(agent, made / "train.jsonl", made, out=tmp_path, judges=[], show=False)
    shown = wrong(kept, most=4)
    assert len({asked.kind for _, asked in shown[:3]}) == 3
    assert shown[3][0].id != shown[0][0].id


@pytest.mark.slow
def test_the_real_agent_answers(made: Path, tmp_path: Path) -> None:
    from agent.inspector import Inspector

    inspector = Inspector.load(home=tmp_path / "home")
    try:
        found = run_adpl(inspector, made / "train.jsonl", made, limit=1, out=tmp_path / "out", show=False)
    finally:
        inspector.facts.close()
    assert (found.n, found.failed, found.questions) == (1, 0, 5)
    assert found.metrics["unscored"].value == 0
    assert found.metrics["mle"].value is not None
    assert found.undecided["agent"] < 5
