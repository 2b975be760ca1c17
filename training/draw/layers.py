"""Defects of a skin on the product: a coating, film, laminate, jacket or seal that lifts, opens or is gone.

Each edits a flattened `Surface` in place and returns its mask, (size, size) float32 in 0..1. `severity` runs from 0
(barely visible) to 1 (plain to anyone) and drives both size and contrast.
"""

from __future__ import annotations

import cv2
import numpy as np

from training.draw.noise import Field, Rng, fractal, grain, smooth
from training.draw.strokes import (
    blob,
    depth_tone,
    edge_spot,
    gap,
    long_side,
    on,
    path,
    radii,
    ribbon,
    shade,
    spot,
    taper,
    under,
)
from training.draw.surface import Surface, paint

_COPPER = np.array([0.78, 0.46, 0.28], np.float32)
_TINNED = np.array([0.74, 0.74, 0.72], np.float32)


def peel(s: Surface, rng: Rng, severity: float) -> Field:
    """Coating lifted and gone: the substrate shows, its broken edge curls up and throws a shadow inwards."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng) if rng.random() < 0.7 else edge_spot(s, rng)
    radius = size * rng.uniform(0.05, 0.08 + 0.1 * severity)
    r = radii(rng, size, x, y, radius, 0.5, rng.uniform(1, 1.7), 1.15)
    islands = fractal(rng, size, 14, 3)
    gone = on(s, smooth((r - 1) * radius, 1.2) * smooth(islands - 0.83, 0.04))
    ground = under(s, gone)
    bases = np.array([[0.55, 0.55, 0.56], [0.42, 0.28, 0.2], [0.75, 0.73, 0.68], [0.25, 0.25, 0.26]], np.float32)
    bare = bases[np.argsort(-np.abs(bases - ground).sum(1))[int(rng.integers(2))]]
    below = bare * (0.85 + 0.3 * fractal(rng, size, 24, 4)[..., None])
    paint(s, gone * (0.16 + 0.84 * severity), below.astype(np.float32), 0.2)
    s.height += gone * (0.7 * (cv2.GaussianBlur(s.height, (0, 0), 2 * u) - s.height) - u * (0.4 + 2 * severity))
    curl = on(s, np.clip(cv2.GaussianBlur(gone, (0, 0), 1.8 * u) * 2, 0, 1) * (1 - gone))
    a = rng.uniform(0, 2 * np.pi)
    moved = np.array([[1, 0, 2.2 * u * np.cos(a)], [0, 1, 2.2 * u * np.sin(a)]])
    shadow = gone * cv2.GaussianBlur(cv2.warpAffine(1 - gone, moved, (size, size), borderValue=1.0), (0, 0), 0.8 * u)
    shade(s, 0.3 * severity * curl - (0.06 + 0.5 * severity) * shadow)
    s.height += u * (0.3 + 1.8 * severity) * curl
    return gone


def blister(s: Surface, rng: Rng, severity: float) -> Field:
    """Hollow domes of the coating itself, in a crowd of several sizes; one may be split open."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng, 0.03)
    spread = size * rng.uniform(0.03, 0.08)
    nearest, rise = np.full((size, size), 9.0, np.float32), np.zeros((size, size), np.float32)
    for i in range(int(rng.integers(2, 6 + round(7 * severity)))):
        radius = size * rng.uniform(0.012, 0.02 + 0.03 * severity) * (1 if i else 1.4)
        r = radii(rng, size, rng.normal(x, spread), rng.normal(y, spread), radius, 0.15, rng.uniform(1, 1.3), 1.5, 2)
        nearest = np.minimum(nearest, r)
        rise = np.maximum(rise, radius * np.clip(1 - r * r, 0, 1))
    mask = on(s, smooth(nearest - 1, 0.15))
    s.height += on(s, (0.2 + 0.45 * severity) * rise)
    shade(s, 0.05 * mask - (0.05 + 0.12 * severity) * on(s, np.exp(-(((nearest - 1.08) / 0.12) ** 2))))
    if severity > 0.5 and rng.random() < 0.35:
        burst = mask * smooth(0.8 * float(rise.max()) - rise, 1.5 * u)
        paint(s, burst * 0.8, under(s, burst) * 0.45, 0.0)
        s.height -= 1.5 * u * burst
    return mask


