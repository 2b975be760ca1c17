"""Defects that change the surface itself. Each edits a flattened `Surface` in place and returns its mask.

`severity` runs from 0 (barely visible) to 1 (plain to anyone) and drives both size and contrast. Masks are (size, size)
float32 coverage, 0..1; the caller thresholds them.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from training.draw.noise import Field, Rng, cells, fractal, grain, grid, smooth, value_noise
from training.draw.surface import Colour, Surface, paint

SurfaceDefect = Callable[[Surface, Rng, float], Field]


def _spot(surface: Surface, rng: Rng, margin: float = 0.0) -> tuple[float, float]:
    """A random point on the product, `margin` (fraction of the size) away from its outline, in pixels."""
    size = surface.alpha.shape[0]
    inside = (surface.alpha > 0.9).astype(np.uint8)
    frame = max(2, round(0.04 * size))
    inside[:frame] = inside[-frame:] = 0
    inside[:, :frame] = inside[:, -frame:] = 0
    if margin > 0:
        distance = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
        deep = distance > min(margin * size, 0.8 * float(distance.max()))
        inside = deep.astype(np.uint8) if deep.any() else inside
    ys, xs = np.nonzero(inside)
    if len(xs) == 0:
        return size / 2, size / 2
    i = int(rng.integers(len(xs)))
    return float(xs[i]), float(ys[i])


def _edge_spot(surface: Surface, rng: Rng) -> tuple[float, float]:
    """A random point on the outline of the product, or on the frame when it fills the picture."""
    size = surface.alpha.shape[0]
    solid = (surface.alpha > 0.5).astype(np.uint8)
    if solid.mean() > 0.97:
        t = rng.uniform(0.1, 0.9) * size
        return [(t, 0.0), (t, size - 1.0), (0.0, t), (size - 1.0, t)][int(rng.integers(4))]
    rim = solid - cv2.erode(solid, np.ones((3, 3), np.uint8))
    ys, xs = np.nonzero(rim)
    i = int(rng.integers(len(xs)))
    return float(xs[i]), float(ys[i])


def _blob(rng: Rng, size: int, x: float, y: float, radius: float, rough: float = 0.45, stretch: float = 1.0) -> Field:
    """Irregular soft-edged patch around (x, y), (size, size) in 0..1."""
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    a = rng.uniform(0, np.pi)
    u = (xs - x) * np.cos(a) + (ys - y) * np.sin(a)
    v = -(xs - x) * np.sin(a) + (ys - y) * np.cos(a)
    r = np.hypot(u / stretch, v * stretch) / radius
    r = r * (1 + rough * (fractal(rng, size, max(3, size / radius / 2.5), 3) - 0.5) * 2)
    return smooth(r - 1, max(0.1, 1.5 / radius))


def _stroke(
    rng: Rng, size: int, x: float, y: float, length: float, width: float, wander: float, steps: int = 24
) -> Field:
    """A line through (x, y) whose direction drifts by up to `wander` radians a step; width in pixels."""
    out = np.zeros((size, size), np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    points = []
    for sign in (1, -1):
        px, py, a = x, y, angle + (0 if sign > 0 else np.pi)
        side = [(px, py)]
        for _ in range(steps // 2):
            a += rng.normal(0, wander)
            px, py = px + np.cos(a) * length / steps, py + np.sin(a) * length / steps
            side.append((px, py))
        points.append(side)
    line = (np.asarray(points[1][::-1] + points[0][1:]) * 16).astype(np.int32)
    cv2.polylines(out, [line], False, 1.0, max(1, round(width)), cv2.LINE_AA, 4)
    return out * min(1.0, width) if width < 1 else out


def _on(surface: Surface, mask: Field) -> Field:
    return mask * (surface.alpha > 0.5)


def _contrast(rng: Rng, surface: Surface, mask: Field, severity: float, direction: float | None = None) -> Colour:
    """A colour that stands off from what lies under the mask, more so with severity."""
    under = surface.albedo[mask > 0.3].mean(0) if np.any(mask > 0.3) else np.full(3, 0.5)
    gap = 0.12 + 0.5 * severity
    sign = direction if direction is not None else float(rng.choice([-1, 1]))
    if sign > 0 and under.mean() > 0.75:
        sign = -1
    if sign < 0 and under.mean() < 0.2:
        sign = 1
    r, g, b = np.clip(under * (1 + sign * gap) + sign * 0.5 * gap * 0.4 + rng.normal(0, 0.03, 3), 0, 1)
    return float(r), float(g), float(b)


def scratch(s: Surface, rng: Rng, severity: float) -> Field:
    size = s.alpha.shape[0]
    mask = np.zeros((size, size), np.float32)
    x, y = _spot(s, rng)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        length = size * rng.uniform(0.12, 0.3 + 0.4 * severity)
        mask = np.maximum(
            mask,
            _stroke(
                rng, size, x + rng.normal(0, 5), y + rng.normal(0, 5), length, 0.6 + 1.8 * severity * rng.random(), 0.03
            ),
        )
    mask = _on(s, mask)
    paint(s, mask * (0.35 + 0.6 * severity), _contrast(rng, s, mask, severity), 0.6)
    s.height -= mask * (1 + 2 * severity)
    return mask


def crack(s: Surface, rng: Rng, severity: float) -> Field:
    size = s.alpha.shape[0]
    x, y = _spot(s, rng) if rng.random() < 0.6 else _edge_spot(s, rng)
    width = 0.7 + 1.8 * severity * rng.random()
    length = size * rng.uniform(0.2, 0.4 + 0.5 * severity)
    mask = _stroke(rng, size, x, y, length, width, 0.35, 40)
    for _ in range(int(rng.integers(0, 4))):
        ys, xs = np.nonzero(mask > 0.5)
        if len(xs):
            i = int(rng.integers(len(xs)))
            mask = np.maximum(mask, _stroke(rng, size, xs[i], ys[i], length * 0.35, width * 0.7, 0.4, 16))
    mask = _on(s, mask)
    paint(s, mask * (0.45 + 0.5 * severity), _contrast(rng, s, mask, severity, -1), 0.0)
    s.height -= 3 * mask * (0.4 + severity)
    return mask


def dent(s: Surface, rng: Rng, severity: float) -> Field:
    size = s.alpha.shape[0]
    radius = size * rng.uniform(0.03, 0.06 + 0.08 * severity)
    x, y = _spot(s, rng, 0.04)
    blob = _blob(rng, size, x, y, radius, 0.2, rng.uniform(1, 1.4))
    bowl = cv2.GaussianBlur(blob, (0, 0), radius / 3)
    s.height -= float(rng.choice([1, 1, -1])) * bowl * radius * (0.25 + 0.7 * severity)
    s.albedo *= (1 - 0.15 * severity * bowl)[..., None]
    return _on(s, blob)


def pit(s: Surface, rng: Rng, severity: float) -> Field:
    size = s.alpha.shape[0]
    mask = np.zeros((size, size), np.float32)
    x, y = _spot(s, rng, 0.02)
    for _ in range(int(rng.integers(1, 2 + round(6 * severity)))):
        radius = size * rng.uniform(0.006, 0.012 + 0.02 * severity)
        mask = np.maximum(mask, _blob(rng, size, x, y, max(radius, 1.2), 0.3))
        x, y = x + rng.normal(0, 0.06 * size), y + rng.normal(0, 0.06 * size)
    mask = _on(s, mask)
    paint(s, mask * (0.5 + 0.45 * severity), _contrast(rng, s, mask, severity, -1), 0.0)
    s.height -= 4 * cv2.GaussianBlur(mask, (0, 0), 1)
    return mask


def hole(s: Surface, rng: Rng, severity: float) -> Field:
    size = s.alpha.shape[0]
    radius = size * rng.uniform(0.015, 0.03 + 0.06 * severity)
    x, y = _spot(s, rng, 0.03)
    mask = _on(s, _blob(rng, size, x, y, radius, 0.3, rng.uniform(1, 1.5)))
    rim = cv2.GaussianBlur(mask, (0, 0), 2) - mask
    s.height += 4 * rim
    dark = rng.uniform(0, 0.12) if rng.random() < 0.8 else rng.uniform(0.7, 1)
    paint(s, mask, (dark, dark, dark), 0.0)
    s.height -= 5 * mask
    return mask


def chip(s: Surface, rng: Rng, severity: float) -> Field:
    """A piece broken off the outline: shows the raw inside, or nothing at all."""
    size = s.alpha.shape[0]
    x, y = _edge_spot(s, rng)
    radius = size * rng.uniform(0.03, 0.05 + 0.09 * severity)
    blob = _on(s, _blob(rng, size, x, y, radius, 0.6))
    if rng.random() < 0.5 and s.alpha.mean() < 0.97:
        s.alpha *= 1 - blob
    else:
        raw = _contrast(rng, s, blob, 0.3 + 0.7 * severity)
        paint(s, 0.9 * blob, raw, 0.05)
        s.albedo *= (1 + 0.35 * blob * (fractal(rng, size, 30, 3) - 0.5))[..., None]
        s.height -= blob * (3 + 3 * fractal(rng, size, 20, 3))
    return blob


def broken(s: Surface, rng: Rng, severity: float) -> Field:
    """A large part of the product is gone along a jagged line."""
    size = s.alpha.shape[0]
    x, y = grid(size)
    a = rng.uniform(0, 2 * np.pi)
    solid = s.alpha > 0.5
    along = x * np.cos(a) + y * np.sin(a)
    reach = float(np.quantile(along[solid], rng.uniform(0.97 - 0.3 * severity, 0.97)))
    jag = (fractal(rng, size, 6, 4) - 0.5) * 0.25
    gone = smooth((reach - along + jag).astype(np.float32), 3 / size) * s.alpha
    if s.alpha.mean() < 0.97:
        s.alpha *= 1 - gone
    else:
        paint(s, gone, (0.04, 0.04, 0.04) if rng.random() < 0.6 else (0.9, 0.9, 0.9), 0.0)
        s.height *= 1 - gone
    return gone


def stain(s: Surface, rng: Rng, severity: float) -> Field:
    size = s.alpha.shape[0]
    x, y = _spot(s, rng)
    radius = size * rng.uniform(0.04, 0.08 + 0.14 * severity)
    mask = _on(
        s, cv2.GaussianBlur(_blob(rng, size, x, y, radius, 0.5, rng.uniform(1, 1.5)), (0, 0), rng.uniform(0.5, 3))
    )
    tint = _contrast(rng, s, mask, severity, -1 if rng.random() < 0.75 else 1)
    ring = rng.random() < 0.3
    body = mask * (0.35 + 0.65 * (1 - cv2.GaussianBlur(mask, (0, 0), radius / 4))) if ring else mask
    paint(s, body * (0.2 + 0.6 * severity), tint, float(rng.choice([0.05, 0.6])))
    return mask


def discolouration(s: Surface, rng: Rng, severity: float) -> Field:
    size = s.alpha.shape[0]
    x, y = _spot(s, rng)
    radius = size * rng.uniform(0.12, 0.2 + 0.15 * severity)
    mask = _on(s, cv2.GaussianBlur(_blob(rng, size, x, y, radius, 0.35, rng.uniform(1, 1.6)), (0, 0), radius / 5))
    tint = np.clip(s.albedo.mean((0, 1)) + rng.uniform(-1, 1, 3) * (0.15 + 0.45 * severity), 0, 1)
    paint(s, mask * (0.25 + 0.6 * severity), tint.astype(np.float32))
    return mask


def contamination(s: Surface, rng: Rng, severity: float) -> Field:
    """Particles, fibres or powder lying on the surface."""
    size = s.alpha.shape[0]
    x, y = _spot(s, rng)
    mask = np.zeros((size, size), np.float32)
    fibre = rng.random() < 0.4
    spread = size * rng.uniform(0.02, 0.1)
    for _ in range(1 if fibre else int(rng.integers(3, 8 + round(20 * severity)))):
        if fibre:
            mask = np.maximum(
                mask, _stroke(rng, size, x, y, size * rng.uniform(0.15, 0.4), 0.8 + 1.2 * severity, 0.25, 30)
            )
        else:
            mask = np.maximum(
                mask,
                _blob(
                    rng,
                    size,
                    x + rng.normal(0, spread),
                    y + rng.normal(0, spread),
                    rng.uniform(1, 2 + 2.5 * severity),
                    0.4,
                ),
            )
    mask = _on(s, mask)
    paint(s, mask * (0.5 + 0.45 * severity), _contrast(rng, s, mask, severity), 0.1)
    s.height += 2 * mask
    return mask


def foreign_body(s: Surface, rng: Rng, severity: float) -> Field:
    size = s.alpha.shape[0]
    x, y = _spot(s, rng)
    radius = size * rng.uniform(0.02, 0.035 + 0.05 * severity)
    mask = _blob(rng, size, x, y, radius, float(rng.choice([0.05, 0.5])), rng.uniform(1, 1.8))
    tint = np.clip(rng.random(3), 0, 1).astype(np.float32)
    tint = tint * (0.4 + 0.6 * severity) + s.albedo.mean((0, 1)) * (0.6 - 0.6 * severity)
    shadow = cv2.GaussianBlur(mask, (0, 0), 2.5)
    s.albedo *= (1 - 0.4 * shadow * (1 - mask))[..., None]
    paint(s, mask, tint, float(rng.uniform(0, 0.8)))
    s.albedo *= (1 + 0.3 * mask * grain(rng, size, (1, 1)) * 0.4)[..., None]
    s.height = s.height * (1 - mask) + mask * (s.height.mean() + 4 * np.sqrt(mask))
    s.alpha = np.maximum(s.alpha, mask)
    return mask


def corrosion(s: Surface, rng: Rng, severity: float) -> Field:
    size = s.alpha.shape[0]
    x, y = _spot(s, rng)
    reach = _blob(rng, size, x, y, size * rng.uniform(0.08, 0.12 + 0.2 * severity), 0.6)
    texture = fractal(rng, size, 14, 4)
    mask = _on(s, reach * smooth(0.42 - texture, 0.12))
    rust = np.array([0.45, 0.2, 0.07]) if rng.random() < 0.75 else np.array([0.35, 0.5, 0.42])
    colour = rust * (0.7 + 0.8 * fractal(rng, size, 20, 3)[..., None])
    paint(s, mask * (0.45 + 0.5 * severity), colour.astype(np.float32), 0.0)
    s.height += mask * 2.5 * fractal(rng, size, 40, 3)
    return mask


def scuff(s: Surface, rng: Rng, severity: float) -> Field:
    """Many fine parallel marks on a patch."""
    size = s.alpha.shape[0]
    x, y = _spot(s, rng)
    patch = _blob(rng, size, x, y, size * rng.uniform(0.06, 0.1 + 0.08 * severity), 0.5, rng.uniform(1, 1.6))
    lines = cv2.warpAffine(
        grain(rng, size, (9, 0.5)),
        cv2.getRotationMatrix2D((size / 2, size / 2), float(rng.uniform(0, 180)), 1),
        (size, size),
        borderMode=cv2.BORDER_REFLECT,
    )
    mask = _on(s, patch)
    marks = mask * np.clip(lines, 0, 1.5)
    paint(s, np.clip(marks * (0.25 + 0.5 * severity), 0, 1), _contrast(rng, s, mask, severity), 0.3)
    s.height += marks
    return mask


def wrinkle(s: Surface, rng: Rng, severity: float) -> Field:
    size = s.alpha.shape[0]
    x, y = _spot(s, rng)
    line = _stroke(rng, size, x, y, size * rng.uniform(0.3, 0.5 + 0.4 * severity), 2.0, 0.1, 30)
    width = size * rng.uniform(0.012, 0.03)
    ridge = cv2.GaussianBlur(line, (0, 0), width)
    ridge /= max(float(ridge.max()), 1e-6)
    s.height += ridge * (3 + 9 * severity)
    s.albedo *= (1 - 0.2 * severity * ridge)[..., None]
    return _on(s, smooth(0.35 - ridge, 0.1))


def bubble(s: Surface, rng: Rng, severity: float) -> Field:
    size = s.alpha.shape[0]
    out = np.zeros((size, size), np.float32)
    x, y = _spot(s, rng, 0.03)
    for _ in range(int(rng.integers(1, 4))):
        radius = size * rng.uniform(0.015, 0.03 + 0.05 * severity)
        ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
        r = np.hypot(xs - x, ys - y) / radius
        s.height += radius * (0.35 + 0.6 * severity) * np.sqrt(np.clip(1 - r * r, 0, 1))
        out = np.maximum(out, smooth(r - 1, 0.15))
        paint(s, smooth(np.abs(r - 1) - 0.08, 0.15) * 0.3 * (0.4 + severity), (0.15, 0.15, 0.15))
        x, y = x + rng.normal(0, 0.08 * size), y + rng.normal(0, 0.08 * size)
    return _on(s, out)


def burn(s: Surface, rng: Rng, severity: float) -> Field:
    size = s.alpha.shape[0]
    x, y = _spot(s, rng)
    mask = _on(
        s, cv2.GaussianBlur(_blob(rng, size, x, y, size * rng.uniform(0.06, 0.1 + 0.12 * severity), 0.5), (0, 0), 4)
    )
    paint(s, np.clip(mask * (0.3 + 0.65 * severity), 0, 1), (0.12, 0.07, 0.04), 0.05)
    return smooth(0.3 - mask, 0.1)


def cut(s: Surface, rng: Rng, severity: float) -> Field:
    """A tear or cut: an opening that narrows towards its ends."""
    size = s.alpha.shape[0]
    x, y = _spot(s, rng)
    line = _stroke(rng, size, x, y, size * rng.uniform(0.12, 0.2 + 0.25 * severity), 1.0, 0.06)
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    reach = np.clip(1 - np.hypot(xs - x, ys - y) / (0.25 * size), 0, 1)
    mask = cv2.GaussianBlur(line, (0, 0), 1 + 2.5 * severity)
    mask = _on(s, smooth(0.25 - mask / max(float(mask.max()), 1e-6) * np.sqrt(reach), 0.15))
    rim = np.clip(cv2.GaussianBlur(mask, (0, 0), 2.5) * 2 - mask, 0, 1)
    s.height += 5 * rim * severity
    paint(s, mask * (0.6 + 0.35 * severity), _contrast(rng, s, mask, 1.0, -1), 0.0)
    s.height -= 4 * mask
    return mask


def fray(s: Surface, rng: Rng, severity: float) -> Field:
    """Structure pulled out of order: threads or fibres swirl and stand off."""
    size = s.alpha.shape[0]
    x, y = _spot(s, rng)
    patch = cv2.GaussianBlur(_blob(rng, size, x, y, size * rng.uniform(0.05, 0.08 + 0.08 * severity), 0.4), (0, 0), 3)
    amount = size * (0.03 + 0.06 * severity)
    dx = (value_noise(rng, size, (14, 14)) - 0.5) * 2 * amount * patch
    dy = (value_noise(rng, size, (14, 14)) - 0.5) * 2 * amount * patch
    _displace(s, dx, dy)
    for _ in range(int(rng.integers(2, 9))):
        hair = _stroke(rng, size, x + rng.normal(0, 6), y + rng.normal(0, 6), size * rng.uniform(0.05, 0.15), 0.8, 0.3)
        paint(s, hair * 0.8, tuple(np.clip(s.albedo.mean((0, 1)) * 1.5 + 0.1, 0, 1)))
    return _on(s, smooth(0.35 - patch, 0.1))


def _displace(s: Surface, dx: Field, dy: Field) -> None:
    size = s.alpha.shape[0]
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    mx, my = xs + dx.astype(np.float32), ys + dy.astype(np.float32)
    for name in ("albedo", "height", "gloss", "alpha"):
        setattr(s, name, cv2.remap(getattr(s, name), mx, my, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))


def deformation(s: Surface, rng: Rng, severity: float) -> Field:
    """The shape itself is bent or squeezed locally."""
    size = s.alpha.shape[0]
    before = s.copy()
    x, y = _edge_spot(s, rng) if s.alpha.mean() < 0.97 else _spot(s, rng)
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    radius = size * rng.uniform(0.1, 0.2)
    bell = np.exp(-(((xs - x) ** 2 + (ys - y) ** 2) / (2 * radius**2))).astype(np.float32)
    a, push = rng.uniform(0, 2 * np.pi), size * (0.035 + 0.08 * severity)
    _displace(s, bell * push * np.cos(a), bell * push * np.sin(a))
    change = np.abs(before.albedo - s.albedo).sum(2) + np.abs(before.alpha - s.alpha)
    change = cv2.GaussianBlur(change, (0, 0), size / 45)
    if float(change.max()) < 0.05:
        return np.zeros((size, size), np.float32)
    return np.asarray((change > 0.3 * change.max()) & (bell > 0.15), np.float32)


def uneven(s: Surface, rng: Rng, severity: float) -> Field:
    """A patch whose texture was rubbed, smeared or lost its finish."""
    size = s.alpha.shape[0]
    x, y = _spot(s, rng)
    mask = _on(s, _blob(rng, size, x, y, size * rng.uniform(0.1, 0.14 + 0.12 * severity), 0.5, rng.uniform(1, 1.6)))
    sigma = 1.2 + 4 * severity
    paint(s, mask * (0.5 + 0.5 * severity), cv2.GaussianBlur(s.albedo, (0, 0), sigma) * rng.uniform(0.85, 1.2))
    s.height += mask * (cv2.GaussianBlur(s.height, (0, 0), sigma) - s.height)
    s.gloss += mask * (rng.uniform(0, 0.9) - s.gloss)
    return mask


def crazing(s: Surface, rng: Rng, severity: float) -> Field:
    """A net of fine cracks on a patch."""
    size = s.alpha.shape[0]
    x, y = _spot(s, rng)
    patch = _on(s, _blob(rng, size, x, y, size * rng.uniform(0.1, 0.15 + 0.12 * severity), 0.4))
    border, _ = cells(rng, size, int(rng.integers(150, 500)))
    net = patch * smooth(border - 0.12, 0.12)
    paint(s, net * (0.35 + 0.5 * severity), _contrast(rng, s, patch, severity, -1))
    s.height -= 1.5 * net
    return patch


def run(s: Surface, rng: Rng, severity: float) -> Field:
    """Drips of coating or leaking liquid, running one way."""
    size = s.alpha.shape[0]
    x, y = _spot(s, rng)
    mask = np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        length, width = size * rng.uniform(0.1, 0.2 + 0.25 * severity), size * rng.uniform(0.012, 0.03)
        x0 = x + rng.normal(0, 0.05 * size)
        cv2.line(
            mask,
            (int(x0), int(y)),
            (int(x0 + rng.normal(0, 2)), int(y + length)),
            1.0,
            max(2, round(width)),
            cv2.LINE_AA,
        )
        cv2.circle(mask, (int(x0), int(y + length)), max(2, round(width)), 1.0, -1, cv2.LINE_AA)
    mask = _on(s, cv2.GaussianBlur(mask, (0, 0), 1.5))
    s.height += 6 * mask * (0.4 + severity)
    paint(s, mask * (0.15 + 0.55 * severity), _contrast(rng, s, mask, severity), 0.8)
    return mask


def weave_fault(s: Surface, rng: Rng, severity: float) -> Field:
    """A band where the structure is shifted, doubled or missing."""
    size = s.alpha.shape[0]
    x, y = _spot(s, rng)
    width, length = size * rng.uniform(0.012, 0.03 + 0.02 * severity), size * rng.uniform(0.2, 0.6)
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    across, along = (ys - y, xs - x) if rng.random() < 0.5 else (xs - x, ys - y)
    mask = _on(s, smooth(np.abs(across) - width, 1.5) * smooth(np.abs(along) - length / 2, 3))
    shifted = np.roll(s.albedo, int(rng.integers(3, 12)), axis=int(rng.integers(2)))
    tint = rng.uniform(0.55, 0.85) if rng.random() < 0.5 else rng.uniform(1.15, 1.5)
    paint(s, mask * (0.4 + 0.55 * severity), np.clip(shifted * tint, 0, 1))
    s.height *= 1 - 0.7 * mask
    return mask


def flash(s: Surface, rng: Rng, severity: float) -> Field:
    """Excess material standing out past the outline, as flash or a burr."""
    size = s.alpha.shape[0]
    x, y = _edge_spot(s, rng)
    reach = _blob(rng, size, x, y, size * rng.uniform(0.03, 0.05 + 0.06 * severity), 0.6)
    mask = reach * (s.alpha < 0.5)
    tint = s.albedo[s.alpha > 0.5].mean(0) * rng.uniform(0.8, 1.25)
    paint(s, mask, np.clip(tint, 0, 1).astype(np.float32), 0.3)
    s.alpha = np.maximum(s.alpha, mask)
    s.height += 2 * mask
    return mask


SURFACE_DEFECTS: dict[str, SurfaceDefect] = {
    "scratch": scratch, "crack": crack, "dent": dent, "pit": pit, "hole": hole, "chip": chip, "break": broken, "stain": stain,
    "discolouration": discolouration, "contamination": contamination, "foreign_body": foreign_body, "corrosion": corrosion,
    "scuff": scuff, "wrinkle": wrinkle, "bubble": bubble, "burn": burn, "cut": cut, "fray": fray, "deformation": deformation,
    "uneven_surface": uneven, "crazing": crazing, "run": run, "weave_fault": weave_fault, "flash": flash,
}  # fmt: skip
