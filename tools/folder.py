"""Folders that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.detector import DetectorError


@contextmanager
def whole_folder(folder: Path, marks: frozenset[str], *, what: str) -> Iterator[Path]:
    """A new folder to write into, which takes the place of `folder` when the block ends without an error.

    Args:
        folder: may exist, if it is empty or holds one of `marks`.
        marks: names of files by which an older one of ours is known.
        what: name of the folder for messages, such as `detector folder`.

    Raises:
        DetectorError: the folder cannot be written, or holds something else.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists() and (found := {path.name for path in folder.iterdir()}) and not found & marks:
            raise DetectorError(
                f"{what} {str(folder)!r}: holds something else, which is left alone; choose a new folder"
            )
        scratch = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
        try:
            made, older = scratch / "new", scratch / "old"
            made.mkdir()
            yield made
            if folder.exists():
                os.replace(folder, older)
            try:
                os.replace(made, folder)
            except OSError:
                if older.exists():
                    os.replace(older, folder)
                raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise DetectorError(
            f"{what} {str(folder)!r}: cannot be written ({error.strerror or error}); choose a folder that can"
        ) from error
