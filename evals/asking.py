"""A core model of transformers asked in batches: what it says, and how sure it is of a verdict that opens with True."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.vlm.prompt import Views

if TYPE_CHECKING:
    from training.sfe.rows import Photo

BATCH = 16


@dataclass(frozen=True)
class Prompt:
    """What is put before the model."""

    text: str
    photos: Sequence[Photo]
    views: Views


@dataclass(frozen=True)
class Reply:
    """What it said."""

    text: str
    true: float | None
    """Its probability of True as the first word, against False; None: it was about to say something else."""
    tokens: int
    """Length of the text."""


class Asking:
    """Asks one model."""

    def __init__(self, model: Any, processor: Any) -> None:
        from agent.vlm.chat import citation_tokens

        self.model, self.processor = model, processor
        self.citations = citation_tokens(processor.tokenizer)

    def replies(self, prompts: Sequence[Prompt], most: int, *, temperature: float = 0.0, seed: int = 0) -> list[Reply]:
        """A reply to each prompt, of at most so many tokens; drawn where the temperature is above 0."""
        from agent.vlm.chat import choice

        # Prompts of like length side by side, so that little is padding.
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i].text))
        found: dict[int, Reply] = {}
        for at in range(0, len(order), BATCH):
            batch = order[at : at + BATCH]
            with choice(temperature, seed + at) as how:
                found |= zip(batch, self._batch([prompts[i] for i in batch], most, how), strict=True)
        return [found[i] for i in range(len(prompts))]

    def _batch(self, prompts: Sequence[Prompt], most: int, how: Mapping[str, Any]) -> list[Reply]:
        import torch
        from transformers import LogitsProcessorList

        from agent.vlm.chat import NeverSaid
        from training.sfe.rows import conversation

        made = [conversation(p.text, "", p.photos, p.views) for p in prompts]
        texts = [
            self.processor.apply_chat_template(m["prompt"], add_generation_prompt=True, tokenize=False) for m in made
        ]
        inputs = self.processor(
            text=texts, images=[photo for m in made for photo in m["images"]], return_tensors="pt", padding=True
        ).to(self.model.device, self.model.dtype)
        absent = [[token for alias, token in self.citations.items() if alias not in text] for text in texts]
        with torch.inference_mode():
            out = self.model.generate(
                **inputs,
                max_new_tokens=most,
                **how,
                output_scores=True,
                return_dict_in_generate=True,
                logits_processor=LogitsProcessorList([NeverSaid(absent)]),
            )
        tokenizer = self.processor.tokenizer
        written = out.sequences[:, inputs["input_ids"].shape[1] :]
        said = self.processor.batch_decode(written, skip_special_tokens=True)
        lengths = [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in said]
        first = torch.log_softmax(out.scores[0].float(), -1)
        return [
            Reply(text.strip(), self._true(row), length) for text, row, length in zip(said, first, lengths, strict=True)
        ]

    def _true(self, logprobs: Any) -> float | None:
        from langchain_core.messages import AIMessage

        from agent.vlm.chat import probability_true

        values, ids = logprobs.topk(min(20, len(logprobs)))
        top = [
            {"token": self.processor.tokenizer.decode([int(id)]), "logprob": float(value)}
            for value, id in zip(values, ids, strict=True)
            if math.isfinite(float(value))
        ]
        return probability_true(
            AIMessage(content="", response_metadata={"logprobs": {"content": [{"top_logprobs": top}]}})
        )
