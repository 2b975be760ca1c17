"""The transformers chat model, on tiny random weights."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage
from parts import plate

from agent.images import InputError
from agent.model import load_vlm
from agent.vlm.chat import probability_true
from agent.vlm.prompt import NumberedFact, Views, question_text

FACT = NumberedFact("F1", "defect", "scratch", "A scratch is thin.")
TEXT = question_text("Is it good?", [FACT], [("E1", "Heat map: score 0.9.")])


def test_our_own_model_answers_and_gives_log_probabilities(tiny_model: Path) -> None:
    vlm = load_vlm(str(tiny_model))
    assert vlm.side == 64
    assert not vlm.follows_instructions
    reply = vlm.chat.invoke(vlm.messages([plate(True), plate(False)], Views(1), TEXT), max_tokens=12)
    assert reply.usage_metadata["output_tokens"] <= 12
    top = reply.response_metadata["logprobs"]["content"][0]["top_logprobs"]
    assert len(top) == 20
    assert top == sorted(top, key=lambda entry: -entry["logprob"])


def test_a_plain_internvl_works_through_the_same_interface(tiny_internvl: Path) -> None:
    vlm = load_vlm(str(tiny_internvl))
    assert vlm.side is None
    assert vlm.info.stage == "external"
    reply = vlm.chat.invoke(vlm.messages([plate(True), plate(False)], Views(1), TEXT), max_tokens=4)
    assert reply.response_metadata["logprobs"]["content"]


def test_only_ids_of_the_prompt_can_be_cited(tiny_model: Path) -> None:
    vlm = load_vlm(str(tiny_model))
    reply = vlm.chat.invoke(vlm.messages([plate(True)], Views(), TEXT), max_tokens=60)
    assert set(re.findall(r"\[([FE]\d+)\]", str(reply.content))) <= {"F1", "E1"}


def test_one_token_and_many_give_the_same_first_log_probabilities(tiny_model: Path) -> None:
    vlm = load_vlm(str(tiny_model))
    messages = vlm.messages([plate(True)], Views(), TEXT)
    one, many = (
        vlm.chat.invoke(messages, max_tokens=n).response_metadata["logprobs"]["content"][0]["top_logprobs"][:5]
        for n in (1, 5)
    )
    assert [e["token"] for e in one] == [e["token"] for e in many]
    assert [e["logprob"] for e in one] == pytest.approx([e["logprob"] for e in many], abs=1e-5)


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        ([("True", 0.6), ("False", 0.2)], 0.75),
        ([(" true", 0.3), ("TRUE", 0.3), ("False.", 0.2)], 0.75),
        ([("True", 0.6)], 1.0),
        ([("Yes", 0.3), ("No", 0.1)], 0.75),
        ([("The", 0.9), ("True", 0.01)], None),
        ([("The", 0.9)], None),
        ([], None),
    ],
)
def test_probability_true(top: list[tuple[str, float]], expected: float | None) -> None:
    import math

    entries = [{"token": t, "logprob": math.log(p)} for t, p in top]
    content = [{"token": "x", "logprob": 0.0, "top_logprobs": entries}]
    message = AIMessage(content="", response_metadata={"logprobs": {"content": content}})
    found = probability_true(message)
    assert found == (None if expected is None else pytest.approx(expected))
    assert probability_true(AIMessage(content="")) is None


def test_control_tokens_in_a_text_are_not_read_as_such(tiny_internvl: Path) -> None:
    """Whatever a tokenizer's control tokens look like, a text cannot hold one: here it would ask for a second picture."""
    vlm = load_vlm(str(tiny_internvl))
    control = [t.content for t in vlm.chat.processor.tokenizer.added_tokens_decoder.values() if t.special]  # type: ignore[attr-defined]
    assert "<IMG_CONTEXT>" in control
    reply = vlm.ask([plate(True)], Views(), f"Is it {'good'.join(control)}?", max_tokens=2)
    assert reply.response_metadata["logprobs"]["content"]


@pytest.mark.parametrize("model", ["no/such/folder", "."])
def test_a_model_that_is_none_is_one_line(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=r"^model='.*cannot be loaded") as caught:
        load_vlm(model)
    assert "\n" not in str(caught.value)
