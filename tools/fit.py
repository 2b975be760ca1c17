"""Fitting a detector to a folder of normal photos, and keeping it as safetensors + JSON.

The memory bank is chosen by anomalib's PatchCore. Scoring a photo does not import anomalib, which takes about ten
seconds and a gigabyte to load: `tools.detector` computes the same patch distances, and a test holds the two together.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tools.detector import Array, BankDetector, Calibration, PatchEncoder, nearest_distance, score_of, smoothed

if TYPE_CHECKING:
    from PIL import Image

CANDIDATES = 20_000
"""Patches that PatchCore chooses from: a random sample of all, so that memory and time do not grow with the photos."""
BANK = 4_000
"""Patches it keeps."""
FOLDS = 4
"""Parts the photos are held out in where the bank is thinned: each costs a choice of its own."""
MIN_PHOTOS = 3
_FORMAT = 1
_FILES = {"bank.safetensors", "detector.json"}


class DetectorError(ValueError):
    """A detector that cannot be fitted, read or used; the message says what to do."""


def conformal_threshold(normals: Array, false_alarm_rate: float) -> tuple[float, float]:
    """Threshold from scores of normal photos, and the false-alarm rate it can promise.

    Split-conformal rank: with n scores, the k-th smallest, k = ceil((n + 1)(1 − rate)), is exceeded by a new normal
    photo with probability at most `rate`. Where that rank lies beyond n, the photos support no better than 1/(n + 1),
    and the largest score is returned with that rate (Vovk et al., Algorithmic Learning in a Random World, 2005).

    Args:
        normals: (n,) raw scores, each from a detector that had not seen that photo.
        false_alarm_rate: in (0, 1).
    """
    ordered = np.sort(normals)
    n = len(ordered)
    # The small part taken off absorbs rounding: 20 · (1 − 0.45) comes out a little above 11.
    k = int(np.ceil((n + 1) * (1 - false_alarm_rate) - 1e-9))
    return (float(ordered[k - 1]), false_alarm_rate) if k <= n else (float(ordered[-1]), 1 / (n + 1))


def fit_detector(
    encoder: PatchEncoder,
    photos: Iterable[Image.Image],
    false_alarm_rate: float = 0.01,
    seed: int = 0,
    bank: int = BANK,
) -> FittedDetector:
    """Fit to normal photos, taken one at a time: only their patches are kept.

    Raises:
        DetectorError: fewer than 3 photos, or a rate outside (0, 0.5].
    """
    if not 0 < false_alarm_rate <= 0.5:
        raise DetectorError(
            f"false_alarm_rate {false_alarm_rate!r}: expected a share above 0 and at most 0.5, such as 0.05"
        )
    features = [encoder.patches(photo).features for photo in photos]
    if len(features) < MIN_PHOTOS:
        raise DetectorError(
            f"normal photos: {len(features)} given, at least {MIN_PHOTOS} are needed; with fewer, use them as references instead"
        )
    rng = np.random.default_rng(seed)
    pool = np.concatenate([f.reshape(-1, f.shape[-1]) for f in features])
    owner = np.repeat(np.arange(len(features)), [f.shape[0] * f.shape[1] for f in features])
    keep = rng.permutation(len(pool))[:CANDIDATES]
    kept = keep[coreset(pool[keep], bank, seed)]
    held_out = _held_out_scores(features, pool, owner, keep, bank, seed)
    threshold, rate = conformal_threshold(held_out, false_alarm_rate)
    middle = float(np.median(held_out))
    # The scale puts the median normal photo at a score of 0.1; with almost equal normals a floor keeps it finite.
    scale = max((threshold - middle) / np.log(9), 0.01 * max(threshold, 1e-3))
    calibration = Calibration(
        threshold,
        scale,
        f"{len(features)} normal photos, each scored by a bank without it; false-alarm rate at most {rate:.3g}",
    )
    return FittedDetector(encoder, pool[kept], calibration, rate=rate, asked=false_alarm_rate, normals=held_out)


def _held_out_scores(
    features: Sequence[Array], pool: Array, owner: np.ndarray, keep: np.ndarray, bank: int, seed: int
) -> Array:
    """Raw score of every photo against a bank made without it, (n,).

    Each photo is left out alone where the bank holds every patch, else a quarter of them at a time. The bank is thinned
    as the detector's own is: against all patches every photo would lie nearer, and the threshold come out far too low.
    """
    folds = len(features) if len(keep) <= bank else min(FOLDS, len(features))
    scores = np.zeros(len(features), np.float32)
    for fold in range(folds):
        others = keep[owner[keep] % folds != fold]
        others = others[coreset(pool[others], bank, seed)]
        for i in range(fold, len(features), folds):
            scores[i] = score_of(smoothed(nearest_distance(features[i], pool[others])))
    return scores


def coreset(patches: Array, size: int, seed: int = 0) -> np.ndarray:
    """Indices of at most `size` of `patches` (n, d), rows of length 1, spread by the greedy k-centre choice of anomalib's
    PatchCore."""
    if len(patches) <= size:
        return np.arange(len(patches))
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # anomalib imports modules that say they have moved
        from anomalib.models.components import KCenterGreedy

    class UnitVectors(KCenterGreedy):
        """Distances of vectors of length 1 by one matrix-vector product.

        The base makes an (n, d) array a step; between the small tensors that the loop keeps, the holes those leave in
        the heap were never filled again, and a fit to 60 photos took more than 20 GB.
        """

        def update_distances(self, cluster_center: int | torch.Tensor | None) -> None:
            squared = (2 - 2 * (self.features @ self.features[cluster_center])).clamp_(min=0)[:, None]
            self.min_distances = squared if self.min_distances is None else self.min_distances.minimum(squared)

    # Many tiny matrix products: threads cost far more here than they bring.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(seed)
        # The added axis leaves out its random projection, which no seed reaches and so few dimensions do not need.
        embedding = torch.from_numpy(patches)[:, None]
        sampler = UnitVectors(embedding=embedding, sampling_ratio=(size + 0.5) / len(patches))
        return np.asarray(sampler.select_coreset_idxs())
    finally:
        torch.set_num_threads(threads)


class FittedDetector(BankDetector):
    """A bank of normal patches with a threshold derived from the normal photos alone."""

    def __init__(
        self, encoder: PatchEncoder, bank: Array, calibration: Calibration, *, rate: float, asked: float, normals: Array
    ) -> None:
        super().__init__(encoder, bank, calibration, "fitted")
        self.rate, self.asked, self.normals = rate, asked, normals

    def save(self, folder: Path) -> None:
        """Write to `folder`, whole or not at all; an older detector there is replaced.

        Raises:
            DetectorError: the folder cannot be written.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import save_file

        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            if folder.exists() and (found := {path.name for path in folder.iterdir()}) and not found & _FILES:
                raise DetectorError(
                    f"detector folder {str(folder)!r}: holds something else, which is left alone; choose a new folder"
                )
            scratch = Path(tempfile.mkdtemp(prefix=".fit-", dir=folder.parent))
            try:
                made, older = scratch / "new", scratch / "old"
                made.mkdir()
                bank = made / "bank.safetensors"
                save_file({"bank": np.ascontiguousarray(self.bank), "normals": self.normals}, bank)
                card = {
                    "format": _FORMAT,
                    "encoder": self.encoder.revision,
                    "threshold": self.calibration.threshold,
                    "scale": self.calibration.scale,
                    "basis": self.calibration.basis,
                    "false_alarm_rate": self.rate,
                    "false_alarm_rate_asked": self.asked,
                    "bank_sha256": hashlib.sha256(bank.read_bytes()).hexdigest(),
                }
                (made / "detector.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
                if folder.exists():
                    os.replace(folder, older)
                try:
                    os.replace(made, folder)
                except OSError:
                    if older.exists():
                        os.replace(older, folder)
                    raise
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
        except (OSError, SafetensorError) as error:
            why = getattr(error, "strerror", None) or error
            raise DetectorError(
                f"detector folder {str(folder)!r}: cannot be written ({why}); set SAGE_HOME to a folder that can"
            ) from error

    @classmethod
    def load(cls, folder: Path, encoder: PatchEncoder) -> FittedDetector:
        """Read a detector.

        Raises:
            DetectorError: missing, damaged, or fitted with another encoder.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        again = f"fit it again with `sage-iad fit {folder.name} NORMAL_DIR`"
        try:
            card = json.loads((folder / "detector.json").read_text(encoding="utf-8"))
            if card["format"] != _FORMAT:
                raise DetectorError(
                    f"detector {str(folder)!r}: has format {card['format']!r}, this version reads {_FORMAT}; {again}"
                )
            data = (folder / "bank.safetensors").read_bytes()
            if hashlib.sha256(data).hexdigest() != card["bank_sha256"]:
                raise DetectorError(f"detector {str(folder)!r}: bank.safetensors does not match its card; {again}")
            tensors = load_file(folder / "bank.safetensors")
            calibration = Calibration(float(card["threshold"]), float(card["scale"]), str(card["basis"]))
            if not (np.isfinite(calibration.threshold) and 0 < calibration.scale < np.inf):
                raise DetectorError(
                    f"detector {str(folder)!r}: threshold {calibration.threshold!r} and scale {calibration.scale!r} are no "
                    f"calibration; {again}"
                )
            made = cls(
                encoder,
                tensors["bank"],
                calibration,
                rate=card["false_alarm_rate"],
                asked=card["false_alarm_rate_asked"],
                normals=tensors["normals"],
            )
            made_with = card["encoder"]
        except DetectorError:
            raise
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise DetectorError(
                f"detector {str(folder)!r}: cannot be read ({type(error).__name__}: {error}); {again}"
            ) from error
        if made_with != encoder.revision:
            raise DetectorError(
                f"detector {str(folder)!r}: was fitted with encoder {made_with}, this one is {encoder.revision}; {again}"
            )
        return made


def find_detector(home: Path, category: str, encoder: PatchEncoder) -> FittedDetector | None:
    """The fitted detector of a category; None where there is none.

    Raises:
        DetectorError: it is damaged, or fitted with another encoder.
    """
    if not _NAME.fullmatch(category) or not (folder := detector_folder(home, category)).exists():
        return None
    return FittedDetector.load(folder, encoder)


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def detector_folder(home: Path, category: str) -> Path:
    """Where the fitted detector of a category is kept.

    Raises:
        DetectorError: the category cannot be a folder name.
    """
    if not _NAME.fullmatch(category):
        raise DetectorError(
            f"category {category!r}: expected 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit"
        )
    return home / "detectors" / category
