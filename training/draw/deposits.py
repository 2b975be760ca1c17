"""Defects of matter that does not belong: it lies on the surface, grew there, ran over it or is embedded in it.

Each edits a flattened `Surface` in place and returns its mask, (size, size) float32 in 0..1. `severity` runs from 0
(barely visible) to 1 (plain to anyone) and drives both size and contrast.
"""

from __future__ import annotations

import cv2
import numpy as np

from training.draw.noise import Field, Rng, fractal, grain, smooth, value_noise
from training.draw.strokes import (
    blob,
    contact_shadow,
    displace,
    edge_spot,
    fills,
    filter_tint,
    gap,
    grow,
    on,
    path,
    radii,
    ribbon,
    shade,
    spot,
    streaks,
    taper,
    tone,
    under,
)
from training.draw.surface import Surface, paint

_DEBRIS = np.array(
    [[0.08, 0.07, 0.06], [0.25, 0.2, 0.16], [0.75, 0.72, 0.66], [0.9, 0.9, 0.88], [0.5, 0.5, 0.52], [0.35, 0.12, 0.1],
     [0.15, 0.22, 0.4]], np.float32,
)  # fmt: skip
_SPORES = np.array(
    [[0.35, 0.45, 0.36], [0.3, 0.4, 0.42], [0.14, 0.15, 0.14], [0.75, 0.75, 0.7], [0.5, 0.47, 0.35]], np.float32
)
_LIQUIDS = np.array(
    [[0.5, 0.33, 0.12], [0.16, 0.13, 0.1], [0.8, 0.8, 0.78], [0.45, 0.5, 0.42], [0.6, 0.3, 0.2]], np.float32
)
_RUSTS = (
    ([0.16, 0.08, 0.05], [0.42, 0.2, 0.08], [0.68, 0.38, 0.14]),
    ([0.1, 0.07, 0.06], [0.32, 0.16, 0.09], [0.5, 0.28, 0.13]),
    ([0.16, 0.28, 0.24], [0.32, 0.52, 0.45], [0.62, 0.75, 0.66]),
    ([0.5, 0.5, 0.5], [0.72, 0.72, 0.7], [0.9, 0.9, 0.88]),
)


def contamination(s: Surface, rng: Rng, severity: float) -> Field:
    """Particles, fibres or powder lying on the surface, each with a small shadow."""
    size = s.alpha.shape[0]
    u = max(size / 224, 0.5)
    x, y = spot(s, rng, 0.03)
    body = np.zeros((size, size), np.float32)
    style = int(rng.integers(3))
    if style == 0:  # a fibre or two
        for _ in range(int(rng.integers(1, 3))):
            thick = u * rng.uniform(0.8, 1.1 + 1.1 * severity)
            line = path(
                rng, x, y, size * rng.uniform(0.1, 0.2 + 0.2 * severity), curve=rng.uniform(1, 5), jag=0.12, step=3 * u
            )
            body = np.maximum(body, ribbon(size, line, thick))
    else:
        count = int(rng.integers(3, 7 + round(14 * severity))) if style == 1 else int(rng.integers(25, 60))
        spread = size * rng.uniform(0.02, 0.1)
        top = u * (2.2 + 2.4 * severity if style == 1 else 1.2 + 0.6 * severity)
        for cx, cy in [(x, y), *rng.normal((x, y), spread, (count, 2))]:
            corners = int(rng.integers(4, 8))
            turns = np.sort(rng.uniform(0, 2 * np.pi, corners))
            reach = top * rng.uniform(0.35, 1) * rng.uniform(0.75, 1.1, corners)
            grit = np.stack([cx + reach * np.cos(turns), cy + reach * np.sin(turns)], 1)
            cv2.fillPoly(body, [np.round(grit * 16).astype(np.int32)], float(rng.uniform(0.75, 1)), cv2.LINE_AA, 4)
    body = on(s, body)
    amount = gap(s, body, severity)
    colours = _DEBRIS[np.argsort(-np.abs(_DEBRIS - under(s, body)).sum(1))[int(rng.integers(3))]]
    contact_shadow(s, body, rng, 1.5 * u, min(0.7, amount))
    texture = (0.75 + 0.5 * value_noise(rng, size, (size / 3, size / 3)))[..., None]
    paint(s, body * min(1, 0.12 + 1.35 * amount), np.asarray(np.clip(colours * texture, 0, 1), np.float32), 0.15)
    s.height += (0.7 + 0.9 * severity) * u * cv2.GaussianBlur(body, (0, 0), 0.7 * u)
    return on(s, grow(body, u))


