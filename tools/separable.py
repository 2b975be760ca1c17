"""Steps on maps that are linear along each axis, such as resizing and blurring, as matrices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def along_one_axis(step: Callable[[Array], Array], size: int) -> NDArray[np.float64]:
    """Matrix M, (size out, size in), of a separable linear step on square maps, so that step(x) is M x Mᵀ.

    Taken from the step itself: on a map that is the same in every column it shows what it does along the rows, provided
    it leaves a constant map as it is.
    """
    basis = np.eye(size, dtype=np.float32)
    columns = [step(np.ascontiguousarray(np.broadcast_to(e[:, None], (size, size))))[:, 0] for e in basis]
    return np.stack(columns, 1).astype(np.float64)
