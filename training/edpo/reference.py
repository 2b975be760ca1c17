"""What the reference policy thinks of every answer, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import broadcast_object_list, gather_object
from datasets import Dataset
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader
from tqdm import tqdm

if TYPE_CHECKING:
    from training.edpo.trainer import EDPOTrainer


def cached(trainer: EDPOTrainer, dataset: Dataset, key: dict[str, Any], folder: Path, batch_size: int) -> Dataset:
    """The questions with `ref_logps`, one an answer: read from `folder`, or computed and kept there.

    The file's name is a hash of `key` and of every text and photo: another model, template or data set is another file. Scores
    are left out of it, since the log-probabilities do not depend on them.

    Args:
        trainer: whose reference policy is asked.
        dataset: of questions with ranked answers.
        key: what else the log-probabilities depend on.
        folder: of the files; made if missing.
        batch_size: questions at once.
    """
    name = [hashlib.sha256(json.dumps(key | {"data": digest_of(dataset)}, sort_keys=True).encode()).hexdigest()]
    broadcast_object_list(name)  # parts of a sharded model hash differently on every process
    file = folder / f"{name[0]}.safetensors"
    if not file.is_file():
        logps = _computed(trainer, dataset, batch_size)
        if trainer.is_world_process_zero():
            folder.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            flat = torch.tensor([value for row in logps for value in row])
            save_file({"logps": flat, "answers": torch.tensor([len(row) for row in logps])}, part)
            part.replace(file)
    trainer.accelerator.wait_for_everyone()
    kept = load_file(file)
    values = [row.tolist() for row in kept["logps"].split(kept["answers"].tolist())]
    shown = dataset.format
    return dataset.add_column("ref_logps", values).with_format(shown["type"], **shown["format_kwargs"])


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
    made = hashlib.sha256()
    plain = _plain(dataset)
    for name in sorted(plain):
        if name in ("scores", "place"):
            continue
        made.update(name.encode())
        for value in plain[name]:
            made.update(repr(value).encode())
            for photo in value if name == "photos" else ():
                if isinstance(photo, str):
                    with open(photo, "rb") as opened:
                        made.update(hashlib.file_digest(opened, "sha256").digest())
    return made.hexdigest()


def revision_of(processor: Any) -> str:
    """SHA-256 of everything that turns a question into tokens and pixels: tokenizer, chat template, image settings."""
    tokenizer = processor.tokenizer
    backend = getattr(tokenizer, "backend_tokenizer", None)
    parts = [
        processor.to_json_string(),
        processor.chat_template or tokenizer.chat_template or "",
        json.dumps(tokenizer.get_vocab(), sort_keys=True) if backend is None else backend.to_str(),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _plain(dataset: Dataset) -> dict[str, list[Any]]:
    """The columns as stored, without the transform that opens photos."""
    stored: dict[str, list[Any]] = dataset.with_format("arrow")[:].to_pydict()
    return stored
