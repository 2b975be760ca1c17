"""Mechanical families made of parts: bearings, screwed plates, cells in a holder; and what others build on."""

from __future__ import annotations

import cv2
import numpy as np

from training.draw.noise import Rng, fractal, grain, grid, lettering, smooth
from training.draw.shapes import dome, lattice, polar, polygon, ring_of_parts, rounded_box
from training.draw.surface import Colour, Part, Product, Surface, blank, paint
from training.draw.textures import Draw, brushed_metal, painted

STEELS = ((0.62, 0.62, 0.61), (0.53, 0.54, 0.56), (0.7, 0.69, 0.67))
PLATINGS = (*STEELS, (0.68, 0.7, 0.73), (0.72, 0.62, 0.38), (0.13, 0.13, 0.135), (0.66, 0.54, 0.3))
"""Steel, zinc, yellow chromate, black oxide, brass."""
PLASTICS = (
    (0.06, 0.06, 0.065), (0.09, 0.09, 0.1), (0.21, 0.21, 0.22), (0.58, 0.58, 0.56), (0.76, 0.72, 0.62), (0.84, 0.84, 0.82),
    (0.1, 0.19, 0.4), (0.13, 0.36, 0.22), (0.68, 0.3, 0.1), (0.48, 0.09, 0.08),
)  # fmt: skip
GOLD, TIN, COPPER = (0.74, 0.57, 0.28), (0.6, 0.6, 0.59), (0.75, 0.44, 0.27)


def pick(rng: Rng, palette: tuple[Colour, ...], spread: float = 0.05) -> Colour:
    """A colour of the palette, a shade lighter or darker than it stands there."""
    chosen, level = palette[int(rng.integers(len(palette)))], 1 + rng.normal(0, spread)
    r, g, b = (float(np.clip(c * level + rng.normal(0, spread / 5), 0.02, 0.97)) for c in chosen)
    return r, g, b


def shaded(tint: Colour, by: float) -> Colour:
    """The colour, `by` times as bright."""
    return min(tint[0] * by, 0.98), min(tint[1] * by, 0.98), min(tint[2] * by, 0.98)


def turned(s: Surface, rng: Rng, depth: float) -> None:
    """Marks of the lathe: fine concentric grooves and the crossed gleam they give."""
    size = s.alpha.shape[0]
    _, _, r, angle = polar(size)
    ring = np.minimum(r * size / 2, size - 1).astype(np.int32)
    marks = np.asarray(rng.standard_normal(size, dtype=np.float32))[ring]
    s.height += depth * marks
    s.albedo *= (1 + 0.05 * marks + 0.13 * np.cos(2 * angle + np.float32(rng.uniform(0, 6))))[..., None]


def mottle(s: Surface, rng: Rng, fine: float = 0.03, broad: float = 0.1, pits: float = 0.1) -> None:
    """The unevenness that every real material has: grain, cloudiness and a rough skin."""
    size = s.alpha.shape[0]
    speck = grain(rng, size, (0.7, 0.7))
    s.albedo *= (1 + fine * speck + broad * (fractal(rng, size, 2.5, 3) - 0.5))[..., None]
    s.height += 0.35 * pits * speck


