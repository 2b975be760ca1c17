"""A transformers image-text model as a LangChain chat model, with the log-probabilities of its first token."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from PIL import Image
from pydantic import ConfigDict, PrivateAttr
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from agent.vlm.nano import ALIASES
from agent.vlm.tool_calls import CALL, outside_calls, read_tool_calls, tools_text

if TYPE_CHECKING:
    from threading import Event

    import numpy as np
    from numpy.typing import NDArray

TOP_LOGPROBS = 20
ROLES = {"human": "user", "ai": "assistant", "system": "system"}


class TransformersChat(BaseChatModel):
    """Chat over any image-text-to-text model of transformers, on the device the model is on; greedy unless told to draw."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    model: Any
    """A model with `generate`, such as `InternVLForConditionalGeneration`."""
    processor: Any
    """Its processor, with a chat template."""
    max_tokens: int = 320
    """Most tokens of a reply."""
    _citations: dict[str, int] = PrivateAttr(default_factory=dict)
    _control: re.Pattern[str] = PrivateAttr()
    _opens_call: list[int] = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        """Find out which citations are single tokens of this tokenizer, and which words are control tokens."""
        tokenizer = self.processor.tokenizer
        self._citations = citation_tokens(tokenizer)
        added = tokenizer.added_tokens_decoder
        self._opens_call = [id for id, token in added.items() if token.content.startswith(CALL)]
        self._opens_call.append(tokenizer.encode(CALL, add_special_tokens=False)[0])
        control = [token.content for token in added.values() if token.special]
        self._control = re.compile("|".join(map(re.escape, sorted(control, key=len, reverse=True))) or r"(?!)")

    @property
    def _llm_type(self) -> str:
        return "transformers-image-text"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """Offer tools to the model, in the form that its chat template gives them; see `agent.vlm.tool_calls`."""
        from langchain_core.utils.function_calling import convert_to_openai_tool

        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        """Reply to a conversation; `max_tokens=1` gives the first token's log-probabilities at the price of a prefill.

        With a `temperature` above 0 the reply is drawn instead, the same for the same `seed` on the same device; its
        log-probabilities are then those it was drawn by. Of a reply to a conversation with `tools`, calls are taken out.
        """
        written = self._write(messages, kwargs)
        calls, problems, text = read_tool_calls(written.text) if kwargs.get("tools") else ([], [], written.text)
        message = AIMessage(
            content=text,
            response_metadata={"logprobs": self._logprobs(written.first)},
            usage_metadata=written.usage,
            tool_calls=[{"name": call.name, "args": call.arguments, "id": _call_id()} for call in calls],
            invalid_tool_calls=[
                {"type": "invalid_tool_call", "name": None, "args": "", "id": _call_id(), "error": problem}
                for problem in problems
            ],
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        """The same reply, text as it is written; calls and log-probabilities come at the end. Ends when the caller stops."""
        from threading import Event

        from transformers import TextIteratorStreamer

        stopped = Event()
        streamer = TextIteratorStreamer(self.processor.tokenizer, skip_prompt=True, skip_special_tokens=True)

        def write() -> _Written:
            try:
                return self._write(messages, kwargs, streamer=streamer, stopped=stopped)
            finally:
                streamer.end()  # or a failure would leave the reader waiting

        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(copy_context().run, write)
            try:
                for text in outside_calls(streamer) if kwargs.get("tools") else streamer:
                    if text:
                        yield self._told(AIMessageChunk(content=text), run_manager)
            finally:
                stopped.set()
            written = running.result()
        calls, problems, _ = read_tool_calls(written.text) if kwargs.get("tools") else ([], [], "")
        made = [
            *((call.name, json.dumps(call.arguments)) for call in calls),
            *((None, problem) for problem in problems),
        ]
        yield self._told(
            AIMessageChunk(
                content="",
                response_metadata={"logprobs": self._logprobs(written.first)},
                usage_metadata=written.usage,
                tool_call_chunks=[
                    {"type": "tool_call_chunk", "name": name, "args": text, "id": _call_id(), "index": i}
                    for i, (name, text) in enumerate(made)
                ],
                chunk_position="last",
            ),
            run_manager,
        )

    @staticmethod
    def _told(message: AIMessageChunk, run_manager: CallbackManagerForLLMRun | None) -> ChatGenerationChunk:
        chunk = ChatGenerationChunk(message=message)
        if run_manager is not None:
            run_manager.on_llm_new_token(str(message.content), chunk=chunk)
        return chunk

    def _write(
        self, messages: Sequence[BaseMessage], options: Mapping[str, Any], *, streamer: Any = None, stopped: Any = None
    ) -> _Written:
        """Generate a reply."""
        tools = options.get("tools") or []
        prompt, inputs = self.inputs(messages, tools)
        length = inputs["input_ids"].shape[1]
        absent = [token for alias, token in self._citations.items() if alias not in prompt]
        more: dict[str, Any] = {} if tools else {"begin_suppress_tokens": self._opens_call}
        if stopped is not None:
            more["stopping_criteria"] = StoppingCriteriaList([_Stopped(stopped)])
        with torch.inference_mode(), choice(options.get("temperature", 0.0), options.get("seed", 0)) as how:
            out = self.model.generate(
                **inputs,
                max_new_tokens=int(options.get("max_tokens", self.max_tokens)),
                **how,
                **more,
                output_scores=True,
                return_dict_in_generate=True,
                logits_processor=LogitsProcessorList([NeverSaid([absent])]),
                streamer=streamer,
            )
        tokens = out.sequences[0, length:] if out.sequences.shape[1] > length else out.sequences[0]
        text = self.processor.tokenizer.decode(tokens, skip_special_tokens=True)
        usage = UsageMetadata(input_tokens=length, output_tokens=len(tokens), total_tokens=length + len(tokens))
        return _Written(text, out.scores[0][0].float(), usage)

    def attended(
        self, messages: Sequence[BaseMessage], close_up: tuple[float, float, float, float] | None
    ) -> list[NDArray[np.float32]]:
        """Where each fact of a conversation, and its question, looked; as `agent.vlm.attended`."""
        from agent.vlm.attended import attended

        photo = to_chat(messages)[1][0]
        return attended(self.model, dict(self.inputs(messages)[1]), photo.width / photo.height, close_up)

    def inputs(self, messages: Sequence[BaseMessage], tools: Sequence[Mapping[str, Any]] = ()) -> tuple[str, Any]:
        """The prompt of a conversation, and what the model is given."""
        chat, images = to_chat(messages)
        for part in (part for turn in chat for part in turn["content"] if part["type"] == "text"):
            part["text"] = self._control.sub(" ", part["text"])  # Only the template may write these.
        known: dict[str, Any] = {}
        if tools and "tools" in str(self.processor.chat_template):
            known = {"tools": list(tools)}
        elif tools:  # A template that knows no tools still passes on what stands in the system message.
            chat[0]["content"].append({"type": "text", "text": tools_text(tools)})
        prompt = self.processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False, **known)
        inputs = self.processor(text=prompt, images=images or None, return_tensors="pt")
        return prompt, inputs.to(self.model.device, self.model.dtype)

    def _logprobs(self, logits: torch.Tensor) -> dict[str, Any]:
        """The likeliest first tokens in the shape OpenAI-compatible servers use, so that callers read both alike."""
        values, ids = torch.log_softmax(logits, -1).topk(min(TOP_LOGPROBS, logits.shape[-1]))
        top = [
            {"token": self.processor.tokenizer.decode([int(id)]), "logprob": float(value)}
            for value, id in zip(values, ids, strict=True)
        ]
        return {"content": [{**top[0], "top_logprobs": top}]}


