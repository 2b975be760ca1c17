"""Electrical wiring: terminal blocks, cables, plugs and pins."""

from __future__ import annotations

import cv2
import numpy as np

from training.draw.assemblies import (
    COPPER,
    GOLD,
    PLASTICS,
    PLATINGS,
    STEELS,
    TIN,
    hole,
    mottle,
    pick,
    screw,
    shaded,
)
from training.draw.noise import Field, Rng, grain, grid, smooth
from training.draw.shapes import dome, lattice, polar, rounded_box
from training.draw.surface import Colour, Part, Product, Surface, blank, paint
from training.draw.textures import Draw


def terminal_block(rng: Rng) -> Draw:
    """A row of clamps: screws above wire entries in a moulded body."""
    poles, rows, body = int(rng.integers(3, 9)), int(rng.choice([1, 1, 2])), pick(rng, PLASTICS)
    tint, head, metal = pick(rng, PLATINGS), int(rng.choice([0, 1, 4])), pick(rng, STEELS)
    wired = rng.random() < 0.5
    wires = [pick(rng, _WIRES) for _ in range(poles)]

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, body, 0.3)
        x, y = grid(size)
        h = min(0.9, 1.5 / poles * rows * 1.35 + 0.1)
        d = rounded_box(x, y, 0.95, h, 0.04)
        s.alpha = smooth(d, 3 / size)
        mottle(s, rng, 0.02, 0.08, 0.12)
        dome(s, d, 0.04, 3 * unit)
        lane = np.abs(((x + 0.93) / 1.86 * poles) % 1 - 0.5) * 1.86 / poles
        s.height -= 4 * unit * smooth(0.93 / poles - 0.012 - lane, 0.02)
        pole = 1.86 / poles * size / 2
        parts = []
        n = max(10, int(0.72 * pole))
        heads = [screw(rng, n, tint, head) for _ in range(2)]
        for row in range(rows):
            centre = size / 2 * (1 + (0 if rows == 1 else (2 * row - 1) * h / 2))
            side = -1 if rows == 1 or row == 1 else 1
            for i in range(poles):
                at = size * 0.035 + pole * (i + 0.5)
                hole(s, at, centre + side * 0.42 * pole, 1.12 * n, n / 5, shaded(body, 0.3))
                box = rounded_box(x - (at / size * 2 - 1), y - ((centre - side * 0.5 * pole) / size * 2 - 1), 0.6 / poles, 0.5 / poles, 0.02)  # fmt: skip
                mouth = smooth(box, 3 / size)
                s.height -= 5 * unit * smooth(box, 0.03)
                paint(s, mouth, wires[i] if wired else shaded(metal, 0.35), 0.3)
                if wired:
                    s.height += (
                        5 * unit * mouth * np.sqrt(np.clip(1 - ((x - (at / size * 2 - 1)) * poles / 0.6) ** 2, 0, 1))
                    )
                parts.append(Part(heads[i % 2], at, centre + side * 0.42 * pole, rng.uniform(0, 360), "screw"))
        spare = (Part(screw(rng, n, pick(rng, PLATINGS), 2 + head % 2), 0, 0, 0, "screw"),)
        return Product(s, parts=tuple(parts), spare=spare)

    return draw


_WIRES = (
    (0.05, 0.05, 0.055), (0.33, 0.2, 0.14), (0.14, 0.23, 0.44), (0.5, 0.5, 0.5), (0.52, 0.12, 0.1), (0.8, 0.8, 0.77), (0.7, 0.59, 0.18),
    (0.15, 0.36, 0.2), (0.68, 0.36, 0.15),
)  # fmt: skip


def cable(rng: Rng) -> Draw:
    """Cut end of a sheathed cable with its stranded cores, or several wires side by side."""
    return _cross_section(rng) if rng.random() < 0.6 else _harness(rng)


def _strands(rng: Rng, n: int, radius: float, rings: int, tint: Colour) -> tuple[Field, Field, Field]:
    """Cut faces of close-packed wires in a circle: coverage, relief 0..1 and brightness, each (n, n)."""
    cover, relief, light = (np.zeros((n, n), np.float32) for _ in range(3))
    step = radius / (rings + 0.55)
    for q in range(-rings, rings + 1):
        for p in range(max(-rings, -q - rings), min(rings, -q + rings) + 1):
            a, b = (p + q / 2) * step + rng.normal(0, 0.07 * step), q * 0.87 * step + rng.normal(0, 0.07 * step)
            spot = (round((a + 1) * n * 8), round((b + 1) * n * 8))
            across = 0.5 * step * n / 2
            cv2.circle(cover, spot, round(16 * across), 1.0, -1, cv2.LINE_AA, 4)
            cv2.circle(relief, spot, round(13 * across), float(rng.uniform(0.7, 1)), -1, cv2.LINE_AA, 4)
            cv2.circle(light, spot, round(16 * across), float(rng.uniform(0.7, 1.15)), -1, cv2.LINE_AA, 4)
    return cover, relief, light