def bearing(rng: Rng) -> Draw:
    """Deep-groove ball bearing from the side: open with a steel or polymer cage, shielded or sealed."""
    bore, outer = rng.uniform(0.36, 0.64), 0.92
    thick, pitch, steel = outer - bore, (outer + bore) / 2, pick(rng, STEELS)
    ball, half = 0.275 * thick, 0.28 * thick
    count = int(2 * np.pi * pitch / (2 * ball * rng.uniform(1.25, 1.6)))
    style = int(rng.choice(4, p=[0.4, 0.3, 0.15, 0.15]))
    cage = pick(rng, STEELS if style == 0 else ((0.08, 0.08, 0.08), (0.68, 0.6, 0.44), (0.3, 0.2, 0.14)))
    cover = pick(rng, STEELS if style == 2 else ((0.07, 0.07, 0.07), (0.36, 0.13, 0.08), (0.1, 0.16, 0.3)))
    word, land = "".join(rng.choice(list("0234678RSZ"), 5)), rng.uniform(0.9, 1.1)

    def draw(rng: Rng, size: int) -> Product:
        unit, start = size / 224, float(rng.uniform(0, 6))
        s = blank(size, steel, 0.65)
        _, _, r, _ = polar(size)
        distance = np.maximum(r - outer, bore - r)
        s.alpha = smooth(distance, 3 / size)
        turned(s, rng, 0.12 * unit)
        mottle(s, rng, 0.02, 0.08, 0.03)
        dome(s, distance, 0.03, 3 * unit)
        off = np.abs(r - pitch)
        gap = smooth(off - half * land, 3 / size)
        lip = smooth(np.abs(off - half * land) - 0.007, 3 / size)
        if style >= 2:
            paint(s, gap, cover, 0.55 if style == 2 else 0.15)
            s.height -= (1.5 * gap + 2 * lip - 2 * smooth(off - 0.6 * half, 0.03)) * unit
            paint(s, 0.75 * lip, (0.05, 0.05, 0.05), 0.1)
            for at in (0.55, 0.8):
                groove = smooth(np.abs(off - at * half) - 0.005, 3 / size)
                s.height -= 1.2 * unit * groove
            if style == 3:
                s.albedo *= (1 + 0.04 * gap * grain(rng, size))[..., None]
                spot = (int(size * (0.5 - 0.012 * len(word))), int(size * (0.51 - pitch / 2)))
                s.height += 1.5 * unit * lettering(size, word, spot, 0.32 * unit * thick / 0.4, 1)
            return Product(s)
        deep = np.clip(1 - (off / (half * land)) ** 2, 0, 1)
        paint(s, gap, (0.07, 0.068, 0.065), 0.35)
        s.height -= (4 + 6 * deep) * unit * gap
        paint(s, 0.5 * lip, shaded(steel, 1.25), 0.8)
        strap = (0.3 if style == 0 else 0.72) * half
        ribbon = smooth(off - strap, 3 / size)
        paint(s, ribbon, cage, 0.5 if style == 0 else 0.25)
        s.height += unit * (6 * ribbon - 1.5 * smooth(0.75 * strap - off, 0.03) * ribbon)
        if style == 0:  # Rivets between the balls.
            for a in start + np.pi / count * (2 * np.arange(count) + 1):
                centre = np.array([np.cos(a), np.sin(a)]) * pitch * size / 2 + size / 2
                dot = np.zeros((size, size), np.float32)
                spot = (round(centre[0] * 16), round(centre[1] * 16))
                cv2.circle(dot, spot, round(max(1.0, 0.4 * strap * size) * 8), 1.0, -1, cv2.LINE_AA, 4)
                s.height += 2 * unit * dot
        seen = _ball(size * ball, strap / ball if style == 0 else 0, cage)
        return Product(s, parts=ring_of_parts(count, pitch, seen, size, start, "ball"))

    return draw


def _ball(across: float, strap: float, cage: Colour) -> Surface:
    """A polished ball, `across` pixels wide, with the cage's strap of that half width over it, if any."""
    n = max(8, int(across * 1.06))
    s = blank(n, (0.66, 0.66, 0.67), 0.95)
    x, _, r, _ = polar(n)
    s.alpha = smooth(r - 0.94, 4 / n)
    s.height = (0.45 * n * np.sqrt(np.clip(1 - r * r, 0, 1))).astype(np.float32)
    # A mirror sphere shows the dark side of the room in its rim and the ceiling in its middle.
    s.albedo *= (1.2 - 0.95 * np.clip(r, 0, 1) ** 3)[..., None]
    if strap > 0:
        over = smooth(np.abs(x) - strap, 4 / n)
        paint(s, over, cage, 0.5)
        s.height += n / 14 * over
    return s


def hole(s: Surface, x: float, y: float, across: float, depth: float, tint: Colour = (0.05, 0.05, 0.05)) -> None:
    """A bored hole at (x, y) pixels, `across` pixels wide, with a broken edge."""
    size, reach = s.alpha.shape[0], int(across) + 3
    spot = np.s_[max(0, int(y) - reach) : min(size, int(y) + reach), max(0, int(x) - reach) : min(size, int(x) + reach)]
    ys, xs = np.mgrid[spot].astype(np.float32)
    d = np.hypot(xs + 0.5 - x, ys + 0.5 - y) - across / 2
    s.height[spot] -= depth * smooth(d, max(1.0, 0.3 * across))
    cover = 0.95 * smooth(d + 0.06 * across, 1.5)
    s.albedo[spot] += cover[..., None] * (np.asarray(tint, np.float32) - s.albedo[spot])
    s.gloss[spot] += cover * (0.1 - s.gloss[spot])


