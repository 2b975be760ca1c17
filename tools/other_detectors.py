"""Detectors of anomalib by name, for `fit --detector`: PaDiM on our own eye, and four that stand on pre-trained weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from tools.calibration import Calibration, supported_rate
from tools.detector import Array, Detection, DetectorError, detection
from tools.folder import read_checked, write_checked

if TYPE_CHECKING:
    from PIL import Image

    from tools.detector import PatchEncoder

Name = Literal["padim", "efficientad", "dinomaly", "anomalydino", "winclip"]
NAMES: tuple[str, ...] = get_args(Name)
MIN_PHOTOS = 3
MAX_PHOTOS = 500
"""Photos kept of a longer list, a random sample: memory does not grow with the list."""
_FORMAT = 2
_CARD, _STATE, _NORMALS = "detector.json", "state.safetensors", "normals"


class Model(Protocol):
    """What is fitted and scores: `tools.padim.Padim` or `tools.pretrained.Pretrained`."""

    made_with: str
    """Revision of the encoder, or of the pre-trained weights."""
    folds: int | None
    """Parts the photos are held out in; None: one quarter is held out, once, and never fitted to."""

    def prepare(self, photo: Image.Image) -> NDArray[Any]:
        """What `fit` and `score` want of a photo."""
        ...

    def fit(self, photos: Sequence[NDArray[Any]]) -> None:
        """Fit to prepared photos."""
        ...

    def score(self, photo: NDArray[Any]) -> tuple[Array, float]:
        """Raw map (h, w) and raw image score of a prepared photo."""
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """What fitting made."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `state` gave."""
        ...


def model_of(
    name: str,
    encoder: PatchEncoder,
    *,
    weights: Path | None = None,
    download: bool = False,
    seed: int = 0,
    steps: int | None = None,
) -> Model:
    """An unfitted model.

    Args:
        name: of `NAMES`.
        encoder: the eye; PaDiM alone uses it.
        weights: file or folder of the pre-trained weights; None: the local caches.
        download: fetch weights that are missing.
        steps: of training, for EfficientAD and Dinomaly; None: as many as their papers.

    Raises:
        DetectorError: no such name, or the weights are missing or not the right ones.
    """
    if name == "padim":
        from tools.padim import Padim

        return Padim(encoder, seed)
    if name not in NAMES:
        raise DetectorError(f"detector {name!r}: expected one of patchcore, {', '.join(NAMES)}")
    from tools.pretrained import Pretrained
    from tools.pretrained_weights import find_weights

    return Pretrained(name, find_weights(name, weights, download=download), seed, steps)


class OtherDetector:
    """A fitted model behind the `Detector` protocol."""

    setting = "fitted"

    def __init__(
        self, name: str, model: Model, calibration: Calibration, *, rate: float, asked: float, normals: Array
    ) -> None:
        self.name, self.model, self.calibration = name, model, calibration
        self.rate, self.asked, self.normals = rate, asked, normals

    def detect(self, image: Image.Image) -> Detection:
        """Score one RGB photo.

        The image score is the model's own. Where that is more than the map's maximum, as for WinCLIP, a map can stay
        below 0.5 in a photo that is above it.
        """
        raw_map, raw = self.model.score(self.model.prepare(image))
        return detection(raw_map, self.calibration, image, raw)

    def save(self, folder: Path) -> None:
        """Write state dict and card to `folder`, whole or not at all; an older detector there is replaced.

        Raises:
            DetectorError: the folder cannot be written, or holds something else.
        """
        from safetensors.numpy import save

        arrays = {name: np.ascontiguousarray(array) for name, array in self.model.state().items()}
        card = {
            "format": _FORMAT,
            "detector": self.name,
            "made_with": self.model.made_with,
            "weights": None if (weights := getattr(self.model, "weights", None)) is None else str(weights),
            "threshold": self.calibration.threshold,
            "scale": self.calibration.scale,
            "basis": self.calibration.basis,
            "false_alarm_rate": self.rate,
            "false_alarm_rate_asked": self.asked,
        }
        data = save(arrays | {_NORMALS: self.normals})
        write_checked(folder, card, data, (_CARD, _STATE), what="detector folder")


