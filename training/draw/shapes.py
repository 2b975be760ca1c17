"""Shapes by signed distance, and arrangements of parts."""

from __future__ import annotations

import numpy as np

from training.draw.noise import Field, Rng, grid
from training.draw.surface import Part, Surface


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