def foreign_body(s: Surface, rng: Rng, severity: float) -> Field:
    """One thing that does not belong: a stone, a shard, a curl of swarf or a scrap, lying loose with its shadow."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng)
    radius = size * rng.uniform(0.018, 0.03 + 0.045 * severity)
    style = int(rng.integers(4))
    tint, gloss = np.array([0.45, 0.42, 0.38]) * rng.uniform(0.4, 1.8), 0.1
    if style == 0:
        body = blob(rng, size, x, y, radius, 0.3, rng.uniform(1, 1.4))
    elif style == 1:
        turns = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 7))))
        reach = radius * rng.uniform(0.7, 1.5, len(turns))
        body = np.zeros((size, size), np.float32)
        shard = np.stack([x + reach * np.cos(turns), y + reach * np.sin(turns)], 1)
        cv2.fillPoly(body, [np.round(shard * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
        tint, gloss = np.array([0.65, 0.68, 0.7]) * rng.uniform(0.5, 1.3), 0.8
    elif style == 2:
        line = path(rng, x, y, radius * rng.uniform(4, 7), curve=rng.uniform(3, 7), step=2 * u)
        body = ribbon(size, line, 0.35 * radius * (0.4 + 0.6 * taper(len(line))))
        tint, gloss = np.array([0.7, 0.68, 0.66]), 0.9
    else:
        body = blob(rng, size, x, y, radius, 0.12, rng.uniform(1, 1.9))
        tint, gloss = rng.uniform(0.1, 0.8, 3), 0.4
    if body.sum() < 4:
        body = blob(rng, size, x, y, radius, 0.3)
    contact_shadow(s, body, rng, max(1.5 * u, 0.25 * radius), 0.1 + 0.5 * severity)
    tint = tint * (0.2 + 0.8 * severity) + under(s, body) * (0.8 - 0.8 * severity)
    paint(s, body, np.clip(tint, 0, 1).astype(np.float32), gloss)
    shade(s, 0.35 * body * (fractal(rng, size, 30, 3) - 0.5))
    rise = cv2.GaussianBlur(body, (0, 0), max(0.8, 0.3 * radius)) * body * 1.4
    s.height += body * (float(under_height(s, body)) - s.height) + rise * radius * (0.15 + 0.7 * severity)
    s.alpha[:] = np.maximum(s.alpha, body)
    return np.asarray(body, np.float32)


def under_height(s: Surface, mask: Field) -> float:
    """Mean height of what lies under a mask, pixels."""
    seen = mask > 0.3
    return float(s.height[seen].mean()) if seen.any() else float(s.height.mean())


def corrosion(s: Surface, rng: Rng, severity: float) -> Field:
    """Rough growth in several tones with pits in it and a thin halo around it."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng)
    r = radii(rng, size, x, y, size * rng.uniform(0.06, 0.1 + 0.16 * severity), 0.6, rng.uniform(1, 1.4), 1.3)
    texture = fractal(rng, size, 12, 5, 0.65)
    growth = on(s, smooth(r - 1 - 1.6 * (texture - 0.5), 0.25))
    halo = cv2.GaussianBlur(growth, (0, 0), 4 * u)
    dark, middle, light = (np.asarray(c, np.float32) for c in _RUSTS[int(rng.choice([0, 0, 0, 1, 1, 2, 3]))])
    fine = fractal(rng, size, 26, 3, 0.8)[..., None]
    colour = np.where(fine < 0.5, dark + 2 * fine * (middle - dark), middle + (2 * fine - 1) * (light - middle))
    amount = min(1.0, 0.08 + 0.9 * severity + 0.3 * gap(s, growth, 0))
    filter_tint(s, on(s, halo) * 0.5 * amount, middle + 0.25)
    paint(s, growth * amount, colour.astype(np.float32), 0.0)
    s.height += u * growth * (0.4 + 2.4 * severity) * (2 * fine[..., 0] - 0.6)
    return smooth(0.35 - np.maximum(growth, 0.7 * halo), 0.2)


