"""Families that fill the picture: ceramic, concrete and stone."""

from __future__ import annotations

import cv2
import numpy as np

from training.draw.noise import Rng, cells, fractal, grain, grid, smooth, warp
from training.draw.surface import Colour, Product, blank, paint
from training.draw.textures import Draw, shade, specks, vary


def ground_ceramic(rng: Rng) -> Draw:
    """Sintered or ground grey surface with pores and faint grinding lines, as magnets have."""
    base = shade(rng, ((0.3, 0.3, 0.3), (0.42, 0.42, 0.41), (0.55, 0.55, 0.53), (0.36, 0.34, 0.32)))
    grit, line, length = rng.uniform(0.03, 0.12), rng.uniform(0.02, 0.16), rng.uniform(15, 80)
    patch, frame, pores = rng.uniform(0.05, 0.35), rng.random() < 0.4, int(rng.integers(0, 90))
    spread, edge = rng.uniform(0.5, 0.9), rng.uniform(0.82, 0.97)

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, base, gloss=0.15)
        crystals = grain(rng, size, (spread * unit, spread * unit))
        lines = grain(rng, size, (length * unit, 0.5)) + 0.7 * grain(
            rng, size, (min(90, 2 * length) * unit, 1.6 * unit)
        )
        vary(s, grit, 0.5 + crystals)
        vary(s, line, 0.5 + 0.5 * lines)
        vary(s, patch, fractal(rng, size, rng.uniform(1, 3), 4))
        s.height += 2 * grit * crystals + line * lines
        dots = specks(rng, size, pores, 0.3, 0.8)
        paint(s, 0.45 * dots, tuple(0.4 * c for c in base), 0.0)  # type: ignore[arg-type]
        s.height -= 0.6 * dots
        if frame:  # the chamfer, and the holder below it
            x, _ = grid(size)
            out = np.abs(x + rng.normal(0, 0.02)) - edge
            paint(s, smooth(out * -1, 0.03), tuple(0.4 * c for c in base))  # type: ignore[arg-type]
            s.height -= 40 * np.clip(out + 0.05, 0, 0.1)
        return Product(s)

    return draw


def glazed_tile(rng: Rng) -> Draw:
    """Glazed tile: plain, veined, speckled or clouded; one large tile or several with grout between them."""
    palette: tuple[Colour, ...] = (
        (0.9, 0.9, 0.88), (0.85, 0.81, 0.72), (0.68, 0.6, 0.5), (0.45, 0.45, 0.45), (0.2, 0.21, 0.22), (0.55, 0.34, 0.25),
        (0.5, 0.56, 0.5), (0.16, 0.24, 0.36), (0.62, 0.7, 0.74),
    )  # fmt: skip
    base = shade(rng, palette)
    vein = tuple(float(c * rng.uniform(0.4, 0.8)) for c in base) if rng.random() < 0.7 else shade(rng, palette)
    style, strength, scale = int(rng.integers(4)), rng.uniform(0.2, 0.7), rng.uniform(3, 10)
    tiles, joint = (int(rng.integers(1, 5)), int(rng.integers(1, 4))), rng.uniform(1.2, 3.2)
    grout, tiled, gloss = shade(rng, ((0.6, 0.58, 0.55), (0.3, 0.3, 0.3))), rng.random() < 0.45, rng.uniform(0.35, 0.85)
    bond = rng.random() < 0.5

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, base, gloss)
        if style == 0:  # marble: thin veins along the ridges of a field, and soft clouds
            ridge = 1 - np.abs(2 * warp(fractal(rng, size, scale, 4), rng, 12 * size / 224, 3) - 1)
            paint(s, (strength * np.clip((ridge - 0.9) * 10, 0, 1) ** 2).astype(np.float32), vein)  # type: ignore[arg-type]
            paint(s, (0.5 * strength * fractal(rng, size, 2, 4)).astype(np.float32), vein)  # type: ignore[arg-type]
        elif style == 1:
            dots = specks(rng, size, 250, 0.3, 1.1)
            paint(s, cv2.GaussianBlur(strength * dots, (0, 0), 0.5), vein)  # type: ignore[arg-type]
        elif style == 2:
            clouds = np.clip((fractal(rng, size, scale, 5, 0.6) - 0.4) * 2.5, 0, 1)
            paint(s, (0.7 * strength * clouds).astype(np.float32), vein)  # type: ignore[arg-type]
        vary(s, 0.05, fractal(rng, size, 40, 2))
        s.height += 1.8 * fractal(rng, size, 2, 2) + 0.2 * fractal(rng, size, 30, 2)
        if tiled:
            xs, ys = (grid(size)[0] + 1) * tiles[0] / 2 + 0.37, (grid(size)[1] + 1) * tiles[1] / 2 + 0.41
            row = np.floor(ys)
            xs = xs + 0.5 * (row % 2) * bond
            wide, high = 224 / tiles[0], 224 / tiles[1]
            edge = np.minimum(
                (0.5 - np.abs(xs - np.floor(xs) - 0.5)) * wide, (0.5 - np.abs(ys - row - 0.5)) * high
            ).astype(np.float32)
            tone = rng.normal(0, 0.035, (9, 9))[row.astype(int) % 9, np.floor(xs).astype(int) % 9]
            s.albedo *= (1 + tone)[..., None].astype(np.float32)
            s.height += 2.2 * np.sqrt(np.clip((edge - joint) / 5, 0, 1))
            gap = smooth(edge - joint, 1.0)
            sand = grain(rng, size, (0.7, 0.7))
            paint(s, gap, np.asarray(grout, np.float32) * (1 + 0.09 * sand)[..., None], 0.0)
            s.height += gap * (0.25 * sand - 0.6)
        return Product(s)

    return draw