@dataclass(frozen=True)
class _Written:
    """A reply."""

    text: str
    first: torch.Tensor
    """Logits (V,) of its first token, float32."""
    usage: UsageMetadata


class _Stopped(StoppingCriteria):
    """Ends a reply that nobody waits for any more."""

    def __init__(self, event: Event) -> None:
        self.event = event

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """Whether each row of the batch ends, (B,) bool."""
        return torch.full((len(input_ids),), self.event.is_set(), device=input_ids.device)


def _call_id() -> str:
    return f"call-{secrets.token_hex(4)}"


class NeverSaid(LogitsProcessor):
    """Rules tokens out, for each row of a batch its own: a citation of what is not in the prompt cannot be meant."""

    def __init__(self, tokens: Sequence[Sequence[int]]) -> None:
        self.tokens = tokens

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores (B, V) with minus infinity for them; beams of a row follow each other."""
        scores, beams = scores.clone(), len(scores) // len(self.tokens)
        for row, tokens in enumerate(self.tokens):
            scores[row * beams : (row + 1) * beams, list(tokens)] = -torch.inf
        return scores


def citation_tokens(tokenizer: Any) -> dict[str, int]:
    """The citations that are single tokens of a tokenizer, with their ids."""
    ids = {alias: tokenizer.encode(alias, add_special_tokens=False) for alias in ALIASES}
    return {alias: token[0] for alias, token in ids.items() if len(token) == 1}


@contextmanager
def choice(temperature: float, seed: int) -> Iterator[dict[str, Any]]:
    """How `generate` chooses tokens; it draws from the random state of the process, which is lent to it and put back."""
    if temperature <= 0:
        yield {"do_sample": False}
        return
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield {"do_sample": True, "temperature": temperature}


def to_chat(messages: Sequence[BaseMessage]) -> tuple[list[dict[str, Any]], list[Image.Image]]:
    """LangChain messages as a transformers chat, with the images they carry in order."""
    chat: list[dict[str, Any]] = []
    images: list[Image.Image] = []
    for message in messages:
        parts: list[dict[str, str]] = []
        for block in _blocks(message):
            if block["type"] == "text":
                parts.append({"type": "text", "text": block["text"]})
            elif block["type"] == "image":
                images.append(Image.open(io.BytesIO(base64.b64decode(block["base64"]))).convert("RGB"))
                parts.append({"type": "image"})
        chat.append({"role": ROLES.get(message.type, "user"), "content": parts})
    return chat, images


def _blocks(message: BaseMessage) -> Iterator[dict[str, Any]]:
    if isinstance(message.content, str):
        yield {"type": "text", "text": message.content}
        return
    for block in message.content:
        yield {"type": "text", "text": block} if isinstance(block, str) else block


def image_block(image: Image.Image) -> dict[str, str]:
    """An RGB image as LangChain's standard content block, lossless."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    return {"type": "image", "base64": base64.b64encode(buffer.getvalue()).decode(), "mime_type": "image/png"}


