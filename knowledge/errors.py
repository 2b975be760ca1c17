"""What goes wrong with a store on disk, as against with a fact (`facts.FactError`)."""

from __future__ import annotations


class StoreError(RuntimeError):
    """A store, of facts or of past cases, cannot be opened, read or written; the message is one line that says what to do."""
