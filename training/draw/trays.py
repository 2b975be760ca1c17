"""Goods by number: blisters, trays, toy kits, fuses."""

from __future__ import annotations

import numpy as np

from training.draw.assemblies import PLASTICS, STEELS, mottle, pick
from training.draw.noise import Field, Rng, fractal, grid, lettering, smooth
from training.draw.shapes import dome, lattice, polar, rounded_box
from training.draw.surface import Colour, Part, Product, Surface, blank, paint
from training.draw.textures import Draw

_PILLS = (
    (0.9, 0.89, 0.86), (0.86, 0.83, 0.76), (0.8, 0.72, 0.5), (0.76, 0.5, 0.46), (0.55, 0.66, 0.74), (0.8, 0.6, 0.35), (0.62, 0.68, 0.52),
    (0.5, 0.28, 0.2), (0.88, 0.78, 0.78),
)  # fmt: skip


def _folded(x: Field, pitch: float, count: int) -> Field:
    """Offset of each coordinate from the nearest of `count` centres, `pitch` apart around 0."""
    nearest = np.clip(np.floor(x / pitch + count / 2), 0, count - 1)
    return np.asarray(x - (nearest + 0.5 - count / 2) * pitch, np.float32)


def _pill(rng: Rng, n: int, tint: Colour, second: Colour | None, oval: float, covered: float) -> Surface:
    """A tablet, or a capsule of two colours, under a film that mirrors by `covered` 0..1."""
    s = blank(n, tint, 0.15 + 0.6 * covered)
    x, y = grid(n)
    d = rounded_box(x, y, 0.92, 0.92 * oval, 0.92 * oval)
    s.alpha = smooth(d, 4 / n)
    mottle(s, rng, 0.015, 0.05, 0.05)
    if second is not None:
        paint(s, smooth(-x - 0.05, 3 / n), second, 0.6)
        s.height += n / 60 * smooth(-x - 0.05, 0.05)
        dome(s, d, oval, n / 4)
        return s
    dome(s, d, 0.2, n / 12)
    dome(s, d, 0.9, n / 30)
    if oval > 0.85:
        s.height -= n / 40 * smooth(np.abs(y) - 0.03, 0.08)
    return s


def tablets(rng: Rng) -> Draw:
    """Blister pack: clear domes over foil, a tablet or capsule in each."""
    columns, rows, round_one = int(rng.integers(2, 6)), int(rng.integers(2, 5)), rng.random() < 0.5
    foil = pick(rng, ((0.66, 0.66, 0.66), (0.72, 0.72, 0.71), (0.58, 0.58, 0.57), (0.8, 0.8, 0.79)), 0.03)
    capsule, tint, second = rng.random() < 0.35, pick(rng, _PILLS), pick(rng, _PILLS)
    film, turn = rng.uniform(0.1, 0.6), float(rng.choice([0, 45, 90]))
    oval = 0.42 if capsule else 1.0 if round_one else rng.uniform(0.5, 0.8)
    knurl, word = rng.uniform(1.6, 3), "".join(rng.choice(list("ABEFHKLMNPRT0123456789"), 6))
    slack = 6 if capsule else 2

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, foil, 0.6)
        x, y, _, _ = polar(size)
        distance = rounded_box(x, y, 0.95, 0.9, 0.1)
        s.alpha = smooth(distance, 3 / size)
        mottle(s, rng, 0.02, 0.15, 0.1)
        dome(s, distance, 0.02, 1.5 * unit)
        cell = min(1.8 / columns, 1.7 / rows)
        seats = lattice(columns, rows, (0.95 - 0.95 / columns, 0.9 - 0.9 / rows), size, rng, 0.2)
        a0, c, n0 = np.radians(turn), 0.47 * cell, 0.47 * cell * oval
        u, v = _folded(x, 1.9 / columns, columns), _folded(y, 1.8 / rows, rows)
        u, v = u * np.cos(a0) - v * np.sin(a0), u * np.sin(a0) + v * np.cos(a0)
        pockets = rounded_box(u, v, c, n0 + 0.02, n0 + 0.02)
        inside = smooth(pockets, 3 / size)
        web = 1 - inside
        # The sealing roller presses a fine diamond grid into film and foil.
        ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
        weave = np.sin((xs + ys) / knurl / unit * 2) * np.sin((xs - ys) / knurl / unit * 2) * web
        s.height += 0.2 * unit * weave
        s.albedo *= (1 + 0.06 * weave)[..., None]
        for i in range(1, columns):  # the lines along which it is broken up
            cut = smooth(np.abs(x + 0.95 - 1.9 * i / columns) - 0.006, 3 / size) * (np.sin(y * 60) > 0) * web
            s.height -= unit * cut
        s.height += 1.2 * unit * web * lettering(size, word, (round(0.08 * size), round(0.945 * size)), 0.3 * unit, 1)
        dome(s, pockets, 0.45 * n0 + 0.02, 7 * unit)
        rim = smooth(np.abs(pockets) - 0.012, 3 / size)
        s.albedo *= (1 - 0.18 * inside - 0.2 * rim)[..., None]
        s.gloss = np.maximum(s.gloss, (0.5 + 0.45 * film) * inside).astype(np.float32)
        n = max(14, int(cell * size / 2 * 0.82))
        pills = [_pill(rng, n, tint, second if capsule else None, oval, film) for _ in range(2)]
        parts = tuple(Part(pills[i % 2], a, b, turn + rng.normal(0, slack), "tablet") for i, (a, b) in enumerate(seats))
        other = _pill(rng, n, pick(rng, _PILLS, 0.15), pick(rng, _PILLS) if capsule else None, oval, film)
        return Product(s, parts=parts, spare=(Part(other, 0, 0, turn, "tablet"),))

    return draw


