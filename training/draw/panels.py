"""Families that fill the picture: solar cells, displays and wafers."""

from __future__ import annotations

import cv2
import numpy as np

from training.draw.noise import Field, Rng, cells, fractal, grain, grid, smooth
from training.draw.surface import Colour, Product, blank, paint
from training.draw.textures import Draw, shade, vary


def solar_cell(rng: Rng) -> Draw:
    """Electroluminescence picture or colour photo of crystalline cells: grains, fingers, bus bars."""
    glowing, poly = rng.random() < 0.6, rng.random() < 0.5
    level, dim = rng.uniform(0.4, 0.75), rng.uniform(0.3, 0.7)
    photo: tuple[Colour, ...] = ((0.08, 0.1, 0.155), (0.06, 0.065, 0.08), (0.11, 0.145, 0.22), (0.05, 0.05, 0.055))
    base: Colour = (float(level), float(level), float(level)) if glowing else shade(rng, photo)
    metal: Colour = tuple(dim * c for c in base) if glowing else tuple(0.08 + 2.2 * c for c in (base[1],) * 3)  # type: ignore[assignment]
    bars, fingers, upright = int(rng.integers(2, 7)), int(rng.integers(20, 45)), rng.random() < 0.5
    bar_width, corner = rng.uniform(0.9, 3), float(rng.choice([0.0, rng.uniform(0.06, 0.2)]))
    columns, grains, clouds = int(rng.choice([1, 1, 2])), int(rng.integers(30, 160)), rng.uniform(0.1, 0.6)
    finger_strength, rim = rng.uniform(0.6, 0.9), rng.uniform(0, 0.6)
    gap: Colour = (0.02, 0.02, 0.02) if glowing or rng.random() < 0.5 else (0.85, 0.85, 0.85)

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, base, 0.05 if glowing else 0.4)
        x, y = grid(size)
        if columns > 1:
            x, y = (x * columns + 1) % 2 - 1, (y * columns + 1) % 2 - 1
        if poly:
            border, value = cells(rng, size, grains)
            _, twin = cells(rng, size, grains * 3)
            value = 0.75 * value + 0.25 * twin
            vary(s, 0.35 if glowing else 0.7, cv2.GaussianBlur(value, (0, 0), 0.7 * size / 224))
            if glowing:  # dislocations gather in dark clouds inside some grains, and along borders
                dark = np.clip(fractal(rng, size, 7, 5, 0.7) - 0.52, 0, 1) * 3 * (value > 0.45)
                s.albedo *= (1 - np.clip(clouds * dark + 0.1 * np.exp(-14 * border), 0, 0.7))[..., None]
        vary(s, 0.14, fractal(rng, size, 2, 4))
        if glowing:
            r = np.maximum(np.abs(x), np.abs(y))
            s.albedo *= (1 - rim * np.clip(r - 0.6, 0, 1) ** 1.5 * 1.6)[..., None].astype(np.float32)
        across, along = (x, y) if upright else (y, x)
        half = size / 2 / columns
        pattern = np.zeros((size, size), np.float32)
        for i in range(bars):
            centre = -1 + 2 * (i + 0.5) / bars
            pattern = np.maximum(pattern, smooth(np.abs(across - centre) * half - bar_width / 2 * size / 224 - 0.5, 1))
        phase = (along + 1) * fingers / columns / 2
        near = np.abs(phase - np.floor(phase) - 0.5) * 2 / fingers * columns * half
        thin = smooth(near - 0.5 * size / 224, 1.0)
        pattern = np.maximum(pattern, finger_strength * thin)
        vary(s, 0.06, 0.5 + 0.3 * grain(rng, size, (0.7, 0.7)))
        margin = np.maximum(np.maximum(np.abs(x), np.abs(y)) - 0.975, (np.abs(x) + np.abs(y) - 2 + corner) * 0.7)
        outside = smooth(-margin * half, 1.2)
        pattern = np.minimum(pattern, 1 - outside)
        paint(s, outside, gap, 0.1)
        return Product(
            s, pattern=pattern.astype(np.float32), pattern_colour=metal, pattern_gloss=0.2, pattern_height=0.1
        )

    return draw