def bubble(s: Surface, rng: Rng, severity: float) -> Field:
    """Air under a film or in a clear layer: round, with a dark rim and one small highlight."""
    size = s.alpha.shape[0]
    u = size / 224
    mask = np.zeros((size, size), np.float32)
    x, y = spot(s, rng, 0.03)
    a = rng.uniform(0, 2 * np.pi)
    for _ in range(int(rng.integers(1, 5))):
        radius = size * rng.uniform(0.012, 0.02 + 0.045 * severity)
        r = radii(rng, size, x, y, radius, 0.05, rng.uniform(1, 1.15), 1.4)
        inside = on(s, smooth((r - 1) * radius, 1.2))
        rim = on(s, np.exp(-(((r - 0.95) * radius / (1.1 * u)) ** 2)))
        shade(s, inside * (0.06 + 0.12 * severity) - rim * (0.15 + 0.45 * severity))
        s.height += on(s, radius * (0.2 + 0.5 * severity) * np.sqrt(np.clip(1 - r * r, 0, 1)))
        s.gloss += inside * (0.85 - s.gloss)
        glint = blob(
            rng,
            size,
            x + 0.45 * radius * np.cos(a),
            y + 0.45 * radius * np.sin(a),
            max(0.16 * radius, 0.8 * u),
            0.1,
            1.3,
        )
        paint(s, on(s, glint) * (0.3 + 0.65 * severity), (0.97, 0.97, 0.97))
        mask = np.maximum(mask, inside)
        x, y = x + rng.normal(0, 0.07 * size), y + rng.normal(0, 0.07 * size)
    return mask


def delamination(s: Surface, rng: Rng, severity: float) -> Field:
    """A layer let go: a pale lifted area with a sharp border, its gap showing faint coloured fringes."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng) if rng.random() < 0.65 else edge_spot(s, rng)
    radius = size * rng.uniform(0.05, 0.08 + 0.1 * severity)
    r = radii(rng, size, x, y, radius, 0.3, rng.uniform(1, 1.7), 1.1)
    mask = on(s, smooth((r - 1) * radius, 1.3))
    amount = min(0.75, gap(s, mask, 0.8 * severity))
    ground = under(s, mask)
    pale = 0.45 * ground + (0.5 if ground.mean() < 0.7 else 0.25)
    paint(s, mask * amount * (0.7 + 0.3 * fractal(rng, size, 8, 3)), pale, 0.5)
    phase = 2 * np.pi * (r * rng.uniform(1.5, 4) + 0.6 * fractal(rng, size, 4, 2))
    fringe = np.stack([np.sin(phase), np.sin(phase + 2.1), np.sin(phase + 4.2)], 2).astype(np.float32)
    s.albedo *= 1 + (0.02 + 0.08 * severity) * mask[..., None] * fringe
    np.clip(s.albedo, 0, 1, out=s.albedo)
    s.height += on(s, radius * (0.05 + 0.14 * severity) * np.clip(1.1 - r * r, 0, 1) ** 0.5 * (r < 1.05))
    border = on(s, np.exp(-(((r - 1) * radius / u) ** 2)))
    shade(s, -0.35 * amount * border)
    return mask


def dry_spot(s: Surface, rng: Rng, severity: float) -> Field:
    """Resin or coating did not reach: dull, pale, the texture below standing out, the border soft and feathered."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng)
    radius = size * rng.uniform(0.05, 0.08 + 0.09 * severity)
    mask = on(s, blob(rng, size, x, y, radius, 0.6, rng.uniform(1, 1.6), 0.4 * radius))
    detail = s.albedo - cv2.GaussianBlur(s.albedo, (0, 0), 3 * u)
    s.albedo += mask[..., None] * (0.5 + severity) * detail
    amount = min(0.7, gap(s, mask, 0.7 * severity))
    pores = np.clip(grain(rng, size, (0.9 * u, 0.9 * u)) - 0.8, 0, 1)
    paint(s, mask * amount, under(s, mask) * 0.45 + 0.48)
    shade(s, -mask * pores * (0.1 + 0.25 * severity))
    s.gloss *= 1 - mask
    s.height += (
        mask * (0.5 + severity) * (s.height - cv2.GaussianBlur(s.height, (0, 0), 3 * u)) - 0.4 * u * mask * pores
    )
    return smooth(0.4 - mask, 0.2)


