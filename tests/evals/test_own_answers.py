"""A model's own answers, ranked by what was drawn: as an AD-PL file that E-DPO learns from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("datasets")

from typer.testing import CliRunner

from agent.cli import app
from agent.vlm.prompt import DECLINED
from evals.asking import Asking, Prompt, Reply
from evals.own_answers import rank_own_answers
from training.adpl import UNANSWERABLE, PreferenceRecord
from training.adpl_file import read_adpl
from training.edpo.questions import ranked_questions
from training.rank.sample import DEFAULT_QUESTIONS


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from agent.vlm.nano import shipped
    from evals.drawn import DrawnLooks
    from training.cases import kept_cases

    eye = shipped("sage-eye")
    drawn = kept_cases(tmp_path_factory.mktemp("own") / "cases", 16, 5, DrawnLooks(eye), 1, "eye", "validation")
    return drawn.filter(lambda references: len(references) > 0, input_columns="references")


class Script:
    """Says one thing after another to every question, and suspects nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *said: str) -> None:
        self.said, self.asked, self.draw = said, list[Prompt](), -1
        monkeypatch.setattr(Asking, "__init__", lambda *_: None)
        monkeypatch.setattr(Asking, "replies", lambda _, *asked, **how: self.replies(*asked, **how))

    def replies(self, prompts: Sequence[Prompt], most: int, temperature: float = 0.0, seed: int = 0) -> list[Reply]:
        if not temperature:  # which facts it wants
            return [Reply("", None, 0) for _ in prompts]
        self.asked += prompts
        self.draw += 1
        return [Reply(self.said[self.draw % len(self.said)], None, 1) for _ in prompts]


def ranked(cases: Any, out: Path, script: Script) -> tuple[list[PreferenceRecord], int]:
    file, count, left_out = rank_own_answers(None, None, cases, out, split="validation", draws=len(script.said))
    records = list(read_adpl(file, out)) if count else []
    assert all(isinstance(record, PreferenceRecord) for record in records), records
    return [record for record in records if isinstance(record, PreferenceRecord)], left_out


def test_what_was_drawn_says_how_good_an_answer_is(cases: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "True. It looks odd [E1].", "False. Nothing stands out [E1].", "Nobody can tell.", "Nobody knows."
    records, _ = ranked(cases, tmp_path, Script(monkeypatch, *said))
    assert {bool(record.defects) for record in records} == {True, False}
    for record in records:
        *answerable, unanswerable = record.question_answer
        assert unanswerable.answer == UNANSWERABLE
        best, *others = unanswerable.answer_options
        assert best.answer_en.startswith(DECLINED)
        assert all(best.reward == 5 and option.reward == 1 for option in others)
        for question, says in zip(answerable, (True, False, True, False), strict=True):
            assert question.answer is (bool(record.defects) is says)
            rewards = [option.reward or 0 for option in question.answer_options]
            assert rewards == sorted(rewards, reverse=True)
            assert question.answer_options[0].answer_en.startswith(f"{question.answer}. ")
            marks = {option.answer_en: option.reward or 0 for option in question.answer_options}
            wrong = [mark for answer, mark in marks.items() if answer.startswith(f"{not question.answer}")]
            assert all(mark < rewards[0] for mark in wrong)


def test_it_is_asked_as_in_an_inspection_and_learns_from_that(
    cases: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(monkeypatch, "True. A [E1].", "False. B [E1].", "C.")
    records, _ = ranked(cases, tmp_path, script)
    assert len(records) == len(cases) > 0
    questions = [p for p in script.asked if p.text.endswith(DEFAULT_QUESTIONS[0])]
    rows = ranked_questions(tmp_path / "validation.jsonl", None).rows
    learnt = [rows[i] for i in range(0, len(rows), len(DEFAULT_QUESTIONS))]
    for asked, row in zip(questions[: len(learnt)], learnt, strict=True):
        content = row["prompt"][1]["content"]
        assert content[-1]["text"] == asked.text
        assert [part["text"] for part in content[:-1] if part["type"] == "text"] == asked.views.labels()
        assert len(row["photos"]) == len(asked.photos)
        assert row["scores"][0] > row["scores"][-1]


def test_who_says_too_little_is_left_out(cases: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records, left_out = ranked(cases, tmp_path, Script(monkeypatch, "True.", "true.", "TRUE."))
    assert records == []
    assert left_out == len(cases)


def test_the_same_answers_are_drawn_again_and_others_with_another_seed() -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    import agent.vlm  # noqa: F401  # registers the classes
    from agent.vlm.nano import shipped
    from agent.vlm.prompt import Views
    from training.draw.scene import draw_case

    model: Any = AutoModelForImageTextToText.from_pretrained(shipped("sage-nano"), dtype="float32")
    asking = Asking(model.eval(), AutoProcessor.from_pretrained(shipped("sage-nano")))
    prompt = Prompt("Question: Does the part in the test image have a defect?", [draw_case((1, 2)).test], Views())

    def drawn(seed: int) -> list[str]:
        return [reply.text for reply in asking.replies([prompt] * 4, 24, temperature=1.5, seed=seed)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert len({reply.text for reply in asking.replies([prompt] * 2, 24)}) == 1


def test_the_command_says_what_it_made(tmp_path: Path) -> None:
    run = CliRunner().invoke(
        app, ["data", "answers", "--out", str(tmp_path), "--split", "validation", "--cases", "6", "--draws", "4"]
    )
    assert run.exit_code == 0, run.output
    assert "records, five questions each" in run.stdout
    assert (tmp_path / "validation.jsonl").is_file()
    wrong = CliRunner().invoke(app, ["data", "answers", "--out", str(tmp_path), "--split", "all"])
    assert wrong.exit_code == 2
    assert "--split 'all': expected one of train, validation" in wrong.stderr
