"""Defects that colour a surface or wear it: no body of their own, next to no relief.

Each edits a flattened `Surface` in place and returns its mask, (size, size) float32 in 0..1. `severity` runs from 0
(barely visible) to 1 (plain to anyone) and drives both size and contrast.
"""

from __future__ import annotations

import cv2
import numpy as np

from training.draw.noise import Field, Rng, fractal, smooth, value_noise
from training.draw.strokes import (
    beside,
    blob,
    edge_spot,
    fills,
    filter_tint,
    gap,
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

_FILMS = np.array(
    [[0.45, 0.3, 0.16], [0.65, 0.55, 0.3], [0.4, 0.4, 0.42], [0.2, 0.18, 0.17], [0.3, 0.35, 0.55], [0.55, 0.25, 0.25]],
    np.float32,
)  # fmt: skip


def scratch(s: Surface, rng: Rng, severity: float) -> Field:
    """A direct thin line: a groove, with the burr it threw up along one side."""
    size = s.alpha.shape[0]
    u = max(size / 224, 0.5)
    x, y = spot(s, rng)
    angle = rng.uniform(0, 2 * np.pi)
    groove, burr, mask = (np.zeros((size, size), np.float32) for _ in range(3))
    way = 1 if rng.random() < 0.6 else -1
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        length = size * rng.uniform(0.1, 0.25 + 0.45 * severity)
        cx, cy = rng.normal((x, y), 6 * u)
        curve = float(rng.choice([0.02, 0.3, 0.8]))
        line = path(rng, cx, cy, length, curve=curve, step=4 * u, angle=angle + rng.normal(0, 0.12))
        width = u * (0.7 + rng.uniform(0.2, 1.5) * severity)
        press = np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, 7), rng.uniform(0.35, 1, 7))
        widths = width * press * taper(len(line), 0.3)
        groove = np.maximum(groove, ribbon(size, line, widths))
        burr = np.maximum(burr, ribbon(size, beside(line, 0.8 * width + 0.3 * u), 0.6 * widths))
        mask = np.maximum(mask, ribbon(size, line, np.maximum(widths, 0.4 * u) + 1.2 * u))
    groove, burr, mask = on(s, groove), on(s, burr), on(s, mask)
    amount = gap(s, groove, severity)
    paint(s, groove * min(1, 0.45 + severity), tone(rng, s, groove, amount, way), 0.5 if way > 0 else 0.1)
    paint(s, burr * min(1, 0.35 + severity), tone(rng, s, groove, amount, -way), 0.6)
    s.height += u * (0.4 + 1.6 * severity) * (0.6 * burr - groove)
    return mask


def scuff(s: Surface, rng: Rng, severity: float) -> Field:
    """Many fine parallel marks on a dulled patch."""
    size = s.alpha.shape[0]
    x, y = spot(s, rng)
    patch = on(
        s, blob(rng, size, x, y, size * rng.uniform(0.05, 0.09 + 0.1 * severity), 0.5, rng.uniform(1, 1.6), 0.05 * size)
    )
    marks = streaks(rng, size, size / 18, size / 400, rng.uniform(0, np.pi))
    amount = gap(s, patch, severity)
    lines = patch * np.clip(marks - 0.3, 0, 1.6)
    paint(
        s, np.clip(lines * (0.4 + 0.5 * severity), 0, 1), tone(rng, s, patch, amount, 1 if rng.random() < 0.7 else -1)
    )
    paint(s, patch * 0.35 * (0.8 + severity), tone(rng, s, patch, 0.5 * amount, 1))
    s.gloss += patch * (0.3 + 0.7 * severity) * (0.05 - s.gloss)
    s.height += size / 224 * (0.12 + 0.3 * severity) * lines
    return smooth(0.4 - patch, 0.3)


