"""Which vision-language model reasons: the embedded one, any transformers model, or an OpenAI-compatible server."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.images import InputError
from agent.report import ModelInfo

if TYPE_CHECKING:
    import numpy as np
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.runnables import RunnableConfig
    from langchain_core.tools import BaseTool
    from numpy.typing import NDArray
    from PIL import Image

    from agent.vlm.prompt import Views

REFUSED = "tools refused"
"""In the metadata of a reply: why the model was asked without the tools it should have been offered."""
LARGE_SIDE = 1024
"""Longest side, in pixels, of a photo sent to a model without a fixed input size."""


@dataclass(frozen=True)
class Vlm:
    """A chat model that sees, and what the agent has to know about it."""

    chat: BaseChatModel
    info: ModelInfo
    side: int | None = None
    """Side of the square the model squashes every image to; None: it takes any size."""
    folder: Path | None = None
    """Where a local model lies; a `fusion.json` beside its weights says how to blend its score with the detector's."""
    follows_instructions: bool = True
    """Understands instructions and criticism in words; a model trained on the fixed prompts alone does not."""

    caveat: str | None = None
    """What is known against the kinds of defect it names, for the report."""
    answers_caveat: str | None = None
    """What is known against its answers to questions besides the verdict."""
    failures: tuple[type[Exception], ...] = ()
    """What the chat model raises when it gives no answer."""
    refusals: tuple[type[Exception], ...] = ()
    """What it raises at a request that offers tools, where its server was not started for them; then it is asked without."""

    def ask(
        self,
        images: Sequence[Image.Image],
        views: Views,
        text: str,
        critique: str = "",
        *,
        tools: Sequence[BaseTool] = (),
        quiet: bool = False,
        **limits: Any,
    ) -> AIMessage:
        """The reply to `text` over `images`, labelled as `views` says.

        Args:
            images: as `views` orders them.
            views: what they are.
            text: the prompt.
            critique: further lines below it.
            tools: that the model may call instead of answering.
            quiet: nobody reads the reply as it is written.
            limits: `max_tokens`, `temperature`, `seed`.

        Raises:
            InputError: the model gave no answer.
        """
        config: RunnableConfig = {"tags": ["nostream"]} if quiet else {}  # LangGraph's word for it
        messages = self.messages(images, views, text, critique)
        try:
            if tools:
                try:
                    return self.chat.bind_tools(tools).invoke(messages, config, **limits)
                except self.refusals as error:
                    reply = self.chat.invoke(messages, config, **limits)
                    reply.response_metadata[REFUSED] = " ".join(str(error).split())[:200]
                    return reply
            return self.chat.invoke(messages, config, **limits)
        except self.failures as error:
            raise InputError(
                f"model={self.info.name!r}: gave no answer ({' '.join(str(error).split())[:200]}); expected a chat model "
                "that takes images and returns log-probabilities; check its name and its log"
            ) from error

    def attended(
        self,
        images: Sequence[Image.Image],
        views: Views,
        text: str,
        close_up: tuple[float, float, float, float] | None = None,
    ) -> list[NDArray[np.float32]]:
        """Where each fact of a prompt looked, as `agent.vlm.attended`; empty for models without fact fusion."""
        from agent.vlm.chat import TransformersChat

        if not isinstance(self.chat, TransformersChat):
            return []
        return self.chat.attended(self.messages(images, views, text), close_up)

    def messages(self, images: Sequence[Image.Image], views: Views, text: str, critique: str = "") -> list[BaseMessage]:
        """System and user message with labelled images in front of the text."""
        from langchain_core.messages import HumanMessage, SystemMessage

        from agent.vlm.chat import image_block
        from agent.vlm.prompt import INSTRUCTIONS

        content: list[str | dict[str, str]] = []
        for label, image in zip(views.labels(), images, strict=True):
            content += [{"type": "text", "text": label}, image_block(self._sized(image))]
        content.append({"type": "text", "text": f"{text}\n{critique}" if critique else text})
        return [SystemMessage(INSTRUCTIONS), HumanMessage(content)]

    def _sized(self, image: Image.Image) -> Image.Image:
        if self.side is not None:
            return image.resize((self.side, self.side), resample=2, reducing_gap=3.0)
        scale = LARGE_SIDE / max(image.size)
        return (
            image
            if scale >= 1
            else image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
        )


