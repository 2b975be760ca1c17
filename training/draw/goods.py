"""Families of food, pharmaceutical and packaged goods that lie on a background."""

from __future__ import annotations

import cv2
import numpy as np

from training.draw.noise import Rng, fractal, grain, grid, smooth, warp
from training.draw.shapes import bevel, code, dome, lattice, polar, rod, rounded_box, sink, skin, word
from training.draw.surface import Colour, Product, paint
from training.draw.textures import Draw, shade

_COATS: tuple[Colour, ...] = (
    (0.9, 0.89, 0.86), (0.88, 0.87, 0.84), (0.86, 0.84, 0.78), (0.85, 0.8, 0.6), (0.85, 0.66, 0.62), (0.72, 0.6, 0.45),
    (0.62, 0.72, 0.8), (0.55, 0.27, 0.2), (0.7, 0.8, 0.68), (0.84, 0.6, 0.32), (0.45, 0.32, 0.28),
)  # fmt: skip
"""White, off-white, cream, yellow, pink, beige, blue, red-brown, green, orange and brown film coats."""
_SHELLS: tuple[Colour, ...] = (
    (0.88, 0.87, 0.84), (0.84, 0.76, 0.5), (0.62, 0.15, 0.13), (0.2, 0.33, 0.6), (0.2, 0.42, 0.32), (0.75, 0.42, 0.15),
    (0.5, 0.32, 0.22), (0.55, 0.57, 0.6), (0.72, 0.55, 0.6), (0.45, 0.63, 0.72),
)  # fmt: skip


def _ink(rng: Rng, tone: Colour) -> Colour:
    """A print colour that reads on the tone."""
    dark = ((0.1, 0.1, 0.11), (0.15, 0.2, 0.35), (0.4, 0.14, 0.12))
    return shade(rng, dark) if sum(tone) > 1.2 else shade(rng, ((0.88, 0.88, 0.86), (0.8, 0.75, 0.6)))


def pill(rng: Rng) -> Draw:
    """A tablet: round, oval or oblong, flat with a bevelled rim or biconvex, scored, embossed or printed."""
    tone = shade(rng, _COATS, 0.06)
    round_, aspect = rng.random() < 0.5, rng.uniform(0.38, 0.7)
    flat, coated, score = rng.random() < 0.4, rng.random() < 0.55, rng.random() < 0.35
    layer, second = rng.random() < 0.12, shade(rng, _COATS, 0.06)
    printed, embossed = rng.random() < 0.6, rng.random() < 0.7
    text, ink, mottled = code(rng, 1, 4), _ink(rng, tone), 0.0 if coated else float(rng.choice([0.3, 0.8, 1.6]))
    rise, squared = rng.uniform(10, 24), rng.uniform(0.6, 1)

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = skin(rng, size, tone, 0.45 if coated else 0.12, cloud=0.06, marks=0)
        x, y, _, _ = polar(size)
        a = 1.0 if round_ else aspect
        d = rounded_box(x, y, 0.82, 0.82 * a, 0.82 * a * (1 if round_ else squared))
        s.alpha = smooth(d, 3 / size)
        if layer:
            paint(s, smooth(-x, 0.02), second)
        powder = grain(rng, size, (0.9 * unit, 0.9 * unit))
        s.albedo *= (1 + 0.03 * mottled * powder)[..., None].astype(np.float32)
        paint(s, (0.5 * mottled * np.clip(powder - 2.2, 0, 1)).astype(np.float32), tuple(0.72 * c for c in tone))  # type: ignore[arg-type]
        if flat:
            bevel(s, d, 0.09, 5)
            sink(s, np.abs(d + 0.09) - 0.004, 0.5, 0.02)
        else:
            dome(s, d, 0.55 * a, rise * unit)
            sink(s, -d - 0.05, 2.5, 0.02)  # the land that the punches leave round the rim
        s.height += ((0.3 if coated else 0.6) * fractal(rng, size, 60, 2) + 0.06 * mottled * powder).astype(
            np.float32
        ) * unit
        if score:
            groove = np.abs(x) - 0.03
            s.height -= 5 * unit * np.clip(-groove / 0.03, 0, 1).astype(np.float32)
        pattern = None
        at = 0.42 if score and not round_ else 0.0
        mark = word(size, text, at, 0.42 if score and round_ else 0.0, min(0.26, 0.5 * a))
        if printed:
            pattern = np.clip(mark * (0.75 + 0.5 * fractal(rng, size, 40, 2)), 0, 1).astype(np.float32)
        elif embossed:
            s.height -= 2.6 * unit * cv2.GaussianBlur(mark, (0, 0), 0.8 * unit)
        return Product(s, pattern=pattern, pattern_colour=ink, pattern_gloss=0.3, pattern_height=0.1)

    return draw


