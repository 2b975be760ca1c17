"""The processor of models with a `SageVisionModel` tower: one square per image, no tiling; and the marks of SFE in a prompt."""

from __future__ import annotations

import re
from typing import Any

from transformers import InternVLProcessor

from agent.vlm.sfe import COMPARISON, FACT, REFERENCE

_FACT_LINE = re.compile(r"^\[F\d+\] .+$", re.MULTILINE)


class SageProcessor(InternVLProcessor):
    """InternVL's processor, which otherwise insists on cutting every image into tiles.

    Where the tokenizer knows the marks of `agent.vlm.sfe`, facts and reference images are marked as `agent.vlm.prompt` writes
    them. That happens here, after the chat template, since texts from outside are cleaned of every special token before.
    """

    images_kwargs = {"crop_to_patches": False}  # type: ignore[typeddict-unknown-key]  # noqa: RUF012 - overrides a class attribute of the base

    def __call__(self, images: Any = None, text: Any = None, videos: Any = None, **kwargs: Any) -> Any:
        """As of the base class."""
        if text is not None and COMPARISON in self.tokenizer.added_tokens_encoder:
            text = self.marked(text) if isinstance(text, str) else [self.marked(one) for one in text]
        return super().__call__(images=images, text=text, videos=videos, **kwargs)

    def marked(self, prompt: str) -> str:
        """The prompt with marks around its facts and in front of its references; the same where it has them."""
        if COMPARISON in prompt:
            return prompt
        prompt = _FACT_LINE.sub(lambda line: f"{FACT}{line[0]}{COMPARISON}", prompt)
        label = f"Reference:{self.image_token}"
        return prompt.replace(label, f"{REFERENCE}{label}")
