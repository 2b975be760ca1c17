import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tools.calibration import Calibration
from tools.detector import DetectorError
from tools.matching import nearest_distance, smoothed
from tools.reference import ReferenceDetector

SPLIT, WHOLE = Calibration(0.5, 0.1, "apart"), Calibration(2.0, 0.5, "aligned")
SIDE = 168


class Colours:
    """An eye that sees mean colours alone: what is small escapes it."""

    revision = "colours"

    def patches(self, image: Image.Image, side: int | None = None) -> "Seen":
        colour = np.asarray(image.resize((14, 14), Image.Resampling.BOX), np.float32) + 1
        return Seen(colour / np.linalg.norm(colour, axis=-1, keepdims=True))


class Seen:
    def __init__(self, features: NDArray[np.float32]) -> None:
        self.features, self.defect = features, np.zeros(features.shape[:2], np.float32)


def scene(
    seed: int, noise: int = 0, mark: tuple[int, int] | None = None, size: tuple[int, int] = (SIDE, SIDE)
) -> Image.Image:
    """Grey rectangles, laid out by `seed`; a mark is grey too, so that a colour tells nothing."""
    rng = np.random.default_rng(seed)
    out = np.full((SIDE, SIDE), 120.0)
    for _ in range(50):
        x, y = (int(v) for v in rng.integers(0, SIDE - 12, 2))
        w, h = (int(v) for v in rng.integers(8, 36, 2))
        out[y : y + h, x : x + w] = rng.integers(40, 220)
    if mark:
        out[mark[1] : mark[1] + 8, mark[0] : mark[0] + 8] = 250
    out += np.random.default_rng([seed, noise]).normal(0, 2, out.shape)
    grey = np.clip(out, 0, 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB").resize(size)


def detector(*references: Image.Image) -> ReferenceDetector:
    return ReferenceDetector(Colours(), references, SPLIT, WHOLE)


def test_an_aligned_reference_shows_what_the_features_miss() -> None:
    one = detector(scene(1, noise=1))
    good, bad = one.detect(scene(1, noise=2)), one.detect(scene(1, noise=3, mark=(70, 100)))
    assert bad.raw > good.raw + 0.1
    y, x = np.unravel_index(int(bad.anomaly_map.argmax()), bad.anomaly_map.shape)
    assert 66 <= x < 82
    assert 96 <= y < 112
    assert bad.calibration is WHOLE
    assert bad.anomaly_map.shape == (SIDE, SIDE)


def test_a_reference_that_is_not_aligned_is_matched_by_features_alone() -> None:
    one, test = detector(scene(1)), scene(2)
    assert not one.aligned(test)
    assert one.detect(test).calibration is SPLIT
    seen, bank = (Colours().patches(photo).features for photo in (test, scene(1)))
    np.testing.assert_array_equal(one.raw_map(test), smoothed(nearest_distance(seen, bank.reshape(-1, bank.shape[-1]))))


def test_of_several_references_the_aligned_one_counts() -> None:
    test = scene(1, noise=2, mark=(70, 100))
    several = detector(scene(2), scene(1, noise=1), scene(3))
    assert several.setting == "few-shot"
    assert several.aligned(test)
    assert several.detect(test).raw == pytest.approx(detector(scene(1, noise=1)).detect(test).raw, abs=0.01)


def test_a_reference_with_the_same_mark_explains_it() -> None:
    test = scene(1, noise=2, mark=(70, 100))
    plain = detector(scene(1, noise=1), scene(1, noise=3))
    marked = detector(scene(1, noise=1), scene(1, noise=3, mark=(70, 100)))
    assert marked.detect(test).raw < plain.detect(test).raw - 0.1


def test_a_reference_of_another_size_is_brought_to_the_photos() -> None:
    assert detector(scene(1, size=(336, 336))).aligned(scene(1, noise=2))


def test_a_reference_of_another_shape_is_not_aligned() -> None:
    assert not detector(scene(1, size=(240, 168))).aligned(scene(1, noise=2))


def test_one_calibration_serves_both() -> None:
    alone = ReferenceDetector(Colours(), [scene(1)], SPLIT)
    assert alone.detect(scene(1, noise=2)).calibration is SPLIT


def test_no_reference_is_refused() -> None:
    with pytest.raises(DetectorError, match=r"references: none given.*zero-shot"):
        detector()
