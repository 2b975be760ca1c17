"""Folders of a card in JSON and its data: written whole or not at all, read only where the two belong together."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


def write_checked(folder: Path, card: dict[str, Any], data: bytes, names: tuple[str, str], *, what: str) -> None:
    """Write a card, with the SHA-256 of its data, and the data; an older pair there is replaced.

    Args:
        folder: to write to, whole or not at all.
        card: all but `sha256`.
        data: such as safetensors.
        names: of the two files, the card first.
        what: name of the folder for messages.

    Raises:
        DetectorError: the folder cannot be written, or holds something else.
    """
    card = card | {"sha256": hashlib.sha256(data).hexdigest()}
    with whole_folder(folder, frozenset(names), what=what) as made:
        (made / names[1]).write_bytes(data)
        (made / names[0]).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def read_checked(
    folder: Path, names: tuple[str, str], *, version: int, what: str, again: str
) -> tuple[dict[str, Any], bytes]:
    """Read a card and the data it belongs to.

    Args:
        folder: with the two.
        names: of the two files, the card first.
        version: that the card must have as its `format`.
        what: name of the folder for messages, such as `detector`.
        again: what to do about a folder that cannot be used.

    Raises:
        DetectorError: missing, damaged, or of another version.
    """
    try:
        card = json.loads((folder / names[0]).read_text(encoding="utf-8"))
        found, digest = card["format"], card.get("sha256")
        data = (folder / names[1]).read_bytes() if found == version else b""
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DetectorError(
            f"{what} {str(folder)!r}: cannot be read ({type(error).__name__}: {error}); {again}"
        ) from error
    if found != version:
        raise DetectorError(f"{what} {str(folder)!r}: has format {found!r}, this version reads {version}; {again}")
    if hashlib.sha256(data).hexdigest() != digest:
        raise DetectorError(f"{what} {str(folder)!r}: {names[1]} does not match its card; {again}")
    return card, data
