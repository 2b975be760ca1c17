"""The photo with its heat map, threshold outline and numbered boxes, and the heat map as a file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from agent.render.legend import THRESHOLD, unit_of, with_legend

Box = tuple[int, int, int, int]
_Place = tuple[float, float, float, float]

TRANSPARENT_BELOW = 0.35
"""Scores up to here leave the photo as it is; faint stains of colour would look like dirt on the part."""
MIN_SIDE, MAX_SIDE = 512, 4096
"""The long side of the photo in the picture, in pixels."""
_MAX_OPACITY = 0.6

_DARK = (16, 19, 24)
_BOX = (64, 224, 255)  # cyan: the one bright hue that inferno lacks


@cache
def heat_table() -> NDArray[np.uint8]:
    """(256, 4) uint8 RGBA: colour and opacity of the scores 0/255, 1/255, ..., 1.

    Inferno, a perceptually uniform map (Smith and van der Walt, SciPy 2015), from OpenCV: Matplotlib holds the same
    values and takes thirty times as long to import.
    """
    import cv2

    index = np.arange(256, dtype=np.uint8)
    colours = cv2.applyColorMap(index[:, None], cv2.COLORMAP_INFERNO)[:, 0, ::-1]  # OpenCV's order is BGR
    rise = np.clip((index / 255 - TRANSPARENT_BELOW) / (1 - TRANSPARENT_BELOW), 0, 1)
    # Faster at first: the reds just above the threshold must show, and the worst place must not be painted over.
    opacity = 255 * _MAX_OPACITY * rise**0.6
    table = np.column_stack([colours, opacity.round()]).astype(np.uint8)
    table.setflags(write=False)
    return table


def overlay(
    photo: Image.Image,
    anomaly_map: NDArray[np.float32],
    boxes: Sequence[Box] = (),
    *,
    mm_per_px: float | None = None,
) -> Image.Image:
    """Draw what was found, where, onto the photo.

    Args:
        photo: The photo, RGB.
        anomaly_map: (H, W) float32 in 0..1, 0.5 at the threshold; any size, stretched over the photo.
        boxes: x0, y0, x1, y1 in pixels of `photo`, x1 and y1 exclusive; numbered from 1 in this order.
        mm_per_px: Scale of `photo`; the scale bar is in millimetres with it and in pixels without.

    Returns:
        RGB. The photo is at (0, 0), scaled so that its long side lies in MIN_SIDE..MAX_SIDE; colour bar and scale
        bar are a strip below it, or at its right where the photo stands upright.

    Raises:
        ValueError: `anomaly_map` is not (H, W) or leaves 0..1.
    """
    _check_map(anomaly_map)
    long_side = max(photo.size)
    zoom = min(max(long_side, MIN_SIDE), MAX_SIDE) / long_side
    width, height = (max(1, round(side * zoom)) for side in photo.size)
    picture = photo.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    stretched = Image.fromarray(np.asarray(anomaly_map, np.float32))
    scores = np.asarray(stretched.resize((width, height), Image.Resampling.BILINEAR))
    unit = unit_of(picture.size)

    heat = Image.fromarray(heat_table().take((scores * 255).round().astype(np.uint8), axis=0))
    picture.paste(heat, mask=heat.getchannel("A"))
    _draw_outline(picture, scores >= THRESHOLD, unit)
    _draw_boxes(picture, [(x0 * zoom, y0 * zoom, x1 * zoom, y1 * zoom) for x0, y0, x1, y1 in boxes], unit)
    return with_legend(picture, heat_table(), zoom=zoom, mm_per_px=mm_per_px)


def attention(photo: Image.Image, attended: NDArray[np.float32]) -> Image.Image:
    """The photo in grey, lit where a fact looked: `attended` is (H, W) in 0..1, any size, stretched over it."""
    grey = np.asarray(photo.convert("L"), np.float32)
    light = np.asarray(Image.fromarray(attended).resize(photo.size, Image.Resampling.BILINEAR))
    lit = np.stack([grey * (0.35 + 0.65 * light), grey * (0.35 + 0.5 * light), grey * 0.35], -1)
    lit[..., :2] += 70 * light[..., None]
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))


def heatmap_png(anomaly_map: NDArray[np.float32]) -> Image.Image:
    """The map, (H, W) in 0..1, as a 16-bit grey picture of the same size, 65535 = 1.0; save it as PNG."""
    _check_map(anomaly_map)
    return Image.fromarray((np.asarray(anomaly_map, np.float64) * 65535).round().astype(np.uint16))


def _check_map(anomaly_map: NDArray[np.float32]) -> None:
    if anomaly_map.ndim != 2 or anomaly_map.size == 0:
        raise ValueError(f"anomaly_map: expected shape (H, W) with H, W >= 1, got {anomaly_map.shape!r}")
    low, high = float(anomaly_map.min()), float(anomaly_map.max())
    if not (low >= 0.0 and high <= 1.0):  # written so that NaN fails it too
        raise ValueError(f"anomaly_map: expected values in 0..1, got {low!r} to {high!r}")


def _draw_outline(picture: Image.Image, region: NDArray[np.bool_], unit: float) -> None:
    """A light line with a dark rim along the edge of `region`, so that it shows on any photo."""
    if region.all() or not region.any():
        return
    # A blurred mask crosses one half along its edge at a slope that depends on the blur, not on the map.
    blurred = Image.fromarray(region).convert("L").filter(ImageFilter.GaussianBlur(1.3 * unit))
    levels = 1 - abs(2 * np.arange(256) / 255 - 1)
    for colour, start, gain in ((_DARK, 0.05, 4), ((255, 255, 255), 0.45, 3.5)):
        alpha = np.clip((levels - start) * gain, 0, 1) * 255
        picture.paste(colour, (0, 0, *picture.size), blurred.point([round(float(a)) for a in alpha]))


def _draw_boxes(picture: Image.Image, boxes: Sequence[_Place], unit: float) -> None:
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(15 * unit)
    line, rim, pad = round(2 * unit), max(1, round(unit)), round(4 * unit)
    right, bottom = picture.width - 1, picture.height - 1
    frames = []
    for x0, y0, x1, y1 in boxes:
        # Around the defect rather than on it, but never off the picture.
        left, top = (max(0, min(round(at) - line, end)) for at, end in ((x0, right), (y0, bottom)))
        frame = (
            left,
            top,
            max(left, min(round(x1) + line - 1, right)),
            max(top, min(round(y1) + line - 1, bottom)),
        )
        draw.rectangle(_grown(frame, rim), outline=_DARK, width=line + 2 * rim)
        frames.append(frame)
    for frame in frames:
        draw.rectangle(frame, outline=_BOX, width=line)

    taken: list[_Place] = []
    for number, frame in enumerate(frames, start=1):
        text = str(number)
        tall = round(15 * unit) + 2 * rim
        wide = max(tall, round(font.getlength(text)) + 2 * pad)
        chip = _free_place(frame, (wide, tall), picture.size, taken)
        taken.append(chip)
        draw.rectangle(_grown(chip, rim), fill=_DARK)
        draw.rectangle(chip, fill=_BOX)
        centre = ((chip[0] + chip[2]) / 2, (chip[1] + chip[3]) / 2)
        draw.text(centre, text, fill=_DARK, font=font, anchor="mm")


def _grown(box: _Place, by: float) -> _Place:
    return (box[0] - by, box[1] - by, box[2] + by, box[3] + by)


def _free_place(frame: Box, size: tuple[int, int], picture: tuple[int, int], taken: Sequence[_Place]) -> _Place:
    """Where a label of `size` fits at a corner of a box: outside and clear of other labels if possible."""
    (x0, y0, x1, y1), (wide, tall) = frame, size
    above_or_below = [(x, y) for x in (x0, x1 - wide) for y in (y0 - tall, y1)]
    for x, y in (*above_or_below, (x0 - wide, y0), (x1, y0), (x0, y0)):
        if x < 0 or y < 0 or x + wide >= picture[0] or y + tall >= picture[1]:
            continue
        if not any(x < t[2] and t[0] < x + wide and y < t[3] and t[1] < y + tall for t in taken):
            return (x, y, x + wide, y + tall)
    x, y = max(0, min(x0, picture[0] - wide - 1)), max(0, min(y0, picture[1] - tall - 1))
    return (x, y, x + wide, y + tall)
