"""Supervised fine-tuning of the core model with TRL, on drawn cases or on rows of one's own.

For sage-nano this starts from random weights around the trained eye, which stays frozen.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, IterableDataset, load_from_disk
from PIL import Image
from torch.utils.data import get_worker_info
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
from trl import SFTConfig, SFTTrainer

from agent.vlm import Eye
from agent.vlm.eye import weights_revision
from agent.vlm.nano import build_model, build_processor, train_tokenizer
from knowledge.facts import shipped_pack
from training.cases import CARD, PHOTOS, TakeLooks, kept_cases, read_case
from training.draw.noise import Rng
from training.draw.scene import Case
from training.fact_index import FactIndex
from training.recipe import RecipeError, parse
from training.text import SHARE, TASKS, Example, Looks, Writer

POOL = 8
"""Batches gathered ahead, among which rows are sorted by length."""


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
    cases: int = field(default=6000, metadata={"help": "Cases to draw; kept in CASES_DIR and used again."})
    cases_dir: str = field(default="runs/cases", metadata={"help": "Folder of the drawn cases."})
    drawing_processes: int = field(default=2, metadata={"help": "Processes that draw."})
    tokenizer_cases: int = field(default=300, metadata={"help": "Cases whose text the tokenizer is trained on."})
    vocabulary: int = field(default=3072, metadata={"help": "Size of the tokenizer."})
    width: int = field(default=256, metadata={"help": "Hidden size of the language model."})
    layers: int = field(default=5, metadata={"help": "Layers of the language model."})
    heads: int = field(default=4, metadata={"help": "Attention heads."})
    ratio: float = field(default=0.25, metadata={"help": "Pixel-shuffle ratio: 28 x 28 patches become 7 x 7 tokens."})
    images: bool = field(
        default=True, metadata={"help": "False: text alone, to learn to read evidence and facts before looking."}
    )
    tasks: list[str] = field(default_factory=lambda: list(TASKS), metadata={"help": "Which kinds of rows to learn."})
    tellings: int = field(default=1, metadata={"help": "How often the text of each drawn case is written anew."})


@dataclass(frozen=True)
class Telling:
    """How a drawn case becomes rows."""

    images: bool
    tasks: tuple[str, ...]
    times: int


def rows(
    folder: str, seed: int, telling: Telling, batch: int, skip: int, shards: list[int], streams: int
) -> Iterator[dict[str, Any]]:
    """Endless prompt-completion rows over the kept cases, in a new order and in new words every time round.

    Rows come in runs of `batch` of like length, so that little of a batch is padding.

    Args:
        folder: of `kept_cases`.
        seed: of order and words.
        telling: how a case becomes rows.
        batch: rows of a batch.
        skip: cases that were told before.
        shards: one number below `streams`: which stream this is. A list, for `datasets` to share out among its workers.
        streams: into how many the cases are dealt.
    """
    if get_worker_info() is not None:
        # The loader's processes share the cores with the training; the trainer itself, which peeks at a row, does not.
        torch.set_num_threads(1)
    cases = load_from_disk(folder)
    if not telling.images:
        cases = cases.remove_columns(list(PHOTOS))
    writer, taken = Writer(FactIndex(shipped_pack())), skip + shards[0]
    pool: list[dict[str, Any]] = []
    while True:
        around, position = divmod(taken, len(cases))
        order = np.random.default_rng([seed, around, 1]).permutation(len(cases))
        case, found = read_case(cases[int(order[position])])
        rng = np.random.default_rng([seed, taken, 2])
        pool += case_rows(case, found, writer, rng, telling)
        taken += streams
        if len(pool) >= POOL * batch:
            pool = sorted(pool[: POOL * batch], key=lambda row: len(row["prompt"][0]["content"][-1]["text"]))
            for i in rng.permutation(POOL):
                yield from pool[i * batch : (i + 1) * batch]
            pool = []


def case_rows(case: Case, found: Looks, writer: Writer, rng: Rng, telling: Telling) -> Iterator[dict[str, Any]]:
    """The rows of one case, in the words of this `rng`."""
    for _ in range(telling.times):
        for example in writer.examples(case, found, rng):
            if example.task in telling.tasks:
                yield row(example, case, found, telling.images)


def row(example: Example, case: Case, found: Looks, images: bool = True) -> dict[str, Any]:
    """An example in TRL's conversational prompt-completion form, images beside it."""
    text = {"type": "text", "text": example.text}
    made: dict[str, Any] = {
        "prompt": [{"role": "user", "content": [text]}],
        "completion": [{"role": "assistant", "content": [{"type": "text", "text": example.reply}]}],
        "task": example.task,
        "anomalous": case.anomalous,
    }
    if not images:
        return made
    views = [Image.fromarray(case.test), *map(Image.fromarray, case.references[: example.views.references])]
    if example.views.close_up and found.close_up is not None:
        views.append(Image.fromarray(found.close_up))
    labels = [part for label in example.views.labels() for part in ({"type": "text", "text": label}, {"type": "image"})]
    return made | {"images": views, "prompt": [{"role": "user", "content": [*labels, text]}]}


