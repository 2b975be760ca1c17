"""What surface defects are drawn with: places on a product, lines, patches, and tones that stand off from it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.draw.noise import Field, Rng, fractal, smooth
from training.draw.surface import Surface

Points = NDArray[np.float64]
"""(n, 2): x, y in pixels."""
Tone = NDArray[np.float32]
"""(3,) RGB, 0..1."""

FAR = 9.0
"""What `radii` holds beyond its window."""


def spot(s: Surface, rng: Rng, margin: float = 0.0) -> tuple[float, float]:
    """A random point on the product, `margin` (fraction of the size) away from its outline, in pixels."""
    size = s.alpha.shape[0]
    inside = (s.alpha > 0.9).astype(np.uint8)
    # Cameras look at a part of what fills the picture: its border is seldom seen.
    frame = max(2, round((0.1 if fills(s) else 0.04) * size))
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


def fills(s: Surface) -> bool:
    """Whether the product covers the picture, so that it has no outline."""
    return float(s.alpha.mean()) > 0.97


def edge_spot(s: Surface, rng: Rng) -> tuple[float, float]:
    """A random point on the outline of the product, or on the frame when it fills the picture."""
    size = s.alpha.shape[0]
    solid = (s.alpha > 0.5).astype(np.uint8)
    rim = solid - cv2.erode(solid, np.ones((3, 3), np.uint8))
    ys, xs = np.nonzero(rim)
    if fills(s) or len(xs) == 0:
        t = rng.uniform(0.1, 0.9) * size
        return [(t, 0.0), (t, size - 1.0), (0.0, t), (size - 1.0, t)][int(rng.integers(4))]
    i = int(rng.integers(len(xs)))
    return float(xs[i]), float(ys[i])


def on(s: Surface, mask: Field) -> Field:
    """The part of a mask that lies on the product, float32."""
    return np.asarray(mask * (s.alpha > 0.5), np.float32)


def grow(mask: Field, by: float) -> Field:
    """The mask made wider by `by` pixels all round: thin marks are outlined with some air."""
    n = 2 * max(1, round(by)) + 1
    return np.asarray(cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (n, n))), np.float32)


def remove(s: Surface, gone: Field, strength: float = 1.0) -> Field:
    """Take material away where `gone` (not yet held to the product) says.

    Where the product has no outline it is painted black by `strength`. Returns what was taken, (size, size).
    """
    taken = on(s, gone)
    if fills(s):
        s.albedo *= 1 - 0.95 * strength * gone[..., None]
        s.gloss *= 1 - gone
        s.height -= 5 * strength * s.alpha.shape[0] / 224 * gone
    else:
        s.alpha *= 1 - gone
    return taken


def long_side(s: Surface) -> float:
    """Direction of the product's long side in radians; 0 where it has none."""
    ys, xs = np.nonzero(s.alpha > 0.5)
    if fills(s) or len(xs) < 10:
        return 0.0
    spread = np.linalg.eigh(np.cov(np.stack([xs, ys])))
    return float(np.arctan2(*spread[1][::-1, -1])) if spread[0][1] > 1.3 * spread[0][0] else 0.0


# --- patches ---


def radii(
    rng: Rng,
    size: int,
    x: float,
    y: float,
    radius: float,
    rough: float = 0.3,
    stretch: float = 1.0,
    reach: float = 1.0,
    octaves: int = 4,
) -> Field:
    """Distance from (x, y) with 1 on an irregular outline of about `radius` pixels, (size, size).

    `rough` (0..0.8) is how far the outline strays, with `octaves` 1 or 2 smoothly; `stretch` >= 1 makes it long and
    narrow in a random direction; it is drawn to `reach` times the outline and is `FAR` beyond.
    """
    half = int(np.ceil(radius * stretch * (reach + rough))) + 2
    n = 2 * half + 1
    x0, y0 = round(x) - half, round(y) - half
    out = np.full((size, size), FAR, np.float32)
    if x0 >= size or y0 >= size or x0 + n <= 0 or y0 + n <= 0:
        return out
    top, bottom = (int(np.clip(v, 0, size)) for v in (y0, y0 + n))
    left, right = (int(np.clip(v, 0, size)) for v in (x0, x0 + n))
    us, vs = np.meshgrid(np.arange(left, right, dtype=np.float32) - x, np.arange(top, bottom, dtype=np.float32) - y)
    a = rng.uniform(0, np.pi)
    across, along = us * np.cos(a) + vs * np.sin(a), -us * np.sin(a) + vs * np.cos(a)
    wobble = fractal(rng, n, min(4.0 * reach, n / 2), octaves)[top - y0 : bottom - y0, left - x0 : right - x0]
    r = np.hypot(across / stretch, along * stretch) / radius + rough * (2 * wobble - 1)
    out[top:bottom, left:right] = np.clip(r, 0, FAR)
    return out


