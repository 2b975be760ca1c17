"""The memory of past inspections: how earlier photos looked and what was said of them, found by likeness."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import threading
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from knowledge.errors import StoreError
from knowledge.facts import describe
from knowledge.folder import Marker, database_fault, make_folder, marker_stamp, write_lock

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection as ChromaCollection

Array = NDArray[np.float32]

NAME_LENGTH = 60
"""Characters kept of a category or a defect type."""
NOTE_LENGTH = 300
"""Characters kept of a note."""

_DATABASE = "chroma.sqlite3"
_FOLDER = "chroma"
# Key of the one metadata field: a document would be indexed word by word, which nothing here asks for.
_CASE = "case"
# Chroma writes its vector files when so many changes are waiting, and a process killed meanwhile leaves them damaged.
# Never reached, so that all is kept in its SQLite database, where a change is made whole or not at all.
_NEVER = 2**31 - 1
# The graph for approximate search is built anew whenever Chroma is opened, and not used: as small as it may be.
_GRAPH = 2
# Bytes that must be free on the disk: when it fills up amid a change, Chroma cannot even read until there is room again.
_ROOM = 8 << 20


def _line(length: int) -> AfterValidator:
    """To one line of visible characters, cut to a length: a note must not fail an inspection, nor break out of its line."""

    def tidy(text: str) -> str:
        visible = (" " if unicodedata.category(sign) in _INVISIBLE else sign for sign in text)
        words = " ".join("".join(visible).split())
        return words if len(words) <= length else f"{words[: length - 1]}…"

    return AfterValidator(tidy)


# Control, formatting (such as writing direction), surrogate, private, unassigned; separators of lines and paragraphs.
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_Name: TypeAlias = Annotated[str, _line(NAME_LENGTH)]


class PastCase(BaseModel):
    """What is remembered of one photo. Its texts are data that somebody wrote, never instructions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=200)
    """Of the report, or of a reference; a case with the same id takes this one's place."""
    kind: Literal["inspection", "reference"]
    created: AwareDatetime
    category: _Name | None = None
    """The product, as far as it is known."""
    verdict: Literal["normal", "anomalous", "uncertain"]
    defect_types: list[_Name] = Field(default_factory=list, max_length=20)
    decided_by: Literal["agent", "person"]
    """Who answers for the verdict."""
    note: Annotated[str, _line(NOTE_LENGTH)] = ""
    """One sentence."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the photo's decoded pixels, so that the very same photo is known again."""
    similarity: float | None = Field(default=None, ge=0.0, le=1.0)
    """Likeness to the photo asked about, 0 to 1, when the case is a search result."""


_Held: TypeAlias = dict[str, tuple[PastCase, Array]]


