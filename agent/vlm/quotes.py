"""Facts quoted by their id: a small model points at a fact, and the reader gets the fact's own words.

Where a reply has the id of a fact right behind a colon, as in `The usual cause: [F2].`, the fact's text stands in between. So no
word of it can be wrong, however small the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

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


def quoting(pieces: Iterable[str], facts: Mapping[str, str]) -> Iterator[str]:
    """The same of a reply that is still being written, as soon as it is clear."""
    held = ""
    for piece in pieces:
        held += piece
        begun = _BEGUN.search(held)
        ready, held = (held, "") if begun is None else (held[: begun.start()], held[begun.start() :])
        if ready:
            yield quoted(ready, facts)
    if held:
        yield quoted(held, facts)