def wear(s: Surface, rng: Rng, severity: float) -> Field:
    """A rubbed area: texture gone, polished along one direction, thinned to a paler tone in the middle."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng) if fills(s) or rng.random() < 0.4 else edge_spot(s, rng)
    r = radii(rng, size, x, y, size * rng.uniform(0.07, 0.11 + 0.12 * severity), 0.3, rng.uniform(1.1, 1.8), 1.3)
    mask = on(s, smooth(r - 0.9, 0.6))
    lines = streaks(rng, size, 12 * u, 0.5 * u, rng.uniform(0, np.pi))
    amount = min(0.8, gap(s, mask, severity))
    flat = cv2.GaussianBlur(s.albedo, (0, 0), 4 * u)
    paint(s, mask * (0.3 + 0.6 * severity), flat)
    ground = under(s, mask)
    bare = np.clip(ground + (0.75 - ground.mean()) * 0.9, 0, 1) if ground.mean() < 0.6 else ground * 0.6
    paint(s, mask * amount * np.clip(0.75 + 0.25 * lines, 0, 1) * np.clip(1.5 - r, 0, 1), bare)
    s.gloss += mask * (0.35 + 0.4 * severity) * (0.7 - s.gloss)
    s.height += mask * (0.8 * (cv2.GaussianBlur(s.height, (0, 0), 4 * u) - s.height) + u * 0.2 * severity * lines)
    return smooth(0.4 - mask, 0.2)


def uneven(s: Surface, rng: Rng, severity: float) -> Field:
    """A patch whose texture was rubbed, smeared or lost its finish."""
    size = s.alpha.shape[0]
    x, y = spot(s, rng)
    mask = on(
        s,
        blob(rng, size, x, y, size * rng.uniform(0.08, 0.12 + 0.12 * severity), 0.5, rng.uniform(1, 1.6), 0.03 * size),
    )
    sigma = size / 224 * (1.2 + 4 * severity)
    tone_shift = 1 + float(rng.choice([-1, 1])) * rng.uniform(0.05, 0.09 + 0.2 * severity)
    paint(s, mask * (0.5 + 0.5 * severity), np.clip(cv2.GaussianBlur(s.albedo, (0, 0), sigma) * tone_shift, 0, 1))
    s.height += mask * (cv2.GaussianBlur(s.height, (0, 0), sigma) - s.height)
    s.height += mask * size / 224 * (0.4 + 1.6 * severity) * (fractal(rng, size, 12, 2) - 0.5)
    s.gloss += mask * (rng.uniform(0, 0.9) - s.gloss)
    return mask


def weave_fault(s: Surface, rng: Rng, severity: float) -> Field:
    """A band along the structure where threads are shifted, doubled or missing."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng)
    width, length = size * rng.uniform(0.01, 0.02 + 0.02 * severity), size * rng.uniform(0.2, 0.4 + 0.4 * severity)
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    across, along = (ys - y, xs - x) if rng.random() < 0.5 else (xs - x, ys - y)
    across = across + width * 0.6 * (value_noise(rng, size, (12, 12)) - 0.5)
    mask = on(s, smooth(np.abs(across) - width, 1.5 * u) * smooth(np.abs(along) - length / 2, 0.25 * length))
    axis = int(rng.integers(2))
    step = int(rng.integers(3, 12)) * max(1, round(u))
    sign = float(rng.choice([-1, 1]))
    shifted = np.roll(s.albedo, step, axis=axis) * (1 + sign * min(0.7, 0.8 * gap(s, mask, severity)))
    paint(s, mask * (0.5 + 0.5 * severity), np.clip(shifted, 0, 1))
    raised = u * (0.6 + 1.4 * severity) * np.sqrt(np.clip(1 - (across / width) ** 2, 0, 1))
    s.height += mask * (0.6 * (np.roll(s.height, step, axis=axis) - s.height) + sign * raised)
    return mask


def chatter_mark(s: Surface, rng: Rng, severity: float) -> Field:
    """Evenly repeated light and dark bands that a trembling tool leaves."""
    size = s.alpha.shape[0]
    u = size / 224
    x, y = spot(s, rng)
    angle = float(rng.choice([0, np.pi / 2])) + rng.normal(0, 0.15)
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    along = (xs - x) * np.cos(angle) + (ys - y) * np.sin(angle)
    across = -(xs - x) * np.sin(angle) + (ys - y) * np.cos(angle)
    half, wide = size * rng.uniform(0.08, 0.14 + 0.16 * severity), size * rng.uniform(0.04, 0.16)
    mask = on(s, smooth(np.abs(along) - half, 0.06 * size) * smooth(np.abs(across) - wide, 0.04 * size))
    pitch = u * rng.uniform(4, 9)
    waves = np.sin((along + 0.15 * np.abs(across)) / pitch * 2 * np.pi)
    waves *= 0.75 + 0.5 * value_noise(rng, size, (5, 40))
    s.height += mask * pitch * (0.03 + 0.09 * severity) * waves
    shade(s, mask * min(0.4, 0.6 * gap(s, mask, 0.7 * severity)) * waves)
    return smooth(0.4 - mask, 0.2)