def blob(
    rng: Rng,
    size: int,
    x: float,
    y: float,
    radius: float,
    rough: float = 0.45,
    stretch: float = 1.0,
    soft: float = 1.5,
) -> Field:
    """Irregular patch around (x, y), (size, size) in 0..1, with an edge `soft` pixels wide."""
    r = radii(rng, size, x, y, radius, rough, stretch, 1 + soft / max(radius, 1))
    return smooth((r - 1) * radius, max(soft, 0.5))


# --- lines ---


def path(
    rng: Rng,
    x: float,
    y: float,
    length: float,
    *,
    curve: float = 0.0,
    jag: float = 0.0,
    step: float = 4.0,
    angle: float | None = None,
    centred: bool = True,
) -> Points:
    """A line through (x, y), or from it: turns by about `curve` radians end to end and by `jag` at every step."""
    n = max(4, round(length / step))
    start = rng.uniform(0, 2 * np.pi) if angle is None else angle
    t = np.linspace(-0.5, 0.5, n)
    heading = start + rng.normal(0, 1) * curve * t + rng.normal(0, curve / 2) * t * t * 2 + rng.normal(0, jag, n)
    if centred:
        heading -= heading.mean() - start
    strides = length / n * (1 + min(jag, 0.6) * rng.uniform(-1, 1, n))
    points = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1) * strides[:, None], 0)
    points = np.vstack([[0, 0], points])
    return np.asarray(points - (points[len(points) // 2] if centred else 0) + [x, y])


def beside(points: Points, distance: float) -> Points:
    """The line moved sideways by `distance` pixels."""
    along = np.gradient(points, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    return np.asarray(points + distance * np.stack([-along[:, 1], along[:, 0]], 1))


def taper(n: int, power: float = 0.5) -> Points:
    """Widths (n,) that rise from 0 to 1 in the middle and fall to 0 again."""
    return np.asarray(np.sin(np.linspace(0.02, 0.98, n) * np.pi) ** power)


def ribbon(size: int, points: Points, width: float | Points) -> Field:
    """Coverage (size, size) of a line whose width (pixels, may be below 1) may vary from point to point."""
    widths = np.broadcast_to(np.asarray(width, float), len(points))
    pad = int(np.ceil(widths.max())) + 2
    low = np.clip(np.floor(points.min(0)).astype(int) - pad, 0, size)
    high = np.clip(np.ceil(points.max(0)).astype(int) + pad, 0, size)
    out = np.zeros((size, size), np.float32)
    w, h = (high - low).tolist()
    if w < 1 or h < 1:
        return out
    # Drawn four times as large and averaged: OpenCV draws no line thinner than a pixel.
    canvas = np.zeros((4 * h, 4 * w), np.uint8)
    at = np.round((points - low) * 4).astype(int).tolist()
    for a, b, wide in zip(at[:-1], at[1:], widths.tolist(), strict=False):
        if wide > 0.1:
            cv2.line(canvas, a, b, 255, max(1, round(4 * wide)))
    small = cv2.resize(canvas, (w, h), interpolation=cv2.INTER_AREA)
    out[low[1] : high[1], low[0] : high[0]] = small.astype(np.float32) / 255
    return out


def streaks(rng: Rng, size: int, length: float, width: float, angle: float) -> Field:
    """Noise drawn out along `angle` (radians), (size, size), mean 0 and unit deviation."""
    noise = rng.standard_normal((size, size), dtype=np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), length, sigmaY=width, borderType=cv2.BORDER_REFLECT_101)
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), float(-np.degrees(angle)), 1)
    noise = cv2.warpAffine(noise, turn, (size, size), borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(noise / max(float(noise.std()), 1e-6), np.float32)


# --- tones ---


def under(s: Surface, mask: Field) -> Tone:
    """Mean colour of what lies under a mask."""
    seen = mask > 0.3
    return np.asarray(s.albedo[seen].mean(0) if seen.any() else s.albedo.mean((0, 1)), np.float32)


def depth_tone(s: Surface, mask: Field, share: float) -> Tone:
    """What an opening shows: `share` of the surface's own tone, or grey edges that catch light in a black surface."""
    below = under(s, mask)
    return np.asarray(below * share if below.mean() > 0.12 else below + 0.22 * (1 - share), np.float32)


def gap(s: Surface, mask: Field, severity: float) -> float:
    """Contrast (share of brightness) for a severity: at 0 near that of the surface's own grain, and rising."""
    ys, xs = np.nonzero(mask > 0.3)
    if len(xs) == 0:
        return 0.1 + 0.5 * severity
    near = s.albedo[max(ys.min() - 4, 0) : ys.max() + 5, max(xs.min() - 4, 0) : xs.max() + 5].mean(2)
    own = float(near.std()) / max(float(near.mean()), 0.05)
    return float(np.clip(0.08 + 0.7 * own, 0.08, 0.3) + 0.5 * severity)


def tone(rng: Rng, s: Surface, mask: Field, amount: float, sign: float | None = None) -> Tone:
    """A colour lighter (`sign` 1) or darker (-1) by `amount` than what lies under the mask; turns where there is no room."""
    below = under(s, mask)
    way = float(rng.choice([-1, 1])) if sign is None else sign
    if way > 0 and below.mean() > 0.78:
        way = -1
    if way < 0 and below.mean() < 0.15:
        way = 1
    return np.asarray(
        np.clip(below * (1 + way * amount) + way * 0.2 * amount + rng.normal(0, 0.02, 3), 0, 1), np.float32
    )


def raw_tone(rng: Rng, s: Surface, mask: Field, severity: float) -> Tone:
    """What shows where the skin is broken: paler and duller than the surface, or darker on a pale one."""
    ground = under(s, mask)
    pale = 0.4 * ground + 0.6 * ground.mean()
    way = 1 if ground.mean() < 0.6 else -1
    amount = (0.15 + 0.45 * severity) * (1 if way > 0 else 0.6)
    return np.asarray(
        np.clip(pale * (1 + way * amount) + way * 0.1 * amount + rng.normal(0, 0.02, 3), 0, 1), np.float32
    )


def shade(s: Surface, change: Field) -> None:
    """Lighten (above 0) or darken the surface by a share of its own colour, without a new colour."""
    s.albedo *= (1 + change)[..., None]
    s.albedo += 0.08 * np.clip(change, 0, None)[..., None]  # a black surface has next to nothing to multiply
    np.clip(s.albedo, 0, 1, out=s.albedo)


def filter_tint(s: Surface, strength: Field, tint: Tone | tuple[float, float, float]) -> None:
    """Lay a see-through coloured film on the surface."""
    s.albedo *= 1 - strength[..., None] * (1 - np.asarray(tint, np.float32))


def contact_shadow(s: Surface, body: Field, rng: Rng, reach: float, strength: float) -> None:
    """Darken beside something that lies on the surface, more on one side."""
    a = rng.uniform(0, 2 * np.pi)
    moved = np.array([[1, 0, reach * np.cos(a)], [0, 1, reach * np.sin(a)]])
    cast = cv2.GaussianBlur(cv2.warpAffine(body, moved, body.shape[::-1]), (0, 0), max(0.6, 0.6 * reach))
    shade(s, -strength * np.clip(cast, 0, 1) * (1 - body))


def displace(s: Surface, dx: Field, dy: Field) -> None:
    """Move the whole surface by (dx, dy) pixels a pixel."""
    size = s.alpha.shape[0]
    ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
    mx, my = xs - dx.astype(np.float32), ys - dy.astype(np.float32)
    for layer in (s.albedo, s.height, s.gloss, s.alpha):
        layer[:] = cv2.remap(layer, mx, my, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def moved_mask(before: Surface, after: Surface) -> Field:
    """Where a displaced surface looks different, (size, size) 0 or 1."""
    change = np.abs(before.albedo - after.albedo).sum(2) + np.abs(before.alpha - after.alpha)
    change += np.minimum(np.abs(before.height - after.height), 4) / 8
    size = change.shape[0]
    change = cv2.GaussianBlur(change, (0, 0), size / 60)
    peak = float(change.max())
    if peak < 0.05:
        return np.zeros((size, size), np.float32)
    return np.asarray(change > 0.18 * peak, np.float32)
