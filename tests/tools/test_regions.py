"""Regions of a heat map and words for places."""

from __future__ import annotations

import numpy as np
import pytest

from tools.regions import PLACES, find_regions, place_of, place_of_box


def heat(*spots: tuple[int, int, int, int, float], size: tuple[int, int] = (40, 60)) -> np.ndarray:
    """A map (H, W) with boxes x0, y0, x1, y1 of a value each."""
    out = np.full(size, 0.1, np.float32)
    for x0, y0, x1, y1, value in spots:
        out[y0:y1, x0:x1] = value
    return out


def test_no_region_where_nothing_reaches_the_level() -> None:
    assert find_regions(heat()) == []


def test_a_region_has_its_box_its_mask_and_its_peak() -> None:
    found = heat((10, 5, 14, 12, 0.6))
    found[7, 12] = 0.95
    (region,) = find_regions(found)
    assert region.box == (10, 5, 14, 12)
    assert region.peak == pytest.approx(0.95)
    np.testing.assert_array_equal(region.mask, found >= 0.5)
    assert all(type(v) is int for v in region.box)


def test_the_level_itself_counts() -> None:
    assert len(find_regions(heat((3, 3, 5, 5, 0.5)))) == 1
    assert len(find_regions(heat((3, 3, 5, 5, 0.5)), level=0.51)) == 0


def test_strongest_first_and_no_more_than_the_limit() -> None:
    spots = [(8 * i, 4, 8 * i + 4, 8, 0.55 + 0.05 * i) for i in range(7)]
    peaks = [round(r.peak, 2) for r in find_regions(heat(*spots), limit=3)]
    assert peaks == [0.85, 0.8, 0.75]
    assert len(find_regions(heat(*spots))) == 5


def test_two_boxes_that_touch_are_one_region_and_masks_never_overlap() -> None:
    assert len(find_regions(heat((0, 0, 5, 5, 0.7), (5, 0, 9, 5, 0.9)))) == 1
    a, b = find_regions(heat((0, 0, 5, 5, 0.7), (7, 0, 9, 5, 0.9)))
    assert not (a.mask & b.mask).any()
    assert b.box == (0, 0, 5, 5)


def test_a_map_that_is_hot_all_over_is_one_region() -> None:
    (region,) = find_regions(np.ones((30, 20), np.float32))
    assert region.box == (0, 0, 20, 30)
    assert region.mask.all()


def test_the_nine_places_in_reading_order() -> None:
    assert PLACES == (
        "upper left", "upper centre", "upper right",
        "middle left", "centre", "middle right",
        "lower left", "lower centre", "lower right",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("x", "y", "place"),
    [
        (0, 0, "upper left"),
        (299, 0, "upper right"),
        (150, 75, "centre"),
        (99.9, 149, "lower left"),
        (100, 50, "centre"),
        (200, 49.9, "upper right"),
        (300, 150, "lower right"),  # a box's end is exclusive, so a middle can lie on the border
        (-5, 400, "lower left"),
    ],
)
def test_places_of_points_in_a_wide_photo(x: float, y: float, place: str) -> None:
    assert place_of(x, y, 300, 150) == place


def test_the_place_of_a_box_is_that_of_its_middle() -> None:
    assert place_of_box((0, 0, 300, 150), 300, 150) == "centre"
    assert place_of_box((210, 0, 290, 40), 300, 150) == "upper right"
    assert place_of_box((0, 0, 1, 1), 1, 1) == "centre"
