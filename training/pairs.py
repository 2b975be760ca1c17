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


class DrawnPairs(IterableDataset[Pair]):
    """An endless stream of drawn cases; each worker draws its own share of the indices.

    Drawing takes far longer than a step of a GPU: each worker keeps its last `kept` cases and yields `replay` of them at
    random for each it draws, so that training, which changes what it sees anew each time, need not wait.
    """

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
        self.seed, self.size, self.references, self.start = seed, size, references, start
        self.split, self.replay, self.kept = SPLITS[split], replay, kept

    def __iter__(self) -> Iterator[Pair]:
        worker = get_worker_info()
        step, index = (worker.num_workers, worker.id) if worker else (1, 0)
        index += self.start
        chosen = random.Random(index)
        recent: list[Pair] = []
        while True:
            pair = self.draw(index)
            index += step
            if len(recent) < self.kept:
                recent.append(pair)
            else:
                recent[chosen.randrange(self.kept)] = pair
            yield pair
            for _ in range(self.replay - 1):
                yield recent[chosen.randrange(len(recent))]

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
