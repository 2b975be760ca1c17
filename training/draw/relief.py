"""Defects of form: the surface is pushed, raised, creased or moved, and mostly only shading shows it.

Each edits a flattened `Surface` in place and returns its mask, (size, size) float32 in 0..1. `severity` runs from 0
(barely visible) to 1 (plain to anyone) and drives both size and contrast.
"""

from __future__ import annotations

import cv2
import numpy as np

from training.draw.noise import Field, Rng, grain, smooth, value_noise
from training.draw.strokes import (
    blob,
    contact_shadow,
    displace,
    edge_spot,
    fills,
    gap,
    grow,
    long_side,
    moved_mask,
    on,
    path,
    radii,
    ribbon,
    shade,
    spot,
    taper,
    tone,
    under,
)
from training.draw.surface import Surface, paint


def dent(s: Surface, rng: Rng, severity: float) -> Field:
    """A smooth hollow with a slightly raised rim; only light and shade show it."""
    size = s.alpha.shape[0]
    radius = size * rng.uniform(0.03, 0.05 + 0.07 * severity)
    x, y = spot(s, rng, 0.04)
    r = radii(rng, size, x, y, radius, float(rng.choice([0.05, 0.12, 0.22])), rng.uniform(1, 1.5), 1.9, 1)
    bowl = np.clip(1 - r * r, 0, 1) ** float(rng.choice([1.2, 2.0]))
    rim = np.exp(-(((r - 1.15) / 0.3) ** 2))
    s.height += on(s, radius * (0.16 + 0.45 * severity) * (0.15 * rim - bowl))
    shade(s, on(s, -(0.03 + 0.09 * severity) * bowl))
    return on(s, smooth(r - 1.05, 0.3))


def sink_mark(s: Surface, rng: Rng, severity: float) -> Field:
    """A wide, very shallow hollow without a rim."""
    size = s.alpha.shape[0]
    x, y = spot(s, rng, 0.05)
    radius = size * rng.uniform(0.06, 0.12)
    r = radii(rng, size, x, y, radius, 0.1, float(rng.choice([1.0, 1.2, 2.2])), 2.0, 1)
    hollow = on(s, np.exp(-1.4 * r * r) * smooth(r - 1.7, 0.8))
    s.height -= radius * (0.1 + 0.3 * severity) * hollow
    shade(s, -(0.02 + 0.07 * severity) * hollow)
    return smooth(0.35 - hollow, 0.1)


def wrinkle(s: Surface, rng: Rng, severity: float) -> Field:
    """Soft rounded ridges that run side by side and fade at their ends."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng)
    angle = rng.uniform(0, 2 * np.pi)
    ridge = np.zeros((size, size), np.float32)
    width = size * rng.uniform(0.012, 0.022)
    for i in range(int(rng.choice([1, 2, 3, 4]))):
        off = (i * rng.uniform(1.8, 3.2) + rng.normal(0, 0.3)) * width
        at = (x - off * np.sin(angle), y + off * np.cos(angle))
        length = size * rng.uniform(0.15, 0.25 + 0.35 * severity)
        line = path(rng, *at, length, curve=0.7, jag=0.06, step=5 * u, angle=angle + rng.normal(0, 0.15))
        ridge = np.maximum(ridge, ribbon(size, line, width * taper(len(line), 0.7)))
    ridge = on(s, cv2.GaussianBlur(ridge, (0, 0), 0.55 * width))
    valley = on(s, np.clip(cv2.GaussianBlur(ridge, (0, 0), 0.8 * width) - 0.6 * ridge, 0, 1))
    s.height += width * (0.35 + 0.95 * severity) * ridge
    shade(s, 0.08 * severity * ridge - (0.05 + 0.3 * severity) * valley)
    return smooth(0.3 - ridge, 0.2)


def fold(s: Surface, rng: Rng, severity: float) -> Field:
    """A sharp crease across the piece: one flank lit, one in shade, the crest rubbed pale."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng)
    angle = rng.uniform(0, 2 * np.pi)
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    across = -(xs - x) * np.sin(angle) + (ys - y) * np.cos(angle)
    along = (xs - x) * np.cos(angle) + (ys - y) * np.sin(angle)
    across = across + rng.uniform(-0.6, 0.6) * along**2 / size + 1.5 * u * (value_noise(rng, size, (6, 6)) - 0.5)
    half = size * rng.uniform(0.12, 0.2 + 0.3 * severity)
    reach = np.clip(1.15 - (along / half) ** 2, 0, 1)
    width = size * rng.uniform(0.015, 0.035)
    slope = np.exp(-np.abs(across) / width) * reach
    s.height += on(s, float(rng.choice([1, 1, -1])) * width * (0.3 + 0.9 * severity) * slope)
    side = float(rng.choice([-1, 1])) * np.clip(across / (0.5 * width), -1, 1) * slope
    shade(s, on(s, (0.04 + 0.22 * severity) * side))
    crest = on(s, np.exp(-((across / (0.8 * u)) ** 2)) * reach)
    paint(s, crest * (0.2 + 0.5 * severity), tone(rng, s, crest, gap(s, crest, 0.7 * severity), 1), 0.1)
    return on(s, smooth(0.3 - slope, 0.15))


