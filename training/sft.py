"""Supervised fine-tuning of the core model with TRL, on drawn cases or on rows of one's own.

For sage-nano this starts from random weights around the trained eye, which stays frozen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import IterableDataset
from PIL import Image
from torch.utils.data import get_worker_info
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import SFTConfig, SFTTrainer

from agent.vlm import Eye
from agent.vlm.nano import build_model, build_processor, train_tokenizer
from knowledge.facts import shipped_pack
from training.draw.scene import FAMILIES, Case, Family, draw_case
from training.recipe import RecipeError, parse
from training.text import Example, Looks, Writer

SHARDS = 2
"""Independent streams of drawn cases: at most so many loader workers have something to do."""

POOL = 8
"""Batches drawn ahead, among which rows are sorted by length."""

Look = Callable[[Case, Any], Looks]
"""Runs the agent's tools on a drawn case in a setting. Passed in, since training knows nothing of the tools."""
SETTINGS = {"zero-shot": (0.25, 0), "one-shot": (0.55, 1), "fitted": (0.2, 6)}
"""Share of the cases, and normal photos drawn, in each setting; the model sees a reference in `one-shot` alone."""


@dataclass
class SftArguments:
    """Which model to start from and what to draw."""

    eye: str = field(metadata={"help": "Folder of the trained encoder."})
    model: str | None = field(
        default=None, metadata={"help": "Folder or id of a model to go on from; none: a new sage-nano."}
    )
    seed_of_drawing: int = field(
        default=5_000_000, metadata={"help": "Seed of the drawn cases, apart from the encoder's."}
    )
    tokenizer_cases: int = field(default=300, metadata={"help": "Cases whose text the tokenizer is trained on."})
    vocabulary: int = field(default=3072, metadata={"help": "Size of the tokenizer."})
    width: int = field(default=256, metadata={"help": "Hidden size of the language model."})
    layers: int = field(default=5, metadata={"help": "Layers of the language model."})
    heads: int = field(default=4, metadata={"help": "Attention heads."})
    ratio: float = field(default=0.25, metadata={"help": "Pixel-shuffle ratio: 28 x 28 patches become 7 x 7 tokens."})
    held_out: list[str] = field(default_factory=list, metadata={"help": "Families that training never sees."})


def rows(
    look: Look, seed: int, families: tuple[str, ...], batch: int, start: int, shards: list[int]
) -> Iterator[dict[str, Any]]:
    """Endless prompt-completion rows; each shard draws its own share of the indices.

    Rows come in runs of `batch` of like length, so that little of a batch is padding.
    """
    if get_worker_info() is not None:
        # The loader's processes share the cores with the training; the trainer itself, which peeks at a row, does not.
        torch.set_num_threads(1)
    writer = Writer(shipped_pack())
    chosen = [family for family in FAMILIES if family.name in families]
    index = start * SHARDS + shards[0]
    while True:
        pool: list[dict[str, Any]] = []
        while len(pool) < POOL * batch:
            pool += case_rows(seed, index, chosen, look, writer)
            index += SHARDS
        pool = sorted(pool[: POOL * batch], key=lambda row: len(row["prompt"][0]["content"][-1]["text"]))
        for i in np.random.default_rng([seed, index, 2]).permutation(POOL):
            yield from pool[i * batch : (i + 1) * batch]


def case_rows(seed: int, index: int, families: list[Family], look: Look, writer: Writer) -> Iterator[dict[str, Any]]:
    """The rows of one drawn case."""
    rng = np.random.default_rng([seed, index, 1])
    setting = str(rng.choice(list(SETTINGS), p=[share for share, _ in SETTINGS.values()]))
    case = draw_case((seed, index), anomalous=0.6, references=SETTINGS[setting][1], families=families)
    found = look(case, setting)
    if setting != "one-shot":
        case = replace(case, references=())
    for example in writer.examples(case, found, rng):
        yield row(example, case, found)


