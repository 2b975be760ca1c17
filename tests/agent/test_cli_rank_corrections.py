"""`data rank --from-corrections`: from corrected sessions to a file that training reads."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from parts import plate
from typer.testing import CliRunner

from agent.cli import app
from agent.conversation import Correction, Turn
from agent.report import Answer, ReasoningStep
from knowledge.facts import shipped_pack
from tools.evidence import Evidence
from training.adpl import PreferenceRecord
from training.edpo.questions import ranked_questions

FACT = next(fact for fact in shipped_pack().facts if fact.kind == "cause")
SAID = "True. The heat map is high and marks the centre [E1]. It is known [F1]."


def correction(minute: int = 0, **changes: object) -> Correction:
    said = {
        "by": "ann",
        "at": datetime(2026, 5, 4, 3, minute, tzinfo=UTC),
        "why": "glare",
        "verdict_before": "anomalous",
    }
    return Correction.model_validate(said | changes)


def turn(number: int, question: str, text: str, *looks: Evidence) -> Turn:
    steps = [ReasoningStep(text=text, cites=[], supported=False)]
    return Turn(
        number=number,
        question=question,
        answer=Answer(value=True, text=text),
        steps=steps,
        looks=list(looks),
        facts=[FACT],
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAGE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    plate(True).save(tmp_path / "home" / "test.png")
    plate(False).save(tmp_path / "home" / "reference-1.png")
    return tmp_path / "home"


def session(
    home: Path, id: str, *corrections: Correction, turns: tuple[Turn, ...] = (), **changes: object
) -> SimpleNamespace:
    parts = {
        "session_id": id, "test_image": home / "test.png", "reference_image": home / "reference-1.png", "category": None,
        "facts": {FACT.id: FACT.text}, "evidence": ["Heat map: peak in the centre."], "said": SAID, "turns": list(turns),
        "corrections": list(corrections),
    }  # fmt: skip
    return SimpleNamespace(**parts | changes)


def run(
    monkeypatch: pytest.MonkeyPatch, found: list[SimpleNamespace], *arguments: str, code: int = 0
) -> tuple[str, str]:
    fake = ModuleType("agent.session.corrected")

    def corrected_cases(home: Path) -> Iterator[SimpleNamespace]:
        asked.append(home)
        yield from found

    asked: list[Path] = []
    fake.corrected_cases = corrected_cases  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "agent.session.corrected", fake)
    result = CliRunner().invoke(app, ["data", "rank", *arguments], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


def test_corrected_sessions_become_records_that_are_checked_and_learnt_from(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Evidence(id="E2", tool="zoom", summary="Close-up of the region in the centre.")
    asked = Evidence(id="E3", tool="ask_person", summary="The person says: no.")
    turns = (turn(1, "Is it bent?", f"True. It is bent [E2] [{FACT.id}].", look, asked),)
    again = (
        correction(answer="False. It is flat [E2].", question="Is it bent?", turn=1, instead_of=turns[0].answer.text),
        correction(1, verdict="normal"),
        correction(
            2,
            answer="False. It is flat and even [E2][E3].",
            question="Is it bent?",
            turn=1,
            instead_of="False. It is flat [E2].",
        ),
    )
    found = [
        session(home, "s1", *again, turns=turns),
        session(home, "s2", correction(verdict="anomalous")),
        session(home, "s3", correction(5, verdict="normal"), reference_image=None),
        session(home, "s4", correction(6, verdict="normal"), test_image=home / "gone.png"),
        session(home, "s5", *again, turns=turns),
        session(home, "s6", correction(7, box=(2, 2, 20, 20)), correction(8, verdict="normal")),
    ]
    out, err = run(monkeypatch, found, "--from-corrections", "--out", "made/adpl.json")
    assert "made/adpl.json: 2 records" in out
    assert "4 left out" in out
    assert [line.split(": ", 2)[1:] for line in err.splitlines()] == [
        ["s2", "says nothing that differs from what the agent said"],
        ["s3", "has no reference photo, which a record needs"],
        ["s4", f"its photo {home / 'gone.png'} is gone"],
        ["s5", "has the corrections of s1"],
    ]
    first, last = (
        PreferenceRecord.model_validate(r) for r in json.loads(Path("made/adpl.json").read_text(encoding="utf-8"))
    )
    assert first.test_image == "adpl-images/s1-test.png"
    assert first.evidence == ["Heat map: peak in the centre.", look.summary]
    bent = first.question_answer[1]
    assert bent.answer_options[0].answer_en == "False. It is flat and even [E2]."
    assert bent.answer_options[-1].answer_en == "True. It is bent [E2][F1]."
    assert last.question_answer[0].answer_options[-1].answer_en == SAID
    checked = CliRunner().invoke(app, ["data", "check", "made/adpl.json", "--images", "made"], catch_exceptions=False)
    assert checked.exit_code == 0, checked.output
    assert "2 good records" in checked.output
    read = ranked_questions(Path("made/adpl.json"), None)
    assert (len(read.rows), read.left_out, read.contradicted) == (10, [], 0)
    assert [photo.size for photo in read.rows[0]["photos"]] == [plate(True).size] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from-corrections",), "--out is missing"),
        (("--out", "x.json"), "expected --from-corrections"),
        (("--from-corrections", "--out", "home"), "is a folder"),
        (("--from-corrections", "--out", "x.json"), "no session has a correction"),
        (("--from-corrections", "--out", "x.json", "agreement", "nowhere"), "not before 'agreement'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    home: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    out, err = run(monkeypatch, [], *arguments, code=2)
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
