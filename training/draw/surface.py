"""What a product is made of before a camera sees it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from training.draw.noise import Field

Colour = tuple[float, float, float]


@dataclass
class Surface:
    """Layers of one size (H, W), float32: what light meets."""

    albedo: NDArray[np.float32]
    """(H, W, 3), 0..1."""
    height: Field
    """Relief in pixels of a photo of 224."""
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
    pattern_height: float = 1.2
    """How far the pattern stands out, in pixels; about 0 for print."""
    spare: tuple[Part, ...] = field(default=())
    """Components of another kind, which a swap may put in."""

    def flatten(self) -> Surface:
        """The surface with its pattern painted on and its parts in place."""
        out = self.base.copy()
        if self.pattern is not None:
            paint(out, self.pattern, self.pattern_colour, self.pattern_gloss)
            out.height += self.pattern * self.pattern_height
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
