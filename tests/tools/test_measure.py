"""Measurements of drawn shapes whose size and brightness are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tools.measure import measure_region

SIDE = 200
ALL = (0, 0, SIDE, SIDE)


def tilted(length: float, width: float, angle: float, at: tuple[float, float] = (100, 100)) -> np.ndarray:
    """Mask (200, 200) of a rectangle turned by `angle` degrees, drawn pixel by pixel."""
    ys, xs = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
    a = np.deg2rad(angle)
    u = (xs - at[0]) * np.cos(a) + (ys - at[1]) * np.sin(a)
    v = -(xs - at[0]) * np.sin(a) + (ys - at[1]) * np.cos(a)
    return (np.abs(u) <= length / 2) & (np.abs(v) <= width / 2)


def painted(mask: np.ndarray, inside: int = 60, outside: int = 160) -> np.ndarray:
    return np.repeat(np.where(mask, inside, outside).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("angle", [0, 17, 30, 45, 60, 90, 133])
@pytest.mark.parametrize(("length", "width"), [(60, 20), (90, 6), (40, 40)])
def test_length_width_and_elongation_at_any_angle(length: int, width: int, angle: int) -> None:
    mask = tilted(length, width, angle)
    found = measure_region(painted(mask), mask, ALL)
    assert found.length_px == pytest.approx(length, abs=2.5)
    assert found.width_px == pytest.approx(width, abs=2.5)
    assert found.length_px >= found.width_px
    assert found.elongation == pytest.approx(found.length_px / found.width_px)
    assert found.elongation == pytest.approx(length / width, rel=0.3)
    assert found.area_px == int(mask.sum())
    assert found.area_fraction == pytest.approx(mask.sum() / SIDE**2)


def test_a_rectangle_along_the_axes_is_exact() -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[50:62, 30:80] = True
    found = measure_region(painted(mask), mask, ALL)
    assert (found.length_px, found.width_px, found.area_px) == (50, 12, 600)


@pytest.mark.parametrize("points", [[(20, 20)], [(20, 20), (21, 20)], [(i, i) for i in range(30)]])
def test_lines_and_dots_have_a_width_of_one(points: list[tuple[int, int]]) -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    for x, y in points:
        mask[y, x] = True
    found = measure_region(painted(mask), mask, ALL)
    assert found.width_px == pytest.approx(1, abs=0.01)
    assert found.length_px >= 1
    assert np.isfinite([found.elongation, found.contrast, found.texture_ratio]).all()


@pytest.mark.parametrize(("inside", "outside"), [(60, 160), (200, 100), (128, 128), (0, 255)])
def test_contrast_is_the_difference_of_brightness(inside: int, outside: int) -> None:
    mask = tilted(50, 30, 25)
    found = measure_region(painted(mask, inside, outside), mask, ALL)
    assert found.contrast == pytest.approx((inside - outside) / 255, abs=1e-4)


def test_contrast_is_against_the_near_surround_alone() -> None:
    mask = tilted(40, 40, 0)
    photo = painted(mask, 100, 150)
    photo[:, :40] = 0  # far away
    assert measure_region(photo, mask, ALL).contrast == pytest.approx(-50 / 255, abs=1e-4)


def test_texture_is_one_where_alike_and_more_where_rougher() -> None:
    rng = np.random.default_rng(0)
    mask = tilted(60, 60, 0)
    calm = np.clip(rng.normal(128, 10, (SIDE, SIDE, 1)), 0, 255).repeat(3, 2)
    rough = np.clip(rng.normal(128, 40, (SIDE, SIDE, 1)), 0, 255).repeat(3, 2)
    assert measure_region(calm.astype(np.uint8), mask, ALL).texture_ratio == pytest.approx(1, abs=0.1)
    mixed = np.where(mask[..., None], rough, calm).astype(np.uint8)
    assert measure_region(mixed, mask, ALL).texture_ratio == pytest.approx(4, rel=0.15)


def test_only_what_lies_in_the_box_is_measured() -> None:
    mask = tilted(20, 20, 0, (50, 50)) | tilted(30, 10, 0, (150, 150))
    found = measure_region(painted(mask), mask, (100, 100, SIDE, SIDE))
    assert (found.length_px, found.width_px) == (31, 11)


def test_a_mask_without_a_surround_has_no_contrast() -> None:
    found = measure_region(painted(np.ones((SIDE, SIDE), bool)), np.ones((SIDE, SIDE), bool), ALL)
    assert found.contrast == 0
    assert found.area_fraction == 1


def test_an_empty_box_is_refused() -> None:
    mask = tilted(20, 20, 0)
    with pytest.raises(ValueError, match=r"box \(0, 0, 10, 10\): no pixel of the region lies in it"):
        measure_region(painted(mask), mask, (0, 0, 10, 10))


def test_an_ellipse_measures_its_axes() -> None:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.ellipse(mask, (100, 100), (40, 15), 30, 0, 360, 1, -1)
    found = measure_region(painted(mask > 0), mask > 0, ALL)
    assert found.length_px == pytest.approx(81, abs=2)
    assert found.width_px == pytest.approx(31, abs=2)
