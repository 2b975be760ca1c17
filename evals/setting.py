"""What each setting may show the agent besides the photo: nothing, one reference, a few, or a detector fitted
before."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from evals.errors import EvalError

if TYPE_CHECKING:
    from agent.report import Setting
    from evals.dataset import Folder, Sample

FEW = 4
"""References of the few-shot setting."""
FIT_AT_MOST = 200
"""Normal photos that the fitted setting learns from."""


@dataclass(frozen=True)
class Shown:
    """What the agent gets to see in one setting."""

    setting: Setting
    common: tuple[Path, ...]
    """References for every photo that has none of its own."""
    fit_on: tuple[Path, ...]
    """Normal photos to fit a detector to; empty outside the fitted setting."""

    def references(self, sample: Sample) -> tuple[Path, ...]:
        """The references for one photo: in one-shot its own aligned one where the data set has it."""
        if self.setting == "one-shot" and sample.references:
            return sample.references[:1]
        return self.common


def shown(folder: Folder, setting: Setting, seed: int) -> Shown:
    """Draw by the seed what the setting shows.

    Raises:
        EvalError: an unknown setting, or fewer normal photos in train/good than it needs.
    """
    from agent.report import Setting as Settings

    if setting not in get_args(Settings):
        raise EvalError(f"setting {setting!r}: expected one of {', '.join(get_args(Settings))}")
    draw = random.Random(seed)
    if setting == "zero-shot":
        return Shown(setting, (), ())
    if setting == "one-shot":
        lonely = any(not sample.references for sample in folder.samples)
        return Shown(setting, _normals(folder, setting, 1, 1, draw) if lonely else (), ())
    if setting == "few-shot":
        return Shown(setting, _normals(folder, setting, FEW, FEW, draw), ())
    return Shown(setting, (), _normals(folder, setting, 1, FIT_AT_MOST, draw))


def _normals(folder: Folder, setting: str, least: int, most: int, draw: random.Random) -> tuple[Path, ...]:
    have = len(folder.train)
    if have < least:
        raise EvalError(
            f"data {str(folder.root)!r}: holds {have} photos in train/good; setting {setting!r} needs {least} or more"
        )
    return tuple(sorted(draw.sample(folder.train, min(most, have))))