def capsule(rng: Rng) -> Draw:
    """A hard capsule: cap over body, opaque or clear with pellets or powder inside, with or without print."""
    body = shade(rng, _SHELLS, 0.08)
    cap = body if rng.random() < 0.3 else shade(rng, _SHELLS, 0.08)
    clear, pellets = rng.random() < 0.25, rng.random() < 0.6
    wide, joint = rng.uniform(0.28, 0.38), rng.uniform(-0.1, 0.12)
    text, other, ink = code(rng, 2, 5), code(rng, 2, 4), _ink(rng, body)
    fills = [shade(rng, _COATS, 0.1) for _ in range(2)]
    bands = rng.random() < 0.3

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        x, y = grid(size)
        s = skin(rng, size, body, 0.75, cloud=0.04, marks=3)
        over = smooth(x - joint, 0.01)
        paint(s, over, cap)
        radius = (wide - 0.022 * (1 - over)).astype(np.float32)
        off = np.hypot(np.maximum(np.abs(x) - 0.88 + radius, 0), y).astype(np.float32)
        d = off - radius
        s.alpha = smooth(d, 3 / size)
        if clear:
            inside = smooth(d + 0.04, 0.02) * smooth(-x - 0.7, 0.03)
            if pellets:
                spots = np.zeros((size, size), np.float32)
                relief = np.zeros((size, size), np.float32)
                for px, py, level in rng.random((420, 3)):
                    at, r = (int(px * size * 16), int(size * 8 * (1 + 1.9 * wide * (py - 0.5)) * 2)), 4.2 * unit * 16
                    cv2.circle(spots, at, round(r), float(0.4 + 0.6 * level), -1, cv2.LINE_AA, 4)
                    cv2.circle(relief, at, round(r * 0.5), 1.0, -1, cv2.LINE_AA, 4)
                mix = spots[..., None]
                paint(s, 0.85 * inside, mix * np.asarray(fills[0]) + (1 - mix) * 0.6 * np.asarray(fills[1]))
                s.height += 2.5 * unit * inside * cv2.GaussianBlur(relief, (0, 0), unit)
            else:
                paint(s, 0.85 * inside, fills[0])
                s.albedo *= (1 + 0.12 * inside * (fractal(rng, size, 30, 3) - 0.5))[..., None]
            paint(s, 0.3 * (smooth(-d - 0.04, 0.03)), (0.25, 0.25, 0.25))
        rod(s, off, radius, 0.8)
        paint(s, 0.3 * smooth(np.abs(x - joint - 0.012) - 0.006, 0.02), (0.08, 0.07, 0.07))
        if bands:
            s.height += (
                1.2 * unit * (smooth(np.abs(x + 0.25) - 0.015, 0.02) + smooth(np.abs(x - joint - 0.2) - 0.012, 0.02))
            )
        pattern = np.maximum(word(size, text, -0.45, 0, 0.14), word(size, other, 0.42, 0, 0.14))
        return Product(
            s, pattern=np.asarray(pattern, np.float32), pattern_colour=ink, pattern_gloss=0.6, pattern_height=0.1
        )

    return draw