def display(rng: Rng) -> Draw:
    """Panel with lit subpixels, dark glass with its grid, or bare cover glass."""
    kind = str(rng.choice(["lit", "lit", "lit", "off", "glass"]))
    pitch, shape = rng.uniform(5, 12), str(rng.choice(["stripe", "stripe", "diamond"]))
    lit = np.asarray(
        [(0.9, 0.9, 0.9), (0.9, 0.1, 0.1), (0.1, 0.8, 0.15), (0.1, 0.15, 0.9), (0.4, 0.4, 0.4)][int(rng.integers(5))]
    )
    base = shade(
        rng, ((0.04, 0.04, 0.05), (0.06, 0.07, 0.09)) if kind == "off" else ((0.55, 0.6, 0.6), (0.3, 0.33, 0.34))
    )
    uneven = rng.uniform(0.02, 0.12)

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        x, y = grid(size)
        s = blank(size, base, 0.75)
        s.height += 2 * fractal(rng, size, 1.5, 2)
        xs, ys = (x + 1) * 112 / pitch + rng.random(), (y + 1) * 112 / pitch + rng.random()
        u, v = xs - np.floor(xs), ys - np.floor(ys)
        edge = 1.6 / pitch
        if kind == "lit":
            for i in range(3):
                if shape == "stripe":
                    d = np.maximum(np.abs(u - (i + 0.5) / 3) - 0.11, np.abs(v - 0.5) - 0.38)
                else:
                    at, reach = ((0.5, 0.0), (0.0, 0.5), (0.5, 0.5))[i], (0.2, 0.24, 0.17)[i]
                    du, dv = np.abs((u - at[0] + 0.5) % 1 - 0.5), np.abs((v - at[1] + 0.5) % 1 - 0.5)
                    d = du + dv - reach
                tint = np.full(3, 0.02, np.float32)
                tint[i] = lit[i]
                glow = smooth(d, edge)
                if i == 0:
                    s.albedo[:] = 0.03
                s.albedo += glow[..., None] * tint
            s.albedo += 0.25 * cv2.GaussianBlur(s.albedo, (0, 0), 1.2 * unit)
            s.albedo[:] = np.clip(1.4 * s.albedo, 0, 0.95)
            s.gloss[:] = 0.15
            s.height[:] = 0
        elif kind == "off":
            line = np.maximum(smooth(u - 0.12, edge), smooth(v - 0.12, edge))
            paint(s, 0.5 * line, tuple(min(1.0, 2.6 * c) for c in base))  # type: ignore[arg-type]
        else:
            vary(s, 0.1, (0.5 + 0.5 * (x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1))).astype(np.float32))
        vary(s, uneven, fractal(rng, size, 2, 3))
        vary(s, 0.05, 0.5 + 0.3 * grain(rng, size))
        return Product(s)

    return draw