def screw(rng: Rng, n: int, tint: Colour, head: int, washer: bool = False) -> Surface:
    """Head of a screw, seen from above, (n, n): Phillips pan, slotted, hexagon, socket cap, torx, flat cross."""
    s = blank(n, tint, 0.65)
    x, y, r, angle = polar(n)
    radius = 0.62 if washer else 0.9
    hexagon = head == 2
    d = polygon(r, angle, 6, 0.86 * radius) if hexagon else np.asarray(r - radius, np.float32)
    body = smooth(d, 4 / n)
    turned(s, rng, 0.004 * n)
    if washer:
        s.alpha = smooth(np.asarray(r - 0.93, np.float32), 4 / n)
        dome(s, np.asarray(r - 0.93, np.float32), 0.08, n / 40)
        s.albedo *= (1 - 0.45 * np.exp(-np.clip(d, 0, None) / 0.07) * (1 - body))[..., None]
    else:
        s.alpha = body
    if head in (0, 4):  # pan
        s.height += n / 6 * body * np.sqrt(np.clip(1.1 - (r / radius) ** 2, 0, 1))
    elif head == 5:  # countersunk: flush, with a sharp rim
        dome(s, d, 0.1, n / 40)
    else:
        dome(s, d, 0.12, n / 14)
        s.height += n / 10 * body
    if hexagon:
        s.height -= n / 4 * np.clip(r - 0.8 * radius, 0, 1) * body
    if head == 3:  # knurled cylinder
        rim = smooth(np.abs(r - 0.96 * radius) - 0.05, 3 / n)
        s.albedo *= (1 - 0.3 * rim * (np.cos(angle * max(12, n // 2)) > 0))[..., None]
    across, along = np.abs(y) / radius, np.abs(x) / radius
    if head in (0, 5):
        wing = 0.15 - 0.05 * along
        slot = np.minimum(
            np.maximum(across - wing, along - 0.58), np.maximum(along - 0.15 + 0.05 * across, across - 0.58)
        )
    elif head == 1:
        slot = np.maximum(across - 0.11, along - 1.1)
    elif hexagon:  # a forged mark instead of a recess
        slot = np.abs(np.hypot(x, y) / radius - 0.45) - 0.02
    elif head == 3:
        slot = polygon(r / radius, angle, 6, 0.46)
    else:
        slot = r / radius - 0.42 - 0.07 * np.cos(6 * angle)
    cover = smooth(np.asarray(slot, np.float32), 5 / n) * body
    s.height -= cover * n / (40 if hexagon else 8)
    if not hexagon:
        deep = np.clip(1.15 - 0.8 * r / radius, 0.35, 1)
        paint(s, 0.85 * cover * deep.astype(np.float32), shaded(tint, 0.12), 0.3)
    return s


def screwed_plate(rng: Rng) -> Draw:
    """A panel or housing held by screws in a regular layout."""
    columns, rows = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    if columns * rows == 1:
        columns = 2
    plate = [brushed_metal, painted][int(rng.integers(2))](rng)
    w, h, corner = rng.uniform(0.6, 0.95), rng.uniform(0.45, 0.95), rng.uniform(0.02, 0.2)
    across, tint, head = rng.uniform(0.1, 0.2), pick(rng, PLATINGS), int(rng.integers(6))
    washer, vent = rng.random() < 0.35 and head != 5, rng.random() < 0.4 and columns * rows % 2 == 0
    frame, word = rng.random() < 0.4, "".join(rng.choice(list("ABCEFHKLMPRT0123456789-"), 6))

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = plate(rng, size).base
        s.height *= unit
        x, y, _, _ = polar(size)
        distance = rounded_box(x, y, w, h, corner)
        s.alpha = smooth(distance, 3 / size)
        dome(s, distance, 0.03, 3 * unit)
        if frame:  # a raised rim pressed into the sheet
            step = smooth(rounded_box(x, y, 0.55 * w, 0.5 * h, corner), 0.04)
            s.height += 3 * unit * step
            mark = lettering(
                size, word, (round(size * (0.5 - 0.14 * w)), round(size * (0.52 + 0.19 * h))), 0.38 * unit, 1
            )
            paint(s, 0.8 * mark, (0.07, 0.07, 0.07) if s.albedo.mean() > 0.3 else (0.8, 0.8, 0.8), 0.2)
        if vent:
            lanes = np.abs((y * 9) % 1 - 0.5) - 0.18
            slots = smooth(np.maximum(lanes / 9, np.abs(x) - 0.3 * w), 3 / size) * (np.abs(y) < 0.38 * h)
            s.height -= 3 * unit * cv2.GaussianBlur(slots, (0, 0), 0.8 * unit)
            paint(s, 0.93 * slots, (0.03, 0.03, 0.03), 0.05)
        n = max(10, int(across * size))
        seats = lattice(columns, rows, (0.78 * w, 0.75 * h), size, rng, 0.4)
        # The seat under each screw: what one sees when the screw is missing.
        for sx, sy in seats:
            hole(s, sx, sy, n * (1.05 if head == 5 else 0.55), n / 10, shaded(tint, 0.5) if head == 5 else (0.04,) * 3)
            if head == 5:
                hole(s, sx, sy, n * 0.45, n / 10)
        heads = [screw(rng, n, tint, head, washer) for _ in range(2)]
        parts = tuple(Part(heads[i % 2], a, b, rng.uniform(0, 360), "screw") for i, (a, b) in enumerate(seats))
        other = pick(rng, PLATINGS)
        spare = tuple(Part(screw(rng, n, other, (head + k) % 6, washer), 0, 0, 0, "screw") for k in (1, 2))
        return Product(s, parts=parts, spare=spare)

    return draw


def battery_tray(rng: Rng) -> Draw:
    """Cylindrical cells in a holder, seen from above."""
    columns, rows = int(rng.integers(2, 6)), int(rng.integers(2, 5))
    wrap = pick(rng, ((0.1, 0.3, 0.2), (0.12, 0.22, 0.42), (0.35, 0.16, 0.4), (0.6, 0.6, 0.6), (0.55, 0.12, 0.1), (0.7, 0.55, 0.15), (0.08, 0.08, 0.08)))  # fmt: skip
    tray, paper = (
        pick(rng, PLASTICS),
        pick(rng, ((0.8, 0.79, 0.75), (0.25, 0.3, 0.35), (0.55, 0.68, 0.66), (0.12, 0.12, 0.12))),
    )
    button, vents, staggered = rng.uniform(0.26, 0.42), int(rng.choice([0, 3, 4, 6])), rng.random() < 0.3

    def cell(rng: Rng, n: int, up: bool) -> Surface:
        s = blank(n, wrap, 0.4)
        _, _, r, angle = polar(n)
        s.alpha = smooth(r - 0.95, 4 / n)
        dome(s, r - 0.95, 0.07, n / 16)
        metal = blank(n, (0.68, 0.67, 0.64), 0.7)
        turned(metal, rng, 0.003 * n)
        face = smooth(r - 0.84, 4 / n)
        if up:
            paint(s, face, paper, 0.15)
            s.height -= n / 30 * face
            can = smooth(r - 0.62, 4 / n)
            paint(s, can, metal.albedo, 0.65)
            s.height += n / 30 * can + n / 14 * smooth(r - button, 0.08)
            if vents:
                holes = smooth(np.abs(r - button - 0.1) - 0.035, 4 / n) * (np.cos(vents * angle) > 0.5)
                paint(s, 0.85 * holes.astype(np.float32), (0.06, 0.06, 0.06), 0.1)
        else:
            paint(s, face, metal.albedo, 0.65)
            s.height += n / 50 * smooth(r - 0.7, 0.06) - n / 60 * smooth(r - 0.3, 0.05)
        return s

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, tray, 0.2)
        x, y = grid(size)
        pitch = min(1.84 / (columns + 0.5 * staggered), 1.84 / rows)
        w, h = pitch * (columns + 0.5 * staggered) / 2 + 0.05, pitch * rows / 2 + 0.05
        d = rounded_box(x, y, w, h, 0.06)
        s.alpha = smooth(d, 3 / size)
        mottle(s, rng, 0.03, 0.1, 0.15)
        dome(s, d, 0.03, 3 * unit)
        n = max(12, int(pitch * size / 2 * 0.95))
        cells = [cell(rng, n, True) for _ in range(2)]
        seats = [
            (size / 2 * (1 + pitch * (c + 0.5 - columns / 2 + 0.25 * staggered * (2 * (r % 2) - 1))), size / 2 * (1 + pitch * (r + 0.5 - rows / 2)))
            for r in range(rows) for c in range(columns)
        ]  # fmt: skip
        for a, b in seats:
            hole(s, a, b, n * 1.02, 6 * unit, shaded(tray, 0.35))
        parts = tuple(
            Part(cells[i % 2], a + rng.normal(0, 0.3), b + rng.normal(0, 0.3), rng.uniform(0, 360), "cell")
            for i, (a, b) in enumerate(seats)
        )
        return Product(s, parts=parts, spare=(Part(cell(rng, n, False), 0, 0, 0, "cell"),))

    return draw
