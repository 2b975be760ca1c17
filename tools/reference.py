"""One-shot and few-shot: distance to the references given now, pixel by pixel where one of them is aligned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tools.calibration import Calibration
from tools.detector import Detection, DetectorError, PatchEncoder, detection
from tools.golden import departure, fine_size, pixels, register
from tools.matching import nearest_distance, smoothed

if TYPE_CHECKING:
    from PIL import Image

Array = NDArray[np.float32]

PIXEL_WEIGHT = 0.8
"""Distance between features that one unit of `tools.golden.departure` is worth; on drawn pairs ranking and place are
about the same from 0.6 to 1.2."""
MAX_STRETCH = 1.1
"""Ratio of two photos' aspect ratios beyond which they do not show the same scene."""


class ReferenceDetector:
    """Distance of every patch to the nearest patch of any reference; beside it, the difference from aligned references.

    Aligned references (golden samples) are found for each photo, by `tools.golden.register`.
    """

    def __init__(
        self,
        encoder: PatchEncoder,
        references: Sequence[Image.Image],
        calibration: Calibration,
        aligned: Calibration | None = None,
    ) -> None:
        """Encode the references.

        Args:
            encoder: the eye.
            references: normal RGB photos of the same product, one or several.
            calibration: of raw scores where no reference is aligned.
            aligned: of raw scores where one is; none: the same.

        Raises:
            DetectorError: no reference.
        """
        if not references:
            raise DetectorError("references: none given, at least one is needed; without any, use zero-shot")
        patches = [encoder.patches(reference).features for reference in references]
        self.encoder, self.references = encoder, tuple(references)
        self.bank: Array = np.concatenate([p.reshape(-1, p.shape[-1]) for p in patches])
        self.calibration, self.aligned_calibration = calibration, aligned or calibration
        self.setting = "one-shot" if len(references) == 1 else "few-shot"

    def raw_map(self, image: Image.Image) -> Array:
        """Uncalibrated: (h, w) of the encoder's patches, or of pixels where a reference is aligned."""
        return self._look(image)[0]

    def detect(self, image: Image.Image) -> Detection:
        """Score one RGB photo."""
        raw_map, aligned = self._look(image)
        return detection(raw_map, self.aligned_calibration if aligned else self.calibration, image)

    def aligned(self, image: Image.Image) -> bool:
        """Whether any reference can be compared with this photo pixel by pixel."""
        return self._departure(image) is not None

    def _look(self, image: Image.Image) -> tuple[Array, bool]:
        distance = smoothed(nearest_distance(self.encoder.patches(image).features, self.bank))
        off = self._departure(image)
        if off is None:
            return distance, False
        import cv2

        if min(distance.shape) > 4:  # as in `score_of`: the outermost patches are no evidence
            distance = np.pad(distance[1:-1, 1:-1], 1, mode="edge")
        return np.asarray(cv2.resize(distance, off.shape[::-1]) + PIXEL_WEIGHT * off, np.float32), True

    def _departure(self, image: Image.Image) -> Array | None:
        """Least departure from the aligned references, (h, w) in fine pixels; None where none is aligned."""
        size = fine_size(image)
        photo = pixels(image, size)
        least: Array | None = None
        for reference in self.references:
            stretch = image.width * reference.height / (image.height * reference.width)
            if max(stretch, 1 / stretch) > MAX_STRETCH:
                continue
            golden = pixels(reference, size)
            registration = register(photo, golden)
            if registration.aligned:
                off = departure(photo, golden, registration)
                least = off if least is None else np.minimum(least, off)
        return least
