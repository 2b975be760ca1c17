"""What AD-PL files share that are meant to be apart: images, questions, and what a split calls unseen."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from training.adpl import PreferenceRecord, RankedQuestion
from training.adpl_file import below
from training.stats import AdplFile

NEAR_BITS = 32
"""Two images of which at most so many of the 255 bits of their perceptual hash differ are near duplicates.

Of drawn photos at 224 px, JPEG at quality 90 leaves 98 % within it and at quality 70 96 %, doubling the size 99 %; the
nearest of 2.5 million pairs of different photos were 36 bits apart. Photos of one product in one pose can be nearer.
"""
_SIDE, _LOW = 64, 16
_ROWS = 1024  # compared at once; bounds the memory

Bits = NDArray[np.float32]
What = Literal["families", "domains", "defect types"]
_UNSEEN: dict[str, tuple[What, ...]] = {"unseen_families": ("families", "domains"), "unseen_defects": ("defect types",)}


@dataclass(frozen=True)
class Photo:
    """An image that a file names."""

    name: str
    sha256: str
    bits: Bits
    """(255,) of -1 and 1: whether each of the low frequencies is above their median."""


@dataclass(frozen=True)
class Photos:
    """The images of a file."""

    file: str
    read: tuple[Photo, ...]
    unreadable: tuple[str, ...]
    """Names of those that are not there or are no images."""

    @property
    def copies(self) -> list[tuple[str, ...]]:
        """Names under which the same content is found more than once."""
        names: dict[str, list[str]] = {}
        for photo in self.read:
            names.setdefault(photo.sha256, []).append(photo.name)
        return [tuple(group) for group in names.values() if len(group) > 1]


@dataclass(frozen=True)
class Twin:
    """An image of the second file and its nearest of the first."""

    first: str
    second: str
    bits: int
    """How many of 255 differ; 0 for the same content."""


@dataclass(frozen=True)
class Shared:
    """What two files have in common, as far as the second has it."""

    first: str
    second: str
    same: tuple[Twin, ...] | None
    """The same content; None where the images of one are not known."""
    near: tuple[Twin, ...] | None
    """Other content that looks the same, nearest first."""
    questions: tuple[str, ...]
    """Questions that both ask with the same answers."""


@dataclass(frozen=True)
class Unseen:
    """What a split that is called unseen shares with those that are not."""

    split: str
    what: What
    shared: tuple[str, ...] | None
    """None where the records do not say."""


def photos_of(file: AdplFile) -> Photos | None:
    """Read every image that a file names, once; None where their folder is not known."""
    if file.images is None:
        return None
    names = dict.fromkeys(name for r in file.records for name in (r.test_image, r.reference_image))
    found = {name: _photo(file.images, name) for name in names}
    return Photos(
        file.name,
        tuple(photo for photo in found.values() if photo is not None),
        tuple(name for name, photo in found.items() if photo is None),
    )


def _photo(folder: Path, name: str) -> Photo | None:
    path = below(folder, name)
    try:
        data = path.read_bytes() if path is not None else b""
    except OSError:
        return None
    grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    return None if grey is None else Photo(name, hashlib.sha256(data).hexdigest(), perceptual_hash(grey))


def perceptual_hash(grey: NDArray[np.uint8]) -> Bits:
    """The lowest frequencies of a grey image, (H, W), of any size: (255,) of -1 and 1."""
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:_LOW, :_LOW].ravel()[1:]  # without the brightness of the whole
    return np.where(low > np.median(low), 1, -1).astype(np.float32)


def shared_by(files: Sequence[AdplFile], photos: Sequence[Photos | None]) -> list[Shared]:
    """Compare every file with every other.

    Args:
        photos: of each file, as `photos_of` gives them.
    """
    found = []
    for (a, seen), (b, new) in combinations(zip(files, photos, strict=True), 2):
        same, near = (None, None) if seen is None or new is None else _twins(seen.read, new.read)
        asked = {_said(question) for question in a.questions}
        again = tuple(question.question_en for question in b.questions if _said(question) in asked)
        found.append(Shared(a.name, b.name, same, near, again))
    return found


def _said(question: RankedQuestion) -> tuple[str, frozenset[str]]:
    """What is asked and answered, without regard to case, white space and the order of the answers."""
    texts = (question.question_en, *(option.answer_en for option in question.answer_options))
    asked, *answers = (" ".join(text.split()).casefold() for text in texts)
    return asked, frozenset(answers)


def _twins(seen: Sequence[Photo], new: Sequence[Photo]) -> tuple[tuple[Twin, ...], tuple[Twin, ...]]:
    """Images of `new` with the same content as one of `seen`, and those near one, nearest first."""
    content = {photo.sha256: photo.name for photo in seen}
    same = tuple(Twin(content[photo.sha256], photo.name, 0) for photo in new if photo.sha256 in content)
    others = [photo for photo in new if photo.sha256 not in content]
    if not seen or not others:
        return same, ()
    known = np.stack([photo.bits for photo in seen])
    near = []
    for start in range(0, len(others), _ROWS):
        some = others[start : start + _ROWS]
        agreement = np.stack([photo.bits for photo in some]) @ known.T  # bits alike less bits that differ
        nearest = agreement.argmax(1)
        for photo, k, row in zip(some, nearest, agreement, strict=True):
            bits = int(len(photo.bits) - row[k]) // 2
            if bits <= NEAR_BITS:
                near.append(Twin(seen[k].name, photo.name, bits))
    return same, tuple(sorted(near, key=lambda twin: twin.bits))


def unseen_shared(files: Sequence[AdplFile]) -> list[Unseen]:
    """What records of the splits `unseen_families` and `unseen_defects` share with records of no unseen split.

    A domain may hold several families: one that is shared need not be a leak, as a family or a defect type is.
    """
    records = [record for file in files for record in file.records]
    seen = [record for record in records if not (record.split or "").startswith("unseen")]
    found = []
    for split, things in _UNSEEN.items():
        new = [record for record in records if record.split == split]
        for what in things if new and seen else ():
            ours, theirs = _things(what, new), _things(what, seen)
            shared = None if ours is None or theirs is None else tuple(sorted(ours & theirs))
            found.append(Unseen(split, what, shared))
    return found


def _things(what: What, records: Sequence[PreferenceRecord]) -> set[str] | None:
    """Names of families, domains or defect types; None where no record says."""
    if what == "domains":
        return {record.domain for record in records}
    if what == "families":
        return {record.family for record in records if record.family is not None} or None
    marked = [record.defects for record in records if record.defects is not None]
    return {defect.defect_type for defects in marked for defect in defects} if marked else None
