"""What is evaluated: one folder of one's own, or a public benchmark, as its products and their test photos.

A benchmark lies as its authors publish it; see `training.data.layouts`. A folder is laid out like MVTec AD:

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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from evals.errors import EvalError
from training.data import GOOD, DataError, Sample, read_mask
from training.data.folders import PHOTO_SUFFIXES, read_tree

__all__ = ["GOOD", "EvalError", "Product", "Sample", "check_mask", "pick", "read_folder", "read_mask", "read_products"]

TaskName = Literal["folder", "btad", "loco", "manta", "mpdd", "mvtec", "realiad", "visa"]
"""What `sage-iad eval` calls a folder of one's own, and each benchmark."""
_LAYOUTS = {"loco": "mvtec_loco", "mvtec": "mvtec_ad", "realiad": "real_iad"}  # the others are called the same

_ORIENTATION, _LIES_DOWN = 0x0112, (5, 6, 7, 8)  # EXIF: values whose rotation swaps width and height


@dataclass(frozen=True)
class Product:
    """One product of a data set, which has normal photos of its own."""

    name: str
    root: Path
    """Of the whole set: the ids of the samples are paths below it."""
    train: tuple[Path, ...]
    """Normal photos to learn from, sorted; may be empty."""
    samples: tuple[Sample, ...]
    """Test photos, sorted by defect type, then name; `references` hold the aligned one of the manifest."""
    views: Mapping[Path, str] = field(default_factory=dict)
    """Camera of a photo of `train`, in sets that take each part from several sides."""


def read_products(task: TaskName, data: Path | str, category: str | None = None) -> list[Product]:
    """Read what a task evaluates, by product.

    Args:
        task: `folder`, which is one product, or a benchmark.
        data: Folder that holds it.
        category: One product of a benchmark; by default all of them.

    Raises:
        EvalError: an unknown task, a category of a folder, or data that cannot be read.
    """
    if task not in get_args(TaskName):
        raise EvalError(f"task {task!r}: expected one of {', '.join(get_args(TaskName))}")
    if task == "folder":
        if category is not None:
            raise EvalError(f"category {category!r}: a folder is one product; leave it out, or name a benchmark")
        return [read_folder(data)]
    from training.data.layouts import read_dataset

    try:
        dataset = read_dataset(_LAYOUTS.get(task, task), data, category)
    except DataError as error:
        raise EvalError(str(error)) from error
    found = []
    for name in dict.fromkeys(sample.category for sample in dataset.samples):
        samples = [sample for sample in dataset.samples if sample.category == name]
        train = [sample for sample in samples if sample.split == "train" and sample.label == 0]
        test = tuple(sample for sample in samples if sample.split == "test")
        views = {sample.path: sample.view for sample in train if sample.view is not None}
        if test:
            found.append(Product(name, dataset.root, tuple(sample.path for sample in train), test, views))
    if not found:
        raise EvalError(f"data {str(data)!r}: holds no test photo in the layout of {task!r}")
    return found


def read_folder(path: Path | str) -> Product:
    """Read and check a folder; every mask is opened once, photos only for their size.

    Raises:
        EvalError: no such folder, no test/good, no test photo, a mask that cannot be read, is empty or is not of the
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
    return Product(root.resolve().name, root, normal, tuple(samples))


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
        with manifest.open(encoding="utf-8-sig", newline="") as lines:  # spreadsheets write a byte order mark
            for row in csv.DictReader(lines):
                if row.get("file") and row.get("reference"):
                    found[row["file"]] = root / row["reference"]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EvalError(f"manifest {str(manifest)!r}: cannot be read ({error}); expected CSV in UTF-8") from error
    for file, reference in found.items():
        if not reference.is_file():
            raise EvalError(f"manifest {str(manifest)!r}: the reference {str(reference)!r} of {file!r} does not exist")
    return {file: (reference,) for file, reference in found.items()}
