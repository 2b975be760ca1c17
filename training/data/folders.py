"""Sets that are folders: <category>/<split>/<defect type>/<photo>, masks below <category>/ground_truth/<defect type>.

Sources of the layouts: MVTec AD, MVTec LOCO and MPDD as anomalib reads them; defects_config.json as MVTec's evaluation
of LOCO uses it; BTAD after anomalib's pull request 162. MANTA's page names no layout: this is the one that public code
on MANTA-Tiny agrees on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_args

from training.data.sample import GOOD, DataError, Sample, Split

PHOTO_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})
_TRUTH = "ground_truth"


def photos(folder: Path) -> list[Path]:
    """Photos right in the folder, sorted, hidden ones left out; empty if there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in PHOTO_SUFFIXES and not p.name.startswith("."))


def subfolders(folder: Path) -> list[Path]:
    """Folders right in the folder, sorted, hidden ones left out; empty if there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def chosen(root: Path, found: Iterable[str], category: str | None, expected: str) -> list[str]:
    """The category asked for, or all that were found, sorted.

    Raises:
        DataError: none was found, or not the one asked for.
    """
    names = sorted(set(found))
    if not names:
        holds = ", ".join(sorted(p.name for p in root.iterdir())[:8]) or "nothing"
        raise DataError(f"data {str(root)!r}: expected {expected}; found {holds}")
    if category is None:
        return names
    if category not in names:
        raise DataError(f"category {category!r}: not in {str(root)!r}; expected one of {', '.join(names)}")
    return [category]


def read_tree(folder: Path, root: Path, category: str, normal: str = GOOD) -> list[Sample]:
    """Read one product by hand: <split>/<defect type>/*, with the masks that are there.

    A mask is ground_truth/<defect type>/<stem>_mask.*, <stem>.* or, several of them, <stem>/*.
    """
    return [
        _sample(photo, root, category, split, kind.name, normal, masks.get(photo.stem, ()))
        for split in get_args(Split)
        for kind in subfolders(folder / split)
        for masks in [_masks(folder / _TRUTH / kind.name)]
        for photo in photos(kind)
    ]


def mvtec_ad(root: Path, category: str | None) -> list[Sample]:
    """MVTec AD: <category>/train/good, test/good, test/<defect type>, ground_truth/<defect type>/<stem>_mask.png."""
    names = _categories(root, category, GOOD)
    from anomalib.data.datasets.image.mvtecad import make_mvtec_ad_dataset

    return [sample for name in names for sample in _by_anomalib(make_mvtec_ad_dataset, root, name)]


def mpdd(root: Path, category: str | None) -> list[Sample]:
    """MPDD: as MVTec AD."""
    names = _categories(root, category, GOOD)
    from anomalib.data.datasets.image.mpdd import make_mpdd_dataset

    return [sample for name in names for sample in _by_anomalib(make_mpdd_dataset, root, name)]


def mvtec_loco(root: Path, category: str | None) -> list[Sample]:
    """MVTec LOCO: besides train and test validation/good; defect types logical_anomalies and structural_anomalies,
    with the masks of a photo in ground_truth/<defect type>/<stem>/; finer names by `loco_defects`."""
    # By hand: anomalib's make_dataset (2.7) puts lists into a column of strings, which pandas 3 refuses.
    names = _categories(root, category, GOOD)
    return [s for name in names for s in _all_marked(read_tree(root / name, root, name))]


def btad(root: Path, category: str | None) -> list[Sample]:
    """BTAD (BTech): categories 01, 02, 03; train/ok, test/ok, test/ko, ground_truth/ko/<stem>.*"""
    # By hand: anomalib's make_btech_dataset takes every mask to be a PNG, which its data module converts them to on
    # disk (03 comes with BMP), and names masks for the training photos too.
    names = _categories(root, category, "ok")
    return [s for name in names for s in _all_marked(read_tree(root / name, root, name, normal="ok"))]


def manta(root: Path, category: str | None) -> list[Sample]:
    """MANTA-Tiny: <domain>/<category> as MVTec AD, each photo five views side by side; masks may be missing."""
    found = {kind.name: kind for domain in subfolders(root) for kind in subfolders(domain) if _is_product(kind, GOOD)}
    names = chosen(root, found, category, "<domain>/<category>/train/good and test below it")
    return [sample for name in names for sample in read_tree(found[name], root, name)]


def loco_defects(sample: Sample) -> tuple[str, ...]:
    """What the defects of a MVTec LOCO photo are, in the order of its masks: the value of a mask's pixels is the
    number of a defect in the category's defects_config.json.

    Raises:
        DataError: the file cannot be read, or has no name for a value.
    """
    import numpy as np
    from PIL import Image

    if not sample.masks:
        return ()
    config = sample.path.parents[2] / "defects_config.json"
    try:
        names = {d["pixel_value"]: d["defect_name"] for d in json.loads(config.read_text(encoding="utf-8"))}
        values = []
        for path in sample.masks:
            with Image.open(path) as picture:
                values += [int(value) for value in np.unique(np.asarray(picture.convert("L"))) if value > 0]
        return tuple(dict.fromkeys(str(names[value]) for value in values))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"data {str(config)!r}: cannot name the defects of {sample.id!r} ({type(error).__name__}: {error}); "
            "expected a list of defect_name and pixel_value with every value of the masks"
        ) from error


def _is_product(folder: Path, normal: str) -> bool:
    return (folder / "train" / normal).is_dir() and (folder / "test").is_dir()


def _categories(root: Path, category: str | None, normal: str) -> list[str]:
    found = [folder.name for folder in subfolders(root) if _is_product(folder, normal)]
    return chosen(root, found, category, f"<category>/train/{normal} and <category>/test below it")


def _masks(folder: Path) -> dict[str, tuple[Path, ...]]:
    """From the stem of a photo to its masks."""
    return {path.stem.removesuffix("_mask"): (path,) for path in photos(folder)} | {
        several.name: tuple(photos(several)) for several in subfolders(folder)
    }


def _sample(
    photo: Path, root: Path, category: str, split: Split, kind: str, normal: str, masks: tuple[Path, ...]
) -> Sample:
    name = photo.relative_to(root).as_posix()
    if kind == normal:
        return Sample(name, photo, 0, GOOD, split, category)
    return Sample(name, photo, 1, kind, split, category, masks)


def _all_marked(samples: list[Sample]) -> list[Sample]:
    for sample in samples:
        if sample.label == 1 and not sample.masks:
            where = f"{sample.category}/{_TRUTH}/{sample.defect_type}"
            raise DataError(f"data {sample.id!r}: has no mask; expected one named after the photo in {where}")
    return samples


def _by_anomalib(make: Callable[[Path], Any], root: Path, category: str) -> list[Sample]:
    """Rows of an anomalib `make_..._dataset`, which copies nothing; it pairs photos and masks by their order."""
    from anomalib.data.errors import MisMatchError

    folder = root / category
    try:
        rows = make(folder)
    except (MisMatchError, RuntimeError, ValueError) as error:
        _all_marked(read_tree(folder, root, category))  # names the photo, which anomalib does not
        raise DataError(
            f"data {str(folder)!r}: anomalib cannot read it ({' '.join(str(error).split())}); "
            f"expected no pictures but train, test and {_TRUTH}/<defect type>/<stem>_mask.png"
        ) from error
    samples = []
    for row in rows.itertuples():
        # anomalib follows links to files elsewhere; these are the same files below the root.
        masks = (folder / _TRUTH / row.label / Path(row.mask_path).name,) if row.label_index == 1 else ()
        photo = folder / row.split / row.label / Path(row.image_path).name
        samples.append(_sample(photo, root, category, row.split, row.label, GOOD, masks))
    return sorted(samples, key=lambda s: (s.split != "train", s.id))
