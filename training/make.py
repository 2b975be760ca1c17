"""AD-PL data at any size: drawn image pairs with their masks, questions and ranked answers, in a folder.

    DIR/train.jsonl, validation.jsonl, unseen_families.jsonl, unseen_defects.jsonl    one record a line
    DIR/images/SPLIT/NUMBER_test.jpg, NUMBER_reference.jpg                            photos
    DIR/masks/SPLIT/NUMBER_DEFECT.png                                                 0 and 255, size of the photo
    DIR/sheets/FAMILY.jpg                                                             where asked for: to look at
    DIR/manifest.json                                                                 what was made, with SHA-256 of every file

The same seed, size and version give the same bytes; a run that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from knowledge.facts import shipped_pack
from training.adpl import MarkedDefect, PairType, PreferenceRecord
from training.draw.scene import Case, draw_case
from training.draw.sheet import Pair, sheet
from training.draw.splits import SPLITS, Split
from training.fact_index import FactIndex
from training.preference.record import AdplWriter

MANIFEST = "manifest.json"
PARTS = "parts"
"""Folder of what is made but not joined yet."""
SHARES = {"validation": 0.08, "unseen_families": 0.06, "unseen_defects": 0.06}
"""Of the pairs; the rest is for training."""
PARTIAL = ".partial"
"""Ending of a file that is being written."""
CHUNK = 16
"""Pairs a process makes at a time."""
JPEG_QUALITY = 95


class MakeError(ValueError):
    """The data cannot be made as asked; the message says why."""


@dataclass(frozen=True)
class Order:
    """What to make."""

    pairs: int
    seed: int = 0
    size: int = 256
    """Side of the photos in pixels."""
    aligned: float = 0.15
    """Share of pairs taken by a fixture that holds the part still."""

    def shares(self) -> dict[str, int]:
        """How many pairs of each split."""
        held = {name: round(share * self.pairs) for name, share in SHARES.items()}
        return {"train": self.pairs - sum(held.values()), **held}


def draw_pair(split: Split, seed: int, index: int, size: int = 224, aligned: float = 0.15) -> Case:
    """The pair of this number of a split; the same for the same arguments."""
    return draw_case(
        (seed, split.number, index), size=size, families=split.families, types=split.types, aligned=aligned
    )


def tell_pair(writer: AdplWriter, case: Case, split: Split, seed: int, index: int, name: str) -> PreferenceRecord:
    """The record of a drawn pair; paths are made from `name`."""
    pair_type: PairType = get_args(PairType)[(index + seed) % 3]
    told = writer.tell(case, pair_type, (seed, split.number, index, 1), split.types)
    marked = [
        MarkedDefect(
            defect_type=d.defect_type, severity=round(d.severity, 3), box=list(d.box), mask=_mask_path(split, name, i)
        )
        for i, d in enumerate(case.defects)
    ]
    return PreferenceRecord(
        domain=case.category,
        test_image=f"images/{split.name}/{name}_test.jpg",
        reference_image=f"images/{split.name}/{name}_reference.jpg",
        pair_type=pair_type,
        question_answer=told.questions,
        conclusion_en=None if pair_type == "defect diagnosis" else told.conclusion,
        split=split.name,
        family=case.family,
        facts=told.facts,
        defects=marked,
        differences=list(case.variations),
    )


def _mask_path(split: Split, name: str, number: int) -> str:
    return f"masks/{split.name}/{name}_{number}.png"


def stream(
    split: str, seed: int, *, size: int = 224, start: int = 0, step: int = 1
) -> Iterator[tuple[Case, PreferenceRecord]]:
    """Drawn pairs with their records without end, from number `start` on, every `step`-th; nothing is stored."""
    part, writer, index = SPLITS[split], AdplWriter(FactIndex(shipped_pack())), start
    while True:
        case = draw_pair(part, seed, index, size)
        yield case, tell_pair(writer, case, part, seed, index, f"{index:06d}")
        index += step


def make(order: Order, folder: Path, processes: int | None = None) -> Iterator[int]:
    """Make what is not there yet; yields how many pairs are done, as they are done.

    Args:
        order: what to make.
        folder: where; a folder that holds another order is refused.
        processes: how many work at once; none: one a core.

    Raises:
        MakeError: no pair was asked for, or the folder holds other data.
    """
    if order.pairs < 1 or order.size < 64:
        raise MakeError(
            f"pairs {order.pairs}, size {order.size}: expected at least 1 pair of at least 64 pixels a side"
        )
    _claim(order, folder)
    if (folder / MANIFEST).is_file():
        shutil.rmtree(folder / PARTS, ignore_errors=True)  # where it was stopped just before this
        yield order.pairs
        return
    todo = [
        (name, range(first, min(first + CHUNK, count)))
        for name, count in order.shares().items()
        for first in range(0, count, CHUNK)
    ]
    done = 0
    # Not forked: threads of libraries that the caller has loaded would be missing in a fork, and waited for.
    with ProcessPoolExecutor(processes or os.cpu_count(), get_context("spawn"), _start_worker) as pool:
        waiting = [pool.submit(_chunk, order, folder, name, numbers) for name, numbers in todo]
        try:
            for chunk in waiting:
                done += chunk.result()
                yield done
        except BrokenProcessPool as error:
            raise MakeError(
                f"processes {processes or os.cpu_count()}: one was killed, perhaps for memory; run the same command again, "
                "with fewer, and it goes on from there"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)
    _finish(order, folder)


def write_sheets(folder: Path, pairs: int = 16) -> list[Path]:
    """A contact sheet of each family in `folder / "sheets"`: at most so many `pairs`, from all splits."""
    by_family: dict[str, list[Pair]] = {}
    for name in SPLITS:
        file = folder / f"{name}.jsonl"
        for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
            record = PreferenceRecord.model_validate_json(line)
            shown = by_family.setdefault(Path(record.family or record.domain).name, [])
            if len(shown) < pairs:
                shown.append(_pair(folder, record))
    written = []
    for family, shown in sorted(by_family.items()):
        path = folder / "sheets" / f"{family}.jpg"
        _write(path, _jpeg(sheet(shown, columns=2)))
        written.append(path)
    return written


def _pair(folder: Path, record: PreferenceRecord) -> Pair:
    test, reference = (_read(folder / path, "RGB") for path in (record.test_image, record.reference_image))
    mask = np.zeros(test.shape[:2], bool)
    defects = record.defects or []
    for defect in defects:
        mask |= _read(folder / defect.mask, "L") > 127
    said = ", ".join(f"{defect.defect_type} {defect.severity:.1f}" for defect in defects) or "normal"
    return Pair(test, reference, mask, f"{record.family}: {said}")


def _read(path: Path, mode: str) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert(mode), np.uint8)


def _claim(order: Order, folder: Path) -> None:
    """Write down what is being made, or find it written."""
    asked = {**asdict(order), "sage_iad": version("sage-iad"), "engine": _engine()}
    note = folder / "order.json"
    if note.is_file():
        try:
            found = json.loads(note.read_text(encoding="utf-8"))
        except ValueError as error:
            raise MakeError(
                f"out {str(folder)!r}: its order.json cannot be read ({error}); name another folder"
            ) from error
        if found != asked:
            differs = ", ".join(f"{key} {found.get(key)!r}" for key in asked if found.get(key) != asked[key])
            raise MakeError(f"out {str(folder)!r}: holds data of {differs}; name another folder, or delete this one")
        return
    if folder.is_dir() and any(not path.name.endswith(PARTIAL) for path in folder.iterdir()):
        raise MakeError(f"out {str(folder)!r}: is not empty; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    _write(note, (json.dumps(asked, indent=2) + "\n").encode())


def _engine() -> str:
    """Digest of all that decides what is made: the code that draws and tells, the facts, and the libraries beneath."""
    here = Path(__file__).parent
    sources = [*sorted((here / "draw").glob("*.py")), *sorted((here / "preference").glob("*.py")), Path(__file__)]
    digest = hashlib.sha256(f"{cv2.__version__} {np.__version__}".encode())
    for source in sources:
        digest.update(source.read_bytes())
    digest.update("".join(fact.id for fact in shipped_pack().facts).encode())
    return digest.hexdigest()[:16]


def _start_worker() -> None:
    # One process a core: threads of their own would only wait for each other.
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed command must not leave workers that go on writing."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _chunk(order: Order, folder: Path, split_name: str, numbers: range) -> int:
    """Make some pairs; their records come last, so that a chunk with records is whole."""
    kept = folder / PARTS / f"{split_name}_{numbers.start:06d}.jsonl"
    if kept.is_file():
        return len(numbers)
    split, writer, lines = SPLITS[split_name], AdplWriter(FactIndex(shipped_pack())), []
    for index in numbers:
        name = f"{index:06d}"
        case = draw_pair(split, order.seed, index, order.size, order.aligned)
        record = tell_pair(writer, case, split, order.seed, index, name)
        _write(folder / record.test_image, _jpeg(case.test))
        _write(folder / record.reference_image, _jpeg(case.references[0]))
        for marked, defect in zip(record.defects or [], case.defects, strict=True):
            _write(folder / marked.mask, _png(defect.mask))
        lines.append(record.model_dump_json(exclude_none=True))
    _write(kept, ("\n".join(lines) + "\n").encode())
    return len(numbers)


def _finish(order: Order, folder: Path) -> None:
    """Join the parts, and write the manifest."""
    for name, count in order.shares().items():
        parts = [folder / PARTS / f"{name}_{first:06d}.jsonl" for first in range(0, count, CHUNK)]
        if parts:
            _write(folder / f"{name}.jsonl", b"".join(part.read_bytes() for part in parts))
    for partial in folder.rglob(f".*{PARTIAL}"):  # of a process that was killed
        partial.unlink()
    made = (*folder.glob("*.jsonl"), *(folder / "images").rglob("*.jpg"), *(folder / "masks").rglob("*.png"))
    manifest = {
        **json.loads((folder / "order.json").read_text(encoding="utf-8")),
        "splits": {
            name: {
                "pairs": count,
                "families": [family.name for family in SPLITS[name].families],
                "defect_types": sorted(SPLITS[name].types),
            }
            for name, count in order.shares().items()
        },
        "sha256": {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(made)},
    }
    _write(folder / MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
    shutil.rmtree(folder / PARTS)


def _write(path: Path, data: bytes) -> None:
    """All of the file or none of it, whenever the process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    partial.write_bytes(data)
    partial.replace(path)


def _jpeg(photo: NDArray[np.uint8]) -> bytes:
    full_colour = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    _, data = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, *full_colour])
    return data.tobytes()


def _png(mask: NDArray[np.bool_]) -> bytes:
    _, data = cv2.imencode(".png", mask.astype(np.uint8) * 255)
    return data.tobytes()
