"""Families of one moulded part that lies on a background: plastic caps and housings, rubber seals and gaskets."""

from __future__ import annotations

import numpy as np

from training.draw.noise import Rng, fractal, grain, smooth
from training.draw.shapes import bevel, code, dome, polar, polygon, rounded_box, sink, skin, word, word_around
from training.draw.surface import Colour, Product, paint
from training.draw.textures import Draw, shade

_PLASTICS: tuple[Colour, ...] = (
    (0.85, 0.85, 0.83), (0.78, 0.76, 0.7), (0.09, 0.09, 0.1), (0.3, 0.31, 0.33), (0.55, 0.56, 0.57), (0.17, 0.28, 0.48),
    (0.6, 0.15, 0.14), (0.2, 0.4, 0.28), (0.8, 0.62, 0.2), (0.76, 0.38, 0.15), (0.62, 0.52, 0.4),
)  # fmt: skip
"""White, natural, black, greys, blue, red, green, yellow, orange, beige."""
_RUBBERS: tuple[Colour, ...] = (
    (0.06, 0.06, 0.065), (0.09, 0.09, 0.09), (0.16, 0.16, 0.16), (0.33, 0.16, 0.11), (0.2, 0.27, 0.2), (0.55, 0.2, 0.15),
    (0.72, 0.71, 0.68), (0.24, 0.3, 0.42), (0.62, 0.52, 0.34),
)  # fmt: skip
"""Black and grey nitrile, brown and green fluoro rubber, red, translucent and blue silicone, cork."""


def moulded_cap(rng: Rng) -> Draw:
    """A closure, knob or housing: knurled rim, eroded or glossy skin, raised mark, bosses, ribs, gate and ejector marks."""
    tone, gloss = shade(rng, _PLASTICS), rng.uniform(0.2, 0.75)
    kind = str(rng.choice(["cap", "cap", "housing", "housing", "knob", "lid"]))
    w, h, ribs = rng.uniform(0.6, 0.85), rng.uniform(0.5, 0.85), int(rng.integers(30, 110))
    inside, eroded, text = rng.random() < 0.5, rng.uniform(0, 1), code(rng, 2, 7)
    marked, rows = rng.random() < 0.65, int(rng.integers(2, 6))
    gate, ring = rng.uniform(-0.15, 0.15, 2), rng.uniform(0.5, 0.8)

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = skin(rng, size, tone, gloss, cloud=0.06, marks=8)
        x, y, r, angle = polar(size)
        if kind in ("cap", "lid"):
            d = r - 0.82
            if kind == "cap":
                d = d + 0.012 * (0.5 + 0.5 * np.cos(ribs * angle))
        elif kind == "knob":
            d = polygon(r, angle, 6 + ribs % 5, 0.74) * 0.7 + 0.3 * (r - 0.78)
        else:
            d = rounded_box(x, y, w, h, 0.12)
        d = np.asarray(d, np.float32)
        s.alpha = smooth(d, 3 / size)
        dome(s, d, 0.11, 9 * unit)
        s.height += (0.16 * eroded * grain(rng, size, (0.7 * unit, 0.7 * unit))).astype(np.float32)
        s.height += 2 * unit * fractal(rng, size, 2, 2)  # faint waviness where the wall shrank
        if kind == "cap":
            skirt = smooth(-d - 0.14, 0.02)
            s.height += (1.6 * unit * skirt * np.cos(ribs * angle)).astype(np.float32)
            sink(s, np.abs(d + 0.14) - 0.008, 1.8)
            if inside:  # seen from its open side: wall, thread and liner
                sink(s, d + 0.1, 16, 0.03)
                paint(s, 0.35 * smooth(np.abs(d + 0.17) - 0.05, 0.08), (0.03, 0.03, 0.03))
                for k in range(3):
                    turn = np.asarray(d + 0.15 + 0.025 * k + 0.004 * angle, np.float32)
                    s.height += 3 * unit * smooth(np.abs(turn) - 0.006, 0.012)
                sink(s, np.abs(r - 0.42) - 0.012, -3)
        elif kind == "lid":
            sink(s, r - ring, 3, 0.03)
            sink(s, np.abs(r - 0.25) - 0.01, -2)
            tab = rounded_box(x - 0.84, y, 0.1, 0.12, 0.05)
            s.alpha = np.maximum(s.alpha, smooth(tab, 3 / size))
        elif kind == "knob":
            sink(s, r - 0.5, -6, 0.08)
            sink(s, rounded_box(x - 0.3, y, 0.16, 0.02, 0.02), 3)
            paint(s, smooth(rounded_box(x - 0.3, y, 0.15, 0.016, 0.016), 0.01), (0.85, 0.85, 0.84))
        elif inside:
            sink(s, d + 0.07, 15, 0.02)
            paint(s, 0.2 * smooth(d + 0.07, 0.04), (0.03, 0.03, 0.03))
            for k in range(1, rows):
                at = -w + 2 * w * k / rows
                sink(s, np.maximum(np.abs(x - at) - 0.014, d + 0.07), -10, 0.012)
            sink(s, np.maximum(np.abs(y) - 0.014, d + 0.07), -10, 0.012)
            for px in (-1, 1):
                for py in (-1, 1):
                    boss = np.hypot(x - px * (w - 0.19), y - py * (h - 0.19))
                    sink(s, boss - 0.1, -13, 0.015)
                    sink(s, boss - 0.045, 14, 0.015)
                    paint(s, 0.75 * smooth((boss - 0.045).astype(np.float32), 0.015), (0.03, 0.03, 0.03))
        else:
            window = rounded_box(x, y + 0.25 * h, w * 0.6, h * 0.3, 0.04)
            sink(s, window, 5)
            for k in range(rows):
                sink(s, rounded_box(x, y - h * (0.25 + 0.11 * k), w * 0.6, 0.018, 0.018), 7, 0.015)
                paint(
                    s,
                    0.6 * smooth(rounded_box(x, y - h * (0.25 + 0.11 * k), w * 0.6, 0.014, 0.014), 0.01),
                    (0.02, 0.02, 0.02),
                )
        if marked and kind in ("cap", "lid") and not inside:
            s.height += (
                2
                * unit
                * np.maximum(word(size, text, 0, 0.18, 0.13), word_around("X".join([text] * 2), r, angle, 0.45, 0.08))
            )
        # Gate vestige and ejector pins, as every injection moulding has.
        stub = np.hypot(x - gate[0], y - gate[1])
        sink(s, stub - 0.045, 1.6)
        sink(s, stub - 0.014, -2)
        return Product(s)

    return draw


