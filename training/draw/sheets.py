"""Families that fill the picture: sheets and panels that carry a print, an emboss, a joint or a made pattern."""

from __future__ import annotations

import cv2
import numpy as np

from training.draw.noise import Field, Rng, cells, fractal, grain, grid, lettering, smooth, value_noise
from training.draw.surface import Colour, Product, blank, paint
from training.draw.textures import METALS, Draw, brushed_metal, rolled_steel, shade, specks, vary

_INKS: tuple[Colour, ...] = (
    (0.06, 0.06, 0.07), (0.06, 0.06, 0.07), (0.08, 0.14, 0.34), (0.5, 0.08, 0.08), (0.1, 0.28, 0.16), (0.3, 0.2, 0.12),
)  # fmt: skip
_LETTERS = list("ABCDEFGHKLMNPRSTUVXYZ0123456789")


def _word(plan: Rng, low: int, high: int) -> str:
    return "".join(plan.choice(_LETTERS, int(plan.integers(low, high))))


def _beside(page: Field, item: Field) -> Field:
    """The page with the item printed on it, unless something is printed there already."""
    ys, xs = np.nonzero(item.any(1))[0], np.nonzero(item.any(0))[0]
    if len(xs) == 0 or page[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1].any():
        return page
    return np.maximum(page, item)


def _print(plan: Rng, size: int, density: float) -> Field:
    """A printed layout, (size, size) 0..1: headings, lines of text, a bar code, rules and marks."""
    out = np.zeros((size, size), np.float32)
    unit = size / 224
    for _ in range(round(plan.integers(2, 5) * density)):
        spot = (int(plan.uniform(0, 0.6) * size), int(plan.uniform(0.12, 0.95) * size))
        scale = float(plan.uniform(0.6, 1.6)) * unit
        thick = max(1, round(plan.uniform(1, 3) * unit))
        out = _beside(out, lettering(size, _word(plan, 2, 8), spot, scale, thick))
    for _ in range(round(plan.integers(1, 3) * density)):  # paragraphs of small print
        x, y, lines = plan.uniform(0, 0.6) * size, plan.uniform(0.05, 0.8) * size, int(plan.integers(2, 8))
        scale = float(plan.uniform(0.22, 0.34)) * unit
        for i in range(lines):
            spot = (int(x), int(y + i * 30 * scale))
            out = _beside(out, 0.9 * lettering(size, _word(plan, 6, 16), spot, scale, 1))
    if plan.random() < 0.5:  # bar code
        x, y = plan.uniform(0.05, 0.6) * size, plan.uniform(0.05, 0.75) * size
        bars = np.cumsum(plan.choice([1, 1, 2, 3], 40) * 0.9 * unit)
        for a, b in zip(bars[::2], bars[1::2], strict=True):
            corners = [(int((x + t) * 16), int((y + h) * 16)) for t, h in ((a, 0), (b - unit * 0.4, 34 * unit))]
            cv2.rectangle(out, corners[0], corners[1], 1.0, -1, cv2.LINE_AA, 4)
    for _ in range(int(plan.integers(0, 4))):
        at = tuple(int(c) for c in plan.uniform(0.1, 0.9, 2) * size)
        thick, style = max(1, round(1.5 * unit)), int(plan.integers(3))
        if style == 0:
            cv2.line(out, (0, at[1]), (size, at[1]), 1.0, thick, cv2.LINE_AA)
        elif style == 1:
            cv2.circle(out, at, round(plan.uniform(8, 22) * unit), 1.0, thick, cv2.LINE_AA)
        else:
            tip = (at[0], round(at[1] - 28 * unit))
            cv2.arrowedLine(out, at, tip, 1.0, max(2, round(3 * unit)), cv2.LINE_AA, 0, 0.4)
    return out


