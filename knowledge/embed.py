"""How sentences become vectors: wordllama, whose weights come inside its wheel, as Chroma wants it."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import wordllama  # type: ignore[import-untyped]
from chromadb.api.types import Documents, EmbeddingFunction, Embeddings
from chromadb.utils.embedding_functions import register_embedding_function
from numpy.typing import NDArray

DIMENSIONS = 256
_FOLDER = Path(wordllama.__file__).parent


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors, `(len(texts), 256)` float32; a text without any token gives the zero vector.

    Texts are put in lower case first: the model takes `PCB` and `pcb` for two words.
    """
    vectors: NDArray[np.float32] = _model().embed([text.lower() for text in texts])
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: NDArray[np.float32] = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return units


@register_embedding_function
class WordLlamaEmbedding(EmbeddingFunction[Documents]):
    """`embed` for Chroma, which writes the name and the configuration beside the vectors."""

    def __init__(self) -> None:
        pass

    def __call__(self, input: Documents) -> Embeddings:
        return list(embed(input))

    @staticmethod
    def name() -> str:
        return "wordllama_l2_supercat"

    def get_config(self) -> dict[str, Any]:
        """What decides the vectors: other weights under the same name must be noticed."""
        return {"dimensions": DIMENSIONS, "lower_case": True, "weights": _weights_digest()}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> WordLlamaEmbedding:
        return WordLlamaEmbedding()


@functools.cache
def _model() -> Any:
    return wordllama.WordLlama.load(cache_dir=_FOLDER, dim=DIMENSIONS, disable_download=True)


@functools.cache
def _weights_digest() -> str:
    weights = _FOLDER / "weights" / f"l2_supercat_{DIMENSIONS}.safetensors"
    return hashlib.sha256(weights.read_bytes()).hexdigest()[:16]