class CaseStore:
    """Past cases on disk, searchable by the embedding of a photo. Threads may share one.

    Any number of processes may use a folder, one at a time, each for milliseconds; all see what another has written.
    Embeddings of different encoders cannot be compared: cases of another revision stay on disk but are not found.
    The folder is read when it is first needed, and again when another process has written.
    """

    def __init__(self, folder: Path | str, *, encoder_revision: str) -> None:
        """A store in this folder, made if missing. Raises `StoreError` when it cannot be used.

        Args:
            folder: of this store alone.
            encoder_revision: names the weights that the embeddings come from.
        """
        self.path = Path(folder)
        self.encoder_revision = encoder_revision
        self._name = f"cases-{hashlib.sha256(encoder_revision.encode()).hexdigest()[:16]}"
        self._guard = threading.RLock()
        self._held: _Held | None = None
        self._stamp: tuple[int, ...] | None = None
        self._index: tuple[list[PastCase], Array] | None = None
        make_folder(self.path)

    def add(self, case: PastCase, embedding: Array) -> None:
        """Keep a case in place of any with its id, whichever encoder that one was seen with.

        Args:
            case: `similarity` is not kept.
            embedding: (d,), of any length but 0; its direction counts. The same d for all of an encoder revision.

        Raises:
            ValueError: the embedding is not one; nothing is kept.
            StoreError: the disk is full, or the folder is locked or damaged.
        """
        self.add_all([(case, embedding)])

    def add_all(self, cases: Iterable[tuple[PastCase, Array]]) -> None:
        """`add` many: far faster than one by one. Of two with the same id the later one is kept."""
        kept = {case.id: (case.model_copy(update={"similarity": None}), _unit(vector)) for case, vector in cases}
        if not kept:
            return
        with self._guard, self._writing() as held:
            for _, vector in kept.values():
                self._check_length(held, vector)
            with _opened(self.path) as client:
                mine = _collection(client, self._name, self.encoder_revision)
                ids = list(kept)
                size = client.get_max_batch_size()
                for batch in (ids[start : start + size] for start in range(0, len(ids), size)):
                    mine.upsert(
                        ids=batch,
                        embeddings=np.stack([kept[id][1] for id in batch]),
                        metadatas=[{_CASE: kept[id][0].model_dump_json(exclude={"similarity"})} for id in batch],
                    )
                _delete(client, ids, keep=self._name)
            held.update(kept)

    def remove(self, id: str) -> bool:
        """Forget a case, whichever encoder it was seen with; returns whether there was one. Raises `StoreError`."""
        with self._guard, self._writing() as held:
            if not _exists(self.path):
                return False
            with _opened(self.path) as client:
                found = _delete(client, [id])
            held.pop(id, None)
            return found

    def nearest(self, embedding: Array, limit: int = 3, exclude: Collection[str] = ()) -> list[PastCase]:
        """Up to `limit` cases, most alike first, each with its `similarity`: all are compared, none is missed.

        Of several cases of the very same photo only one is given: a person's before the agent's, then the newest.

        Args:
            embedding: (d,), by the store's encoder; its direction counts.
            limit: at least 1.
            exclude: SHA-256 of photos that are not wanted, such as the one asked about.

        Raises:
            ValueError: the embedding is not one, or the limit is below 1.
            StoreError: the folder is locked or damaged.
        """
        if limit < 1:
            raise ValueError(f"limit is {limit!r}, expected at least 1")
        unit = _unit(embedding)
        with self._guard:
            held = self._current()
            self._check_length(held, unit)
            if self._index is None:
                self._index = _one_a_photo(held)
            cases, vectors = self._index
        if not cases:
            return []
        likeness = np.clip(vectors @ unit, 0.0, 1.0)
        found: list[PastCase] = []
        for row in np.argsort(-likeness, kind="stable"):
            if cases[row].sha256 not in exclude:
                found.append(cases[row].model_copy(update={"similarity": float(likeness[row])}))
                if len(found) == limit:
                    break
        return found

    def get(self, id: str) -> PastCase | None:
        """The case with this id, if it was seen with the store's encoder. Raises `StoreError`."""
        with self._guard:
            row = self._current().get(id)
            return None if row is None else row[0]

    def count(self) -> int:
        """How many cases there are to compare with. Raises `StoreError`."""
        with self._guard:
            return len(self._current())

    def _current(self) -> _Held:
        """The cases as they are on disk now, by id."""
        if self._held is not None and self._stamp == marker_stamp(self.path):
            return self._held
        with write_lock(self.path):
            return self._read()

    def _read(self) -> _Held:
        """To be called under the write lock: Chroma's client is not safe for several processes."""
        self._held = self._index = None
        stamp, held = marker_stamp(self.path), _Held()
        if _exists(self.path):
            with _opened(self.path) as client:
                held = _read_all(_collection(client, self._name, self.encoder_revision), self.path)
        self._held, self._stamp = held, stamp
        return held

    @contextmanager
    def _writing(self) -> Iterator[_Held]:
        """Be the only process at work; what is held, to be changed as the folder is."""
        with write_lock(self.path):
            if not _has_room(self.path):
                raise _full(self.path)
            held = self._held
            if held is None or self._stamp != marker_stamp(self.path):
                held = self._read()
            # Until all is done nothing is known. The marker comes first: should this process be killed before it has
            # written, others read once for nothing; the other way round they would not see what it wrote.
            self._held = self._index = None
            Marker(_FOLDER, secrets.token_hex(8)).write(self.path)
            stamp = marker_stamp(self.path)
            yield held
            self._held, self._stamp = held, stamp

    def _check_length(self, held: _Held, vector: Array) -> None:
        for _, known in held.values():
            if known.shape != vector.shape:
                raise ValueError(
                    f"embedding has {len(vector)} numbers, expected {len(known)} as for the other cases of the encoder "
                    f"{self.encoder_revision!r}"
                )
            return


