"""Banks: the greedy choice, local matching against loops, owners left out, and additions up to a bound."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import tools.bank
from tools.bank import WINDOW, Bank, coreset, extended, global_bank, local_bank

Array = NDArray[np.float32]


def directions(seed: int, *shape: int) -> Array:
    """Random vectors of length 1 along the last axis."""
    vectors = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_coreset_is_spread_and_repeatable() -> None:
    crowd = unit(np.full(9, 1.0) + np.random.default_rng(0).normal(0, 0.01, (400, 9)))
    loners = np.eye(9, dtype=np.float32)[:8]
    patches = np.concatenate([crowd, loners])
    kept = coreset(patches, 40)
    assert len(set(kept.tolist())) == 40
    assert set(range(400, 408)) <= set(kept.tolist())
    np.testing.assert_array_equal(kept, coreset(patches, 40))
    np.testing.assert_array_equal(coreset(patches, 408), np.arange(408))


def test_coreset_is_anomalibs_own_choice() -> None:
    import torch
    from anomalib.models.components import KCenterGreedy

    patches = unit(np.random.default_rng(3).normal(size=(500, 16)))
    torch.manual_seed(7)
    theirs = KCenterGreedy(torch.from_numpy(patches)[:, None], 60.5 / 500).select_coreset_idxs()
    np.testing.assert_array_equal(coreset(patches, 60, seed=7), theirs)


@pytest.mark.parametrize("without", [None, 2])
def test_local_distance_is_what_loops_find_nearby(without: int | None) -> None:
    owners = np.random.default_rng(1).integers(-1, 4, (7, 6, 3)).astype(np.int32)
    bank, features = Bank(directions(0, 7, 6, 3, 16), owners), directions(1, 7, 6, 16)
    slow = np.full((7, 6), 2.0)
    for y, x, v, u, k in np.ndindex(7, 6, 7, 6, 3):
        if max(abs(v - y), abs(u - x)) <= WINDOW and owners[v, u, k] not in (-1, without):
            slow[y, x] = min(slow[y, x], np.linalg.norm(features[y, x] - bank.patches[v, u, k]))
    np.testing.assert_allclose(bank.distance(features, without), slow, atol=1e-4)


def test_a_photo_left_out_is_scored_as_by_a_bank_without_it() -> None:
    photos = [directions(i, 5, 5, 8) for i in range(4)]
    for build in (global_bank, local_bank):
        bank, others = build(photos), build(photos[:2] + photos[3:])
        np.testing.assert_allclose(bank.distance(photos[2], 2), others.distance(photos[2]), atol=1e-5)
        assert bank.distance(photos[2]).max() < 2e-3


def test_local_matching_is_strict_about_places() -> None:
    photo = np.zeros((9, 9, 2), np.float32)
    photo[..., 0] = 1
    photo[1, 1] = (0, 1)
    moved = np.roll(photo, (1, 2), (0, 1))
    far = np.roll(photo, (5, 5), (0, 1))
    bank = local_bank([photo])
    assert bank.distance(moved).max() < 1e-3
    assert bank.distance(far).max() == pytest.approx(np.sqrt(2))
    assert global_bank([photo]).distance(far).max() < 1e-3


def test_a_local_bank_refuses_another_grid() -> None:
    with pytest.raises(ValueError, match="expected"):
        local_bank([directions(0, 5, 5, 8)]).distance(directions(0, 6, 6, 8))


def test_local_bank_keeps_the_rare_looks_of_every_place() -> None:
    photos = [directions(0, 1, 1, 8).repeat(6, 0).repeat(6, 1) for _ in range(30)]
    photos[17] = directions(1, 1, 1, 8).repeat(6, 0).repeat(6, 1)
    bank = local_bank(photos, slots=4)
    assert bank.patches.shape == (6, 6, 4, 8)
    assert (bank.owners == 17).any(2).all()
    assert all(len(set(place.tolist())) == 4 for place in bank.owners.reshape(-1, 4))


def test_global_bank_is_bounded_and_knows_the_owners() -> None:
    photos = [directions(i, 6, 6, 8) for i in range(5)]
    bank = global_bank(photos, size=50)
    assert len(bank) == 50
    for patch, owner in zip(bank.patches, bank.owners, strict=True):
        assert np.abs(photos[owner].reshape(-1, 8) - patch).sum(1).min() == 0


def test_additions_bring_what_is_new_up_to_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    photos = [directions(i, 6, 6, 8) for i in range(3)]
    bank = global_bank(photos)
    assert len(extended(bank, photos[0], 3)) == len(bank)
    stranger = directions(99, 6, 6, 8)
    larger = extended(bank, stranger, 3)
    assert len(bank) < len(larger) <= len(bank) + 36
    assert larger.distance(stranger).max() < bank.distance(stranger).max()
    monkeypatch.setattr(tools.bank, "MOST_PATCHES", len(bank) + 2)
    assert len(extended(bank, stranger, 3)) == len(bank) + 2
    assert extended(bank, stranger, 3).full


def test_additions_to_a_local_bank_stop_at_the_bound() -> None:
    bank, count = local_bank([directions(i, 6, 6, 8) for i in range(40)]), 0
    assert bank.patches.shape[2] == tools.bank.SLOTS
    while not bank.full:
        bank, count = extended(bank, directions(100 + count, 6, 6, 8), 40 + count), count + 1
    assert count == tools.bank.ROOM
    assert bank.distance(directions(100, 6, 6, 8)).max() < 2e-3


@pytest.mark.parametrize("cells", [28, 40, 56])
def test_a_full_bank_fits_in_20_megabytes(cells: int) -> None:
    photos = [np.zeros((cells, cells, 128), np.float32)] * 30
    bank = local_bank(photos)
    full = bank.patches.nbytes / bank.patches.shape[2] * tools.bank._most_slots(cells, cells, 128)
    assert full < 19e6 or cells == 56
    assert tools.bank.MOST_PATCHES * 128 * 4 < 19e6