def run(s: Surface, rng: Rng, severity: float) -> Field:
    """Drips of coating: thick rounded lines that all go one way and end in a bead."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng, 0.03)
    mask, relief = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    down = float(rng.choice([0.5, 0.5, 0, 1, 1.5])) * np.pi
    if (
        s.alpha[tuple(int(np.clip(c + 0.15 * size * f(down), 0, size - 1)) for c, f in ((y, np.sin), (x, np.cos)))]
        < 0.5
    ):
        down += np.pi
    sideways = np.array([-np.sin(down), np.cos(down)])
    for i in range(int(rng.integers(1, 4))):
        length = size * rng.uniform(0.08, 0.15 + 0.25 * severity)
        width = size * rng.uniform(0.012, 0.02 + 0.012 * severity)
        shift = rng.normal(0, 0.06 * size)
        start = np.array([x, y]) + (shift if i else 0) * sideways
        line = path(rng, start[0], start[1], length, curve=0.05, step=3 * u, angle=down, centred=False)
        t = np.linspace(0, 1, len(line))
        widths = width * (0.45 + 0.25 * t + 0.75 * np.exp(-(((t - 0.95) / 0.08) ** 2)) + 0.25 * np.exp(-t / 0.06))
        mask = np.maximum(mask, ribbon(size, line, widths))
        relief = np.maximum(relief, cv2.GaussianBlur(mask, (0, 0), 0.35 * width))
    mask, relief = on(s, mask), on(s, relief)
    s.height += u * (1 + 3 * severity) * relief
    paint(
        s,
        relief * (0.2 + 0.4 * severity),
        tone(rng, s, mask, 0.6 * gap(s, mask, severity), -1 if rng.random() < 0.7 else 1),
        0.8,
    )
    return smooth(0.3 - np.maximum(mask, relief), 0.2)


def leak(s: Surface, rng: Rng, severity: float) -> Field:
    """Liquid that came out: a wet, glossy film from a source, with a tongue that ran and pooled."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng) if fills(s) or rng.random() < 0.6 else edge_spot(s, rng)
    radius = size * rng.uniform(0.03, 0.05 + 0.06 * severity)
    wet = blob(rng, size, x, y, radius, 0.5, rng.uniform(1, 1.4), 1.5)
    angle = rng.uniform(0, 2 * np.pi)
    for _ in range(int(rng.integers(1, 3))):
        line = path(
            rng,
            x,
            y,
            radius * rng.uniform(2, 4.5),
            curve=0.7,
            jag=0.12,
            step=4 * u,
            angle=angle + rng.normal(0, 0.3),
            centred=False,
        )
        widths = radius * np.linspace(0.55, 0.35, len(line)) * rng.uniform(0.8, 1.2, len(line))
        wet = np.maximum(wet, ribbon(size, line, widths))
        wet = np.maximum(wet, blob(rng, size, float(line[-1, 0]), float(line[-1, 1]), 0.45 * radius, 0.25))
    wet = on(s, smooth(0.5 - cv2.GaussianBlur(wet, (0, 0), 1.5 * u), 0.3))
    depth = np.clip(cv2.GaussianBlur(wet, (0, 0), 0.25 * radius) * 2 - 0.8, 0, 1) * wet
    tint = _LIQUIDS[int(rng.integers(len(_LIQUIDS)))]
    amount = gap(s, wet, severity)
    filter_tint(s, wet * min(0.9, 0.6 * amount + 0.1), tint * 0.5 + 0.4)
    paint(s, depth * min(0.9, amount), tint)
    shade(s, -0.3 * amount * np.clip(wet - depth, 0, 1))
    s.gloss += wet * (0.95 - s.gloss)
    level = cv2.GaussianBlur(s.height, (0, 0), 3 * u)
    s.height += wet * 0.7 * (level - s.height) + u * (0.5 + 1.5 * severity) * cv2.GaussianBlur(depth, (0, 0), 1.5 * u)
    return wet


