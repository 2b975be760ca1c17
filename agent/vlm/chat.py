"""A transformers image-text model as a LangChain chat model, with the log-probabilities of its first token."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from PIL import Image
from pydantic import ConfigDict, PrivateAttr
from transformers import LogitsProcessor, LogitsProcessorList

from agent.vlm.nano import ALIASES

if TYPE_CHECKING:
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

    def model_post_init(self, context: Any) -> None:
        """Find out which citations are single tokens of this tokenizer, and which words are control tokens."""
        tokenizer = self.processor.tokenizer
        self._citations = citation_tokens(tokenizer)
        control = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
        self._control = re.compile("|".join(map(re.escape, sorted(control, key=len, reverse=True))) or r"(?!)")

    @property
    def _llm_type(self) -> str:
        return "transformers-image-text"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        """Reply to a conversation; `max_tokens=1` gives the first token's log-probabilities at the price of a prefill.

        With a `temperature` above 0 the reply is drawn instead, the same for the same `seed` on the same device; its
        log-probabilities are then those it was drawn by.
        """
        prompt, inputs = self.inputs(messages)
        length = inputs["input_ids"].shape[1]
        limit = int(kwargs.get("max_tokens", self.max_tokens))
        absent = [token for alias, token in self._citations.items() if alias not in prompt]
        with torch.inference_mode(), _choice(kwargs.get("temperature", 0.0), kwargs.get("seed", 0)) as choice:
            out = self.model.generate(
                **inputs,
                max_new_tokens=limit,
                **choice,
                output_scores=True,
                return_dict_in_generate=True,
                logits_processor=LogitsProcessorList([NeverSaid([absent])]),
            )
        tokens = out.sequences[0, length:] if out.sequences.shape[1] > length else out.sequences[0]
        first = out.scores[0][0].float()
        text = self.processor.tokenizer.decode(tokens, skip_special_tokens=True)
        usage = {"input_tokens": length, "output_tokens": len(tokens), "total_tokens": length + len(tokens)}
        message = AIMessage(content=text, response_metadata={"logprobs": self._logprobs(first)}, usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def attended(
        self, messages: Sequence[BaseMessage], close_up: tuple[float, float, float, float] | None
    ) -> list[NDArray[np.float32]]:
        """Where each fact of a conversation, and its question, looked; as `agent.vlm.attended`."""
        from agent.vlm.attended import attended

        photo = to_chat(messages)[1][0]
        return attended(self.model, dict(self.inputs(messages)[1]), photo.width / photo.height, close_up)

    def inputs(self, messages: Sequence[BaseMessage]) -> tuple[str, Any]:
        """The prompt of a conversation, and what the model is given."""
        chat, images = to_chat(messages)
        for part in (part for turn in chat for part in turn["content"] if part["type"] == "text"):
            part["text"] = self._control.sub(" ", part["text"])  # Only the template may write these.
        prompt = self.processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
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
def _choice(temperature: float, seed: int) -> Iterator[dict[str, Any]]:
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
