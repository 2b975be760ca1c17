"""The folder of a fact store: who may write, which index in it counts, and how its files are replaced."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from knowledge.errors import StoreError

LOCK_TIMEOUT_S = 30.0
"""How long to wait for another process that writes; building the shipped pack takes a second or two."""

REBUILD_HINT = "run `sage-iad facts rebuild`, which keeps your own facts"

_MARKER_FILE = "index.json"
_LOCK_FILE = "write.lock"


@dataclass(frozen=True)
class Marker:
    """Written last, so that an index counts only once it is whole."""

    index: str
    """Name of the folder that holds the index."""
    fingerprint: str
    """Of the facts that the index holds."""

    @classmethod
    def read(cls, folder: Path) -> Marker | None:
        """None where there is no marker. Raises `StoreError` when it is damaged."""
        path = folder / _MARKER_FILE
        try:
            content = json.loads(path.read_bytes())
            return cls(str(content["index"]), str(content["fingerprint"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path}: the fact index is damaged (no marker); {REBUILD_HINT}") from error
        except OSError as error:
            raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error

    def write(self, folder: Path) -> None:
        """Put this marker in place of the last. Raises `StoreError`."""
        replace_file(folder / _MARKER_FILE, json.dumps(asdict(self)) + "\n")


def database_fault(database: Path, mode: Literal["ro", "rw"]) -> object | None:
    """What is wrong with a SQLite file, None where it is whole.

    Chroma's own way of failing on a damaged one is at times a panic, which nothing can catch by name.
    """
    address = f"{database.resolve().as_uri()}?mode={mode}"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=30.0)) as opened:
            verdict = opened.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        return error
    return None if verdict == "ok" else verdict


def marker_stamp(folder: Path) -> tuple[int, ...] | None:
    """What changes whenever a marker is written; None where there is none."""
    try:
        status = (folder / _MARKER_FILE).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def remove_marker(folder: Path) -> None:
    """After this no index counts. Raises `StoreError`."""
    try:
        (folder / _MARKER_FILE).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error.strerror or error}") from error


def copy_index(folder: Path, last: str | None, name: str) -> None:
    """Copy the last index, where there is one, to a new name. Raises `StoreError`."""
    if last is None or not (folder / last).is_dir():
        return
    try:
        shutil.copytree(folder / last, folder / name)
    except OSError as error:  # `shutil.Error`, which lists what could not be copied, is one
        raise StoreError(f"{folder}: the fact index cannot be copied: {error.strerror or error}") from error


def remove_indexes(folder: Path, *, keep: str | None) -> None:
    """Delete every other index, except where a system forbids it while another process holds it open."""
    for index in folder.glob("index-*"):
        if index.name != keep:
            shutil.rmtree(index, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Make the folder where it is missing. Raises `StoreError` when it cannot be made, read or written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be made a folder: {error.strerror or error}") from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise StoreError(f"{folder}: cannot be written, expected a folder that you may read and write")


@contextmanager
def write_lock(folder: Path) -> Iterator[None]:
    """Be the only process that writes. Raises `StoreError` after `LOCK_TIMEOUT_S`."""
    lock = FileLock(folder / _LOCK_FILE)
    try:
        lock.acquire(timeout=LOCK_TIMEOUT_S)
    except Timeout as error:
        raise StoreError(
            f"{folder}: locked by another process for more than {LOCK_TIMEOUT_S:g} s; try again later"
        ) from error
    except OSError as error:
        raise StoreError(f"{folder}: cannot be locked: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def replace_file(path: Path, content: str) -> None:
    """Write a UTF-8 file so that nobody sees it half written. Raises `StoreError`."""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error