def baked(rng: Rng) -> Draw:
    """Biscuit, cookie, cracker or roll."""
    kind = str(rng.choice(["biscuit", "biscuit", "cookie", "cookie", "cracker", "roll", "ring"]))
    doughs = ((0.8, 0.6, 0.36), (0.72, 0.5, 0.28), (0.85, 0.7, 0.47), (0.62, 0.42, 0.24), (0.24, 0.15, 0.11))
    tone = shade(rng, doughs[:4] if kind in ("roll", "cracker") else doughs)
    dark = tuple(c * k for c, k in zip(tone, (0.62, 0.5, 0.42), strict=True))
    square, flutes = (
        rng.random() < {"cracker": 0.7, "biscuit": 0.4, "cookie": 0.1}.get(kind, 0.0),
        int(rng.choice([0, 20, 26, 34])),
    )
    wobble = {"biscuit": 0.003, "ring": 0.006, "cracker": 0.005, "cookie": 0.014, "roll": 0.014}[kind]
    aspect, browned, rows = rng.uniform(0.65, 1), rng.uniform(0.4, 0.9), int(rng.integers(3, 6))
    chips, seeds, text = int(rng.integers(8, 26)), rng.random() < 0.5, code(rng, 3, 7)
    stamped, sugar = rng.random() < 0.5, rng.random() < 0.25

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = skin(rng, size, tone, 0.06 if kind != "roll" else 0.3, cloud=0.2, marks=0)
        x, y, r, angle = polar(size)
        bump = sum(rng.normal(0, 2.2 * wobble / k) * np.cos(k * angle + rng.uniform(0, 6)) for k in range(2, 9))
        w = 0.8
        d = rounded_box(x, y, w, w * aspect, 0.1) if square else np.hypot(x, y / aspect) * aspect - w * aspect
        if flutes and kind == "biscuit":
            run = angle * flutes if not square else (x + y) * flutes * 0.9
            bump = bump + 0.016 * np.cos(run)
        d = np.asarray(d + bump, np.float32)
        if kind == "ring":
            d = np.maximum(d, 0.22 - r).astype(np.float32)
        d = d + (0.02 * (fractal(rng, size, 20, 3) - 0.5)).astype(np.float32)
        s.alpha = smooth(d, 3 / size)
        crumb = fractal(rng, size, 30, 4)
        coarse = fractal(rng, size, 5, 4)
        edge = np.clip(1 + d / (0.16 if kind != "roll" else 0.4), 0, 1) ** 2
        bake = edge if kind != "roll" else 1 - edge  # rolls brown on top, flat goods at the rim
        cover = np.clip(browned * (0.75 * bake + 0.9 * (coarse - 0.45)), 0, 0.9).astype(np.float32)
        paint(s, cover, dark)  # type: ignore[arg-type]
        s.albedo *= (1 + 0.22 * (crumb - 0.5) + 0.03 * grain(rng, size, (0.7, 0.7)))[..., None]
        dome(s, d, {"roll": 0.7, "cookie": 0.3}.get(kind, 0.1), {"roll": 26, "cookie": 9}.get(kind, 6) * unit)
        lumps = {"cookie": 6, "roll": 1.5}.get(kind, 2.0)
        s.height += (lumps * unit * (fractal(rng, size, 11, 4) - 0.5) + 1.6 * unit * crumb).astype(np.float32)
        if kind == "cookie":
            cracks = np.abs(fractal(rng, size, 5, 3) - 0.5)
            s.height -= 3 * unit * smooth(cracks - 0.012, 0.03)
            for _ in range(chips):
                a, b = rng.uniform(-0.66, 0.66, 2)
                spot = np.hypot((x - a) * rng.uniform(0.8, 1.3), (y - b) * rng.uniform(0.8, 1.3)) - rng.uniform(
                    0.03, 0.09
                )
                spot = spot + 0.05 * (coarse - 0.5)
                paint(s, 0.93 * smooth(spot.astype(np.float32), 0.02), (0.16, 0.09, 0.06), 0.35)
                sink(s, spot, -3.5, 0.06)
        elif kind in ("cracker", "biscuit"):
            for a, b in lattice(rows, rows, (0.52, 0.52 * aspect), size, rng, 0.6 * unit):
                hole = np.hypot(x - (a / size * 2 - 1), y - (b / size * 2 - 1)) - 0.022
                sink(s, hole, 4, 0.04)
                paint(s, 0.6 * smooth(hole.astype(np.float32), 0.03), tuple(0.35 * c for c in tone))  # type: ignore[arg-type]
            if kind == "biscuit" and stamped:
                s.height -= (
                    2.5
                    * unit
                    * cv2.GaussianBlur(word(size, text, 0, 0.52 * aspect / (rows - 1) * (rows % 2), 0.16), (0, 0), unit)
                )
                sink(s, np.abs(d + 0.14) - 0.012, 2.0, 0.02)
        elif kind == "roll":
            slash = np.abs(y + 0.25 * x + 0.05 * np.sin(5 * x)) - 0.06 * (1 - (x / 0.7) ** 2)
            paint(s, 0.75 * smooth(np.asarray(slash, np.float32), 0.05), tuple(min(1.0, 1.15 * c) for c in tone))  # type: ignore[arg-type]
            sink(s, slash, 5, 0.08)
        if (seeds and kind in ("roll", "ring", "cracker")) or sugar:
            tops = np.zeros((size, size), np.float32)
            for px, py, a in rng.random((60, 3)) * (size, size, 180):
                axes = (
                    (round(5 * unit * 8), round(2.6 * unit * 8))
                    if seeds
                    else (round(1.4 * unit * 8), round(1.2 * unit * 8))
                )
                cv2.ellipse(tops, (int(px * 8), int(py * 8)), axes, float(a), 0, 360, 1.0, -1, cv2.LINE_AA, 3)
            tops *= smooth(d + 0.05, 0.05)
            paint(s, 0.9 * tops, (0.88, 0.8, 0.62) if seeds else (0.93, 0.92, 0.9), 0.3)
            s.height += 2.5 * unit * cv2.GaussianBlur(tops, (0, 0), 0.9 * unit)
        return Product(s)

    return draw


