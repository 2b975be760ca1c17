"""Reward models: sequence-classification models of transformers with one label, whose logit is the score of an answer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from agent.vlm.eye import weights_revision
from evals.errors import EvalError

if TYPE_CHECKING:
    from training.adpl import PreferenceRecord, RankedQuestion


class RewardModel:
    """Implements `evals.rewards.Evaluator`. Reads words only: the question and one answer at a time, never photos or facts."""

    def __init__(self, model: Any, tokenizer: Any, name: str) -> None:
        """Score with a model that is loaded.

        Args:
            model: with one label; on any device.
            tokenizer: its own. With a chat template, question and answer are a user's and the model's turn; else a text pair.
            name: with the version of its weights.
        """
        self.name = name
        self._model = model
        self._tokenizer = tokenizer
        tokenizer.padding_side = "right"  # where absolute positions are learnt, the left would shift them
        config = model.config.get_text_config()
        pad = getattr(config, "pad_token_id", None)
        # A model that knows no pad token, or another, would take the padding for the end of the answer.
        self._pads = pad is not None and pad == tokenizer.pad_token_id
        self._most = min(tokenizer.model_max_length, getattr(config, "max_position_embeddings", None) or math.inf)

    @classmethod
    def load(cls, source: str) -> Self:
        """Read a model from safetensors, without running code that comes with it; on the GPU where there is one.

        Args:
            source: a folder, or an id on the hub.

        Raises:
            EvalError: it cannot be read, or is no reward model.
        """
        try:
            model, loaded = AutoModelForSequenceClassification.from_pretrained(
                source, dtype="auto", use_safetensors=True, trust_remote_code=False, output_loading_info=True
            )
            if model.config.num_labels != 1:
                raise ValueError(f"it has {model.config.num_labels} labels")
            # transformers draws what a file lacks at random: a chat model would pass for a reward model.
            if missing := sorted(loaded["missing_keys"]):
                raise ValueError(f"its weights lack {', '.join(missing[:3])}")
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
            raise EvalError(
                f"reward:{source}: cannot be loaded as a reward model ({' '.join(str(error).split())[:200]}); expected a folder "
                "or id of a sequence-classification model of transformers with one label, in safetensors"
            ) from error
        folder = Path(source)
        here = folder.is_dir()
        revision = weights_revision(folder) if here else getattr(model.config, "_commit_hash", None) or "unknown"
        model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        return cls(model, tokenizer, f"{folder.resolve().name if here else source} ({revision})")

    def rewards(self, record: PreferenceRecord, question: RankedQuestion) -> list[float] | str:
        """The logits of the answers, in one batch where the model can be given several at once."""
        answers = [option.answer_en for option in question.answer_options]
        size = len(answers) if self._pads else 1
        found: list[float] = []
        for first in range(0, len(answers), size):
            inputs = self._inputs(question.question_en, answers[first : first + size])
            for number, tokens in enumerate(inputs["attention_mask"].sum(1).tolist(), first + 1):
                if tokens > self._most:
                    return f"answer {number}: is {tokens} tokens with its question, the model takes {self._most}"
            with torch.inference_mode():
                found += self._model(**inputs.to(self._model.device)).logits[:, 0].float().tolist()
        for number, logit in enumerate(found, 1):
            if not math.isfinite(logit):
                return f"answer {number}: its logit is {logit}"
        return found

    def _inputs(self, question: str, answers: list[str]) -> Any:
        padding = len(answers) > 1
        if not self._tokenizer.chat_template:
            return self._tokenizer([question] * len(answers), answers, padding=padding, return_tensors="pt")
        chats = [
            [{"role": "user", "content": question}, {"role": "assistant", "content": answer}] for answer in answers
        ]
        texts = self._tokenizer.apply_chat_template(chats, tokenize=False)
        # The template has written the special tokens already.
        return self._tokenizer(
            texts, add_special_tokens=False, return_token_type_ids=False, padding=padding, return_tensors="pt"
        )