def concrete(rng: Rng) -> Draw:
    """Cast, trowelled or exposed concrete, or asphalt."""
    kind = str(rng.choice(["cast", "cast", "trowelled", "exposed", "asphalt"]))
    greys: tuple[Colour, ...] = ((0.52, 0.51, 0.49), (0.62, 0.6, 0.56), (0.44, 0.44, 0.43))
    base = shade(rng, ((0.17, 0.17, 0.175), (0.26, 0.26, 0.25)) if kind == "asphalt" else greys)
    stones, pores, tone = int(rng.integers(700, 2600)), int(rng.integers(10, 120)), rng.uniform(0.15, 0.4)

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, base, gloss=0.02)
        fine = grain(rng, size, (0.6 * unit, 0.6 * unit))
        vary(s, tone, fractal(rng, size, 3, 6, 0.6))
        if kind in ("exposed", "asphalt"):
            inner, value = cells(rng, size, stones)
            stone = cv2.GaussianBlur(smooth(0.3 - inner, 0.5) * (value > 0.35), (0, 0), 0.6 * unit)
            tint = np.asarray(base, np.float32) * (0.75 + 0.85 * value[..., None])
            tint = tint * (1 + (value[..., None] * 7 % 1 - 0.5) * np.array([0.16, 0.03, -0.14], np.float32))
            paint(s, 0.75 * stone, tint)
            s.height += (2.2 if kind == "asphalt" else 1.2) * stone
        elif kind == "trowelled":
            sweeps = warp(grain(rng, size, (50 * unit, 1.2 * unit)), rng, 30 * unit, 2)
            vary(s, 0.1, 0.5 + 0.4 * sweeps)
            s.height += 0.15 * sweeps
        dots = specks(rng, size, pores, 0.4, 1.3)
        paint(s, 0.55 * dots, tuple(0.45 * c for c in base))  # type: ignore[arg-type]
        s.height += 0.35 * fine + 0.9 * fractal(rng, size, 45, 3) - 1.5 * dots
        vary(s, 0.18, 0.5 + 0.35 * fine)
        return Product(s)

    return draw


def stone(rng: Rng) -> Draw:
    """Terrazzo, granite or slate, sawn or polished."""
    kind = str(rng.choice(["terrazzo", "terrazzo", "granite", "slate"]))
    base = shade(rng, ((0.8, 0.78, 0.74), (0.6, 0.59, 0.57), (0.35, 0.35, 0.36), (0.25, 0.26, 0.26)))
    chips: tuple[Colour, ...] = (
        (0.88, 0.87, 0.84), (0.2, 0.2, 0.2), (0.55, 0.42, 0.33), (0.5, 0.5, 0.5), (0.68, 0.6, 0.48), (0.36, 0.4, 0.36),
    )  # fmt: skip
    palette = np.asarray([shade(rng, chips) for _ in range(int(rng.integers(2, 5)))], np.float32)
    minerals = np.asarray(
        [(0.72, 0.7, 0.68), (0.6, 0.52, 0.48), (0.5, 0.49, 0.48), (0.26, 0.25, 0.25)], np.float32
    ) * np.float32(0.6 + 0.8 * base[1])
    mix = np.cumsum(rng.dirichlet([2, 2, 2, 1]))
    coarse, sparse, gloss = rng.uniform(0.4, 1.0), rng.uniform(0.3, 0.7), float(rng.choice([0.08, 0.5, 0.75]))

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, base, gloss)
        if kind == "terrazzo":
            for count in (round(160 * coarse), round(900 * coarse)):
                inner, value = cells(rng, size, count)
                chip = cv2.GaussianBlur(smooth(0.22 - inner, 0.2) * (value > sparse), (0, 0), 0.5 * unit)
                tint = palette[(value * 997).astype(int) % len(palette)]
                paint(s, chip, tint * (0.9 + 0.2 * fractal(rng, size, 20, 3))[..., None])
        elif kind == "granite":
            _, value = cells(rng, size, round(5000 * coarse))
            _, large = cells(rng, size, round(900 * coarse))
            crystals = minerals[np.searchsorted(mix[:3], np.where(large > 0.6, large * 7 % 1, value))]
            s.albedo[:] = cv2.GaussianBlur(crystals, (0, 0), 0.6 * unit)
        else:
            s.albedo[:] = np.asarray(base, np.float32) * np.float32(0.5)
            layers = np.floor(6 * warp(fractal(rng, size, 3, 4), rng, 8 * unit, 6)) + fractal(rng, size, 25, 3)
            s.height += cv2.GaussianBlur(layers.astype(np.float32), (0, 0), 0.8 * unit) * 1.1
            s.gloss[:] = 0.1
        vary(s, 0.12, fractal(rng, size, 3, 4))
        vary(s, 0.08, 0.5 + 0.4 * grain(rng, size, (0.6 * unit, 0.6 * unit)))
        return Product(s)

    return draw
