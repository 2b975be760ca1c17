"""The best and the worst cases of an evaluation, as pictures."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from evals.figures.maps import load_pair
from evals.outcome import Outcome

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

WORST, BEST = 6, 3
"""Cases of each label: the worst of all would often be false alarms alone."""
_SIDE = 320  # pixels of a picture's long side
_TRUTH = (70, 230, 110)  # outline of the mask; no colour of the heat map comes near it


@dataclass(frozen=True)
class Case:
    """One photo beside its heat map."""

    outcome: Outcome
    photo: str
    """`data:` URI, with the outline of the mask where there is one."""
    heat: str
    """`data:` URI, with the boxes of the findings."""
    width: int
    height: int
    marked: bool
    """Whether the photo shows a mask."""


def margin(outcome: Outcome) -> float:
    """How far the score lies on the right side of the threshold, -0.5 (worst) to 0.5 (best)."""
    return outcome.score - 0.5 if outcome.label else 0.5 - outcome.score


def choose(outcomes: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """The worst cases, worst first, and the best ones, anomalous photos first; none is in both."""
    worst, best = [], []
    for label in (1, 0):
        ordered = sorted((o for o in outcomes if o.label == label), key=lambda o: (margin(o), o.id))
        bad = ordered[: min(WORST, (len(ordered) + 1) // 2)]
        worst += bad
        best += [o for o in ordered[len(bad) :][::-1] if margin(o) > 0 and o.verdict != "uncertain"][:BEST]
    return sorted(worst, key=lambda o: (margin(o), o.id)), best


def case(outcome: Outcome, data: Path, out: Path) -> Case | None:
    """Draw one case; None where its photo is no longer there.

    Raises:
        EvalError: its map cannot be read.
    """
    import numpy as np
    from PIL import Image

    from agent.images import InputError, load_image
    from agent.render.overlay import MAX_SIDE, MIN_SIDE, overlay

    try:
        photo = load_image(data / outcome.id).pixels
    except InputError:
        return None
    anomaly_map, mask = load_pair(out / outcome.map)
    scale = _SIDE / max(photo.size)
    size = max(1, round(photo.width * scale)), max(1, round(photo.height * scale))
    zoom = min(max(*photo.size, MIN_SIDE), MAX_SIDE) / max(photo.size)
    heat = overlay(photo, anomaly_map.astype(np.float32), outcome.boxes)
    # Without the legend that the overlay adds: one legend serves the whole gallery.
    heat = heat.crop((0, 0, round(photo.width * zoom), round(photo.height * zoom)))
    shown = photo.resize(size, Image.Resampling.LANCZOS)
    marked = mask is not None and bool(mask.any())
    if mask is not None and marked:
        _outline(shown, mask)
    return Case(outcome, _uri(shown), _uri(heat.resize(size, Image.Resampling.LANCZOS)), *size, marked)


def _outline(photo: Image.Image, mask: NDArray[np.bool_]) -> None:
    """Draw the edge of the mask onto the photo, just outside of it so that the defect stays visible."""
    from PIL import Image, ImageChops, ImageFilter

    region = Image.fromarray(mask).convert("L").resize(photo.size, Image.Resampling.NEAREST)
    inner = region.filter(ImageFilter.MaxFilter(3))
    photo.paste((10, 12, 15), mask=ImageChops.subtract(region.filter(ImageFilter.MaxFilter(9)), region))
    photo.paste(_TRUTH, mask=ImageChops.subtract(region.filter(ImageFilter.MaxFilter(7)), inner))


def _uri(image: Image.Image) -> str:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=85, optimize=True)
    return f"data:image/jpeg;base64,{b64encode(buffer.getvalue()).decode()}"
