"""Where the facts of a prompt looked: the attention of the fusion, laid over the test photo."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 224
"""Of a map."""
_Place = tuple[float, float, float, float]


@torch.inference_mode()
def attended(
    model: Any, inputs: dict[str, Any], aspect: float, close_up: _Place | None = None
) -> list[NDArray[np.float32]]:
    """One map for each fact of a prompt, and for its question, in their order.

    Args:
        model: a `SageForConditionalGeneration`, or any other model.
        inputs: of one prompt, as its processor makes them.
        aspect: width over height of the test photo, which tells how it was cut into tiles.
        close_up: x0, y0, x1, y1 of what the close-up shows, 0..1 of the photo; None: it is left out.

    Returns:
        Each (SIDE, SIDE) float32 over the whole photo, 0..1: its attention to the place relative to that to the place it looks
        at most; 0 where it did not look. Empty where the model has no fusion, or the prompt no photo.
    """
    inner: Any = getattr(model, "model", None)
    if not hasattr(inner, "fact_fusion") or "pixel_values" not in inputs:
        return []
    ids, encoded = inputs["input_ids"], inner.get_image_features(inputs["pixel_values"], return_dict=True)
    embedded = inner.embedded(ids, encoded)
    found = inner.compared(ids, embedded, inner.patches_seen(encoded.last_hidden_state).to(embedded.device))
    if found is None:
        return []
    layout, facts, patches = found
    compared = (facts, patches.features, patches.distinctness, patches.there)
    device = inner.fact_fusion.out.weight.device
    weights = inner.fact_fusion.attention(*(part.to(device) for part in compared))[0].float().cpu().numpy()
    at = patches.places[0].tolist()
    cells = _cells(layout.test[0].nonzero().flatten().tolist(), model.config.image_seq_length, aspect)
    if close_up is not None:
        x0, y0, x1, y1 = close_up
        inside = _cells(layout.close_up[0].nonzero().flatten().tolist(), model.config.image_seq_length, 1.0)
        w, h = x1 - x0, y1 - y0
        cells |= {i: (x0 + a * w, y0 + b * h, x0 + c * w, y0 + d * h) for i, (a, b, c, d) in inside.items()}
    maps = []
    for row in weights:
        drawn = np.zeros((SIDE, SIDE), np.float32)
        for place, weight in zip(at, row, strict=True):
            if place in cells:
                left, top, right, bottom = (round(SIDE * edge) for edge in cells[place])
                part = drawn[top : max(bottom, top + 1), left : max(right, left + 1)]
                np.maximum(part, weight, out=part)
        maps.append(drawn / max(float(drawn.max()), 1e-9))
    return maps


def _cells(places: list[int], per_tile: int, aspect: float) -> dict[int, _Place]:
    """Where in a photo, 0..1, each of its tokens lies: row by row in each tile, tiles row by row, the whole photo last."""
    side, tiles = math.isqrt(per_tile), len(places) // per_tile
    columns, rows = 1, 1
    if tiles > 1:
        shapes = [(c, (tiles - 1) // c) for c in range(1, tiles) if (tiles - 1) % c == 0]
        columns, rows = min(shapes, key=lambda shape: abs(shape[0] / shape[1] - aspect))
    cells = {}
    for i, place in enumerate(places):
        tile, cell = divmod(i, per_tile)
        (row, column), (y, x) = divmod(tile, columns), divmod(cell, side)
        across, down = (columns, rows) if tile < columns * rows else (1, 1)  # the whole photo
        if across == down == 1:
            row = column = 0
        x0, y0 = (column + x / side) / across, (row + y / side) / down
        cells[place] = (x0, y0, x0 + 1 / side / across, y0 + 1 / side / down)
    return cells