def stain(s: Surface, rng: Rng, severity: float) -> Field:
    """A dried film: follows no relief, and its edge is darker than its middle."""
    size = s.alpha.shape[0]
    x, y = spot(s, rng)
    radius = size * rng.uniform(0.03, 0.06 + 0.12 * severity)
    drops = [(x, y, radius)]
    for _ in range(int(rng.choice([0, 0, 1, 3]))):
        a, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.7) * radius
        drops.append((x + far * np.cos(a), y + far * np.sin(a), radius * rng.uniform(0.15, 0.5)))
    film, mask = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    ringed = rng.uniform(0.15, 1)
    for cx, cy, reach in drops:
        r = radii(rng, size, cx, cy, reach, rng.uniform(0.08, 0.35), rng.uniform(1, 1.3), 1.2)
        inside = smooth((r - 1) * reach, 1.5)
        ring = np.exp(-(np.clip((1 - r) * reach / (1.2 + 0.1 * reach), 0, 9) ** 1.2))
        film = np.maximum(film, inside * (1 - 0.65 * ringed + 0.65 * ringed * ring))
        mask = np.maximum(mask, inside)
    film, mask = on(s, film), on(s, mask)
    amount = min(0.95, 1.25 * gap(s, mask, severity))
    if under(s, mask).mean() > 0.22:
        filter_tint(s, film * amount, _FILMS[int(rng.integers(len(_FILMS)))])
    else:
        paint(s, film * amount * 0.7, (0.62, 0.6, 0.55))
    s.gloss += film * (0.3 + 0.6 * severity) * (float(rng.choice([0.05, 0.55])) - s.gloss)
    return mask


def discolouration(s: Surface, rng: Rng, severity: float) -> Field:
    """A wide drift of colour without an edge: yellowed, browned, bleached, or tempered by heat."""
    size = s.alpha.shape[0]
    x, y = spot(s, rng)
    r = radii(rng, size, x, y, size * rng.uniform(0.1, 0.16 + 0.14 * severity), 0.35, rng.uniform(1, 1.5), 1.9, 3)
    veil = on(s, np.exp(-((r / 1.0) ** 2) * 0.9) * smooth(r - 1.9, 0.5))
    amount = min(0.9, 0.15 + 0.85 * severity)
    kind = int(rng.integers(4))
    if kind == 0:
        filter_tint(s, veil * amount, (0.92, 0.74, 0.36))
    elif kind == 1:
        filter_tint(s, veil * amount, (0.58, 0.42, 0.32))
    elif kind == 2 and under(s, veil).mean() < 0.6:
        paint(s, veil * amount * 0.6, under(s, veil) * 0.3 + 0.6)
    else:
        hue = np.array([[0.75, 0.55, 0.3], [0.5, 0.38, 0.55], [0.42, 0.55, 0.75]], np.float32)
        band = np.clip(2 - 2 * r, 0, 2)
        colours = hue[0] * np.clip(1 - band, 0, 1)[..., None] + hue[1] * np.clip(1 - np.abs(band - 1), 0, 1)[..., None]
        colours += hue[2] * np.clip(band - 1, 0, 1)[..., None]
        s.albedo *= 1 - (veil * amount)[..., None] * (1 - colours)
    return smooth(0.4 - veil, 0.1)


def burn(s: Surface, rng: Rng, severity: float) -> Field:
    """Charred in the middle, then brown, then a yellowish scorch that fades out."""
    size = s.alpha.shape[0]
    x, y = spot(s, rng)
    radius = size * rng.uniform(0.05, 0.08 + 0.1 * severity)
    r = radii(rng, size, x, y, radius, 0.35, rng.uniform(1, 1.5), 1.8)
    heat = on(s, np.clip(1.5 - r, 0, 1.5) / 1.5)
    filter_tint(s, np.clip(heat * 2.2, 0, 1) * (0.12 + 0.78 * severity), (0.78, 0.56, 0.3))
    filter_tint(s, smooth(0.4 - heat, 0.35) * (0.12 + 0.8 * severity), (0.4, 0.24, 0.15))
    char = smooth(0.85 - 0.3 * severity - heat + 0.25 * (fractal(rng, size, 22, 3) - 0.5), 0.2)
    paint(s, char * (0.05 + 0.9 * severity), (0.045, 0.04, 0.038), 0.1)
    s.height -= size / 224 * char * severity * 2.5 * fractal(rng, size, 30, 3)
    s.gloss *= 1 - 0.7 * heat * severity
    return smooth(0.28 - heat, 0.12)


