"""Families that fill the picture: surfaces of a material.

A family is called once with a random generator to fix its *design* (what all photos of the product share) and
returns a function that draws one *instance* of it.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from training.draw.noise import Rng, cells, fractal, grain, grid, lettering, smooth, value_noise, warp
from training.draw.surface import Colour, Product, Surface, blank, paint

Draw = Callable[[Rng, int], Product]


def colour(rng: Rng, low: float = 0.1, high: float = 0.9, saturation: float = 0.4) -> Colour:
    """A random colour: a grey of brightness low..high, tinted by up to `saturation`."""
    level = rng.uniform(low, high)
    tint = rng.uniform(-1, 1, 3) * saturation * rng.random() * 0.5
    r, g, b = np.clip(level + tint, 0.02, 0.98)
    return float(r), float(g), float(b)


def _vary(surface: Surface, amount: float, field: np.ndarray) -> None:
    surface.albedo *= (1 + amount * (field - 0.5))[..., None]


def brushed_metal(rng: Rng) -> Draw:
    base, length, depth, turned = (
        colour(rng, 0.4, 0.8, 0.12),
        rng.uniform(8, 60),
        rng.uniform(0.1, 0.5),
        rng.random() < 0.3,
    )

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, base, gloss=0.5)
        lines = grain(rng, size, (length * size / 224, 0.4))
        lines = lines.T if turned else lines
        s.height += depth * lines
        _vary(s, 0.12, 0.5 + 0.25 * lines)
        _vary(s, 0.15, fractal(rng, size, 2, 3))
        return Product(s)

    return draw


def ground_ceramic(rng: Rng) -> Draw:
    """Sintered or ground grey surface with pores and faint grinding lines, as magnets have."""
    base, grit, line = colour(rng, 0.25, 0.65, 0.06), rng.uniform(0.02, 0.1), rng.uniform(0, 0.12)
    patch, frame = rng.uniform(0.0, 0.35), rng.random() < 0.4
    spread = rng.uniform(0.6, 2.0)

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, base, gloss=0.15)
        _vary(s, 2 * grit, 0.5 + grain(rng, size, (spread, spread)))
        _vary(s, line, 0.5 + grain(rng, size, (30, 0.7)))
        _vary(s, patch, fractal(rng, size, rng.uniform(1, 3), 4))
        if frame:
            x, _ = grid(size)
            edge = rng.uniform(0.8, 0.97)
            paint(s, smooth(edge - np.abs(x + rng.normal(0, 0.02)), 0.03), tuple(np.asarray(base) * 0.45))
        return Product(s)

    return draw


def cast_metal(rng: Rng) -> Draw:
    base, scale, depth, gloss = (
        colour(rng, 0.25, 0.65, 0.1),
        rng.uniform(20, 70),
        rng.uniform(0.8, 3),
        rng.uniform(0.1, 0.5),
    )

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, base, gloss)
        rough = fractal(rng, size, scale, 3, 0.7)
        s.height += depth * rough
        _vary(s, 0.3, fractal(rng, size, 3, 4))
        _vary(s, 0.2, rough)
        return Product(s)

    return draw


def rolled_steel(rng: Rng) -> Draw:
    base, streak = colour(rng, 0.35, 0.75, 0.1), rng.uniform(0.1, 0.4)

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, base, gloss=0.35)
        _vary(s, streak, value_noise(rng, size, (2, 40)))
        _vary(s, streak, fractal(rng, size, 4, 5, stretch=6))
        _vary(s, 0.1, 0.5 + 0.3 * grain(rng, size, (0.8, 0.8)))
        return Product(s)

    return draw


def wood(rng: Rng) -> Draw:
    light = np.array([rng.uniform(0.55, 0.85), rng.uniform(0.38, 0.62), rng.uniform(0.2, 0.42)])
    dark, rings = light * rng.uniform(0.45, 0.8), rng.uniform(5, 22)

    def draw(rng: Rng, size: int) -> Product:
        x, y = grid(size)
        wobble = fractal(rng, size, 2, 3, stretch=4)
        bands = 0.5 + 0.5 * np.sin(rings * (y + 1.2 * wobble + 0.3 * x * rng.uniform(-1, 1)) * np.pi)
        s = blank(size, tuple(light), gloss=0.15)
        paint(s, (0.7 * bands**2).astype(np.float32), tuple(dark))
        fibre = grain(rng, size, (14, 0.5))
        _vary(s, 0.12, 0.5 + 0.5 * fibre)
        s.height += 0.25 * fibre
        return Product(s)

    return draw


def leather(rng: Rng) -> Draw:
    base, count, depth = colour(rng, 0.1, 0.6, 0.5), int(rng.integers(500, 1800)), rng.uniform(1, 3)

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, base, gloss=0.3)
        bumps, _ = cells(rng, size, count)
        bumps = warp(np.sqrt(bumps), rng, 3, 10)
        s.height += depth * bumps
        _vary(s, 0.5, bumps)
        _vary(s, 0.15, fractal(rng, size, 3, 3))
        return Product(s)

    return draw


def weave(rng: Rng) -> Draw:
    """Plain, twill or coarse woven cloth, mesh and carbon weave."""
    warp_colour, twill = colour(rng, 0.1, 0.85, 0.5), int(rng.choice([1, 1, 2, 3]))
    weft_colour = warp_colour if rng.random() < 0.6 else colour(rng, 0.1, 0.85, 0.4)
    pitch, open_mesh, fuzz = rng.uniform(5, 18), rng.random() < 0.2, rng.uniform(0.05, 0.3)
    gloss = float(rng.choice([0.05, 0.5]))

    def draw(rng: Rng, size: int) -> Product:
        p = pitch * size / 224
        ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
        xs = xs + (value_noise(rng, size, (4, 4)) - 0.5) * p * 0.5 + rng.uniform(0, 4 * p)
        ys = ys + (value_noise(rng, size, (4, 4)) - 0.5) * p * 0.5 + rng.uniform(0, 4 * p)
        column, row = np.floor(xs / p), np.floor(ys / p)
        u, v = xs / p - column - 0.5, ys / p - row - 0.5
        over = ((column + row) % (twill + 1)) == 0
        across, along = np.where(over, u, v), np.where(over, v, u)
        body = np.sqrt(np.clip(1 - (across / 0.48) ** 2, 0, 1)) * (0.75 + 0.25 * np.cos(along * np.pi))
        s = blank(size, (0.03, 0.03, 0.03), gloss)
        cover = (
            np.clip(body * 4, 0, 1).astype(np.float32) if open_mesh else np.clip(0.35 + body, 0, 1).astype(np.float32)
        )
        thread = np.where(over[..., None], np.asarray(warp_colour), np.asarray(weft_colour)).astype(np.float32)
        paint(s, cover, thread)
        s.height += (2 * body).astype(np.float32)
        _vary(s, fuzz, 0.5 + 0.4 * grain(rng, size, (0.7, 0.7)))
        _vary(s, 0.15, fractal(rng, size, 2, 3))
        return Product(s)

    return draw


def carpet(rng: Rng) -> Draw:
    base, other, pile = colour(rng, 0.2, 0.8, 0.4), colour(rng, 0.1, 0.8, 0.4), rng.uniform(1, 2.5)

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, base, gloss=0.0)
        tufts = grain(rng, size, (pile, pile))
        paint(s, np.clip(0.5 + 0.5 * grain(rng, size, (pile, pile)), 0, 1), other)
        s.height += 1.5 * tufts
        _vary(s, 0.4, 0.5 + 0.4 * tufts)
        return Product(s)

    return draw


def glazed_tile(rng: Rng) -> Draw:
    base, vein = colour(rng, 0.3, 0.95, 0.25), colour(rng, 0.1, 0.8, 0.25)
    style, strength, scale = int(rng.integers(3)), rng.uniform(0.2, 0.8), rng.uniform(3, 14)

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, base, gloss=0.6)
        if style == 0:
            pattern = fractal(rng, size, scale, 5)
            paint(s, (strength * np.clip((pattern - 0.5) * 4, 0, 1)).astype(np.float32), vein)
        elif style == 1:
            ridge = 1 - np.abs(2 * warp(fractal(rng, size, scale / 2, 4), rng, 10) - 1)
            paint(s, (strength * ridge**10).astype(np.float32), vein)
        else:
            speck = grain(rng, size, (1.2, 1.2))
            paint(s, (strength * np.clip(speck - 1.2, 0, 1)).astype(np.float32), vein)
        _vary(s, 0.05, fractal(rng, size, 40, 2))
        return Product(s)

    return draw


def concrete(rng: Rng) -> Draw:
    base, stones = colour(rng, 0.35, 0.7, 0.1), int(rng.integers(0, 900))

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, base, gloss=0.02)
        _vary(s, 0.4, fractal(rng, size, 3, 6, 0.65))
        _vary(s, 0.3, 0.5 + 0.3 * grain(rng, size, (0.7, 0.7)))
        if stones > 100:
            inner, value = cells(rng, size, stones)
            _vary(s, 0.5, value)
            s.height += 1.5 * inner
        s.height += 1.5 * fractal(rng, size, 40, 3)
        return Product(s)

    return draw


def painted(rng: Rng) -> Draw:
    base, peel, flake = colour(rng, 0.1, 0.95, 0.9), rng.uniform(0.0, 0.8), rng.uniform(0, 0.15)

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, base, gloss=0.8)
        s.height += peel * fractal(rng, size, 50, 2) * 2
        s.height += 6 * fractal(rng, size, 1.5, 2)
        _vary(s, flake, 0.5 + 0.4 * grain(rng, size, (0.6, 0.6)))
        return Product(s)

    return draw


def printed_paper(rng: Rng) -> Draw:
    ground, ink, dots = colour(rng, 0.75, 0.97, 0.15), colour(rng, 0.02, 0.45, 0.8), rng.uniform(4, 8)
    layout, halftone = rng.integers(2**31), rng.random() < 0.5

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, ground, gloss=0.15)
        _vary(s, 0.06, fractal(rng, size, 60, 2))
        plan = np.random.default_rng(layout)
        ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
        pattern = np.zeros((size, size), np.float32)
        if halftone:
            p = dots * size / 224
            tone = fractal(plan, size, 2, 2)
            u, v = (xs + ys) / p * np.pi, (xs - ys) / p * np.pi
            pattern = smooth(0.5 - tone - 0.25 * (np.cos(u) + np.cos(v)), 0.3)
        for _ in range(int(plan.integers(4, 10))):
            word = "".join(plan.choice(list("ABCDEFGHKLMNPRSTUVXYZ0123456789"), int(plan.integers(2, 8))))
            spot = (int(plan.uniform(0, 0.7) * size), int(plan.uniform(0.1, 0.95) * size))
            scale = float(plan.uniform(0.4, 1.4)) * size / 224
            pattern = np.maximum(pattern, lettering(size, word, spot, scale, int(plan.integers(1, 3))))
        return Product(s, pattern=pattern, pattern_colour=ink, pattern_gloss=0.2)

    return draw


def solar_cell(rng: Rng) -> Draw:
    """Electroluminescence or colour photo of a crystalline cell: bus bars, fingers, grains or a dark rim."""
    bars, fingers, poly = int(rng.integers(2, 6)), int(rng.integers(24, 60)), rng.random() < 0.5
    base = colour(rng, 0.35, 0.75, 0.05) if rng.random() < 0.6 else (0.08, 0.12, float(rng.uniform(0.25, 0.45)))
    bar = colour(rng, 0.02, 0.2, 0.05) if base[2] < 0.9 and rng.random() < 0.6 else (0.75, 0.75, 0.78)
    thick, corner, upright = rng.uniform(0.012, 0.035), rng.uniform(0.0, 0.25), rng.random() < 0.5

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, base, gloss=0.1)
        if poly:
            _, value = cells(rng, size, int(rng.integers(40, 200)))
            _vary(s, 0.7, cv2.GaussianBlur(value, (0, 0), 1))
        _vary(s, rng.uniform(0.1, 0.5), fractal(rng, size, 2, 3))
        x, y = grid(size)
        _vary(s, rng.uniform(0, 0.5), (1 - 0.5 * (x * x + y * y)).astype(np.float32))
        across, along = (x, y) if upright else (y, x)
        lines = np.cos((along + 1) * np.pi * fingers) * 0.5 + 0.5
        _vary(s, 0.2, lines.astype(np.float32))
        pattern = np.zeros((size, size), np.float32)
        for i in range(bars):
            centre = -1 + 2 * (i + 0.5) / bars
            pattern = np.maximum(pattern, smooth(np.abs(across - centre) - thick, 0.02))
        paint(s, smooth(2 - corner - (np.abs(x) + np.abs(y)), 0.02) * 0.9, (0.02, 0.02, 0.02))
        paint(s, smooth(0.985 - np.maximum(np.abs(x), np.abs(y)), 0.02), (0.02, 0.02, 0.02))
        return Product(s, pattern=pattern, pattern_colour=bar, pattern_gloss=0.2)

    return draw


def display(rng: Rng) -> Draw:
    pitch, base = rng.uniform(4, 9), colour(rng, 0.2, 0.8, 0.3)

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, base, gloss=0.7)
        ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
        p = pitch * size / 224
        mesh = np.maximum(np.cos(xs / p * 2 * np.pi), np.cos(ys / p * 2 * np.pi))
        _vary(s, 0.5, 0.5 - 0.5 * np.clip(mesh - 0.6, 0, 1).astype(np.float32) * 2)
        _vary(s, 0.1, fractal(rng, size, 2, 2))
        return Product(s)

    return draw


def rubber_mat(rng: Rng) -> Draw:
    base, pitch, ribbed = colour(rng, 0.05, 0.35, 0.1), rng.uniform(10, 30), rng.random() < 0.5

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, base, gloss=0.25)
        ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
        p = pitch * size / 224
        phase = rng.uniform(0, 2 * np.pi, 2)
        relief = np.sin(xs / p * 2 * np.pi + phase[0])
        if not ribbed:
            relief = relief * np.sin(ys / p * 2 * np.pi + phase[1])
        s.height += (2.5 * np.clip(relief, -0.3, 0.6)).astype(np.float32)
        _vary(s, 0.25, 0.5 + 0.3 * grain(rng, size, (0.8, 0.8)))
        return Product(s)

    return draw


def seam(rng: Rng) -> Draw:
    """Cloth or leather with one or two rows of stitches along a fold."""
    cloth = weave(rng) if rng.random() < 0.5 else leather(rng)
    thread, pitch, rows = colour(rng, 0.3, 0.95, 0.6), rng.uniform(10, 18), int(rng.integers(1, 3))

    def draw(rng: Rng, size: int) -> Product:
        s = cloth(rng, size).base
        pattern = np.zeros((size, size), np.float32)
        p = pitch * size / 224
        for row in range(rows):
            y0 = size * (0.4 + 0.2 * row) + rng.normal(0, 2)
            for x0 in np.arange(-p, size + p, p):
                a = (int((x0 + 0.15 * p) * 8), int((y0 + 0.08 * p) * 8))
                b = (int((x0 + 0.85 * p) * 8), int((y0 - 0.08 * p) * 8))
                cv2.line(pattern, a, b, 1.0, max(2, round(0.2 * p)), cv2.LINE_AA, 3)
        s.height -= 3 * cv2.GaussianBlur(pattern, (0, 0), p / 3)
        return Product(s, pattern=pattern, pattern_colour=thread, pattern_gloss=0.2)

    return draw


def weld_bead(rng: Rng) -> Draw:
    plate, ripple, width = brushed_metal(rng), rng.uniform(5, 11), rng.uniform(0.16, 0.34)

    def draw(rng: Rng, size: int) -> Product:
        s = plate(rng, size).base
        x, y = grid(size)
        wander = (value_noise(rng, size, (3, 2)) - 0.5) * 0.1
        bead = np.clip(1 - ((y + wander) / width) ** 2, 0, 1).astype(np.float32)
        waves = np.sin((x * size / 2 + 6 * np.abs(y) * size / 20) / (ripple * size / 224) * np.pi)
        s.height += np.sqrt(bead) * 9 + bead * waves.astype(np.float32) * 1.2
        heat = np.exp(-(((np.abs(y + wander) - width) / 0.12) ** 2)).astype(np.float32)
        paint(s, 0.35 * heat, (0.25, 0.2, 0.3))
        _vary(s, 0.3, fractal(rng, size, 20, 3))
        return Product(s)

    return draw


def die_grid(rng: Rng) -> Draw:
    """Wafer with repeated dies: every die carries the same drawn layout."""
    count, street, colours = (
        int(rng.integers(3, 8)),
        rng.uniform(0.04, 0.1),
        [colour(rng, 0.2, 0.8, 0.6) for _ in range(4)],
    )
    boxes = rng.random((int(rng.integers(5, 14)), 4))

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, colours[0], gloss=0.5)
        cell = size / count
        ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
        u, v = (xs + rng.uniform(0, cell)) % cell / cell, (ys + rng.uniform(0, cell)) % cell / cell
        for i, (a, b, w, h) in enumerate(boxes):
            inside = (np.abs(u - a) < 0.05 + 0.25 * w) & (np.abs(v - b) < 0.04 + 0.2 * h)
            paint(s, inside.astype(np.float32), colours[1 + i % 3])
        paint(s, ((u < street) | (v < street)).astype(np.float32), (0.75, 0.75, 0.78))
        _vary(s, 0.08, fractal(rng, size, 2, 3))
        s.albedo = cv2.GaussianBlur(s.albedo, (0, 0), 0.6)
        return Product(s)

    return draw