def inclusion(s: Surface, rng: Rng, severity: float) -> Field:
    """A sharp particle of another material, flush with the surface, sometimes drawn out to a sliver."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng, 0.02)
    mask = np.zeros((size, size), np.float32)
    long, angle = (rng.uniform(2.5, 6) if rng.random() < 0.4 else rng.uniform(1, 1.8)), rng.uniform(0, np.pi)
    for _ in range(int(rng.choice([1, 1, 2, 4]))):
        radius = size * rng.uniform(0.008, 0.014 + 0.02 * severity)
        turns = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(6, 11))))
        reach = radius * rng.uniform(0.6, 1.2, len(turns))
        a, b = reach * np.cos(turns) * np.sqrt(long), reach * np.sin(turns) / np.sqrt(long)
        grit = np.stack([x + a * np.cos(angle) - b * np.sin(angle), y + a * np.sin(angle) + b * np.cos(angle)], 1)
        cv2.fillPoly(mask, [np.round(grit * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
        x, y = x + rng.normal(0, 0.05 * size), y + rng.normal(0, 0.05 * size)
    mask = on(s, mask)
    if mask.sum() < 6 * u:
        mask = on(s, blob(rng, size, *spot(s, rng, 0.02), 3 * u, 0.3))
    amount = gap(s, mask, severity)
    body = tone(rng, s, mask, amount, -1 if rng.random() < 0.65 else 1)
    seam = cv2.dilate(mask, np.ones((3, 3))) - mask
    paint(
        s,
        mask * min(1, 0.5 + severity),
        body + 0.3 * amount * (fractal(rng, size, 50, 2)[..., None] - 0.5),
        float(rng.choice([0.05, 0.7])),
    )
    shade(s, -0.35 * amount * seam)
    s.height += mask * 0.6 * (cv2.GaussianBlur(s.height, (0, 0), 2 * u) - s.height) - 0.3 * u * seam
    return np.asarray(mask, np.float32)


def mould(s: Surface, rng: Rng, severity: float) -> Field:
    """Fuzzy round colonies: pale felted rim, coloured spores in the middle."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng)
    spores = _SPORES[int(rng.integers(len(_SPORES)))]
    nearest = np.full((size, size), 9.0, np.float32)
    for _ in range(int(rng.integers(1, 3 + round(4 * severity)))):
        radius = size * rng.uniform(0.015, 0.03 + 0.05 * severity)
        nearest = np.minimum(nearest, radii(rng, size, x, y, radius, 0.2, 1.0, 1.6, 3))
        x, y = x + rng.normal(0, 1.2 * radius), y + rng.normal(0, 1.2 * radius)
    hair, tuft = grain(rng, size, (0.7 * u, 0.7 * u)), grain(rng, size, (2 * u, 2 * u))
    felt = on(s, np.clip(1.45 - nearest + 0.07 * hair, 0, 0.7) / 0.7)
    core = on(s, np.clip(0.95 - nearest + 0.06 * hair + 0.08 * tuft, 0, 0.5) / 0.5)
    amount = min(0.95, 0.02 + 1.2 * gap(s, felt, severity))
    white = np.clip(0.66 + 0.05 * hair + 0.04 * tuft, 0, 1)[..., None] * np.array([1, 1, 0.95])
    paint(s, felt * amount, white.astype(np.float32), 0.0)
    colour = np.clip(spores * (1 + 0.12 * hair[..., None] + 0.1 * tuft[..., None]), 0, 1)
    paint(s, core * amount, colour.astype(np.float32), 0.0)
    s.height += u * felt * (0.3 + 1.3 * severity) * (1.2 + 0.1 * hair + 0.25 * tuft)
    return smooth(0.25 - felt, 0.2)


