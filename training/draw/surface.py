"""What a product is made of before a camera sees it, and the camera."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training.draw.noise import Field, Rng, fractal, grain, grid

Colour = tuple[float, float, float]


@dataclass
class Surface:
    """Layers of one size (H, W), float32: what light meets."""

    albedo: NDArray[np.float32]
    """(H, W, 3), 0..1."""
    height: Field
    """Relief in pixels."""
    gloss: Field
    """0 matt to 1 mirror-like."""
    alpha: Field
    """1 where the product is, 0 where the background shows."""

    def copy(self) -> Surface:
        return replace(
            self, albedo=self.albedo.copy(), height=self.height.copy(), gloss=self.gloss.copy(), alpha=self.alpha.copy()
        )


def blank(size: int, colour: Colour = (0.5, 0.5, 0.5), gloss: float = 0.2, alpha: float = 1.0) -> Surface:
    """An even, flat surface."""
    return Surface(
        albedo=np.broadcast_to(np.asarray(colour, np.float32), (size, size, 3)).copy(),
        height=np.zeros((size, size), np.float32),
        gloss=np.full((size, size), gloss, np.float32),
        alpha=np.full((size, size), alpha, np.float32),
    )


def paint(surface: Surface, coverage: Field, colour: Colour | NDArray[np.float32], gloss: float | None = None) -> None:
    """Blend `colour` into the surface where `coverage` (0..1) says."""
    weight = coverage[..., None]
    surface.albedo += weight * (np.asarray(colour, np.float32) - surface.albedo)
    if gloss is not None:
        surface.gloss += coverage * (gloss - surface.gloss)


@dataclass(frozen=True)
class Part:
    """A component that sits on a base: its own surface and where its centre is."""

    surface: Surface
    x: float
    y: float
    """Centre, in pixels of the base."""
    angle: float = 0.0
    """Degrees."""
    kind: str = "part"


@dataclass(frozen=True)
class Product:
    """One instance of a product: a base, the parts on it, and the pattern its surface carries, if any."""

    base: Surface
    parts: tuple[Part, ...] = ()
    pattern: Field | None = None
    """Conductor or print coverage (H, W) 0..1, which defects such as an open circuit edit."""
    pattern_colour: Colour = (0.8, 0.6, 0.2)
    pattern_gloss: float = 0.5
    spare: tuple[Part, ...] = field(default=())
    """Components of another kind, which a swap may put in."""

    def flatten(self) -> Surface:
        """The surface with its pattern painted on and its parts in place."""
        out = self.base.copy()
        if self.pattern is not None:
            paint(out, self.pattern, self.pattern_colour, self.pattern_gloss)
            out.height += self.pattern * 1.2
        for part in self.parts:
            _place(out, part)
        return out


def footprint(part: Part, size: int) -> Field:
    """Coverage (size, size) of a part on the base."""
    return _to_base(part.surface.alpha, part, size)


def _to_base(layer: NDArray[np.float32], part: Part, size: int) -> NDArray[np.float32]:
    half = layer.shape[0] / 2
    matrix = cv2.getRotationMatrix2D((half, half), part.angle, 1.0)
    matrix[0, 2] += part.x - half
    matrix[1, 2] += part.y - half
    return np.asarray(cv2.warpAffine(layer, matrix, (size, size), flags=cv2.INTER_LINEAR), np.float32)


def _place(out: Surface, part: Part) -> None:
    size = out.alpha.shape[0]
    cover = footprint(part, size)
    albedo = _to_base(part.surface.albedo, part, size)
    rest = _to_base(np.dstack([part.surface.height, part.surface.gloss]), part, size)
    # A part throws a soft contact shadow: without it parts look glued on.
    shadow = cv2.GaussianBlur(cover, (0, 0), max(1.0, size / 90))
    out.albedo *= (1 - 0.35 * shadow * (1 - cover))[..., None]
    out.albedo += cover[..., None] * (albedo - out.albedo)
    out.height += cover * (rest[..., 0] + 2.0 - out.height)
    out.gloss += cover * (rest[..., 1] - out.gloss)
    out.alpha = np.maximum(out.alpha, cover)


@dataclass(frozen=True)
class Setup:
    """How a station takes its photos: the same for every photo of one product, up to the jitter of `snap`."""

    light: tuple[float, float]
    """Azimuth in radians and elevation in 0..1 (1 = straight above)."""
    intensity: float
    ambient: float
    falloff: float
    """Strength of uneven lighting, 0..1."""
    background: Colour
    background_noise: float
    grey: bool
    blur: float
    noise: float
    jpeg: int | None
    pose: float
    """0: fixture holds the part still; 1: any rotation and a large shift."""
    scale: float
    relief: float
    exposure: float | None
    """Mean brightness the camera aims at, 0..1; None: fixed exposure."""


def draw_setup(
    rng: Rng, *, grey: float = 0.25, pose: float | None = None, scale: tuple[float, float] = (0.85, 1.1)
) -> Setup:
    """A random station."""
    shade = float(rng.choice([rng.uniform(0, 0.15), rng.uniform(0.2, 0.8), rng.uniform(0.85, 1)]))
    tint = rng.uniform(-0.08, 0.08, 3)
    return Setup(
        light=(float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.35, 0.95))),
        intensity=float(rng.uniform(0.75, 1.2)),
        ambient=float(rng.uniform(0.25, 0.6)),
        falloff=float(rng.choice([0, rng.uniform(0, 0.6)])),
        background=tuple(float(c) for c in np.clip(shade + tint, 0, 1)),  # type: ignore[arg-type]
        background_noise=float(rng.choice([0, rng.uniform(0, 0.15)])),
        grey=bool(rng.random() < grey),
        blur=float(rng.choice([0, rng.uniform(0, 1.0)])),
        noise=float(rng.uniform(0.002, 0.03)),
        jpeg=int(rng.integers(55, 97)) if rng.random() < 0.5 else None,
        pose=float(rng.choice([0.0, 0.05, 0.3, 1.0], p=[0.15, 0.4, 0.25, 0.2]) if pose is None else pose),
        scale=float(rng.uniform(*scale)),
        relief=float(rng.uniform(0.5, 1.3)),
        exposure=float(rng.uniform(0.3, 0.6)) if rng.random() < 0.7 else None,
    )


def pose_matrix(rng: Rng, setup: Setup, size: int) -> NDArray[np.float64]:
    """A random placement of the product in the picture, (3, 3), as the setup allows."""
    angle = rng.uniform(-180, 180) if setup.pose >= 1 else rng.uniform(-60, 60) * setup.pose
    shift = rng.uniform(-0.12, 0.12, 2) * min(setup.pose, 0.7) * size
    scale = setup.scale * (1 + rng.uniform(-0.06, 0.06) * min(1, setup.pose * 3))
    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D((size / 2, size / 2), float(angle), float(scale))
    matrix[:2, 2] += shift
    tilt = rng.uniform(-1, 1, 2) * 0.12 * setup.pose / size
    return np.asarray(np.array([[1, 0, 0], [0, 1, 0], [tilt[0], tilt[1], 1 - (tilt[0] + tilt[1]) * size / 2]]) @ matrix)


def move(layer: NDArray[np.float32], matrix: NDArray[np.float64], reflect: bool = False) -> NDArray[np.float32]:
    """A layer as the camera sees it."""
    size = layer.shape[0]
    border = cv2.BORDER_REFLECT_101 if reflect else cv2.BORDER_CONSTANT
    return np.asarray(
        cv2.warpPerspective(layer, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border), np.float32
    )


def snap(surface: Surface, setup: Setup, matrix: NDArray[np.float64], rng: Rng, fill: bool) -> NDArray[np.uint8]:
    """Photograph a surface: (H, W, 3) uint8. `fill` continues the surface past its border (for textures)."""
    size = surface.alpha.shape[0]
    albedo = move(surface.albedo, matrix, fill)
    rest = move(np.dstack([surface.height, surface.gloss, surface.alpha]), matrix, fill)
    height, gloss, alpha = rest[..., 0], rest[..., 1], rest[..., 2]
    if np.any(alpha < 1):
        ground = np.broadcast_to(np.asarray(setup.background, np.float32), albedo.shape)
        if setup.background_noise:
            ground = ground + setup.background_noise * (fractal(rng, size, 5, 5) - 0.5)[..., None]
        offset = 0.02 * size
        cast = cv2.GaussianBlur(alpha, (0, 0), 0.015 * size)
        cast = cv2.warpAffine(
            cast,
            np.array([[1, 0, -offset * np.cos(setup.light[0])], [0, 1, -offset * np.sin(setup.light[0])]]),
            (size, size),
        )
        ground = ground * (1 - 0.4 * cast * (1 - setup.ambient))[..., None]
        albedo = albedo * alpha[..., None] + ground * (1 - alpha[..., None])
        gloss = gloss * alpha
        height = height * alpha
    image = _shade(albedo, height, gloss, setup, rng)
    if setup.exposure is not None:
        image *= np.clip(setup.exposure / max(float((image.mean(2) * alpha).sum() / max(alpha.sum(), 1)), 1e-3), 0.6, 3)
    return _expose(image, setup, rng)


def _shade(albedo: NDArray[np.float32], height: Field, gloss: Field, setup: Setup, rng: Rng) -> NDArray[np.float32]:
    size = height.shape[0]
    azimuth = setup.light[0] + rng.normal(0, 0.03)
    elevation = setup.light[1]
    flat = float(np.sqrt(max(1 - elevation**2, 0)))
    light = np.array([np.cos(azimuth) * flat, np.sin(azimuth) * flat, elevation], np.float32)
    gx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=setup.relief * 224 / size / 8)
    gy = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=setup.relief * 224 / size / 8)
    norm = 1 / np.sqrt(gx * gx + gy * gy + 1)
    diffuse = np.clip((-gx * light[0] - gy * light[1] + light[2]) * norm, 0, None)
    half = light + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    shine = np.clip((-gx * half[0] - gy * half[1] + half[2]) * norm, 0, 1)
    specular = gloss * shine**24
    level = setup.intensity * (1 + rng.normal(0, 0.03))
    if setup.falloff:
        x, y = grid(size)
        reach = 1 - setup.falloff * (
            0.5
            - 0.5 * (x * np.cos(azimuth) + y * np.sin(azimuth)) * rng.uniform(0.6, 1)
            + 0.3 * (x * x + y * y) * rng.random()
        )
        level = level * np.clip(reach, 0.15, 1.3)
    lit = (setup.ambient + (1 - setup.ambient) * diffuse / max(elevation, 0.3)) * level
    return np.asarray(albedo * lit[..., None] + (0.5 * specular * level)[..., None], np.float32)


def _expose(image: NDArray[np.float32], setup: Setup, rng: Rng) -> NDArray[np.uint8]:
    if setup.grey:
        image = np.repeat((image @ np.array([0.3, 0.59, 0.11], np.float32))[..., None], 3, axis=2)
    else:
        image = image * (1 + rng.normal(0, 0.012, 3)).astype(np.float32)
    if setup.blur > 0.2:
        image = cv2.GaussianBlur(image, (0, 0), setup.blur)
    size = image.shape[0]
    noise = grain(rng, size) * setup.noise
    out: NDArray[np.uint8] = np.clip((image + noise[..., None]) * 255, 0, 255).astype(np.uint8)
    if setup.jpeg is not None:
        _, data = cv2.imencode(".jpg", out[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, setup.jpeg])
        decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
        out = np.ascontiguousarray(decoded[..., ::-1])
    return out
