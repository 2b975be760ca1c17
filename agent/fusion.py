"""How the detector's score and the model's probability become one."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fusion:
    """A logistic blend of the two scores' log-odds; 0.5 separates normal from anomalous.

    It has no bias: without a word from the model the detector's threshold stays where it was put.
    """

    detector: float = 0.5
    """Weight of the detector's log-odds."""
    vlm: float = 0.5
    """Weight of the model's log-odds."""

    @classmethod
    def load(cls, path: Path, setting: str) -> Fusion:
        """The blend of a setting, fitted on drawn cases; the plain mean of the log-odds where the file has none."""
        if not path.is_file():
            return cls()
        return cls(**json.loads(path.read_text(encoding="utf-8")).get(setting, {}))

    def fuse(self, detector: float, vlm: float | None) -> float:
        """Fused score in 0..1; without the model's part the detector's score as it is."""
        if vlm is None:
            return detector
        z = self.detector * logit(detector) + self.vlm * logit(vlm)
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, z))))


def logit(p: float) -> float:
    """Log-odds, with probabilities of exactly 0 and 1 kept finite."""
    p = min(max(p, 1e-6), 1 - 1e-6)
    return math.log(p / (1 - p))
