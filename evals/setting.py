"""What each setting may show the agent besides the photo: nothing, one reference, a few, or a detector fitted
before."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from evals.errors import EvalError

if TYPE_CHECKING:
    from agent.report import Setting
    from evals.dataset import Product, Sample

FEW = 4
"""References of the few-shot setting."""
FIT_AT_MOST = 200
"""Normal photos that the fitted setting learns from."""


@dataclass(frozen=True)
class Shown:
    """What the agent gets to see of one product in one setting."""

    setting: Setting
    common: Mapping[str | None, tuple[Path, ...]]
    """By camera, references for every photo that has none of its own; by None where there is but one camera."""
    fit_on: tuple[Path, ...]
    """Normal photos to fit a detector to; empty outside the fitted setting."""

    def references(self, sample: Sample) -> tuple[Path, ...]:
        """The references for one photo: in one-shot its own where the data set has one, the aligned before the random."""
        if self.setting == "one-shot" and (own := sample.references or sample.random_references):
            return own[:1]
        return self.common.get(sample.view, ())


def shown(product: Product, setting: Setting, seed: int) -> Shown:
    """Draw by the seed what the setting shows.

    Raises:
        EvalError: an unknown setting, or fewer normal training photos than it needs.
    """
    from agent.report import Setting as Settings

    if setting not in get_args(Settings):
        raise EvalError(f"setting {setting!r}: expected one of {', '.join(get_args(Settings))}")
    draw = random.Random(seed)
    if setting == "zero-shot":
        return Shown(setting, {}, ())
    if setting == "fitted":
        return Shown(setting, {}, _normals(product, product.train, setting, 1, FIT_AT_MOST, draw))
    number = 1 if setting == "one-shot" else FEW
    lonely = [s for s in product.samples if number > 1 or not (s.references or s.random_references)]
    common = {
        view: _normals(product, _of_view(product, view), setting, number, number, draw)
        for view in dict.fromkeys(sample.view for sample in lonely)
    }
    return Shown(setting, common, ())


def _of_view(product: Product, view: str | None) -> tuple[Path, ...]:
    return tuple(path for path in product.train if product.views.get(path) == view)


def _normals(
    product: Product, photos: Sequence[Path], setting: str, least: int, most: int, draw: random.Random
) -> tuple[Path, ...]:
    if len(photos) < least:
        where = "in train/good" if product.name == product.root.resolve().name else f"of {product.name!r} to learn from"
        raise EvalError(
            f"data {str(product.root)!r}: holds {len(photos)} photos {where}; setting {setting!r} needs {least} or more"
        )
    return tuple(sorted(draw.sample(photos, min(most, len(photos)))))
