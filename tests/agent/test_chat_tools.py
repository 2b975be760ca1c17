"""Tools offered to transformers models, and replies as they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.messages import AIMessageChunk
from langchain_core.tools import tool
from parts import plate

from agent.model import load_vlm
from agent.vlm.chat import TransformersChat
from agent.vlm.nano import said_in_one
from agent.vlm.prompt import Views
from agent.vlm.tool_calls import CALL, outside_calls, tool_call_text


@tool
def zoom(where: str) -> str:
    """Look at a place enlarged."""
    return where


def chat_of(folder: Path) -> tuple[TransformersChat, list[Any]]:
    vlm = load_vlm(str(folder))
    assert isinstance(vlm.chat, TransformersChat)
    return vlm.chat, vlm.messages([plate(True)], Views(), "Question: Is it good?")


def test_a_reply_is_the_same_at_once_and_as_it_is_written(tiny_model: Path) -> None:
    chat, messages = chat_of(tiny_model)
    whole = chat.invoke(messages, max_tokens=20)
    pieces = list(chat.stream(messages, max_tokens=20))
    assert len(pieces) > 2
    joined = AIMessageChunk("")
    for piece in pieces:
        joined = joined + piece
    assert joined.content == whole.content
    assert joined.response_metadata["logprobs"] == whole.response_metadata["logprobs"]
    assert joined.usage_metadata == whole.usage_metadata


def test_a_reader_who_leaves_ends_the_writing(tiny_model: Path) -> None:
    chat, messages = chat_of(tiny_model)
    steps: list[int] = []
    chat.model.register_forward_hook(lambda *_: steps.append(1))
    stream = chat.stream(messages, max_tokens=300)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert len(steps) < 300


def test_a_failure_while_writing_reaches_the_reader(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chat, messages = chat_of(tiny_model)

    def fails(**_: Any) -> Any:
        raise torch.OutOfMemoryError("no memory left")

    monkeypatch.setattr(chat.model, "generate", fails)
    with pytest.raises(torch.OutOfMemoryError, match="no memory left"):
        list(chat.stream(messages))


def says(chat: TransformersChat, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the model write this text."""
    ids = torch.tensor(chat.processor.tokenizer.encode(text, add_special_tokens=False))

    def generate(input_ids: torch.Tensor, streamer: Any = None, **_: Any) -> Any:
        if streamer is not None:
            streamer.put(input_ids)
            for id in ids:
                streamer.put(id[None])
            streamer.end()
        scores = (torch.zeros(1, chat.model.config.text_config.vocab_size),)
        return type("Out", (), {"sequences": torch.cat([input_ids[0], ids])[None], "scores": scores})()

    monkeypatch.setattr(chat.model, "generate", generate)


def test_calls_are_taken_out_of_a_reply(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chat, messages = chat_of(tiny_model)
    says(chat, f"Let me look. {tool_call_text('zoom', {'where': 'upper left'})}", monkeypatch)
    bound = chat.bind_tools([zoom])
    reply = bound.invoke(messages)
    assert reply.content == "Let me look."
    assert [(call["name"], call["args"]) for call in reply.tool_calls] == [("zoom", {"where": "upper left"})]
    pieces = list(bound.stream(messages))
    assert "".join(str(piece.content) for piece in pieces) == "Let me look."
    joined = pieces[0]
    for piece in pieces[1:]:
        joined = joined + piece
    assert [(call["name"], call["args"]) for call in joined.tool_calls] == [("zoom", {"where": "upper left"})]


def test_a_call_that_cannot_be_read_is_no_call_and_says_why(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chat, messages = chat_of(tiny_model)
    says(chat, f"{CALL}{{broken</tool_call>", monkeypatch)
    reply = chat.bind_tools([zoom]).invoke(messages)
    assert reply.tool_calls == []
    assert "not valid JSON" in str(reply.invalid_tool_calls[0]["error"])
    pieces = list(chat.bind_tools([zoom]).stream(messages))
    joined = pieces[0]
    for piece in pieces[1:]:
        joined = joined + piece
    assert joined.tool_calls == []
    assert "not valid JSON" in str(joined.invalid_tool_calls[0]["args"])


def test_a_template_that_knows_tools_is_given_them(tiny_internvl: Path) -> None:
    chat, messages = chat_of(tiny_internvl)
    offered = chat.bind_tools([zoom]).kwargs["tools"]  # type: ignore[attr-defined]
    chat.processor.chat_template = "{% for tool in tools %}TOOL {{ tool['function']['name'] }}\n{% endfor %}" + str(
        chat.processor.chat_template
    )
    assert chat.inputs(messages, offered)[0].startswith("TOOL zoom\n")


def test_a_template_that_knows_none_has_them_in_the_system_message(tiny_internvl: Path) -> None:
    chat, messages = chat_of(tiny_internvl)
    offered = chat.bind_tools([zoom]).kwargs["tools"]  # type: ignore[attr-defined]
    chat.processor.chat_template = "{% for m in messages %}{% for p in m['content'] %}{% if p['type'] == 'image' %}<IMG_CONTEXT>{% else %}{{ p['text'] }}{% endif %}{% endfor %}{% endfor %}"  # fmt: skip
    prompt = chat.inputs(messages, offered)[0]
    assert '"name": "zoom"' in prompt
    assert "Look at a place enlarged." in prompt
    assert CALL in prompt


def test_without_tools_no_call_is_begun(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chat, messages = chat_of(tiny_model)
    seen: dict[str, Any] = {}
    generate = chat.model.generate

    def noted(**named: Any) -> Any:
        seen.update(named)
        return generate(**named)

    monkeypatch.setattr(chat.model, "generate", noted)
    chat.invoke(messages, max_tokens=2)
    tokenizer = chat.processor.tokenizer
    # Some calls begin with a token of their own.
    begun = {
        tokenizer.encode(text, add_special_tokens=False)[0]
        for text in (CALL, tool_call_text("zoom", {}), *said_in_one())
    }
    calls = {id for id in begun if tokenizer.decode([id]).startswith("<")}
    assert len(calls) > 1
    assert set(seen["begin_suppress_tokens"]) == calls
    seen.clear()
    chat.bind_tools([zoom]).invoke(messages, max_tokens=2)
    assert "begin_suppress_tokens" not in seen


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        (["It is", " here."], "It is here."),
        (["a < b, ", "<", "to", "ol"], "a < b, <tool"),
        (["See ", "<tool", "_call>{}"], "See"),
        (["<tool_call>"], ""),
        ([], ""),
    ],
)
def test_what_may_be_a_call_is_held_back(pieces: list[str], told: str) -> None:
    assert "".join(outside_calls(pieces)) == told
