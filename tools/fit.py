"""Fitting a detector to normal photos alone: bank, settings, held-out scores, threshold; additions and drift.

The bank is chosen by anomalib's PatchCore. Scoring a photo does not import anomalib, which takes about ten seconds and a
gigabyte to load: `tools.matching` computes the same patch distances, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from tools.bank import PATCHES, Bank, extended, global_bank, local_bank
from tools.calibration import Calibration, Drift, drift_of, supported_rate
from tools.choice import SAMPLE, Choice, choose_settings
from tools.detector import Array, Detection, DetectorError, PatchEncoder, detection
from tools.matching import score_of, smoothed
from tools.settings import Settings

if TYPE_CHECKING:
    from PIL import Image

MIN_PHOTOS = 3
MAX_PHOTOS = 500
"""Photos that are used at most: more cost time and memory, and support rates lower than anyone asks for."""
_Item = TypeVar("_Item")


def sample_photos(photos: Sequence[_Item], seed: int = 0, limit: int = MAX_PHOTOS) -> list[_Item]:
    """At most `limit` of a list of photos or paths, in random order: what is left out need not be read."""
    order = np.random.default_rng(seed).permutation(len(photos))[:limit]
    return [photos[i] for i in order]


def fit_detector(
    encoder: PatchEncoder,
    photos: Iterable[Image.Image],
    false_alarm_rate: float = 0.01,
    seed: int = 0,
    *,
    names: Sequence[str] | None = None,
    given: int | None = None,
    settings: Settings | None = None,
    bank: int = PATCHES,
) -> FittedDetector:
    """Fit to normal photos, taken one at a time: only their patches are kept, and of at most 500 photos.

    Args:
        encoder: the eye.
        photos: RGB, in random order (`sample_photos`): settings are chosen on the first of them.
        false_alarm_rate: share of normal photos that may lie above the threshold, in (0, 0.5].
        seed: of every random choice; the same seed gives the same detector.
        names: of the photos, for those who look at the strange ones; default: `photo 1`, ….
        given: photos there were before `sample_photos`; default: those used.
        settings: in place of those that would be chosen.
        bank: patches of a global bank, at most; a local one has as many a place as memory allows.

    Raises:
        DetectorError: fewer than 3 photos, or a rate outside (0, 0.5].
    """
    if not 0 < false_alarm_rate <= 0.5:
        raise DetectorError(
            f"false_alarm_rate {false_alarm_rate!r}: expected a share above 0 and at most 0.5, such as 0.05"
        )
    source = iter(photos)
    first = list(islice(source, SAMPLE))
    if len(first) < MIN_PHOTOS:
        raise DetectorError(
            f"normal photos: {len(first)} given, at least {MIN_PHOTOS} are needed; with fewer, use them as references instead"
        )
    choice = choose_settings(encoder, first, seed) if settings is None else Choice(settings, {}, "settings were given")
    chosen = choice.settings
    features = [chosen.features(encoder, photo) for photo in first]
    del first
    features += [chosen.features(encoder, photo) for photo in islice(source, MAX_PHOTOS - SAMPLE)]
    known = [f"photo {i}" for i in range(1, len(features) + 1)] if names is None else list(names[: len(features)])
    made = local_bank(features, seed=seed) if chosen.local else global_bank(features, bank, seed)
    normals = np.array([score_of(smoothed(made.distance(f, i))) for i, f in enumerate(features)], np.float32)
    return FittedDetector(encoder, choice, made, normals, tuple(known), false_alarm_rate, max(given or 0, len(normals)))


@dataclass(frozen=True, eq=False)
class FittedDetector:
    """A bank of normal patches with a threshold derived from the normal photos alone."""

    encoder: PatchEncoder
    choice: Choice
    bank: Bank
    normals: Array
    """Raw score of every normal photo against the patches of the others, (n,)."""
    names: tuple[str, ...]
    """Of the normal photos, n."""
    asked: float
    """False-alarm rate asked for."""
    given: int
    """Normal photos there were, additions included; more than n where only a sample was used."""

    @property
    def setting(self) -> str:
        """As every detector has it."""
        return "fitted"

    @property
    def settings(self) -> Settings:
        """How photos are prepared and matched."""
        return self.choice.settings

    @property
    def rate(self) -> float:
        """False-alarm rate that the normal photos support, at least what was asked."""
        return max(self.asked, supported_rate(len(self.normals)))

    @cached_property
    def calibration(self) -> Calibration:
        """Threshold by the conformal rank of the normals' scores."""
        return Calibration.from_normals(self.normals, self.asked, "without its own patches", self.given)

    @property
    def strange(self) -> list[int]:
        """Indices of normal photos whose score stands far out, the strangest first; look whether they are normal.

        Modified z-score above 3.5 (Iglewicz and Hoaglin, 1993), the spread taken above the median alone, since the
        highest value of a map is skewed.
        """
        beyond = self.normals - np.median(self.normals)
        spread = 1.4826 * float(np.median(beyond[beyond >= 0]))
        order = np.argsort(-beyond, kind="stable")
        return [int(i) for i in order if beyond[i] > max(3.5 * spread, 1e-3)]

    def raw_map(self, image: Image.Image) -> Array:
        """(h, w), uncalibrated."""
        return smoothed(self.bank.distance(self.settings.features(self.encoder, image)))

    def detect(self, image: Image.Image) -> Detection:
        """Score one RGB photo."""
        return detection(self.raw_map(image), self.calibration, image)

    def add(self, photos: Iterable[Image.Image], names: Sequence[str] | None = None) -> FittedDetector:
        """A detector that also knows these normal photos, such as false alarms, as far as its bank has room.

        Each photo is scored before its patches go in, and the threshold follows from all scores.

        Raises:
            DetectorError: the bank is full.
        """
        bank = self.bank
        scores: list[float] = []
        for photo in photos:
            if bank.full:
                raise DetectorError(
                    f"bank: full after {len(scores)} of the added photos; fit again with all normal photos, these among them"
                )
            features = self.settings.features(self.encoder, photo)
            scores.append(score_of(smoothed(bank.distance(features))))
            bank = extended(bank, features, len(self.normals) + len(scores) - 1)
        start = len(self.names) + 1
        known = [f"photo {i}" for i in range(start, start + len(scores))] if names is None else names[: len(scores)]
        normals = np.concatenate([self.normals, np.asarray(scores, np.float32)])
        return replace(self, bank=bank, normals=normals, names=(*self.names, *known), given=self.given + len(scores))

    def drift(self, photos: Iterable[Image.Image]) -> Drift:
        """Whether new normal photos still look like those of the fit.

        Raises:
            DetectorError: no photo.
        """
        new = np.array([score_of(self.raw_map(photo)) for photo in photos], np.float32)
        if not len(new):
            raise DetectorError("new normal photos: none given, at least 1 is needed; 20 or more show a drift well")
        return drift_of(self.normals, new, self.calibration.threshold, self.rate)

    def save(self, folder: Path) -> None:
        """As `tools.card.save_detector`."""
        from tools.card import save_detector

        save_detector(self, folder)