def ring_seal(rng: Rng) -> Draw:
    """An O-ring, lip seal in a metal case, or bonded washer."""
    kind = str(rng.choice(["o", "o", "o", "lip", "bonded", "square"]))
    tone, radius = shade(rng, _RUBBERS), rng.uniform(0.55, 0.76)
    width = rng.uniform(0.05, 0.13) if kind == "o" else rng.uniform(0.12, 0.2)
    metal = shade(rng, ((0.6, 0.6, 0.6), (0.66, 0.58, 0.38), (0.5, 0.5, 0.5)))
    gloss, seam, dusty, text = rng.uniform(0.15, 0.55), rng.random() < 0.5, rng.random() < 0.3, code(rng, 5, 12)
    oval = rng.uniform(0, 0.04) if kind == "o" else 0.0

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = skin(rng, size, tone, gloss, cloud=0.12, marks=4)
        _, _, r, angle = polar(size)
        # A ring that lies loose is never quite round.
        bend = oval * np.cos(2 * angle + rng.uniform(0, 6)) + 0.3 * oval * np.cos(3 * angle + rng.uniform(0, 6))
        off = np.asarray(r - radius + bend, np.float32)
        d = (np.abs(off) - width).astype(np.float32)
        s.alpha = smooth(d, 3 / size)
        s.height += (0.05 * grain(rng, size, (0.8 * unit, 0.8 * unit))).astype(np.float32)
        if kind == "o":
            dome(s, d, width, 0.75 * width * size / 2)
            if seam:
                sink(s, np.abs(off - width * 0.55) - 0.004, -0.9, 0.012)
        elif kind == "square":
            bevel(s, d, 0.03, 5)
        elif kind == "lip":
            case = smooth(0.35 * width - off, 0.01)
            paint(s, case, metal, 0.6)
            bevel(s, d, 0.03, 4)
            sink(s, np.abs(off) - 0.3 * width, 9, 0.03)
            wire = np.abs(off + 0.05 * width) - 0.12 * width
            paint(s, smooth(wire, 0.01), (0.5, 0.5, 0.48), 0.6)
            s.height += (2 * unit * smooth(wire, 0.02) * np.cos(angle * 150 + off * 90)).astype(np.float32)
            sink(s, np.abs(off + 0.8 * width) - 0.04 * width, -4, 0.04)
            s.height += 1.5 * unit * word_around(text, r, angle, radius + 0.72 * width, 0.35 * width)
        else:
            paint(s, smooth(-off, 0.01), metal, 0.6)
            bevel(s, d, 0.02, 2)
            dome(s, np.asarray(np.abs(off + 0.62 * width) - 0.38 * width, np.float32), 0.38 * width, 6 * unit)
        if dusty:
            paint(s, (0.35 * np.clip(grain(rng, size, (0.7, 0.7)) - 2.2, 0, 1)).astype(np.float32), (0.6, 0.58, 0.55))
        return Product(s)

    return draw


