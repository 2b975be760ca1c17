"""Sets that list their photos in a file: VisA, Real-IAD and MMAD.

Sources of the layouts: the READMEs and code of amazon-science/spot-diff and jam-cc/MMAD; Real-IAD as anomalib documents
it.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TypeVar, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from training.data.folders import chosen, photos
from training.data.sample import GOOD, DataError, Question, Sample, Split

_T = TypeVar("_T")
_UNNAMED = "anomaly"  # VisA's word for a defect that it does not name
_RESOLUTIONS = ("realiad_1024", "realiad_512", "realiad_256", "realiad_raw")


def visa(root: Path, category: str | None) -> list[Sample]:
    """VisA as it comes: split_csv/1cls.csv (object, split, label, image, mask), names of the defects in
    <category>/image_anno.csv (image, label)."""
    # By hand: anomalib reads VisA only after its data module has copied every photo into another folder, and its
    # split drops the names of the defects.
    listed = _rows(root / "split_csv" / "1cls.csv", ("object", "split", "label", "image", "mask"))
    samples = []
    for name in chosen(root, (row["object"] for row in listed), category, "rows in split_csv/1cls.csv"):
        named = root / name / "image_anno.csv"
        kinds = {r["image"]: r["label"] for r in _rows(named, ("image", "label"))} if named.is_file() else {}
        samples += [_visa_sample(root, row, kinds) for row in listed if row["object"] == name]
    return samples


def _visa_sample(root: Path, row: dict[str, str], kinds: dict[str, str]) -> Sample:
    image, split = row["image"], row["split"]
    if split not in ("train", "test") or row["label"] not in ("normal", "anomaly"):
        raise DataError(
            f"data {str(root)!r}: split_csv/1cls.csv calls {image!r} {split!r}, {row['label']!r}; "
            "expected train or test, normal or anomaly"
        )
    checked = cast("Split", split)
    if row["label"] == "normal":
        return Sample(image, root / image, 0, GOOD, checked, row["object"])
    masks = (root / row["mask"],) if row["mask"] else ()
    return Sample(image, root / image, 1, kinds.get(image) or _UNNAMED, checked, row["object"], masks)


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            found = reader.fieldnames or []
            if missing := [column for column in columns if column not in found]:
                raise DataError(f"data {str(path)!r}: has columns {', '.join(found)}; misses {', '.join(missing)}")
            return [{column: row[column] or "" for column in columns} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"data {str(path)!r}: cannot be read ({error}); expected CSV in UTF-8") from error


class _Meta(BaseModel):
    normal_class: str = "OK"


class _RealIadPhoto(BaseModel):
    anomaly_class: str
    image_path: str
    mask_path: str | None = None


class _RealIad(BaseModel):
    meta: _Meta = _Meta()
    train: list[_RealIadPhoto]
    test: list[_RealIadPhoto]


def real_iad(root: Path, category: str | None) -> list[Sample]:
    """Real-IAD: realiad_jsons/<category>.json, photos in the largest of realiad_1024, _512, _256 and _raw that is
    there; every part is taken by the cameras C1 to C5, and a defect that a camera does not see is normal to it."""
    # By hand: anomalib's make_realiad_dataset drops the class of the defect.
    lists = root / "realiad_jsons"
    if subfolder := next((f for f in [lists / "realiad_jsons"] if f.is_dir()), None):
        lists = subfolder  # as the archive unpacks
    named = chosen(root, (f.stem for f in lists.glob("*.json")), category, "realiad_jsons/<category>.json")
    samples = []
    for name in named:
        folder = next((root / size / name for size in _RESOLUTIONS if (root / size / name).is_dir()), None)
        if folder is None:
            raise DataError(f"data {str(root)!r}: has no photos of {name!r}; expected {' or '.join(_RESOLUTIONS)}")
        told = _load(lists / f"{name}.json", TypeAdapter(_RealIad))
        for split, listed in (("train", told.train), ("test", told.test)):
            samples += [
                _real_iad_sample(root, folder, name, cast("Split", split), photo, told.meta.normal_class)
                for photo in listed
            ]
    return samples


def _real_iad_sample(root: Path, folder: Path, category: str, split: Split, photo: _RealIadPhoto, ok: str) -> Sample:
    path = folder / photo.image_path
    if not path.is_relative_to(root):
        raise DataError(f"data {str(root)!r}: photo {photo.image_path!r} of {category!r} is outside of it")
    camera = re.search(r"_(C\d)_", path.name)
    normal = photo.anomaly_class == ok
    return Sample(
        id=path.relative_to(root).as_posix(),
        path=path,
        label=0 if normal else 1,
        defect_type=GOOD if normal else photo.anomaly_class,
        split=split,
        category=category,
        masks=(folder / photo.mask_path,) if photo.mask_path and not normal else (),
        view=camera.group(1) if camera else None,
    )


class _MmadQuestion(BaseModel):
    Question: str
    Answer: str
    Options: dict[str, str]
    type: str = ""


class _MmadPhoto(BaseModel):
    mask_path: str | None = None
    conversation: list[_MmadQuestion]
    similar_templates: list[str] = []
    random_templates: list[str] = []


def mmad(root: Path, category: str | None) -> list[Sample]:
    """MMAD: mmad.json, from <set>/<category>/.../<defect type>/<photo> to its questions, mask and two lists of normal
    photos; every photo is of the test split."""
    told = _load(root / "mmad.json", TypeAdapter(dict[str, _MmadPhoto]))
    if odd := next((name for name in told if name.count("/") < 3), None):
        raise DataError(
            f"data {str(root / 'mmad.json')!r}: names {odd!r}; expected <set>/<category>/.../<type>/<photo>"
        )
    wanted = chosen(root, (name.split("/")[1] for name in told), category, "photos in mmad.json")
    return [_mmad_sample(root, name, photo) for name, photo in told.items() if name.split("/")[1] in wanted]


def _mmad_sample(root: Path, name: str, photo: _MmadPhoto) -> Sample:
    path = root / name
    kind = path.parent.name
    return Sample(
        id=name,
        path=path,
        label=0 if kind == GOOD else 1,
        defect_type=kind,
        split="test",
        category=name.split("/")[1],
        masks=_mmad_masks(root, name, photo.mask_path) if photo.mask_path and kind != GOOD else (),
        references=tuple(root / other for other in photo.similar_templates),
        random_references=tuple(root / other for other in photo.random_templates),
        questions=tuple(Question(q.Question, tuple(q.Options.items()), q.Answer, q.type) for q in photo.conversation),
    )


def _mmad_masks(root: Path, name: str, told: str) -> tuple[Path, ...]:
    """The mask's path begins below <set>/<category>; MVTec LOCO keeps several in a folder named after the photo."""
    mask = root / "/".join(name.split("/")[:2]) / told
    if mask.is_dir():
        return tuple(photos(mask))
    return tuple(photos(mask.parent)) if mask.is_file() and mask.parent.name == Path(name).stem else (mask,)


def _load(path: Path, expected: TypeAdapter[_T]) -> _T:
    try:
        return expected.validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"data {str(path)!r}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DataError(f"data {str(path)!r}: {where}: {first['msg']}") from error
