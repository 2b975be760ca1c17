"""Tiny models with random weights, for tests of the agent."""

from __future__ import annotations

from pathlib import Path

import pytest


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
