"""The processor of SAGE models: photos as their image processor cuts them, and the marks of SFE in the prompt."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Self

from transformers import AutoProcessor, InternVLProcessor

from agent.vlm.sfe import CLOSE_UP, COMPARISON, FACT, REFERENCE, with_marks

_FACTS = re.compile(r"(?<=Facts:\n<data>\n).*?(?=\n</data>)", re.DOTALL)
_FACT = re.compile(r"^\[F\d+\] .+$", re.MULTILINE)
_QUESTION = re.compile(r"^Question: .+?(?=<\|[^|\n]*\|>|$)", re.MULTILINE)
"""Without a fact the patches still have something to be held against. Up to the end of the line, or of the turn."""
ASSIST = "Behind each fact, and behind the question, stand features of the photo that have to do with it."
"""The assist prompt of section 3.3."""


class SageProcessor(InternVLProcessor):
    """InternVL's processor, which otherwise cuts every image into tiles: here the image processor's setting decides.

    Where the tokenizer knows the marks of `agent.vlm.sfe`, facts, the question, references and close-ups are marked as
    `agent.vlm.prompt` writes them. That happens here, after the chat template, since texts from outside are cleaned of every
    special token before.
    """

    images_kwargs = {}  # noqa: RUF012 - overrides a class attribute of the base

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        video_processor: Any = None,
        image_seq_length: int = 256,
        chat_template: Any = None,
        assist: str = "",
        **kwargs: Any,
    ) -> None:
        """`assist` is put in front of the question, as the model was trained; the rest as of the base class."""
        super().__init__(image_processor, tokenizer, video_processor, image_seq_length, chat_template, **kwargs)
        self.assist = assist

    @classmethod
    def from_internvl(cls, path: str | Path, *, tiles: int = 6) -> Self:
        """The processor of an InternVL checkpoint, with the marks in its tokenizer; see `with_marks`.

        Args:
            path: folder or id.
            tiles: most tiles an image is cut into, beside its whole.
        """
        parts = AutoProcessor.from_pretrained(path)
        parts.image_processor.crop_to_patches, parts.image_processor.max_patches = True, tiles
        return cls(
            parts.image_processor,
            with_marks(parts.tokenizer),
            parts.video_processor,
            image_seq_length=parts.image_seq_length,
            chat_template=parts.chat_template,
            assist=f"{ASSIST}\n",
        )

    def __call__(self, images: Any = None, text: Any = None, videos: Any = None, **kwargs: Any) -> Any:
        """As of the base class."""
        if text is not None and COMPARISON in self.tokenizer.added_tokens_encoder:
            text = self.marked(text) if isinstance(text, str) else [self.marked(one) for one in text]
        return super().__call__(images=images, text=text, videos=videos, **kwargs)

    def marked(self, prompt: str) -> str:
        """The prompt with marks around facts and question, in front of references and close-ups; the same where it has them."""
        if COMPARISON in prompt:
            return prompt
        prompt = _FACTS.sub(lambda facts: _FACT.sub(_marked, facts[0]), prompt)
        prompt = _QUESTION.sub(lambda line: f"{self.assist}{_marked(line)}", prompt)
        for mark, label in ((REFERENCE, "Reference:"), (CLOSE_UP, "Close-up:")):
            prompt = prompt.replace(f"{label}{self.image_token}", f"{mark}{label}{self.image_token}")
        return prompt


def _marked(line: re.Match[str]) -> str:
    return f"{FACT}{line[0]}{COMPARISON}"