def die_grid(rng: Rng) -> Draw:
    """Wafer with repeated dies: memory arrays, logic, pads and routing, in the colours of thin films."""
    count, street = int(rng.integers(2, 8)), rng.uniform(0.025, 0.06)
    films: tuple[Colour, ...] = (
        (0.36, 0.33, 0.38), (0.3, 0.38, 0.38), (0.42, 0.34, 0.34), (0.4, 0.39, 0.3), (0.27, 0.29, 0.38), (0.45, 0.45, 0.46),
    )  # fmt: skip
    tones = [shade(rng, films, 0.3) for _ in range(5)]
    layout, sheen, gloss = int(rng.integers(2**31)), rng.uniform(0.0, 0.3), rng.uniform(0.3, 0.8)
    lane, pads = shade(rng, ((0.5, 0.5, 0.5), (0.28, 0.28, 0.3), (0.62, 0.58, 0.5))), int(rng.integers(6, 16))

    def die(n: int) -> tuple[np.ndarray, Field]:
        """One die, drawn four times as fine as it is seen: colour (n, n, 3) and relief (n, n)."""
        plan, m = np.random.default_rng(layout), 4 * n
        tint = np.broadcast_to(np.asarray(lane, np.float32), (m, m, 3)).copy()
        relief = np.zeros((m, m), np.float32)
        a, b = round(street * m), m - round(street * m)
        tint[a:b, a:b] = tones[0]
        relief[a:b, a:b] = 1
        blocks = [(a, a, b, b)]
        edge = round(0.07 * m)
        blocks = [(a + edge, a + edge, b - edge, b - edge)]
        for _ in range(int(plan.integers(3, 11))):  # a floor plan: split the largest block again and again
            blocks.sort(key=lambda r: (r[2] - r[0]) * (r[3] - r[1]))
            x0, y0, x1, y1 = blocks.pop()
            t = plan.uniform(0.3, 0.7)
            if x1 - x0 > y1 - y0:
                cut = round(x0 + t * (x1 - x0))
                blocks += [(x0, y0, cut, y1), (cut, y0, x1, y1)]
            else:
                cut = round(y0 + t * (y1 - y0))
                blocks += [(x0, y0, x1, cut), (x0, cut, x1, y1)]
        gap = max(1, round(0.012 * m))
        for x0, y0, x1, y1 in blocks:
            h, w = y1 - y0 - 2 * gap, x1 - x0 - 2 * gap
            if h < 4 or w < 4:
                continue
            body = np.broadcast_to(np.asarray(tones[1 + int(plan.integers(4))], np.float32), (h, w, 3)).copy()
            kind, pitch = int(plan.integers(3)), max(4, round(m * plan.uniform(0.015, 0.05)))
            rows, columns = np.arange(h)[:, None], np.arange(w)[None]
            if kind == 0:  # memory: a fine lattice
                body *= np.where((rows % pitch < 2) | (columns % (2 * pitch) < 2), 0.7, 1.05)[..., None]
            elif kind == 1:  # logic: rows of cells
                cell = plan.random((h // pitch + 1, w // pitch + 1))
                body *= (0.75 + 0.5 * cell[rows // pitch, columns // pitch])[..., None]
            else:  # analogue and routing: parallel tracks
                track = plan.random(max(h, w) // max(2, pitch // 2) + 1)
                along = columns if w > h else rows
                body *= (0.85 + 0.4 * (track > 0.5)[(along + 0 * rows) // max(2, pitch // 2)])[..., None]
            tint[y0 + gap : y1 - gap, x0 + gap : x1 - gap] = body
            relief[y0 + gap : y1 - gap, x0 + gap : x1 - gap] += 0.3
        side = max(2, round(0.5 * (b - a) / pads))
        for t in np.linspace(a + edge, b - edge - side, pads).round().astype(int):
            for i in (a + edge // 4, b - edge // 4 - side // 2):
                tint[i : i + side // 2 + 1, t : t + side] = (0.72, 0.7, 0.62)
                tint[t : t + side, i : i + side // 2 + 1] = (0.72, 0.7, 0.62)
        shrunk = cv2.resize(np.dstack([tint, relief]), (n, n), interpolation=cv2.INTER_AREA)
        return shrunk[..., :3], shrunk[..., 3]

    def draw(rng: Rng, size: int) -> Product:
        n = max(12, round(size / count))
        tint, relief = die(n)
        tiles = -(-size // n) + 1
        dx, dy = (int(v) for v in rng.integers(0, n, 2))
        s = blank(size, lane, gloss)
        s.albedo[:] = np.tile(tint, (tiles, tiles, 1))[dy : dy + size, dx : dx + size]
        s.height += 0.5 * np.tile(relief, (tiles, tiles))[dy : dy + size, dx : dx + size]
        x, y = grid(size)
        # Films a few nanometres thicker on one side change colour over the wafer.
        a = rng.uniform(0, 2 * np.pi)
        drift = (x * np.cos(a) + y * np.sin(a))[..., None] + np.array([0, 2.1, 4.2])
        s.albedo *= (1 + sheen * 0.6 * np.sin(drift)).astype(np.float32)
        vary(s, 0.07, fractal(rng, size, 2, 3))
        vary(s, 0.05, 0.5 + 0.3 * grain(rng, size, (0.6, 0.6)))
        return Product(s)

    return draw
