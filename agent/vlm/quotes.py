"""Facts quoted by their id: a small model points at a fact, and the reader gets the fact's own words.

Where a reply has the id of a fact right behind a colon, as in `The usual cause: [F2].`, the fact's text stands in between. So no
word of it can be wrong, however small the model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_POINTER = re.compile(r":(\s*)\[(F\d+)\]")
# What may still become a pointer once more text has come.
_BEGUN = re.compile(r":\s*(?:\[(?:F\d*)?)?\Z")


def quoted(reply: str, facts: Mapping[str, str]) -> str:
    """A reply with its facts in full.

    Args:
        reply: as the model wrote it.
        facts: what each of the prompt's facts says, by its short id.
    """

    def full(pointer: re.Match[str]) -> str:
        text = facts.get(pointer[2])
        return pointer[0] if text is None else f": {' '.join(text.split()).rstrip('.')} [{pointer[2]}]"

    return _POINTER.sub(full, reply)


class Quoting:
    """The same of a reply that is still being written, as soon as it is clear."""

    def __init__(self, facts: Mapping[str, str]) -> None:
        self._facts, self._held = facts, ""

    def add(self, piece: str) -> str:
        """What can be shown once this piece has come."""
        held = self._held + piece
        begun = _BEGUN.search(held)
        end = len(held) if begun is None else begun.start()
        self._held = held[end:]
        return quoted(held[:end], self._facts)

    def rest(self) -> str:
        """What was held back, at the end of the reply."""
        held, self._held = self._held, ""
        return quoted(held, self._facts)
