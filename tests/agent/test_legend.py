"""The legend: lengths that are round and true, words that fit, nothing over the photo."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from agent.render.legend import length_text, round_length, with_legend
from agent.render.overlay import heat_table


@pytest.mark.parametrize(
    ("longest", "length"),
    [(1, 1), (1.99, 1), (2, 2), (4.9, 2), (5, 5), (99, 50), (100, 100), (0.03, 0.02), (0.0007, 0.0005), (1e6, 1e6)],
)
def test_round_length(longest: float, length: float) -> None:
    assert round_length(longest) == pytest.approx(length)


@pytest.mark.parametrize(
    ("length", "unit", "shown"),
    [
        (50.0, "px", "50 px"),
        (0.5, "mm", "0.5 mm"),
        (0.002, "mm", "2 µm"),
        (0.00005, "mm", "0.05 µm"),
        (1e6, "mm", "1000000 mm"),
    ],
)
def test_length_text(length: float, unit: str, shown: str) -> None:
    assert length_text(length, unit) == shown


def bar_length(picture: Image.Image) -> int:
    """Pixels of the scale bar of a lying legend: the longest white run in the strip's right half."""
    strip = np.asarray(picture.convert("L"), int)[500:, picture.width // 2 :]
    return max(int((row == 255).sum()) for row in strip)


@pytest.mark.parametrize(
    ("zoom", "mm_per_px", "expected"), [(1.0, None, 100), (4.0, None, 80), (1.0, 0.1, 100), (2.0, 0.03, 133)]
)
def test_scale_bar_is_as_long_as_it_says(zoom: float, mm_per_px: float | None, expected: int) -> None:
    picture = with_legend(Image.new("RGB", (620, 500)), heat_table(), zoom=zoom, mm_per_px=mm_per_px)
    assert abs(bar_length(picture) - expected) <= 3


def test_a_pixel_longer_than_the_strip_has_no_bar() -> None:
    picture = with_legend(Image.new("RGB", (620, 500)), heat_table(), zoom=500.0)
    assert bar_length(picture) < 20


@pytest.mark.parametrize("size", [(512, 512), (427, 512), (512, 40), (40, 512), (4096, 3072), (512, 427), (1, 512)])
def test_words_and_bars_stay_inside_the_strip(size: tuple[int, int]) -> None:
    picture = np.asarray(with_legend(Image.new("RGB", size), heat_table(), mm_per_px=0.05), int)
    upright = size[1] > 1.2 * size[0]
    strip = picture[:, size[0] :] if upright else picture[size[1] :]
    drawn = np.argwhere((strip != (16, 19, 24)).any(-1))
    assert len(drawn) > 100
    assert drawn.min() > 0
    assert (drawn.max(0) < np.array(strip.shape[:2]) - 1).all()
