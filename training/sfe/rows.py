"""Drawn cases as rows for TRL, endless: in a new order and in new words every time round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from datasets import IterableDataset, load_from_disk
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import get_worker_info

from agent.vlm.prompt import INSTRUCTIONS, Views
from knowledge.facts import shipped_pack
from training.cases import read_case, without_photos
from training.draw.noise import Rng
from training.draw.scene import Case
from training.fact_index import FactIndex
from training.story import Looks
from training.text import SHARE, Example, Writer

POOL = 8
"""Batches gathered ahead, among which rows are sorted by length."""
Photo = NDArray[np.uint8] | Image.Image


@dataclass(frozen=True)
class Telling:
    """How a drawn case becomes rows."""

    images: bool
    tasks: tuple[str, ...]
    times: int
    facts: bool = True
    references: bool = True
    unseen: tuple[str, ...] = ()
    """Tasks told without photos though others are told with them."""

    @property
    def rows(self) -> float:
        """Rows of a case, on average."""
        return self.times * sum(SHARE[task] for task in self.tasks)


def endless(folder: str, seed: int, telling: Telling, batch: int, told: int, workers: int) -> IterableDataset:
    """`rows` as a stream that a loader's `workers` share; the first `told` rows, about, are left out."""
    streams = max(1, workers)
    return IterableDataset.from_generator(
        rows,
        gen_kwargs={
            "folder": folder,
            "seed": seed,
            "telling": telling,
            "batch": batch,
            "skip": int(told / telling.rows),
            "shards": list(range(streams)),
            "streams": streams,
        },
    )


def rows(
    folder: str, seed: int, telling: Telling, batch: int, skip: int, shards: list[int], streams: int
) -> Iterator[dict[str, Any]]:
    """Prompt-completion rows over the kept cases.

    Rows come in runs of `batch` of like length, so that little of a batch is padding.

    Args:
        folder: of `training.cases.kept_cases`.
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
        cases = without_photos(cases)
    writer, taken = Writer(FactIndex(shipped_pack()), telling.facts, telling.tasks), skip + shards[0]
    pool: list[dict[str, Any]] = []
    while True:
        around, position = divmod(taken, len(cases))
        order = np.random.default_rng([seed, around, 1]).permutation(len(cases))
        case, found = read_case(cases[int(order[position])])
        rng = np.random.default_rng([seed, taken, 2])
        pool += case_rows(case, found, writer, rng, telling)
        taken += streams
        if len(pool) >= POOL * batch:
            batches, pool = _batches(pool, batch, rng)
            for i in rng.permutation(len(batches)):
                yield from batches[i]


def _batches(
    pool: list[dict[str, Any]], batch: int, rng: Rng
) -> tuple[list[list[dict[str, Any]]], list[dict[str, Any]]]:
    """Batches of rows of like length, photos in all of them or in none, and the rows that are left."""
    batches, left = [], []
    for some in ([row for row in pool if row.get("images")], [row for row in pool if not row.get("images")]):
        mixed = [some[i] for i in rng.permutation(len(some))]
        whole = len(mixed) // batch * batch
        even = sorted(mixed[:whole], key=lambda row: len(row["prompt"][-1]["content"][-1]["text"]))
        batches += [even[i : i + batch] for i in range(0, whole, batch)]
        left += mixed[whole:]
    return batches, left


def case_rows(case: Case, found: Looks, writer: Writer, rng: Rng, telling: Telling) -> Iterator[dict[str, Any]]:
    """The rows of one case, in the words of this `rng`."""
    if not telling.references:
        case = replace(case, references=())
    for _ in range(telling.times):
        for example in writer.examples(case, found, rng):
            if example.task in telling.tasks:
                seen = telling.images and example.task not in telling.unseen
                made = row(example, case, found, seen)
                # Rows of one stream have the same columns.
                yield made if seen or not telling.images else made | {"images": []}


def row(example: Example, case: Case, found: Looks, images: bool = True) -> dict[str, Any]:
    """An example in TRL's conversational prompt-completion form, images beside it."""
    photos: list[Photo] = []
    if images:
        photos = [case.test, *case.references[: example.views.references]]
        close_up = found.close_up if example.close_up is None else example.close_up
        if example.views.close_up and close_up is not None:
            photos.append(close_up)
    return conversation(example.text, example.reply, photos, example.views) | {
        "task": example.task,
        "anomalous": case.anomalous,
    }


def conversation(text: str, reply: str, photos: Sequence[Photo], views: Views) -> dict[str, Any]:
    """What the agent puts before a model, and the reply to learn; the photos labelled as `views` says.

    Text alone keeps the labels: whether there is a reference decides what can be answered.
    """
    image = [{"type": "image"}] if photos else []
    content = [part for label in views.labels() for part in ({"type": "text", "text": label}, *image)]
    made: dict[str, Any] = {
        "prompt": [
            {"role": "system", "content": [{"type": "text", "text": INSTRUCTIONS}]},
            {"role": "user", "content": [*content, {"type": "text", "text": text}]},
        ],
        "completion": [{"role": "assistant", "content": [{"type": "text", "text": reply}]}],
    }
    if photos:
        made["images"] = [photo if isinstance(photo, Image.Image) else Image.fromarray(photo) for photo in photos]
    return made