def sweets(rng: Rng) -> Draw:
    """One nut, bean, pasta piece, coated or chocolate sweet."""
    kind = str(rng.choice(["almond", "hazelnut", "bean", "pasta", "coated", "praline", "praline"]))
    tones: dict[str, tuple[Colour, ...]] = {
        "almond": ((0.5, 0.31, 0.18), (0.58, 0.37, 0.22)),
        "hazelnut": ((0.52, 0.32, 0.18), (0.62, 0.42, 0.24), (0.8, 0.7, 0.52)),
        "bean": ((0.3, 0.19, 0.12), (0.2, 0.12, 0.08), (0.55, 0.15, 0.12), (0.8, 0.74, 0.6), (0.12, 0.1, 0.1)),
        "pasta": ((0.83, 0.68, 0.38), (0.78, 0.6, 0.3), (0.6, 0.4, 0.25)),
        "coated": (
            (0.75, 0.2, 0.16),
            (0.82, 0.62, 0.2),
            (0.3, 0.45, 0.28),
            (0.28, 0.37, 0.55),
            (0.4, 0.24, 0.15),
            (0.86, 0.84, 0.8),
        ),
        "praline": ((0.22, 0.12, 0.08), (0.36, 0.2, 0.12), (0.83, 0.77, 0.63)),
    }
    tone = shade(rng, tones[kind])
    stretch, lines = rng.uniform(0.6, 0.95), int(rng.integers(5, 14))
    square, zigzag, topping = rng.random() < 0.4, rng.random() < 0.6, rng.random() < 0.4
    icing = shade(rng, ((0.85, 0.78, 0.64), (0.2, 0.11, 0.07), (0.75, 0.5, 0.25)))

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = skin(rng, size, tone, {"coated": 0.7, "praline": 0.5, "bean": 0.5}.get(kind, 0.15), cloud=0.22, marks=0)
        x, y, r, angle = polar(size)
        slim = stretch * rng.uniform(0.96, 1.04)
        bump = sum(rng.normal(0, 0.018 / k) * np.cos(k * angle + rng.uniform(0, 6)) for k in range(2, 6))
        if kind == "almond":
            taper = 0.42 * slim * np.sqrt(np.clip(1 - (x / 0.86) ** 2, 0, None)) * (1 - 0.45 * x)
            d = np.maximum((np.abs(y) - taper + bump * 0.3) * 0.9, np.abs(x) - 0.84)
        elif kind == "bean":
            d = np.hypot(x, (y + 0.22 * x * x - 0.1) / 0.62) * 0.62 - 0.5 * 0.95
        elif kind == "pasta":  # farfalle: a pinched strip
            half = 0.16 + 0.5 * np.abs(x) ** 1.2
            zig = 0.03 * np.abs(((y * 6) % 1) - 0.5) * 2
            d = np.maximum(np.abs(y) - half, np.abs(x) - 0.84 + zig)
        elif kind == "praline" and square:
            d = rounded_box(x, y, 0.74, 0.74 * slim, 0.1)
        else:
            d = np.hypot(x, y / (slim if kind != "coated" else 1)) - 0.76 + (bump if kind == "hazelnut" else 0)
        d = np.asarray(d, np.float32)
        s.alpha = smooth(d, 3 / size)
        if kind == "almond":
            veins = np.sin((y / (0.5 * slim)) * (10 + 4 * np.cos(1.5 * x)) + 6 * fractal(rng, size, 4, 3, stretch=4))
            s.height += (1.8 * unit * veins).astype(np.float32)
            s.albedo *= (1 + 0.13 * veins + 0.3 * (fractal(rng, size, 24, 4, stretch=5) - 0.5))[..., None].astype(
                np.float32
            )
            dome(s, d, 0.4 * slim, 30 * unit)
        elif kind == "hazelnut":
            streak = np.sin(angle * 22 + 5 * fractal(rng, size, 5, 3)) * smooth(0.15 - r, 0.2)
            s.albedo *= (1 + 0.1 * streak + 0.25 * (fractal(rng, size, 16, 4) - 0.5))[..., None].astype(np.float32)
            paint(s, 0.7 * smooth(np.hypot(x - 0.25, y + 0.1) - 0.24, 0.12), (0.74, 0.6, 0.42))
            dome(s, d, 0.7, 42 * unit)
            s.height += unit * fractal(rng, size, 20, 3)
        elif kind == "bean":
            dome(s, d, 0.5, 34 * unit)
            crease = np.abs(y - 0.06 * np.sin(3 * x) - 0.02) - 0.02
            sink(s, crease, 6, 0.08)
            s.albedo *= (1 + 0.25 * (fractal(rng, size, 14, 4) - 0.5))[..., None]
            s.height += 1.2 * unit * fractal(rng, size, 30, 3)
        elif kind == "pasta":
            fold = np.exp(-((x / 0.22) ** 2))
            s.height += (8 * unit * fold * np.cos(y * 18) + 14 * unit * fold + 4 * unit * np.sin(2 * angle)).astype(
                np.float32
            )
            bevel(s, d, 0.02, 2)
            s.albedo *= (1 + 0.12 * (fractal(rng, size, 40, 3) - 0.5) + 0.1 * fold)[..., None].astype(np.float32)
        elif kind == "coated":
            dome(s, d, 0.75, 34 * unit)
            s.height += 1.1 * unit * fractal(rng, size, 9, 3)
            s.albedo *= (1 + 0.1 * (fractal(rng, size, 30, 3) - 0.5))[..., None]
        else:
            dome(s, d, 0.28, 20 * unit)
            s.albedo *= (1 + 0.1 * (fractal(rng, size, 8, 4) - 0.5))[..., None]
            s.height += unit * fractal(rng, size, 12, 3)
            if zigzag:
                wave = np.abs(y - 0.5 * slim * (np.abs(((x * lines / 2) % 2) - 1) * 2 - 1)) - 0.05 * lines / 4
                drizzle = smooth(warp(wave.astype(np.float32), rng, 3 * unit, 5), 0.03) * smooth(d + 0.08, 0.04)
                paint(s, 0.95 * drizzle, icing, 0.4)
                s.height += 4 * unit * cv2.GaussianBlur(drizzle, (0, 0), 1.5 * unit)
            elif topping:
                bits = smooth(fractal(rng, size, 30, 3) - 0.3, 0.05) * smooth(r - 0.5, 0.2)
                paint(s, 0.9 * bits, (0.75, 0.55, 0.33))
                s.height += 5 * unit * bits
        return Product(s)

    return draw