def _core(rng: Rng, n: int, tint: Colour, wire: Colour, rings: int, wall: float) -> Surface:
    """Cut face of an insulated stranded core."""
    core = blank(n, tint, 0.25)
    _, _, r, _ = polar(n)
    squash = (0.93 + 0.02 * np.cos(2 * polar(n)[3] + rng.uniform(0, 6))).astype(np.float32)
    core.alpha = smooth(r - squash, 4 / n)
    mottle(core, rng, 0.03, 0.12, 0.15)
    dome(core, r - squash, 0.05, n / 40)
    inner = smooth(np.asarray(r - wall, np.float32), 4 / n)
    paint(core, inner, shaded(wire, 0.18), 0.2)
    core.height -= n / 25 * inner
    cover, relief, light = _strands(rng, n, wall * 0.98, rings, wire)
    paint(core, cover, wire, 0.55)
    core.albedo *= (1 + cover * (light - 1))[..., None]
    core.height += n / 40 * cover + n / 60 * relief
    # Sawing drags the soft metal along in one direction.
    core.height += cover * grain(rng, n, (3, 0.5)) * 0.25
    return core


def _cross_section(rng: Rng) -> Draw:
    count, rings, wall = int(rng.choice([1, 2, 3, 3, 4, 5])), int(rng.integers(1, 4)), rng.uniform(0.55, 0.78)
    tints = [_WIRES[i] for i in rng.permutation(len(_WIRES))[:count]]
    jacket, filler = pick(rng, PLASTICS[:6]), pick(rng, ((0.62, 0.6, 0.55), (0.3, 0.29, 0.27), (0.1, 0.1, 0.1)))
    wire, screen = pick(rng, (COPPER, COPPER, TIN)), rng.random() < 0.35
    # Cores that touch each other and the inside of the jacket.
    inside = rng.uniform(0.72, 0.82)
    reach = inside if count == 1 else inside * np.sin(np.pi / count) / (1 + np.sin(np.pi / count))

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, jacket, 0.2)
        _, _, r, _ = polar(size)
        s.alpha = smooth(r - 0.92, 3 / size)
        mottle(s, rng, 0.03, 0.1, 0.2)
        s.height += 0.15 * unit * grain(rng, size, (6 * unit, 0.6))
        dome(s, r - 0.92, 0.04, 2 * unit)
        within = smooth(r - inside - 0.02, 3 / size)
        paint(s, within, filler, 0.1)
        s.height -= 3 * unit * smooth(r - inside - 0.02, 0.03)
        s.albedo *= (1 + 0.12 * within * grain(rng, size, (0.9, 0.9)))[..., None]
        if screen:
            braid = smooth(np.abs(r - inside - 0.03) - 0.012, 3 / size)
            paint(s, braid * np.clip(0.75 + 0.3 * grain(rng, size, (0.8, 0.8)), 0, 1), wire, 0.6)
        n = int(reach * size * 1.04)
        cores = [_core(rng, n, tint, wire, rings, wall) for tint in tints]
        start, out = rng.normal(-np.pi / 2, 0.05), inside - reach
        parts = [
            Part(core, size / 2 * (1 + out * np.cos(a)), size / 2 * (1 + out * np.sin(a)), rng.normal(0, 8), "core")
            for core, a in zip(cores, start + 2 * np.pi * np.arange(count) / count, strict=True)
        ]
        other = _core(rng, n, pick(rng, _WIRES), wire, rings, wall)
        return Product(s, parts=tuple(parts), spare=(Part(other, 0, 0, 0, "core"),))

    return draw