def knot(s: Surface, rng: Rng, severity: float) -> Field:
    """A branch in wood: the grain flows around a dark oval with rings, a bark rim and cracks across it."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng)
    radius = size * rng.uniform(0.025, 0.035 + 0.045 * severity)
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    dx, dy = xs - x, ys - y
    distance = np.hypot(dx, dy) + 1e-3
    push = radius * 0.9 * np.exp(-((distance / (2 * radius)) ** 2))
    displace(s, push * dx / distance * 0.5, push * dy / distance)
    r = radii(rng, size, x, y, radius, 0.15, rng.uniform(1, 1.35), 1.9)
    mask = on(s, smooth((r - 1) * radius, 2 * u))
    around = on(s, smooth(r - 1.4, 0.7))
    rings = 0.5 + 0.5 * np.sin(r * rng.uniform(14, 26) + 3 * fractal(rng, size, 20, 2))
    amount = min(1, 0.22 + 0.78 * severity)
    filter_tint(s, around * 0.5 * amount, (0.72, 0.56, 0.42))
    dark = under(s, mask) * np.array([0.62, 0.5, 0.42], np.float32)
    paint(s, mask * amount, np.asarray(dark * (0.75 + 0.4 * rings[..., None]), np.float32), 0.2)
    bark = np.exp(-(((r - 1) * radius / (1.2 * u)) ** 2))
    paint(s, on(s, bark) * amount * (0.15 + 0.75 * severity), (0.09, 0.06, 0.04), 0.05)
    check = np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(0, 3))):
        line = path(rng, x, y, 1.4 * radius, jag=0.2, step=3 * u)
        check = np.maximum(check, ribbon(size, line, 1.2 * u * taper(len(line))))
    paint(s, check * mask * severity, (0.05, 0.03, 0.02), 0.0)
    s.height -= u * (0.8 * bark + 1.5 * check * mask)
    return np.maximum(mask, smooth(0.5 - around, 0.3))


def spatter(s: Surface, rng: Rng, severity: float) -> Field:
    """Metal droplets that froze on the surface: round, raised, each with a bright spot and a dark seam."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng)
    nearest, rise = np.full((size, size), 9.0, np.float32), np.zeros((size, size), np.float32)
    spread = size * rng.uniform(0.03, 0.12)
    for _ in range(int(rng.integers(2, 6 + round(10 * severity)))):
        radius = u * rng.uniform(1.5, 2.3 + 3 * severity)
        r = radii(rng, size, rng.normal(x, spread), rng.normal(y, spread), radius, 0.12, rng.uniform(1, 1.2), 1.6, 2)
        nearest = np.minimum(nearest, r)
        rise = np.maximum(rise, radius * (1 - r))
    balls = on(s, smooth(nearest - 1, 0.4))
    if balls.sum() < 8 * u:
        return inclusion(s, rng, severity)
    shade(s, -(0.12 + 0.5 * severity) * on(s, np.exp(-(((nearest - 1.2) / 0.25) ** 2))))
    paint(s, balls * (0.2 + 0.8 * severity), tone(rng, s, balls, 0.3 + 0.2 * severity, 1), 0.75)
    s.height += on(s, (0.35 + 0.8 * severity) * np.sqrt(np.clip(rise, 0, None) * u * 3))
    return balls


def rolled_in_scale(s: Surface, rng: Rng, severity: float) -> Field:
    """Dark rough flecks pressed in and drawn out along one direction."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng)
    zone = blob(
        rng, size, x, y, size * rng.uniform(0.08, 0.12 + 0.14 * severity), 0.5, rng.uniform(1, 1.6), 0.06 * size
    )
    flecks = streaks(
        rng, size, rng.uniform(5, 10) * u, 1.3 * u, float(rng.choice([0, np.pi / 2])) + rng.normal(0, 0.05)
    )
    mask = on(s, zone * smooth(0.9 - 0.3 * severity - flecks, 0.5))
    colour = np.array([0.16, 0.14, 0.14]) * (0.6 + 0.8 * fractal(rng, size, 40, 2)[..., None])
    paint(s, mask * min(0.95, 0.08 + 1.3 * gap(s, mask, severity)), colour.astype(np.float32), 0.05)
    s.height -= u * (0.5 + severity) * mask * fractal(rng, size, 50, 2)
    return smooth(0.3 - cv2.GaussianBlur(mask, (0, 0), 1.2 * u), 0.2)
