"""The encoder as tools want it: one photo in, normalised patches out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from agent.vlm.vision import SageVisionModel

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class EncodedPatches:
    """What the eye sees in one photo, patch by patch."""

    features: NDArray[np.float32]
    """(h, w, d), each vector of length 1."""
    defect: NDArray[np.float32]
    """(h, w), 0..1: how defect-like a patch looks by itself."""


class Eye:
    """The shipped encoder, or another folder of the same kind, on the CPU or a GPU."""

    def __init__(self, model: SageVisionModel, revision: str) -> None:
        self.model = model.eval()
        self.revision = revision
        # An inspection looks at the same photo several times: heat map, comparison, reference bank.
        self._encode = lru_cache(maxsize=8)(self._encode_bytes)

    @classmethod
    def load(cls, folder: Path) -> Eye:
        """Read an encoder folder (config.json and model.safetensors)."""
        return cls(SageVisionModel.from_pretrained(folder, dtype=torch.float32), weights_revision(folder))

    def patches(self, image: Image.Image, side: int | None = None) -> EncodedPatches:
        """Encode one RGB photo of any size.

        Args:
            image: RGB.
            side: pixels of the square it is squashed to, a multiple of the stride; None: the side the encoder was
                trained at.
        """
        side = side or self.model.config.image_size
        if side % self.model.stride:
            raise ValueError(f"side={side!r}: expected a multiple of {self.model.stride}, such as 224")
        small = image.resize((side, side), resample=2, reducing_gap=3.0)
        return self._encode(small.tobytes(), side)

    def _encode_bytes(self, rgb: bytes, side: int) -> EncodedPatches:
        pixels = torch.frombuffer(bytearray(rgb), dtype=torch.uint8).reshape(1, side, side, 3).permute(0, 3, 1, 2)
        pixels = pixels.to(self.model.device, torch.float32) / 127.5 - 1
        with torch.inference_mode():
            out = self.model(pixels)
            hidden = F.normalize(out.last_hidden_state[0].float(), dim=-1)
        cells = side // self.model.stride
        features = hidden.reshape(cells, cells, -1).cpu().numpy()
        defect = torch.sigmoid(out.defect_logits[0].float()).reshape(cells, cells).cpu().numpy()
        return EncodedPatches(features, defect)


def weights_revision(folder: Path) -> str:
    """First 12 hex digits of the SHA-256 of a model folder's weights."""
    digest = hashlib.sha256()
    for part in sorted(folder.glob("*.safetensors")):
        with part.open("rb") as opened:
            while block := opened.read(1 << 22):  # a part of a large model is gigabytes
                digest.update(block)
    return digest.hexdigest()[:12]
