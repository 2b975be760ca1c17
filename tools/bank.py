"""Banks of normal patches: the greedy choice of few from many, and the distance of a photo's patches to them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.matching import nearest_distance

Array = NDArray[np.float32]

CANDIDATES = 20_000
"""Patches that a global bank is chosen from: a random sample of all, so that time does not grow with the photos."""
PATCHES = 4_000
"""Patches that a global bank is fitted with."""
MOST_PATCHES = 6_000
"""Patches that a global bank may grow to by additions."""
SLOTS = 24
"""Patches a place that a local bank is fitted with, at most."""
ROOM = 8
"""Patches a place that additions may bring on top."""
MOST_BYTES = 18_000_000
"""Of a local bank that is full: fewer patches a place where photos have more places."""
WINDOW = 2
"""Cells that a patch may have moved in local matching."""


@dataclass(frozen=True)
class Bank:
    """Normal patches, each with the photo it came from."""

    patches: Array
    """Rows of length 1. Global: (n, d), compared with every patch. Local: (h, w, k, d), compared with patches at most
    `WINDOW` cells away; places with fewer than k patches are filled with zeros."""
    owners: NDArray[np.int32]
    """Index of the photo of each patch, (n,) or (h, w, k); −1 where a place is not filled."""

    @property
    def local(self) -> bool:
        """Whether a patch is compared with patches nearby only."""
        return self.patches.ndim == 4

    @property
    def full(self) -> bool:
        """Whether nothing can be added."""
        return (
            self.patches.shape[2] >= _most_slots(*self.patches[:, :, 0].shape)
            if self.local
            else len(self) >= MOST_PATCHES
        )

    def __len__(self) -> int:
        """Patches in it."""
        return int((self.owners >= 0).sum())

    def distance(self, features: Array, without: int | None = None) -> Array:
        """Distance of every patch of a photo, (h, w, d), to its nearest normal patch: (h, w) in 0..2.

        Args:
            features: (h, w, d), rows of length 1; for a local bank of its own height and width.
            without: index of a photo whose patches do not count: the photo itself, for its held-out score. A bank
                chosen without the photo would have others in their place, so a thinned bank overstates that score a
                little, on the safe side of the threshold.
        """
        filled = self.owners >= 0
        if without is not None:
            filled &= self.owners != without
        if not filled.any():
            return np.full(features.shape[:2], 2, np.float32)
        if not self.local:
            return nearest_distance(features, self.patches if filled.all() else self.patches[filled])
        if features.shape[:2] != self.patches.shape[:2]:
            raise ValueError(
                f"features of {features.shape[:2]} patches: expected {self.patches.shape[:2]}, as in the bank"
            )
        # Every place of the bank is compared with all patches of the photo it may meet, then each patch takes its best:
        # one product a place, where the other way round would gather a window's whole bank for every patch.
        h, w, k, d = self.patches.shape
        reach = 2 * WINDOW + 1
        padded = np.pad(features, ((WINDOW, WINDOW), (WINDOW, WINDOW), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (reach, reach), (0, 1))
        # In double precision: patches are nearly alike here, and the root of what is left of a cosine magnifies rounding.
        near = windows.reshape(h * w, d, reach * reach).astype(np.float64)
        cosine = self.patches.reshape(h * w, k, d).astype(np.float64) @ near
        cosine[~filled.reshape(h * w, k)] = -1
        best = cosine.max(1).reshape(h, w, reach, reach)
        found = np.full((h + 2 * WINDOW, w + 2 * WINDOW), -1, np.float64)
        for dy in range(reach):
            for dx in range(reach):
                view = found[dy : dy + h, dx : dx + w]
                np.maximum(view, best[:, :, dy, dx], out=view)
        inner = found[WINDOW:-WINDOW, WINDOW:-WINDOW]
        return np.asarray(np.sqrt(np.maximum(2 - 2 * inner, 0)), np.float32)


def coreset(patches: Array, size: int, seed: int = 0) -> np.ndarray:
    """Indices of at most `size` of `patches` (n, d), rows of length 1, spread by the greedy k-centre choice of anomalib's
    PatchCore."""
    if len(patches) <= size:
        return np.arange(len(patches))
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # anomalib imports modules that say they have moved
        from anomalib.models.components import KCenterGreedy

    class UnitVectors(KCenterGreedy):
        """Distances of vectors of length 1 by one matrix-vector product.

        The base makes an (n, d) array a step; between the small tensors that the loop keeps, the holes those leave in
        the heap were never filled again, and a fit to 60 photos took more than 20 GB.
        """

        def update_distances(self, cluster_center: int | torch.Tensor | None) -> None:
            squared = (2 - 2 * (self.features @ self.features[cluster_center])).clamp_(min=0)[:, None]
            self.min_distances = squared if self.min_distances is None else self.min_distances.minimum(squared)

    # Many tiny matrix products: threads cost far more here than they bring.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(seed)
        # The added axis leaves out its random projection, which no seed reaches and so few dimensions do not need.
        embedding = torch.from_numpy(patches)[:, None]
        sampler = UnitVectors(embedding=embedding, sampling_ratio=(size + 0.5) / len(patches))
        return np.asarray(sampler.select_coreset_idxs())
    finally:
        torch.set_num_threads(threads)


def global_bank(photos: Sequence[Array], size: int = PATCHES, seed: int = 0, *, spread: bool = True) -> Bank:
    """Bank of at most `size` patches from anywhere in the photos, each (h, w, d), rows of length 1.

    Spread by `coreset`, or drawn at random: worse, and much faster.
    """
    h, w, d = photos[0].shape
    drawn = np.random.default_rng(seed).permutation(len(photos) * h * w)[: max(CANDIDATES, size)]
    owners, cells = np.divmod(drawn, h * w)
    patches = np.empty((len(drawn), d), np.float32)
    for i, photo in enumerate(photos):
        mine = owners == i
        patches[mine] = photo.reshape(-1, d)[cells[mine]]
    kept = coreset(patches, size, seed) if spread else np.arange(min(size, len(patches)))
    owner = owners[kept].astype(np.int32)
    return Bank(patches[kept], owner)


def local_bank(photos: Sequence[Array], slots: int = SLOTS, seed: int = 0) -> Bank:
    """Bank of at most `slots` patches for each place of the photos, each (h, w, d), rows of length 1.

    The same greedy k-centre choice as in a global bank, at all places of a row at a time.
    """
    h, w, d = photos[0].shape
    n = len(photos)
    owners = np.empty((h, w, min(slots, n, _most_slots(h, w, d) - ROOM)), np.int32)
    patches = np.empty((*owners.shape, d), np.float32)
    first = int(np.random.default_rng(seed).integers(n))
    for y in range(h):
        row = np.stack([photo[y] for photo in photos], 1)  # (w, n, d)
        chosen = np.full(w, first)
        nearest = np.full((w, n), -2, np.float32)
        for k in range(owners.shape[2]):
            owners[y, :, k] = chosen
            patches[y, :, k] = centre = row[np.arange(w), chosen]
            nearest = np.maximum(nearest, (row @ centre[:, :, None])[..., 0])
            nearest[np.arange(w), chosen] = 2  # not again, even where all photos are equal
            chosen = nearest.argmin(1)
    return Bank(patches, owners)


def extended(bank: Bank, photo: Array, owner: int) -> Bank:
    """The bank with the patches of one more photo, (h, w, d), that it does not know yet, as far as there is room."""
    if bank.local:
        patches = np.concatenate([bank.patches, photo[:, :, None]], 2)
        owners = np.concatenate([bank.owners, np.full((*photo.shape[:2], 1), owner, np.int32)], 2)
        return bank if bank.full else Bank(patches, owners)
    # The greedy choice goes on: the farthest first, until none is farther than the bank's patches are from each other.
    flat = photo.reshape(-1, photo.shape[-1])
    nearest = bank.distance(photo).ravel()
    spacing = _spacing(bank.patches)
    added: list[int] = []
    while len(bank) + len(added) < MOST_PATCHES and nearest.max() > spacing:
        added.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.sqrt(np.maximum(2 - 2 * flat @ flat[added[-1]], 0)))
        nearest[added] = 0
    owners = np.concatenate([bank.owners, np.full(len(added), owner, np.int32)])
    return Bank(np.concatenate([bank.patches, flat[added]]), owners)


def _spacing(patches: Array, sample: int = 500) -> float:
    """Median distance of a patch, (n, d), to its nearest neighbour, from an even sample."""
    some = np.linspace(0, len(patches) - 1, min(sample, len(patches))).astype(int)
    cosine = patches[some] @ patches.T
    cosine[np.arange(len(some)), some] = -1
    return float(np.median(np.sqrt(np.maximum(2 - 2 * cosine.max(1), 0))))


def _most_slots(h: int, w: int, d: int) -> int:
    """Patches a place that a local bank has room for."""
    return max(2 * ROOM, min(SLOTS + ROOM, MOST_BYTES // (4 * h * w * d)))
