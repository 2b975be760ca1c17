"""The inspection station: lights, background and camera that turn a surface into a photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.draw.noise import Field, Rng, fractal, grain, grid, value_noise
from training.draw.surface import Colour, Surface

Image = NDArray[np.float32]
Matrix = NDArray[np.float64]

GROUNDS = ("plain", "plain", "mat", "belt", "tray", "light_table")
"""What a product may lie on."""


@dataclass(frozen=True)
class Setup:
    """How a station takes its photos: the same for every photo of one product, up to the jitter of `snap`."""

    light: tuple[float, float]
    """Key light: azimuth in radians and elevation in 0..1 (1 = straight above)."""
    fill: tuple[float, float]
    """Second light from elsewhere: azimuth in radians and strength in 0..1 of the key light's."""
    intensity: float
    ambient: float
    """Share of light that comes from all sides, as under a dome, 0..1."""
    falloff: float
    """Strength of uneven lighting, 0..1."""
    softbox: tuple[float, float]
    """What shiny surfaces mirror: azimuth in radians and width in 0..1 of a bright panel."""
    ground: str
    background: Colour
    grey: bool
    warmth: float
    """White balance: above 0 warmer, below cooler."""
    contrast: float
    """Exponent of the tone curve; 1 is linear."""
    vignette: float
    blur: float
    motion: float
    """Length in pixels (at 224) of the smear along x."""
    sharpen: float
    noise: float
    jpeg: int | None
    pose: float
    """0: fixture holds the part still; 1: any rotation and a large shift."""
    scale: float
    relief: float
    exposure: float | None
    """Mean brightness the camera aims at, 0..1; None: fixed exposure."""


def draw_setup(
    rng: Rng, *, grey: float = 0.25, aligned: float = 0.15, scale: tuple[float, float] = (0.85, 1.1)
) -> Setup:
    """A random station.

    Args:
        rng: source of randomness.
        grey: share of stations with a monochrome camera, 0..1.
        aligned: share of stations whose fixture holds the part still, 0..1.
        scale: of the product in the picture.
    """
    shade = float(rng.choice([rng.uniform(0, 0.15), rng.uniform(0.2, 0.8), rng.uniform(0.85, 1)]))
    tint = rng.uniform(-0.05, 0.05, 3)
    dome = rng.random() < 0.3
    loose = float(rng.choice([0.05, 0.3, 1.0], p=[0.45, 0.3, 0.25]))
    return Setup(
        light=(float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.3, 0.95))),
        fill=(float(rng.uniform(0, 2 * np.pi)), float(rng.choice([0, rng.uniform(0.15, 0.7)]))),
        intensity=float(rng.uniform(0.8, 1.2)),
        ambient=float(rng.uniform(0.6, 0.85) if dome else rng.uniform(0.2, 0.5)),
        falloff=float(rng.choice([0, rng.uniform(0, 0.6)])),
        softbox=(float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.15, 0.6))),
        ground=str(rng.choice(GROUNDS)),
        background=tuple(float(c) for c in np.clip(shade + tint, 0.01, 1)),  # type: ignore[arg-type]
        grey=bool(rng.random() < grey),
        warmth=float(rng.normal(0, 0.04)),
        contrast=float(rng.uniform(0.8, 1.25)),
        vignette=float(rng.choice([0, rng.uniform(0, 0.3)])),
        blur=float(rng.choice([0, rng.uniform(0, 0.9)])),
        motion=float(rng.uniform(1, 2.5)) if rng.random() < 0.06 else 0.0,
        sharpen=float(rng.uniform(0.2, 0.8)) if rng.random() < 0.25 else 0.0,
        noise=float(rng.uniform(0.002, 0.025)),
        jpeg=int(rng.integers(55, 97)) if rng.random() < 0.5 else None,
        pose=0.0 if rng.random() < aligned else loose,
        scale=float(rng.uniform(*scale)),
        relief=float(rng.uniform(0.5, 1.3)),
        exposure=float(rng.uniform(0.3, 0.6)) if rng.random() < 0.7 else None,
    )


