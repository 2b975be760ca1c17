"""Defects of the outline: pieces broken off, never filled, or standing out past it.

Each edits a flattened `Surface` in place and returns its mask, (size, size) float32 in 0..1. `severity` runs from 0
(barely visible) to 1 (plain to anyone) and drives both size and contrast.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.draw.noise import Field, Rng, fractal, grain, grid, smooth
from training.draw.strokes import (
    Tone,
    blob,
    contact_shadow,
    edge_spot,
    fills,
    gap,
    grow,
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


def chip(s: Surface, rng: Rng, severity: float) -> Field:
    """A shell-shaped piece broken off the outline: shows the raw inside, or nothing at all."""
    size = s.alpha.shape[0]
    x, y = spot(s, rng) if fills(s) and rng.random() < 0.7 else edge_spot(s, rng)
    radius = size * rng.uniform(0.03, 0.045 + 0.09 * severity)
    mask = on(s, blob(rng, size, x, y, radius, 0.35, rng.uniform(1, 1.3), 1.2))
    if not fills(s) and rng.random() < 0.5:
        _conchoid(s, rng, x, y, mask, severity)
        return np.maximum(mask, remove(s, blob(rng, size, x, y, 0.7 * radius, 0.35, rng.uniform(1, 1.3), 1.2)))
    # The blow fell on the rim of the chip, from where the ripples spread.
    a = rng.uniform(0, 2 * np.pi)
    _conchoid(s, rng, x + radius * np.cos(a), y + radius * np.sin(a), mask, severity)
    return mask


def _conchoid(s: Surface, rng: Rng, x: float, y: float, mask: Field, severity: float) -> None:
    """Fracture face: paler, with shell-like ripples around where the blow fell, and a bright sharp edge."""
    size = s.alpha.shape[0]
    u = size / 224
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    distance = np.hypot(xs - x, ys - y)
    rough = fractal(rng, size, 14, 4)
    ripples = np.sin(distance / (u * rng.uniform(2, 4)) * 2 + 6 * rough)
    raw = raw_tone(rng, s, mask, severity)
    paint(
        s,
        mask * (0.28 + 0.72 * severity),
        raw * (0.8 + 0.4 * rough + 0.03 * ripples)[..., None],
        float(rng.choice([0.05, 0.4])),
    )
    inner = cv2.GaussianBlur(mask, (0, 0), 3 * u)
    s.height -= u * mask * ((0.6 + 5 * severity) * inner + (0.3 + 0.7 * severity) * (0.35 * ripples + 2 * rough))
    edge = np.clip(cv2.dilate(mask, np.ones((3, 3))) - mask, 0, 1)
    shade(s, on(s, edge) * (0.15 + 0.3 * severity))


def broken(s: Surface, rng: Rng, severity: float) -> Field:
    """A large part of the product is gone along a jagged line; a strip of the fracture face shows."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = grid(size)
    a = rng.uniform(0, 2 * np.pi)
    solid = s.alpha > 0.5
    along = x * np.cos(a) + y * np.sin(a)
    reach = float(np.quantile(along[solid], rng.uniform(0.92 - 0.3 * severity, 0.92)))
    jag = (fractal(rng, size, 5, 5, 0.6) - 0.5) * rng.uniform(0.15, 0.4)
    depth = ((along - reach + jag) * size / 2).astype(np.float32)
    gone = smooth(-depth, 1.5)
    strip = on(s, smooth(-depth - u * rng.uniform(2, 6) * (0.5 + fractal(rng, size, 14, 2)), 1.2) * (1 - gone))
    rough = fractal(rng, size, 40, 3)
    paint(s, strip * (0.5 + 0.5 * severity), raw_tone(rng, s, strip, severity) * (0.7 + 0.6 * rough[..., None]), 0.05)
    s.height -= strip * u * (2 + 3 * rough)
    if fills(s) and rng.random() < 0.4:
        paint(s, gone, (0.85, 0.85, 0.85), 0.0)
        s.height *= 1 - gone
        return np.maximum(gone, strip)
    return np.maximum(remove(s, gone), strip)


