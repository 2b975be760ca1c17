"""Families of one machined part that lies on a background: fasteners, gears and turned shafts."""

from __future__ import annotations

import numpy as np

from training.draw.noise import Field, Rng, fractal, grid, smooth
from training.draw.shapes import bevel, code, dome, polar, polygon, rod, rounded_box, sink, skin, stripes, word_around
from training.draw.surface import Colour, Product, Surface, paint
from training.draw.textures import Draw, shade

STEEL: tuple[Colour, ...] = (
    (0.58, 0.58, 0.58), (0.68, 0.69, 0.7), (0.46, 0.46, 0.47), (0.6, 0.58, 0.55), (0.34, 0.34, 0.35),
)  # fmt: skip
PLATED: tuple[Colour, ...] = (
    (0.64, 0.66, 0.69), (0.56, 0.58, 0.6), (0.66, 0.58, 0.37), (0.11, 0.11, 0.12), (0.2, 0.2, 0.21), (0.66, 0.65, 0.63),
    (0.68, 0.54, 0.32), (0.62, 0.45, 0.36),
)  # fmt: skip
"""Zinc, galvanised, yellow zinc, black oxide, phosphate, stainless, brass, copper."""


def metal(rng: Rng, palette: tuple[Colour, ...] = PLATED) -> tuple[Colour, float]:
    """A tone and its gloss."""
    return shade(rng, palette), float(rng.uniform(0.35, 0.85))


def join(*distances: Field) -> Field:
    """Inside all of the shapes."""
    return np.asarray(np.maximum.reduce(distances), np.float32)


def turned_face(s: Surface, rng: Rng, r: Field, strength: float, where: Field | float = 1.0) -> None:
    """Rings left by facing on a lathe, on the part of the surface that `where` (0..1) says."""
    marks = np.clip(stripes(rng, r, s.alpha.shape[0]), -2.5, 2.5) * where
    s.albedo *= (1 + 0.07 * strength * marks)[..., None].astype(np.float32)
    s.height += 0.16 * strength * marks


def _bore(s: Surface, r: Field, hole: float, pitch: float, thread: bool, angle: Field) -> None:
    """Countersink round a hole, and the turns of its thread that show inside."""
    sink(s, r - hole * 1.12, 3.0, hole * 0.24)
    if thread:
        inside = smooth(r - hole, 0.012)
        turns = 0.5 + 0.5 * np.cos(2 * np.pi * r / pitch + angle)
        paint(s, 0.8 * inside, 0.3 * s.albedo.mean((0, 1)), 0.3)
        s.albedo += (0.2 * inside * turns)[..., None].astype(np.float32)
        s.height += 1.5 * inside * turns