def _vial(rng: Rng, n: int, tint: Colour, cap: Colour) -> Surface:
    """A glass ampoule or vial lying along x, (n, n)."""
    s = blank(n, (0.75, 0.78, 0.78), 0.9)
    x, y = grid(n)
    neck = 0.3 - 0.14 * np.clip((x - 0.35) / 0.12, 0, 1) + 0.06 * np.clip((x - 0.6) / 0.05, 0, 1)
    d = np.maximum(np.abs(y) - neck, np.abs(x) - 0.96).astype(np.float32)
    s.alpha = smooth(d, 4 / n)
    paint(s, 0.85 * smooth(np.maximum(d + 0.04, x - 0.2), 5 / n), tint, 0.9)
    paint(s, smooth(0.6 - x, 4 / n), cap, 0.5)
    paint(s, 0.6 * smooth(rounded_box(x + 0.4, y, 0.3, 0.29, 0.01), 3 / n), (0.86, 0.86, 0.84), 0.2)
    s.height = (n / 2 * np.sqrt(np.clip(neck**2 - y**2, 0, 1))).astype(np.float32)
    return s


def _pouch(rng: Rng, n: int, tint: Colour, mark: Colour) -> Surface:
    """A filled sachet with crimped ends, (n, n)."""
    s = blank(n, tint, 0.45)
    x, y = grid(n)
    d = rounded_box(x, y, 0.95, 0.66, 0.02)
    s.alpha = smooth(d, 3 / n)
    full = smooth(np.abs(x) - 0.76, 0.12) * np.sqrt(np.clip(1 - (y / 0.68) ** 2, 0, 1))
    s.height = (n / 9 * full + n / 70 * np.sin(x * 70) * (np.abs(x) > 0.8)).astype(np.float32)
    s.height += n / 9 * (fractal(rng, n, 3, 3) - 0.5) * full
    paint(s, smooth(rounded_box(x, y, 0.5, 0.36, 0.04), 3 / n), mark, 0.35)
    paint(s, 0.9 * lettering(n, "EKMO", (int(0.3 * n), int(0.56 * n)), n / 105, max(1, n // 40)), tint, 0.35)
    return s


def _praline(rng: Rng, n: int, tint: Colour, mark: Colour) -> Surface:
    """A moulded chocolate with a drizzle, (n, n)."""
    s = blank(n, tint, 0.4)
    x, y, _, angle = polar(n)
    d = np.asarray(rounded_box(x, y, 0.84, 0.84, 0.4) + 0.02 * np.cos(3 * angle + rng.uniform(0, 6)), np.float32)
    s.alpha = smooth(d, 4 / n)
    mottle(s, rng, 0.02, 0.15, 0.05)
    dome(s, d, 0.5, n / 7)
    wave = np.abs(np.sin(4.5 * (x + 0.4 * y) + 0.5 * np.sin(4 * y + rng.uniform(0, 6))))
    lines = smooth(wave - 0.14, 0.12) * smooth(d + 0.12, 0.06)
    paint(s, 0.9 * lines, mark, 0.35)
    s.height += n / 40 * lines
    return s


def _bolt(rng: Rng, n: int, tint: Colour, mark: Colour) -> Surface:
    """A screw lying along x with its thread, (n, n)."""
    s = blank(n, tint, 0.65)
    x, y = grid(n)
    thread = np.sin(x * n / 2 / max(1.3, n / 60) + 3 * y)
    half = np.where(x < -0.62, 0.34, 0.17 + 0.02 * thread) * np.clip((0.98 - x) / 0.1, 0, 1)
    d = np.maximum(np.abs(y) - half, np.abs(x) - 0.96).astype(np.float32)
    s.alpha = smooth(d, 3 / n)
    s.height = (n / 2.4 * np.sqrt(np.clip(half**2 - y**2, 0, 1)) + n / 60 * thread * (x > -0.6)).astype(np.float32)
    s.albedo *= (1 + 0.25 * thread * (x > -0.6))[..., None]
    return s


_GOODS = (
    (_vial, 0.36, ((0.72, 0.76, 0.76), (0.72, 0.55, 0.25), (0.42, 0.24, 0.1)), ((0.65, 0.65, 0.64), (0.5, 0.1, 0.1), (0.15, 0.25, 0.45), (0.2, 0.4, 0.28))),
    (_pouch, 0.72, ((0.82, 0.82, 0.8), (0.7, 0.7, 0.7), (0.72, 0.6, 0.42)), ((0.5, 0.14, 0.1), (0.12, 0.26, 0.45), (0.15, 0.38, 0.25), (0.6, 0.42, 0.12))),
    (_praline, 0.95, ((0.2, 0.11, 0.07), (0.33, 0.19, 0.11), (0.83, 0.75, 0.6)), ((0.85, 0.78, 0.65), (0.16, 0.08, 0.05), (0.55, 0.25, 0.25))),
    (_bolt, 0.42, (*STEELS, (0.7, 0.6, 0.36), (0.12, 0.12, 0.12)), STEELS),
)  # fmt: skip
"""Maker, breadth over length, body colours, second colours."""


def counted_tray(rng: Rng) -> Draw:
    """Like goods in a tray by a rule of rows and columns."""
    make, slim, tints, marks = _GOODS[int(rng.integers(len(_GOODS)))]
    tint, mark, upright = pick(rng, tints), pick(rng, marks), slim < 0.6
    rows = int(rng.integers(1, 3)) if upright else int(rng.integers(2, 4))
    columns = int(rng.integers(4, 9)) if upright else int(rng.integers(3, 6))
    tray = pick(rng, (*PLASTICS, (0.55, 0.42, 0.28), (0.8, 0.78, 0.72)))
    pockets = rng.random() < 0.65

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, tray, 0.35)
        x, y = grid(size)
        # Length of an item in half sizes: as long as its cell allows.
        long = min(1.7 / rows, 1.7 / columns / slim) if upright else min(1.7 / columns, 1.7 / rows / slim)
        a, b = (long * slim, long) if upright else (long, long * slim)
        w, h = columns * a / 2 * 1.04 + 0.06, rows * b / 2 * 1.04 + 0.06
        d = rounded_box(x, y, w, h, 0.06)
        s.alpha = smooth(d, 3 / size)
        mottle(s, rng, 0.02, 0.1, 0.1)
        dome(s, d, 0.03, 4 * unit)
        floor = smooth(rounded_box(x, y, w - 0.05, h - 0.05, 0.04), 0.03)
        s.height -= 5 * unit * floor
        s.albedo *= (1 - 0.15 * floor)[..., None]
        if pockets:
            wells = rounded_box(_folded(x, 1.04 * a, columns), _folded(y, 1.04 * b, rows), 0.47 * a, 0.47 * b, 0.05)
            s.height -= 5 * unit * smooth(wells, 0.03)
            s.albedo *= (1 - 0.2 * smooth(wells, 3 / size))[..., None]
        n = max(12, int(long * size / 2 * 0.95))
        stock = [make(rng, n, tint, mark) for _ in range(2)]
        angle, loose = 90.0 if upright else 0.0, 1.5 if pockets else 3.0
        seats = lattice(columns, rows, (0.52 * a * (columns - 1), 0.52 * b * (rows - 1)), size, rng, 0.5 * unit)
        parts = tuple(Part(stock[i % 2], p, q, angle + rng.normal(0, loose), "item") for i, (p, q) in enumerate(seats))
        other = make(rng, n, pick(rng, tints, 0.2), pick(rng, marks, 0.2))
        return Product(s, parts=parts, spare=(Part(other, 0, 0, 0, "item"),))

    return draw


_TOY = (
    (0.58, 0.08, 0.07), (0.08, 0.2, 0.42), (0.8, 0.6, 0.12), (0.11, 0.36, 0.2), (0.84, 0.84, 0.82), (0.09, 0.09, 0.1), (0.5, 0.52, 0.53),
    (0.7, 0.35, 0.1), (0.66, 0.56, 0.4), (0.3, 0.17, 0.1),
)  # fmt: skip


def _studs(s: Surface, pitch: float, columns: int, rows: int) -> None:
    """Rows of studs, `pitch` pixels apart, centred on the surface."""
    n = s.alpha.shape[0]
    x, y = grid(n)
    u, v = x * n / 2 / pitch + columns / 2, y * n / 2 / pitch + rows / 2
    r = np.asarray(np.hypot(u % 1 - 0.5, v % 1 - 0.5) - 0.3, np.float32)
    there = (u > 0) & (u < columns) & (v > 0) & (v < rows)
    # A soft dark foot makes a stud stand up.
    s.albedo *= (1 - 0.22 * there * np.exp(-np.abs(r) / 0.06) * (r > 0))[..., None]
    s.height += pitch / 6 * smooth(r + 0.02, 0.12) * there


_BRICKS = ((2, 2), (2, 4), (4, 2), (1, 2), (2, 1), (2, 3), (1, 4), (3, 2))


def bricks(rng: Rng) -> Draw:
    """A model of studded toy bricks on a plate, from above."""
    cells, layout = int(rng.integers(6, 12)), rng.integers(2**31)
    ground, tints = pick(rng, _TOY, 0.03), [pick(rng, _TOY, 0.03) for _ in range(int(rng.integers(2, 5)))]

    def brick(rng: Rng, w: int, h: int, tint: Colour, pitch: float) -> Surface:
        n = int(np.ceil(max(w, h) * pitch)) + 2
        s = blank(n, tint, 0.6)
        x, y = grid(n)
        d = rounded_box(x, y, (w * pitch - 0.6) / n, (h * pitch - 0.6) / n, 0.1 * pitch / n)
        s.alpha = smooth(d, 3 / n)
        mottle(s, rng, 0.012, 0.04, 0.05)
        dome(s, d, 0.28 * pitch / n, 0.14 * pitch)
        s.height += 0.25 * pitch
        _studs(s, pitch, w, h)
        return s

    def draw(rng: Rng, size: int) -> Product:
        plan = np.random.default_rng(layout)
        pitch = 1.84 * size / 2 / cells
        s = blank(size, ground, 0.55)
        s.alpha = smooth(rounded_box(*grid(size), 0.93, 0.93, 0.02), 3 / size)
        mottle(s, rng, 0.012, 0.05, 0.05)
        _studs(s, pitch, cells, cells)
        taken = np.zeros((cells, cells), bool)
        parts: list[Part] = []
        stock: dict[tuple[int, int, int], Surface] = {}
        for _ in range(int(plan.integers(12, 60))):
            w, h = _BRICKS[int(plan.integers(len(_BRICKS)))]
            i, j = int(plan.integers(0, cells - w + 1)), int(plan.integers(0, cells - h + 1))
            t = int(plan.integers(len(tints)))
            if taken[j : j + h, i : i + w].any() or len(parts) > 16:
                continue
            taken[j : j + h, i : i + w] = True
            if (w, h, t) not in stock:
                stock[w, h, t] = brick(rng, w, h, tints[t], pitch)
            a, b = size / 2 + pitch * (i + w / 2 - cells / 2), size / 2 + pitch * (j + h / 2 - cells / 2)
            shift = rng.normal(0, 0.15, 2)
            parts.append(Part(stock[w, h, t], a + shift[0], b + shift[1], rng.normal(0, 0.3), "brick"))
        return Product(s, parts=tuple(parts))

    return draw


_AMPERES = {"5": (0.62, 0.5, 0.36), "7": (0.4, 0.22, 0.14), "10": (0.54, 0.1, 0.09), "15": (0.13, 0.29, 0.5), "20": (0.76, 0.62, 0.14), "25": (0.78, 0.78, 0.76), "30": (0.15, 0.4, 0.23), "40": (0.7, 0.37, 0.12)}  # fmt: skip


def fuse_box(rng: Rng) -> Draw:
    """Blade fuses of standard colours in a dark holder."""
    columns, rows, body = int(rng.integers(3, 7)), int(rng.integers(2, 5)), pick(rng, PLASTICS[:4])
    slim = rng.uniform(0.3, 0.42)
    values = [str(v) for v in rng.choice(list(_AMPERES), columns * rows)]

    def fuse(rng: Rng, n: int, value: str) -> Surface:
        s = blank(n, _AMPERES[value], 0.55)
        x, y = grid(n)
        d = rounded_box(x, y, 0.94, slim, 0.06)
        s.alpha = smooth(d, 4 / n)
        mottle(s, rng, 0.015, 0.08, 0.05)
        dome(s, d, 0.08, n / 18)
        s.height += n / 10
        # Two slots for test probes show the blades.
        slots = smooth(rounded_box(np.abs(x) - 0.7, y, 0.1, 0.55 * slim, 0.03), 4 / n)
        paint(s, slots, (0.6, 0.6, 0.58), 0.7)
        s.height -= n / 20 * slots
        at = (int(n * (0.5 - 0.11 * len(value))), int(n * 0.585))
        ink = (0.88, 0.88, 0.86) if sum(_AMPERES[value]) < 1.6 else (0.12, 0.12, 0.12)
        paint(s, 0.85 * lettering(n, value, at, n / 75 * slim / 0.4, 1), ink, 0.2)
        return s

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, body, 0.25)
        x, y = grid(size)
        high = 2.4 * slim
        long = min(1.75 / columns, 1.6 / rows / high)
        d = rounded_box(x, y, columns * long / 2 + 0.08, rows * long * high / 2 + 0.07, 0.05)
        s.alpha = smooth(d, 3 / size)
        mottle(s, rng, 0.03, 0.1, 0.2)
        dome(s, d, 0.03, 4 * unit)
        # The wells, and in them the two slits for the blades.
        u, v = _folded(x, long, columns), _folded(y, high * long, rows)
        well = rounded_box(u, v, 0.46 * long, 0.48 * slim * long + 0.015, 0.01)
        s.height -= 4 * unit * smooth(well, 0.02)
        s.albedo *= (1 - 0.45 * smooth(well, 3 / size))[..., None]
        slits = rounded_box(np.abs(u) - 0.28 * long, v, 0.1 * long, 0.012, 0.004)
        paint(s, smooth(slits, 3 / size), (0.02, 0.02, 0.02), 0.05)
        n = max(12, int(0.92 * long * size / 2))
        stock = {v: fuse(rng, n, v) for v in sorted(set(values))}
        seats = lattice(columns, rows, (long * (columns - 1) / 2, high * long * (rows - 1) / 2), size, rng, 0.2)
        parts = tuple(Part(stock[v], a, b, rng.normal(0, 0.6), "fuse") for (a, b), v in zip(seats, values, strict=True))
        other = str(rng.choice([v for v in _AMPERES if v not in stock] or list(_AMPERES)))
        return Product(s, parts=parts, spare=(Part(fuse(rng, n, other), 0, 0, 0, "fuse"),))

    return draw
