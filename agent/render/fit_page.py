"""The page that `fit` leaves beside a detector: what it was fitted to, what its threshold means, what looks strange."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image

from agent.images import InputError
from agent.render.legend import THRESHOLD
from agent.render.page import picture_of, render_page
from tools.calibration import photos_needed

_SIDE = 480
_BINS = 40
_WIDTH, _HEIGHT = 640, 180  # of the histogram, in units of its own


@dataclass(frozen=True)
class StrangeNormal:
    """One of the normal photos least like the others."""

    name: str
    """File name, as given."""
    score: float
    """Held-out score, 0..1; 0.5 is the threshold."""
    overlay: Image.Image | None = None
    """From `agent.render.overlay.overlay`, its map from a detector without this photo; None where it is not at hand."""
    stands_out: bool = False
    """So far from the others that it may show a defect."""


@dataclass(frozen=True)
class FitSummary:
    """What a fit did, in the terms of a reader."""

    category: str
    detector: str
    """Its kind, such as `patchcore`."""
    created: datetime
    photos: int
    """Photos fitted to."""
    scores: Sequence[float]
    """Held-out scores of normal photos, 0..1: of all, or of a part where the detector is slow to fit."""
    asked: float
    """False-alarm rate asked for, 0..1."""
    rate: float
    """The one that so many photos support, 0..1; `asked` or above it."""
    strange: Sequence[StrangeNormal] = ()
    """The strangest first."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What was chosen for this product: name and value in words."""
    why: str = ""
    """Why those settings, in words."""
    tried: Mapping[str, float] = field(default_factory=dict)
    """AUROC of every choice of settings, 0..1, by its name in words."""
    warnings: Sequence[str] = ()
    origin: Mapping[str, str] = field(default_factory=dict)
    """Environment, revisions, places: name and value."""

    @property
    def missing(self) -> int:
        """Photos still needed for `asked`; 0 where there are enough."""
        return max(0, photos_needed(self.asked) - len(self.scores))

    @property
    def standing_out(self) -> list[StrangeNormal]:
        """Those to look at first."""
        return [photo for photo in self.strange if photo.stands_out]


@dataclass(frozen=True)
class Bar:
    """One bar of the histogram, in units of the drawing; y grows downwards."""

    x: float
    y: float
    width: float
    height: float
    count: int
    above: bool
    """At or above the threshold."""


def histogram(scores: Sequence[float]) -> list[Bar]:
    """Bars of the scores between 0 and 1; empty ones are left out."""
    # An even number of bins, so that one begins at the threshold.
    counts, edges = np.histogram(np.asarray(scores, np.float64), bins=_BINS, range=(0.0, 1.0))
    tallest = max(1, int(counts.max()))
    return [
        Bar(
            x=_WIDTH * float(low) + 1,
            y=_HEIGHT * (1 - count / tallest),
            width=_WIDTH * float(high - low) - 2,
            height=_HEIGHT * count / tallest,
            count=int(count),
            above=bool(low >= THRESHOLD - 1e-9),
        )
        for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True)
        if count
    ]


def fit_page(summary: FitSummary) -> str:
    """The whole page as text; write it as UTF-8. Every text in `summary` is escaped."""
    return render_page(
        "fit.html.j2",
        "fit.css",
        fit=summary,
        bars=histogram(summary.scores),
        width=_WIDTH,
        height=_HEIGHT,
        above=sum(score >= THRESHOLD for score in summary.scores),
        strange=[(photo, picture_of(photo.overlay, _SIDE) if photo.overlay else None) for photo in summary.strange],
    )


def write_fit_page(summary: FitSummary, folder: Path) -> Path:
    """Write fit.html into `folder`, whole or not at all; returns its path.

    Raises:
        InputError: the folder cannot be written.
    """
    page = fit_page(summary)
    place = folder / "fit.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fit-", dir=folder) as scratch:
            made = Path(scratch, place.name)
            made.write_text(page, encoding="utf-8")
            os.replace(made, place)
    except OSError as error:
        raise InputError(
            f"page {str(place)!r}: cannot be written ({error.strerror}); give a folder that can with --out"
        ) from error
    return place