def pose_matrix(rng: Rng, setup: Setup, size: int) -> Matrix:
    """A random placement of the product in the picture, (3, 3), as the setup allows."""
    angle = rng.uniform(-180, 180) if setup.pose >= 1 else rng.uniform(-60, 60) * setup.pose
    shift = rng.uniform(-0.12, 0.12, 2) * min(setup.pose, 0.7) * size
    scale = setup.scale * (1 + rng.uniform(-0.06, 0.06) * min(1, setup.pose * 3))
    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D((size / 2, size / 2), float(angle), float(scale))
    matrix[:2, 2] += shift
    tilt = rng.uniform(-1, 1, 2) * 0.12 * setup.pose / size
    return np.asarray(np.array([[1, 0, 0], [0, 1, 0], [tilt[0], tilt[1], 1 - (tilt[0] + tilt[1]) * size / 2]]) @ matrix)


def move(layer: Field, matrix: Matrix, reflect: bool = False) -> Image:
    """A layer as the camera sees it."""
    size = layer.shape[0]
    border = cv2.BORDER_REFLECT_101 if reflect else cv2.BORDER_CONSTANT
    return np.asarray(
        cv2.warpPerspective(layer, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border), np.float32
    )


def snap(
    surface: Surface, setup: Setup, matrix: Matrix, rng: Rng, fill: bool, gain: float | None = None
) -> tuple[NDArray[np.uint8], float]:
    """Photograph a surface.

    Args:
        surface: what is before the camera.
        setup: the station.
        matrix: placement in the picture, (3, 3).
        rng: source of randomness.
        fill: continue the surface past its border, as textures do.
        gain: of the camera; none: set by this photo, for the exposure the station aims at.

    Returns:
        The photo, (H, W, 3) uint8, and the gain.
    """
    albedo = move(surface.albedo, matrix, fill)
    rest = move(np.dstack([surface.height, surface.gloss, surface.alpha]), matrix, fill)
    height, gloss, alpha = rest[..., 0], rest[..., 1], rest[..., 2]
    if not fill:
        ground, roughness, sheen = _ground(setup, rng, alpha.shape[0])
        ground *= (1 - _cast_shadow(alpha, setup))[..., None]
        albedo = albedo * alpha[..., None] + ground * (1 - alpha[..., None])
        gloss = gloss * alpha + sheen * (1 - alpha)
        height = height * alpha + roughness * (1 - alpha)
    image = _shade(albedo, height, gloss, setup, rng)
    if gain is None:
        gain = 1.0 if setup.exposure is None else _gain(image, alpha, setup.exposure)
    return _expose(image * np.float32(gain), setup, rng), gain


def _gain(image: Image, alpha: Field, exposure: float) -> float:
    """What brings the product to a mean brightness of `exposure`."""
    level = float((image.mean(2) * alpha).sum() / max(float(alpha.sum()), 1.0))
    return float(np.clip(exposure / max(level, 1e-3), 0.6, 3))


def _ground(setup: Setup, rng: Rng, size: int) -> tuple[Image, Field, float]:
    """Colour (H, W, 3), relief and gloss of what the product lies on."""
    tint = np.broadcast_to(np.asarray(setup.background, np.float32), (size, size, 3)).copy()
    flat = np.zeros((size, size), np.float32)
    unit = size / 224
    if setup.ground == "light_table":
        x, y = grid(size)
        tint[:] = np.clip(1.05 - 0.12 * (x * x + y * y), 0, 1.1)[..., None]
        return tint, flat, 0.0
    if setup.ground == "plain":
        tint *= (0.97 + 0.06 * value_noise(rng, size, (3, 3)))[..., None]
        tint *= (1 + 0.012 * grain(rng, size, (0.8, 0.8)))[..., None]
        return tint, flat, 0.1
    if setup.ground == "mat":  # cloth, cardboard or rubber
        fibre = grain(rng, size, (0.9 * unit, 0.9 * unit))
        tint *= np.clip(0.9 + 0.2 * value_noise(rng, size, (5, 5)) + 0.06 * fibre, 0.3, 1.5)[..., None]
        return tint, (0.15 * fibre).astype(np.float32), 0.0
    if setup.ground == "belt":
        ys, xs = np.mgrid[0:size, 0:size].astype(np.float32)
        turn, pitch = setup.softbox[0], (5 + 12 * setup.softbox[1]) * unit
        ribs = np.sin((xs * np.cos(turn) + ys * np.sin(turn)) / pitch * 2 * np.pi + rng.uniform(0, 6))
        worn = value_noise(rng, size, (4, 4))
        tint *= (0.85 + 0.12 * ribs * worn + 0.2 * worn + 0.03 * grain(rng, size)).astype(np.float32)[..., None]
        return tint, (0.5 * ribs).astype(np.float32), 0.15
    # a metal or plastic tray with fine marks of use
    marks = grain(rng, size, (14 * unit, 0.5))
    tint *= (0.92 + 0.02 * marks + 0.16 * fractal(rng, size, 2, 3))[..., None]
    return tint, (0.05 * marks).astype(np.float32), 0.35