def fit_other(
    name: str, model: Model, photos: Iterable[Image.Image], false_alarm_rate: float = 0.01, seed: int = 0
) -> OtherDetector:
    """Fit to normal photos, and derive the threshold from scores of photos that were held out.

    Args:
        name: of `NAMES`.
        model: as `model_of` makes it.
        photos: RGB, taken one at a time.
        false_alarm_rate: share of normal photos that may lie above the threshold, in (0, 0.5].

    Raises:
        DetectorError: fewer than 3 photos, or a rate out of range.
    """
    if not 0 < false_alarm_rate <= 0.5:
        raise DetectorError(
            f"false_alarm_rate {false_alarm_rate!r}: expected a share above 0 and at most 0.5, such as 0.05"
        )
    prepared, given = _sample((model.prepare(photo) for photo in photos), seed)
    if given < MIN_PHOTOS:
        raise DetectorError(f"normal photos: {given} given, at least {MIN_PHOTOS} are needed; add some")
    part = np.random.default_rng(seed).permutation(len(prepared)) % min(model.folds or 4, len(prepared))
    scores: dict[int, float] = {}
    for fold in range(part.max() + 1 if model.folds else 1):
        model.fit([photo for photo, its in zip(prepared, part, strict=True) if its != fold])
        scores |= {i: model.score(prepared[i])[1] for i in np.flatnonzero(part == fold).tolist()}
    if model.folds:
        model.fit(prepared)
    normals = np.array([scores[i] for i in sorted(scores)], np.float32)
    calibration = Calibration.from_normals(normals, false_alarm_rate, f"by a {name} fitted without it")
    rate = max(false_alarm_rate, supported_rate(len(normals)))
    return OtherDetector(name, model, calibration, rate=rate, asked=false_alarm_rate, normals=normals)


def _sample(photos: Iterable[NDArray[Any]], seed: int) -> tuple[list[NDArray[Any]], int]:
    """At most `MAX_PHOTOS` of a stream, each as likely (Vitter's algorithm R, 1985), and how many there were."""
    rng, given = np.random.default_rng(seed), 0
    kept: list[NDArray[Any]] = []
    for given, photo in enumerate(photos, 1):
        if len(kept) < MAX_PHOTOS:
            kept.append(photo)
        elif (place := int(rng.integers(given))) < MAX_PHOTOS:
            kept[place] = photo
    return kept, given


def load_other(
    folder: Path, encoder: PatchEncoder, *, weights: Path | None = None, download: bool = False
) -> OtherDetector:
    """Read a detector that `OtherDetector.save` wrote.

    Args:
        folder: with its state dict and card.
        encoder: the eye; PaDiM alone uses it.
        weights: as in `model_of`; None: where they were at the fit, else the local caches.
        download: fetch weights that are missing.

    Raises:
        DetectorError: missing, damaged, or made with another encoder or other weights.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    again = f"fit it again with `sage-iad fit {folder.name} NORMAL_DIR`"
    card, data = read_checked(folder, (_CARD, _STATE), version=_FORMAT, what="detector", again=again)
    try:
        state = load(data)
        kept = None if card["weights"] is None else Path(card["weights"])
        known = kept if weights is None and kept is not None and kept.is_file() else weights
        model = model_of(card["detector"], encoder, weights=known, download=download)
        if model.made_with != card["made_with"]:
            raise DetectorError(
                f"detector {str(folder)!r}: was fitted with encoder or weights {card['made_with']}, these are "
                f"{model.made_with}; {again}"
            )
        normals = state.pop(_NORMALS)
        model.restore(state)
        calibration = Calibration(float(card["threshold"]), float(card["scale"]), str(card["basis"]))
        if not (np.isfinite(calibration.threshold) and 0 < calibration.scale < np.inf):
            raise DetectorError(
                f"detector {str(folder)!r}: threshold {calibration.threshold!r} and scale {calibration.scale!r} are no "
                f"calibration; {again}"
            )
        rate, asked = float(card["false_alarm_rate"]), float(card["false_alarm_rate_asked"])
    except DetectorError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise DetectorError(
            f"detector {str(folder)!r}: cannot be read ({type(error).__name__}: {error}); {again}"
        ) from error
    return OtherDetector(card["detector"], model, calibration, rate=rate, asked=asked, normals=normals)
