"""Families of one piece that stand in the picture, on a background."""

from __future__ import annotations

import cv2
import numpy as np

from training.draw.noise import Rng, fractal, grain, grid, lettering, smooth
from training.draw.shapes import dome, lattice, polar, polygon, rounded_box
from training.draw.surface import Product, blank, paint
from training.draw.textures import Draw, brushed_metal, colour


def washer_nut(rng: Rng) -> Draw:
    sides, hole = int(rng.choice([0, 0, 4, 6, 6, 8])), rng.uniform(0.2, 0.5)
    radius, base, thread = rng.uniform(0.6, 0.85), colour(rng, 0.35, 0.8, 0.2), rng.random() < 0.6
    metal, angle0 = brushed_metal(rng), rng.uniform(0, 6)

    def draw(rng: Rng, size: int) -> Product:
        s = metal(rng, size).base
        _, _, r, angle = polar(size)
        outer = r - radius if sides == 0 else polygon(r, angle + angle0, sides, radius)
        distance = np.maximum(outer, hole - r).astype(np.float32)
        s.alpha = smooth(distance, 3 / size)
        paint(s, np.full_like(r, 0.6), base)
        dome(s, distance, 0.1, 6)
        if thread:
            ring = smooth(np.abs(r - hole * 1.12) - 0.02, 0.02)
            paint(s, 0.6 * ring, (0.1, 0.1, 0.1))
        return Product(s)

    return draw


def gear(rng: Rng) -> Draw:
    teeth, depth, hub = int(rng.integers(10, 36)), rng.uniform(0.06, 0.14), rng.uniform(0.15, 0.3)
    holes, base, metal = int(rng.choice([0, 4, 5, 6])), colour(rng, 0.3, 0.75, 0.3), brushed_metal(rng)

    def draw(rng: Rng, size: int) -> Product:
        s = metal(rng, size).base
        x, y, r, angle = polar(size)
        edge = 0.82 + depth / 2 * np.tanh(4 * np.cos(teeth * angle))
        distance = np.maximum(r - edge, hub - r)
        for i in range(holes):
            a = 2 * np.pi * i / holes
            distance = np.maximum(distance, 0.09 - np.hypot(x - 0.5 * np.cos(a), y - 0.5 * np.sin(a)))
        s.alpha = smooth(distance.astype(np.float32), 4 / size)
        paint(s, np.full_like(r, 0.7), base)
        dome(s, distance.astype(np.float32), 0.05, 4)
        s.height -= 5 * smooth(np.abs(r - 0.55) - 0.12, 0.05)
        return Product(s)

    return draw


def pill(rng: Rng) -> Draw:
    aspect, tint, mark, two = rng.uniform(0.4, 1), colour(rng, 0.4, 0.97, 0.9), rng.random() < 0.6, rng.random() < 0.4
    second, speck = colour(rng, 0.3, 0.95, 0.9), rng.random() < 0.3
    text = "".join(rng.choice(list("ABFHKLMPRT0134578"), int(rng.integers(1, 4))))

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, tint, 0.35)
        x, y, _, _ = polar(size)
        d = rounded_box(x, y, 0.8, 0.8 * aspect, 0.8 * aspect)
        s.alpha = smooth(d, 3 / size)
        if two:
            paint(s, smooth(-x, 0.02), second)
            s.height -= 1.5 * smooth(np.abs(x) - 0.01, 0.02)
        if speck:
            paint(s, 0.7 * np.clip(grain(rng, size, (1.2, 1.2)) - 1.9, 0, 1), (0.6, 0.2, 0.15))
        pattern = np.zeros((size, size), np.float32)
        if mark:
            pattern = lettering(
                size, text, (int(size * (0.5 - 0.075 * len(text))), int(size * 0.56)), size / 224 * 1.1, 2
            )
        dome(s, d, 0.5, 20)
        s.height += 0.5 * fractal(rng, size, 50, 2)
        return Product(
            s,
            pattern=pattern if mark else None,
            pattern_colour=tuple(c * 0.45 for c in tint),  # type: ignore[arg-type]
            pattern_gloss=0.2,
        )

    return draw


def baked(rng: Rng) -> Draw:
    """Biscuit, bread roll or cracker with crumbs, holes or chips."""
    light = np.array([rng.uniform(0.6, 0.85), rng.uniform(0.42, 0.6), rng.uniform(0.2, 0.4)])
    square, holes, chips, wobble = rng.random() < 0.3, rng.random() < 0.4, rng.random() < 0.5, rng.uniform(0.01, 0.1)
    dots = int(rng.integers(8, 30))

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, tuple(light), 0.05)
        x, y, r, angle = polar(size)
        bump = sum(rng.normal(0, wobble / k) * np.cos(k * angle + rng.uniform(0, 6)) for k in range(2, 8))
        d = (rounded_box(x, y, 0.72, 0.72, 0.12) if square else r - 0.76) + bump
        d = np.asarray(d, np.float32)
        s.alpha = smooth(d, 4 / size)
        crust = fractal(rng, size, 4, 5)
        paint(
            s,
            (0.7 * np.clip(1 + d / 0.25, 0, 1) ** 2 + 0.5 * crust * (1 - np.clip(1 + d / 0.25, 0, 1))).astype(
                np.float32
            ),
            tuple(light * 0.55),
        )
        s.height += 4 * fractal(rng, size, 14, 4)
        dome(s, d, 0.4, 12)
        if holes:
            for a, b in lattice(4, 4, (0.5, 0.5), size, rng, 1.5):
                spot = smooth(
                    (np.hypot(x - (a / size * 2 - 1), y - (b / size * 2 - 1)) - 0.035).astype(np.float32), 0.03
                )
                paint(s, 0.7 * spot, tuple(light * 0.3))
        if chips:
            for _ in range(dots):
                a, b = rng.uniform(-0.6, 0.6, 2)
                spot = smooth(
                    (np.hypot((x - a) * rng.uniform(0.8, 1.3), y - b) - rng.uniform(0.03, 0.09)).astype(np.float32),
                    0.03,
                )
                paint(s, 0.9 * spot, (0.2, 0.1, 0.05), 0.2)
                s.height += 3 * spot
        return Product(s)

    return draw