def printed_paper(rng: Rng) -> Draw:
    """Labels, leaflets and packaging paper: text, bar codes, tint areas and halftone pictures."""
    ground = shade(rng, ((0.92, 0.91, 0.89), (0.95, 0.95, 0.94), (0.86, 0.82, 0.72), (0.72, 0.73, 0.74)), 0.04)
    ink, tint = shade(rng, _INKS), shade(rng, (*_INKS[2:], (0.75, 0.6, 0.2), (0.45, 0.55, 0.62), (0.7, 0.45, 0.35)))
    layout, halftone, dots = int(rng.integers(2**31)), rng.random() < 0.4, rng.uniform(3.2, 6.5)
    areas, coated = int(rng.integers(0, 4)), float(rng.choice([0.05, 0.15, 0.5]))

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, ground, coated)
        plan = np.random.default_rng(layout)
        strength = 0.75 + 0.25 * value_noise(rng, size, (3, 3))
        for _ in range(areas):
            (x, y), (w, h) = plan.uniform(0, 0.8, 2) * size, plan.uniform(0.15, 0.9, 2) * size
            box = np.zeros((size, size), np.float32)
            cv2.rectangle(box, (int(x), int(y)), (int(x + w), int(y + h)), float(plan.uniform(0.2, 0.9)), -1)
            paint(s, box * strength, tint)
        pattern = _print(plan, size, 1.0)
        if halftone:
            ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
            tone = fractal(plan, size, 2, 3)
            p = dots * unit
            u, v = (xs + ys) / p * np.pi, (xs - ys) / p * np.pi
            screen = smooth(0.62 - 0.9 * tone - 0.25 * (np.cos(u) + np.cos(v)), 0.3)
            pattern = np.maximum(pattern, 0.9 * screen * (tone > 0.35))
        # Ink lies unevenly on fibres and spreads a little into them.
        fibre = grain(rng, size, (1.4 * unit, 0.7 * unit))
        pattern = cv2.GaussianBlur(pattern, (0, 0), 0.35 + 0.15 * unit) * np.clip(0.93 + 0.04 * fibre, 0, 1)
        vary(s, 0.035, 0.5 + 0.5 * fibre)
        vary(s, 0.05, fractal(rng, size, 50, 3))
        s.height += (0.05 if coated < 0.4 else 0.02) * fibre + 2.5 * fractal(rng, size, 1.5, 2)
        return Product(
            s, pattern=pattern.astype(np.float32), pattern_colour=ink, pattern_gloss=coated, pattern_height=0.1
        )

    return draw


def carton(rng: Rng) -> Draw:
    """Corrugated or solid board, kraft, white or grey, with print, scores and tape."""
    board = shade(
        rng, ((0.6, 0.46, 0.31), (0.66, 0.52, 0.37), (0.53, 0.4, 0.27), (0.87, 0.86, 0.83), (0.58, 0.56, 0.53))
    )
    ink, layout = shade(rng, _INKS), int(rng.integers(2**31))
    flute, wash = rng.uniform(5, 13), float(rng.choice([0.0, rng.uniform(0.2, 0.7)]))
    score, tape = rng.random() < 0.4, rng.random() < 0.3
    brown, place = rng.random() < 0.6, rng.uniform(-0.6, 0.6, 2)

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, board, 0.06)
        x, y = grid(size)
        fibre = grain(rng, size, (0.9 * unit, 0.6 * unit))
        vary(s, 0.12, fractal(rng, size, 12, 5, 0.75))
        vary(s, 0.09, 0.5 + 0.4 * fibre)
        paint(s, 0.35 * specks(rng, size, 160, 0.2, 0.6), tuple(0.55 * c for c in board))  # type: ignore[arg-type]
        # The flutes show through as a faint washboard.
        waves = np.sin((y * 112 + 3 * value_noise(rng, size, (2, 2))) / flute * 2 * np.pi).astype(np.float32)
        s.height += wash * waves * 0.7 + 0.06 * fibre + 2 * fractal(rng, size, 2, 2)
        vary(s, 0.1 * wash, 0.5 + 0.5 * waves)
        pattern = _print(np.random.default_rng(layout), size, 0.7)
        pattern = pattern * np.clip(0.82 + 0.12 * fibre - 0.1 * wash * waves, 0, 1)
        if score:
            d = (x - place[0]) * 112
            s.height -= 2.2 * np.exp(-((d / 2.2) ** 2)) - 0.9 * np.exp(-(((np.abs(d) - 4.5) / 2) ** 2))
            vary(s, -0.2, 0.5 + np.exp(-((d / 1.4) ** 2)))
        if tape:
            strip = smooth((np.abs(y - place[1]) - 0.2 + 0.002 * np.sin(x * 40)) * 112, 1.2)
            film: Colour = (0.62, 0.48, 0.3) if brown else (0.85, 0.84, 0.8)
            paint(s, 0.55 * strip if brown else 0.12 * strip, film, 0.6)
            s.height += 0.6 * strip
            pattern = pattern * (1 - (0.6 if brown else 0.1) * strip)
        return Product(
            s, pattern=pattern.astype(np.float32), pattern_colour=ink, pattern_gloss=0.08, pattern_height=0.1
        )

    return draw


