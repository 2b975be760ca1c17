"""Families of bottles, jars, cans and vials: their mouths from above and their sides."""

from __future__ import annotations

import numpy as np

from training.draw.noise import Field, Rng, fractal, grid, smooth, value_noise
from training.draw.shapes import code, polar, rod, rounded_box, sink, skin, stripes, word
from training.draw.surface import Colour, Part, Product, Surface, paint
from training.draw.textures import Draw, shade

_GLASS: tuple[Colour, ...] = (
    (0.72, 0.76, 0.75), (0.62, 0.68, 0.67), (0.33, 0.19, 0.09), (0.22, 0.13, 0.07), (0.16, 0.27, 0.18), (0.2, 0.3, 0.42),
)  # fmt: skip
"""Flint, amber, green, blue."""
_OPAQUE: tuple[Colour, ...] = (
    (0.86, 0.86, 0.84), (0.8, 0.78, 0.72), (0.1, 0.1, 0.11), (0.55, 0.57, 0.6), (0.25, 0.33, 0.45), (0.6, 0.3, 0.2),
)  # fmt: skip
_LIQUIDS: tuple[Colour, ...] = (
    (0.75, 0.77, 0.76), (0.7, 0.5, 0.2), (0.5, 0.16, 0.12), (0.8, 0.75, 0.62), (0.3, 0.42, 0.6), (0.28, 0.15, 0.08),
    (0.5, 0.6, 0.35),
)  # fmt: skip
_CAPS: tuple[Colour, ...] = (
    (0.86, 0.86, 0.84), (0.1, 0.1, 0.11), (0.22, 0.32, 0.5), (0.62, 0.17, 0.15), (0.65, 0.66, 0.67), (0.7, 0.58, 0.33),
    (0.25, 0.42, 0.32), (0.78, 0.42, 0.16),
)  # fmt: skip