def washer_nut(rng: Rng) -> Draw:
    kind = str(rng.choice(["washer", "washer", "split", "toothed", "hex", "hex", "hex", "flange", "nylon", "square"]))
    tone, gloss = metal(rng)
    nut = kind in ("hex", "flange", "nylon", "square")
    radius = rng.uniform(0.62, 0.74) if nut else rng.uniform(0.7, 0.85)
    hole = radius * (rng.uniform(0.45, 0.62) if nut else rng.uniform(0.35, 0.66))
    teeth, inner, text = int(rng.integers(12, 25)), rng.random() < 0.4, code(rng, 1, 4)
    marked, finish, turn = rng.random() < 0.3, rng.uniform(0, 1.2), rng.uniform(0, 6)
    ring = shade(rng, ((0.2, 0.32, 0.6), (0.85, 0.85, 0.83), (0.7, 0.2, 0.18), (0.25, 0.45, 0.3)))

    def draw(rng: Rng, size: int) -> Product:
        s = skin(rng, size, tone, gloss, marks=30)
        _, _, r, angle = polar(size)
        a = angle + np.float32(turn)
        bore = hole * (0.84 if nut and kind != "nylon" else 1)
        if kind == "toothed":
            wave = 0.06 * np.tanh(3 * np.cos(teeth * a))
            outer = join(r - radius + (0 if inner else wave), hole * 1.1 - r + (wave if inner else 0))
            s.height += (
                4 * (size / 224) * np.sin(teeth * a) * smooth(np.abs(r - (hole if inner else radius)) - 0.1, 0.1)
            )
        elif nut:
            outer = polygon(r, a, 4 if kind == "square" else 6, radius)
            # The chamfer of a nut is a cone about its axis: it cuts the corners, not the flats.
            s.height -= np.float32(size / 224) * 60 * np.clip(r - radius * 0.97, 0, None)
        else:
            outer = r - radius
        distance = join(outer, bore - r)
        if kind == "split":  # sprung: one end stands above the other
            b = angle - 0.5 * (radius - r)
            distance = join(distance, 0.03 - np.abs((b + np.pi) % (2 * np.pi) - np.pi) * r)
            s.height += np.float32(size / 224) * 9 * (b % (2 * np.pi)) / np.float32(2 * np.pi)
        if kind == "flange":
            rim = r - min(radius * 1.28, 0.95)
            distance = np.minimum(distance, join(rim, bore - r)).astype(np.float32)
            sink(s, -outer, 9, 0.03)
            paint(s, 0.35 * smooth(np.abs(outer) - 0.01, 0.03), (0.05, 0.05, 0.05))
        s.alpha = smooth(distance, 3 / size)
        if kind in ("washer", "split"):
            dome(s, distance, 0.05, 3.5 * size / 224)
            turned_face(s, rng, r, finish * 0.6)
        else:
            bevel(s, distance, 0.025, 2.2)
        if nut:
            _bore(s, r, hole, hole * 0.05, kind != "nylon", angle)
            turned_face(s, rng, r, finish, smooth(r - radius * 0.97, 0.02) * smooth(hole - r, 0.02))
        if kind == "nylon":
            collar = join(r - hole * 1.35, hole - r)
            paint(s, smooth(collar, 0.015), ring, 0.35)
            sink(s, collar, 2.5)
            dome(s, collar, 0.06, 3 * size / 224)
        if marked and not inner:
            middle = (hole + radius) / 2
            s.height -= 1.6 * word_around(text, r, a, middle, min(0.13, (radius - hole) * 0.4)) * size / 224
        return Product(s)

    return draw


def gear(rng: Rng) -> Draw:
    """Spur gear, sprocket or toothed pulley, in metal or plastic."""
    teeth, bore = int(rng.integers(11, 40)), rng.uniform(0.12, 0.24)
    depth = min(4.3 / teeth, 0.2) * rng.uniform(0.75, 1)
    sprocket, plastic, holes = rng.random() < 0.25, rng.random() < 0.25, int(rng.choice([0, 0, 3, 4, 5, 6]))
    plastics = ((0.88, 0.87, 0.83), (0.08, 0.08, 0.09), (0.8, 0.72, 0.5))
    tone, gloss = (shade(rng, plastics), 0.3) if plastic else metal(rng, (*STEEL, *PLATED[2:5], PLATED[6]))
    web, hub, key = rng.uniform(0, 6), bore + rng.uniform(0.08, 0.16), rng.random() < 0.6
    finish, oily, text, marked = rng.uniform(0.3, 1.4), rng.random() < 0.3, code(rng, 2, 6), rng.random() < 0.3
    spokes = rng.random() < 0.3

    def draw(rng: Rng, size: int) -> Product:
        s = skin(rng, size, tone, gloss * 0.7, marks=20)
        x, y, r, angle = polar(size)
        tip, root = 0.86, 0.86 - depth
        phase = np.abs((angle / (2 * np.pi) * teeth) % 1 - 0.5)
        # Half the width of a tooth, as a share of the pitch: wide at the root, narrow at the tip.
        lift = np.clip((r - root) / depth, -0.2, 1)
        half = 0.36 - 0.24 * np.clip(lift, 0, 1) ** 0.8 if sprocket else 0.34 - 0.2 * np.clip(lift, 0, 1) ** 1.3
        flank = ((phase - half) * (2 * np.pi / teeth) * r).astype(np.float32)
        distance = np.minimum(r - root, join(r - tip, flank))
        bored = bore - r
        if key:
            bored = np.maximum(bored, -rounded_box(x, y + bore, bore * 0.25, bore * 0.3, 0.01))
        distance = join(distance, bored)
        middle, width = (hub + root) / 2, (root - hub) / 2 - 0.06
        cut = np.full_like(r, 1.0)
        for k in range(holes if width > 0.06 else 0):
            a = 2 * np.pi * k / holes
            if spokes:
                off = np.abs((angle - a + np.pi) % (2 * np.pi) - np.pi) * r - np.pi * r / holes + 0.06
                cut = np.minimum(cut, join(np.abs(r - middle) - width, off))
            else:
                cut = np.minimum(cut, np.hypot(x - middle * np.cos(a), y - middle * np.sin(a)) - width * 0.75)
        distance = join(distance, -cut)
        s.alpha = smooth(distance, 3 / size)
        if web > 2 and width > 0.05:
            sink(s, np.abs(r - middle) - width, web, 0.05)
        if not plastic:
            turned_face(s, rng, r, finish)
            paint(s, 0.3 * smooth(-flank - 0.02, 0.02) * smooth(root - r, 0.02), (0.8, 0.8, 0.8))
        bevel(s, distance, 0.025, 2.4)
        sink(s, r - bore - 0.03, 2, 0.05)
        if oily:
            paint(s, 0.4 * smooth(0.6 - fractal(rng, size, 5, 3), 0.2), (0.1, 0.08, 0.05), 0.8)
        if marked and width > 0.1:
            s.height -= 1.6 * word_around(text, r, angle + np.float32(0.4), middle, 0.1) * size / 224
        return Product(s)

    return draw