def _wire(rng: Rng, n: int, half: float, tint: Colour, gloss: float) -> Surface:
    """A straight wire along x, (n, n), of half width `half` of half the size."""
    s = blank(n, tint, gloss)
    _, y = grid(n)
    bow = half * rng.normal(0, 0.06) * np.cos(grid(n)[0] * 2 + rng.uniform(0, 6))
    across = ((y + bow) / half).astype(np.float32)
    s.alpha = smooth((np.abs(across) - 1) * half, 3 / n)
    s.height = (half * n / 2 * np.sqrt(np.clip(1 - across**2, 0, 1))).astype(np.float32)
    s.albedo *= (1 + 0.04 * grain(rng, n, (5, 0.6)))[..., None]
    return s


def _harness(rng: Rng) -> Draw:
    """Wires laid side by side, as in a ribbon or in front of a plug."""
    count, gloss = int(rng.integers(4, 11)), rng.uniform(0.15, 0.45)
    even = rng.random() < 0.3
    tints = [pick(rng, _WIRES) for _ in range(count)]
    tints = [tints[0]] * (count - 1) + [(0.55, 0.1, 0.08)] if even else tints
    clamp, h = pick(rng, PLASTICS), rng.uniform(0.5, 0.85)

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, clamp, 0.3)
        x, y = grid(size)
        d = np.minimum(rounded_box(np.abs(x) - 0.82, y, 0.13, h + 0.06, 0.03), rounded_box(x, y, 0.9, h - 0.02, 0.02))
        s.alpha = smooth(d, 3 / size)
        mottle(s, rng, 0.02, 0.08, 0.1)
        ends = smooth(rounded_box(np.abs(x) - 0.82, y, 0.13, h + 0.06, 0.03), 0.03)
        s.height += 6 * unit * ends
        s.albedo *= (0.35 + 0.65 * ends)[..., None]
        half = h / count
        wires = [_wire(rng, round(0.8 * size), half / 0.8, tint, gloss) for tint in tints]
        rows = size / 2 * (1 + half * (2 * np.arange(count) + 1 - count))
        parts = tuple(
            Part(w, size / 2, float(a) + rng.normal(0, 0.3), 0, "wire") for w, a in zip(wires, rows, strict=True)
        )
        other = _wire(rng, round(0.8 * size), half / 0.8, pick(rng, _WIRES), gloss)
        return Product(s, parts=parts, spare=(Part(other, 0, 0, 0, "wire"),))

    return draw


def _post(rng: Rng, n: int, metal: Colour, fat: float) -> Surface:
    """A square contact pin seen from its tip: chamfered to a small flat."""
    s = blank(n, metal, 0.8)
    x, y = grid(n)
    d = rounded_box(x, y, fat, fat, 0.15 * fat)
    s.alpha = smooth(d, 4 / n)
    dome(s, d, 0.6 * fat, 0.35 * n * fat)
    s.albedo *= (1 + 0.06 * grain(rng, n))[..., None]
    return s


def _socket(rng: Rng, n: int, metal: Colour) -> Surface:
    """A socket contact: two springs that face each other in a dark square hole."""
    s = blank(n, (0.03, 0.03, 0.03), 0.1)
    x, y = grid(n)
    s.alpha = smooth(rounded_box(x, y, 0.62, 0.62, 0.06), 4 / n)
    s.height -= n / 5 * s.alpha
    blades = smooth(rounded_box(np.abs(x) - 0.33, y, 0.17, 0.5, 0.08), 4 / n)
    paint(s, blades, metal, 0.7)
    s.height += n / 6 * blades * np.clip(np.abs(x) * 1.8, 0, 1)
    return s