def insulation_damage(s: Surface, rng: Rng, severity: float) -> Field:
    """The jacket is slit or crushed open: ragged raised lips around a window in which wire may show."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng, 0.04)
    angle = long_side(s) + rng.normal(0, 0.5)
    line = path(rng, x, y, size * rng.uniform(0.06, 0.1 + 0.1 * severity), jag=0.2, curve=0.3, step=3 * u, angle=angle)
    widths = (
        size
        * (0.008 + 0.035 * severity * rng.uniform(0.6, 1))
        * taper(len(line), 0.7)
        * rng.uniform(0.75, 1.2, len(line))
    )
    window = on(s, ribbon(size, line, widths + 0.8 * u))
    lips = on(s, ribbon(size, line, widths + u * (4 + 3 * severity) * taper(len(line))))
    lips = cv2.GaussianBlur(np.clip(lips - window, 0, 1), (0, 0), 0.8 * u)
    shade(s, 0.25 * (0.3 + severity) * lips)
    s.height += u * (0.4 + 3 * severity) * lips
    if severity > 0.35:
        _strands(s, rng, window, long_side(s), severity)
        shade(s, -0.6 * window * np.clip(1.4 - 1.4 * cv2.GaussianBlur(window, (0, 0), 1.5 * u), 0, 1))
    else:
        paint(s, window * (0.25 + 1.4 * severity), depth_tone(s, window, 0.3), 0.05)
        s.height -= u * (0.5 + 4 * severity) * window
    return np.maximum(window, smooth(0.4 - lips, 0.2))


def exposed_conductor(s: Surface, rng: Rng, severity: float) -> Field:
    """The jacket is missing over a length: bright stranded metal between two ragged jacket ends."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng, 0.04)
    angle = long_side(s)
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    along = (xs - x) * np.cos(angle) + (ys - y) * np.sin(angle)
    across = -(xs - x) * np.sin(angle) + (ys - y) * np.cos(angle)
    half = size * rng.uniform(0.02, 0.035 + 0.06 * severity)
    wide = size * rng.uniform(0.05, 0.09)
    # Only the jacket that was met: a neighbouring wire has another colour or lies beyond a gap.
    alike = np.abs(s.albedo - s.albedo[round(y), round(x)]).sum(2) < 0.35
    jacket = ((s.alpha > 0.5) & alike & (np.abs(across) < wide) & (np.abs(along) < half + 4 * u)).astype(np.uint8)
    jacket = cv2.morphologyEx(jacket, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, pieces = cv2.connectedComponents(jacket)
    piece = cv2.GaussianBlur((pieces == pieces[round(y), round(x)]).astype(np.float32), (0, 0), 0.7)
    ragged = (fractal(rng, size, 30, 2) - 0.5) * 5 * u
    window = on(s, piece * smooth(np.abs(along) - half + ragged, 1.5))
    _strands(s, rng, window, angle, 0.1 + 0.9 * severity)
    sides = cv2.GaussianBlur(piece, (0, 0), 3 * u)
    s.height += window * u * (1 + 4 * severity) * (sides - 1)
    shade(s, -0.5 * window * np.clip(1 - (half - np.abs(along)) / (3 * u), 0, 1))
    return window


def _strands(s: Surface, rng: Rng, window: Field, angle: float, severity: float) -> None:
    """Bare twisted wire in the window, lying along `angle` (radians)."""
    size = s.alpha.shape[0]
    u = size / 224
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    across, along = -xs * np.sin(angle) + ys * np.cos(angle), xs * np.cos(angle) + ys * np.sin(angle)
    pitch = u * rng.uniform(2.5, 4.5)
    lay = 0.5 + 0.5 * np.sin((across + 0.35 * along) / pitch * 2 * np.pi)
    metal = (_COPPER if rng.random() < 0.75 else _TINNED) * rng.uniform(0.8, 1.1)
    paint(
        s,
        window * min(1, 0.25 + severity),
        np.clip(metal * (0.35 + 0.8 * lay[..., None] ** 0.7), 0, 1).astype(np.float32),
        0.85,
    )
    s.height += window * u * (0.4 + severity) * (1.3 * lay - 1.5)


def seal_failure(s: Surface, rng: Rng, severity: float) -> Field:
    """A smooth channel that runs through a seal: its pattern is lost and it lies open, glossy or filled."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng)
    line = path(rng, x, y, size * rng.uniform(0.12, 0.18 + 0.2 * severity), curve=1.4, jag=0.12, step=4 * u)
    widths = size * (0.012 + 0.022 * severity) * rng.uniform(0.6, 1.3, len(line))
    mask = on(s, smooth(0.5 - cv2.GaussianBlur(ribbon(size, line, widths), (0, 0), 1.2 * u), 0.4))
    paint(s, mask * (0.5 + 0.5 * severity), cv2.GaussianBlur(s.albedo, (0, 0), 4 * u))
    filled = rng.random() < 0.35
    shade(s, mask * (-0.08 - (0.4 if filled else 0.2) * severity))
    s.height += mask * (cv2.GaussianBlur(s.height, (0, 0), 4 * u) - s.height)
    s.height += (1 if filled else -1) * u * (0.8 + 2.2 * severity) * cv2.GaussianBlur(mask, (0, 0), 1.5 * u)
    s.gloss += mask * (0.75 - s.gloss)
    return mask