def orange_peel(s: Surface, rng: Rng, severity: float) -> Field:
    """A patch of close dimples that breaks up reflections."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng)
    mask = on(
        s, blob(rng, size, x, y, size * rng.uniform(0.1, 0.16 + 0.16 * severity), 0.4, rng.uniform(1, 1.5), 0.08 * size)
    )
    pitch = u * rng.uniform(1.6, 2.8)
    # Without the long waves of the noise the dimples are of one size, as drying paint leaves them.
    dimples = grain(rng, size, (pitch, pitch))
    dimples -= cv2.GaussianBlur(dimples, (0, 0), 2 * pitch)
    dimples /= max(float(dimples.std()), 1e-6)
    s.height += mask * pitch * (0.14 + 0.28 * severity) * np.clip(dimples, -1.6, 0.7)
    shade(s, mask * (0.02 + 0.04 * severity) * np.clip(dimples, -1.5, 1))
    return smooth(0.4 - mask, 0.2)


def cold_shut(s: Surface, rng: Rng, severity: float) -> Field:
    """A smooth curved seam with rounded shoulders where two streams of material met without joining."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng)
    line = path(rng, x, y, size * rng.uniform(0.18, 0.3 + 0.4 * severity), curve=1.4, step=4 * u)
    widths = u * (1.2 + 1.1 * severity) * taper(len(line), 0.4)
    seam = on(s, cv2.GaussianBlur(ribbon(size, line, widths), (0, 0), 0.8 * u))
    shoulder = on(s, cv2.GaussianBlur(ribbon(size, line, 4 * widths), (0, 0), 1.6 * u))
    s.height += u * ((0.5 + 0.7 * severity) * shoulder - (1 + 1.4 * severity) * seam)
    shade(s, -min(0.55, gap(s, seam, 0.8 * severity)) * seam)
    return smooth(0.4 - np.maximum(seam, 0.7 * shoulder), 0.3)


