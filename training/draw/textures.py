"""Families that fill the picture: surfaces of a solid material.

A family is called once with a random generator to fix its *design* (what all photos of the product share) and
returns a function that draws one *instance* of it. Lengths are in pixels of a 224 px picture.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from training.draw.noise import Field, Rng, cells, fractal, grain, grid, smooth, value_noise, warp
from training.draw.surface import Colour, Product, Surface, blank, paint

Draw = Callable[[Rng, int], Product]


def colour(rng: Rng, low: float = 0.1, high: float = 0.9, saturation: float = 0.4) -> Colour:
    """A random colour: a grey of brightness low..high, tinted by up to `saturation`."""
    level = rng.uniform(low, high)
    tint = rng.uniform(-1, 1, 3) * saturation * rng.random() * 0.5
    r, g, b = np.clip(level + tint, 0.02, 0.98)
    return float(r), float(g), float(b)


def shade(rng: Rng, palette: tuple[Colour, ...], spread: float = 0.12) -> Colour:
    """A colour near one of the palette: up to `spread` lighter or darker, with a trace of another hue."""
    near = np.asarray(palette[int(rng.integers(len(palette)))]) * (1 + rng.uniform(-spread, spread))
    r, g, b = np.clip(near * (1 + rng.normal(0, 0.015, 3)), 0.02, 0.97)
    return float(r), float(g), float(b)


def vary(surface: Surface, amount: float, field: Field) -> None:
    """Brighten and darken the surface by up to half of `amount` as the field (0..1) says."""
    surface.albedo *= np.maximum(1 + amount * (field - 0.5), 0.05)[..., None].astype(np.float32)


def specks(rng: Rng, size: int, count: int, low: float, high: float) -> Field:
    """Coverage (size, size) of round specks with radii low..high."""
    out = np.zeros((size, size), np.float32)
    for x, y, r in zip(*(rng.random((2, count)) * size * 16), rng.uniform(low, high, count), strict=True):
        cv2.circle(out, (int(x), int(y)), max(4, round(r * 16 * size / 224)), 1.0, -1, cv2.LINE_AA, 4)
    return out


METALS: tuple[Colour, ...] = (
    (0.62, 0.62, 0.61), (0.72, 0.73, 0.74), (0.5, 0.51, 0.53), (0.58, 0.55, 0.51), (0.36, 0.36, 0.37),
)  # fmt: skip
"""Stainless steel, aluminium, steel, nickel, dark steel."""
_COLOURED_METALS: tuple[Colour, ...] = (
    (0.7, 0.57, 0.34), (0.7, 0.46, 0.35), (0.13, 0.13, 0.14), (0.2, 0.24, 0.33), (0.66, 0.6, 0.48),
)  # fmt: skip
"""Brass, copper, black and blue anodised aluminium, champagne."""


def brushed_metal(rng: Rng) -> Draw:
    """Ground, brushed, turned or orbitally sanded metal."""
    base = shade(rng, METALS if rng.random() < 0.7 else _COLOURED_METALS)
    finish = str(rng.choice(["line", "line", "line", "turned", "orbital", "cross"]))
    length, depth, gloss = rng.uniform(15, 90), rng.uniform(0.05, 0.2), rng.uniform(0.35, 0.8)
    coarse, band, upright = rng.uniform(0.4, 1.1), rng.uniform(0.0, 0.35), rng.random() < 0.3
    centre, feed = rng.uniform(-1.5, 1.5, 2), rng.uniform(0, 0.5)

    def lines(rng: Rng, size: int) -> Field:
        unit = size / 224
        out = grain(rng, size, (length * unit, 0.4)) + coarse * grain(
            rng, size, (min(90, 2.5 * length) * unit, 1.3 * unit)
        )
        return np.asarray(out + 0.5 * np.clip(grain(rng, size, (0.6 * length * unit, 0.4)) - 2, 0, 2), np.float32)

    def draw(rng: Rng, size: int) -> Product:
        x, y = grid(size)
        marks = lines(rng, size)
        across = x
        if finish == "turned":
            r = np.hypot(x - centre[0], y - centre[1]).astype(np.float32)
            turn = np.arctan2(y - centre[1], x - centre[0]).astype(np.float32)
            mx, my = (turn + np.float32(np.pi)) / np.float32(2 * np.pi) * (size - 1), r * np.float32(0.5 * size)
            marks = cv2.remap(marks, mx, my, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
            marks = marks + feed * np.sin(r * 90).astype(np.float32)
            across = np.cos(2 * turn)  # the bow-tie sheen of turned faces
        elif finish == "orbital":
            rings = np.zeros((size, size), np.float32)
            spots, radii = rng.random((150, 2)) * size, rng.uniform(6, 16, 150) * size / 224
            for (cx, cy), radius in zip(spots, radii, strict=True):
                spot = (int(cx * 8), int(cy * 8))
                cv2.circle(rings, spot, int(radius * 8), float(rng.uniform(-1, 1)), 1, cv2.LINE_AA, 3)
            marks = 0.5 * grain(rng, size, (0.8, 0.8)) + 1.2 * rings
        elif finish == "cross":
            marks = (marks + lines(rng, size).T) * np.float32(0.7)
        if upright:
            marks, across = marks.T, across.T
        s = blank(size, base, gloss)
        s.height += depth * marks
        vary(s, 0.05 + 0.3 * depth, 0.5 + 0.3 * marks)
        vary(s, 0.12, fractal(rng, size, 2, 3))
        # Brushing spreads a highlight into a band across the lines.
        vary(s, band, 0.5 + np.exp(-(((across - rng.uniform(-0.6, 0.6)) / 0.5) ** 2)))
        s.gloss *= np.clip(1 + 0.12 * marks, 0.5, 1.3)
        return Product(s)

    return draw


def cast_metal(rng: Rng) -> Draw:
    """Sand cast, die cast or shot-blasted metal, raw."""
    base = shade(rng, ((0.3, 0.29, 0.28), (0.4, 0.39, 0.38), (0.6, 0.6, 0.6), (0.5, 0.5, 0.51), (0.46, 0.38, 0.28)))
    process = str(rng.choice(["sand", "sand", "die", "blasted"]))
    scale, depth, gloss = rng.uniform(30, 80), rng.uniform(0.5, 1.6), rng.uniform(0.08, 0.4)
    warm = rng.uniform(0, 0.12)

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, base, gloss)
        fine = grain(rng, size, (0.6 * unit, 0.6 * unit))
        if process == "sand":
            rough = fractal(rng, size, scale, 3, 0.75)
            s.height += depth * (1.6 * rough + 1.2 * fractal(rng, size, 9, 3)) + 0.12 * fine
            vary(s, 0.35, rough)
        elif process == "die":
            flow = warp(grain(rng, size, (18 * unit, 1.5 * unit)), rng, 22 * unit, 3)
            s.height += 0.12 * flow + 0.1 * fine + 1.5 * fractal(rng, size, 3, 2)
            vary(s, 0.1, 0.5 + 0.3 * flow)
            s.gloss += 0.15
        else:
            shot = grain(rng, size, (1.3 * unit, 1.3 * unit))
            s.height += 0.5 * depth * shot + 0.08 * fine
            vary(s, 0.16, 0.5 + 0.35 * shot)
        vary(s, 0.25, fractal(rng, size, 3, 5, 0.6))
        vary(s, 0.12, 0.5 + 0.4 * fine)
        tone = warm * fractal(rng, size, 4, 3)[..., None] * np.array([0.5, 0.0, -0.5], np.float32)
        s.albedo *= 1 + tone
        return Product(s)

    return draw


def rolled_steel(rng: Rng) -> Draw:
    """Hot rolled with scale, cold rolled, or galvanised with spangle."""
    finish = str(rng.choice(["hot", "cold", "cold", "galvanised"]))
    base = shade(rng, ((0.3, 0.31, 0.33), (0.37, 0.36, 0.35)) if finish == "hot" else METALS[:4])
    streak, spangles, contrast = rng.uniform(0.06, 0.25), int(rng.integers(40, 400)), rng.uniform(0.1, 0.4)

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, base, gloss=0.18 if finish == "hot" else 0.45)
        fine = grain(rng, size, (0.6 * unit, 0.6 * unit))
        lines = grain(rng, size, (60 * unit, 0.6))
        if finish == "galvanised":
            _, value = cells(rng, size, spangles)
            feather = cv2.GaussianBlur(warp(value, rng, 3 * unit, 25), (0, 0), 0.8 * unit)
            vary(s, contrast, feather)
            s.gloss += 0.4 * contrast * (feather - 0.5)
            s.height += 0.4 * fractal(rng, size, 12, 3)
        else:
            vary(s, streak, value_noise(rng, size, (2, 30)))
            vary(s, streak, fractal(rng, size, 5, 5, stretch=7))
            vary(s, 0.05, 0.5 + lines)
            s.height += 0.06 * lines
        if finish == "hot":  # thin patches where the scale is lighter or bluish
            patches = np.clip((fractal(rng, size, 7, 5, 0.65, stretch=2.5) - 0.5) * 5, 0, 1)
            paint(s, (0.3 * patches).astype(np.float32), (0.42, 0.42, 0.44))
            s.height += 0.3 * fractal(rng, size, 60, 2)
        vary(s, 0.1, 0.5 + 0.4 * fine)
        s.height += 0.05 * fine
        return Product(s)

    return draw


_WOODS: tuple[tuple[Colour, float, float, float], ...] = (
    ((0.8, 0.65, 0.44), 0.62, 0.05, 1.0),  # pine, spruce: strong latewood
    ((0.7, 0.54, 0.36), 0.78, 0.8, 0.7),  # oak, ash: open pores
    ((0.75, 0.57, 0.41), 0.88, 0.25, 0.35),  # beech: flecks
    ((0.85, 0.73, 0.55), 0.9, 0.05, 0.3),  # maple, birch
    ((0.36, 0.24, 0.16), 0.68, 0.5, 0.6),  # walnut
    ((0.55, 0.33, 0.2), 0.8, 0.3, 0.45),  # cherry, mahogany
    ((0.55, 0.5, 0.44), 0.75, 0.4, 0.6),  # weathered
)
"""Colour of the earlywood, of the latewood relative to it, strength of pores and of rings."""


def wood(rng: Rng) -> Draw:
    """Clear boards and veneer, from straight to cathedral grain."""
    return _board(rng, 0)


def knotty_wood(rng: Rng) -> Draw:
    """Boards whose sound knots are part of the product."""
    return _board(rng, int(rng.integers(1, 4)))


def _board(rng: Rng, knots: int) -> Draw:
    light, ratio, pores, strength = _WOODS[int(rng.integers(2 if knots else len(_WOODS)))]
    light = shade(rng, (light,), 0.1)
    late = np.asarray(light) * ratio * np.array([1, 0.93, 0.85])
    rings, depth = rng.uniform(9, 34), float(rng.choice([rng.uniform(0.02, 0.35), rng.uniform(1, 3)]))
    slope, gloss = rng.uniform(0.05, 0.5), rng.uniform(0.05, 0.4)

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        x, y = grid(size)
        x = x + 0.25 * (value_noise(rng, size, (2, 2)) - 0.5)
        y0 = rng.uniform(-0.7, 0.7)
        across = y - y0 + 0.16 * (fractal(rng, size, 3, 3, stretch=4) - 0.5)
        cut = depth + slope * (x + 1.4) + 0.1 * (fractal(rng, size, 2, 2, stretch=3) - 0.5)
        dark = np.zeros((size, size), np.float32)
        swirl = np.zeros((size, size), np.float32)
        for _ in range(knots):
            kx, ky = rng.uniform(-0.9, 0.9, 2)
            radius, squash = rng.uniform(0.05, 0.12), rng.uniform(1.0, 1.7)
            d = np.hypot((x - kx) / squash, y - ky) / radius
            d = (
                d
                + 0.3 * (value_noise(rng, size, (7, 7)) - 0.5)
                + 0.5 * (value_noise(rng, size, (25, 25)) - 0.5) * (d < 1)
            )
            # Rings flow around a knot instead of through it.
            across = across + np.sign(y - ky) * 0.9 * radius * np.exp(-((d / 2.2) ** 2))
            inside = smooth(d - 1, 0.35)
            swirl = swirl + inside * (0.55 + 0.12 * np.sin(d * 16) + 0.4 * (fractal(rng, size, 20, 3) - 0.5))
            rim = np.exp(-(((d - 0.95) / 0.16) ** 2)) * (0.25 + 0.75 * value_noise(rng, size, (9, 9)))
            dark = np.maximum(dark, np.clip(0.75 * rim, 0, 1).astype(np.float32))
        r = np.hypot(across, cut) * rings / 2
        r = r + 0.6 * np.interp(r, np.arange(60), rng.random(60)).astype(np.float32)
        phase = (r % 1).astype(np.float32)
        # Earlywood darkens slowly into latewood, which ends at a sharp line.
        ring = phase**2.5 * smooth(phase - 0.93, 0.12)
        s = blank(size, light, gloss)
        vary(s, 0.14, fractal(rng, size, 3, 4, stretch=5))
        paint(s, (0.85 * strength * ring).astype(np.float32), late.astype(np.float32))
        fibre = grain(rng, size, (11 * unit, 0.45 * unit)) + 0.6 * grain(rng, size, (35 * unit, 0.9 * unit))
        vary(s, 0.09, 0.5 + 0.5 * fibre)
        holes = np.clip(grain(rng, size, (3 * unit, 0.35 * unit)) - 1.3 - 0.9 * phase, 0, 1) * pores
        paint(s, np.clip(0.8 * holes, 0, 0.75), (0.45 * late).astype(np.float32), 0.02)
        s.height += 0.12 * fibre + 0.35 * strength * ring - 1.1 * holes
        if knots:
            paint(s, np.clip(swirl, 0, 0.9).astype(np.float32), (0.66 * late).astype(np.float32))
            paint(s, dark, (0.38 * late).astype(np.float32))
            s.height -= 0.8 * dark
        return Product(s)

    return draw


_HIDES: tuple[Colour, ...] = (
    (0.07, 0.07, 0.07), (0.07, 0.07, 0.07), (0.2, 0.13, 0.09), (0.36, 0.22, 0.13), (0.55, 0.36, 0.21), (0.68, 0.56, 0.42),
    (0.82, 0.78, 0.7), (0.45, 0.43, 0.41), (0.27, 0.1, 0.08), (0.1, 0.12, 0.18), (0.24, 0.23, 0.19),
)  # fmt: skip
"""Black (common), browns, tan, beige, cream, grey, oxblood, navy, olive."""


def leather(rng: Rng) -> Draw:
    """Smooth, pebbled or embossed hide, or its nap side."""
    base, style = shade(rng, _HIDES), str(rng.choice(["nappa", "nappa", "pebble", "pebble", "nap"]))
    count = int(rng.integers(2500, 6000) if style == "nappa" else rng.integers(500, 1800))
    depth, gloss, tone = rng.uniform(0.5, 1.3), rng.uniform(0.1, 0.45), rng.uniform(0.08, 0.3)
    creases, pores = rng.uniform(0, 0.8), int(rng.integers(0, 200))

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, base, 0.02 if style == "nap" else gloss)
        fine = grain(rng, size, (0.7 * unit, 0.7 * unit))
        vary(s, 0.18, fractal(rng, size, 3, 4))
        if style == "nap":
            nap = 0.6 * warp(grain(rng, size, (1.1 * unit, 0.6 * unit)), rng, 6 * unit, 9) + 0.7 * fine
            vary(s, 0.3, 0.5 + 0.3 * nap)
            vary(s, 0.3, fractal(rng, size, 5, 3))
            s.height += 0.35 * nap
            return Product(s)
        border, _ = cells(rng, size, count)
        bumps = warp(1 - np.exp(-3 * border), rng, 2.5 * unit, 14)
        bumps = cv2.GaussianBlur(bumps, (0, 0), (0.6 if style == "nappa" else 1.1) * unit)
        folds, _ = cells(rng, size, 60)
        folds = cv2.GaussianBlur(warp(np.exp(-9 * folds), rng, 12 * unit, 8), (0, 0), 0.9 * unit)
        folds = folds * fractal(rng, size, 3, 2)
        s.height += depth * (1 if style == "nappa" else 2.2) * bumps - 1.6 * creases * folds + 0.06 * fine
        vary(s, tone, bumps)
        vary(s, -0.5 * creases, 0.5 + folds)
        vary(s, 0.06, 0.5 + 0.4 * fine)
        dots = specks(rng, size, pores, 0.25, 0.5)
        s.height -= 0.5 * dots
        vary(s, -0.35, 0.5 + dots)
        s.gloss *= 0.7 + 0.3 * bumps
        return Product(s)

    return draw


def painted(rng: Rng) -> Draw:
    """Sheet metal or plastic under a coat: gloss or metallic lacquer, powder coat, hammer finish."""
    paints: tuple[Colour, ...] = (
        (0.88, 0.88, 0.86), (0.08, 0.08, 0.09), (0.55, 0.56, 0.57), (0.3, 0.31, 0.32), (0.5, 0.07, 0.07), (0.08, 0.16, 0.36),
        (0.2, 0.3, 0.24), (0.75, 0.55, 0.12), (0.62, 0.6, 0.52), (0.7, 0.33, 0.1), (0.35, 0.45, 0.52),
    )  # fmt: skip
    base, coat = shade(rng, paints), str(rng.choice(["gloss", "gloss", "metallic", "powder", "powder", "hammer"]))
    peel, flake, wave = rng.uniform(0.1, 0.6), rng.uniform(0.06, 0.2), rng.uniform(2, 7)

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, base, {"gloss": 0.8, "metallic": 0.75, "powder": 0.3, "hammer": 0.6}[coat])
        s.height += wave * fractal(rng, size, 1.5, 2) + peel * fractal(rng, size, 45, 2)
        if coat == "metallic":
            vary(s, flake, 0.5 + 0.5 * grain(rng, size, (0.45, 0.45)))
        elif coat == "powder":
            texture = grain(rng, size, (1.4 * unit, 1.4 * unit))
            s.height += (0.25 + 0.5 * peel) * texture
            vary(s, 0.08, 0.5 + 0.3 * texture)
        elif coat == "hammer":
            border, _ = cells(rng, size, 350)
            domes = cv2.GaussianBlur(warp(np.sqrt(border), rng, 4 * unit, 10), (0, 0), 2.2 * unit)
            s.height += 2.2 * domes
            vary(s, 0.25, domes)
        vary(s, 0.04, 0.5 + 0.3 * grain(rng, size, (0.7, 0.7)))
        vary(s, 0.05, fractal(rng, size, 2, 3))
        return Product(s)

    return draw
