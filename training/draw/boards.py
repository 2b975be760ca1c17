"""Electronics: etched and assembled boards, solder joints, plugs and pins."""

from __future__ import annotations

import cv2
import numpy as np

from training.draw.assemblies import COPPER, GOLD, TIN, pick, shaded
from training.draw.noise import Field, Rng, fractal, grain, grid, lettering, smooth
from training.draw.shapes import dome, polar, rounded_box
from training.draw.surface import Colour, Part, Product, Surface, blank, paint
from training.draw.textures import Draw

MASKS = (
    (0.03, 0.2, 0.1), (0.05, 0.26, 0.12), (0.03, 0.14, 0.09), (0.04, 0.09, 0.24), (0.05, 0.05, 0.055), (0.3, 0.05, 0.05), (0.7, 0.7, 0.67),
    (0.19, 0.08, 0.24),
)  # fmt: skip
"""Solder mask: greens, blue, black, red, white, purple."""
INK = "ACDJLQRTU0123456789"
_STEPS = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))
Route = list[tuple[int, int]]


def _routes(plan: Rng, cells: int) -> list[Route]:
    """Conductors on a grid of `cells` x `cells`: bundles of lines with 45-degree bends, none of which cross."""
    taken = np.zeros((cells + 2, cells + 2), bool)
    taken[0] = taken[-1] = taken[:, 0] = taken[:, -1] = True
    routes: list[Route] = []
    for _ in range(2 * cells):
        heading, lines = 2 * int(plan.integers(4)), int(plan.integers(1, 6))
        moves = [0] * int(plan.integers(3, cells))
        turn = 0
        for i in range(len(moves)):
            if plan.random() < 0.14:
                turn = int(np.clip(turn + plan.choice([-1, 1]), -1, 1))
            moves[i] = (heading + turn) % 8
        side = _STEPS[(heading + 2) % 8]
        x0, y0 = (int(v) for v in plan.integers(1, cells + 1, 2))
        for k in range(lines):
            x, y = x0 + k * side[0], y0 + k * side[1]
            if not (0 < x <= cells and 0 < y <= cells) or taken[y, x]:
                break
            path = [(x, y)]
            for move in moves:
                dx, dy = _STEPS[move]
                if taken[y + dy, x + dx] or (dx and dy and (taken[y, x + dx] or taken[y + dy, x])):
                    break
                x, y = x + dx, y + dy
                path.append((x, y))
            if len(path) > 3:
                routes.append(path)
                for a, b in path:
                    taken[b, a] = True
    return routes


def tracks(plan: Rng, size: int, pitch: float, fat: float) -> tuple[Field, Field, Field]:
    """Layers (size, size) of a drawn layout: conductors, bare pads among them, drilled holes."""
    copper, pads, holes = (np.zeros((size, size), np.float32) for _ in range(3))
    cells = max(6, round(1 / pitch))
    p = size / (cells + 1)

    def dot(layer: Field, x: float, y: float, radius: float) -> None:
        cv2.circle(layer, (round(x * 16), round(y * 16)), max(8, round(16 * radius)), 1.0, -1, cv2.LINE_AA, 4)

    for route in _routes(plan, cells):
        width = max(1, round(fat * p * float(plan.choice([0.8, 1, 1, 1.25]))))
        line = (np.asarray(route) * p * 16).astype(np.int32)
        cv2.polylines(copper, [line], False, 1.0, width, cv2.LINE_AA, 4)
        style = int(plan.integers(3))
        for x, y in (route[0], route[-1]):
            bore = (0.3, 0.42, 0.48)[style] * p
            if style < 2:  # via or through-hole pad
                for layer in (copper, pads) if style else (copper,):
                    dot(layer, x * p, y * p, bore)
                dot(holes, x * p, y * p, bore * (0.5 if style else 0.45))
            else:  # pad of a mounted part
                a, b = int(x * p - bore), int(y * p - 0.8 * bore)
                for layer in (copper, pads):
                    cv2.rectangle(layer, (a, b), (int(a + 2 * bore), int(b + 1.6 * bore)), 1.0, -1, cv2.LINE_AA)
    copper = np.maximum(copper, pads) * (1 - holes)
    return copper, pads * (1 - holes), holes


