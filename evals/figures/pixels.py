"""Metrics of anomaly maps, from counts of pixels by value: no map is held once it is counted.

Maps are rounded to float16, which has 15,361 values in 0..1; counted by them, sums over images lose nothing. Their
intervals resample images, for which every image leaves a coarser count behind, 3 KB of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from evals.errors import EvalError
from evals.figures.metrics import Metric
from evals.figures.resample import RESAMPLES, area, chunks, interval, weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from evals.figures.resample import Drawn, Floats

PRO_LIMIT = 0.3
"""Highest false-positive rate of the PRO curve (Bergmann et al., CVPR 2020)."""
_CODES = 0x3C00 + 1  # float16 bit patterns of 0 to 1, which rise with the value
_BINS = 256  # of the coarse counts; as wide as 60 codes, so fine where most pixels are, near 0


@dataclass(frozen=True)
class Levels:
    """How many pixels have each value, (15361,) float64 each, lowest value first; of one image or of several."""

    on: Floats
    """Of the pixels on the masks."""
    overlap: Floats
    """The same, each pixel weighing one over the size of its connected region (8 neighbours)."""
    off: Floats

    @classmethod
    def of(cls, anomaly_map: NDArray[np.floating], mask: NDArray[np.bool_]) -> Levels:
        """Count one image.

        Args:
            anomaly_map: (h, w) in 0..1; rounded to float16.
            mask: (h, w), True on the defect; all False for a normal image.

        Raises:
            EvalError: shapes that differ, or values outside 0..1 or NaN.
        """
        import numpy as np

        if anomaly_map.shape != mask.shape:
            raise EvalError(f"map of shape {anomaly_map.shape!r}: its mask has {mask.shape!r}; expected the same")
        if anomaly_map.size and not (anomaly_map.min() >= 0 and anomaly_map.max() <= 1):
            raise EvalError("map: holds values outside 0..1 or NaN; expected calibrated scores")
        # -0.0 would have a bit pattern above all others.
        codes = (np.asarray(anomaly_map, np.float16) + np.float16(0)).view(np.uint16)
        off = np.bincount(codes[~mask], minlength=_CODES).astype(np.float64)
        if not mask.any():
            return cls(np.zeros(_CODES), np.zeros(_CODES), off)
        on = np.bincount(codes[mask], minlength=_CODES).astype(np.float64)
        overlap = np.bincount(codes[mask], weights=_per_region(mask), minlength=_CODES)
        return cls(on, overlap.astype(np.float64), off)

    def __add__(self, other: Levels) -> Levels:
        return Levels(self.on + other.on, self.overlap + other.overlap, self.off + other.off)

    def pixel_auroc(self) -> Metric:
        """As `Pixels.pixel_auroc`, without an interval."""
        import numpy as np
        from sklearn.metrics import roc_auc_score

        if lacking := self._lacking():
            return Metric(None, reason=lacking)
        used = np.flatnonzero(self.on + self.off)
        truth, scores = np.repeat([1, 0], len(used)), np.tile(used, 2)
        value = roc_auc_score(truth, scores, sample_weight=np.concatenate([self.on[used], self.off[used]]))
        return Metric(float(value), reason="interval not computed")

    def pro(self) -> Metric:
        """As `Pixels.pro`, without an interval."""
        if lacking := self._lacking():
            return Metric(None, reason=lacking)
        value = area(_cumulated(self.overlap[None]), _cumulated(self.off[None]), PRO_LIMIT)[0]
        return Metric(float(value), reason="interval not computed")

    def _lacking(self) -> str | None:
        """Why nothing can be said, or None."""
        if not self.on.any():
            return "no anomalous image with a mask"
        return None if self.off.any() else "every pixel of every mask is marked"


class Pixels:
    """The counts of all images of a set, and what their intervals need."""

    def __init__(self) -> None:
        self._total: Levels | None = None
        self._marked: list[int] = []  # places of the images with a mask among all
        self._on: list[NDArray[np.float32]] = []
        self._overlap: list[NDArray[np.float32]] = []
        self._off: list[NDArray[np.float32]] = []

    def add(self, image: Levels) -> None:
        """Count one image in."""
        self._total = image if self._total is None else self._total + image
        if image.on.any():
            self._marked.append(len(self._off))
            self._on.append(_coarse(image.on))
            self._overlap.append(_coarse(image.overlap))
        self._off.append(_coarse(image.off))

    def pixel_auroc(self, *, resamples: int = RESAMPLES, seed: int = 0) -> Metric:
        """Area under the ROC curve over the pixels of all images.

        Args:
            resamples: Of the interval, drawn over images; 0 leaves it out.
            seed: Of the interval.
        """
        if self._total is None:
            return Metric(None, reason="no anomalous image with a mask")
        return self._with_interval(self._total.pixel_auroc(), "pixel_auroc", resamples, seed)

    def pro(self, *, resamples: int = RESAMPLES, seed: int = 0) -> Metric:
        """Area under the per-region overlap curve up to a false-positive rate of 0.3, divided by 0.3.

        Every connected region of the masks weighs the same, however small (Bergmann et al., CVPR 2020). anomalib's
        AUPRO takes ten seconds to import and maps of one size, and gives no interval; a test holds the two together.
        Arguments as in `pixel_auroc`.
        """
        if self._total is None:
            return Metric(None, reason="no anomalous image with a mask")
        return self._with_interval(self._total.pro(), "pro", resamples, seed)

    def resampled(self, name: Literal["pixel_auroc", "pro"], drawn: Drawn | Floats) -> Floats:
        """The metric for every row of weights, (R,), NaN where undefined; from coarse counts, whose bias is taken off."""
        import numpy as np

        exact = None if self._total is None else getattr(self._total, name)().value
        if exact is None:
            return np.full(len(drawn), np.nan)
        on, measure = (self._on, area) if name == "pixel_auroc" else (self._overlap, partial(area, limit=PRO_LIMIT))
        positive, negative = np.stack(on), np.stack(self._off)

        def measured(rows: Floats) -> Floats:
            drawn = rows.astype(np.float32)  # as the counts are: no copy of them in another type
            hits, alarms = drawn[:, self._marked] @ positive, drawn @ negative
            return measure(_cumulated(hits.astype(np.float64)), _cumulated(alarms.astype(np.float64)))

        bias = measured(np.ones((1, len(negative))))[0] - exact
        values = np.concatenate([measured(rows) for rows in chunks(drawn)])
        return np.asarray((values - bias).clip(0, 1))

    def _with_interval(self, exact: Metric, name: Literal["pixel_auroc", "pro"], resamples: int, seed: int) -> Metric:
        if exact.value is None or resamples == 0:
            return exact
        return Metric(exact.value, *interval(self.resampled(name, weights(len(self._off), resamples, seed))))


def pixel_auroc(
    maps: Sequence[NDArray[np.floating]],
    masks: Sequence[NDArray[np.bool_]],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Metric:
    """`Pixels.pixel_auroc` of maps (h, w) in 0..1 and their masks; sizes may differ from image to image.

    Raises:
        EvalError: maps and masks that do not fit each other.
    """
    return _counted(maps, masks).pixel_auroc(resamples=resamples, seed=seed)


def pro(
    maps: Sequence[NDArray[np.floating]],
    masks: Sequence[NDArray[np.bool_]],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Metric:
    """`Pixels.pro`; arguments and errors as in `pixel_auroc`."""
    return _counted(maps, masks).pro(resamples=resamples, seed=seed)


def _counted(maps: Sequence[NDArray[np.floating]], masks: Sequence[NDArray[np.bool_]]) -> Pixels:
    if len(maps) != len(masks):
        raise EvalError(f"maps and masks: {len(maps)} and {len(masks)} given; expected one mask a map")
    pixels = Pixels()
    for anomaly_map, mask in zip(maps, masks, strict=True):
        pixels.add(Levels.of(anomaly_map, mask))
    return pixels


def _coarse(counts: Floats) -> NDArray[np.float32]:
    """(15361,) to (256,)."""
    import numpy as np

    return np.add.reduceat(counts, np.arange(_BINS) * _CODES // _BINS).astype(np.float32)


def _cumulated(counts: Floats) -> Floats:
    """Along the last axis, highest value first."""
    import numpy as np

    return np.cumsum(counts[..., ::-1], axis=-1)


def _per_region(mask: NDArray[np.bool_]) -> Floats:
    """For every pixel on the mask, in its order, one over the size of its region."""
    import numpy as np
    from scipy.ndimage import label

    regions, _ = label(mask, structure=np.ones((3, 3)))
    return np.asarray(1 / np.bincount(regions.ravel())[regions[mask]])
