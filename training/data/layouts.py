"""The one way in: a layout's name and a folder in, samples out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from training.data import folders, listed
from training.data.sample import DataError, Dataset, Sample

LAYOUTS: dict[str, Callable[[Path, str | None], list[Sample]]] = {
    "btad": folders.btad,
    "manta": folders.manta,
    "mmad": listed.mmad,
    "mpdd": folders.mpdd,
    "mvtec_ad": folders.mvtec_ad,
    "mvtec_loco": folders.mvtec_loco,
    "real_iad": listed.real_iad,
    "visa": listed.visa,
}
"""From the name of a layout to its reader."""


def read_dataset(layout: str, root: Path | str, category: str | None = None) -> Dataset:
    """Read a public inspection data set as its authors publish it; nothing is downloaded, copied or opened but lists.

    Args:
        layout: A name in `LAYOUTS`.
        root: Folder that holds the set; the categories are below it.
        category: One product; by default all of them.

    Raises:
        DataError: an unknown layout or category, a folder of another layout, a list that cannot be read, or a photo,
            mask or reference that is listed but not there.
    """
    if layout not in LAYOUTS:
        raise DataError(f"layout {layout!r}: expected one of {', '.join(sorted(LAYOUTS))}")
    folder = Path(root)
    if not folder.is_dir():
        raise DataError(f"data {str(root)!r}: no such folder; expected one that holds a set in layout {layout!r}")
    samples = LAYOUTS[layout](folder, category)
    if not samples:
        raise DataError(f"data {str(root)!r}: holds no photo in layout {layout!r}")
    known: set[Path] = set()  # references are shared by many photos
    home = folder.resolve()
    for sample in samples:
        for what, paths in (
            ("photo", (sample.path,)),
            ("mask", sample.masks),
            ("reference", sample.references + sample.random_references),
        ):
            for path in paths:
                if path not in known and not path.resolve().is_relative_to(home):
                    raise DataError(f"data {sample.id!r}: its {what} {str(path)!r} is outside {str(root)!r}")
                if path not in known and not path.is_file():
                    raise DataError(f"data {sample.id!r}: its {what} {str(path)!r} is listed but not there")
                known.add(path)
    return Dataset(folder.resolve().name, folder, tuple(samples))
