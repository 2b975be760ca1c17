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
from dataclasses import dataclass, replace
from pathlib import Path

from evals.errors import EvalError
from training.data import GOOD, DataError, Sample, read_mask
from training.data.folders import PHOTO_SUFFIXES, read_tree

__all__ = ["GOOD", "EvalError", "Folder", "Sample", "check_mask", "pick", "read_folder", "read_mask"]

_ORIENTATION, _LIES_DOWN = 0x0112, (5, 6, 7, 8)  # EXIF: values whose rotation swaps width and height


@dataclass(frozen=True)
class Folder:
    """A data set of one product."""

    name: str
    root: Path
    train: tuple[Path, ...]
    """Normal photos to learn from, sorted; may be empty."""
    samples: tuple[Sample, ...]
    """Test photos, sorted by defect type, then name; `references` hold the aligned one of the manifest."""


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
    read = read_tree(root, root, root.resolve().name)
    references = _references(root)
    samples = [replace(s, references=references.get(s.id, ())) for s in read if s.split == "test"]
    if not samples:
        raise EvalError(
            f"data {str(path)!r}: holds no photo below test; expected one of {', '.join(sorted(PHOTO_SUFFIXES))}"
        )
    for sample in samples:
        check_mask(sample)
    normal = tuple(s.path for s in read if s.split == "train" and s.label == 0)
    return Folder(root.resolve().name, root, normal, tuple(samples))


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


def check_mask(sample: Sample) -> None:
    """Read the sample's masks and hold their size against the photo's, as shown after its EXIF rotation.

    A photo that cannot be opened is left for the inspection to report: that is a failed sample, not a bad
    data set.

    Raises:
        EvalError: see `read_mask`; or a size that differs.
    """
    if not sample.masks:
        return
    from PIL import Image

    try:
        height, width = read_mask(*sample.masks).shape
    except DataError as error:
        raise EvalError(str(error)) from error
    try:
        with Image.open(sample.path) as photo:
            size = photo.size[::-1] if photo.getexif().get(_ORIENTATION) in _LIES_DOWN else photo.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return
    if size != (width, height):
        raise EvalError(
            f"mask {str(sample.masks[0])!r}: is {width} x {height} pixels; expected {size[0]} x {size[1]} like its photo {sample.id}"
        )


def _references(root: Path) -> dict[str, tuple[Path, ...]]:
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
    return {file: (reference,) for file, reference in found.items()}