def _unit(embedding: Array) -> Array:
    """At length 1, (d,) float32."""
    vector = np.asarray(embedding, dtype=np.float64)
    length = float(np.linalg.norm(vector))
    if vector.ndim != 1 or not np.isfinite(length) or length == 0:
        raise ValueError(f"embedding has shape {vector.shape} and length {length:g}, expected (d,), finite and not 0")
    return (vector / length).astype(np.float32)


def _one_a_photo(held: _Held) -> tuple[list[PastCase], Array]:
    """The case that speaks for each photo, newest first, and their vectors, (n, d)."""
    speaking: dict[str, str] = {}
    for id, (case, _) in sorted(held.items(), key=lambda item: (item[1][0].decided_by == "person", item[1][0].created)):
        speaking[case.sha256] = id
    rows = sorted((held[id] for id in speaking.values()), key=lambda row: row[0].created, reverse=True)
    return [case for case, _ in rows], np.stack([vector for _, vector in rows]) if rows else np.empty(
        (0, 0), np.float32
    )


def _exists(folder: Path) -> bool:
    """Whether anything was ever written; while nothing was, Chroma need not be imported."""
    return (folder / _FOLDER / _DATABASE).exists()


@contextmanager
def _opened(folder: Path) -> Iterator[ClientAPI]:
    """Chroma's client, under the write lock and no longer. Raises `StoreError` for whatever Chroma finds wrong."""
    from chromadb import PersistentClient
    from chromadb.config import Settings
    from chromadb.errors import ChromaError

    # Opened to be written: what a killed process left half done is taken back first.
    if _exists(folder) and (fault := database_fault(folder / _FOLDER / _DATABASE, "rw")) is not None:
        raise _failed(folder, fault)
    try:
        # `PersistentClient` is declared to return an interface that lacks `close`.
        client = cast("Client", PersistentClient(str(folder / _FOLDER), Settings(anonymized_telemetry=False)))
    except (ChromaError, ValueError) as error:
        raise _failed(folder, error) from error
    with closing(client):
        try:
            yield client
        except ChromaError as error:
            raise _failed(folder, error) from error


def _collection(client: ClientAPI, name: str, encoder_revision: str) -> ChromaCollection:
    return client.get_or_create_collection(
        name,
        embedding_function=None,  # or Chroma would download one
        metadata={"encoder_revision": encoder_revision},
        configuration={
            "hnsw": {
                "space": "cosine",
                "sync_threshold": _NEVER,
                "max_neighbors": _GRAPH,
                "ef_construction": _GRAPH,
            }
        },
    )


def _read_all(collection: ChromaCollection, folder: Path) -> _Held:
    rows = collection.get(include=["embeddings", "metadatas"])
    vectors, metadatas = rows["embeddings"], rows["metadatas"]
    if vectors is None or metadatas is None or not len(rows["ids"]) == len(vectors) == len(metadatas):
        raise _failed(folder, "vectors are missing")
    held: _Held = {}
    for id, vector, metadata in zip(rows["ids"], vectors, metadatas, strict=True):
        try:
            case = PastCase.model_validate_json(str((metadata or {}).get(_CASE)))
        except ValidationError as error:
            raise _failed(folder, f"{id}: {describe(error)}") from error
        held[id] = case, np.asarray(vector, np.float32)
    return held


def _delete(client: ClientAPI, ids: list[str], *, keep: str | None = None) -> bool:
    """Delete from every collection but one; whether any was there."""
    found = False
    for other in client.list_collections():
        if other.name != keep:
            held = other.get(ids=ids, include=[])["ids"]
            if held:
                other.delete(ids=held)
                found = True
    return found


def _failed(folder: Path, reason: object) -> StoreError:
    if not _has_room(folder):
        return _full(folder)
    details = " ".join(str(reason).split())
    return StoreError(
        f"{folder}: the memory of past inspections is damaged ({details}); move this folder away to begin an empty one"
    )


def _has_room(folder: Path) -> bool:
    return shutil.disk_usage(folder).free >= _ROOM


def _full(folder: Path) -> StoreError:
    return StoreError(
        f"{folder}: the disk is full, expected {_ROOM >> 20} MiB free for the memory of past inspections; make room"
    )