def fray(s: Surface, rng: Rng, severity: float) -> Field:
    """Structure pulled out of order, with loose fibres that stand off and throw fine shadows."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng) if fills(s) or rng.random() < 0.5 else edge_spot(s, rng)
    radius = size * rng.uniform(0.04, 0.06 + 0.07 * severity)
    patch = blob(rng, size, x, y, radius, 0.4, rng.uniform(1, 1.8), 0.8 * radius)
    amount = size * (0.015 + 0.04 * severity)
    ground = under(s, on(s, patch))
    displace(s, *((value_noise(rng, size, (16, 16)) - 0.5) * 2 * amount * patch for _ in range(2)))
    lead = rng.uniform(0, 2 * np.pi)
    hairs, tones = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(6, 10 + round(18 * severity)))):
        root = (x + rng.normal(0, 0.6 * radius), y + rng.normal(0, 0.6 * radius))
        line = path(
            rng, *root, radius * rng.uniform(0.5, 1.6), curve=rng.uniform(0.5, 3), jag=0.1, step=2.5 * u,
            angle=lead + rng.normal(0, 0.8), centred=False,
        )  # fmt: skip
        hair = ribbon(size, line, u * rng.uniform(0.7, 1.3) * np.linspace(1, 0.4, len(line)))
        tones = np.where(hair > hairs, rng.uniform(-0.15, 1), tones).astype(np.float32)
        hairs = np.maximum(hairs, hair)
    contact_shadow(s, hairs, rng, 1.3 * u, 0.25 + 0.35 * severity)
    way = 0.35 if ground.mean() < 0.7 else -0.35
    colour = ground * (1 + way * tones[..., None]) + 0.3 * way * tones[..., None]
    paint(s, hairs * (0.45 + 0.5 * severity), np.clip(colour, 0, 1).astype(np.float32), 0.1)
    s.height += 0.8 * u * hairs
    s.alpha[:] = np.maximum(s.alpha, hairs)
    inside = np.maximum(on(s, patch) * 0.9, np.clip(1.6 * cv2.GaussianBlur(hairs, (0, 0), 1.5 * u), 0, 1))
    return smooth(0.35 - inside, 0.2)


def deformation(s: Surface, rng: Rng, severity: float) -> Field:
    """The shape itself is bent or squeezed locally."""
    size = s.alpha.shape[0]
    before = s.copy()
    x, y = spot(s, rng) if fills(s) else edge_spot(s, rng)
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    radius = size * rng.uniform(0.08, 0.16)
    bell = np.exp(-(((xs - x) ** 2 + (ys - y) ** 2) / (2 * radius**2))).astype(np.float32)
    a, push = rng.uniform(0, 2 * np.pi), size * (0.03 + 0.08 * severity)
    displace(s, bell * push * np.cos(a), bell * push * np.sin(a))
    s.height += on(s, bell * radius * 0.15 * (0.3 + severity) * float(rng.choice([-1, 1])))
    return moved_mask(before, s)


def bend(s: Surface, rng: Rng, severity: float) -> Field:
    """The product leaves its straight line sideways, over a part of its length."""
    size = s.alpha.shape[0]
    before = s.copy()
    angle = long_side(s) if not fills(s) and rng.random() < 0.9 else rng.uniform(0, np.pi)
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    along = (xs - size / 2) * np.cos(angle) + (ys - size / 2) * np.sin(angle)
    amount = size * (0.025 + 0.1 * severity) * float(rng.choice([-1, 1]))
    if rng.random() < 0.6:  # the end leans away
        along = along if rng.random() < 0.5 else -along
        reach = float(np.percentile(along[s.alpha > 0.5], 99)) if s.alpha.any() else size / 2
        start = reach * rng.uniform(0.0, 0.4)
        push = amount * np.clip((along - start) / max(reach - start, 1), 0, 1.2) ** 1.6
    else:  # a kink in the middle
        push = (
            amount * 0.7 * np.exp(-(((along - rng.uniform(-0.2, 0.2) * size) / (size * rng.uniform(0.06, 0.14))) ** 2))
        )
    displace(s, -push * np.sin(angle), push * np.cos(angle))
    return np.asarray(moved_mask(before, s) * (np.abs(push) > 0.08 * np.abs(amount)), np.float32)


def misalignment(s: Surface, rng: Rng, severity: float) -> Field:
    """One side of a line, or a strip, sits a step away from where it belongs."""
    size = s.alpha.shape[0]
    u = size / 224
    before = s.copy()
    x, y = spot(s, rng)
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    angle = float(rng.choice([0, np.pi / 2])) + rng.normal(0, 0.05)
    across = -(xs - x) * np.sin(angle) + (ys - y) * np.cos(angle)
    zone = smooth(np.abs(across) - size * rng.uniform(0.05, 0.14), 1.2) if rng.random() < 0.6 else smooth(across, 1.2)
    step = u * (2.5 + 8 * severity) * float(rng.choice([-1, 1]))
    displace(s, zone * step * np.cos(angle), zone * step * np.sin(angle))
    seam = on(s, 4 * zone * (1 - zone))
    shade(s, -(0.1 + 0.4 * severity) * seam)
    s.height -= 1.5 * u * seam
    shifted = moved_mask(before, s) * (grow(zone, 1) > 0.1)
    return np.asarray(np.maximum(shifted, smooth(0.4 - seam, 0.2)), np.float32)
