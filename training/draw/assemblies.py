"""Families made of parts: boards, trays, housings, counted goods."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from training.draw.noise import Field, Rng, fractal, grain, grid, lettering, smooth
from training.draw.shapes import dome, lattice, polar, polygon, ring_of_parts, rounded_box
from training.draw.surface import Part, Product, Surface, blank, paint
from training.draw.textures import Draw, brushed_metal, colour, painted


def bearing(rng: Rng) -> Draw:
    balls, base = int(rng.integers(7, 14)), colour(rng, 0.5, 0.8, 0.08)

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, base, 0.7)
        _, _, r, _ = polar(size)
        s.alpha = smooth(np.maximum(r - 0.86, 0.28 - r).astype(np.float32), 3 / size)
        paint(s, smooth(np.abs(r - 0.57) - 0.13, 0.02), (0.12, 0.12, 0.12))
        s.height += 4 * smooth(np.abs(r - 0.57) - 0.13, 0.06) * -1
        s.height += 0.4 * np.sin(r * 200).astype(np.float32)
        return Product(
            s,
            parts=ring_of_parts(
                balls, 0.57, _ball(size, 0.23 * size, (0.8, 0.8, 0.82)), size, rng.uniform(0, 6), "ball"
            ),
        )

    return draw


def _ball(size: int, across: float, tint: tuple[float, float, float], gloss: float = 0.9) -> Surface:
    n = max(12, int(across))
    s = blank(n, tint, gloss)
    _, _, r, _ = polar(n)
    s.alpha = smooth(r - 0.92, 4 / n)
    s.height = (n / 3 * np.sqrt(np.clip(1 - r * r, 0, 1))).astype(np.float32)
    s.albedo *= (1.05 - 0.5 * r**2)[..., None]
    return s


def screwed_plate(rng: Rng) -> Draw:
    """A panel or housing held by screws in a regular layout."""
    columns, rows = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    if columns * rows == 1:
        columns = 2
    plate = [brushed_metal, painted][int(rng.integers(2))](rng)
    w, h, corner = rng.uniform(0.6, 0.95), rng.uniform(0.45, 0.95), rng.uniform(0.02, 0.25)
    across, tint, head = rng.uniform(0.1, 0.24), colour(rng, 0.4, 0.85, 0.3), int(rng.integers(6))
    vent, random_turn = rng.random() < 0.5, rng.random() < 0.7

    def draw(rng: Rng, size: int) -> Product:
        s = plate(rng, size).base
        x, y, _, _ = polar(size)
        distance = rounded_box(x, y, w, h, corner)
        s.alpha = smooth(distance, 3 / size)
        dome(s, distance, 0.06, 4)
        if vent:
            slots = smooth(np.maximum(np.abs(x) - 0.35 * w, 0.3 - 0.5 * np.cos(y * 40)), 0.2) * smooth(
                np.abs(y) - 0.35 * h, 0.05
            )
            paint(s, 0.7 * slots, (0.08, 0.08, 0.08))
        n = max(12, int(across * size))
        seats = lattice(columns, rows, (0.78 * w, 0.75 * h), size, rng, 0.4)
        # The seat under each screw: what one sees when the screw is missing.
        for sx, sy in seats:
            hole = smooth(
                (np.hypot(x - (sx / size * 2 - 1), y - (sy / size * 2 - 1)) - across * 0.5).astype(np.float32), 0.03
            )
            paint(s, 0.9 * hole, (0.06, 0.06, 0.06), 0.05)
        screw = _screw(rng, n, tint, head)
        parts = tuple(Part(screw, a, b, rng.uniform(0, 360) if random_turn else 0.0, "screw") for a, b in seats)
        spare = (Part(_screw(rng, n, colour(rng, 0.1, 0.4, 0.6), (head + 1) % 6), 0, 0, 0, "screw"),)
        return Product(s, parts=parts, spare=spare)

    return draw


def _screw(rng: Rng, n: int, tint: tuple[float, float, float], head: int) -> Surface:
    s = blank(n, tint, 0.7)
    x, y, r, angle = polar(n)
    distance = r - 0.9 if head < 3 else polygon(r, angle, 6, 0.8)
    s.alpha = smooth(distance.astype(np.float32), 4 / n)
    dome(s, distance.astype(np.float32), 0.5, n / 8)
    slot: Field = np.abs(y) - 0.13
    if head % 3 == 0:
        slot = np.minimum(np.maximum(slot, np.abs(x) - 0.55), np.maximum(np.abs(x) - 0.13, np.abs(y) - 0.55))
    elif head % 3 == 1:
        slot = np.maximum(slot, np.abs(x) - 0.8)
    else:
        slot = polygon(r, angle, 6, 0.4)
    cover = smooth(slot.astype(np.float32), 0.08)
    paint(s, 0.8 * cover, (0.05, 0.05, 0.05))
    s.height -= cover * n / 10
    return s


def _tracks(plan: Rng, size: int, pitch: float, fat: float) -> Field:
    """Conductor coverage of a drawn layout: parallel runs with 45-degree bends, pads and planes."""
    pattern = np.zeros((size, size), np.float32)
    p = max(4.0, pitch * size)
    width = max(1, round(fat * p))
    upright = plan.random() < 0.5
    lane = 0.5 * p
    while lane < size:
        y = lane
        points = [(0.0, y)]
        x = 0.0
        while x < size:
            run = plan.uniform(0.15, 0.6) * size
            points.append((x + run, y))
            x += run
            if plan.random() < 0.45:
                step = float(plan.choice([-1, 1])) * p * int(plan.integers(1, 3))
                points.append((x + abs(step), y + step))
                x, y = x + abs(step), y + step
            if plan.random() < 0.2:
                break
        if plan.random() < 0.8:
            line = (np.asarray(points) * 8).astype(np.int32)
            cv2.polylines(pattern, [line if not upright else line[:, ::-1].copy()], False, 1.0, width, cv2.LINE_AA, 3)
            for a, b in (points[0], points[-1]):
                spot = (int(b), int(a)) if upright else (int(a), int(b))
                cv2.circle(pattern, spot, max(2, round(0.42 * p)), 1.0, -1, cv2.LINE_AA)
        lane += p * float(plan.choice([1, 1, 2]))
    for _ in range(int(plan.integers(0, 4))):
        a, b = plan.random(2) * size
        cv2.circle(pattern, (int(a), int(b)), round(plan.uniform(0.5, 1.3) * p), 1.0, -1, cv2.LINE_AA)
        cv2.circle(pattern, (int(a), int(b)), max(1, round(0.25 * p)), 0.0, -1, cv2.LINE_AA)
    return pattern


def bare_board(rng: Rng) -> Draw:
    """Etched conductors on a board: colour photo or high-contrast scan."""
    layout, pitch, fat = rng.integers(2**31), rng.uniform(0.05, 0.12), rng.uniform(0.3, 0.65)
    scan = rng.random() < 0.45
    ground = (
        (0.03, 0.03, 0.03)
        if scan
        else [(0.05, 0.3, 0.12), (0.05, 0.12, 0.35), (0.35, 0.05, 0.05), (0.75, 0.68, 0.5)][int(rng.integers(4))]
    )
    copper = (
        (0.95, 0.95, 0.95) if scan else [(0.1, 0.5, 0.22), (0.8, 0.55, 0.3), (0.75, 0.75, 0.72)][int(rng.integers(3))]
    )
    if scan and rng.random() < 0.3:
        ground, copper = copper, ground

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, ground, 0.3)
        s.albedo *= (1 + 0.08 * (fractal(rng, size, 30, 3) - 0.5))[..., None]
        pattern = _tracks(np.random.default_rng(layout), size, pitch, fat)
        return Product(s, pattern=pattern, pattern_colour=copper, pattern_gloss=0.4)

    return draw


def _chip(rng: Rng, w: int, h: int, style: int) -> Surface:
    n = max(w, h) + 6
    s = blank(n, (0.1, 0.1, 0.11), 0.3, alpha=0.0)
    x, y = grid(n)
    bw, bh = w / n * (0.72 if style == 0 else 1), h / n
    body = smooth(rounded_box(x, y, bw, bh, 0.03), 4 / n)
    s.alpha = body.copy()
    if style == 0:  # Integrated circuit: legs left and right.
        legs = smooth(np.maximum(np.abs(y) - bh * 0.92, np.abs(x) - w / n), 2 / n) * (np.cos(y * 9 * np.pi) > 0)
        paint(s, legs.astype(np.float32), (0.75, 0.75, 0.75), 0.6)
        s.alpha = np.maximum(s.alpha, legs).astype(np.float32)
        paint(s, body, (0.08, 0.08, 0.09), 0.2)
        paint(s, smooth(np.hypot(x + bw * 0.6, y + bh * 0.7) - 0.07, 4 / n), (0.4, 0.4, 0.4))
        paint(s, lettering(n, "".join(rng.choice(list("AKLTX4795"), 3)), (n // 3, n // 2), n / 110, 1), (0.6, 0.6, 0.6))
    else:  # Chip resistor or capacitor: metal ends.
        tint = (0.05, 0.05, 0.05) if style == 1 else (0.6, 0.45, 0.28)
        paint(s, body, tint, 0.3)
        ends = body * smooth(bw * 0.65 - np.abs(x), 4 / n)
        paint(s, ends, (0.78, 0.78, 0.76), 0.7)
    s.height += 3 * body
    return s


def assembled_board(rng: Rng) -> Draw:
    layout, pitch = rng.integers(2**31), rng.uniform(0.05, 0.09)
    ground = [(0.04, 0.28, 0.1), (0.04, 0.1, 0.32), (0.08, 0.08, 0.09), (0.4, 0.06, 0.06)][int(rng.integers(4))]
    track = tuple(float(min(1, c * 1.5 + 0.08)) for c in ground)

    def draw(rng: Rng, size: int) -> Product:
        plan = np.random.default_rng(layout)
        s = blank(size, ground, 0.35)
        s.albedo *= (1 + 0.06 * (fractal(rng, size, 30, 3) - 0.5))[..., None]
        pattern = _tracks(plan, size, pitch, 0.35)
        parts: list[Part] = []
        kinds = []
        for style in (0, 1, 2):
            w = int(plan.uniform(0.2, 0.34) * size) if style == 0 else int(plan.uniform(0.08, 0.14) * size)
            kinds.append(_chip(plan, w, int(w * plan.uniform(0.45, 0.9)), style))
        taken: list[tuple[float, float, float]] = []
        for _ in range(int(plan.integers(8, 22))):
            style = int(plan.choice([0, 1, 2], p=[0.25, 0.4, 0.35]))
            x, y = plan.uniform(0.1, 0.9, 2) * size
            reach = kinds[style].alpha.shape[0] / 2
            if any(np.hypot(x - a, y - b) < reach + c for a, b, c in taken):
                continue
            taken.append((float(x), float(y), reach))
            parts.append(
                Part(
                    kinds[style],
                    float(x) + rng.normal(0, 0.4),
                    float(y) + rng.normal(0, 0.4),
                    float(plan.choice([0, 90])),
                    "component",
                )
            )
        swap = tuple(Part(kinds[k], 0, 0, 0, "component") for k in (1, 2))
        return Product(s, tuple(parts), pattern, track, 0.35, swap)  # type: ignore[arg-type]

    return draw


def connector(rng: Rng) -> Draw:
    columns, rows = int(rng.integers(4, 13)), int(rng.integers(1, 4))
    shell, pin = colour(rng, 0.03, 0.85, 0.5), (0.85, 0.7, 0.35) if rng.random() < 0.5 else (0.78, 0.78, 0.78)
    h = 0.18 + 0.14 * rows

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, shell, 0.3)
        x, y, _, _ = polar(size)
        distance = rounded_box(x, y, 0.9, h, 0.08)
        s.alpha = smooth(distance, 3 / size)
        dome(s, distance, 0.05, 4)
        inner = rounded_box(x, y, 0.82, h - 0.08, 0.04)
        paint(s, smooth(inner, 0.02), tuple(c * 0.5 for c in shell))  # type: ignore[arg-type]
        s.height -= 4 * smooth(inner, 0.03)
        n = max(8, int(0.55 * 0.82 * size / columns))
        p = blank(n, pin, 0.8)
        u, v = grid(n)
        p.alpha = smooth(rounded_box(u, v, 0.6, 0.6, 0.2), 4 / n)
        p.height += 3 * p.alpha
        seats = lattice(columns, rows, (0.7, h - 0.2 if rows > 1 else 0), size, rng, 0.25)
        return Product(s, parts=tuple(Part(p, a, b, 0, "pin") for a, b in seats))

    return draw


def tablets(rng: Rng) -> Draw:
    """Blister pack or tray: pockets in rows, a capsule or tablet in each."""
    columns, rows, oval = int(rng.integers(2, 6)), int(rng.integers(2, 5)), rng.uniform(0.5, 1.0)
    foil, pill, second = colour(rng, 0.55, 0.85, 0.08), colour(rng, 0.4, 0.97, 0.9), colour(rng, 0.4, 0.97, 0.9)
    capsule, turn = rng.random() < 0.4, float(rng.choice([0, 45, 90]))

    def make(tint: tuple[float, float, float], n: int) -> Surface:
        s = blank(n, tint, 0.4)
        x, y = grid(n)
        d = rounded_box(x, y, 0.9, 0.9 * oval, 0.9 * oval)
        s.alpha = smooth(d, 4 / n)
        if capsule:
            paint(s, (x > 0).astype(np.float32), second)
        elif oval > 0.85:
            paint(s, 0.35 * smooth(np.abs(x) - 0.03, 0.05), tuple(c * 0.5 for c in tint))  # type: ignore[arg-type]
        dome(s, d, 0.5, n / 5)
        return s

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, foil, 0.6)
        x, y, _, _ = polar(size)
        distance = rounded_box(x, y, 0.95, 0.9, 0.1)
        s.alpha = smooth(distance, 3 / size)
        s.height += 0.5 * grain(rng, size, (3, 3))
        cell = min(1.8 / columns, 1.7 / rows)
        seats = lattice(columns, rows, (0.95 - 0.95 / columns, 0.9 - 0.9 / rows), size, rng, 0.2)
        for a, b in seats:
            d = np.hypot(x - (a / size * 2 - 1), y - (b / size * 2 - 1)) - 0.46 * cell
            ring = smooth(d.astype(np.float32), 0.03)
            paint(s, 0.35 * ring, tuple(c * 0.7 for c in foil))  # type: ignore[arg-type]
            s.height += 6 * smooth(d.astype(np.float32), 0.1)
        n = max(14, int(cell * size / 2 * 0.8))
        parts = tuple(Part(make(pill, n), a, b, turn + rng.normal(0, 6 if capsule else 2), "tablet") for a, b in seats)
        return Product(s, parts=parts, spare=(Part(make(colour(rng, 0.3, 0.9, 0.9), n), 0, 0, turn, "tablet"),))

    return draw


def cable(rng: Rng) -> Draw:
    """Cross-section of a cable: coloured cores with strands inside a jacket."""
    count = int(rng.integers(2, 5))
    tints = [colour(rng, 0.2, 0.8, 0.95) for _ in range(count)]
    jacket, strands = colour(rng, 0.05, 0.7, 0.3), int(rng.integers(7, 30))

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, jacket, 0.2)
        _x, _y, r, _ = polar(size)
        s.alpha = smooth(r - 0.85, 3 / size)
        paint(s, smooth(r - 0.7, 0.02), (0.75, 0.75, 0.72))
        n = int(size * 0.62 / (1.2 if count == 2 else 1.4))
        parts = []
        start = rng.normal(0, 0.1)
        for i, tint in enumerate(tints):
            core = blank(n, tint, 0.3)
            u, v = grid(n)
            rho = np.hypot(u, v)
            core.alpha = smooth((rho - 0.78).astype(np.float32), 4 / n)
            paint(core, smooth((rho - 0.55).astype(np.float32), 4 / n), (0.15, 0.08, 0.05))
            for k in range(strands):
                q, a = 0.47 * np.sqrt((k + 0.5) / strands), 2.4 * k + rng.normal(0, 0.05)
                spot = smooth(
                    (np.hypot(u - q * np.cos(a), v - q * np.sin(a)) - 0.5 / np.sqrt(strands)).astype(np.float32), 4 / n
                )
                paint(core, 0.9 * spot, (0.85, 0.5, 0.3), 0.8)
            a = start + 2 * np.pi * i / count
            parts.append(Part(core, size / 2 * (1 + 0.36 * np.cos(a)), size / 2 * (1 + 0.36 * np.sin(a)), 0, "core"))
        return Product(s, parts=tuple(parts), spare=(replace(parts[0], surface=parts[-1].surface),))

    return draw


def bristles(rng: Rng) -> Draw:
    columns, rows, tints = (
        int(rng.integers(4, 8)),
        int(rng.integers(6, 11)),
        [colour(rng, 0.3, 0.95, 0.95) for _ in range(3)],
    )
    handle = colour(rng, 0.2, 0.95, 0.7)

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, handle, 0.4)
        x, y, _, _ = polar(size)
        w = 0.14 * columns * 0.8
        d = rounded_box(x, y, min(w, 0.92), 0.92, 0.3)
        s.alpha = smooth(d, 3 / size)
        n = max(10, int(size * 0.92 / rows))
        parts = []
        for i, (a, b) in enumerate(lattice(columns, rows, (min(w, 0.92) - 0.16, 0.76), size, rng, 0.6)):
            tuft = blank(n, tints[(i // columns + i) % 3], 0.1)
            u, v = grid(n)
            tuft.alpha = smooth((np.hypot(u, v) - 0.85).astype(np.float32), 4 / n)
            tuft.albedo *= np.clip(0.75 + 0.35 * grain(rng, n, (0.6, 0.6)), 0.2, 1.2)[..., None]
            parts.append(Part(tuft, a, b, rng.uniform(0, 360), "tuft"))
        return Product(s, parts=tuple(parts))

    return draw


def battery_tray(rng: Rng) -> Draw:
    columns, rows, tint, top = (
        int(rng.integers(2, 5)),
        int(rng.integers(2, 5)),
        colour(rng, 0.05, 0.8, 0.8),
        (0.8, 0.78, 0.72),
    )
    tray = colour(rng, 0.05, 0.5, 0.2)

    def draw(rng: Rng, size: int) -> Product:
        s = blank(size, tray, 0.2)
        x, y, _, _ = polar(size)
        s.alpha = smooth(rounded_box(x, y, 0.95, 0.95, 0.05), 3 / size)
        s.height += 0.6 * fractal(rng, size, 30, 3)
        n = int(size * 0.86 / max(columns, rows))
        cell = blank(n, tint, 0.5)
        _, _, r, _ = polar(n)
        cell.alpha = smooth(r - 0.92, 4 / n)
        paint(cell, smooth(r - 0.75, 4 / n), top, 0.8)
        paint(cell, smooth(np.abs(r - 0.5) - 0.04, 4 / n), (0.25, 0.25, 0.25))
        cell.height += 5 * smooth(r - 0.35, 0.1) + 4 * cell.alpha
        other = cell.copy()
        paint(other, smooth(r - 0.7, 4 / n), (0.3, 0.3, 0.32), 0.4)
        seats = lattice(columns, rows, (0.92 - 0.92 / columns, 0.92 - 0.92 / rows), size, rng, 0.4)
        return Product(
            s, parts=tuple(Part(cell, a, b, 0, "cell") for a, b in seats), spare=(Part(other, 0, 0, 0, "cell"),)
        )

    return draw
