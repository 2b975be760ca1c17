"""What may differ between good parts: each changes a flattened `Surface` in place, and none of it is a defect."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from training.draw.noise import Field, Rng, grid, value_noise
from training.draw.surface import Surface

Variation = Callable[[Surface, Rng], None]


def dust(s: Surface, rng: Rng) -> None:
    """A few specks below the size that counts as contamination."""
    size = s.alpha.shape[0]
    specks = np.zeros((size, size), np.float32)
    ys, xs = np.nonzero(s.alpha > 0.9)
    for _ in range(int(rng.integers(2, 7))):
        i = int(rng.integers(len(xs))) if len(xs) else 0
        centre = (int(xs[i] * 16), int(ys[i] * 16)) if len(xs) else (0, 0)
        cv2.circle(specks, centre, round(16 * rng.uniform(0.5, 0.9) * size / 224), 1.0, -1, cv2.LINE_AA, 4)
    light = 0.85 if float(s.albedo.mean()) < 0.5 else 0.1
    s.albedo += (0.6 * specks)[..., None] * (light - s.albedo)


def batch_colour(s: Surface, rng: Rng) -> None:
    """Another batch of material: a shade lighter or darker, a trace of another hue."""
    shade = float(rng.choice([-1, 1])) * rng.uniform(0.06, 0.11)
    s.albedo *= (1 + shade + rng.normal(0, 0.015, 3)).astype(np.float32)


def cloud(s: Surface, rng: Rng) -> None:
    """Brightness that drifts over the whole part, as finish and cleaning leave it."""
    drift: Field = value_noise(rng, s.alpha.shape[0], (2, 2)) - 0.5
    s.albedo *= (1 + 0.3 * drift)[..., None].astype(np.float32)


def passing_shadow(s: Surface, rng: Rng) -> None:
    """The soft edge of a shadow from outside the picture."""
    x, y = grid(s.alpha.shape[0])
    a = rng.uniform(0, 2 * np.pi)
    across = x * np.cos(a) + y * np.sin(a) - rng.uniform(0.1, 0.6)
    shade = 1 / (1 + np.exp(-np.clip(across / rng.uniform(0.1, 0.3), -30, 30)))
    s.albedo *= (1 - rng.uniform(0.18, 0.35) * shade)[..., None].astype(np.float32)


VARIATIONS: dict[str, Variation] = {
    "dust": dust, "batch_colour": batch_colour, "cloud": cloud, "passing_shadow": passing_shadow,
}  # fmt: skip