def vessel_mouth(rng: Rng) -> Draw:
    """A bottle, jar or pipe end seen from above: concentric rings."""
    rings = [
        (float(r), float(w), colour(rng, 0.05, 0.9, 0.5))
        for r, w in zip(np.sort(rng.uniform(0.2, 0.8, 5)), rng.uniform(0.02, 0.1, 5), strict=True)
    ]
    base, inner = colour(rng, 0.1, 0.8, 0.5), colour(rng, 0.02, 0.3, 0.3)

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, base, 0.6)
        _, _, r, angle = polar(size)
        s.alpha = smooth(r - 0.88, 3 / size)
        paint(s, smooth(r - rings[0][0], 0.03), inner)
        for radius, width, tint in rings:
            ring = smooth(np.abs(r - radius) - width, 0.03)
            paint(s, 0.8 * ring, tint)
            s.height += 4 * ring
        glare = np.clip(np.cos(angle * 2 + rng.uniform(0, 6)), 0, 1) ** 6 * smooth(
            np.abs(r - rings[-1][0]) - 0.05, 0.05
        )
        paint(s, (0.5 * glare).astype(np.float32), (1, 1, 1))
        return Product(s)

    return draw


def moulded_cap(rng: Rng) -> Draw:
    tint, ribs, w, h = (
        colour(rng, 0.1, 0.95, 0.95),
        int(rng.integers(0, 40)),
        rng.uniform(0.55, 0.85),
        rng.uniform(0.5, 0.85),
    )
    shape, logo, bosses = int(rng.integers(3)), rng.random() < 0.5, int(rng.integers(0, 5))

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, tint, 0.5)
        x, y, r, angle = polar(size)
        d = [r - w, rounded_box(x, y, w, h, 0.15), polygon(r, angle, 6, h)][shape].astype(np.float32)
        if ribs > 8 and shape == 0:
            d = d + (0.015 * np.cos(ribs * angle)).astype(np.float32)
        s.alpha = smooth(d, 3 / size)
        dome(s, d, 0.12, 8)
        s.height -= 3 * smooth(np.abs(d + 0.2) - 0.02, 0.02)
        for i in range(bosses):
            a = 2 * np.pi * i / max(bosses, 1)
            spot = smooth((np.hypot(x - 0.35 * np.cos(a), y - 0.35 * np.sin(a)) - 0.07).astype(np.float32), 0.03)
            s.height += 6 * spot
        if logo:
            ring = smooth((np.abs(np.hypot(x, y * 1.5) - 0.2) - 0.03).astype(np.float32), 0.02)
            s.height += 3 * ring
        s.height += 0.3 * fractal(rng, size, 60, 2)
        return Product(s)

    return draw


def shaft(rng: Rng) -> Draw:
    """A turned shaft, tube or bolt lying across the picture."""
    steps = [
        (float(a), float(h))
        for a, h in zip(np.sort(rng.uniform(-0.8, 0.8, 4)), rng.uniform(0.15, 0.42, 4), strict=True)
    ]
    thread, tint = rng.random() < 0.5, colour(rng, 0.4, 0.75, 0.15)

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, tint, 0.6)
        x, y = grid(size)
        radius = np.full_like(x, 0.25)
        for start, h in steps:
            radius = np.where(x > start, h, radius)
        radius = cv2.GaussianBlur(radius.astype(np.float32), (0, 0), size / 150)
        d = np.maximum(np.abs(y) - radius, np.abs(x) - 0.93).astype(np.float32)
        s.alpha = smooth(d, 3 / size)
        s.height += (size / 5 * np.sqrt(np.clip(radius**2 - y * y, 0, 1))).astype(np.float32)
        if thread:
            zone = smooth(steps[1][0] - x, 0.02) * smooth(x - steps[2][0], 0.02)
            s.height += (2.0 * zone * np.sin((x + 0.06 * y) * 110)).astype(np.float32)
        s.height += 0.25 * grain(rng, size, (0.4, 10))
        s.albedo *= (1 + 0.08 * grain(rng, size, (0.5, 20)))[..., None]
        return Product(s)

    return draw


def ring_seal(rng: Rng) -> Draw:
    tint, radius, width, lip = (
        colour(rng, 0.03, 0.4, 0.5),
        rng.uniform(0.5, 0.75),
        rng.uniform(0.08, 0.22),
        rng.random() < 0.5,
    )

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, tint, 0.35)
        _, _, r, _ = polar(size)
        d = (np.abs(r - radius) - width).astype(np.float32)
        s.alpha = smooth(d, 3 / size)
        dome(s, d, width, 10)
        if lip:
            s.height -= 3 * smooth(np.abs(r - radius) - 0.02, 0.03)
        s.height += 0.3 * grain(rng, size, (0.8, 0.8))
        return Product(s)

    return draw
