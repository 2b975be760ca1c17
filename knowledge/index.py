"""The vector index: a Chroma collection in a folder of its own, which can always be made again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar, cast

import numpy as np

from knowledge.errors import StoreError
from knowledge.facts import Fact
from knowledge.folder import REBUILD_HINT, database_fault

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection
    from chromadb.api.types import Embeddable, EmbeddingFunction, Metadata, Where

_COLLECTION = "facts"
_DATABASE = "chroma.sqlite3"
# At Chroma's default of 100 one near fact in 3,000 was missed; at 400 none was, at the same speed.
_EF_SEARCH = 400
# Below this share of vectors found again the vector files do not belong to the database.
_MIN_FOUND = 0.9

_Item = TypeVar("_Item")


class FactIndex:
    """Finds the ids of facts by meaning. Made by `open`."""

    def __init__(self, folder: Path, client: Client, collection: Collection) -> None:
        self._folder = folder
        self._client = client
        self._collection = collection

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether there is an index to open; a damaged one counts."""
        return (folder / _DATABASE).exists()

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the index, or make an empty one where there is none.

        Raises `StoreError` when it is damaged or was made with another embedding function.
        """
        from chromadb import PersistentClient
        from chromadb.config import Settings
        from chromadb.errors import ChromaError

        if cls.exists(folder) and (fault := database_fault(folder / _DATABASE, "ro")) is not None:
            raise _damaged(folder, fault)
        try:
            # `PersistentClient` is declared to return an interface that lacks `close`.
            client = cast("Client", PersistentClient(str(folder), Settings(anonymized_telemetry=False)))
        except (ChromaError, ValueError) as error:
            raise _damaged(folder, error) from error
        try:
            index = cls(folder, client, _collection(client, folder))
            index._check_vectors()
        except ChromaError as error:
            client.close()
            raise _damaged(folder, error) from error
        except StoreError:
            client.close()
            raise
        return index

    def close(self) -> None:
        """Release the files. A second call does nothing."""
        self._client.close()

    def count(self) -> int:
        """How many facts the index holds."""
        from chromadb.errors import ChromaError

        try:
            return self._collection.count()
        except ChromaError as error:
            raise _damaged(self._folder, error) from error

    def synchronise(self, facts: Mapping[str, Fact]) -> None:
        """Make the index hold exactly these facts, by id; only what differs is embedded and written."""
        from chromadb.errors import ChromaError

        try:
            held = self._collection.get(include=["documents", "metadatas"])
            rows = zip(held["ids"], held["documents"] or (), held["metadatas"] or (), strict=True)
            known = {key: (text, dict(metadata)) for key, text, metadata in rows}
            surplus = [key for key in known if key not in facts]
            changed = [fact for fact in facts.values() if known.get(fact.id) != (fact.text, _metadata(fact))]
            for ids in _batches(surplus, self._client.get_max_batch_size()):
                self._collection.delete(ids=ids)
            for batch in _batches(changed, self._client.get_max_batch_size()):
                self._collection.upsert(
                    ids=[fact.id for fact in batch],
                    documents=[fact.text for fact in batch],
                    metadatas=[_metadata(fact) for fact in batch],
                )
        except ChromaError as error:
            raise _damaged(self._folder, error) from error

    def nearest(self, query: str, *, where: Mapping[str, Iterable[str]], limit: int) -> list[tuple[str, float]]:
        """Up to `limit` ids with their similarity to the query, 0 to 1, best first.

        `where` maps a field (`category`, `kind`, `defect_type`) to the values it may have.
        """
        from chromadb.errors import ChromaError

        terms = [cast("Where", {field: {"$in": list(values)}}) for field, values in where.items()]
        condition: Where | None = {"$and": terms} if len(terms) > 1 else terms[0] if terms else None
        try:
            found = self._collection.query(query_texts=[query], n_results=limit, where=condition, include=["distances"])
        except ChromaError as error:
            raise _damaged(self._folder, error) from error
        distances = found["distances"] or [[]]
        return [
            (key, min(1.0, max(0.0, 1.0 - distance)))
            for key, distance in zip(found["ids"][0], distances[0], strict=True)
        ]

    def _check_vectors(self) -> None:
        from knowledge.embed import DIMENSIONS

        # The vectors lie in files beside the database; Chroma does not notice when they are gone.
        count = self._collection.count()
        if count:
            anywhere = np.ones((1, DIMENSIONS), dtype=np.float32)
            found = self._collection.query(query_embeddings=anywhere, n_results=count, include=[])
            if len(found["ids"][0]) < _MIN_FOUND * count:
                raise _damaged(self._folder, f"{len(found['ids'][0])} of {count} vectors found")


def _collection(client: Client, folder: Path) -> Collection:
    from chromadb.errors import NotFoundError

    from knowledge.embed import WordLlamaEmbedding

    embedding = WordLlamaEmbedding()
    # Chroma's signatures want a function of documents or images; its documentation gives one of documents.
    function = cast("EmbeddingFunction[Embeddable]", embedding)
    try:
        collection = client.get_collection(_COLLECTION, embedding_function=function)
    except NotFoundError:
        return client.create_collection(
            _COLLECTION,
            embedding_function=function,
            configuration={"hnsw": {"space": "cosine", "ef_search": _EF_SEARCH}},
        )
    except ValueError as error:  # what Chroma raises when the name is another
        raise _other_embedding(folder) from error
    # Of a changed configuration under the same name Chroma says nothing.
    made_with = collection.configuration_json.get("embedding_function") or {}
    if made_with.get("config") != embedding.get_config():
        raise _other_embedding(folder)
    return collection


def _metadata(fact: Fact) -> Metadata:
    return {
        "category": fact.category,
        "kind": fact.kind,
        "defect_type": fact.defect_type or "",
        "source": fact.source,
    }


def _damaged(folder: Path, reason: object) -> StoreError:
    details = " ".join(str(reason).split())
    return StoreError(f"{folder.parent}: the fact index is damaged ({details}); {REBUILD_HINT}")


def _other_embedding(folder: Path) -> StoreError:
    return StoreError(f"{folder.parent}: the fact index was made with another embedding function; {REBUILD_HINT}")


def _batches(items: list[_Item], size: int) -> Iterable[list[_Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))