def rubber_mat(rng: Rng) -> Draw:
    """Moulded rubber or vinyl: ribs, studs, coins, pyramids or a fine grain."""
    blacks: tuple[Colour, ...] = ((0.07, 0.07, 0.07), (0.1, 0.1, 0.1), (0.24, 0.24, 0.24))
    base = shade(rng, (*blacks, *blacks, (0.35, 0.14, 0.1), (0.2, 0.27, 0.2), (0.17, 0.2, 0.27), (0.62, 0.6, 0.56)))
    style, pitch = str(rng.choice(["rib", "stud", "pyramid", "grain", "bars"])), rng.uniform(9, 32)
    depth, gloss, worn = rng.uniform(0.09, 0.2), rng.uniform(0.08, 0.4), rng.uniform(0, 0.5)

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, base, gloss)
        x, y = grid(size)
        u, v = (x * 112 / pitch + rng.random()), (y * 112 / pitch + rng.random())
        a, b = np.abs(u - np.round(u)), np.abs(v - np.round(v))
        if style == "rib":
            top = smooth(b - 0.25, 0.28)
        elif style == "stud":
            odd = np.abs(u + 0.5 - np.round(u + 0.5)), np.abs(v + 0.5 - np.round(v + 0.5))
            top = smooth(np.minimum(np.hypot(a, b), np.hypot(*odd)) - 0.24, 0.14)
        elif style == "pyramid":
            top = np.asarray(1 - 2 * np.maximum(a, b), np.float32)
        elif style == "bars":
            turn = (np.round(u) + np.round(v)) % 2 == 0
            top = smooth(np.maximum(np.where(turn, a, b) - 0.4, np.where(turn, b, a) - 0.13), 0.12)
        else:
            border, _ = cells(rng, size, 2200)
            top = cv2.GaussianBlur(np.sqrt(border), (0, 0), 0.8 * unit)
        fine = grain(rng, size, (0.7 * unit, 0.7 * unit))
        rise = depth * (8 if style == "grain" else max(pitch, 14))
        s.height += rise * top + 0.1 * fine + fractal(rng, size, 4, 2)
        vary(s, 0.25, top)
        vary(s, 0.14, 0.5 + 0.4 * fine)
        # Dust settles between the raised parts, and tops are polished by use.
        dusty = worn * (1 - top) * fractal(rng, size, 4, 4)
        paint(s, (0.4 * dusty).astype(np.float32), (0.45, 0.43, 0.4), 0.0)
        s.gloss *= 0.6 + 0.6 * top
        return Product(s)

    return draw