def shaft(rng: Rng) -> Draw:
    """A turned shaft lying across the picture: steps, chamfers, grooves, keyway, thread or knurl."""
    count = int(rng.integers(2, 6))
    ends = np.concatenate([[-0.92], np.sort(rng.uniform(-0.75, 0.75, count - 1)), [0.92]])
    biggest = rng.uniform(0.16, 0.34)
    radii = biggest * np.clip(
        1 - 0.22 * np.abs(np.arange(count) - rng.integers(count)) * rng.uniform(0.5, 1, count), 0.3, 1
    )
    kinds = rng.choice(["plain", "plain", "ground", "thread", "knurl", "groove", "teeth"], count)
    tone, gloss = metal(rng, (*STEEL, STEEL[0], PLATED[3], PLATED[6]))
    key, finish, pitch = rng.random() < 0.35, rng.uniform(0.3, 1.5), rng.uniform(0.02, 0.04)

    def draw(rng: Rng, size: int) -> Product:
        s = skin(rng, size, tone, gloss, cloud=0.1)
        x, y = grid(size)
        unit = size / 224
        radius = np.full_like(x, 0.01)
        relief = np.zeros_like(x)
        rough = np.full_like(x, finish)
        for a, b, base, kind in zip(ends, ends[1:], radii, kinds, strict=False):
            # Chamfered ends: the radius falls off over the last hundredths.
            part = np.minimum(base, base - 0.025 + np.minimum(x - a, b - x)).astype(np.float32)
            inside = (x >= a) & (x < b)
            lean = np.arcsin(np.clip(y / base, -1, 1)) / np.pi
            if kind == "thread":
                part = part - np.where(inside, 0.6 * pitch * np.abs(((x / pitch + 0.5 * lean) % 1) - 0.5), 0)
            elif kind == "knurl":
                turns = 2 * np.pi * lean * 7
                diamonds = np.abs(np.sin(x * 75 + turns)) * np.abs(np.sin(x * 75 - turns))
                relief = np.where(inside, 2.4 * unit * diamonds, relief)
            elif kind == "groove":
                part = part - 0.03 * smooth(np.abs(x - (0.8 * b + 0.2 * a)) - 0.012, 0.01)
            elif kind == "teeth":
                relief = np.where(inside, 3 * unit * np.tanh(3 * np.cos(lean * np.pi * 18)), relief)
            rough = np.where(inside & (kind == "ground"), 0.25 * finish, rough)
            radius = np.where(inside, part, radius)
        distance = join(np.abs(y) - radius, np.abs(x) - 0.92)
        s.alpha = smooth(distance, 3 / size)
        rod(s, y, radius.astype(np.float32))
        s.height += relief.astype(np.float32)
        marks = np.clip(stripes(rng, x, size), -2.5, 2.5)
        s.height += (0.16 * rough * marks).astype(np.float32)
        s.albedo *= (1 + 0.06 * rough * marks)[..., None].astype(np.float32)
        if key:
            k = int(np.argmax(radii))
            slot = rounded_box(x - (ends[k] + ends[k + 1]) / 2, y, (ends[k + 1] - ends[k]) * 0.35, 0.05, 0.05)
            sink(s, slot, 6, 0.015)
            paint(s, 0.45 * smooth(slot, 0.02), (0.08, 0.08, 0.08))
        return Product(s)

    return draw