def _texts(cases: Dataset, arguments: SftArguments) -> Iterator[str]:
    writer, rng = Writer(FactIndex(shipped_pack())), np.random.default_rng(arguments.seed_of_drawing)
    for kept in cases.remove_columns(list(PHOTOS)).take(min(arguments.tokenizer_cases, len(cases))):
        for example in writer.examples(*read_case(kept), rng):
            yield example.text
            yield example.reply
    for fact in shipped_pack().facts:
        yield f"{fact.defect_type} {fact.kind}: {fact.text}"


def _same_run(out: Path, asked: dict[str, Any]) -> None:
    """A folder of checkpoints is gone on with only for the very same run: it would be taken for trained on these cases.

    Raises:
        RecipeError: the folder holds a run that was asked for otherwise.
    """
    note = out / "asked.json"
    if note.is_file() or any(out.glob("checkpoint-*")):
        before = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
        if differs := [key for key in asked if before.get(key) != asked[key]]:
            raise RecipeError(
                f"output_dir {str(out)!r}: holds a run with other {', '.join(differs)}; name another folder, or delete this one"
            )
    out.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(asked, indent=2) + "\n", encoding="utf-8")


def train_sft(config: Path, overrides: list[str], looks_with: Callable[[Path], TakeLooks]) -> Path:
    """Train from a recipe; returns the folder of the saved model. Resumes when its output folder holds a checkpoint.

    Args:
        config: the recipe.
        overrides: `key=value`, in place of the recipe's.
        looks_with: makes, of the folder of an encoder, what runs the agent's tools with it.

    Raises:
        RecipeError: a recipe that cannot be used, or that names a model or an encoder that is not there.
    """
    arguments, run = parse((SftArguments, SFTConfig), config, overrides)
    if unknown := set(arguments.tasks) - set(TASKS):
        raise RecipeError(f"tasks {sorted(unknown)!r}: no such tasks; there are {list(TASKS)}")
    folder = Path(arguments.cases_dir)
    eye = Path(arguments.eye)
    if not (eye / "config.json").is_file():
        raise RecipeError(f"eye {arguments.eye!r}: no encoder there; make one with `sage-iad train encoder`")
    if arguments.model is not None:
        try:  # Now, and not after the drawing.
            AutoConfig.from_pretrained(arguments.model)
        except OSError as error:
            raise RecipeError(
                f"model {arguments.model!r}: no model there; name one, or run the recipe that makes it first"
            ) from error
    cases = kept_cases(
        folder,
        arguments.cases,
        arguments.seed_of_drawing,
        looks_with(eye),
        arguments.drawing_processes,
        weights_revision(eye),
    )
    _same_run(Path(run.output_dir), {**asdict(arguments), "drawn": (folder / CARD).read_text(encoding="utf-8")})
    base = Path(run.output_dir) / "base"
    if arguments.model is None and not (base / "config.json").is_file():
        encoder = Eye.load(eye).model
        tokenizer = train_tokenizer(_texts(cases, arguments), arguments.vocabulary)
        fresh = build_model(
            encoder,
            tokenizer,
            width=arguments.width,
            layers=arguments.layers,
            heads=arguments.heads,
            ratio=arguments.ratio,
            seed=run.seed,
        )
        fresh.save_pretrained(base)
        build_processor(tokenizer, encoder.config.image_size, fresh.config.image_seq_length).save_pretrained(base)
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
    streams = max(1, run.dataloader_num_workers)
    told = arguments.tellings * sum(SHARE[task] for task in arguments.tasks)
    stream = IterableDataset.from_generator(
        rows,
        gen_kwargs={
            "folder": str(folder),
            "seed": run.seed,
            "telling": Telling(arguments.images, tuple(arguments.tasks), arguments.tellings),
            "batch": run.per_device_train_batch_size,
            "skip": int(steps * run.per_device_train_batch_size * run.gradient_accumulation_steps / told),
            "shards": list(range(streams)),
            "streams": streams,
        },
    )
    trainer = SFTTrainer(model=model, args=run, train_dataset=stream, processing_class=processor)
    trainer.train(resume_from_checkpoint=str(done[-1]) if done else None)
    out = Path(run.output_dir) / "model"
    model.save_pretrained(out)
    processor.save_pretrained(out)
    described = asdict(arguments)
    if arguments.model is not None:  # Its sizes are its own, whatever the defaults say.
        for name in ("vocabulary", "tokenizer_cases", "width", "layers", "heads", "ratio"):
            del described[name]
    card = {"stage": "sft", "steps": trainer.state.global_step, **described}
    (out / "training.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return out
