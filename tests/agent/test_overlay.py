"""The overlay: the part stays visible, the threshold and the boxes show, the legend lies beside the photo."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from reports import drawn_photo, hot_corner

from agent.render.overlay import MAX_SIDE, MIN_SIDE, THRESHOLD, heat_table, heatmap_png, overlay


def test_heat_table_gets_brighter_and_more_opaque() -> None:
    table = heat_table().astype(float)
    assert table.shape == (256, 4)
    luma = table[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luma) > -1).all()
    assert luma[255] - luma[0] > 200
    assert (np.diff(table[:, 3]) >= 0).all()
    assert table[:77, 3].max() == 0  # well below the threshold the photo shows as it is
    assert table[255, 3] < 0.7 * 255  # and even the worst place lets it through
    assert table[128, 3] > 0.2 * 255  # while the threshold shows


def test_heat_table_is_inferno() -> None:
    colours = pytest.importorskip("matplotlib").colormaps["inferno"](np.arange(256))[:, :3]
    assert np.abs(heat_table()[:, :3] / 255 - colours).max() < 0.5 / 255 + 1e-9


def test_photo_is_untouched_where_scores_are_low_and_coloured_where_high() -> None:
    photo = drawn_photo()
    picture = np.asarray(overlay(photo, hot_corner()), int)[:480, :640]
    change = np.abs(picture - np.asarray(photo, int)).sum(axis=2)
    assert change[200:, 260:].max() == 0
    assert change[10:140, 10:190].min() > 60


def test_low_scores_change_nothing_at_all() -> None:
    photo = drawn_photo()
    picture = overlay(photo, np.full((60, 80), 0.3, np.float32))
    assert np.array_equal(np.asarray(picture)[:480, :640], np.asarray(photo))


def test_outline_follows_the_threshold() -> None:
    photo = Image.new("RGB", (640, 480))
    scores = np.tile(np.linspace(0, 1, 640, dtype=np.float32), (480, 1))
    row = np.asarray(overlay(photo, scores), int)[240, :640].min(axis=1)
    assert abs(int(row.argmax()) - THRESHOLD * 640) <= 2
    assert row.max() > 200


@pytest.mark.parametrize(
    "size", [(32, 32), (640, 480), (40, 600), (600, 40), (4000, 30), (1, 1), (4000, 3000), (5000, 100)]
)
def test_any_size_and_no_legend_over_the_photo(size: tuple[int, int]) -> None:
    photo = Image.new("RGB", size, (200, 0, 0))
    picture = overlay(photo, np.zeros((7, 9), np.float32))
    zoom = min(max(*size, MIN_SIDE), MAX_SIDE) / max(size)
    width, height = (max(1, round(side * zoom)) for side in size)
    assert picture.width >= width
    assert picture.height >= height
    assert picture.width > width or picture.height > height
    assert (np.asarray(picture)[:height, :width] == (200, 0, 0)).all()


def test_boxes_lie_around_the_place_they_name() -> None:
    photo = Image.new("RGB", (64, 64), (128, 128, 128))
    picture = np.asarray(overlay(photo, np.zeros((64, 64), np.float32), [(16, 16, 48, 48)]), int)
    changed = np.argwhere((picture[:512, :512] != 128).any(axis=2))
    assert changed.min() >= 16 * 8 - 40
    assert changed.max() <= 48 * 8 + 40
    assert (picture[16 * 8 : 48 * 8, 16 * 8 : 48 * 8] == 128).mean() > 0.98
    assert (picture[:512, :512] == (64, 224, 255)).all(axis=2).any()


def test_boxes_off_the_photo_or_empty_do_not_fail() -> None:
    boxes = [
        (-50, -50, 10, 10),
        (600, 400, 9000, 9000),
        (5000, 5000, 5001, 5001),
        (7, 7, 7, 7),
        (0, 0, 640, 480),
    ]
    assert overlay(drawn_photo(), hot_corner(), boxes * 5).mode == "RGB"


@pytest.mark.parametrize(
    "scores",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4), np.float32),
        np.full((4, 4), 1.5, np.float32),
        np.full((4, 4), np.nan, np.float32),
    ],
)
def test_a_wrong_map_is_refused_by_name(scores: np.ndarray) -> None:
    with pytest.raises(ValueError, match="anomaly_map: expected"):
        overlay(drawn_photo(), scores)
    with pytest.raises(ValueError, match="anomaly_map: expected"):
        heatmap_png(scores)


def test_heatmap_keeps_16_bits_through_a_file() -> None:
    scores = np.random.default_rng(0).random((33, 47), np.float32)
    scores[0, :3] = (0.0, 0.5, 1.0)
    file = io.BytesIO()
    heatmap_png(scores).save(file, "PNG")
    read = np.asarray(Image.open(file))
    assert read.dtype == np.uint16
    assert read.shape == scores.shape
    assert read[0, 0] == 0
    assert read[0, 2] == 65535
    assert np.abs(read / 65535 - scores).max() <= 0.5 / 65535 + 1e-7


def test_threshold_shows_on_white_and_on_black() -> None:
    scores = np.zeros((50, 50), np.float32)
    scores[15:35, 15:35] = 0.51  # just above, where the heat is faint
    for colour in ("white", "black"):
        row = np.asarray(overlay(Image.new("RGB", (500, 500), colour), scores).convert("L"), int)[256, :512]
        assert np.ptp(row[140:170]) > 150


def test_legend_scale_is_in_millimetres_where_the_photo_has_a_scale() -> None:
    photo = Image.new("RGB", (512, 512))
    heat = np.zeros((4, 4), np.float32)
    in_pixels, in_mm = overlay(photo, heat), overlay(photo, heat, mm_per_px=0.03)
    assert in_pixels.size == in_mm.size
    assert in_pixels.tobytes() != in_mm.tobytes()
