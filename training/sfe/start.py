"""The model that a training begins with: a new sage-nano, a SAGE model, or any InternVL with fresh fusion weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, InternVLConfig
from trl import ModelConfig

from agent.vlm import Eye, SageConfig, SageForConditionalGeneration, SageProcessor
from agent.vlm.nano import build_model, build_processor, shipped, train_tokenizer
from knowledge.facts import shipped_pack
from training.cases import read_case, without_photos
from training.fact_index import FactIndex
from training.recipe import RecipeError
from training.sfe.arguments import SfeArguments
from training.sfe.remembered import remember
from training.text import Writer

NANO = "sage-nano"


def check_start(models: ModelConfig) -> None:
    """Refuse a model that is not there or of another kind, and what cannot be asked of it, before anything is drawn.

    `sage-nano` is taken for the folder of the shipped one.

    Raises:
        RecipeError: says what was found.
    """
    name = models.model_name_or_path
    if models.load_in_4bit or models.load_in_8bit or models.model_revision != "main":
        raise RecipeError(
            "load_in_4bit, load_in_8bit, model_revision: not supported; use LoRA (use_peft), and a folder for a revision"
        )
    if name is None:
        return
    if name == NANO:
        name = models.model_name_or_path = str(shipped(NANO))
    try:
        config = AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise RecipeError(
            f"model_name_or_path {name!r}: no model there; name one, or run the recipe that makes it first"
        ) from error
    if not isinstance(config, InternVLConfig):
        raise RecipeError(
            f"model_name_or_path {name!r}: is a {config.model_type} model; expected one of this project, or an InternVL "
            "in the format of transformers, whose names end in -hf"
        )


def make_new(arguments: SfeArguments, cases: Dataset, eye: Path, seed: int, base: Path) -> None:
    """A sage-nano with random weights around the trained eye, in the folder `base`; what is there already is kept."""
    if (base / "config.json").is_file():
        return
    encoder = Eye.load(eye).model
    said = texts(cases, arguments.tokenizer_cases, arguments.seed_of_drawing)
    tokenizer = train_tokenizer(said, arguments.vocabulary)
    fresh = build_model(
        encoder,
        tokenizer,
        width=arguments.width,
        layers=arguments.layers,
        heads=arguments.heads,
        ratio=arguments.ratio,
        seed=seed,
    )
    build_processor(tokenizer, encoder.config.image_size, fresh.config.image_seq_length).save_pretrained(base)
    fresh.save_pretrained(base)


def start(
    models: ModelConfig,
    name: str,
    *,
    fusion: bool | None = None,
    patches: int | None = None,
    tiles: int | None = None,
    remembered: int = 0,
) -> tuple[Any, Any]:
    """Model and processor; the vision tower is frozen, everything else is to be trained.

    Args:
        models: in what precision to load it, and with which attention.
        name: folder or id of a SAGE model, or of an InternVL.
        fusion: whether it is to have one; None: as it is, and a fresh one around an InternVL.
        patches: which the fusion looks at; None: as many as it is used to.
        tiles: most tiles of a photo, for models that cut photos; None: as it is used to, 6 for a plain InternVL.
        remembered: photos whose frozen features are kept in memory.

    Raises:
        RecipeError: it has no fusion, and is to have one.
    """
    score_replies_alone()
    kept: dict[str, Any] = {
        "dtype": models.dtype, "attn_implementation": models.attn_implementation
    }  # fmt: skip
    if patches is not None:
        kept["distinct_patches"] = patches
    model: Any
    if isinstance(AutoConfig.from_pretrained(name), SageConfig):
        model = AutoModelForImageTextToText.from_pretrained(name, use_safetensors=True, **kept)
        processor = AutoProcessor.from_pretrained(name)
        if tiles is not None and processor.image_processor.crop_to_patches:
            processor.image_processor.max_patches = tiles
    else:
        model = SageForConditionalGeneration.from_internvl(name, **kept)
        processor = SageProcessor.from_internvl(name, tiles=6 if tiles is None else tiles)
    if fusion is False:
        model.without_fusion()
    elif fusion and not hasattr(model.model, "fact_fusion"):
        raise RecipeError(
            f"model_name_or_path {name!r}: has no fusion to train; start from another model, or set fusion=false"
        )
    model.model.vision_tower.requires_grad_(False)
    if remembered:
        remember(model.model.vision_tower, remembered)
    return model, processor


def score_replies_alone() -> None:
    """Let TRL's loss head pass over the positions without a label on a CPU too, as it does on GPUs.

    Most of a row is prompt: scoring that as well was half of a step of sage-nano. The loss is the same.
    """
    import trl.trainer.utils

    trl.trainer.utils._use_triton = lambda device: True


def texts(cases: Dataset, count: int, seed: int) -> Iterator[str]:
    """What is said of the first `count` cases, and all facts: the text of a new tokenizer."""
    writer, rng = Writer(FactIndex(shipped_pack())), np.random.default_rng(seed)
    for kept in without_photos(cases).take(min(count, len(cases))):
        for example in writer.examples(*read_case(kept), rng):
            yield example.text
            yield example.reply
    for fact in shipped_pack().facts:
        yield f"{fact.defect_type} {fact.kind}: {fact.text}"