def vessel_mouth(rng: Rng) -> Draw:
    """The mouth of a bottle, jar or can from above: shoulder, finish, wall and the dark inside with its glints."""
    kind = str(rng.choice(["bottle", "bottle", "jar", "can", "plastic"]))
    tone = shade(rng, {"can": ((0.68, 0.69, 0.7), (0.7, 0.6, 0.4)), "plastic": _OPAQUE}.get(kind, _GLASS))
    inner = shade(rng, ((0.68, 0.69, 0.7), (0.72, 0.66, 0.5), (0.85, 0.84, 0.8))) if kind == "can" else tone
    mouth = {
        "bottle": rng.uniform(0.3, 0.5),
        "jar": rng.uniform(0.62, 0.72),
        "can": 0.76,
        "plastic": rng.uniform(0.3, 0.6),
    }[kind]
    lip, body = rng.uniform(0.05, 0.1), 0.9 if kind != "can" else 0.84
    depth, floor = rng.uniform(0.25, 0.7), rng.uniform(0.55, 0.8)
    glints = [
        (float(rng.uniform(-3, 3)), float(rng.uniform(0.12, 0.7)), float(rng.uniform(0.3, 0.9))) for _ in range(5)
    ]
    threads, filled, drink = int(rng.integers(0, 3)), rng.random() < 0.25, shade(rng, _LIQUIDS)
    beads = int(rng.integers(3, 6))

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = skin(rng, size, tone, 0.75, cloud=0.06, marks=6)
        _, _, r, angle = polar(size)
        turn = angle + rng.normal(0, 0.05)
        r = (r + 0.004 * np.cos(2 * turn + rng.uniform(0, 6))).astype(np.float32)
        s.alpha = smooth(r - body, 3 / size)
        clear = kind in ("bottle", "jar")
        # The shoulder falls away from the neck: glass darkens towards the heel, where one looks along the wall.
        out = np.clip((r - mouth - lip) / (body - mouth - lip), 0, 1)
        fall = 1 - (0.55 if clear else 0.15) * out**2
        fall = fall * (1 - 0.3 * np.exp(-((out / 0.12) ** 2)))
        s.albedo *= fall[..., None].astype(np.float32)
        s.height -= (28 * unit * out**2).astype(np.float32)
        for k in range(threads if kind != "can" else 0):
            ring = np.abs(r - mouth - lip - 0.05 - 0.06 * k + 0.008 * np.sin(turn)) - 0.008
            s.height += 4 * unit * smooth(np.asarray(ring, np.float32), 0.02)
        # The finish: a rounded lip.
        off = np.abs(r - mouth - lip / 2)
        crown = smooth(off - lip / 2, 0.012)
        s.height += crown * (12 * unit * np.sqrt(np.clip(1 - (off / (lip / 2)) ** 2, 0, 1)) - s.height)
        paint(s, (0.25 if clear else 0.1) * smooth(np.abs(off - lip / 2) - 0.004, 0.02), (0.03, 0.03, 0.03))
        # The inside: walls in perspective down to the floor, darker with depth.
        inside = smooth(r - mouth, 0.01)
        down = np.clip((mouth - r) / (mouth * (1 - floor)), 0, 1)
        light = 1 - depth * down if kind != "bottle" else 0.5 - 0.35 * down
        wall = np.asarray(inner, np.float32) * light[..., None]
        paint(s, inside, wall.astype(np.float32), 0.5 if kind != "can" else 0.6)
        base = r - mouth * floor
        bottom = smooth(base, 0.02)
        tilt = 0.2 * np.cos(turn + 0.6)
        s.albedo *= (1 + bottom * (0.12 * tilt + 0.25 * (fractal(rng, size, 4, 3) - 0.5)))[..., None].astype(np.float32)
        if filled:
            paint(s, 0.85 * bottom, tuple(0.7 * c for c in drink), 0.9)  # type: ignore[arg-type]
        else:
            s.albedo *= (1 - 0.35 * smooth(np.abs(base) - 0.01, 0.03))[..., None]
            sink(s, np.abs(r - mouth * floor * 0.6) - 0.02, -2, 0.05)
        if kind == "can":  # beads rolled into the wall show as rings
            rings = inside * (1 - bottom) * np.cos(down * np.pi * 2 * beads)
            s.height += (1.5 * unit * rings).astype(np.float32)
            s.albedo *= (1 + 0.12 * rings)[..., None].astype(np.float32)
        # What glass mirrors of lamps: arcs along the lip, the wall and the shoulder.
        for (at, span, power), where in zip(
            glints, (mouth + 0.3 * lip, mouth + 0.75 * lip, mouth * 0.93, mouth * floor * 1.05, 0.8 * body), strict=True
        ):
            near = np.abs((turn - at + np.pi) % (2 * np.pi) - np.pi)
            arc = smooth(near - span, 0.25) * np.exp(-(((r - where) / (0.012 + 0.02 * span)) ** 2))
            paint(s, (power * arc * (0.9 if clear else 0.35)).astype(np.float32), (0.96, 0.96, 0.95))
        return Product(s)

    return draw


def _glass(s: Surface, d: Field, y: Field, x: Field, radius: Field, tone: Colour, clear: float) -> None:
    """Colour a transparent round body: dark edges where the wall is seen edge on, two long glints."""
    across = np.clip(np.abs(x) / np.maximum(radius, 1e-3), 0, 1)
    rim = across**6
    s.albedo *= (1 - 0.75 * rim * (0.6 + 0.4 * clear))[..., None].astype(np.float32)
    paint(s, (0.25 * np.exp(-(((across - 0.9) / 0.04) ** 2)) * clear).astype(np.float32), (0.9, 0.9, 0.9))
    for at, width, power in ((-0.68, 0.07, 0.55), (0.6, 0.03, 0.35)):
        band = np.exp(-(((x / np.maximum(radius, 1e-3) - at) / width) ** 2)) * smooth(d + 0.03, 0.03)
        paint(s, (power * band).astype(np.float32), (0.95, 0.96, 0.96))


