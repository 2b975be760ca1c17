"""Where pixels live during an inspection: everything else passes image *ids*."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image


class ImageStore:
    """Photos and heat maps of one inspection or session, by id."""

    def __init__(self) -> None:
        self._photos: dict[str, Image.Image] = {}
        self._maps: dict[str, NDArray[np.float32]] = {}

    def add(self, id: str, photo: Image.Image) -> str:
        """Keep an RGB photo under `id`."""
        self._photos[id] = photo
        return id

    def add_map(self, id: str, anomaly_map: NDArray[np.float32]) -> str:
        """Keep a heat map (H, W) float32 in 0..1 under `id`."""
        self._maps[id] = anomaly_map
        return id

    def photo(self, id: str) -> Image.Image:
        """The RGB photo.

        Raises:
            ToolError: no photo has this id; the message lists those there are, so that a model can correct itself.
        """
        if id not in self._photos:
            raise ToolError(f"image_id {id!r}: no such image; there are {sorted(self._photos)}")
        return self._photos[id]

    @property
    def photos(self) -> list[str]:
        """Ids of the photos there are."""
        return sorted(self._photos)

    def has(self, id: str) -> bool:
        """Whether a photo has this id."""
        return id in self._photos

    def has_map(self, id: str) -> bool:
        """Whether a heat map has this id."""
        return id in self._maps

    def anomaly_map(self, id: str) -> NDArray[np.float32]:
        """The heat map (H, W) float32 in 0..1.

        Raises:
            ToolError: no heat map has this id.
        """
        if id not in self._maps:
            raise ToolError(f"heatmap_id {id!r}: no such heat map; there are {sorted(self._maps)}; call heatmap first")
        return self._maps[id]


class ToolError(ValueError):
    """A call the model made wrongly; its message goes back to the model as text it can act on."""
