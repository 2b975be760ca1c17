"""Distances against slow and foreign implementations, calibration, and detectors whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tools.calibration import Calibration
from tools.detector import ZeroShotDetector, zero_shot_map
from tools.matching import nearest_distance, score_of, smoothed, within_distance
from tools.reference import ReferenceDetector

Array = NDArray[np.float32]


def directions(seed: int, *shape: int) -> Array:
    """Random vectors of length 1 along the last axis."""
    vectors = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


# --- distances ---


@pytest.mark.parametrize("seed", range(5))
def test_nearest_distance_is_what_two_loops_find(seed: int) -> None:
    features, bank = directions(seed, 4, 6, 16), directions(seed + 100, 23, 16)
    slow = [[min(float(np.linalg.norm(patch - other)) for other in bank) for patch in row] for row in features]
    found = nearest_distance(features, bank)
    assert found.shape == (4, 6)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, slow, atol=1e-5)


def test_nearest_distance_at_its_ends() -> None:
    bank = directions(0, 5, 8)
    same, opposite = bank.reshape(1, 5, 8), -bank[:1].reshape(1, 1, 8)
    # sqrt(2 - 2 cos) loses half of the digits near 0; it must not become NaN there.
    assert np.all(nearest_distance(same, bank) < 2e-3)
    assert nearest_distance(opposite, bank[:1])[0, 0] == pytest.approx(2)


@pytest.fixture(scope="module")
def patchcore() -> Any:
    """anomalib's PatchCore on features of our own: its backbone passes them through."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # anomalib imports modules that say they have moved
        from anomalib.models.image.patchcore.torch_model import PatchcoreModel
    import torch
    from torch import nn

    class Identity(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Parameter(torch.ones(()))
            self.layer = nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x * self.one)

    class Untouched(nn.Module):
        def forward(self, patch_scores: torch.Tensor, image_size: object) -> torch.Tensor:
            return patch_scores

    model = PatchcoreModel(layers=["layer"], backbone=Identity(), num_neighbors=1)
    model.feature_pooler = nn.Identity()
    model.anomaly_map_generator = Untouched()
    return model.eval()


@pytest.mark.parametrize(("side", "patches", "width"), [(5, 40, 8), (14, 300, 32), (28, 1000, 128)])
def test_nearest_distance_is_the_patch_score_of_anomalibs_patchcore(
    patchcore: Any, side: int, patches: int, width: int
) -> None:
    import torch

    features, bank = directions(side, side, side, width), directions(side + 1, patches, width)
    patchcore.memory_bank = torch.from_numpy(bank)
    out = patchcore(torch.from_numpy(features).permute(2, 0, 1)[None])
    found = nearest_distance(features, bank)
    np.testing.assert_allclose(found, out.anomaly_map[0, 0].numpy(), atol=1e-4)
    assert float(out.pred_score) == pytest.approx(float(found.max()), abs=1e-4)


def slow_within(features: Array, neighbours: int) -> Array:
    h, w, _ = features.shape
    out = np.zeros((h, w), np.float32)
    for y in range(h):
        for x in range(w):
            far = [
                float(np.linalg.norm(features[y, x] - features[v, u]))
                for v in range(h)
                for u in range(w)
                if max(abs(v - y), abs(u - x)) > 2
            ]
            out[y, x] = np.mean(sorted(far)[:neighbours])
    return out


@pytest.mark.parametrize("neighbours", [1, 3, 8])
def test_within_distance_is_what_four_loops_find(neighbours: int) -> None:
    features = directions(7, 8, 9, 12)
    np.testing.assert_allclose(within_distance(features, neighbours), slow_within(features, neighbours), atol=1e-5)


def test_within_distance_finds_the_one_odd_patch_and_pardons_a_repeated_one() -> None:
    features = np.zeros((10, 10, 3), np.float32)
    features[..., 0] = 1
    features[4, 6] = (0, 1, 0)
    rarity = within_distance(features)
    assert np.unravel_index(int(rarity.argmax()), rarity.shape) == (4, 6)
    assert rarity[4, 6] == pytest.approx(np.sqrt(2))
    assert np.all(np.delete(rarity.ravel(), 46) < 1e-3)
    features[::3, ::3] = (0, 1, 0)  # now it is part of a pattern
    assert within_distance(features)[3, 3] < 1e-3


# --- scores ---


@pytest.mark.parametrize(("threshold", "scale"), [(0.9, 0.2), (0.0, 1.0), (1e-3, 1e-5), (-2.0, 30.0)])
def test_unit_rises_from_0_to_1_through_a_half_at_the_threshold(threshold: float, scale: float) -> None:
    calibration = Calibration(threshold, scale, "a test")
    raw = threshold + scale * np.linspace(-25, 25, 301)
    unit = calibration.unit(raw)
    assert np.all(np.diff(unit) > 0)
    assert np.all((unit > 0) & (unit < 1))
    assert float(calibration.unit(threshold)) == 0.5
    # The odds change by a factor of e over one scale.
    assert float(calibration.unit(threshold + scale)) == pytest.approx(1 / (1 + np.exp(-1)))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("raw", [-1e300, -1e9, 1e9, 1e300, float("inf"), float("-inf"), np.float32(3e38)])