def _label(
    rng: Rng, size: int, x: Field, y: Field, texts: list[str], top: float, bottom: float, wide: float, dark: bool
) -> Field:
    """Print of a label: a heading, a rule, lines of small text and bars of a code; coverage (size, size)."""
    span = bottom - top
    out = word(size, texts[0], 0, top + 0.2 * span, min(0.15, 0.16 * span + 0.02, 2.2 * wide / len(texts[0]) / 1.1))
    out = np.maximum(out, smooth(rounded_box(x, y - top - 0.36 * span, 0.8 * wide, 0.008, 0.0), 0.01))
    for k in range(3):
        line = " ".join(texts[1 + k : 3 + k])
        out = np.maximum(
            out, word(size, line, 0, top + (0.48 + 0.11 * k) * span, min(0.045, 1.6 * wide / len(line) / 1.1))
        )
    if dark:
        bars = (np.sin(x * 190) + np.sin(x * 117 + 1) > 0.1) * smooth(
            rounded_box(x + 0.3 * wide, y - top - 0.88 * span, 0.4 * wide, 0.06 * span, 0.0), 0.01
        )
        out = np.maximum(out, bars)
    return np.asarray(out, np.float32)


def bottle(rng: Rng) -> Draw:
    """A bottle or canister on its side view: closure, neck, shoulder, label and, in clear ones, the level of its filling."""
    opaque = rng.random() < 0.35
    tone = shade(rng, _OPAQUE if opaque else _GLASS)
    wide, neck = rng.uniform(0.3, 0.52), rng.uniform(0.12, 0.22)
    shoulder, slope = rng.uniform(-0.45, -0.2), rng.uniform(0.1, 0.35)
    cap_tall, cap = rng.uniform(0.1, 0.2), shade(rng, _CAPS)
    ribs, liquid, level = int(rng.integers(16, 40)), shade(rng, _LIQUIDS), rng.uniform(-0.6, 0.1)
    paper = shade(
        rng, ((0.88, 0.87, 0.83), (0.84, 0.78, 0.62), (0.2, 0.28, 0.4), (0.12, 0.12, 0.13), (0.45, 0.2, 0.17))
    )
    ink = (0.12, 0.13, 0.17) if sum(paper) > 1.2 else (0.85, 0.83, 0.76)
    labelled, top, bottom = rng.random() < 0.8, rng.uniform(-0.05, 0.12), rng.uniform(0.55, 0.75)
    texts, stripe = [code(rng, 4, 8) for _ in range(6)], shade(rng, _CAPS)
    flat, bars = rng.random() < 0.25, rng.random() < 0.6

    def _screw_cap(rng: Rng, size: int) -> Surface:
        s = skin(rng, size, cap, 0.4, cloud=0.06, marks=2)
        x, y = grid(size)
        half = neck + 0.045
        s.alpha = smooth(rounded_box(x, y + 0.92 - cap_tall / 2, half, cap_tall / 2, 0.025), 3 / size)
        rod(s, x, half, 0.5)
        lean = np.arcsin(np.clip(x / half, -1, 1))
        grip = smooth(np.abs(y + 0.92 - 0.45 * cap_tall) - 0.33 * cap_tall, 0.01)
        s.height += (2.2 * size / 224 * grip * np.cos(lean * ribs)).astype(np.float32)
        s.albedo *= (1 - 0.5 * np.clip(np.abs(x) / half, 0, 1) ** 6)[..., None].astype(np.float32)
        paint(s, 0.5 * smooth(np.abs(y + 0.92 - 0.82 * cap_tall) - 0.004, 0.012), (0.04, 0.04, 0.04))
        return s

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = skin(rng, size, tone, 0.75 if not opaque else 0.4, cloud=0.06, marks=4)
        x, y = grid(size)
        rise = np.clip((y - shoulder) / slope + 1, 0, 1)
        radius = neck + (wide - neck) * (rise * rise * (3 - 2 * rise))
        foot = 0.92 - y
        radius = np.where(foot < 0.1, radius - 0.1 + np.sqrt(np.clip(0.01 - (0.1 - foot) ** 2, 0, None)), radius)
        radius = radius.astype(np.float32)
        d = np.maximum(np.abs(x) - radius, np.maximum(-0.9 - y, y - 0.92)).astype(np.float32)
        s.alpha = smooth(d, 3 / size)
        rod(s, x, radius, 0.35 if flat else 0.6)
        if not opaque:
            fill = level + rng.normal(0, 0.004)
            wet = smooth(-(y - fill - 0.012 * (x / wide) ** 2), 0.01) * smooth(d + 0.02, 0.01)
            strong = 0.25 + 0.5 * min(1.0, sum(tone) / 2)
            paint(s, (strong * wet).astype(np.float32), liquid)
            paint(
                s,
                0.5 * smooth(np.abs(y - fill - 0.012 * (x / wide) ** 2) - 0.008, 0.012) * smooth(d + 0.02, 0.01),
                (0.08, 0.08, 0.08),
            )
            _glass(s, d, y, x, radius, tone, 1.0)
            s.albedo *= (1 - 0.35 * np.exp(-(((y - 0.86) / 0.05) ** 2)))[..., None].astype(np.float32)  # thick base
        else:
            paint(s, 0.12 * smooth(np.abs(x - 0.002) - 0.003, 0.012), (0.2, 0.2, 0.2))  # parting line
            s.height += (0.5 * unit * fractal(rng, size, 20, 3)).astype(np.float32)
        pattern: Field = np.zeros((size, size), np.float32)
        if labelled:
            shift, tilt = rng.normal(0, 0.004), rng.normal(0, 0.006)
            yy = y + tilt * x - shift
            sheet = smooth(
                np.maximum(rounded_box(x, yy - (top + bottom) / 2, 2, (bottom - top) / 2, 0.0), d + 0.005), 0.008
            )
            paint(s, sheet, paper, 0.25)
            edge = np.clip(np.abs(x) / np.maximum(radius, 1e-3), 0, 1)
            s.albedo *= (1 - 0.45 * sheet * edge**5)[..., None].astype(np.float32)
            s.height += 0.9 * unit * sheet
            paint(s, sheet * smooth(np.asarray(np.abs(yy - bottom + 0.06) - 0.025, np.float32), 0.01), stripe)
            pattern = _label(rng, size, x, yy.astype(np.float32), texts, top, bottom - 0.1, wide, bars) * sheet
        # Under the cap: the thread of the neck.
        s.height += (1.6 * unit * (y < -0.94 + cap_tall) * np.sin((y + 0.06 * x) * 130)).astype(np.float32)
        shut = Part(_screw_cap(rng, size), size / 2, size / 2, float(rng.normal(0, 0.4)), "cap")
        return Product(
            s, (shut,), pattern.astype(np.float32), pattern_colour=ink, pattern_gloss=0.3, pattern_height=0.1
        )

    return draw


