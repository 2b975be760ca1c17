"""An eye whose features are the colours of a photo, so that a test decides what every patch looks like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

CELLS = 14
GREY = (120, 120, 120)


@dataclass(frozen=True)
class ColourPatches:
    features: NDArray[np.float32]
    defect: NDArray[np.float32]


class ColourEncoder:
    """Each patch is the direction of its mean colour; what is mostly red looks like a defect."""

    def __init__(self, cells: int = CELLS, revision: str = "colours-1") -> None:
        self.cells, self.revision = cells, revision

    def patches(self, image: Image.Image, side: int | None = None) -> ColourPatches:
        small = image.convert("RGB").resize((self.cells, self.cells), Image.Resampling.BOX)
        colour = np.asarray(small, np.float32) + 1
        features = colour / np.linalg.norm(colour, axis=-1, keepdims=True)
        return ColourPatches(features, np.clip(features[..., 0] ** 2, 0.02, 0.98).astype(np.float32))


@pytest.fixture
def encoder() -> ColourEncoder:
    return ColourEncoder()


class Photos:
    """Draws grey photos, with a coloured square or with noise that no two photos share."""

    def plain(self, size: tuple[int, int] = (140, 140), colour: tuple[int, int, int] = GREY) -> Image.Image:
        return Image.new("RGB", size, colour)

    def marked(
        self,
        box: tuple[int, int, int, int],
        size: tuple[int, int] = (140, 140),
        colour: tuple[int, int, int] = (200, 10, 10),
    ) -> Image.Image:
        photo = self.plain(size)
        photo.paste(colour, box)
        return photo

    def noisy(self, seed: int, cells: int = CELLS) -> Image.Image:
        """One random colour a patch."""
        rng = np.random.default_rng([seed, 1])
        return Image.fromarray(rng.integers(60, 196, (cells, cells, 3), dtype=np.uint8))


@pytest.fixture
def photos() -> Photos:
    return Photos()
