"""Settings of a fitted detector that depend on the product, and how a photo is treated under them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tools.matching import smoothed
from tools.separable import along_one_axis

if TYPE_CHECKING:
    from PIL import Image

    from tools.detector import PatchEncoder

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Settings:
    """How photos are prepared and matched; the defaults are the plain choice."""

    side: int = 224
    """Side in pixels of the square a photo is squashed to."""
    flatten: bool = False
    """Even out the light before encoding."""
    local: bool = False
    """Match a patch with normal patches at most two cells away, for products that always lie alike."""

    def features(self, encoder: PatchEncoder, photo: Image.Image) -> Array:
        """Patches of one RGB photo under these settings: (h, w, d), rows of length 1."""
        if not self.flatten:
            return encoder.patches(photo, self.side).features
        return encoder.patches(flattened(squashed(photo, self.side)), self.side).features

    def words(self) -> str:
        """In a few words, for card and page."""
        return ", ".join([
            f"{self.side} px",
            "local matching" if self.local else "global matching",
            *(["flattened light"] if self.flatten else []),
        ])  # fmt: skip


PLAIN = Settings()


def squashed(photo: Image.Image, side: int) -> Image.Image:
    """An RGB photo of any size as a square, the way the encoder makes it."""
    from PIL import Image as PILImage

    return photo.resize((side, side), PILImage.Resampling.BILINEAR, reducing_gap=3.0)


def light(grey: Array, cells: int = 28) -> Array:
    """Light of a photo: its grey levels, (h, w), blurred by an eighth of its side.

    Computed on a grid of `cells` by `cells` means, as nothing finer than the blur is left in it.
    """
    from PIL import Image as PILImage

    h, w = grey.shape
    coarse = PILImage.fromarray(grey).resize((cells, cells), PILImage.Resampling.BOX)
    blurred = PILImage.fromarray(smoothed(np.asarray(coarse), cells / 8))
    return np.asarray(blurred.resize((w, h), PILImage.Resampling.BILINEAR))


@lru_cache(maxsize=4)
def light_matrix(side: int) -> NDArray[np.float64]:
    """Matrix L of `light` along one axis: the light of grey levels x, (side, side), is L x Lᵀ."""
    return along_one_axis(light, side)


def flattened(photo: Image.Image) -> Image.Image:
    """A square RGB photo divided by its light, at an even mean and spread."""
    from PIL import Image as PILImage

    # In double precision, as in an export: in single precision rounding would tip some grey levels to the next.
    pixels = np.asarray(photo, np.float64)
    blur = light_matrix(photo.width)
    flat = pixels / np.maximum(blur @ pixels.mean(-1) @ blur.T, 8)[..., None]
    flat = (flat - flat.mean()) / max(float(flat.std()), 1e-3)
    return PILImage.fromarray(np.clip(127.5 + 50 * flat, 0, 255).astype(np.uint8))