def mura(s: Surface, rng: Rng, severity: float) -> Field:
    """A cloud or band of brightness without any edge."""
    size = s.alpha.shape[0]
    x, y = spot(s, rng)
    r = radii(rng, size, x, y, size * rng.uniform(0.1, 0.2), 0.25, float(rng.choice([1.0, 1.3, 2.2])), 2.0, 2)
    cloud = on(s, np.exp(-1.1 * r * r) * smooth(r - 1.8, 0.8))
    change = float(rng.choice([-1, 1])) * (0.07 + 0.35 * severity)
    s.albedo *= 1 + change * cloud[..., None] * (1 + rng.normal(0, 0.1, 3)).astype(np.float32)
    np.clip(s.albedo, 0, 1, out=s.albedo)
    return smooth(0.4 - cloud, 0.1)


def colour_mismatch(s: Surface, rng: Rng, severity: float) -> Field:
    """A whole area in another shade, with straight borders: a wrong batch, ink density or film."""
    size = s.alpha.shape[0]
    x, y = spot(s, rng)
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    a = rng.uniform(0, np.pi) if rng.random() < 0.4 else float(rng.choice([0, np.pi / 2]))
    across, along = (xs - x) * np.cos(a) + (ys - y) * np.sin(a), -(xs - x) * np.sin(a) + (ys - y) * np.cos(a)
    style = int(rng.integers(3))
    width = size * rng.uniform(0.08, 0.3)
    inside = (
        smooth(across, 1.5) if style == 0 else smooth(np.abs(across) - width, 1.5)
        if style == 1 else smooth(np.maximum(np.abs(across) - width, np.abs(along) - size * rng.uniform(0.08, 0.3)), 1.5)
    )  # fmt: skip
    mask = on(s, inside)
    amount = 0.06 + 0.26 * severity
    tint = rng.uniform(-1, 1) + rng.normal(0, 0.5, 3)
    tint = tint / max(float(np.abs(tint).max()), 0.3)
    s.albedo *= 1 + amount * mask[..., None] * np.minimum(tint, 0.9).astype(np.float32)
    np.clip(s.albedo, 0, 1, out=s.albedo)
    return mask


def dead_pixel(s: Surface, rng: Rng, severity: float) -> Field:
    """One to four exact dots of a display that stay dark, lit, or stuck at one colour."""
    size = s.alpha.shape[0]
    u = size / 224
    mask = np.zeros((size, size), np.float32)
    x, y = spot(s, rng, 0.02)
    side = max(2, round(u * rng.uniform(3, 4 + 2 * severity)))
    colour = [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, 0.1, 0.1), (0.1, 1.0, 0.2), (0.2, 0.3, 1.0)][
        int(rng.choice([0, 0, 0, 1, 2, 3, 4]))
    ]
    wide = side if rng.random() < 0.7 else max(1, side // 2)
    for _ in range(int(rng.choice([1, 1, 2, 4]))):
        left, top = round(x), round(y)
        mask[top : top + side, left : left + wide] = 1
        x = float(np.clip(x + int(rng.integers(-4, 5)) * side, 2, size - 2 - side))
        y = float(np.clip(y + int(rng.integers(-4, 5)) * side, 2, size - 2 - side))
    paint(s, on(s, mask) * (0.35 + 0.65 * severity), colour)
    return on(s, cv2.dilate(mask, np.ones((3, 3))))


def inactive_area(s: Surface, rng: Rng, severity: float) -> Field:
    """A region that gives no light: dark as a whole, bounded by straight runs of a crack."""
    size = s.alpha.shape[0]
    x, y = spot(s, rng)
    count = int(rng.integers(3, 7))
    turns = rng.uniform(0, 2 * np.pi) + (np.arange(count) + rng.uniform(-0.25, 0.25, count)) * 2 * np.pi / count
    reach = size * (0.07 + 0.17 * severity * rng.uniform(0.5, 1)) * rng.uniform(0.7, 1.4, count)
    corners = np.stack([x + reach * np.cos(turns), y + reach * np.sin(turns)], 1)
    mask = np.zeros((size, size), np.float32)
    cv2.fillPoly(mask, [np.round(corners * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    mask = on(s, mask)
    shade(s, -min(0.92, 0.02 + gap(s, mask, 1.4 * severity)) * mask * (0.9 + 0.2 * value_noise(rng, size, (3, 3))))
    return mask