def short_shot(s: Surface, rng: Rng, severity: float) -> Field:
    """A stretch of the outline that was never filled: missing, with smooth rounded edges."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = edge_spot(s, rng)
    gone = np.zeros((size, size), np.float32)
    nearest = np.full((size, size), 99.0, np.float32)
    for _ in range(int(rng.integers(1, 4))):
        radius = size * rng.uniform(0.035, 0.05 + 0.09 * severity)
        r = radii(rng, size, x, y, radius, 0.08, rng.uniform(1, 1.5), 1.6)
        nearest = np.minimum(nearest, (r - 1) * radius)
        x, y = x + rng.normal(0, 0.5 * radius), y + rng.normal(0, 0.5 * radius)
    gone = smooth(nearest, 1.5)
    round_edge = np.clip(1 - nearest / (4 * u), 0, 1) * (nearest > -1)
    s.height -= on(s, u * 4 * (1 - np.sqrt(np.clip(1 - round_edge**2, 0, 1))))
    s.gloss += on(s, 0.5 * round_edge) * (0.8 - s.gloss)
    return remove(s, gone)


def flash(s: Surface, rng: Rng, severity: float) -> Field:
    """A thin ragged skin of excess material standing out past the outline, or along a parting line."""
    size = s.alpha.shape[0]
    u = size / 224
    if fills(s):
        return _fin(s, rng, severity, u * (1.6 + 1.8 * severity))
    x, y = edge_spot(s, rng)
    ground = under(s, s.alpha)
    reach = 0.6 + size * (0.014 + 0.045 * severity) * (0.25 + 1.2 * fractal(rng, size, 10, 4))
    beyond = _beyond(s, rng, x, y, size * rng.uniform(0.08, 0.14 + 0.14 * severity))
    thin = np.clip(1 - beyond / np.maximum(reach, 1), 0, 1)
    colour = np.clip(ground * (1.05 + 0.25 * (1 - thin[..., None])), 0, 1).astype(np.float32)
    mask = _extend(s, smooth(beyond - reach, 1.5), colour, 0.4)
    s.height += mask * (u * (1 + 1.5 * thin) - s.height)
    return grow(mask, 0.5) if mask.sum() < 30 * u else mask


def burr(s: Surface, rng: Rng, severity: float) -> Field:
    """A thin, bright, irregular fin of metal along an edge."""
    size = s.alpha.shape[0]
    u = size / 224
    if fills(s):
        return _fin(s, rng, severity, u * (1 + 1.2 * severity))
    x, y = edge_spot(s, rng)
    ground = under(s, s.alpha)
    teeth = np.clip(grain(rng, size, (2.2 * u, 2.2 * u)) * 0.5 + 0.9, 0.3, 2.0)
    reach = (0.6 + u * (0.8 + 2.2 * severity)) * teeth
    radius = size * rng.uniform(0.07, 0.12 + 0.15 * severity)
    beyond = _beyond(s, rng, x, y, radius)
    inside = cv2.distanceTransform((s.alpha > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    lip = on(s, smooth(inside - 1.2 - 1.4 * u, 1.5) * (np.hypot(xs - x, ys - y) < radius))
    bright = np.clip(ground * 1.2 + 0.1, 0, 1).astype(np.float32)
    paint(s, lip * (0.3 + 0.4 * severity), bright, 0.85)
    fin = _extend(s, smooth(beyond - reach, 1.2), bright, 0.85)
    s.height += u * (0.5 + severity) * (fin + lip) * teeth
    return np.maximum(fin, lip)


def _fin(s: Surface, rng: Rng, severity: float, width: float) -> Field:
    """A raised ragged line, where the product has no outline to carry it."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng)
    line = path(rng, x, y, size * rng.uniform(0.15, 0.25 + 0.3 * severity), curve=0.15, step=2.5 * u)
    uneven = np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, 12), rng.uniform(0.3, 1.4, 12))
    widths = width * uneven * taper(len(line), 0.5)
    fin = on(s, ribbon(size, line, widths))
    contact_shadow(s, fin, rng, 1.2 * u, 0.2 + 0.4 * severity)
    paint(s, fin * (0.35 + 0.6 * severity), tone(rng, s, fin, gap(s, fin, severity), 1), 0.8)
    s.height += u * (0.6 + 1.6 * severity) * cv2.GaussianBlur(fin, (0, 0), 0.6 * u)
    return np.maximum(fin, on(s, ribbon(size, line, widths + u)))


def _beyond(s: Surface, rng: Rng, x: float, y: float, radius: float) -> Field:
    """How far, in pixels, each place within `radius` of (x, y) lies outside the outline; far beyond `radius`."""
    outside = cv2.distanceTransform((s.alpha < 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    ys, xs = np.mgrid[0 : s.alpha.shape[0], 0 : s.alpha.shape[1]].astype(np.float32)
    near = np.clip(1.2 - (np.hypot(xs - x, ys - y) / radius) ** 2, 0, 1)
    return np.asarray(np.where(near > 0, outside / np.maximum(near, 1e-3), 99), np.float32)


def _extend(s: Surface, fin: Field, colour: Tone | NDArray[np.float32], gloss: float) -> Field:
    """Let material stand out past the outline; returns what was added, (size, size)."""
    added = np.asarray(fin * (s.alpha < 0.5), np.float32)
    paint(s, fin * (1 - s.alpha), colour, gloss)
    s.alpha[:] = np.maximum(s.alpha, fin)
    return added
