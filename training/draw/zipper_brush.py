"""Zippers and brushes: rows of interlocking teeth, tufts of filaments."""

from __future__ import annotations

import cv2
import numpy as np

from training.draw.assemblies import PLASTICS, mottle, pick, shaded
from training.draw.noise import Rng, grain, grid, smooth
from training.draw.shapes import dome, polar, rounded_box
from training.draw.surface import Colour, Part, Product, Surface, blank, paint
from training.draw.textures import Draw


def _tooth(rng: Rng, n: int, style: int, tint: Colour) -> Surface:
    """An element of a zipper that grips the tape on its left, (n, n): stamped metal, moulded, or a coil's loop."""
    s = blank(n, tint, (0.65, 0.4, 0.3)[style])
    x, y = grid(n)
    if style == 0:
        d = np.minimum(rounded_box(x + 0.25, y, 0.6, 0.36, 0.1), rounded_box(x - 0.55, y, 0.3, 0.43, 0.16))
    elif style == 1:
        d = np.minimum(rounded_box(x + 0.3, y, 0.55, 0.36, 0.2), np.hypot((x - 0.5) / 1.1, y) - 0.45)
    else:
        d = rounded_box(x, y, 0.92, 0.42, 0.38)
    d = np.asarray(d, np.float32)
    s.alpha = smooth(d, 4 / n)
    s.albedo *= (1 + 0.06 * grain(rng, n, (0.8, 0.8)))[..., None]
    dome(s, d, 0.22, n / 7)
    if style == 0:
        s.height -= n / 12 * smooth(np.hypot(x - 0.55, y) - 0.14, 0.1)
    return s


def zipper(rng: Rng) -> Draw:
    """A closed zipper: two tapes and the teeth that lock between them."""
    style, count = int(rng.integers(3)), int(rng.integers(12, 26))
    tape = pick(rng, ((0.07, 0.07, 0.075), (0.1, 0.13, 0.24), (0.5, 0.5, 0.48), (0.72, 0.68, 0.58), (0.35, 0.1, 0.1), (0.2, 0.24, 0.16), (0.82, 0.82, 0.8), (0.42, 0.3, 0.18)))  # fmt: skip
    metal = pick(rng, ((0.72, 0.58, 0.3), (0.68, 0.68, 0.66), (0.4, 0.33, 0.24), (0.13, 0.13, 0.13)))
    tint = metal if style == 0 else shaded(tape, rng.uniform(0.9, 1.5))
    wide, rib, stitched = rng.uniform(0.4, 0.75), rng.uniform(1.3, 2.4), rng.random() < 0.6

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, tape, 0.08)
        x, y = grid(size)
        bend = (0.02 * np.sin(2 * y + rng.uniform(0, 6))).astype(np.float32)
        s.alpha = smooth(np.maximum(np.abs(x + bend) - wide, np.abs(y) - 0.98), 4 / size)
        ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
        ribs = np.sin((ys + np.abs(xs - size / 2)) / (rib * unit) * np.pi) * np.cos(xs / (rib * unit) * np.pi)
        fuzz = grain(rng, size, (0.7, 0.7))
        s.albedo *= (1 + 0.16 * ribs + 0.09 * fuzz)[..., None]
        s.height += unit * (0.8 * ribs + 0.3 * fuzz)
        step = 1.9 / count
        long = step * 2.1
        cord = np.exp(-(((np.abs(x) - 0.9 * long) / 0.03) ** 2))
        s.height += 3 * unit * cord
        paint(s, smooth(np.abs(x) - 0.12 * long, 0.02), shaded(tape, 0.2), 0.05)
        if stitched:
            seam = smooth(np.abs(np.abs(x) - 1.25 * long) - 0.012, 3 / size) * (np.sin(y * count * 4) > -0.6)
            paint(s, 0.7 * seam, shaded(tape, 1.3), 0.2)
            s.height += unit * seam
        n = max(8, int(long * size / 2 * 1.1))
        teeth = [_tooth(rng, n, style, tint) for _ in range(3)]
        parts = []
        for i in range(count):
            side = -1 if i % 2 else 1
            a, b = size / 2 * (1 - side * 0.33 * long), size / 2 * (1 + step * (i + 0.5 - count / 2))
            parts.append(
                Part(teeth[i % 3], a + rng.normal(0, 0.2), b, (0 if side > 0 else 180) + rng.normal(0, 1.5), "tooth")
            )
        return Product(s, parts=tuple(parts))

    return draw