def row(example: Example, case: Case, found: Looks) -> dict[str, Any]:
    """An example in TRL's conversational prompt-completion form, images beside it."""
    images = [Image.fromarray(case.test), *map(Image.fromarray, case.references[: example.views.references])]
    if example.views.close_up and found.close_up is not None:
        images.append(Image.fromarray(found.close_up))
    content: list[dict[str, str]] = []
    for label in example.views.labels():
        content += [{"type": "text", "text": label}, {"type": "image"}]
    content.append({"type": "text", "text": example.text})
    return {
        "images": images,
        "prompt": [{"role": "user", "content": content}],
        "completion": [{"role": "assistant", "content": [{"type": "text", "text": example.reply}]}],
        "task": example.task,
        "anomalous": case.anomalous,
    }


def _texts(look: Look, arguments: SftArguments) -> Iterator[str]:
    writer = Writer(shipped_pack())
    for index in range(arguments.tokenizer_cases):
        for made in case_rows(arguments.seed_of_drawing + 1, index, list(FAMILIES), look, writer):
            yield made["prompt"][0]["content"][-1]["text"]
            yield made["completion"][0]["content"][0]["text"]
    for fact in shipped_pack().facts:
        yield f"{fact.defect_type} {fact.kind}: {fact.text}"


def train_sft(config: Path, overrides: list[str], look: Look) -> Path:
    """Train from a recipe; returns the folder of the saved model. Resumes when its output folder holds a checkpoint."""
    arguments, run = parse((SftArguments, SFTConfig), config, overrides)
    unknown = set(arguments.held_out) - {f.name for f in FAMILIES}
    if unknown:
        raise RecipeError(
            f"held_out {sorted(unknown)!r}: no such families; there are {sorted(f.name for f in FAMILIES)}"
        )
    families = tuple(f.name for f in FAMILIES if f.name not in arguments.held_out)
    base = Path(run.output_dir) / "base"
    if arguments.model is None and not (base / "config.json").is_file():
        eye = Eye.load(Path(arguments.eye)).model
        tokenizer = train_tokenizer(_texts(look, arguments), arguments.vocabulary)
        fresh = build_model(
            eye,
            tokenizer,
            width=arguments.width,
            layers=arguments.layers,
            heads=arguments.heads,
            ratio=arguments.ratio,
            seed=run.seed,
        )
        fresh.save_pretrained(base)
        build_processor(tokenizer, eye.config.image_size, fresh.config.image_seq_length).save_pretrained(base)
    start = arguments.model or str(base)
    model: Any = AutoModelForImageTextToText.from_pretrained(start)
    processor = AutoProcessor.from_pretrained(start)
    for parameter in model.model.vision_tower.parameters():
        parameter.requires_grad_(False)
    done = sorted(Path(run.output_dir).glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
    steps = int(done[-1].name.split("-")[1]) if done else 0
    run.ignore_data_skip = True  # The stream starts where the last checkpoint stopped, instead of drawing it all again.
    run.remove_unused_columns = False
    run.max_length = None  # Cutting a prompt would cut image tokens.
    seen = steps * run.per_device_train_batch_size * run.gradient_accumulation_steps // 4 // SHARDS
    stream = IterableDataset.from_generator(
        rows,
        gen_kwargs={
            "look": look,
            "seed": arguments.seed_of_drawing,
            "families": families,
            "batch": run.per_device_train_batch_size,
            "start": seen,
            "shards": list(range(SHARDS)),
        },
    )
    trainer = SFTTrainer(model=model, args=run, train_dataset=stream, processing_class=processor)
    trainer.train(resume_from_checkpoint=str(done[-1]) if done else None)
    out = Path(run.output_dir) / "model"
    model.save_pretrained(out)
    processor.save_pretrained(out)
    (out / "training.json").write_text(
        json.dumps({"stage": "sft", "steps": trainer.state.global_step, **asdict(arguments)}, indent=2) + "\n"
    )
    return out
