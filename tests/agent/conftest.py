"""Parts for tests of the agent: scripted models, tiny random ones, a controllable eye."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from PIL import Image
from pydantic import PrivateAttr

from agent.model import Vlm
from agent.report import ModelInfo
from knowledge.facts import Fact


class ScriptedChat(BaseChatModel):
    """Replays replies in order, records what it was asked, and fails when it has none left."""

    replies: list[tuple[str, float | None]]
    """Text, and the probability of True at its first token (None: no log-probabilities)."""
    _asked: list[list[BaseMessage]] = PrivateAttr(default_factory=list)
    _limits: list[int | None] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        assert len(self._asked) < len(self.replies), "the script has no reply left"
        text, p = self.replies[len(self._asked)]
        self._asked.append(messages)
        self._limits.append(kwargs.get("max_tokens"))
        metadata: dict[str, Any] = {}
        if p is not None:
            top = [{"token": "True", "logprob": float(np.log(p))}, {"token": "False", "logprob": float(np.log(1 - p))}]
            metadata = {"logprobs": {"content": [{**top[0], "top_logprobs": top}]}}
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text, response_metadata=metadata))])


def scripted(*replies: tuple[str, float | None], follows_instructions: bool = False) -> Vlm:
    """A model with a script."""
    info = ModelInfo(name="scripted", revision="0", stage="external")
    return Vlm(ScriptedChat(replies=list(replies)), info, side=32, follows_instructions=follows_instructions)


@dataclass(frozen=True)
class Seen:
    """Patches as an eye returns them."""

    features: np.ndarray
    defect: np.ndarray


class ColourEye:
    """Sees the mean colour of each cell: enough to find a spot of another colour."""

    revision = "colour"

    def patches(self, image: Image.Image) -> Seen:
        cells = np.asarray(image.resize((16, 16), resample=Image.Resampling.BOX), np.float32) / 255
        raised = np.concatenate([cells, np.ones((16, 16, 1), np.float32)], 2)
        return Seen(raised / np.linalg.norm(raised, axis=-1, keepdims=True), np.full((16, 16), 0.1, np.float32))


FACTS = [
    Fact.create(f"A {kind} sentence about the {name} of a plate.", category="metal_surface", kind=kind, source="general practice", defect_type=name)
    for name in ("scratch", "stain")
    for kind in ("defect", "cause", "impact", "remedy")
] + [Fact.create("A plate is a flat part of rolled metal.", category="metal_surface", kind="object", source="general practice")]  # fmt: skip


class FewFacts:
    """A fact store of nine facts."""

    def search(
        self,
        query: str,
        *,
        category: str | None = None,
        kinds: Sequence[str] | None = None,
        defect_types: Sequence[str] | None = None,
        limit: int = 10,
    ) -> list[Fact]:
        found = [
            f for f in FACTS if (not kinds or f.kind in kinds) and (not defect_types or f.defect_type in defect_types)
        ]
        return found[:limit]

    def resolve_category(self, name: str) -> str | None:
        return "metal_surface" if "metal" in name else None

    def categories(self) -> list[str]:
        return ["metal_surface"]


def plate(spot: bool, side: int = 96) -> Image.Image:
    """A grey plate, with a red spot in its upper left where asked for."""
    pixels = np.full((side, side, 3), 128, np.uint8)
    if spot:
        pixels[side // 12 : side // 4, side // 12 : side // 4] = (230, 20, 20)
    return Image.fromarray(pixels)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random model of our own classes, a few hundred kilobytes."""
    from agent.vlm import SageVisionConfig, SageVisionModel
    from agent.vlm.nano import build_model, build_processor, train_tokenizer

    folder = tmp_path_factory.mktemp("tiny-sage")
    eye = SageVisionModel(SageVisionConfig(image_size=64, widths=(8, 8, 8), depths=(1, 1, 1), hidden_size=16))
    tokenizer = train_tokenizer(["True. False. The heat map is high [E1].", "category: weld looks: zoom"] * 4, 400)
    model = build_model(eye, tokenizer, width=32, layers=2, heads=2, ratio=0.5, seed=0)
    model.save_pretrained(folder)
    build_processor(tokenizer, 64, model.config.image_seq_length).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_internvl(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random InternVL of transformers' own classes."""
    import torch
    from transformers import (
        AutoTokenizer,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVisionConfig,
        Qwen2Config,
    )
    from transformers.models.got_ocr2.image_processing_got_ocr2 import GotOcr2ImageProcessor
    from transformers.models.internvl.video_processing_internvl import InternVLVideoProcessor

    from agent.vlm.nano import CHAT_TEMPLATE, IMAGE

    folder = tmp_path_factory.mktemp("tiny-internvl")
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    vision = InternVLVisionConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, image_size=56, patch_size=14
    )
    text = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    config = InternVLConfig(
        vision_config=vision, text_config=text, image_token_id=tokenizer.vocab[IMAGE], image_seq_length=4
    )
    InternVLForConditionalGeneration(config).save_pretrained(folder)
    images = GotOcr2ImageProcessor(size={"height": 56, "width": 56}, max_patches=2)
    InternVLProcessor(
        images, tokenizer, InternVLVideoProcessor(), image_seq_length=4, chat_template=CHAT_TEMPLATE
    ).save_pretrained(folder)
    return folder