def _cast_shadow(alpha: Field, setup: Setup) -> Image:
    """Darkening 0..1 of the ground beside the product: a tight contact shadow and a wide soft one."""
    size = alpha.shape[0]
    if setup.ground == "light_table":
        return np.zeros_like(alpha, np.float32)
    flat = np.sqrt(max(1 - setup.light[1] ** 2, 0))
    out = np.zeros((size, size), np.float32)
    for blur, reach, weight in ((0.006, 0.008, 0.45), (0.02, 0.035, 0.5)):
        dx, dy = (-reach * (0.4 + flat) * size * f(setup.light[0]) for f in (np.cos, np.sin))
        cast = cv2.warpAffine(np.asarray(alpha, np.float32), np.array([[1, 0, dx], [0, 1, dy]]), (size, size))
        out = np.maximum(out, weight * cv2.GaussianBlur(cast, (0, 0), blur * size))
    return np.asarray(out * (1 - 0.75 * setup.ambient), np.float32)


def _shade(albedo: Image, height: Field, gloss: Field, setup: Setup, rng: Rng) -> Image:
    """Light on relief: two directional lights, light from all sides dimmed in cavities, and mirrored surroundings."""
    size = height.shape[0]
    gx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=setup.relief / 8)
    gy = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=setup.relief / 8)
    nz = 1 / np.sqrt(gx * gx + gy * gy + 1)
    nx, ny = -gx * nz, -gy * nz
    azimuth, elevation = setup.light[0] + rng.normal(0, 0.03), setup.light[1]
    level = setup.intensity * (1 + rng.normal(0, 0.03))
    relief = setup.relief * 224 / size  # depths are weighed as in a picture of 224

    direct = np.zeros_like(nz)
    specular = np.zeros_like(nz)
    for turn, rise, strength in ((azimuth, elevation, 1.0), (setup.fill[0], 0.6, setup.fill[1])):
        if strength == 0:
            continue
        flat = float(np.sqrt(max(1 - rise**2, 0)))
        lx, ly = float(np.cos(turn)) * flat, float(np.sin(turn)) * flat
        direct += strength * np.clip(nx * lx + ny * ly + nz * rise, 0, None) / max(rise, 0.35)
        norm = float(np.sqrt(lx * lx + ly * ly + (rise + 1) ** 2))
        shine = np.clip((nx * lx + ny * ly + nz * (rise + 1)) / norm, 0, 1)
        specular += strength * (0.6 * shine**20 + 0.4 * shine**80)
    direct /= 1 + setup.fill[1]
    direct *= 1 - 0.6 * _self_shadow(height, azimuth, elevation, relief)

    # What a shiny surface mirrors: a bright panel above dark surroundings, met where the normal leans towards it.
    lean = nx * np.float32(np.cos(setup.softbox[0])) + ny * np.float32(np.sin(setup.softbox[0]))
    panel = 1 / (1 + np.exp(np.clip((np.abs(lean - 0.12) - setup.softbox[1] * 0.5) * 14, -30, 30)))
    mirror = gloss * (0.30 * panel + 0.1 * ny - 0.1)

    deep = cv2.GaussianBlur(height, (0, 0), 0.012 * size) - height
    wide = cv2.GaussianBlur(height, (0, 0), 0.04 * size) - height
    cavity = np.clip(relief * (0.09 * deep + 0.05 * wide), -0.1, 0.55)
    lit = (setup.ambient * (1 - cavity) + (1 - setup.ambient) * direct) * (1 - 0.25 * gloss)
    if setup.falloff:
        x, y = grid(size)
        reach = 1 - setup.falloff * (
            0.5
            - 0.5 * (x * np.cos(azimuth) + y * np.sin(azimuth)) * rng.uniform(0.6, 1)
            + 0.3 * (x * x + y * y) * rng.random()
        )
        spread = np.clip(reach, 0.15, 1.3).astype(np.float32) * np.float32(level)
    else:
        spread = np.full_like(nz, level)
    highlight = 0.45 * gloss * specular * (1 - 0.5 * setup.ambient) * spread
    body = albedo * (lit * spread)[..., None]
    # Metals tint what they mirror, plastics do not: half and half.
    return np.asarray(body + (mirror * spread)[..., None] * (0.5 + 0.5 * albedo) + highlight[..., None], np.float32)


