"""The strip beside an overlay: what its colours mean and how large the part is."""

from __future__ import annotations

from math import floor, log10, sqrt

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

THRESHOLD = 0.5
_DARK, _LIGHT, _MUTED, _WHITE = (16, 19, 24), (240, 243, 247), (165, 174, 186), (255, 255, 255)
_GREY = (92, 98, 106)
"""Under the colour bar, as a photo would lie there."""


def unit_of(size: tuple[int, int]) -> float:
    """Pixels of a picture of `size` (width, height) that look like one: a line seems as thick on 4000 px as on 500 px."""
    return max(1.0, sqrt(size[0] * size[1]) / 800)


def round_length(longest: float) -> float:
    """The largest of ..., 1, 2, 5, 10, 20, 50, ... that is at most `longest`, which is above 0."""
    power = 10.0 ** floor(log10(longest))
    return next((step * power for step in (5, 2) if step * power <= longest), power)


def length_text(length: float, unit: str) -> str:
    """A length as a scale bar shows it, in µm below 0.01 mm."""
    return f"{length * 1000:.3g} µm" if unit == "mm" and length < 0.01 else f"{length:.9g} {unit}"


def with_legend(
    picture: Image.Image, colours: NDArray[np.uint8], *, zoom: float = 1.0, mm_per_px: float | None = None
) -> Image.Image:
    """`picture` and a strip below it, or at its right where it stands upright, with a colour bar and a scale bar.

    Args:
        picture: RGB, `zoom` times as large as the photo.
        colours: (256, 4) uint8 RGBA of the scores 0 to 1; shown as they look on a grey photo.
        zoom: Pixels of `picture` to one of the photo, above 0.
        mm_per_px: Scale of the photo; the scale bar is in millimetres with it and in pixels without.
    """
    upright = picture.height > 1.2 * picture.width
    strip = _Strip(max(picture.size) if upright else picture.width, upright, unit_of(picture.size))
    taken = strip.colour_bar(colours)
    strip.scale_bar(taken, zoom, mm_per_px)
    size = (picture.width + strip.image.width, picture.height) if upright else (
        picture.width, picture.height + strip.image.height
    )  # fmt: skip
    canvas = Image.new("RGB", size, _DARK)
    canvas.paste(picture, (0, 0))
    canvas.paste(strip.image, (picture.width, 0) if upright else (0, picture.height))
    return canvas


class _Strip:
    """The strip's own picture, `length` pixels along the side of the photo."""

    def __init__(self, length: int, upright: bool, unit: float) -> None:
        self.length, self.upright, self.em = length, upright, 13 * unit
        self.font = ImageFont.load_default(self.em)
        self.line = max(1, round(1.5 * unit))
        self.start = round(self.em if upright else 0.8 * self.em)
        self.thick, self.gap = round(0.8 * self.em), round(0.35 * self.em)
        words = self.font.getlength("threshold") if upright else 1.2 * self.em
        breadth = round(self.start + self.thick + self.gap + words + 0.7 * self.em)
        self.image = Image.new("RGB", (breadth, length) if upright else (length, breadth), _DARK)
        self.draw = ImageDraw.Draw(self.image)

    def colour_bar(self, colours: NDArray[np.uint8]) -> float:
        """Draw it at the beginning; returns how far along the strip it and its title reach."""
        em, n = self.em, round(min(self.length - 2 * self.em, 18 * self.em))
        ramp = Image.fromarray(colours[np.linspace(0, 255, n).round().astype(np.uint8)][np.newaxis])
        bar = Image.new("RGB", (n, self.thick), _GREY)
        bar.paste(ramp.resize(bar.size), mask=ramp.resize(bar.size).getchannel("A"))
        if self.upright:
            bar = bar.transpose(Image.Transpose.ROTATE_90)  # 1 on top
        at = (self.start, round(em)) if self.upright else (round(em), self.start)
        self.image.paste(bar, at)
        frame = (*at, at[0] + bar.width - 1, at[1] + bar.height - 1)
        self.draw.rectangle(frame, outline=_MUTED, width=max(1, self.line // 2))

        middle = round(em + (1 - THRESHOLD if self.upright else THRESHOLD) * (n - 1))
        self._stroke((middle, self.start), (middle, self.start + self.thick + self.gap // 2))
        low, high = (em + n - 1, em) if self.upright else (em, em + n - 1)
        self._label(low, "0", "ld" if self.upright else "la")
        self._label(middle, "0.5\nthreshold" if self.upright else "0.5 threshold", "lm" if self.upright else "ma")
        self._label(high, "1", "la" if self.upright else "ra")
        return self._title(em + n, "anomaly\nscore" if self.upright else "anomaly score")

    def _title(self, end: float, words: str) -> float:
        """Write it behind the bar that ends there if there is room; returns where the strip is free again."""
        at = end + self.em
        x0, y0, x1, y1 = self.draw.textbbox((0, 0), words, font=self.font)
        done = at + (y1 - y0 if self.upright else x1 - x0)
        if done + self.em > self.length:
            return end
        if self.upright:
            self.draw.text((self.start, at), words, fill=_MUTED, font=self.font)
        else:
            self.draw.text((at, self.start + self.thick / 2), words, fill=_MUTED, font=self.font, anchor="lm")
        return done

    def scale_bar(self, taken: float, zoom: float, mm_per_px: float | None) -> None:
        """Draw it at the far end, at most a quarter of the photo long; nothing where there is no room."""
        end = self.length - self.em
        room = min(end - taken - 1.5 * self.em, self.length / 4)
        unit, step = ("px", 1.0) if mm_per_px is None else ("mm", mm_per_px)
        if room < 2 * self.em or (unit == "px" and room < zoom):
            return
        length = round_length(room / zoom * step)
        start, middle = end - length / step * zoom, self.start + self.thick / 2
        self._stroke((start, middle), (end, middle))
        for tip in (start, end):
            self._stroke((tip, self.start), (tip, self.start + self.thick))
        words = length_text(length, unit)
        if self.upright:
            self._label((start + end) / 2, words, "lm")
        else:
            half = self.font.getlength(words) / 2
            self._label(min((start + end) / 2, end - half), words, "ma")

    def _stroke(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """A line between two places given along and across the strip."""
        places = [(across, along) if self.upright else (along, across) for along, across in (start, end)]
        self.draw.line(places, fill=_WHITE, width=self.line)

    def _label(self, along: float, words: str, anchor: str) -> None:
        across = self.start + self.thick + self.gap
        at = (across, along) if self.upright else (along, across)
        self.draw.text(at, words, fill=_LIGHT, font=self.font, anchor=anchor)
