"""Anomaly maps small enough to keep, and where they point."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evals.errors import EvalError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Map = NDArray[np.floating]
    Mask = NDArray[np.bool_]

LONG_SIDE = 256
"""Of a kept map, in pixels; pixel metrics are computed at this size, as is usual for MVTec AD."""
Box = tuple[int, int, int, int]


def check_map(anomaly_map: Map, width: int, height: int) -> None:
    """Raise EvalError unless the map is (height, width) in 0..1, NaN nowhere."""
    if anomaly_map.shape != (height, width):
        raise EvalError(f"anomaly map: shape {anomaly_map.shape!r}; expected that of the photo, {(height, width)!r}")
    low, high = float(anomaly_map.min()), float(anomaly_map.max())
    if not (low >= 0.0 and high <= 1.0):  # written so that NaN fails it too
        raise EvalError(f"anomaly map: values {low!r} to {high!r}; expected 0 to 1")


def reduce_map(anomaly_map: Map) -> NDArray[np.float16]:
    """Area means of an (H, W) map in 0..1, at most `LONG_SIDE` on the long side, in float16."""
    import numpy as np
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(anomaly_map, np.float32))
    small = picture.resize(_size(anomaly_map.shape), Image.Resampling.BOX)
    return np.asarray(small).clip(0, 1).astype(np.float16)


def reduce_mask(mask: Mask) -> Mask:
    """An (H, W) mask at the size of its reduced map; True where any of the pixels below was, so that no thin
    crack is lost."""
    import numpy as np
    from PIL import Image

    picture = Image.fromarray(mask.astype(np.float32))
    return np.asarray(picture.resize(_size(mask.shape), Image.Resampling.BOX)) > 0


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Width and height after reduction."""
    height, width = shape
    scale = min(1.0, LONG_SIDE / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def save_pair(path: Path, anomaly_map: NDArray[np.float16], mask: Mask | None) -> None:
    """Write a reduced map and its reduced mask, None where the place is unknown, as npz; folders are made."""
    import zipfile

    from numpy.lib import format as npy

    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {"map": anomaly_map} if mask is None else {"map": anomaly_map, "mask": mask}
    # As numpy.savez_compressed does, but at zlib's fastest level, which takes a third of the time.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w") as entry:
                npy.write_array(entry, array, allow_pickle=False)


def load_pair(path: Path) -> tuple[NDArray[np.float16], Mask | None]:
    """Read what `save_pair` wrote.

    Raises:
        EvalError: missing or damaged.
    """
    import zipfile

    import numpy as np

    try:
        with np.load(path) as file:
            mask = np.asarray(file["mask"], np.bool_) if "mask" in file else None
            return np.asarray(file["map"], np.float16), mask
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise EvalError(f"map {str(path)!r}: cannot be read ({error}); run the evaluation again") from error


def pointed_at(anomaly_map: Map, box: Box | None = None) -> tuple[int, int] | None:
    """The one pixel (row, column) that an inspection points at: the highest value inside `box`, else of the
    whole map.

    Args:
        anomaly_map: (H, W).
        box: x0, y0, x1, y1 in its pixels, ends exclusive.

    Returns:
        None where it points nowhere: a box outside the map, or no box and a flat map.
    """
    import numpy as np

    x0, y0, x1, y1 = box or (0, 0, anomaly_map.shape[1], anomaly_map.shape[0])
    inside = anomaly_map[y0:y1, x0:x1]
    if inside.size == 0 or (box is None and inside.min() == inside.max()):
        return None
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(row) + y0, int(column) + x0


def on_mask(place: tuple[int, int] | None, mask: Mask) -> bool:
    """Whether the pixel lies on the mask; pointing nowhere is a miss."""
    return place is not None and bool(mask[place])
