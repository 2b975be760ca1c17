import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tools.golden import AGREEMENT, Registration, departure, fine_size, pixels, register

SIDE = 192


def board(seed: int, side: int = SIDE) -> NDArray[np.uint8]:
    """A layout of dark and bright rectangles; another seed is another layout."""
    rng = np.random.default_rng(seed)
    out = np.full((side, side, 3), 120, np.uint8)
    for _ in range(60):
        x, y = (int(v) for v in rng.integers(0, side - 12, 2))
        w, h = (int(v) for v in rng.integers(8, 40, 2))
        out[y : y + h, x : x + w] = rng.integers(40, 220, 3)
    return out


def photo(scene: NDArray[np.uint8], seed: int, gain: float = 1.0) -> NDArray[np.uint8]:
    """With sensor noise, under another light."""
    noise = np.random.default_rng([seed, 9]).normal(0, 4, scene.shape)
    return np.clip(scene * gain + noise, 0, 255).astype(np.uint8)


def moved(scene: NDArray[np.uint8], angle: float, scale: float, shift: tuple[float, float]) -> NDArray[np.uint8]:
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), angle, scale)
    matrix[:, 2] += shift
    return np.asarray(cv2.warpAffine(scene, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT_101), np.uint8)


def test_the_same_scene_is_aligned_under_noise_and_other_light() -> None:
    found = register(photo(board(1), 1), photo(board(1), 2, gain=0.8))
    assert found.aligned
    assert np.abs(found.matrix - np.eye(2, 3)).max() < 0.3


@pytest.mark.parametrize("shift", [(5.0, -3.0), (-14.0, 9.0)])
def test_a_shift_is_found_to_half_a_pixel(shift: tuple[float, float]) -> None:
    found = register(photo(moved(board(1), 0, 1, shift), 1), photo(board(1), 2))
    assert found.aligned
    assert found.matrix[:, 2] == pytest.approx([-shift[0], -shift[1]], abs=0.6)


def test_a_small_turn_and_scale_is_undone() -> None:
    turned = photo(moved(board(1), 3, 1.02, (2, 2)), 1)
    found = register(turned, photo(board(1), 2))
    assert found.aligned
    centre = found.matrix @ [SIDE / 2 + 2, SIDE / 2 + 2, 1]
    assert centre == pytest.approx([SIDE / 2, SIDE / 2], abs=1)


@pytest.mark.parametrize("seed", range(2, 8))
def test_another_layout_is_not_aligned(seed: int) -> None:
    assert register(photo(board(1), 1), photo(board(seed), 2)).agreement < AGREEMENT - 0.2


def test_nothing_can_be_said_of_plain_or_tiny_photos() -> None:
    plain = np.full((SIDE, SIDE, 3), 128, np.uint8)
    assert not register(photo(plain, 1), photo(plain, 2)).aligned
    assert not register(plain, plain).aligned
    assert not register(board(1)[:16, :16], board(1)[:16, :16]).aligned


def test_a_defect_stands_out_and_is_placed_to_a_few_pixels() -> None:
    scene = photo(board(1), 1)
    scene[100:110, 60:66] = 255
    golden = photo(board(1), 2, gain=0.85)
    off = departure(scene, golden, register(scene, golden))
    y, x = np.unravel_index(int(off.argmax()), off.shape)
    assert 98 <= y < 112
    assert 58 <= x < 68
    assert off.shape == (SIDE, SIDE)
    good = photo(board(1), 3)
    assert off.max() > departure(good, golden, register(good, golden)).max() + 0.5


def test_what_the_photo_lacks_counts_as_what_it_has_too_much() -> None:
    scene = np.full((SIDE, SIDE, 3), 120, np.uint8)
    scene[20:170:30, 20:170] = 40
    golden = scene.copy()
    golden[95:105, 60:70] = 220  # a part that is missing on the photo
    off = departure(scene, golden, register(scene, golden))
    assert off[90:110, 55:75].max() == off.max() > 0.5


def test_edges_may_lie_a_pixel_off() -> None:
    def squares(grown: int) -> NDArray[np.uint8]:
        out = np.full((SIDE, SIDE, 3), 120, np.uint8)
        for n in range(20, 160, 40):
            cv2.rectangle(out, (n - grown, n - grown), (n + 24 + grown, n + 24 + grown), (30, 30, 30), -1)
        return out

    still = Registration(np.eye(2, 3), 1.0)
    little, much = (departure(squares(n), squares(0), still).max() for n in (1, 5))
    assert little < 0.6 * much


def test_where_the_reference_does_not_reach_nothing_is_said() -> None:
    scene, golden = moved(board(1), 0, 1, (30, 0)), board(1)
    scene[:, :24] = np.random.default_rng(0).integers(0, 255, (SIDE, 24, 3))
    found = register(scene, golden)
    assert found.aligned
    assert departure(scene, golden, found)[:, :16].max() < 0.01


def test_large_photos_are_compared_at_a_bounded_size() -> None:
    large = Image.new("RGB", (1280, 640))
    assert fine_size(large) == (320, 160)
    assert pixels(large, (320, 160)).shape == (160, 320, 3)
    assert fine_size(Image.new("RGB", (224, 100))) == (224, 100)
