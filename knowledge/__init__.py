"""Domain knowledge for visual inspection: facts with sources, and a store that finds them by meaning."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knowledge.errors import StoreError
    from knowledge.facts import Fact, FactError
    from knowledge.store import FactStore

__all__ = ["Fact", "FactError", "FactStore", "StoreError"]

_HOMES = {
    "Fact": "knowledge.facts",
    "FactError": "knowledge.facts",
    "FactStore": "knowledge.store",
    "StoreError": "knowledge.errors",
}


def __getattr__(name: str) -> object:
    # Loaded on first use: pydantic and Chroma take far longer to import than all of this package.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
