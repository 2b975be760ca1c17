"""Where a defect is, from the pictures that mark it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from training.data.sample import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

_CLASSES = 31  # up to this highest value, a mask holds numbers of defect classes, as VisA's do


def read_mask(*paths: Path) -> NDArray[np.bool_]:
    """(H, W), True on the defects of any of the pictures, which are of one size.

    Grey masks mark what lies above half of their highest value, so that JPEG masks read well; masks of class numbers
    and coloured ones mark everything that is not 0.

    Raises:
        DataError: not a readable picture, nothing in it is marked, or sizes that differ.
    """
    import numpy as np

    masks = [_read_one(path) for path in paths]
    for path, mask in zip(paths, masks, strict=True):
        if mask.shape != masks[0].shape:
            raise DataError(
                f"mask {str(path)!r}: is {mask.shape[1]} x {mask.shape[0]} pixels; "
                f"expected {masks[0].shape[1]} x {masks[0].shape[0]} like {paths[0].name}"
            )
    return np.asarray(np.logical_or.reduce(masks))


def _read_one(path: Path) -> NDArray[np.bool_]:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            values, floor = _values(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(f"mask {str(path)!r}: cannot be read ({reason}); expected a grey PNG, 0 and 255") from error
    if values.max() <= 0:
        raise DataError(
            f"mask {str(path)!r}: marks nothing; mark the defect, or delete the file if its place is unknown"
        )
    return values > floor


def _values(picture: Image.Image) -> tuple[NDArray[np.integer], float]:
    """(H, W) of the picture and the value above which a pixel is marked."""
    import numpy as np

    if picture.mode.startswith("I"):
        values = np.asarray(picture.convert("I"))
    elif picture.mode in ("1", "L"):
        values = np.asarray(picture.convert("L"))  # nearly all masks, ten times as fast as by way of colours
    else:
        colours = np.asarray(picture.convert("RGB"))
        values = colours.max(axis=2)
        if (colours != values[..., None]).any():
            return values, 0
    highest = float(values.max())
    return values, 0 if highest <= _CLASSES else highest / 2