def connector(rng: Rng) -> Draw:
    """A plug or socket seen from its mating face: shrouded pins, springs in holes, or a round plug."""
    style = int(rng.choice(3, p=[0.45, 0.3, 0.25]))
    columns, rows = int(rng.integers(3, 12)), int(rng.integers(1, 4))
    shell, metal = pick(rng, PLASTICS), pick(rng, (GOLD, TIN, GOLD))
    h = min(0.85, 0.14 + 0.8 * rows / columns + 0.1)
    ringed = [int(n) for n in ((1, 5), (1, 6), (0, 4), (3, 9), (1, 7))[int(rng.integers(5))]]
    notch, ears, fat = rng.random() < 0.6, rng.random() < 0.4, rng.uniform(0.4, 0.7)

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, shell, 0.3)
        x, y, r, _ = polar(size)
        if style == 2:
            d, inner = np.asarray(r - 0.86, np.float32), np.asarray(r - 0.72, np.float32)
        else:
            d, inner = rounded_box(x, y, 0.88, h, 0.05), rounded_box(x, y, 0.82, h - 0.07, 0.03)
            if ears:
                d = np.minimum(d, rounded_box(x, y, 0.97, 0.6 * h, 0.04))
        if notch:
            key = rounded_box(x, y - (0.75 if style == 2 else h - 0.03), 0.09, 0.07, 0.01)
            inner = np.minimum(inner, key)
        s.alpha = smooth(d, 3 / size)
        mottle(s, rng, 0.02, 0.08, 0.12)
        dome(s, d, 0.03, 3 * unit)
        if style != 1:
            well = smooth(inner, 3 / size)
            paint(s, well, shaded(shell, 0.55), 0.15)
            s.height -= 8 * unit * smooth(inner, 0.03)
            s.albedo *= (1 - 0.35 * well * np.clip(1 + inner / 0.12, 0, 1))[..., None]
        else:
            s.height -= 1.5 * unit * smooth(np.abs(inner) - 0.008, 3 / size)
        if style == 2:
            seats = [(size / 2 * (1 + q * np.cos(a)), size / 2 * (1 + q * np.sin(a))) for q, k in zip((0.16 if ringed[0] > 1 else 0, 0.46), ringed, strict=True) for a in 2 * np.pi * np.arange(k) / max(k, 1)]  # fmt: skip
            n = int(max(8, 0.11 * size))
        else:
            span = (0.82 - 0.8 / columns, h - 0.09 - 0.75 * (h - 0.09) / rows if rows > 1 else 0)
            seats = lattice(columns, rows, span, size, rng, 0.15)
            n = max(7, int(0.72 * size * min(0.82 / columns, (h - 0.07) / rows)))
        pins = [_socket(rng, n, metal) if style == 1 else _post(rng, n, metal, fat) for _ in range(2)]
        for a, b in seats:  # the bore that a missing contact leaves
            hole(s, a, b, 0.6 * n, 3 * unit, shaded(shell, 0.15))
        return Product(s, parts=tuple(Part(pins[i % 2], a, b, 0, "pin") for i, (a, b) in enumerate(seats)))

    return draw


def pin_header(rng: Rng) -> Draw:
    """A strip of long pins through a plastic bar, seen from the side."""
    count, metal, bar = int(rng.integers(4, 11)), pick(rng, (GOLD, TIN, GOLD)), pick(rng, PLASTICS)
    long, place, thick = rng.uniform(0.7, 0.95), rng.uniform(0.1, 0.4), rng.uniform(0.1, 0.2)
    fat = rng.uniform(0.26, 0.36)

    def pin(rng: Rng, n: int, half: float) -> Surface:
        s = blank(n, metal, 0.75)
        x, y = grid(n)
        taper = half * np.clip((0.985 - np.abs(x)) / 0.05, 0.4, 1)
        d = np.maximum(np.abs(y) - taper, np.abs(x) - 0.97).astype(np.float32)
        s.alpha = smooth(d, 3 / n)
        dome(s, d, 0.6 * half, 0.3 * half * n)
        s.albedo *= (1 + 0.05 * grain(rng, n, (8, 0.5)))[..., None]
        return s

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        step = 1.8 / count
        n = round(long * size)
        half = fat * step / 2 / long
        pins = [pin(rng, n, half) for _ in range(2)]
        s = blank(size, bar, 0.3)
        x, y = grid(size)
        d = rounded_box(x, y - place, 0.93, thick, 0.02)
        # A nick between the places, where strips are broken to length.
        lane = np.abs((x / step + count / 2) % 1 - 0.5) * step
        d = np.maximum(d, 0.02 - np.hypot(step / 2 - lane, np.abs(y - place) - thick)).astype(np.float32)
        s.alpha = smooth(d, 3 / size)
        mottle(s, rng, 0.02, 0.06, 0.12)
        dome(s, d, 0.04, 4 * unit)
        s.height += 8 * unit * smooth(step / 2 - 0.02 - lane, 0.03) * -0.3
        seats = size / 2 * (1 + step * (np.arange(count) + 0.5 - count / 2))
        parts = tuple(Part(pins[i % 2], float(a) + rng.normal(0, 0.2), size / 2, 90 + rng.normal(0, 0.3), "pin") for i, a in enumerate(seats))  # fmt: skip
        over = s.copy()
        over.height += 4 * unit
        return Product(s, parts=(*parts, Part(over, size / 2, size / 2, 0, "frame")))

    return draw