def _tuft(rng: Rng, n: int, tint: Colour, spread: float) -> Surface:
    """Ends of a bundle of filaments, some of which lean outwards, (n, n)."""
    s = blank(n, shaded(tint, 0.55), 0.25, alpha=0.0)
    level, light = np.zeros((n, n), np.float32), np.zeros((n, n), np.float32)
    fat = max(1, round(n / 26))
    cv2.circle(s.alpha, (n * 8, n * 8), round(n * 6.4), 1.0, -1, cv2.LINE_AA, 4)
    s.albedo *= (0.8 + 0.25 * grain(rng, n, (0.7, 0.7)))[..., None]
    for q, a, lean in zip(
        0.8 * np.sqrt(rng.random(110)), rng.uniform(0, 6.3, 110), rng.uniform(0.0, spread, 110), strict=True
    ):
        foot = (round((1 + q * np.cos(a)) * n * 8), round((1 + q * np.sin(a)) * n * 8))
        tip = (round((1 + (q + lean) * np.cos(a)) * n * 8), round((1 + (q + lean) * np.sin(a)) * n * 8))
        cv2.line(s.alpha, foot, tip, 1.0, fat + 1, cv2.LINE_AA, 4)
        shade = float(rng.uniform(0.55, 0.95))
        cv2.line(light, foot, tip, shade, fat, cv2.LINE_AA, 4)
        cv2.circle(light, tip, fat * 10, shade * 1.2, -1, cv2.LINE_AA, 4)
        cv2.circle(level, tip, fat * 10, shade, -1, cv2.LINE_AA, 4)
    paint(s, np.clip(light, 0, 1), tint, 0.3)
    s.height += n / 60 * level
    return s


def _at(place: float, size: int) -> int:
    """Index of the pixel at -1..1."""
    return int(np.clip((place + 1) / 2 * size, 0, size - 1))


def bristles(rng: Rng) -> Draw:
    """Head of a brush: tufts of filaments in rows of holes."""
    columns, rows = int(rng.integers(3, 6)), int(rng.integers(5, 9))
    tints = [pick(rng, ((0.88, 0.88, 0.86), (0.3, 0.5, 0.7), (0.25, 0.6, 0.5), (0.75, 0.3, 0.28), (0.6, 0.48, 0.3), (0.12, 0.12, 0.12), (0.8, 0.72, 0.3)), 0.08) for _ in range(3)]  # fmt: skip
    handle = pick(rng, (*PLASTICS, (0.55, 0.38, 0.22), (0.85, 0.86, 0.87)))
    plan, spread, staggered = int(rng.integers(4)), rng.uniform(0.05, 0.2), rng.random() < 0.4

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, handle, 0.45)
        x, y, _, _ = polar(size)
        pitch = 1.76 / rows
        w = min(0.9, columns * pitch / 2 + 0.04 + 0.25 * pitch * staggered)
        d = rounded_box(x, y, w, 0.93, min(0.3, w))
        s.alpha = smooth(d, 3 / size)
        mottle(s, rng, 0.012, 0.06, 0.05)
        dome(s, d, 0.12, 5 * unit)
        n = max(10, int(size * pitch / 2 * 1.15))
        stock = [[_tuft(rng, n, tint, spread) for _ in range(2)] for tint in tints]
        wells = np.zeros((size, size), np.float32)
        parts = []
        for row in range(rows):
            for column in range(columns):
                a = pitch * (column + 0.5 - columns / 2 + (0.25 * (2 * (row % 2) - 1) if staggered else 0))
                b = pitch * (row + 0.5 - rows / 2)
                if d[_at(b, size), _at(a, size)] > -0.3 * pitch:
                    continue
                k = (0, row % 2, int(column in (0, columns - 1)), (row + column) % 3)[plan]
                at = (size / 2 * (1 + a) + rng.normal(0, 0.4), size / 2 * (1 + b) + rng.normal(0, 0.4))
                cv2.circle(wells, (round(at[0] * 16), round(at[1] * 16)), round(4.6 * pitch * size / 2 * 1), 1.0, -1, cv2.LINE_AA, 4)  # fmt: skip
                parts.append(Part(stock[k][int(rng.integers(2))], *at, rng.uniform(0, 360), "tuft"))
        # The hole in which a tuft is anchored: all that is left when it is missing.
        paint(s, 0.9 * wells, shaded(handle, 0.25), 0.05)
        s.height -= 3 * unit * wells
        return Product(s, parts=tuple(parts))

    return draw
