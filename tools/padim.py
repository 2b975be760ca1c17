"""PaDiM over the eye's features: at every place a Gaussian of the normal patches there (Defard et al., ICPR 2021)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tools.matching import score_of, smoothed

if TYPE_CHECKING:
    from PIL import Image

    from tools.detector import PatchEncoder

Array = NDArray[np.float32]

MAX_BYTES = 19_000_000
"""Size of the inverse covariances, which decides how many dimensions are kept."""


class Padim:
    """Mahalanobis distance of each patch to the normal patches at its place; for products that always lie alike.

    As in the paper, a random choice of the dimensions is kept, here as many as `MAX_BYTES` allows. The Gaussians are
    anomalib's; scoring does not import it.
    """

    folds: int | None = 4

    def __init__(self, encoder: PatchEncoder, seed: int = 0) -> None:
        self.encoder, self.seed = encoder, seed
        self.made_with = encoder.revision
        self.dimensions: NDArray[np.int64] | None = None
        self.mean = np.zeros((0, 0), np.float32)
        self.inverse_covariance = np.zeros((0, 0, 0), np.float32)

    def prepare(self, photo: Image.Image) -> Array:
        """Features of the dimensions kept, (h, w, k)."""
        features = self.encoder.patches(photo).features
        h, w, d = features.shape
        if self.dimensions is None:
            kept = min(d, int(np.sqrt(MAX_BYTES / (features.itemsize * h * w))))
            self.dimensions = np.sort(np.random.default_rng(self.seed).permutation(d)[:kept])
        # Vectors of length 1 have a variance near 1/d; the Gaussians' added 0.01 supposes one near 1.
        return np.asarray(features[..., self.dimensions] * np.sqrt(d), np.float32)

    def fit(self, photos: Sequence[Array]) -> None:
        """Estimate the Gaussians from prepared photos, two or more."""
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # anomalib imports modules that say they have moved
            from anomalib.models.components import MultiVariateGaussian

        embedding = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).contiguous()
        # Hundreds of small matrices: threads cost more than they bring.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            mean, inverse_covariance = MultiVariateGaussian().fit(embedding)
        finally:
            torch.set_num_threads(threads)
        self.mean, self.inverse_covariance = mean.T.contiguous().numpy(), np.ascontiguousarray(inverse_covariance)

    def score(self, photo: Array) -> tuple[Array, float]:
        """Raw map (h, w) and raw image score of a prepared photo; both ≥ 0."""
        h, w, k = photo.shape
        delta = photo.reshape(h * w, 1, k) - self.mean[:, None]
        squared = (delta @ self.inverse_covariance @ delta.transpose(0, 2, 1)).reshape(h, w)
        raw_map = smoothed(np.sqrt(np.maximum(squared, 0)))
        return raw_map, score_of(raw_map)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """What fitting made."""
        assert self.dimensions is not None
        return {"dimensions": self.dimensions, "mean": self.mean, "inverse_covariance": self.inverse_covariance}

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over what `state` gave."""
        self.dimensions = state["dimensions"].astype(np.int64)
        self.mean = state["mean"].astype(np.float32)
        self.inverse_covariance = state["inverse_covariance"].astype(np.float32)
