"""MMAD: from the set's layout to accuracy by subtask, with a scripted agent."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from answering import ScriptedAgent
from langchain_core.messages import AIMessage

from agent.vlm.chat import letter_probabilities, probability_true
from agent.vlm.prompt import choice_text
from evals import EvalError
from evals.questions.asked import Asked, Reply
from evals.questions.mmad import REPORTED, SUBTASKS, read_ids, run_mmad, yes_and_no

YES_NO = {"A": "Yes.", "B": "No."}
KINDS = {"A": "Scratch.", "B": "Hole.", "C": "Stain.", "D": "Crack."}


@pytest.fixture(autouse=True)
def collect_garbage() -> Iterator[None]:
    yield
    gc.collect()


def question(kind: str, text: str, options: Mapping[str, str], answer: str) -> dict[str, Any]:
    return {"Question": text, "Answer": answer, "Options": dict(options), "type": kind}


def detection(answer: str, options: Mapping[str, str] = YES_NO) -> dict[str, Any]:
    return question("Anomaly Detection", "Is there any defect in the object?", options, answer)


@pytest.fixture
def root(tmp_path: Path, draw: Any) -> Path:
    """Three anomalous and one normal photo of bottles, and one normal photo of another set."""
    folder = tmp_path / "mmad"
    told: dict[str, Any] = {}

    def add(name: str, *asked: dict[str, Any], references: bool = True) -> None:
        draw.photo(folder / name, defect="good" not in name)
        told[name] = {"mask_path": None, "conversation": list(asked)}
        if references:
            told[name] |= {"similar_templates": ["train/alike.png"], "random_templates": ["train/drawn.png"]}

    draw.photo(folder / "train/alike.png", defect=False)
    draw.photo(folder / "train/drawn.png", defect=False)
    kind = question("Defect Classification", "What kind of defect is it?", KINDS, "B")
    for number in range(3):
        add(f"DS-MVTec/bottle/image/hole/{number:03}.png", detection("A"), kind)
    details = question("Object Details", "What is the object made of?", {"A": "Glass.", "B": "Wood."}, "A")
    add("DS-MVTec/bottle/image/good/000.png", detection("B"), details)
    add("VisA/candle/Data/Images/good/000.png", detection("A", {"A": "No.", "B": "Yes."}))
    (folder / "mmad.json").write_text(json.dumps(told))
    return folder


def sure(letter: str | None) -> Callable[..., dict[str, float] | None]:
    def choose(image: Path, text: str, options: Mapping[str, str]) -> dict[str, float] | None:
        return None if letter is None else {other: float(other == letter) for other in options}

    return choose


def test_every_subtask_by_hand(root: Path, tmp_path: Path) -> None:
    agent = ScriptedAgent(chooses=sure("A"), alone=sure("B"))
    found = run_mmad(agent, root, out=tmp_path / "out", show=False)
    assert (found.task, found.n, found.questions, found.failed) == ("mmad", 5, 9, 0)
    assert list(found.per_category) == ["Anomaly Detection", "Defect Classification", "Object Analysis"]
    by = {kind: category.metrics["accuracy"].value for kind, category in found.per_category.items()}
    # A is right on all anomalous bottles, wrong on the normal one, which weighs as much; right on the candle.
    assert by == {"Anomaly Detection": (0.5 + 1) / 2, "Defect Classification": 0, "Object Analysis": 1}
    assert found.metrics["accuracy"].value == pytest.approx(((0.5 + 0 + 1) / 3 + 1) / 2)
    assert found.metrics["overkill"].value == pytest.approx((1 + 0) / 2), "the candle's A says No"
    assert found.metrics["miss"].value == 0
    alone = found.baselines["vlm"]
    assert alone["accuracy"].value == pytest.approx(((0.5 + 1 + 0) / 3 + 0) / 2)
    assert (alone["overkill"].value, alone["miss"].value) == (0.5, 1)
    assert found.against["vlm"]["miss"].value == -1
    assert {reference for _, reference in agent.gathered} == {root / "train/drawn.png"}
    assert len(agent.gathered) == 5, "one inspection a photo"
    assert "right is B. Hole." in (tmp_path / "out/report.html").read_text()
    assert set(found.per_category) <= set(SUBTASKS)


def test_a_reply_without_a_letter_is_wrong_and_neither_overkill_nor_miss(root: Path, tmp_path: Path) -> None:
    agent = ScriptedAgent(chooses=sure(None))
    found = run_mmad(agent, root, "zero-shot", out=tmp_path / "out", show=False)
    assert found.undecided == {"agent": 9, "vlm": 9}
    assert found.metrics["accuracy"].value == found.metrics["overkill"].value == found.metrics["miss"].value == 0
    assert {reference for _, reference in agent.gathered} == {None}


def test_failures_are_counted_and_the_run_finishes(root: Path, tmp_path: Path) -> None:
    (root / "DS-MVTec/bottle/image/hole/001.png").write_bytes(b"no picture")
    told = json.loads((root / "mmad.json").read_text())
    del told["VisA/candle/Data/Images/good/000.png"]["similar_templates"]
    del told["VisA/candle/Data/Images/good/000.png"]["random_templates"]
    told["DS-MVTec/bottle/image/good/000.png"]["conversation"][1]["Answer"] = "Q"
    (root / "mmad.json").write_text(json.dumps(told))
    found = run_mmad(ScriptedAgent(chooses=sure("A")), root, out=tmp_path / "out", show=False)
    assert (found.n, found.failed, found.questions) == (5, 2, 8)
    assert [f.id.split("/")[-2:] for f in found.failures] == [["hole", "001.png"], ["good", "000.png"]]
    assert "names no normal photo" in found.failures[1].error
    assert found.per_category["Anomaly Detection"].failed == 2
    assert "1 questions left out: their right answer is none of their options" in found.notes


def test_photos_are_left_out_by_a_list(root: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# not these\n\nDS-MVTec/bottle/image/hole/001.png\nnot/there.png\n")
    found = run_mmad(
        ScriptedAgent(chooses=sure("A")), root, out=tmp_path / "out", exclude=tmp_path / "list.txt", show=False
    )
    assert found.n == 4
    assert "1 photos left out by list.txt" in found.notes
    with pytest.raises(EvalError, match=r"exclude .*nowhere.*cannot be read"):
        run_mmad(ScriptedAgent(), root, out=tmp_path / "out", exclude=tmp_path / "nowhere", show=False)


def test_the_shipped_list_names_pills() -> None:
    ids = read_ids(REPORTED)
    assert len(ids) == 22
    assert all(id.startswith("DS-MVTec/pill/image/good/0") and id.endswith(".png") for id in ids)


def test_limit_category_and_what_cannot_be_evaluated(root: Path, tmp_path: Path) -> None:
    agent = ScriptedAgent(chooses=sure("A"))
    found = run_mmad(agent, root, limit=2, out=tmp_path / "out", show=False)
    assert found.n == 2
    assert "2 of 5 photos, drawn by seed 0" in found.notes
    assert run_mmad(agent, root, out=tmp_path / "candle", category="candle", show=False).n == 1
    with pytest.raises(EvalError, match="setting 'fitted': expected zero-shot or one-shot"):
        run_mmad(agent, root, "fitted", out=tmp_path / "out")  # type: ignore[arg-type]
    with pytest.raises(EvalError, match=r"mmad\.json"):
        run_mmad(agent, tmp_path / "out", out=tmp_path / "out")


def asked(options: Mapping[str, str], right: str) -> Asked:
    nothing = Reply(given=None)
    return Asked(
        kind=SUBTASKS[0], question="Any defect?", options=dict(options), right=right, agent=nothing, vlm=nothing
    )


@pytest.mark.parametrize(
    ("options", "right", "label", "read"),
    [
        ({"A": "Yes.", "B": "No."}, "A", 1, ("A", "B")),
        ({"A": "no", "B": " YES, there is one"}, "A", 0, ("B", "A")),
        ({"A": "Yes.", "B": "No."}, "A", 0, "the right answer contradicts the photo's folder"),
        ({"A": "Yes.", "B": "Nothing."}, "A", 1, "the options are not one Yes and one No"),
        ({"A": "Yes.", "B": "No.", "C": "Unsure."}, "A", 1, "the options are not one Yes and one No"),
        ({"A": "Yes, a hole.", "B": "Yes, a crack."}, "A", 1, "the options are not one Yes and one No"),
    ],
)
def test_which_option_says_yes(options: Mapping[str, str], right: str, label: int, read: object) -> None:
    assert yes_and_no(asked(options, right), label) == read


def test_questions_in_neither_rate_are_noted(root: Path, tmp_path: Path) -> None:
    told = json.loads((root / "mmad.json").read_text())
    told["DS-MVTec/bottle/image/good/000.png"]["conversation"][0]["Answer"] = "A"
    (root / "mmad.json").write_text(json.dumps(told))
    found = run_mmad(ScriptedAgent(chooses=sure("A")), root, out=tmp_path / "out", show=False)
    assert (
        "1 questions are in neither overkill nor miss: the right answer contradicts the photo's folder" in found.notes
    )
    assert found.metrics["overkill"].value == 0, "the candle alone is left"


def reply(**tokens: float) -> AIMessage:
    import math

    top = [{"token": token.replace("_", " "), "logprob": math.log(p)} for token, p in tokens.items()]
    return AIMessage(content="", response_metadata={"logprobs": {"content": [{**top[0], "top_logprobs": top}]}})


def test_letters_are_read_from_the_first_token() -> None:
    found = letter_probabilities(reply(A=0.3, _A=0.1, B=0.1, The=0.4, a=0.1), "ABC")
    assert found == pytest.approx({"A": 0.8, "B": 0.2, "C": 0})
    assert letter_probabilities(reply(True_=0.95, A=0.04), "AB") is None
    assert letter_probabilities(AIMessage(content="A"), "AB") is None
    assert probability_true(reply(Yes=0.3, _true=0.3, No=0.2)) == pytest.approx(0.75)
    assert probability_true(reply(A=0.95, True_=0.04)) is None


def test_a_choice_is_put_on_a_line_an_option() -> None:
    text = choice_text("Which\nkind?", {"A": "A hole.\nB. None", "B": "A <|im_end|> crack."})
    assert text.splitlines()[:3] == ["Question: Which kind?", "A. A hole. B. None", "B. A crack."]


@pytest.mark.slow
def test_the_real_agent_chooses(root: Path, tmp_path: Path) -> None:
    from agent.inspector import Inspector

    inspector = Inspector.load(home=tmp_path / "home")
    try:
        found = run_mmad(inspector, root, limit=2, out=tmp_path / "out", show=False)
    finally:
        inspector.facts.close()
    assert (found.n, found.failed) == (2, 0)
    # The small model was not trained to choose letters: it opens with True or False, which is said, not scored.
    assert found.undecided["agent"] <= found.questions
    assert found.metrics["accuracy"].value is not None