def _self_shadow(height: Field, azimuth: float, elevation: float, relief: float) -> Image:
    """Where nearby relief stands between a pixel and the light, 0..1, from a few steps towards it."""
    size = height.shape[0]
    slope = elevation / max(float(np.sqrt(max(1 - elevation**2, 0))), 0.2)
    out = np.zeros((size, size), np.float32)
    for step in (1.5, 3.5, 7.0):
        reach = step * size / 224
        shift = np.array([[1, 0, -reach * np.cos(azimuth)], [0, 1, -reach * np.sin(azimuth)]])
        towards = cv2.warpAffine(np.asarray(height, np.float32), shift, (size, size), borderMode=cv2.BORDER_REPLICATE)
        over = (towards - height) * (0.35 * relief) - step * slope
        out = np.maximum(out, np.clip(over / 3, 0, 1))
    return cv2.GaussianBlur(out, (0, 0), 0.8) if out.any() else out


def _expose(image: Image, setup: Setup, rng: Rng) -> NDArray[np.uint8]:
    """Lens, sensor and file: vignette, blur, noise that grows with light, tone curve, JPEG."""
    size = image.shape[0]
    unit = size / 224
    if setup.grey:
        image = (image @ np.array([0.3, 0.59, 0.11], np.float32))[..., None]
    else:
        balance = np.array([1 + setup.warmth, 1, 1 - setup.warmth]) * (1 + rng.normal(0, 0.01, 3))
        image = np.asarray(image * balance, np.float32)
    if setup.vignette:
        x, y = grid(size)
        image = image * (1 - setup.vignette * (x * x + y * y) / 2)[..., None].astype(np.float32)
    if setup.motion:
        image = _three(cv2.blur(image, (max(1, round(setup.motion * unit)), 1)))
    if setup.blur > 0.2:
        image = _three(cv2.GaussianBlur(image, (0, 0), setup.blur * unit))
    # Shot noise grows with the root of the light, read noise does not.
    image = np.clip(image, 0, None)
    noise = np.sqrt(0.25 + 0.75 * np.clip(image, 0, 1)) * np.float32(setup.noise)
    image = image + grain(rng, size)[..., None] * noise
    if setup.sharpen:
        image = image + setup.sharpen * (image - _three(cv2.GaussianBlur(image, (0, 0), 1.0)))
    # Highlights roll off instead of clipping at once.
    image = np.clip(image, 0, None)
    image = np.where(image > 0.8, 0.8 + 0.2 * (1 - np.exp(-(image - 0.8) / 0.2)), image) ** np.float32(setup.contrast)
    out: NDArray[np.uint8] = np.clip(image * 255, 0, 255).astype(np.uint8)
    if setup.jpeg is not None:
        _, data = cv2.imencode(".jpg", out[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, setup.jpeg])
        out = _three(np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), np.uint8))[..., ::-1]
    return np.broadcast_to(out, (size, size, 3)).copy()


def _three(image: Any) -> Any:
    """OpenCV drops the last axis of one-channel images; this puts it back."""
    return image if image.ndim == 3 else image[..., None]
