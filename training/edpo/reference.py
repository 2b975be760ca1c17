"""What the reference policy thinks of every answer, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from accelerate.utils import broadcast_object_list, gather_object
from datasets import Dataset
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader
from tqdm import tqdm

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from training.edpo.trainer import EDPOTrainer


def cached(trainer: EDPOTrainer, dataset: Dataset, key: dict[str, Any], folder: Path, batch_size: int) -> Dataset:
    """The questions with `ref_logps`, one an answer: read from `folder`, or computed and kept there.

    The file's name is a hash of `key`, of every text and photo, and of what becomes of the first question on its way to the model:
    another model, template or data set is another file. Scores are left out of it, since the log-probabilities do not depend on them.

    Args:
        trainer: whose reference policy is asked.
        dataset: of questions with ranked answers.
        key: what else the log-probabilities depend on.
        folder: of the files; made if missing.
        batch_size: questions at once.

    Raises:
        ValueError: the file that was kept cannot be read.
    """
    found: list[Any] = [None, None]
    if trainer.is_world_process_zero():
        first = replace(trainer.data_collator, choice="all")([dict(dataset[0])])  # type: ignore[type-var]
        told = hashlib.sha256(first["input_ids"].numpy().tobytes())
        if "pixel_values" in first:
            told.update(first["pixel_values"].float().numpy().tobytes())
        whole = key | {"data": digest_of(dataset), "first": told.hexdigest()}
        file = folder / f"{hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()}.safetensors"
        found = [str(file), file.is_file()]
    broadcast_object_list(found)  # whether it is there is asked once: the processes have to go the same way
    file, there = Path(found[0]), found[1]
    if not there:
        logps = _computed(trainer, dataset, batch_size)
        if trainer.is_world_process_zero():
            folder.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(f".{os.getpid()}.part")  # runs side by side may ask the same
            flat = torch.tensor([value for row in logps for value in row])
            save_file({"logps": flat, "answers": torch.tensor([len(row) for row in logps])}, part)
            part.replace(file)
    trainer.accelerator.wait_for_everyone()
    try:
        kept = load_file(file)
    except SafetensorError as error:
        raise ValueError(
            f"reference_dir: {str(file)!r} cannot be read ({error}); delete it, and it is made anew"
        ) from error
    values = [row.tolist() for row in kept["logps"].split(kept["answers"].tolist())]
    shown = dataset.format
    return dataset.add_column("ref_logps", values).with_format(shown["type"], **shown["format_kwargs"])


def settings_of(model: Any, run: TrainingArguments) -> dict[str, Any]:
    """What the log-probabilities depend on beside weights, texts and photos."""
    config = model.config.to_dict()
    config.pop("_name_or_path", None)
    inner = getattr(model, "base_model", model)
    return {
        "config": json.loads(json.dumps(config, default=str, sort_keys=True)),
        "attention": model.config._attn_implementation,
        "precision": f"{model.dtype}, bf16={run.bf16}, fp16={run.fp16}",
        "remembered": any(getattr(module, "remembers", False) for module in inner.modules()),
        "device": run.device.type,
        "versions": [torch.__version__, transformers.__version__],
    }


def weights_of(model: Any) -> str:
    """SHA-256 of the weights without adapters, which are drawn at random and leave the reference policy as it is."""
    made = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if "lora_" not in name and ".modules_to_save." not in name:
            made.update(name.encode())
            made.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return made.hexdigest()


def _computed(trainer: EDPOTrainer, dataset: Dataset, batch_size: int) -> list[list[float]]:
    """Log-probabilities of each question's answers; the processes share the work."""
    accelerator, count = trainer.accelerator, len(dataset)
    mine = list(range(accelerator.process_index, count, accelerator.num_processes))
    # A sharded model needs every process in every step, so short shares are filled up.
    mine += [count - 1] * (-(-count // accelerator.num_processes) - len(mine))
    loader = DataLoader(
        dataset.select(mine),
        batch_size=batch_size,
        collate_fn=replace(trainer.data_collator, choice="all"),  # type: ignore[type-var]
        num_workers=trainer.args.dataloader_num_workers,
    )
    found: list[list[float]] = []
    hidden = trainer.args.disable_tqdm or not trainer.is_world_process_zero()
    for batch in tqdm(loader, desc="asking the reference policy", disable=hidden):
        logps = trainer.reference_logps(trainer._prepare_inputs(batch)).float().tolist()
        # Of all pairs, every answer is a row, the best first.
        starts = [*batch["best"].tolist(), len(logps)]
        found += [logps[start:end] for start, end in pairwise(starts)]
    everywhere = dict(gather_object(list(zip(mine, found, strict=True))))
    return [everywhere[i] for i in range(count)]


def digest_of(dataset: Dataset) -> str:
    """SHA-256 of the columns as they are stored, and of the photos that `photos` names by their paths; scores do not count."""
    made, photos = hashlib.sha256(), dict[str, bytes]()
    plain = _plain(dataset)
    for name in sorted(plain):
        if name in ("scores", "place"):
            continue
        made.update(name.encode())
        for value in plain[name]:
            made.update(repr(value).encode())
            for photo in value if name == "photos" else ():
                if isinstance(photo, str):
                    if photo not in photos:  # a pair has five questions
                        with open(photo, "rb") as opened:
                            photos[photo] = hashlib.file_digest(opened, "sha256").digest()
                    made.update(photos[photo])
    return made.hexdigest()


def revision_of(processor: Any) -> str:
    """SHA-256 of everything that turns a question into tokens and pixels: tokenizer, chat template, image settings."""
    tokenizer = processor.tokenizer
    backend = getattr(tokenizer, "backend_tokenizer", None)
    words = {"vocabulary": tokenizer.get_vocab()} if backend is None else json.loads(backend.to_str())
    for momentary in ("padding", "truncation"):  # of the last call
        words.pop(momentary, None)
    template = processor.chat_template or tokenizer.chat_template or ""
    parts = [processor.to_json_string(), template, json.dumps(words, sort_keys=True)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _plain(dataset: Dataset) -> dict[str, list[Any]]:
    """The columns as stored, without the transform that opens photos."""
    stored: dict[str, list[Any]] = dataset.with_format("arrow")[:].to_pydict()
    return stored