def gasket(rng: Rng) -> Draw:
    """A flat gasket cut from sheet: irregular outline, ports and bolt holes, with or without beads of sealant."""
    sheets = (*_RUBBERS, (0.5, 0.47, 0.42), (0.3, 0.33, 0.36), (0.42, 0.3, 0.2))
    tone, rough = shade(rng, sheets), rng.uniform(0.3, 1.6)
    ports, bolts = int(rng.integers(1, 4)), int(rng.choice([4, 5, 6, 8]))
    w, h = rng.uniform(0.6, 0.8), rng.uniform(0.4, 0.7)
    ear, hole, wave = rng.uniform(0.1, 0.16), rng.uniform(0.4, 0.6), rng.normal(0, 0.03, 6)
    bead, eyelets, text = rng.random() < 0.35, rng.random() < 0.25, code(rng, 4, 8)
    beading = shade(rng, ((0.2, 0.35, 0.55), (0.55, 0.2, 0.15), (0.7, 0.7, 0.7)))
    angles = np.arange(bolts) * 2 * np.pi / bolts + rng.normal(0, 0.08, bolts) + np.pi / bolts
    sizes = rng.uniform(0.6, 0.95, ports)

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = skin(rng, size, tone, 0.2, cloud=0.2, marks=8)
        x, y, r, angle = polar(size)
        bump = sum(a * np.cos(k * angle + k) for k, a in enumerate(wave, 2))
        body = rounded_box(x, y, w, h, 0.25) + bump
        holes = np.full_like(r, 1.0)
        rings = np.full_like(r, 1.0)
        for a in angles:
            # Ears sit where the ray from the middle leaves the body.
            reach = 1 / max(abs(np.cos(a)) / w, abs(np.sin(a)) / h)
            far = np.hypot(x - 0.97 * reach * np.cos(a), y - 0.97 * reach * np.sin(a))
            body = np.minimum(body, far - ear)
            holes = np.minimum(holes, far - ear * hole)
            rings = np.minimum(rings, far - ear * hole * 1.5)
        inner = np.full_like(r, 1.0)
        for k, scale in enumerate(sizes):
            at = (k - (ports - 1) / 2) * 2 * w / ports * 0.92
            span = min(w / ports * 0.82, h * 0.72)
            inner = np.minimum(inner, rounded_box(x - at, y, span, min(span, h * 0.8) * scale, span * 0.5 * scale))
        d = np.asarray(np.maximum(body, -np.minimum(holes, inner)), np.float32)
        s.alpha = smooth(d, 3 / size)
        bevel(s, d, 0.02, 1.8)
        fibre = grain(rng, size, (1.2 * unit, 0.8 * unit)) + 1.2 * (fractal(rng, size, 30, 3) - 0.5)
        s.albedo *= (1 + 0.06 * rough * fibre)[..., None].astype(np.float32)
        s.height += (0.2 * rough * fibre + 3 * unit * fractal(rng, size, 2, 2)).astype(np.float32)
        if bead:
            line = np.asarray(np.abs(inner - 0.06) - 0.02, np.float32)
            cover = smooth(line, 0.01) * s.alpha
            paint(s, cover, beading, 0.45)
            dome(s, line, 0.02, 3 * unit)
        if eyelets:
            paint(s, smooth(np.asarray(rings, np.float32), 0.01), (0.6, 0.6, 0.6), 0.6)
            sink(s, rings, -1.5)
        pattern = 0.8 * word(size, text, 0, (h * 0.9 + min(w / ports * 0.82, h * 0.72) * 0.5) / 1.5, 0.06) * s.alpha
        ink = (0.75, 0.74, 0.7) if sum(tone) < 1.2 else (0.12, 0.12, 0.12)
        return Product(
            s, pattern=pattern.astype(np.float32), pattern_colour=ink, pattern_gloss=0.15, pattern_height=0.1
        )

    return draw