def bare_board(rng: Rng) -> Draw:
    """Etched conductors on a board: under solder mask, bare copper on laminate, or a two-level scan."""
    layout, pitch, fat = rng.integers(2**31), rng.uniform(0.035, 0.085), rng.uniform(0.34, 0.6)
    style = int(rng.choice(3, p=[0.4, 0.2, 0.4]))  # mask, laminate, scan
    ground = (pick(rng, MASKS), pick(rng, ((0.6, 0.54, 0.36), (0.47, 0.42, 0.24), (0.55, 0.4, 0.25))), (0.03, 0.03, 0.03))[style]  # fmt: skip
    track = (shaded(ground, 1.6), pick(rng, (COPPER, TIN, GOLD)), (0.94, 0.94, 0.94))[style]
    finish = pick(rng, (GOLD, TIN, COPPER))
    if style == 2 and rng.random() < 0.3:
        ground, track = track, ground
    words = ["".join(rng.choice(list(INK), 3)) for _ in range(int(rng.integers(2, 9)))]
    spots = rng.uniform(0.05, 0.9, (len(words), 2))

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, ground, (0.45, 0.15, 0.0)[style])
        copper, pads, holes = tracks(np.random.default_rng(layout), size, pitch, fat)
        if style == 2:
            return Product(s, pattern=copper, pattern_colour=track, pattern_gloss=0.0)
        s.albedo *= (1 + 0.1 * (fractal(rng, size, 3, 3) - 0.5) + 0.03 * grain(rng, size, (0.8, 0.8)))[..., None]
        if style == 1:  # the glass cloth shows through
            ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
            s.albedo *= (1 + 0.06 * np.sin(xs / unit * 1.6) * np.sin(ys / unit * 1.6))[..., None]
        s.height += 0.04 * unit * grain(rng, size, (unit, unit))
        tint = np.broadcast_to(np.asarray(track, np.float32), (size, size, 3)).copy()
        tint *= (1 + 0.06 * grain(rng, size, (unit, unit)))[..., None]
        if style == 0:
            bare = cv2.dilate(pads, np.ones((3, 3)))
            tint += bare[..., None] * (np.asarray(finish, np.float32) - tint)
            ink = np.zeros((size, size), np.float32)
            for word, (a, b) in zip(words, spots, strict=True):
                ink = np.maximum(ink, lettering(size, word, (int(a * size), int(b * size)), 0.36 * unit, 1))
            ink *= 1 - cv2.dilate(np.maximum(pads, holes), np.ones((5, 5)))
            paint(s, 0.9 * ink, (0.85, 0.85, 0.82), 0.1)
            tint += 0.9 * ink[..., None] * (0.84 - tint)
        paint(s, holes, (0.02, 0.02, 0.02), 0.05)
        s.height -= 2.5 * unit * holes
        # A picture of colours where one colour is usual: pads differ from tracks. `paint` takes either.
        return Product(s, pattern=copper, pattern_colour=tint, pattern_gloss=0.45)

    return draw


