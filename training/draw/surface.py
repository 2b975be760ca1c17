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
    """Relief in pixels of the picture, as lengths across it."""
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
    pattern_colour: Colour | NDArray[np.float32] = (0.8, 0.6, 0.2)
    pattern_gloss: float = 0.5
    pattern_height: float = 1.2
    """How far the pattern stands out, in pixels of a picture of 224; about 0 for print."""
    spare: tuple[Part, ...] = field(default=())
    """Components of another kind, which a swap may put in."""

    def flatten(self) -> Surface:
        """The surface with its pattern painted on and its parts in place."""
        out = self.base.copy()
        if self.pattern is not None:
            paint(out, self.pattern, self.pattern_colour, self.pattern_gloss)
            out.height += self.pattern * np.float32(self.pattern_height * out.alpha.shape[0] / 224)
        for part in self.parts:
            _place(out, part)
        return out


def footprint(part: Part, size: int) -> Field:
    """Coverage (size, size) of a part on the base."""
    return _to_window(part.surface.alpha, part, (0, 0, size, size))


def _window(part: Part, size: int, margin: float) -> tuple[int, int, int, int]:
    """Bounds x0, y0, x1, y1 of the part on the base, with `margin` pixels around it; one pixel at least."""
    reach = part.surface.alpha.shape[0] * 0.7072 + 2 + margin
    x0, y0 = (int(np.clip(v - reach, 0, size - 1)) for v in (part.x, part.y))
    x1, y1 = (int(np.clip(v + reach + 2, 1, size)) for v in (part.x, part.y))
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def _to_window(layer: NDArray[np.float32], part: Part, window: tuple[int, int, int, int]) -> NDArray[np.float32]:
    x0, y0, x1, y1 = window
    half = layer.shape[0] / 2
    matrix = cv2.getRotationMatrix2D((half, half), part.angle, 1.0)
    matrix[0, 2] += part.x - half - x0
    matrix[1, 2] += part.y - half - y0
    return np.asarray(cv2.warpAffine(layer, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR), np.float32)


def _place(out: Surface, part: Part) -> None:
    size = out.alpha.shape[0]
    blur = max(1.0, size / 90)
    # Only the part's surroundings change: most parts are small.
    window = _window(part, size, 4 * blur)
    spot = np.s_[window[1] : window[3], window[0] : window[2]]
    cover = _to_window(part.surface.alpha, part, window)
    albedo = _to_window(part.surface.albedo, part, window)
    rest = _to_window(np.dstack([part.surface.height, part.surface.gloss]), part, window)
    # A part throws a soft contact shadow: without it parts look glued on.
    shadow = cv2.GaussianBlur(cover, (0, 0), blur)
    out.albedo[spot] *= (1 - 0.35 * shadow * (1 - cover))[..., None]
    out.albedo[spot] += cover[..., None] * (albedo - out.albedo[spot])
    out.height[spot] += cover * (rest[..., 0] + 2.0 * size / 224 - out.height[spot])
    out.gloss[spot] += cover * (rest[..., 1] - out.gloss[spot])
    out.alpha[spot] = np.maximum(out.alpha[spot], cover)
