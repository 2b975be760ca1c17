"""Questions with ranked answers as batches: each answer that a pair needs is one row, however many pairs it is in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import ProcessorMixin
from transformers.data.data_collator import DataCollatorMixin
from trl.data_utils import apply_chat_template, prepare_multimodal_messages
from trl.trainer.utils import flush_left

from training.edpo.method import Choice, Gap, Pair, pairs_of

NOT_OF_THE_MODEL = frozenset(
    {"completion_mask", "chosen", "rejected", "delta_h", "closest", "extremes", "weight", "best", "ref_logps"}
)
"""Keys of a batch that the loss needs and the model does not know."""


@dataclass
class RankedCollator(DataCollatorMixin):
    """Makes a batch of questions, both pairs of each beside each other.

    A question is a dict with `prompt` (messages), `answers` (two or more texts, best ranked first), `scores` (a number each) and,
    where it has any, `photos` (PIL images), `place` (for messages) and `ref_logps` (of each answer under the reference policy).

    Beside what the processor makes of the R rows, a batch holds `completion_mask` (R, T), 1 on the answers; `chosen` and
    `rejected`, the rows of each of P pairs; `delta_h`, `weight` (1 over the pairs of the question), `closest`, `extremes`
    (bool), all (P,); `best`, the row of each question's best answer (Q,); and `ref_logps` (R,) where they are known.

    Raises:
        ValueError: fewer than two answers, scores that are not one finite number each, or a row longer than the context.
    """

    processor: ProcessorMixin
    choice: Choice = "closest and extremes"
    gap: Gap = "self_information"
    tau: float = 1.0
    context: int | None = None
    """Most tokens that the model reads; None: any number."""
    return_tensors: str = "pt"

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        prompts, completions, places = list[str](), list[str](), list[str]()
        photos: list[list[Any]] = []
        found: dict[str, list[Any]] = {key: [] for key in NOT_OF_THE_MODEL}
        for number, example in enumerate(examples):
            place = example.get("place") or f"question {number} of the batch"
            pairs = self._pairs(example, place)
            used = sorted({0, *(i for pair in pairs for i in (pair.chosen, pair.rejected))})
            row = {answer: len(prompts) + at for at, answer in enumerate(used)}
            found["best"].append(row[0])
            for pair in pairs:
                found["chosen"].append(row[pair.chosen])
                found["rejected"].append(row[pair.rejected])
                found["delta_h"].append(pair.delta_h)
                found["closest"].append(pair.closest)
                found["extremes"].append(pair.extremes)
                found["weight"].append(1 / len(pairs))
            shown = list(example.get("photos") or [])
            messages = prepare_multimodal_messages(example["prompt"], images=shown)
            for answer in used:
                reply: Any = [{"role": "assistant", "content": [{"type": "text", "text": example["answers"][answer]}]}]
                texts = apply_chat_template({"prompt": messages, "completion": reply}, self.processor)
                prompts.append(texts["prompt"])
                completions.append(texts["completion"])
                photos.append(shown)
                places.append(place)
                if example.get("ref_logps") is not None:
                    found["ref_logps"].append(example["ref_logps"][answer])
        batch = self._rows(prompts, completions, photos)
        self._fits(batch["attention_mask"], places)
        kinds = {"chosen": torch.long, "rejected": torch.long, "best": torch.long} | dict.fromkeys(
            ("closest", "extremes"), torch.bool
        )
        for key, values in found.items():
            if values:
                batch[key] = torch.tensor(values, dtype=kinds.get(key, torch.float32))
        return batch

    def _pairs(self, example: dict[str, Any], place: str) -> list[Pair]:
        answers, scores = example["answers"], example["scores"]
        if len(answers) != len(scores):
            raise ValueError(
                f"{place}: has {len(answers)} answers and {len(scores)} scores, expected one score an answer"
            )
        try:
            return pairs_of(scores, self.choice, self.gap, self.tau)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error

    def _rows(self, prompts: list[str], completions: list[str], photos: list[list[Any]]) -> dict[str, Any]:
        processor: Any = self.processor
        asked = processor(
            images=photos if any(photos) else None,
            text=prompts,
            padding=True,
            padding_side="left",
            add_special_tokens=False,  # the template has put them
            return_tensors="pt",
        )
        said = processor(
            text=completions, padding=True, padding_side="right", add_special_tokens=False, return_tensors="pt"
        )
        ids = torch.cat((asked["input_ids"], said["input_ids"]), 1)
        mask = torch.cat((asked["attention_mask"], said["attention_mask"]), 1)
        answered = torch.cat((torch.zeros_like(asked["attention_mask"]), said["attention_mask"]), 1)
        mask, ids, answered = flush_left(mask, ids, answered)
        batch = dict(asked)
        for key in ("token_type_ids", "mm_token_type_ids"):
            if key in batch:
                raise ValueError(f"processor {type(self.processor).__name__}: gives {key}, which is not supported here")
        return batch | {"input_ids": ids, "attention_mask": mask, "completion_mask": answered}

    def _fits(self, mask: torch.Tensor, places: list[str]) -> None:
        lengths = mask.sum(1)
        longest = int(lengths.argmax())
        if self.context is not None and int(lengths[longest]) > self.context:
            raise ValueError(
                f"{places[longest]}: question and answer take {int(lengths[longest])} tokens, the model reads {self.context}; "
                "shorten them, or show fewer tiles or facts"
            )
