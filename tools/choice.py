"""The choice of settings from normal photos alone: which of them tells pseudo-defects from held-out normals better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tools.bank import global_bank, local_bank
from tools.matching import score_of, smoothed
from tools.pseudo_defects import pseudo_defect
from tools.settings import PLAIN, Settings, squashed

if TYPE_CHECKING:
    from PIL import Image

    from tools.detector import PatchEncoder

Array = NDArray[np.float32]

SAMPLE = 20
"""Photos that settings are chosen on."""
FEWEST = 8
"""Fewer photos say too little: the plain settings stay."""
DEFECTS = 2
"""Pseudo-defects drawn on each of them."""
CANVAS = 448
"""Side in pixels of the squares that pseudo-defects are drawn on."""
START = replace(PLAIN, local=True)
"""Where the choice begins. Local matching is the stricter test, as a patch must look right for its place; where a
product does not lie alike, held-out normals fail it too, and the first step goes back to global matching."""
STEPS: tuple[dict[str, Any], ...] = ({"local": False}, {"flatten": True}, {"side": 320})
"""Changes tried one after another; each stays only if it is clearly better."""


@dataclass(frozen=True)
class Choice:
    """The settings chosen, and why."""

    settings: Settings
    tried: dict[str, float]
    """AUROC, 0..1, of pseudo-defects against held-out normals, by settings in words; empty where none were tried."""
    why: str
    """One sentence."""


@dataclass(frozen=True)
class Scores:
    """What one candidate says of the sample; higher is stranger."""

    normals: Array
    """(n,), each photo scored without its own patches."""
    defects: Array
    """(n, m), the same photos with a pseudo-defect, also without their own patches."""

    def auroc(self, photos: NDArray[np.int64] | None = None) -> float:
        """Probability that a defect scores above a normal, ties counted half; of some photos only, if given."""
        from scipy.stats import rankdata

        normals, defects = self.normals, self.defects
        if photos is not None:
            normals, defects = normals[photos], defects[photos]
        n, m = normals.size, defects.size
        ranks = rankdata(np.concatenate([normals.ravel(), defects.ravel()]))[n:]
        return float((ranks.sum() - m * (m + 1) / 2) / (n * m))


def choose_settings(encoder: PatchEncoder, photos: Sequence[Image.Image], seed: int = 0) -> Choice:
    """Choose by leave-one-out on normal photos, RGB, and on pseudo-defects pasted on them."""
    if len(photos) < FEWEST:
        return Choice(PLAIN, {}, f"plain settings: {len(photos)} photos are too few to choose on, {FEWEST} would do")
    sample = _Sample(encoder, photos, seed)
    settings, scores = START, sample.scores(START)
    tried = {START.words(): scores.auroc()}
    changed = []
    for step in STEPS:
        other = replace(settings, **step)
        found = sample.scores(other)
        tried[other.words()] = found.auroc()
        if clearly_better(found, scores, seed):
            settings, scores = other, found
            changed.append(other.words())
    said = f"it tells pseudo-defects from {len(photos)} held-out normal photos with an AUROC of {scores.auroc():.3f}"
    instead = f"clearly better than {START.words()}" if changed else "no change tried was clearly better"
    return Choice(
        settings, {words: round(a, 4) for words, a in tried.items()}, f"{settings.words()}: {said}; {instead}"
    )


def clearly_better(one: Scores, other: Scores, seed: int, draws: int = 200) -> bool:
    """Whether the AUROC of one is higher by more than two standard errors of the difference.

    The error is that of a bootstrap over photos, the same for both: what a photo does to both falls out.
    """
    n, rng = len(one.normals), np.random.default_rng(seed)
    drawn = [(one.auroc(some), other.auroc(some)) for some in rng.integers(0, n, (draws, n))]
    return one.auroc() - other.auroc() > 2 * float(np.std([a - b for a, b in drawn]))


class _Sample:
    """Normal photos and pseudo-defects on them, each encoded once for every way of preparing them."""

    def __init__(self, encoder: PatchEncoder, photos: Sequence[Image.Image], seed: int) -> None:
        self.encoder, self.seed = encoder, seed
        self.normals = [squashed(photo, CANVAS) for photo in photos]
        rng, n = np.random.default_rng(seed), len(photos)
        self.defects = [
            [
                pseudo_defect(photo, self.normals[(i + int(rng.integers(1, n))) % n], DEFECTS * i + k, rng)
                for k in range(DEFECTS)
            ]
            for i, photo in enumerate(self.normals)
        ]
        self._seen: tuple[tuple[int, bool], list[Array], list[list[Array]]] | None = None

    def scores(self, settings: Settings) -> Scores:
        seen, spoilt = self._features(settings)
        bank = local_bank(seen, seed=self.seed) if settings.local else global_bank(seen, seed=self.seed, spread=False)
        normals, defects = [], []
        for i, (own, photos) in enumerate(zip(seen, spoilt, strict=True)):
            normals.append(score_of(smoothed(bank.distance(own, i))))
            defects.append([score_of(smoothed(bank.distance(features, i))) for features in photos])
        return Scores(np.array(normals, np.float32), np.array(defects, np.float32))

    def _features(self, settings: Settings) -> tuple[list[Array], list[list[Array]]]:
        way = (settings.side, settings.flatten)
        if self._seen is None or self._seen[0] != way:
            see = settings.features
            seen = [see(self.encoder, photo) for photo in self.normals]
            self._seen = way, seen, [[see(self.encoder, photo) for photo in some] for some in self.defects]
        return self._seen[1], self._seen[2]
