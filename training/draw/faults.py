"""Defects of the parts a product consists of: and the table of these and of the defects of its pattern.

Each takes a `Product` and returns the faulty product with the mask of what changed, or None where it does not apply.
What a fault moves, it moves further than the tolerance that good instances are drawn with, at severity 0 just so.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from training.draw import pattern_faults
from training.draw.noise import Rng, fractal, grid, smooth
from training.draw.pattern_faults import Faulty
from training.draw.pattern_faults import ProductFault as ProductFault
from training.draw.surface import Part, Product, Surface, blank, footprint

_LOOSE = ("tablet",)
"""Kinds of part that lie loosely, so that only a large turn is out of tolerance."""


def _pick(product: Product, rng: Rng, *kinds: str) -> int | None:
    """Index of a random part of one of the kinds, or of any kind but a frame that holds the others."""
    fit = [i for i, p in enumerate(product.parts) if (p.kind in kinds if kinds else p.kind != "frame")]
    return int(rng.choice(fit)) if fit else None


def _put(product: Product, i: int, *parts: Part) -> Product:
    """The product with other parts, or none, for its part i."""
    return replace(product, parts=(*product.parts[:i], *parts, *product.parts[i + 1 :]))


def _size(product: Product) -> int:
    return int(product.base.alpha.shape[0])


def _nearest(product: Product, i: int) -> int | None:
    """Index of the part of the same kind nearest to part i."""
    at = product.parts[i]
    gaps = {j: np.hypot(p.x - at.x, p.y - at.y) for j, p in enumerate(product.parts) if j != i and p.kind == at.kind}
    return min(gaps, key=lambda j: float(gaps[j])) if gaps else None


def missing_part(product: Product, rng: Rng, severity: float) -> Faulty:
    size = _size(product)
    out, mask = product, np.zeros((size, size), np.float32)
    for _ in range(min(len(product.parts), 1 + int(rng.random() < severity * 0.5))):
        i = _pick(out, rng)
        if i is None:
            break
        mask = np.maximum(mask, footprint(out.parts[i], size))
        out = _put(out, i)
    return (out, mask) if mask.any() else None


def misplaced_part(product: Product, rng: Rng, severity: float) -> Faulty:
    i = _pick(product, rng)
    if i is None:
        return None
    size = _size(product)
    old = product.parts[i]
    reach = max(2.5 * size / 224, old.surface.alpha.shape[0] * (0.1 + 0.6 * severity))
    reach, a = min(reach, 0.25 * size), rng.uniform(0, 2 * np.pi)
    turn = rng.uniform(-1, 1) * (5 + 35 * severity)
    new = replace(old, x=old.x + reach * np.cos(a), y=old.y + reach * np.sin(a), angle=old.angle + turn)
    return _put(product, i, new), np.maximum(footprint(old, size), footprint(new, size))


def rotated_part(product: Product, rng: Rng, severity: float) -> Faulty:
    # A round part looks the same however it is turned, and screws may stand at any angle.
    i = _pick(product, rng, "component", "tablet", "pin", "item", "brick", "fuse", "tooth", "key")
    if i is None:
        return None
    size = _size(product)
    old = product.parts[i]
    least = 22 if old.kind in _LOOSE else 8
    new = replace(old, angle=old.angle + float(rng.choice([-1, 1])) * (least + 60 * severity))
    change = np.abs(footprint(old, size) - footprint(new, size))
    mask = np.maximum(footprint(old, size), footprint(new, size))
    return (_put(product, i, new), mask) if change.sum() > 8 else None


def swapped_part(product: Product, rng: Rng, severity: float) -> Faulty:
    i = _pick(product, rng)
    if i is None or not product.spare:
        return None
    size = _size(product)
    old = product.parts[i]
    new = replace(product.spare[int(rng.integers(len(product.spare)))], x=old.x, y=old.y, angle=old.angle)
    if new.surface is old.surface:
        return None
    return _put(product, i, new), np.maximum(footprint(old, size), footprint(new, size))


def extra_part(product: Product, rng: Rng, severity: float) -> Faulty:
    i = _pick(product, rng)
    if i is None:
        return None
    size = _size(product)
    taken = np.zeros((size, size), np.float32)
    for part in product.parts:
        taken = np.maximum(taken, footprint(part, size))
    for _ in range(20):
        x, y = rng.uniform(0.1, 0.9, 2) * size
        new = replace(product.parts[i], x=float(x), y=float(y), angle=float(rng.uniform(0, 360)))
        mask = footprint(new, size)
        if (mask * taken).sum() < 0.3 * mask.sum() and product.base.alpha[int(y), int(x)] > 0.5:
            return replace(product, parts=(*product.parts, new)), mask
    return None


def wrong_count(product: Product, rng: Rng, severity: float) -> Faulty:
    """One item too many, squeezed in between two others, or two neighbours too few."""
    i = _pick(product, rng)
    j = None if i is None else _nearest(product, i)
    if i is None or j is None:
        return None
    size = _size(product)
    a, b = product.parts[i], product.parts[j]
    if rng.random() < 0.5:
        new = replace(a, x=(a.x + b.x) / 2, y=(a.y + b.y) / 2, angle=a.angle + rng.normal(0, 12))
        return replace(product, parts=(*product.parts, new)), footprint(new, size)
    return _put(_put(product, max(i, j)), min(i, j)), np.maximum(footprint(a, size), footprint(b, size))


def wrong_colour(product: Product, rng: Rng, severity: float) -> Faulty:
    """A part of the right shape in the wrong colour."""
    i = _pick(product, rng)
    if i is None:
        return None
    old = product.parts[i]
    surface = old.surface.copy()
    level = float(surface.albedo[surface.alpha > 0.5].mean()) if np.any(surface.alpha > 0.5) else 0.5
    shift = rng.uniform(0.2, 1, 3) * (-1 if level > 0.5 else 1) * (0.09 + 0.35 * severity)
    surface.albedo = np.clip(surface.albedo + shift, 0.01, 0.99).astype(np.float32)
    return _put(product, i, replace(old, surface=surface)), footprint(old, _size(product))


def crooked_row(product: Product, rng: Rng, severity: float) -> Faulty:
    """Some neighbours in a row that are tilted together, out of line with the others."""
    i = _pick(product, rng)
    if i is None:
        return None
    size, at = _size(product), product.parts[i]
    apart = 0.25 * min(at.surface.alpha.shape[0], 0.2 * size)
    places = np.array([(p.x, p.y) if p.kind == at.kind else (np.inf, np.inf) for p in product.parts])
    lines = []
    for along in (0, 1):
        near = np.flatnonzero(np.abs(places[:, 1 - along] - (at.y, at.x)[along]) < apart)
        lines.append([int(k) for k in near[np.argsort(places[near, along])]])
    row = max(lines, key=len) if min(map(len, lines)) < 2 else lines[int(rng.integers(2))]
    first = max(0, row.index(i) - int(rng.integers(0, 3)))
    row = row[first : first + int(rng.integers(2, 6))]
    if len(row) < 2:
        return None
    middle = np.mean([(product.parts[k].x, product.parts[k].y) for k in row], axis=0)
    span = max(np.hypot(product.parts[k].x - middle[0], product.parts[k].y - middle[1]) for k in row)
    reach = (2.0 + 7 * severity) * size / 224
    turn = float(rng.choice([-1, 1])) * reach / max(float(span), 0.4 * at.surface.alpha.shape[0])
    out, mask = product, np.zeros((size, size), np.float32)
    for k in row:
        old = product.parts[k]
        dx, dy = old.x - middle[0], old.y - middle[1]
        x, y = middle[0] + dx * np.cos(turn) - dy * np.sin(turn), middle[1] + dx * np.sin(turn) + dy * np.cos(turn)
        new = replace(old, x=float(x), y=float(y), angle=old.angle - float(np.degrees(turn)))
        mask = np.maximum(mask, np.maximum(footprint(old, size), footprint(new, size)))
        out = _put(out, k, new)
    return out, mask


def bent_pin(product: Product, rng: Rng, severity: float) -> Faulty:
    """A pin that leans, where one looks at its tip, or that is kinked, where one looks at its side."""
    i = _pick(product, rng, "pin")
    if i is None:
        return None
    size, old = _size(product), product.parts[i]
    n = old.surface.alpha.shape[0]
    ys, xs = np.nonzero(old.surface.alpha > 0.5)
    if np.ptp(xs) < 2 * np.ptp(ys):
        reach, a = max(2.0 * size / 224, n * (0.12 + 0.5 * severity)), rng.uniform(0, 2 * np.pi)
        shaft = old.surface.copy()
        shaft.albedo *= 0.6
        chain = [
            replace(old, surface=old.surface if t == 1 else shaft, x=old.x + t * reach * np.cos(a), y=old.y + t * reach * np.sin(a))
            for t in np.linspace(0, 1, 9)
        ]  # fmt: skip
        return _put(product, i, *chain), np.maximum.reduce([footprint(p, size) for p in chain])
    side, hinge = float(rng.choice([-1, 1])), rng.uniform(0.35, 0.65)
    x, _ = grid(n)
    past = np.clip(side * x - hinge, 0, None)
    slope = np.tan(np.radians(4 + 35 * severity)) * float(rng.choice([-1, 1]))
    rows, columns = np.mgrid[0:n, 0:n].astype(np.float32)
    moved = rows - (slope * n / 2 * past**2 / (past + 0.08)).astype(np.float32)
    made, was = blank(n), old.surface
    for name in ("albedo", "height", "gloss", "alpha"):
        setattr(made, name, cv2.remap(getattr(was, name), columns, moved, cv2.INTER_LINEAR))
    zone = blank(n)
    zone.alpha = np.maximum(made.alpha, old.surface.alpha) * (past > 0)
    return _put(product, i, replace(old, surface=made)), footprint(replace(old, surface=zone), size)


def _solder_fault(state: str) -> ProductFault:
    """A joint in another state: on the way to it at severity 0, wholly in it at 1."""

    def fault(product: Product, rng: Rng, severity: float) -> Faulty:
        i = _pick(product, rng, "joint")
        bad = next((part.surface for part in product.spare if part.kind == state), None)
        if i is None or bad is None:
            return None
        old = product.parts[i]
        t, good = np.float32(0.35 + 0.65 * severity), old.surface
        made = Surface(
            good.albedo + t * (bad.albedo - good.albedo),
            good.height + t * (bad.height - good.height),
            good.gloss + t * (bad.gloss - good.gloss),
            good.alpha + t * (bad.alpha - good.alpha),
        )
        new = replace(old, surface=made)
        size = _size(product)
        return _put(product, i, new), np.maximum(footprint(old, size), footprint(new, size))

    return fault


def solder_bridge(product: Product, rng: Rng, severity: float) -> Faulty:
    """Solder that runs from a joint to its neighbour: a hair at severity 0, a web at 1."""
    i = _pick(product, rng, "joint")
    j = None if i is None else _nearest(product, i)
    if i is None or j is None:
        return None
    size, a, b = _size(product), product.parts[i], product.parts[j]
    gap = float(np.hypot(a.x - b.x, a.y - b.y))
    n = int(1.3 * gap) + 4
    x, y = grid(n)
    neck = max(0.9 * size / 224, gap * (0.02 + 0.3 * severity * rng.uniform(0.6, 1))) * 2 / n
    half = neck * (0.8 + 0.9 * x**2 + 0.5 * (fractal(rng, n, 3, 2) - 0.5))
    half *= np.sqrt(np.clip(1 - (x * n / gap / 0.95) ** 6, 0, 1))
    run = smooth(np.asarray(np.maximum(np.abs(y) - half, np.abs(x) - gap * 0.9 / n), np.float32), 3 / n)
    web = blank(n, (0.64, 0.64, 0.63), 0.9)
    web.alpha = run
    web.height = (112 * n / size * np.sqrt(np.clip(half**2 - y**2, 0, 1)) + 1).astype(np.float32)
    angle = -float(np.degrees(np.arctan2(b.y - a.y, b.x - a.x)))
    bridge = Part(web, (a.x + b.x) / 2, (a.y + b.y) / 2, angle, "bridge")
    return replace(product, parts=(*product.parts, bridge)), footprint(bridge, size)


def split(product: Product, rng: Rng, severity: float) -> Faulty:
    """Rows of teeth that do not lock over some length."""
    i = _pick(product, rng, "tooth")
    if i is None:
        return None
    size, at = _size(product), product.parts[i].y
    middle = float(np.mean([p.x for p in product.parts]))
    length = size * (0.08 + 0.2 * severity)
    out, mask = product, np.zeros((size, size), np.float32)
    for k, old in enumerate(product.parts):
        near = 1 - abs(old.y - at) / length
        if near > 0:
            reach = np.sqrt(near) * (2.5 + 9 * severity) * size / 224
            new = replace(old, x=old.x + float(np.sign(old.x - middle) * reach))
            mask = np.maximum(mask, np.maximum(footprint(old, size), footprint(new, size)))
            out = _put(out, k, new)
    return out, mask


PRODUCT_FAULTS: dict[str, ProductFault] = {
    "missing_part": missing_part, "misplaced_part": misplaced_part, "rotated_part": rotated_part, "swapped_part": swapped_part,
    "extra_part": extra_part, "wrong_count": wrong_count, "wrong_colour": wrong_colour, "crooked_row": crooked_row,
    "bent_pin": bent_pin, "cold_solder": _solder_fault("cold_solder"), "insufficient_solder": _solder_fault("insufficient_solder"),
    "excess_solder": _solder_fault("excess_solder"), "solder_bridge": solder_bridge, "split": split,
    "mouse_bite": pattern_faults.mouse_bite, "spur": pattern_faults.spur, "pinhole": pattern_faults.pinhole,
    "spurious_copper": pattern_faults.spurious_copper, "open_circuit": pattern_faults.open_circuit,
    "short_circuit": pattern_faults.short_circuit, "misprint": pattern_faults.misprint,
}  # fmt: skip
