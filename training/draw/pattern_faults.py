"""Defects of a product's printed or etched pattern.

Each takes a `Product` and returns the faulty product with the mask of what changed, or None where it does not apply.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from training.draw.noise import Field, Rng, grid
from training.draw.surface import Product

ProductFault = Callable[[Product, Rng, float], tuple[Product, Field] | None]
Faulty = tuple[Product, Field] | None


def _edges(pattern: Field) -> tuple[np.ndarray, np.ndarray]:
    solid = (pattern > 0.5).astype(np.uint8)
    ys, xs = np.nonzero(solid - cv2.erode(solid, np.ones((3, 3), np.uint8)))
    inside = (xs > 8) & (ys > 8) & (xs < pattern.shape[1] - 8) & (ys < pattern.shape[0] - 8)
    return xs[inside], ys[inside]


def _dab(pattern: Field, x: float, y: float, radius: float, rng: Rng, add: bool) -> tuple[Field, Field]:
    """Add or take away a slightly irregular dot; the new pattern and what changed."""
    size = pattern.shape[0]
    dot = np.zeros((size, size), np.float32)
    turns = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    r = radius * rng.uniform(0.75, 1.3, 14)
    outline = np.stack([x + r * np.cos(turns), y + r * np.sin(turns)], 1)
    cv2.fillPoly(dot, [(outline * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    new = np.maximum(pattern, dot) if add else np.minimum(pattern, 1 - dot)
    return new.astype(np.float32), np.abs(new - pattern).astype(np.float32)


def _at_edge(add: bool, low: float, high: float) -> ProductFault:
    def fault(product: Product, rng: Rng, severity: float) -> Faulty:
        if product.pattern is None:
            return None
        xs, ys = _edges(product.pattern)
        if len(xs) < 20:
            return None
        i = int(rng.integers(len(xs)))
        radius = product.pattern.shape[0] * rng.uniform(low, low + (high - low) * (0.2 + 0.8 * severity))
        new, change = _dab(product.pattern, xs[i], ys[i], radius, rng, add)
        return (replace(product, pattern=new), change) if change.sum() > 4 else None

    return fault


mouse_bite, spur = _at_edge(False, 0.012, 0.03), _at_edge(True, 0.012, 0.03)


def pinhole(product: Product, rng: Rng, severity: float) -> Faulty:
    return _in_depth(product, rng, severity, add=False)


def spurious_copper(product: Product, rng: Rng, severity: float) -> Faulty:
    return _in_depth(product, rng, severity, add=True)


def _in_depth(product: Product, rng: Rng, severity: float, add: bool) -> Faulty:
    if product.pattern is None:
        return None
    place = product.pattern < 0.5 if add else product.pattern > 0.5
    depth = cv2.distanceTransform(place.astype(np.uint8), cv2.DIST_L2, 3)
    depth[:8] = depth[-8:] = 0
    depth[:, :8] = depth[:, -8:] = 0
    ys, xs = np.nonzero(depth > 2.5)
    if len(xs) < 10:
        return None
    i = int(rng.integers(len(xs)))
    radius = min(float(depth[ys[i], xs[i]]) * 0.75, product.pattern.shape[0] * (0.012 + 0.03 * severity))
    new, change = _dab(product.pattern, xs[i], ys[i], max(radius, 1.5), rng, add)
    return (replace(product, pattern=new), change) if change.sum() > 4 else None


def open_circuit(product: Product, rng: Rng, severity: float) -> Faulty:
    return _bridge(product, rng, severity, add=False)


def short_circuit(product: Product, rng: Rng, severity: float) -> Faulty:
    return _bridge(product, rng, severity, add=True)


def _bridge(product: Product, rng: Rng, severity: float, add: bool) -> Faulty:
    """Cut a conductor across (open) or join it with its neighbour (short)."""
    if product.pattern is None:
        return None
    size = product.pattern.shape[0]
    xs, ys = _edges(product.pattern)
    if len(xs) < 20:
        return None
    gx, gy = cv2.Sobel(product.pattern, cv2.CV_32F, 1, 0), cv2.Sobel(product.pattern, cv2.CV_32F, 0, 1)
    for _ in range(12):
        i = int(rng.integers(len(xs)))
        direction = np.array([gx[ys[i], xs[i]], gy[ys[i], xs[i]]])
        if np.linalg.norm(direction) < 0.5:
            continue
        direction = direction / np.linalg.norm(direction) * (-1 if add else 1)
        start = np.array([xs[i], ys[i]], np.float32)
        for step in range(3, round(0.16 * size)):
            x, y = (start + direction * step).round().astype(int)
            if not (0 <= x < size and 0 <= y < size):
                break
            if (product.pattern[y, x] > 0.5) == add:
                line = np.zeros((size, size), np.float32)
                a, b = start - direction * 1.5, start + direction * (step + 1.5)
                width = max(2, round(size * (0.01 + 0.025 * severity * rng.random())))
                cv2.line(
                    line,
                    tuple((a * 16).astype(int).tolist()),
                    tuple((b * 16).astype(int).tolist()),
                    1.0,
                    width,
                    cv2.LINE_AA,
                    4,
                )
                new = np.maximum(product.pattern, line) if add else np.minimum(product.pattern, 1 - line)
                return replace(product, pattern=new.astype(np.float32)), np.abs(new - product.pattern).astype(
                    np.float32
                )
    return None


def misprint(product: Product, rng: Rng, severity: float) -> Faulty:
    """Print that is smeared, lost or shifted on a part of the picture."""
    if product.pattern is None:
        return None
    size = product.pattern.shape[0]
    x, y = grid(size)
    xs, ys = np.nonzero((product.pattern > 0.5).T)
    if len(xs) < 20:
        return None
    i = int(rng.integers(len(xs)))
    cx, cy = xs[i] / size * 2 - 1, ys[i] / size * 2 - 1
    zone = (np.hypot(x - cx, y - cy) < rng.uniform(0.12, 0.2 + 0.2 * severity)).astype(np.float32)
    zone = cv2.GaussianBlur(zone, (0, 0), size / 60)
    style = int(rng.integers(3))
    if style == 0:
        changed = product.pattern * (0.6 - 0.6 * severity)
    elif style == 1:
        changed = cv2.GaussianBlur(product.pattern, (0, 0), sigmaX=2 + 8 * severity, sigmaY=1.0)
    else:
        changed = np.roll(product.pattern, int(3 + 8 * severity), axis=int(rng.integers(2)))
    new = product.pattern + zone * (changed - product.pattern)
    change = cv2.GaussianBlur(np.abs(new - product.pattern), (0, 0), 1.5)
    return (
        (replace(product, pattern=new.astype(np.float32)), (change > 0.12).astype(np.float32))
        if (change > 0.12).sum() > 10
        else None
    )