def pouch(rng: Rng) -> Draw:
    """A filled sachet or flow pack: crimped seals, print, and film that creases over its contents."""
    palette = (
        (0.75, 0.75, 0.76), (0.85, 0.84, 0.82), (0.2, 0.27, 0.42), (0.55, 0.17, 0.15), (0.7, 0.6, 0.38), (0.15, 0.15, 0.16),
        (0.3, 0.42, 0.32), (0.62, 0.48, 0.34),
    )  # fmt: skip
    tone, block = shade(rng, palette), shade(rng, palette)
    wide, tall, seal = rng.uniform(0.5, 0.72), rng.uniform(0.78, 0.9), rng.uniform(0.06, 0.12)
    sides, foil, pitch = rng.random() < 0.4, rng.random() < 0.5, rng.uniform(90, 170)
    band, lines, ink = rng.uniform(-0.3, 0.1), int(rng.integers(2, 7)), _ink(rng, tone)
    texts = [code(rng, 4, 10) for _ in range(8)]
    notch, zig, coarse = rng.random() < 0.6, rng.random() < 0.5, rng.uniform(0.5, 1.2)

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = skin(rng, size, tone, 0.7 if foil else 0.4, cloud=0.1, marks=6)
        x, y = grid(size)
        d = rounded_box(x, y, wide, tall, 0.02)
        if zig:
            d = np.maximum(d, np.abs(y) - tall + 0.016 * (1 + np.cos(x * 110)))
        if notch:
            d = np.maximum(d, 0.035 - np.abs(x - wide) - np.abs(y + tall - seal * 1.3) * 0.7)
        d = np.asarray(d, np.float32)
        s.alpha = smooth(d, 3 / size)
        paint(s, smooth(np.abs(y - band) - 0.2, 0.01) * 0.95, block)
        inner = rounded_box(x, y, wide - (seal * 0.8 if sides else 0.0), tall - seal, 0.12)
        filled = np.clip(-inner / 0.5, 0, 1) ** 0.6
        s.height += (26 * unit * filled).astype(np.float32)
        # Film creases run in from the seals and die out over the contents.
        folds = fractal(rng, size, 9, 3, stretch=0.25)
        near = np.exp(-np.clip(tall - seal - np.abs(y), 0, 1) / 0.22) * (inner < 0)
        creases = np.abs(warp(folds, rng, 10 * unit) - 0.5)
        s.height += (
            coarse * unit * (16 * near * creases + 9 * (np.abs(fractal(rng, size, 4, 3) - 0.5)) * filled)
        ).astype(np.float32)
        crimp = smooth(-inner, 0.02)
        ends = crimp * (np.abs(y) > tall - seal)
        s.height += (1.1 * unit * ends * np.sin(y * pitch)).astype(np.float32)
        s.height += (0.8 * unit * (crimp - ends) * np.sin(x * pitch) * np.sin(y * pitch)).astype(np.float32)
        pattern = np.zeros((size, size), np.float32)
        pattern = np.maximum(pattern, word(size, texts[0], 0, band, 0.15))
        for k in range(lines):
            pattern = np.maximum(
                pattern,
                word(size, " ".join(texts[1 + (k + j) % 6] for j in range(2)), 0, band + 0.32 + 0.085 * k, 0.04),
            )
        return Product(
            s,
            pattern=(pattern * (inner < -0.02)).astype(np.float32),
            pattern_colour=ink,
            pattern_gloss=0.4,
            pattern_height=0.1,
        )

    return draw