def _legs(s: Surface, box: tuple[float, float], count: int, sides: int) -> None:
    """Gull-wing leads along two or four sides of a body of half size `box`, into the surface."""
    n = s.alpha.shape[0]
    x, y = grid(n)
    for u, v, (w, h) in ((x, y, box), (y, x, box[::-1]))[: sides // 2]:
        lane = np.abs((u / w * 0.5 + 0.5) * count % 1 - 0.5) * 2 * w / count
        reach = np.abs(v) - h
        lead = smooth(lane - 0.45 * w / count, 3 / n) * (np.abs(u) < w) * (np.abs(reach - 0.08) < 0.1)
        foot = np.clip((reach - 0.06) / 0.1, 0, 1)
        paint(s, lead, TIN, 0.75)
        s.albedo *= (1 - 0.35 * lead * foot * (reach < 0.1))[..., None]
        s.alpha = np.maximum(s.alpha, lead).astype(np.float32)
        s.height += lead * n / 20 * (1 - foot)


def _component(rng: Rng, kind: str, n: int) -> tuple[Surface, list[tuple[float, float, float, float]]]:
    """A mounted part seen from above, (n, n), and the pads under it: x0, y0, x1, y1 in half sizes from its centre."""
    s = blank(n, (0.08, 0.08, 0.085), 0.25, alpha=0.0)
    x, y, r, _ = polar(n)
    pads = [(-0.98, -0.62, -0.5, 0.62), (0.5, -0.62, 0.98, 0.62)]
    if kind in ("soic", "qfp"):
        w, h = (0.78, 0.78) if kind == "qfp" else (rng.uniform(0.55, 0.95), rng.uniform(0.45, 0.78))
        count = max(2, int(min(float(rng.integers(4, 12)), w * n / 5)))
        _legs(s, (0.95 * w, h), count, 4 if kind == "qfp" else 2)
        body = rounded_box(x, y, w, h, 0.02)
        mould = smooth(body, 3 / n)
        s.alpha = np.maximum(s.alpha, mould)
        paint(s, mould, pick(rng, ((0.06, 0.06, 0.065), (0.1, 0.1, 0.105))), 0.2)
        s.height += mould * n / 14
        dome(s, body, 0.06, n / 40)
        dot = smooth(np.hypot(x + 0.78 * w, y - 0.7 * h) - 0.07, 4 / n)
        s.height -= dot * n / 40
        for line in (0.46, 0.6):
            word = "".join(rng.choice(list(INK), 5))
            paint(
                s, 0.55 * lettering(n, word, (int(n * (0.5 - 0.36 * w)), int(n * line)), n / 150, 1), (0.6, 0.6, 0.58)
            )
        pads = [(-w, -h - 0.2, w, -h - 0.05), (-w, h + 0.05, w, h + 0.2)]
    elif kind in ("resistor", "capacitor", "tantalum", "diode"):
        h = {"resistor": 0.48, "capacitor": 0.5, "tantalum": 0.6, "diode": 0.4}[kind]
        body = rounded_box(x, y, 0.82, h, 0.03)
        tint = pick(rng, {"resistor": ((0.05, 0.05, 0.05),), "capacitor": ((0.5, 0.38, 0.26), (0.56, 0.46, 0.36), (0.4, 0.33, 0.27)), "tantalum": ((0.68, 0.5, 0.14), (0.1, 0.09, 0.08)), "diode": ((0.09, 0.09, 0.09), (0.5, 0.15, 0.08))}[kind])  # fmt: skip
        # Solder climbs the metal ends: a concave slope from the pad up.
        fillet = smooth(rounded_box(np.abs(x) - 0.78, y, 0.2, h + 0.06, 0.08), 5 / n)
        paint(s, fillet, (0.6, 0.6, 0.59), 0.85)
        solid = smooth(body, 3 / n)
        paint(s, solid, tint, 0.3)
        ends = solid * smooth(0.54 - np.abs(x), 4 / n)
        paint(s, ends, TIN, 0.7)
        s.alpha = np.maximum(solid, fillet)
        s.height += n / 5 * np.where(np.abs(x) < 0.8, solid, fillet * np.clip((1 - np.abs(x)) / 0.2, 0, 1) ** 2)
        if kind == "resistor" and n > 16:
            word = "".join(rng.choice(list("01234567"), 3))
            paint(s, 0.8 * lettering(n, word, (int(0.28 * n), int(0.58 * n)), n / 95, 1), (0.75, 0.75, 0.73))
        if kind in ("tantalum", "diode"):
            paint(s, 0.8 * solid * smooth(np.abs(x + 0.4) - 0.08, 4 / n), (0.7, 0.68, 0.62))
    elif kind == "can":  # electrolytic: an aluminium can on a plastic foot
        foot = smooth(rounded_box(x, y, 0.9, 0.9, 0.1), 3 / n)
        s.alpha = foot
        d = np.asarray(r - 0.82, np.float32)
        can = smooth(d, 3 / n)
        paint(s, can, (0.68, 0.68, 0.67), 0.6)
        paint(s, can * smooth(0.42 - x, 4 / n), (0.07, 0.07, 0.08), 0.2)
        s.height += n / 6 * can
        dome(s, d, 0.15, n / 18)
        word = "".join(rng.choice(list("012347"), 3))
        paint(s, 0.85 * can * lettering(n, word, (int(0.24 * n), int(0.56 * n)), n / 110, 1), (0.06, 0.06, 0.06))
        pads = [(-1.0, -0.2, -0.6, 0.2), (0.6, -0.2, 1.0, 0.2)]
    elif kind == "crystal":
        body = rounded_box(x, y, 0.92, 0.42, 0.4)
        s.alpha = smooth(body, 3 / n)
        paint(s, s.alpha, (0.66, 0.66, 0.65), 0.75)
        dome(s, body, 0.12, n / 10)
        s.height -= n / 40 * smooth(np.abs(body + 0.14) - 0.02, 0.04)
    else:  # plug: a white or black header with its pins
        body = rounded_box(x, y, 0.95, 0.5, 0.04)
        s.alpha = smooth(body, 3 / n)
        shell = pick(rng, ((0.78, 0.75, 0.66), (0.08, 0.08, 0.08), (0.84, 0.84, 0.82)))
        paint(s, s.alpha, shell, 0.3)
        s.height += n / 6 * s.alpha
        well = smooth(rounded_box(x, y - 0.06, 0.84, 0.34, 0.03), 4 / n)
        paint(s, well, shaded(shell, 0.45))
        s.height -= n / 9 * well
        pins = smooth(np.maximum(np.abs(x * 4 % 2 - 1) / 4, np.abs(y - 0.06)) - 0.06, 4 / n) * (np.abs(x) < 0.8)
        paint(s, pins, GOLD, 0.8)
        s.height += n / 10 * pins
    return s, pads


_KINDS = ("soic", "qfp", "resistor", "capacitor", "tantalum", "diode", "can", "crystal", "plug")
_SPAN = dict(zip(_KINDS, (0.24, 0.3, 0.085, 0.08, 0.12, 0.1, 0.16, 0.2, 0.26), strict=True))
"""Length of a part in fractions of the picture."""


def assembled_board(rng: Rng) -> Draw:
    """A populated board: integrated circuits, chip parts, capacitors, plugs on solder mask with silk screen."""
    layout, pitch, scale = rng.integers(2**31), rng.uniform(0.025, 0.05), rng.uniform(0.75, 1.35)
    ground, finish = pick(rng, MASKS), pick(rng, (GOLD, TIN, TIN))
    dark = sum(ground) < 1.5
    ink: Colour = (0.86, 0.86, 0.83) if dark else (0.08, 0.08, 0.08)
    track = shaded(ground, 1.55 if dark else 0.88)

    def draw(rng: Rng, size: int) -> Product:
        plan, unit = np.random.default_rng(layout), size / 224
        s = blank(size, ground, 0.45)
        s.albedo *= (1 + 0.1 * (fractal(rng, size, 3, 3) - 0.5))[..., None]
        copper, bare, holes = tracks(plan, size, pitch, 0.38)
        # Mask covers the tracks: they show as a shade and a faint relief.
        soft = cv2.GaussianBlur(copper, (0, 0), 0.5 * unit + 0.2)
        paint(s, 0.85 * soft, track)
        s.height += 0.6 * unit * soft + 0.04 * unit * grain(rng, size, (unit, unit))
        paint(s, bare, finish, 0.6)
        paint(s, holes, (0.03, 0.03, 0.03), 0.1)
        kinds = [str(k) for k in plan.permutation(_KINDS[2:])[: int(plan.integers(3, 6))]]
        kinds += [str(plan.choice(_KINDS[:2]))]
        stock = {k: _component(plan, k, max(9, round(_SPAN[k] * scale * size))) for k in kinds}
        pads, silk = np.zeros((size, size), np.float32), np.zeros((size, size), np.uint8)
        taken: list[tuple[float, float, float]] = []
        parts = []
        for i in range(int(plan.integers(30, 60))):
            kind = kinds[-1] if i < 2 else str(plan.choice(kinds[:-1]))
            x, y = plan.uniform(0.1, 0.9, 2) * size
            turn = int(plan.choice([0, 90]))
            made, feet = stock[kind]
            half = made.alpha.shape[0] / 2
            if any(np.hypot(x - a, y - b) < half + 0.97 * c for a, b, c in taken):
                continue
            taken.append((float(x), float(y), half))
            for box in feet:
                a0, b0, a1, b1 = (v * half for v in box)
                corners = (a0, b0, a1, b1) if turn == 0 else (b0, -a1, b1, -a0)
                first, last = ((round(x + corners[k]), round(y + corners[k + 1])) for k in (0, 2))
                cv2.rectangle(pads, first, last, 1.0, -1)
            cv2.putText(silk, kind[0].upper() + str(i), (round(x - half), round(y - 0.75 * half)), cv2.FONT_HERSHEY_PLAIN, 0.55 * unit, 255, 1, cv2.LINE_AA)  # fmt: skip
            if kind in _KINDS[:2] + _KINDS[6:]:
                w = half * (1.02 if kind != "crystal" or turn == 0 else 0.5)
                h = half * (1.02 if kind != "crystal" or turn else 0.5)
                cv2.rectangle(silk, (round(x - w), round(y - h)), (round(x + w), round(y + h)), 255, 1)
            shift = rng.normal(0, 0.35 * unit, 2)
            parts.append(Part(made, float(x + shift[0]), float(y + shift[1]), turn + rng.normal(0, 0.7), "component"))
        paint(s, silk.astype(np.float32) * np.float32(0.85 / 255), ink, 0.1)
        paint(s, pads, finish, 0.7)
        s.height += 0.8 * unit * pads
        spare = tuple(Part(stock[k][0], 0, 0, 0, "component") for k in kinds[:-1])
        return Product(s, tuple(parts), spare=spare)

    return draw