def tread_plate(rng: Rng) -> Draw:
    """Chequer plate with raised lens-shaped bars, singly or in groups."""
    base, pitch, group = shade(rng, METALS), rng.uniform(26, 60), int(rng.choice([1, 1, 2, 3, 5]))
    gloss, worn, rise = rng.uniform(0.3, 0.7), rng.uniform(0.05, 0.35), rng.uniform(2, 4.5)

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        x, y = grid(size)
        u, v = (x + y) * 79 / pitch + rng.random(), (x - y) * 79 / pitch + rng.random()
        column, row = np.floor(u), np.floor(v)
        a, b = u - column - 0.5, v - row - 0.5
        turned = (column + row) % 2 == 0
        along, across = np.where(turned, a, b), np.where(turned, b, a)
        apart = 0.8 / group
        if group > 1:
            across = (
                across - np.clip(np.round(across / apart - 0.5 * (group % 2 == 0)), -(group // 2), group // 2) * apart
            )
        width = min(0.15, 0.3 * apart)
        lens = np.clip(1 - (along / 0.44) ** 2 - (across / width) ** 2, 0, 1)
        bar = np.sqrt(lens).astype(np.float32)
        s = blank(size, base, gloss)
        rolled = grain(rng, size, (6 * unit, 0.7 * unit))
        fine = grain(rng, size, (0.7 * unit, 0.7 * unit))
        vary(s, 0.1, 0.5 + 0.4 * rolled)
        vary(s, 0.3, fractal(rng, size, 4, 5, 0.6))
        # Tops are worn bright, dirt stays at the feet.
        vary(s, worn, 0.5 + bar)
        s.albedo *= (1 - worn * np.clip(cv2.GaussianBlur(bar, (0, 0), 3 * unit) * 2 - 2 * bar, 0, 1))[..., None]
        s.height += rise * cv2.GaussianBlur(bar, (0, 0), 0.6 * unit) + 0.1 * rolled + 0.1 * fine
        return Product(s)

    return draw


def foil(rng: Rng) -> Draw:
    """Aluminium foil or metallised film: smooth, crinkled or embossed."""
    base = shade(rng, ((0.74, 0.75, 0.76), (0.74, 0.75, 0.76), (0.72, 0.6, 0.36), (0.3, 0.31, 0.33), (0.7, 0.72, 0.73)))
    style, gloss = str(rng.choice(["crinkled", "smooth", "embossed", "embossed"])), rng.uniform(0.6, 0.95)
    facets, pitch, lines = rng.uniform(3, 8), rng.uniform(5, 14), rng.uniform(0.01, 0.05)

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, base, gloss)
        rolled = grain(rng, size, (70 * unit, 0.6))
        s.height += 4 * fractal(rng, size, 2, 3) + lines * rolled
        if style == "crinkled":
            # Noise folded at its middle: smooth facets that meet in sharp creases.
            for i in range(7):
                bumps = value_noise(rng, size, (facets * (1 + i / 3), facets * (1 + i / 3)))
                crease = np.abs(bumps - 0.5)
                s.height += float(rng.choice([-1, 1])) * 95 / facets / (1 + 0.35 * i) * crease
            vary(s, 0.2, fractal(rng, size, 2 * facets, 3))
            s.height += 0.3 * grain(rng, size, (1.2 * unit, 1.2 * unit)) * lines
        elif style == "embossed":
            u, v = (grid(size)[0] + grid(size)[1]) * 79 / pitch, (grid(size)[0] - grid(size)[1]) * 79 / pitch
            a, b = np.abs(u - np.round(u)), np.abs(v - np.round(v))
            s.height += 0.16 * pitch * np.clip(1 - 2.4 * np.minimum(a, b), 0, 1).astype(np.float32)
        vary(s, 0.06, 0.5 + 0.5 * rolled)
        vary(s, 0.1, fractal(rng, size, 2, 3))
        return Product(s)

    return draw


def weld_bead(rng: Rng) -> Draw:
    """A rippled bead between two plates, with the colours heat leaves beside it."""
    plate = brushed_metal(rng) if rng.random() < 0.5 else rolled_steel(rng)
    ripple, width, arch = rng.uniform(4, 12), rng.uniform(0.12, 0.3), rng.uniform(0.4, 1.4)
    tint, tinted, sooty = rng.uniform(0.3, 0.8), rng.random() < 0.6, rng.uniform(0.1, 0.5)
    step, bead_colour = rng.uniform(0, 8), shade(rng, ((0.5, 0.5, 0.5), (0.62, 0.61, 0.6), (0.36, 0.35, 0.34)))

    def draw(rng: Rng, size: int) -> Product:
        s = plate(rng, size).base
        x, y = grid(size)
        wander = (value_noise(rng, size, (4, 1)) - 0.5) * 0.06
        across = ((y + wander) / (width * (1 + 0.12 * (value_noise(rng, size, (9, 1)) - 0.5)))).astype(np.float32)
        # Oxide colours by the heat reached: straw nearest to the cold plate, then purple, blue and grey at the toe.
        out = np.abs(across) * width - width
        bands: tuple[tuple[float, Colour], ...] = ((0.03, (0.32, 0.34, 0.4)), (0.09, (0.24, 0.26, 0.42)),
                                                   (0.15, (0.38, 0.26, 0.34)), (0.22, (0.6, 0.48, 0.3)))  # fmt: skip
        uneven = 1 + 0.5 * (fractal(rng, size, 4, 3) - 0.5)
        for reach, hue in bands if tinted else bands[:1]:
            heat = np.exp(-(((out * uneven - reach) / 0.05) ** 2)).astype(np.float32)
            paint(s, (tint if tinted else 0.3 * sooty) * heat, hue if tinted else (0.2, 0.19, 0.18))
        paint(
            s, (sooty * np.exp(-((out / 0.03) ** 2)) * (0.4 + fractal(rng, size, 12, 3))).clip(0, 1), (0.14, 0.13, 0.12)
        )
        s.height += step * smooth(across, 1.2)
        inside = np.clip(1 - across**2, 0, 1)
        stroll = 0.9 * (fractal(rng, size, 6, 2, stretch=0.5) - 0.5)
        phase = (x * 112 + arch * width * 112 * across**2) / ripple + stroll
        saw = (phase - np.floor(phase)).astype(np.float32)
        wave = np.sqrt(np.clip(saw, 0, 1)) * smooth(saw - 0.92, 0.16)
        cover = smooth(np.abs(across) - 1, 0.06)
        skin = (
            np.asarray(bead_colour, np.float32)
            * (0.82 + 0.3 * wave * (0.5 + 0.5 * fractal(rng, size, 9, 3)))[..., None]
        )
        paint(s, 0.9 * cover, skin.astype(np.float32), 0.5)
        s.height += 55 * width * np.sqrt(inside) * 0.75 + cover * (
            0.22 * ripple * wave + 0.5 * fractal(rng, size, 40, 3)
        )
        vary(s, 0.1, 0.5 + 0.3 * grain(rng, size, (0.7, 0.7)))
        return Product(s)

    return draw
