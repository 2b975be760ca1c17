"""Facts and evidence quoted by their id: a small model points at them, and the reader gets their own words.

Where a reply has an id right behind a colon, as in `The usual cause: [F2].`, what that fact or look says stands in between. So no
word of it can be wrong, however small the model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_POINTER = re.compile(r":(\s*)\[([EF]\d+)\]")
# What may still become a pointer once more text has come.
_BEGUN = re.compile(r":\s*(?:\[(?:[EF]\d*)?)?\Z")


def quoted(reply: str, texts: Mapping[str, str]) -> str:
    """A reply with what it points at in full.

    Args:
        reply: as the model wrote it.
        texts: what each fact and each piece of evidence of the prompt says, by its short id.
    """

    def full(pointer: re.Match[str]) -> str:
        text = texts.get(pointer[2])
        return pointer[0] if text is None else f": {' '.join(text.split()).rstrip('.')} [{pointer[2]}]"

    return _POINTER.sub(full, reply)


class Quoting:
    """The same of a reply that is still being written, as soon as it is clear."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts, self._held = texts, ""

    def add(self, piece: str) -> str:
        """What can be shown once this piece has come."""
        held = self._held + piece
        begun = _BEGUN.search(held)
        end = len(held) if begun is None else begun.start()
        self._held = held[end:]
        return quoted(held[:end], self._texts)

    def rest(self) -> str:
        """What was held back, at the end of the reply."""
        held, self._held = self._held, ""
        return quoted(held, self._texts)