def glass_vial(rng: Rng) -> Draw:
    """An injection vial, ampoule or syringe barrel with its filling and crimped cap."""
    kind = str(rng.choice(["vial", "vial", "vial", "ampoule"]))
    tone = shade(rng, (_GLASS[0], _GLASS[1], _GLASS[2]))
    wide, tall = rng.uniform(0.26, 0.42), rng.uniform(0.75, 0.9)
    flip, seal = shade(rng, _CAPS), shade(rng, ((0.68, 0.69, 0.7), (0.72, 0.62, 0.4)))
    cake, liquid = rng.random() < 0.35, shade(rng, _LIQUIDS)
    level, printed = rng.uniform(0.05, 0.4), rng.random() < 0.6
    texts, graded = [code(rng, 3, 7) for _ in range(6)], rng.random() < 0.4

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = skin(rng, size, tone, 0.8, cloud=0.04, marks=3)
        x, y = grid(size)
        top = -tall
        if kind == "vial":
            neck = wide * 0.62
            rise = np.clip((y - top - 0.34) / 0.16, 0, 1)
            radius = neck + (wide - neck) * np.sqrt(rise * (2 - rise))
        else:
            stem = wide * (0.3 + 0.12 * np.cos((y - top) * 9))
            rise = np.clip((y - top - 0.6) / 0.2, 0, 1)
            radius = stem + (wide - stem) * rise * rise * (3 - 2 * rise)
            radius = np.minimum(radius, np.sqrt(np.clip((y - top) * 0.5, 0, None)))
        foot = tall - y
        radius = np.where(foot < 0.06, radius - 0.06 + np.sqrt(np.clip(0.0036 - (0.06 - foot) ** 2, 0, None)), radius)
        crimp = (y < top + 0.26) & (kind == "vial")
        radius = np.where(crimp, wide * 0.78, radius)
        radius = np.where((y < top + 0.1) & crimp, wide * 0.84, radius).astype(np.float32)
        d = np.maximum(np.abs(x) - radius, np.maximum(top - y, y - tall)).astype(np.float32)
        s.alpha = smooth(d, 3 / size)
        rod(s, x, radius, 0.55)
        fill = level + rng.normal(0, 0.006)
        line = (
            y - fill - 0.03 * (x / wide) ** 2 if not cake else y - fill - 0.04 * (value_noise(rng, size, (6, 6)) - 0.5)
        )
        inside = (
            smooth(np.asarray(-line, np.float32), 0.01)
            * smooth(d + 0.03, 0.01)
            * smooth(np.asarray(y - tall + 0.05, np.float32), 0.02)
        )
        if cake:
            paint(s, 0.9 * inside, (0.86, 0.85, 0.81), 0.2)
            lumps = fractal(rng, size, 12, 4)
            s.albedo *= (1 + 0.3 * inside * (lumps - 0.5))[..., None]
            s.height += 2 * unit * inside * lumps
        else:
            paint(s, 0.55 * inside, liquid)
            meniscus = smooth(np.asarray(np.abs(line) - 0.012, np.float32), 0.012) * smooth(d + 0.02, 0.01)
            paint(s, 0.55 * meniscus, (0.1, 0.1, 0.1))
        _glass(s, d, y, x, radius, tone, 1.0)
        s.albedo *= (1 - 0.4 * np.exp(-(((y - tall + 0.05) / 0.03) ** 2)))[..., None].astype(np.float32)
        pattern = np.zeros((size, size), np.float32)
        if printed:
            for k in range(3):
                pattern = np.maximum(
                    pattern, word(size, texts[k], 0, fill * 0.3 + 0.15 + 0.13 * k, 0.075 if k == 0 else 0.05)
                )
        if graded:
            marks = (
                smooth(np.abs(((y * 14) % 1) - 0.5).astype(np.float32) - 0.05, 0.06)
                * smooth(np.abs(x + 0.55 * wide) - 0.04, 0.01)
                * (np.abs(y - 0.25) < 0.4)
            )
            pattern = np.maximum(pattern, marks)
        if kind == "vial":
            sleeve = crimp.astype(np.float32) * s.alpha
            paint(s, sleeve, seal, 0.75)
            s.height += (0.25 * sleeve * stripes(rng, y, size)).astype(np.float32)
            button = sleeve * (y < top + 0.1)
            paint(s, button, flip, 0.4)
            round_ = np.clip(np.abs(x) / np.maximum(radius, 1e-3), 0, 1)
            s.albedo *= (1 - 0.55 * sleeve * round_**5)[..., None].astype(np.float32)
            for at in (0.1, 0.26):
                paint(s, 0.5 * smooth(np.abs(y - top - at) - 0.005, 0.015), (0.05, 0.05, 0.05))
            paint(
                s,
                (0.8 * smooth(np.abs(y - top - 0.3) - 0.03, 0.01) * smooth(d + 0.03, 0.02)).astype(np.float32),
                (0.3, 0.3, 0.31),
                0.2,
            )
        else:
            paint(s, smooth(np.abs(y - top - 0.62) - 0.008, 0.01), (0.85, 0.85, 0.85))
            paint(s, 0.9 * smooth(np.abs(y - top - 0.48) - 0.008, 0.01), flip)
        ink = (0.1, 0.12, 0.2) if sum(tone) > 1.2 else (0.85, 0.84, 0.8)
        return Product(s, pattern=pattern.astype(np.float32), pattern_colour=ink, pattern_gloss=0.3, pattern_height=0.1)

    return draw
