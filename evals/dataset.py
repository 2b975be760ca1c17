"""An MVTec-AD-like folder as a list of samples.

train/good/*                                  normal photos
test/good/*                                   normal photos
test/<defect type>/*                          anomalous photos
ground_truth/<defect type>/<stem>_mask.png    0 and 255, size of its photo; optional
manifest.csv                                  optional; columns `file` and `reference`, an aligned normal
photo
"""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from evals.errors import EvalError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EvalError", "Folder", "Sample", "check_mask", "pick", "read_folder", "read_mask"]

GOOD = "good"
"""Name of the folders of normal photos, and the defect type of a normal sample."""
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})
_ORIENTATION, _LIES_DOWN = 0x0112, (5, 6, 7, 8)  # EXIF: values whose rotation swaps width and height


@dataclass(frozen=True)
class Sample:
    """One photo of the test set."""

    id: str
    """Path below the folder, with `/`; unique."""
    path: Path
    label: Literal[0, 1]
    """0 normal, 1 anomalous."""
    defect_type: str
    """Name of its folder; `good` for a normal photo."""
    mask: Path | None
    """Where the defect is, as a picture of the photo's size; None where nobody marked it, and for normal
    photos."""
    reference: Path | None
    """Normal photo of the same place in the same pose, from the manifest."""


@dataclass(frozen=True)
class Folder:
    """A data set of one product."""

    name: str
    root: Path
    train: tuple[Path, ...]
    """Normal photos to learn from, sorted; may be empty."""
    samples: tuple[Sample, ...]
    """Test photos, sorted by defect type, then name."""


def read_folder(path: Path | str) -> Folder:
    """Read and check a folder; every mask is opened once, photos only for their size.

    Raises:
        EvalError: no such folder, no test/good, no test photo, a mask that cannot be read, is empty or is not
        of the
            photo's size, or a manifest that cannot be read or names a file that is not there.
    """
    root = Path(path)
    if not root.is_dir():
        raise EvalError(
            f"data {str(path)!r}: no such folder; expected one with train/good, test/good, test/<defect type>"
        )
    test = root / "test"
    if not (test / GOOD).is_dir():
        raise EvalError(f"data {str(path)!r}: has no test/good; expected normal photos there, others in test/<defect>")
    references = _references(root)
    samples = [
        _sample(root, photo, kind.name, references)
        for kind in sorted(p for p in test.iterdir() if p.is_dir() and not p.name.startswith("."))
        for photo in _photos(kind)
    ]
    if not samples:
        raise EvalError(f"data {str(path)!r}: holds no photo below test; expected one of {', '.join(sorted(SUFFIXES))}")
    for sample in samples:
        check_mask(sample)
    return Folder(root.resolve().name, root, tuple(_photos(root / "train" / GOOD)), tuple(samples))


def pick(samples: Sequence[Sample], limit: int | None, seed: int) -> list[Sample]:
    """At most `limit` samples, drawn by the seed, in their order, with the share of normal ones kept as it
    is.

    At least one of each label stays where the limit allows it: most metrics need both.

    Raises:
        EvalError: a limit below 1.
    """
    if limit is None or limit >= len(samples):
        return list(samples)
    if limit < 1:
        raise EvalError(f"limit {limit!r}: expected 1 or more photos")
    places = list(range(len(samples)))
    random.Random(seed).shuffle(places)
    normal = [i for i in places if samples[i].label == 0]
    anomalous = [i for i in places if samples[i].label == 1]
    share = round(limit * len(normal) / len(samples))
    low, high = max(limit - len(anomalous), min(1, len(normal))), min(limit, len(normal))
    if anomalous and limit > 1:
        high = min(high, limit - 1)
    share = max(low, min(share, high)) if limit > 1 else min(share, len(normal))
    return [samples[i] for i in sorted(normal[:share] + anomalous[: limit - share])]


def read_mask(path: Path) -> NDArray[np.bool_]:
    """(H, W), True on the defect: values above half of the highest one, so that 0/1 masks and JPEG masks read
    well.

    Raises:
        EvalError: not a readable picture, or nothing in it is marked.
    """
    import numpy as np
    from PIL import Image

    try:
        with Image.open(path) as picture:
            values = np.asarray(picture.convert("I" if picture.mode.startswith("I") else "L"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise EvalError(f"mask {str(path)!r}: cannot be read ({reason}); expected a grey PNG, 0 and 255") from error
    if values.max() <= 0:
        raise EvalError(
            f"mask {str(path)!r}: marks nothing; mark the defect, or delete the file if its place is unknown"
        )
    return np.asarray(values > values.max() / 2)


def check_mask(sample: Sample) -> None:
    """Read the sample's mask and hold its size against the photo's, as shown after its EXIF rotation.

    A photo that cannot be opened is left for the inspection to report: that is a failed sample, not a bad
    data set.

    Raises:
        EvalError: see `read_mask`; or a size that differs.
    """
    if sample.mask is None:
        return
    from PIL import Image

    height, width = read_mask(sample.mask).shape
    try:
        with Image.open(sample.path) as photo:
            size = photo.size[::-1] if photo.getexif().get(_ORIENTATION) in _LIES_DOWN else photo.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return
    if size != (width, height):
        raise EvalError(
            f"mask {str(sample.mask)!r}: is {width} x {height} pixels; expected {size[0]} x {size[1]} like its photo {sample.id}"
        )


def _photos(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))


def _sample(root: Path, photo: Path, kind: str, references: dict[str, Path]) -> Sample:
    name = photo.relative_to(root).as_posix()
    mask = root / "ground_truth" / kind / f"{photo.stem}_mask.png"
    marked = kind != GOOD and mask.is_file()
    label: Literal[0, 1] = 0 if kind == GOOD else 1
    return Sample(name, photo, label, kind, mask if marked else None, references.get(name))


def _references(root: Path) -> dict[str, Path]:
    """From the id of a test photo to its aligned reference; empty without a manifest or without the two
    columns."""
    manifest = root / "manifest.csv"
    if not manifest.is_file():
        return {}
    found: dict[str, Path] = {}
    try:
        with manifest.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                if row.get("file") and row.get("reference"):
                    found[row["file"]] = root / row["reference"]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EvalError(f"manifest {str(manifest)!r}: cannot be read ({error}); expected CSV in UTF-8") from error
    for file, reference in found.items():
        if not reference.is_file():
            raise EvalError(f"manifest {str(manifest)!r}: the reference {str(reference)!r} of {file!r} does not exist")
    return found
