"""Families that fill the picture: yarns, fibres and wires, woven, knitted, tufted or sewn."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.draw.noise import Field, Rng, cells, fractal, grain, grid, smooth, value_noise, warp
from training.draw.surface import Colour, Product, blank, paint
from training.draw.textures import METALS, Draw, leather, shade, vary

_YARNS: tuple[Colour, ...] = (
    (0.82, 0.8, 0.75), (0.72, 0.65, 0.54), (0.5, 0.49, 0.47), (0.27, 0.27, 0.28), (0.09, 0.09, 0.1), (0.13, 0.15, 0.2),
    (0.36, 0.28, 0.22), (0.36, 0.18, 0.17), (0.3, 0.34, 0.24), (0.4, 0.45, 0.5), (0.56, 0.49, 0.32),
)  # fmt: skip
"""Raw white, linen, greys, black, navy, brown, wine, olive, dusty blue, ochre."""

_WEAVES: dict[str, tuple[str, ...]] = {
    "plain": ("10", "01"),
    "twill": ("1100", "0110", "0011", "1001"),
    "drill": ("110", "011", "101"),
    "basket": ("1100", "1100", "0011", "0011"),
    "satin": ("11110", "11011", "01111", "11101", "10111"),
}
"""1 where the lengthwise yarn lies on top."""


def interlace(
    rng: Rng, size: int, pitch: float, weave: str, width: float, rise: float, wobble: float
) -> tuple[NDArray[np.bool_], Field, Field, Field, NDArray[np.intp]]:
    """Two sets of yarns over and under each other.

    Args:
        rng: source of randomness.
        size: side in pixels.
        pitch: from yarn to yarn, in pixels.
        weave: a key of the weaves.
        width: of a yarn, as a share of the pitch.
        rise: how far yarns go up and down, in units of their thickness.
        wobble: how far yarns stray, as a share of the pitch.

    Returns:
        Whether the lengthwise yarn is on top; height 0..about 1, or below 0 in the gaps; position across the yarn
        (-1..1 from edge to edge) and along it (in pitches); and the number of the yarn. All (size, size).
    """
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32) / np.float32(pitch)
    start = rng.uniform(0, 8, 2)
    xs = xs + (value_noise(rng, size, (3, 6)) - 0.5) * wobble + np.float32(start[0])
    ys = ys + (value_noise(rng, size, (6, 3)) - 0.5) * wobble + np.float32(start[1])
    top = np.asarray([[2.0 * int(c) - 1 for c in line] for line in _WEAVES[weave]], np.float32)
    n = len(top)
    column, row = np.floor(xs).astype(np.intp), np.floor(ys).astype(np.intp)
    u, v = xs - column - 0.5, ys - row - 0.5

    def eased(t: Field) -> Field:  # a yarn lies flat on a float and dives between two
        return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.abs(t)), np.float32)

    here = top[row % n, column % n]
    up = here + (top[(row + np.sign(v).astype(np.intp)) % n, column % n] - here) * eased(v)
    side = here + (top[row % n, (column + np.sign(u).astype(np.intp)) % n] - here) * eased(u)
    a, b = u / (0.5 * width), v / (0.5 * width)
    lengthwise = np.where(np.abs(a) < 1, np.sqrt(np.clip(1 - a * a, 0, 1)) + rise * up, -2)
    crosswise = np.where(np.abs(b) < 1, np.sqrt(np.clip(1 - b * b, 0, 1)) - rise * side, -2)
    over = lengthwise >= crosswise
    height = np.maximum(lengthwise, crosswise).astype(np.float32)
    across, along = np.where(over, a, b).astype(np.float32), np.where(over, ys, xs).astype(np.float32)
    return over, height, across, along, np.where(over, column, row + 97)


def weave(rng: Rng) -> Draw:
    """Woven cloth from gauze to canvas and denim."""
    pattern = str(rng.choice(["plain", "plain", "twill", "drill", "basket", "satin"]))
    warp_colour = shade(rng, _YARNS)
    weft_colour = warp_colour if rng.random() < 0.55 else shade(rng, _YARNS)
    pitch, width = (
        float(np.exp(rng.uniform(np.log(4), np.log(15)))),
        float(rng.choice([1.0, 0.97, 0.6], p=[0.5, 0.3, 0.2])),
    )
    uneven, twist, slope = rng.uniform(0.04, 0.2), rng.uniform(0.0, 0.5), rng.uniform(0.5, 2)
    gloss, stripe = float(rng.choice([0.03, 0.03, 0.35])), int(rng.choice([0, 0, 0, 6, 10]))
    backing = shade(rng, ((0.05, 0.05, 0.05), (0.85, 0.85, 0.83)))

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        over, height, across, along, yarn = interlace(rng, size, pitch * unit, pattern, width, 0.55, 0.35)
        s = blank(size, backing if width < 0.9 else (0.04, 0.04, 0.04), gloss)
        if stripe:
            over = over ^ ((yarn % (2 * stripe)) < stripe // 2)
        yarns = np.where(over[..., None], np.asarray(warp_colour), np.asarray(weft_colour))
        # Yarns differ in shade and thickness, and thicken here and there along their length.
        tone = 1 + uneven * rng.standard_normal(211, dtype=np.float32)[yarn % 211]
        body = smooth(-height - 0.2, 0.6)
        ply = np.sin((along * 3 + across * slope) * 2 * np.pi).astype(np.float32)
        shaded = (tone * (0.72 + 0.28 * np.clip(height, 0, 1)) + 0.12 * twist * ply)[..., None]
        paint(s, body, np.clip(yarns * shaded, 0, 1).astype(np.float32))
        s.height += 0.16 * pitch * np.clip(height, -0.8, 2) + 0.12 * twist * ply
        fuzz = grain(rng, size, (0.6 * unit, 0.6 * unit))
        vary(s, 0.16, 0.5 + 0.4 * fuzz)
        vary(s, 0.12, fractal(rng, size, 2, 4))
        s.height += 0.1 * fuzz
        return Product(s)

    return draw


def knit(rng: Rng) -> Draw:
    """Jersey, ribbed or purl side of a knitted fabric."""
    base, style = shade(rng, _YARNS), str(rng.choice(["jersey", "jersey", "rib", "purl"]))
    other = shade(rng, _YARNS) if style != "purl" and rng.random() < 0.35 else base
    pitch, squat, band = (
        float(np.exp(rng.uniform(np.log(7), np.log(22)))),
        rng.uniform(0.65, 0.95),
        int(rng.integers(2, 7)),
    )
    heather, fuzz = rng.uniform(0.02, 0.2), rng.uniform(0.08, 0.25)

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        ys, xs = np.mgrid[0:size, 0:size].astype(np.float32) / np.float32(pitch * unit)
        xs = xs + (value_noise(rng, size, (4, 4)) - 0.5) * 0.5 + np.float32(rng.uniform(0, 9))
        ys = ys / np.float32(squat) + (value_noise(rng, size, (4, 4)) - 0.5) * 0.5 + np.float32(rng.uniform(0, 9))
        column = np.floor(xs)
        u = xs - column - 0.5
        if style == "purl":  # rows of interlocking bows
            wave = ys + 0.24 * np.cos(2 * np.pi * xs) * np.where(np.floor(2 * ys) % 2 == 0, 1, -1)
            row = np.floor(2 * wave)
            across, along = (2 * wave - row - 0.5) * 2.1, 2 * xs
        else:  # two legs of each loop make a V
            legs = ys - 1.1 * np.abs(u)
            row = np.floor(legs)
            across, along = np.hypot((np.abs(u) - 0.25) * 4.0, 1.1 * (legs - row - 0.5)), legs * 2 - 2 * np.abs(u)
        height = np.sqrt(np.clip(1 - across * across, 0, 1)).astype(np.float32)
        ply = np.sin((along * 2.2 + 0.9 * across * np.sign(u)) * 2 * np.pi).astype(np.float32)
        s = blank(size, tuple(0.35 * c for c in base), 0.02)  # type: ignore[arg-type]
        tint = np.where((row % (2 * band) < band)[..., None], np.asarray(base), np.asarray(other))
        loop = rng.standard_normal((31, 31), dtype=np.float32)[row.astype(int) % 31, column.astype(int) % 31]
        shaded = (1 + heather * loop) * (0.6 + 0.4 * height) + 0.07 * ply * height
        paint(s, smooth(0.1 - height, 0.3), np.clip(tint * shaded[..., None], 0, 1).astype(np.float32))
        s.height += 0.28 * pitch * height + 0.2 * ply
        if style == "rib":
            rib = np.cos(xs * np.pi / 2).astype(np.float32)
            s.height += 0.4 * pitch * rib
            vary(s, 0.35, 0.5 + 0.5 * rib)
        hairs = grain(rng, size, (0.7 * unit, 0.7 * unit))
        vary(s, fuzz, 0.5 + 0.4 * hairs)
        halo = fibres(rng, size, round(60 * fuzz / 0.1), 12)
        paint(s, 0.35 * np.clip(halo, 0, 1), tuple(min(1.0, 1.25 * c) for c in base))  # type: ignore[arg-type]
        vary(s, 0.1, fractal(rng, size, 2, 3))
        return Product(s)

    return draw


def fibres(rng: Rng, size: int, count: int, length: float) -> Field:
    """Coverage (size, size) of loose curved fibres about `length` pixels (at 224) long."""
    out = np.zeros((size, size), np.float32)
    start, turn = rng.random((count, 2)) * size, rng.uniform(0, 2 * np.pi, count)
    t = np.linspace(0, 1, 7)
    angle = turn[:, None] + rng.normal(0, 1.2, count)[:, None] * t
    step = length / 7 * size / 224 * rng.uniform(0.5, 1.5, count)[:, None]
    x, y = start[:, :1] + np.cumsum(np.cos(angle) * step, 1), start[:, 1:] + np.cumsum(np.sin(angle) * step, 1)
    lines = (np.stack([x, y], 2) * 16).astype(np.int32)
    for i, level in enumerate((0.4, 0.7, 1.0)):
        cv2.polylines(out, list(lines[i::3]), False, level, 1, cv2.LINE_AA, 4)
    return out


def carpet(rng: Rng) -> Draw:
    """Loop pile, cut pile or needle felt."""
    style, base = str(rng.choice(["loop", "loop", "cut", "felt"])), shade(rng, _YARNS)
    blend = [base, shade(rng, (base,), 0.35), shade(rng, _YARNS) if rng.random() < 0.5 else base]
    pitch, squat, fuzz = rng.uniform(6, 12), rng.uniform(0.7, 1.1), rng.uniform(0.15, 0.4)
    palette, mix = np.asarray(blend, np.float32), rng.uniform(0.05, 0.35)
    palette[2] = 0.5 * palette[0] + 0.5 * palette[2]

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        fuzzy = grain(rng, size, (0.6 * unit, 0.6 * unit))
        s = blank(size, base, 0.0)
        if style == "felt":
            for i in range(3):
                mat = np.clip(fibres(rng, size, 500, 26), 0, 1)
                paint(s, 0.55 * mat, palette[i] * np.float32(rng.uniform(0.6, 1.3)))
                s.height += 0.5 * mat
            vary(s, 0.25, fractal(rng, size, 20, 3))
        else:
            if style == "loop":
                ys, xs = np.mgrid[0:size, 0:size].astype(np.float32) / np.float32(pitch * unit)
                ys = ys / np.float32(squat) + (value_noise(rng, size, (5, 5)) - 0.5) * 0.6 + 3
                row = np.floor(ys).astype(int)
                xs = xs + 0.5 * (row % 2) + (value_noise(rng, size, (5, 5)) - 0.5) * 0.6 + 3
                column = np.floor(xs).astype(int)
                shake = rng.normal(0, 0.09, (2, 67, 67)).astype(np.float32)[:, row % 67, column % 67]
                du, dv = xs - column - 0.5 + shake[0], ys - row - 0.5 + shake[1]
                tuft = np.sqrt(np.clip(1.05 - (du / 0.52) ** 2 - (dv / 0.55) ** 2, 0, 1)).astype(np.float32)
                pick = rng.random((67, 67), dtype=np.float32)[row % 67, column % 67]
                ply = np.sin((dv * 1.5 + du) * 4 * np.pi).astype(np.float32)
            else:
                border, pick = cells(rng, size, round(224**2 / pitch**2 * 4))
                pick = cv2.GaussianBlur(warp(pick, rng, 3 * unit, 30), (0, 0), 0.5 * unit)
                ply = grain(rng, size, (0.8 * unit, 0.8 * unit))
                tuft = np.sqrt(warp(border, rng, 3 * unit, 30)) * 0.7 + 0.12 * ply
            which = np.where(pick < mix, 2, np.where(pick < 0.5, 1, 0))
            s.albedo[:] = palette[which]
            s.albedo *= (0.92 + 0.2 * (pick * 13 % 1))[..., None]
            vary(s, 1.0, 0.1 + 0.45 * tuft + 0.05 * ply)
            s.height += 2.6 * cv2.GaussianBlur(tuft, (0, 0), 0.7 * unit) + 0.25 * ply
        vary(s, fuzz, 0.5 + 0.4 * fuzzy)
        s.height += 0.3 * fuzzy
        # Pile leans this way and that, as walking and vacuuming leave it.
        vary(s, 0.22, fractal(rng, size, 2.5, 3))
        return Product(s)

    return draw


def seam(rng: Rng) -> Draw:
    """Cloth or leather with one or two rows of stitches beside a fold."""
    cloth = weave(rng) if rng.random() < 0.5 else leather(rng)
    thread, pitch, rows = shade(rng, _YARNS), rng.uniform(11, 22), int(rng.integers(1, 3))
    thick, slant, apart = rng.uniform(0.17, 0.26), rng.uniform(-0.12, 0.12), rng.uniform(0.1, 0.22)
    fold = rng.random() < 0.7

    def draw(rng: Rng, size: int) -> Product:
        s = cloth(rng, size).base
        p = pitch * size / 224
        y0 = size * (0.5 - apart / 2 * (rows - 1)) + rng.normal(0, 2) * size / 224
        _, y = grid(size)
        if fold:  # one layer lies on the other
            edge = (y + 1) * size / 2 - y0 + size * 0.09
            s.height += 5 * smooth(-edge, 4 * size / 224)
            s.albedo *= (1 - 0.45 * np.exp(-((edge / (2.2 * size / 224)) ** 2)))[..., None].astype(np.float32)
        stitches, cord = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
        holes = np.zeros((size, size), np.float32)
        width = max(2, round(thick * p))
        for row in range(rows):
            line = y0 + row * apart * size
            for x0 in np.arange(-p * rng.random(), size + p, p):
                tilt, shift = slant * p + rng.normal(0, 0.02 * p), rng.normal(0, 0.03 * p)
                a = np.array([x0 + 0.12 * p, line + shift + tilt])
                b = np.array([x0 + 0.88 * p, line + shift - tilt])
                ends = [tuple((e * 16).astype(int).tolist()) for e in (a, b)]
                cv2.line(stitches, ends[0], ends[1], 1.0, width, cv2.LINE_AA, 4)
                for e in ends:
                    cv2.circle(holes, e, round(0.75 * width * 16), 1.0, -1, cv2.LINE_AA, 4)
                # Two or three plies wind around each other: short slanted lines along the stitch.
                for t in np.linspace(0.1, 0.95, max(3, round(0.76 * p / width * 1.4))):
                    c = a + (b - a) * t
                    lean = np.array([[-0.45, 0.5], [0.25, -0.5]]) * width
                    ply = [tuple(end.tolist()) for end in ((c + lean) * 16).astype(int)]
                    cv2.line(cord, ply[0], ply[1], 1.0, 1, cv2.LINE_AA, 4)
        # The thread pulls the material down around it and shades it.
        near = cv2.GaussianBlur(np.maximum(stitches, holes), (0, 0), 0.16 * p)
        s.height -= 3.5 * near + 2.5 * holes
        s.albedo *= (1 - 0.5 * np.clip(near + 0.5 * holes, 0, 1))[..., None]
        s.height += 1.6 * cv2.GaussianBlur(stitches, (0, 0), 0.25 * width)
        pattern = (stitches * (1 - 0.4 * cord)).astype(np.float32)
        return Product(s, pattern=pattern, pattern_colour=thread, pattern_gloss=0.25)

    return draw


def carbon_fibre(rng: Rng) -> Draw:
    """Laminate of carbon, aramid or glass fibre: woven, unidirectional or chopped tows under resin."""
    lay = str(rng.choice(["twill", "twill", "plain", "satin", "ud", "chopped"]))
    base = shade(
        rng, ((0.08, 0.08, 0.085), (0.08, 0.08, 0.085), (0.11, 0.11, 0.12), (0.5, 0.43, 0.2), (0.6, 0.62, 0.56))
    )
    pitch, sheen, gloss = rng.uniform(9, 30), rng.uniform(0.6, 1.6), float(rng.choice([0.1, 0.6, 0.9]))
    sheen *= 0.3 if base[0] > 0.3 else 1.0  # glass and aramid scatter light, carbon mirrors it
    turn, imprint = rng.uniform(0, 2 * np.pi), float(rng.choice([0, 0, 0.25]))

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        s = blank(size, base, gloss)
        light: Field
        relief: Field
        flow = grain(rng, size, (14 * unit, 0.5)) + 0.6 * grain(rng, size, (40 * unit, 1.4 * unit))
        if lay == "ud":
            light = 0.5 + 0.18 * flow + 0.25 * (value_noise(rng, size, (2, 24)) - 0.5)
            relief = 0.15 * flow
        elif lay == "chopped":
            light = np.full((size, size), 0.5, np.float32)
            for _ in range(round(4500 / pitch)):  # tows cut to length, thrown down one over the other
                middle, a = rng.random(2) * size, rng.uniform(0, np.pi)
                box = (middle.tolist(), (1.5 * pitch * unit * rng.uniform(0.8, 2), 0.6 * pitch * unit), np.degrees(a))
                tow = (cv2.boxPoints(box) * 16).astype(np.int32)
                level = 0.5 + 0.4 * np.cos(2 * a + turn) + rng.normal(0, 0.06)
                cv2.fillConvexPoly(light, tow, float(level), cv2.LINE_AA, 4)
            relief = 1.2 * light
            light = light + 0.1 * np.where(light > 0.5, flow, flow.T)
        else:
            over, height, across, along, yarn = interlace(rng, size, pitch * unit, lay, 0.99, 0.25, 0.12)
            filament = np.where(over, flow.T, flow)
            # Fibres mirror light only across themselves: the two directions change places as the light turns.
            facing = np.where(over, 0.5 + 0.35 * np.cos(turn), 0.5 - 0.35 * np.cos(turn))
            bow = 0.22 * np.cos(2 * np.pi * along / 2 + turn)
            light = facing + bow * 0.5 + 0.1 * filament + 0.05 * rng.standard_normal(211)[yarn % 211]
            light = np.asarray(light * (0.55 + 0.45 * np.clip(1.6 - across**4 * 1.6, 0, 1)), np.float32)
            relief = (0.5 * np.clip(height, 0, 1.3)).astype(np.float32)
        s.albedo *= np.clip(1 + sheen * 1.6 * (light - 0.35), 0.25, 4)[..., None].astype(np.float32)
        # Resin levels most of the relief, and has a faint waviness of its own.
        s.height += (relief * (0.5 if gloss > 0.5 else 1.2) + 1.5 * fractal(rng, size, 3, 2)).astype(np.float32)
        if imprint:
            _, ply, *_ = interlace(rng, size, 4 * unit, "plain", 0.9, 0.4, 0.1)
            s.height += imprint * np.clip(ply, -0.5, 1.5)
        vary(s, 0.15, fractal(rng, size, 2, 3))
        vary(s, 0.12, 0.5 + 0.3 * grain(rng, size, (0.6, 0.6)))
        return Product(s)

    return draw


def wire_mesh(rng: Rng) -> Draw:
    """Woven wire cloth, sieves and screens over a dark or lit ground."""
    base = shade(rng, (*METALS, (0.68, 0.55, 0.33), (0.16, 0.16, 0.16)))
    ground = shade(rng, ((0.03, 0.03, 0.03), (0.12, 0.12, 0.12), (0.85, 0.85, 0.85)))
    pitch, width = float(np.exp(rng.uniform(np.log(7), np.log(30)))), rng.uniform(0.28, 0.6)
    pattern, gloss, worn = str(rng.choice(["plain", "plain", "twill"])), rng.uniform(0.3, 0.8), rng.uniform(0.05, 0.25)

    def draw(rng: Rng, size: int) -> Product:
        unit = size / 224
        _, height, across, _, yarn = interlace(rng, size, pitch * unit, pattern, width, 0.6, 0.1)
        s = blank(size, ground, 0.02)
        vary(s, 0.2, fractal(rng, size, 3, 3))
        wire = smooth(np.where(height > -1.5, np.abs(across) - 1, 1), 0.25)
        tone = 1 + worn * rng.standard_normal(211, dtype=np.float32)[yarn % 211] * 0.4
        tone = tone * (0.75 + 0.25 * np.clip(height, 0, 1.4)) + worn * (fractal(rng, size, 12, 4) - 0.5)
        shadow = cv2.GaussianBlur(wire, (0, 0), 0.14 * pitch * unit)
        s.albedo *= (1 - 0.6 * shadow)[..., None]
        paint(s, wire, np.asarray(base, np.float32) * np.clip(tone, 0.2, 1.6)[..., None].astype(np.float32), gloss)
        s.height += wire * (0.5 * width * pitch * np.clip(height + 0.6, 0, 2.2)) * 0.55
        vary(s, 0.08, 0.5 + 0.3 * grain(rng, size, (0.6, 0.6)))
        return Product(s)

    return draw
