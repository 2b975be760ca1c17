"""Domain knowledge for visual inspection: facts with sources, past cases, and stores that find them by meaning and by likeness."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knowledge.cases import CaseStore, PastCase
    from knowledge.errors import StoreError
    from knowledge.facts import Fact, FactError
    from knowledge.store import FactStore

__all__ = ["CaseStore", "Fact", "FactError", "FactStore", "PastCase", "StoreError"]

_HOMES = {
    "CaseStore": "knowledge.cases",
    "Fact": "knowledge.facts",
    "FactError": "knowledge.facts",
    "FactStore": "knowledge.store",
    "PastCase": "knowledge.cases",
    "StoreError": "knowledge.errors",
}


def __getattr__(name: str) -> object:
    # Loaded on first use: pydantic and Chroma take far longer to import than all of this package.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
