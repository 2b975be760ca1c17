"""Drawn cases as tensors, streamed to the trainer of the eye."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from training.draw.families import FAMILIES
from training.draw.scene import draw_case
from training.draw.splits import SPLITS

Pair = dict[str, Tensor]
_FILLS = frozenset(family.name for family in FAMILIES if family.fills)


class Drawn(IterableDataset[dict[str, Tensor]]):
    """An endless stream of what `draw` draws; each worker draws its own share of the indices.

    Drawing takes far longer than a step of a GPU: each worker keeps the last `kept` and yields `replay` of them at
    random for each it draws, so that training, which changes what it sees anew each time, need not wait.
    """

    def __init__(self, start: int = 0, replay: int = 1, kept: int = 1) -> None:
        self.start, self.replay, self.kept = start, replay, kept

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = get_worker_info()
        step, index = (worker.num_workers, worker.id) if worker else (1, 0)
        index += self.start
        chosen = random.Random(index)
        recent: list[dict[str, Tensor]] = []
        while True:
            fresh = self.draw(index)
            index += step
            if len(recent) < self.kept:
                recent.append(fresh)
            else:
                recent[chosen.randrange(self.kept)] = fresh
            yield fresh
            for _ in range(self.replay - 1):
                yield recent[chosen.randrange(len(recent))]

    def draw(self, index: int) -> dict[str, Tensor]:
        """Number `index`, always the same."""
        raise NotImplementedError


class DrawnPairs(Drawn):
    """Drawn cases."""

    def __init__(
        self,
        seed: int,
        size: int,
        references: int,
        start: int = 0,
        split: str = "train",
        replay: int = 1,
        kept: int = 1,
    ) -> None:
        super().__init__(start, replay, kept)
        self.seed, self.size, self.references, self.split = seed, size, references, SPLITS[split]

    def draw(self, index: int) -> Pair:
        """Case `index`: `photos` (1 + R, 3, H, W) uint8, the test photo first; `mask` (H, W) bool; `still` and `close` as in
        `training.augment.reframe`."""
        case = draw_case(
            (self.seed, index),
            size=self.size,
            anomalous=0.7,
            references=self.references,
            families=self.split.families,
            types=self.split.types,
        )
        photos = torch.from_numpy(np.stack([case.test, *case.references])).permute(0, 3, 1, 2)
        return {
            "photos": photos,
            "mask": torch.from_numpy(case.mask),
            "still": torch.tensor(case.aligned),
            "close": torch.tensor(case.aligned or case.family in _FILLS),
        }