def load_vlm(model: str | None = None) -> Vlm:
    """Load a model.

    Args:
        model: None for the embedded sage-nano; a folder or id of a transformers image-text-to-text model; or the base
            address of an OpenAI-compatible server, such as `http://127.0.0.1:8000/v1`, with `#NAME` for one of its models.

    Raises:
        InputError: the model cannot be found or read, or the server does not answer.
    """
    if model is not None and model.startswith(("http://", "https://")):
        return _server(model)
    return _local(model)


def _local(model: str | None) -> Vlm:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from agent.vlm import SageProcessor, SageVisionConfig
    from agent.vlm.chat import TransformersChat
    from agent.vlm.eye import weights_revision
    from agent.vlm.nano import shipped

    source = str(shipped("sage-nano")) if model is None else model
    try:
        # sage-nano is stored in half precision, which CPUs compute slowly; others come as they were saved.
        weights: Any = AutoModelForImageTextToText.from_pretrained(
            source, dtype=torch.float32 if model is None else "auto", use_safetensors=True
        )
        weights = weights.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        processor = AutoProcessor.from_pretrained(source)
        if not processor.chat_template:
            raise ValueError("it has no chat template")
    except (OSError, ValueError, KeyError, ImportError) as error:
        line = " ".join(str(error).split())[:200]
        raise InputError(
            f"model={model!r}: cannot be loaded as an image-text-to-text model of transformers ({line}); "
            "give a folder or id of one, a server address that ends in /v1, or leave it out for sage-nano"
        ) from error
    folder = Path(source)
    name = "sage-nano" if model is None else (folder.name if folder.is_dir() else source)
    revision = (
        weights_revision(folder) if folder.is_dir() else str(getattr(weights.config, "_commit_hash", None) or "unknown")
    )
    card = folder / "training.json"
    ours = isinstance(processor, SageProcessor) and card.is_file()
    trained = json.loads(card.read_text(encoding="utf-8")) if ours else {"stage": "external"}
    # Around our own eye the language model is small, and knows the prompts it was trained on alone.
    vision = getattr(weights.config, "vision_config", None)
    side = int(vision.image_size) if isinstance(vision, SageVisionConfig) else None
    chat = TransformersChat(model=weights, processor=processor)
    return Vlm(
        chat,
        ModelInfo(name=name, revision=revision, stage=trained["stage"]),
        side,
        folder if folder.is_dir() else None,
        follows_instructions=side is None,
        caveat=trained.get("caveat"),
        answers_caveat=trained.get("answers_caveat"),
    )


def _server(address: str) -> Vlm:
    try:
        from langchain_openai import ChatOpenAI
        from openai import APIStatusError, OpenAI, OpenAIError
        from pydantic import SecretStr
    except ImportError as error:
        raise InputError(
            f"model={address!r}: servers need the `server` extra; install it with `pip install 'sage-iad[server]'`"
        ) from error
    base, _, name = address.partition("#")
    key = os.environ.get("OPENAI_API_KEY", "none")
    try:
        if not name:
            name = next(iter(OpenAI(base_url=base, api_key=key, max_retries=0, timeout=10).models.list())).id
    except (OpenAIError, StopIteration, AttributeError) as error:  # AttributeError: it answered with a page, not JSON
        raise InputError(
            f"model={address!r}: no list of models from the server ({error}); check that it runs and that the address ends in /v1"
        ) from error
    chat = ChatOpenAI(
        base_url=base,
        api_key=SecretStr(key),
        model=name,
        temperature=0,
        logprobs=True,
        top_logprobs=20,
        max_tokens=512,  # type: ignore[call-arg]
        timeout=120,
    )
    info = ModelInfo(name=name, revision=base, stage="external")
    return Vlm(chat, info, failures=(OpenAIError,), refusals=(APIStatusError,))