def screw(rng: Rng) -> Draw:
    """A screw or bolt on its side."""
    head = str(rng.choice(["hex", "hex", "pan", "countersunk", "socket", "flange", "stud"]))
    tone, gloss = metal(rng)
    wood = head in ("pan", "countersunk") and rng.random() < 0.6
    core = rng.uniform(0.1, 0.22) * (0.75 if wood else 1)
    pitch = core * (rng.uniform(0.7, 1.0) if wood else rng.uniform(0.26, 0.45))
    wide, tall = core * rng.uniform(1.7, 2.1), core * rng.uniform(1.0, 1.4) * (0.7 if head == "countersunk" else 1)
    start = rng.uniform(-0.6, 0.3) if rng.random() < 0.6 else -0.9 + tall
    patch, drive = rng.random() < 0.15, rng.uniform(0, 6)

    def draw(rng: Rng, size: int) -> Product:
        s = skin(rng, size, tone, gloss, marks=20)
        x, y = grid(size)
        unit = size / 224
        neck = -0.9 + (0 if head == "stud" else tall)
        lean = np.arcsin(np.clip(y / core, -1, 1)) / np.pi
        phase = (x - 0.0) / pitch + 0.5 * lean + drive
        saw = np.abs((phase % 1) - 0.5) * 2
        deep = core * 0.32 if wood else pitch * 0.55
        threaded = np.clip((x - max(start, neck)) / (pitch * 1.2), 0, 1)
        shape = np.clip(1.6 * saw, 0, 1) if not wood else np.clip(saw * 3.2 - 2.2, 0, 1) * -1 + 1
        radius = core - threaded * deep * shape
        point = np.clip((0.92 - x) / (0.3 if wood else 0.06), 0, 1)
        radius = np.minimum(radius, radius * point**0.8 if wood else core - 0.06 + 0.06 * point)
        t = np.clip((x + 0.9) / tall, 0, 1)  # along the head
        crown = {
            "pan": wide * np.sqrt(np.clip(1 - (1 - t) ** 2.5, 0, 1)),
            "countersunk": np.clip(wide * (1 - t) * 1.02, core, wide),
            "socket": np.minimum(wide * 0.85, wide * 0.85 - 0.03 + 0.4 * (x + 0.9)),
            "hex": np.minimum(wide, wide - 0.025 + 0.5 * (x + 0.9)),
            "flange": np.where(t > 0.75, wide * 1.15, np.minimum(wide * 0.9, wide * 0.87 + 0.5 * (x + 0.9))),
            "stud": radius,
        }[head]
        radius = np.where(x < neck, crown, radius).astype(np.float32)
        distance = join(np.abs(y) - radius, -0.9 - x, x - 0.92)
        s.alpha = smooth(distance, 3 / size)
        rod(s, y, radius, 0.7)
        at_head = smooth(x - neck + 0.01, 0.02)
        if head in ("hex", "flange"):
            top = at_head * (t < 0.75) if head == "flange" else at_head
            flats = wide * 0.9 if head == "flange" else wide
            facets = 0.5 * size * np.minimum(0.8 * flats, 1.25 * (flats - np.abs(y)) + 0.18 * flats)
            s.height += top * (facets - s.height)
        elif head == "socket":
            s.height += (
                1.8 * unit * at_head * np.tanh(3 * np.cos(np.arcsin(np.clip(y / wide / 0.85, -1, 1)) * 34))
            ).astype(np.float32)
        s.albedo *= (1 - 0.35 * threaded * (x > neck) * shape)[..., None].astype(np.float32)
        marks = np.clip(stripes(rng, x, size), -2, 2)
        s.height += (0.1 * marks).astype(np.float32)
        paint(s, 0.4 * smooth(np.abs(x - neck) - 0.006, 0.02) * (1 if head != "stud" else 0), (0.04, 0.04, 0.04))
        if patch:
            paint(s, 0.85 * smooth(np.abs(x - 0.55) - 0.14, 0.02), (0.25, 0.33, 0.55), 0.3)
        return Product(s)

    return draw
