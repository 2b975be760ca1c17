"""Shapes by signed distance, and arrangements of parts."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.draw.noise import Field, Rng, fractal, grain, grid, lettering, smooth
from training.draw.surface import Colour, Part, Surface, blank


def polar(size: int) -> tuple[Field, Field, Field, Field]:
    x, y = grid(size)
    return x, y, np.hypot(x, y).astype(np.float32), np.arctan2(y, x).astype(np.float32)


def rounded_box(x: Field, y: Field, w: float, h: float, r: float) -> Field:
    dx, dy = np.abs(x) - w + r, np.abs(y) - h + r
    return np.asarray(
        np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) + np.minimum(np.maximum(dx, dy), 0) - r, np.float32
    )


def polygon(r: Field, angle: Field, sides: int, radius: float) -> Field:
    step = 2 * np.pi / sides
    return np.asarray(r * np.cos((angle + np.pi) % step - step / 2) - radius, np.float32)


def dome(s: Surface, distance: Field, width: float, rise: float) -> None:
    """Round the edge of a shape: height rises over `width` inside its outline."""
    t = np.clip(-distance / width, 0, 1)
    s.height += (rise * np.sqrt(1 - (1 - t) ** 2)).astype(np.float32)


def ring_of_parts(count: int, radius: float, part: Surface, size: int, start: float, kind: str) -> tuple[Part, ...]:
    return tuple(
        Part(
            part, size / 2 * (1 + radius * np.cos(a)), size / 2 * (1 + radius * np.sin(a)), float(np.degrees(-a)), kind
        )
        for a in start + 2 * np.pi * np.arange(count) / count
    )


def lattice(
    columns: int, rows: int, span: tuple[float, float], size: int, rng: Rng, jitter: float
) -> list[tuple[float, float]]:
    xs = np.linspace(-span[0], span[0], columns) if columns > 1 else np.zeros(1)
    ys = np.linspace(-span[1], span[1], rows) if rows > 1 else np.zeros(1)
    return [
        (size / 2 * (1 + x) + rng.normal(0, jitter), size / 2 * (1 + y) + rng.normal(0, jitter)) for y in ys for x in xs
    ]


def bevel(s: Surface, distance: Field, width: float, rise: float) -> None:
    """Chamfer the edge of a shape: height rises straight over `width` inside its outline; `rise` at 224 px."""
    size = s.alpha.shape[0]
    s.height += (rise * size / 224 * np.clip(-distance / width, 0, 1)).astype(np.float32)


def sink(s: Surface, distance: Field, depth: float, width: float = 0.02) -> None:
    """Recess the inside of a shape by `depth` (at 224 px; negative: raise it), with walls `width` wide."""
    s.height -= depth * s.alpha.shape[0] / 224 * smooth(np.asarray(distance, np.float32), width)


def rod(s: Surface, across: Field, radius: Field | float, flatten: float = 0.75) -> None:
    """Round a surface as a cylinder seen from its side; `across` is the distance from its axis in half sizes."""
    round_ = np.sqrt(np.clip(radius * radius - across * across, 0, None))
    s.height += (flatten * s.alpha.shape[0] / 2 * round_).astype(np.float32)


def skin(rng: Rng, size: int, tone: Colour, gloss: float, cloud: float = 0.14, marks: int = 14) -> Surface:
    """A plain surface as industry leaves it: clouds, fine grain and `marks` of handling."""
    s = blank(size, tone, gloss)
    drift = fractal(rng, size, 3, 4)
    fine = grain(rng, size, (0.6, 0.6))
    s.albedo *= (1 + cloud * (drift - 0.5) + 0.018 * fine)[..., None].astype(np.float32)
    s.gloss *= (0.85 + 0.3 * fractal(rng, size, 6, 2)).astype(np.float32)
    s.height += 0.05 * fine
    lines = np.zeros((size, size), np.float32)
    for x, y, a, n in rng.random((marks, 4)) * (size, size, 2 * np.pi, size * 0.06):
        ends = ((int(x * 16), int(y * 16)), (int((x + n * np.cos(a)) * 16), int((y + n * np.sin(a)) * 16)))
        cv2.line(lines, *ends, float(rng.uniform(-1, 1)), 1, cv2.LINE_AA, 4)
    s.albedo *= (1 + 0.05 * lines)[..., None]
    return s


def stripes(rng: Rng, position: Field, size: int, blur: float = 0.7) -> Field:
    """Tool marks: noise of mean 0 and unit deviation that varies along `position` (half sizes, -1.5..1.5) only."""
    line = cv2.GaussianBlur(rng.standard_normal((1, 2 * size), dtype=np.float32), (0, 0), blur * max(size / 224, 0.5))
    at = np.asarray((position + 1.5) / 3 * (2 * size - 1), np.float32)
    line = line / max(float(line.std()), 1e-6)
    return np.asarray(cv2.remap(line, at, np.zeros_like(at), cv2.INTER_LINEAR), np.float32)


def away(size: int, lines: list[NDArray[np.float64]]) -> Field:
    """Distance (size, size) from polylines of points (N, 2), all in half sizes."""
    n = 2 * size
    canvas = np.full((n, n), 255, np.uint8)
    cv2.polylines(canvas, [((p + 1) * (n * 2) - 2).astype(np.int32) for p in lines], False, 0, 1, cv2.LINE_8, 2)
    far = cv2.distanceTransform(canvas, cv2.DIST_L2, 5)
    return np.asarray(cv2.resize(far, (size, size), interpolation=cv2.INTER_AREA) * (2 / n), np.float32)


def word(size: int, text: str, x: float, y: float, tall: float) -> Field:
    """Coverage (size, size) of a word centred on (x, y) with capitals `tall` high, in half sizes."""
    (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 1.0, 1)
    scale = tall * size / 2 / h
    at = (round(size / 2 * (1 + x) - w * scale / 2), round(size / 2 * (1 + y) + h * scale / 2))
    return lettering(size, text, at, scale, max(1, round(scale * 1.7)))


def word_around(text: str, r: Field, angle: Field, radius: float, tall: float) -> Field:
    """Coverage of a word set along a circle."""
    size = r.shape[0]
    row = word(size, text, 0, 0, 0.3)
    stretch = tall / 0.3
    mx = (angle * radius / stretch + 1) * (size / 2)
    my = ((radius - r) / stretch + 1) * (size / 2)
    row = cv2.remap(row, mx.astype(np.float32), my.astype(np.float32), cv2.INTER_LINEAR)
    return np.asarray(row, np.float32)


def code(rng: Rng, low: int = 2, high: int = 6) -> str:
    """A short mark such as a grade, size or batch."""
    return "".join(rng.choice(list("ABCEFHKLMNPRSTX0123456789"), int(rng.integers(low, high))))
