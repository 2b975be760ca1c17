"""Defects where the material itself is opened: cracks, cavities and cuts.

Each edits a flattened `Surface` in place and returns its mask, (size, size) float32 in 0..1. `severity` runs from 0
(barely visible) to 1 (plain to anyone) and drives both size and contrast.
"""

from __future__ import annotations

import cv2
import numpy as np

from training.draw.noise import Field, Rng, cells, fractal, grain, smooth, warp
from training.draw.strokes import (
    Points,
    beside,
    blob,
    depth_tone,
    edge_spot,
    fills,
    gap,
    on,
    path,
    radii,
    raw_tone,
    remove,
    ribbon,
    shade,
    spot,
    taper,
    tone,
    under,
)
from training.draw.surface import Surface, paint


def crack(s: Surface, rng: Rng, severity: float) -> Field:
    """A jagged dark hairline that forks and thins out to its tips."""
    size = s.alpha.shape[0]
    u = max(size / 224, 0.5)
    inner = rng.random() < 0.6
    x, y = spot(s, rng) if inner else edge_spot(s, rng)
    width = u * (0.7 + rng.uniform(0.2, 1.3) * severity)
    length = size * rng.uniform(0.15, 0.3 + 0.5 * severity)
    angle = None if inner else float(np.arctan2(size / 2 - y, size / 2 - x) + rng.normal(0, 0.4))
    wild = rng.uniform(0.3, 0.85)
    lines: list[tuple[Points, Points]] = []
    main = path(rng, x, y, length, curve=0.8, jag=wild, step=3.5 * u, angle=angle, centred=inner)
    lines.append((main, width * (taper(len(main)) if inner else np.linspace(1.2, 0.15, len(main)))))
    for _ in range(int(rng.choice([0, 1, 1, 2, 4]))):
        stem, wide = lines[int(rng.integers(len(lines)))]
        i = int(rng.integers(len(stem) // 4, max(3 * len(stem) // 4, len(stem) // 4 + 1)))
        heading = np.arctan2(*(stem[min(i + 2, len(stem) - 1)] - stem[max(i - 2, 0)])[::-1])
        twig = path(
            rng, float(stem[i, 0]), float(stem[i, 1]), length * rng.uniform(0.12, 0.4), curve=0.5, jag=wild, step=3.5 * u,
            angle=float(heading + rng.choice([-1, 1]) * rng.uniform(0.35, 1.1)), centred=False,
        )  # fmt: skip
        lines.append((twig, wide[i] * np.linspace(0.8, 0.15, len(twig))))
    core, mask = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    for line, widths in lines:
        core = np.maximum(core, ribbon(size, line, np.maximum(widths, 0.45 * u)))
        mask = np.maximum(mask, ribbon(size, line, widths + 1.6 * u))
    core, mask = on(s, core), on(s, mask)
    lip = np.clip(cv2.GaussianBlur(core, (0, 0), 1.2 * u) - core, 0, 1)
    shade(s, lip * 0.25 * severity)
    paint(
        s, core * min(0.97, 0.2 + 1.3 * gap(s, core, 0.7 * severity)), depth_tone(s, core, 0.3 - 0.15 * severity), 0.0
    )
    s.height -= u * (0.5 + 1.5 * severity) * core
    return mask


def crazing(s: Surface, rng: Rng, severity: float) -> Field:
    """A polygonal net of hairline cracks that fades out towards its border."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng)
    patch = on(
        s,
        blob(rng, size, x, y, size * rng.uniform(0.08, 0.12 + 0.16 * severity), 0.4, rng.uniform(1, 1.4), 0.07 * size),
    )
    count = int(rng.integers(200, 700))
    border, _ = cells(rng, size, count)
    pixels = warp(border, rng, 2 * u, 14) * size / np.sqrt(count) * 0.45
    net = patch * smooth(pixels - 0.5 * u, 0.9 * u)
    net *= np.clip(0.4 + 1.2 * fractal(rng, size, 8, 2), 0, 1)
    ground = under(s, patch)
    line = ground * 0.25 if ground.mean() > 0.25 else ground + 0.35
    paint(s, net * min(0.95, 0.25 + gap(s, patch, severity)), line, 0.0)
    s.height -= u * (0.3 + 0.5 * severity) * net
    return smooth(0.4 - patch, 0.2)


def pit(s: Surface, rng: Rng, severity: float) -> Field:
    """Small dark cavities with a lit rim, alone or in a loose group."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng, 0.02)
    spread = size * rng.uniform(0.02, 0.08)
    nearest, depth = np.full((size, size), 9.0, np.float32), np.zeros((size, size), np.float32)
    for i in range(int(rng.integers(1, 3 + round(7 * severity)))):
        radius = max(size * rng.uniform(0.007, 0.01 + 0.013 * severity), 1.5 * u)
        px, py = (x, y) if i == 0 else (rng.normal(x, spread), rng.normal(y, spread))
        r = radii(rng, size, px, py, radius, 0.2, rng.uniform(1, 1.3), 1.9, 2)
        nearest = np.minimum(nearest, r)
        depth = np.maximum(depth, radius * np.clip(1 - r, 0, 1))
    core = on(s, smooth(nearest - 0.85, 0.6))
    rim = on(s, np.exp(-(((nearest - 1.2) / 0.25) ** 2)))
    paint(s, core * (0.2 + 0.7 * severity), depth_tone(s, core, 0.45 - 0.3 * severity), 0.0)
    shade(s, rim * (0.06 + 0.2 * severity))
    s.height += u * (0.15 + 0.35 * severity) * rim - (0.3 + 1.1 * severity) * on(s, depth)
    return on(s, smooth(nearest - 1.2, 0.4))


def void(s: Surface, rng: Rng, severity: float) -> Field:
    """Open cavities with smooth rounded walls that darken softly to the bottom."""
    size = s.alpha.shape[0]
    u = size / 224
    mask = np.zeros((size, size), np.float32)
    x, y = spot(s, rng, 0.03)
    for _ in range(int(rng.choice([1, 1, 2, 3, 5]))):
        radius = size * rng.uniform(0.014, 0.022 + 0.035 * severity)
        r = radii(rng, size, x, y, radius, 0.2, rng.uniform(1, 1.6), 1.1, 1)
        bowl = on(s, np.clip(1 - r * r, 0, 1))
        shade(s, -np.sqrt(bowl) * (0.08 + 0.7 * severity))
        s.height -= radius * (0.2 + 0.9 * severity) * bowl
        s.gloss += bowl * (0.3 - s.gloss)
        mask = np.maximum(mask, on(s, smooth((r - 1) * radius, 1.5 * u)))
        x, y = x + rng.normal(0, 2.2 * radius), y + rng.normal(0, 2.2 * radius)
    return mask


def shrinkage(s: Surface, rng: Rng, severity: float) -> Field:
    """A jagged, branching cavity with a rough floor."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng, 0.03)
    r = radii(rng, size, x, y, size * rng.uniform(0.04, 0.06 + 0.07 * severity), 0.5, rng.uniform(1, 1.6), 1.2)
    ridges = np.abs(2 * fractal(rng, size, 16, 4, 0.65) - 1)
    mask = on(s, smooth(ridges - 0.33 * np.clip(1.35 - r, 0, 1), 0.06) * smooth(r - 1.25, 0.1))
    rough = fractal(rng, size, 50, 2)
    floor = under(s, mask) * (0.15 + 0.4 * rough[..., None])
    paint(s, mask * (0.15 + 0.8 * severity), floor, 0.0)
    s.height -= u * (0.4 + 3.4 * severity) * mask * (0.6 + 0.8 * rough)
    return smooth(0.3 - cv2.GaussianBlur(mask, (0, 0), 1.2 * u), 0.2)


def hole(s: Surface, rng: Rng, severity: float) -> Field:
    """Right through: what lies behind shows, with the wall seen on one side."""
    size = s.alpha.shape[0]
    u = size / 224
    radius = size * rng.uniform(0.015, 0.025 + 0.055 * severity)
    x, y = spot(s, rng, 0.03)
    rough = float(rng.choice([0.06, 0.3, 0.45]))
    r = radii(rng, size, x, y, radius, rough, rng.uniform(1, 1.4), 1.5)
    mask = on(s, smooth((r - 1) * radius, 1.5))
    a = rng.uniform(0, 2 * np.pi)
    moved = np.array([[1, 0, 0.25 * radius * np.cos(a)], [0, 1, 0.25 * radius * np.sin(a)]])
    wall = mask * (1 - cv2.warpAffine(mask, moved, (size, size)))
    lip = on(s, np.exp(-(((r - 1.1) * radius / (1.3 * u)) ** 2)))
    shade(s, lip * (0.05 + 0.12 * severity))
    through = not fills(s) and rng.random() < 0.6
    ground = under(s, mask)
    depth = 0.02 + rng.uniform(0, 0.1)
    paint(s, mask * (0.35 + 0.65 * severity), np.full(3, depth, np.float32), 0.0)
    paint(s, wall * 0.8, ground * 0.45, 0.1)
    s.height += u * (0.5 * lip - (0.7 + 4 * severity) * mask)
    if through:
        s.alpha *= 1 - mask * (1 - wall)
    return mask


def spalling(s: Surface, rng: Rng, severity: float) -> Field:
    """A flake broken out of the surface: sharp broken edge, rough floor with stones or grain."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng)
    radius = size * rng.uniform(0.05, 0.08 + 0.1 * severity)
    r = radii(rng, size, x, y, radius, 0.45, rng.uniform(1, 1.6), 1.0)
    mask = on(s, smooth((r - 1) * radius, 1.3))
    inner, value = cells(rng, size, int(rng.integers(300, 1200)))
    rough = fractal(rng, size, 18, 4, 0.7)
    floor = raw_tone(rng, s, mask, severity) * (0.6 + 0.5 * rough + 0.3 * value * inner)[..., None]
    paint(s, mask * (0.22 + 0.78 * severity), floor.astype(np.float32), 0.0)
    depth = u * (0.7 + 5 * severity) * (0.5 + 0.5 * np.clip(1.3 - r, 0, 1))
    s.height -= mask * (depth + u * (0.4 + 0.6 * severity) * (2.5 * rough - 1.5 * inner))
    wall = mask * np.clip(1 - (1 - r) * radius / (2.5 * u), 0, 1)
    shade(s, -0.35 * (0.3 + 0.7 * severity) * wall)
    return mask


def cut(s: Surface, rng: Rng, severity: float) -> Field:
    """A clean slit that narrows to both ends, dark inside, its lips standing up."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng)
    line = path(rng, x, y, size * rng.uniform(0.1, 0.17 + 0.3 * severity), curve=0.25, step=4 * u)
    wide = u * (0.7 + rng.uniform(0.4, 2.8) * severity)
    widths = wide * taper(len(line), 1.0)
    mask = on(s, ribbon(size, line, widths + 0.5 * u))
    lips = on(s, ribbon(size, line, widths + 3.5 * u * taper(len(line))))
    lips = cv2.GaussianBlur(np.clip(lips - mask, 0, 1), (0, 0), 0.8 * u)
    bright = on(s, ribbon(size, beside(line, wide / 2 + 0.7 * u), 1.1 * u * taper(len(line))))
    shade(s, bright * (0.05 + 0.25 * severity))
    paint(s, mask * min(1, 0.25 + 0.9 * severity), depth_tone(s, mask, 0.25 - 0.18 * severity), 0.0)
    s.height += u * ((0.4 + 1.4 * severity) * lips - (0.5 + 2.6 * severity) * mask)
    return np.maximum(mask, on(s, ribbon(size, line, widths + 1.5 * u)))


def tear(s: Surface, rng: Rng, severity: float) -> Field:
    """A ragged opening along one or two arms, narrowing to their tips, with pale torn fibres on one side."""
    size = s.alpha.shape[0]
    u = size / 224
    inner = fills(s) or rng.random() < 0.4
    x, y = spot(s, rng, 0.03) if inner else edge_spot(s, rng)
    angle = rng.uniform(0, 2 * np.pi) if inner else float(np.arctan2(size / 2 - y, size / 2 - x) + rng.normal(0, 0.3))
    opening, rim = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    wide = size * (0.01 + 0.045 * severity * rng.uniform(0.4, 1))
    turns = (0.0, float(rng.choice([-1, 1]) * rng.uniform(1.0, 1.9))) if inner and rng.random() < 0.6 else (0.0,)
    for turn in turns:
        length = size * rng.uniform(0.1, 0.15 + 0.25 * severity)
        line = path(rng, x, y, length, curve=0.6, jag=0.5, step=3 * u, angle=angle + turn, centred=False)
        n = len(line)
        widths = wide * np.linspace(1, 0.06, n) ** 0.8 * (1 if len(turns) > 1 or not inner else taper(n, 0.5))
        widths = np.maximum(widths * rng.uniform(0.5, 1.15, n), 0.8 * u)
        opening = np.maximum(opening, ribbon(size, line, widths))
        lip = np.interp(np.linspace(0, 1, n), np.linspace(0, 1, 8), rng.uniform(0.2, 1, 8))
        torn = widths + u * (1 + 3 * severity) * lip
        rim = np.maximum(rim, ribbon(size, beside(line, float(rng.choice([-1, 1])) * u * (0.8 + severity)), torn))
        for i in rng.integers(0, n, round(0.35 * n)):
            reach = widths[i] * 0.6 + u * rng.uniform(1, 4)
            way = rng.uniform(0, 2 * np.pi)
            thread = path(rng, line[i, 0], line[i, 1], reach, curve=1.0, step=2 * u, angle=way, centred=False)
            rim = np.maximum(rim, ribbon(size, thread, 0.8 * u))
            opening *= 1 - 0.7 * ribbon(size, thread, 0.6 * u)
    ragged = np.clip(grain(rng, size, (0.8 * u, 0.8 * u)), -2.5, 2.5)
    gone = smooth(0.5 + 0.1 * ragged - cv2.GaussianBlur(opening, (0, 0), 0.5 * u), 0.25)
    mask = on(s, np.maximum(gone, smooth(0.45 + 0.1 * ragged - cv2.GaussianBlur(rim, (0, 0), 0.5 * u), 0.25)))
    edge = np.clip(mask - gone, 0, 1)
    pale = np.clip(0.4 * under(s, mask) + 0.45 + 0.05 * ragged[..., None], 0, 1)
    paint(s, edge * (0.2 + 0.7 * severity), pale.astype(np.float32), 0.0)
    s.height += u * (0.4 + 0.8 * severity) * edge * (0.7 + 0.3 * ragged)
    return np.maximum(mask, remove(s, gone, 0.25 + 0.75 * severity))


def thread_damage(s: Surface, rng: Rng, severity: float) -> Field:
    """Crests flattened over a band, with torn bright metal smeared over the grooves."""
    size = s.alpha.shape[0]
    u = size / 224
    ridged = cv2.blur(np.abs(s.height - cv2.GaussianBlur(s.height, (0, 0), 3 * u)), (round(12 * u) + 1,) * 2)
    x, y = max((spot(s, rng) for _ in range(4)), key=lambda p: float(ridged[round(p[1]), round(p[0])]))
    r = radii(rng, size, x, y, size * rng.uniform(0.035, 0.05 + 0.06 * severity), 0.35, rng.uniform(1.2, 2.2), 1.1)
    mask = on(s, smooth(r - 0.95, 0.35))
    for layer in (s.height, s.albedo):
        weight = mask * (0.5 + 0.5 * severity)
        layer += (weight if layer.ndim == 2 else weight[..., None]) * (cv2.GaussianBlur(layer, (0, 0), 3 * u) - layer)
    s.height -= u * (0.5 + severity) * mask
    for _ in range(int(rng.integers(3, 9))):
        at = (x + rng.normal(0, 0.03 * size), y + rng.normal(0, 0.03 * size))
        line = path(rng, *at, size * rng.uniform(0.02, 0.06), curve=0.6, step=2 * u)
        smear = mask * ribbon(size, line, u * rng.uniform(0.8, 2.2) * taper(len(line)))
        paint(
            s,
            smear * (0.3 + 0.6 * severity),
            tone(rng, s, mask, 0.25 + 0.35 * severity, 1 if rng.random() < 0.7 else -1),
            0.8,
        )
        s.height += u * rng.uniform(-1.5, 1.5) * (0.4 + severity) * smear
    return mask