def probability_true(message: BaseMessage) -> float | None:
    """Probability that an answer opens with True rather than False, from the log-probabilities of its first token.

    Yes and no count too. None where the model gave no log-probabilities, or these words hold less than a tenth of the
    probability: it was about to say something else.
    """
    words = {"true": "true", "yes": "true", "false": "false", "no": "false"}
    found = _shares((words.get(word.lower()), p) for word, p in _first_words(message))
    return None if found is None else found.get("true", 0.0)


def letter_probabilities(message: BaseMessage, letters: Sequence[str]) -> dict[str, float] | None:
    """Probability of each option's letter among all of them, from the log-probabilities of a reply's first token.

    Args:
        message: the reply.
        letters: upper case, such as A to D.

    Returns:
        Summing to 1; None where the model gave no log-probabilities, or the letters hold less than a tenth of the
        probability: it was about to say something else.
    """
    found = _shares((word if word in letters else None, p) for word, p in _first_words(message))
    return None if found is None else {letter: found.get(letter, 0.0) for letter in letters}


_LEAST = 0.1  # of the probability that the expected words have to hold


def _first_words(message: BaseMessage) -> Iterator[tuple[str, float]]:
    """The likeliest first tokens of a reply without their punctuation, and their probabilities."""
    found = message.response_metadata.get("logprobs") or {}
    first = (found.get("content") or [None])[0]
    for entry in (first or {}).get("top_logprobs") or []:
        yield str(entry["token"]).strip(" .,:*\"'()[]\u2581\u0120"), math.exp(float(entry["logprob"]))


def _shares(named: Iterable[tuple[str | None, float]]) -> dict[str, float] | None:
    mass: dict[str, float] = {}
    for name, probability in named:
        if name is not None:
            mass[name] = mass.get(name, 0.0) + probability
    total = sum(mass.values())
    return {name: share / total for name, share in mass.items()} if total >= _LEAST else None