def test_unit_is_finite_at_the_extremes(raw: float) -> None:
    unit = float(Calibration(0.5, 1e-6, "a test").unit(raw))
    assert 0 <= unit <= 1
    assert (unit > 0.5) == (raw > 0)


def test_score_leaves_out_the_border_where_the_map_is_large_enough() -> None:
    raw = np.full((8, 8), 0.1, np.float32)
    raw[0, 3] = raw[7, 7] = raw[4, 0] = 9
    assert score_of(raw) == pytest.approx(0.1)
    raw[4, 4] = 0.7
    assert score_of(raw) == pytest.approx(0.7)
    small = np.zeros((4, 12), np.float32)
    small[0, 0] = 1
    assert score_of(small) == 1


def test_smoothing_keeps_an_even_map_and_lowers_a_single_patch() -> None:
    even = np.full((9, 9), 0.4, np.float32)
    np.testing.assert_allclose(smoothed(even), even, atol=1e-6)
    spike = np.zeros((9, 9), np.float32)
    spike[4, 4] = 1
    out = smoothed(spike)
    assert out.dtype == np.float32
    assert out.sum() == pytest.approx(1, abs=1e-3)
    assert 0 < out[4, 4] < 0.3
    assert out.argmax() == spike.argmax()


# --- detectors ---

CALIBRATION = Calibration(0.3, 0.05, "a test")


@pytest.mark.parametrize("size", [(140, 140), (42, 42), (300, 90), (61, 203), (7, 7)])
def test_map_has_the_size_of_the_photo_and_the_units_of_the_score(
    encoder: Any, photos: Any, size: tuple[int, int]
) -> None:
    detector = ReferenceDetector(encoder, [photos.plain()], CALIBRATION)
    # Another colour all over: every patch is equally far from the bank, so map and score must say the same number.
    found = detector.detect(photos.plain(size, (200, 60, 60)))
    assert found.anomaly_map.shape == (size[1], size[0])
    assert found.anomaly_map.dtype == np.float32
    np.testing.assert_allclose(found.anomaly_map, found.score, atol=1e-5)
    assert found.score == pytest.approx(float(CALIBRATION.unit(found.raw)))
    assert found.calibration is CALIBRATION


def test_score_is_the_height_of_the_map(encoder: Any, photos: Any) -> None:
    # Three pixels a patch: the middle pixel of a patch has exactly its value.
    found = ReferenceDetector(encoder, [photos.plain()], CALIBRATION).detect(photos.marked((18, 15, 27, 24), (42, 42)))
    assert float(found.anomaly_map.max()) == pytest.approx(found.score, abs=1e-5)


@pytest.mark.parametrize("cell", [(3, 2), (6, 6), (11, 9), (1, 12)])
def test_one_shot_finds_a_planted_patch(encoder: Any, photos: Any, cell: tuple[int, int]) -> None:
    x, y = cell
    detector = ReferenceDetector(encoder, [photos.plain()], CALIBRATION)
    assert detector.setting == "one-shot"
    good, bad = (
        detector.detect(photos.plain()),
        detector.detect(photos.marked((10 * x, 10 * y, 10 * x + 20, 10 * y + 20))),
    )
    assert good.score < 0.05
    assert bad.score > 0.5
    top, left = np.unravel_index(int(bad.anomaly_map.argmax()), bad.anomaly_map.shape)
    assert 10 * x <= left < 10 * x + 20
    assert 10 * y <= top < 10 * y + 20
    assert bad.anomaly_map[70, 70] > 0.5 if cell == (6, 6) else bad.anomaly_map[70, 70] < 0.05


def test_what_one_reference_shows_is_normal_in_few_shot(encoder: Any, photos: Any) -> None:
    marked = photos.marked((40, 40, 60, 60))
    detector = ReferenceDetector(encoder, [photos.plain(), marked], CALIBRATION)
    assert detector.setting == "few-shot"
    assert detector.bank.shape == (2 * 14 * 14, 3)
    assert detector.detect(marked).score < 0.05


def test_zero_shot_finds_what_is_rare_and_looks_like_damage(encoder: Any, photos: Any) -> None:
    detector = ZeroShotDetector(encoder, CALIBRATION)
    assert detector.setting == "zero-shot"
    box = (80, 30, 100, 50)
    good, bad = detector.detect(photos.plain()), detector.detect(photos.marked(box))
    assert bad.raw > good.raw
    top, left = np.unravel_index(int(bad.anomaly_map.argmax()), bad.anomaly_map.shape)
    assert (80 <= left < 100, 30 <= top < 50) == (True, True)
    # As rare, but not the look of damage.
    assert detector.detect(photos.marked(box, colour=(10, 10, 200))).raw < bad.raw


def test_zero_shot_map_is_finite_where_the_defect_head_is_certain(encoder: Any, photos: Any) -> None:
    seen = encoder.patches(photos.plain())
    defect = seen.defect.copy()
    defect[0, 0], defect[0, 1] = 0, 1
    raw = zero_shot_map(type(seen)(seen.features, defect))
    assert np.all(np.isfinite(raw))
    assert raw[0, 0] < raw[5, 5] < raw[0, 1]
