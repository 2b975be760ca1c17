"""The forms that the benchmark's sentences are written in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Said:
    """A sentence on evidence."""

    text: str
    """With slots such as `{place}` for what the tools found."""
    on: str
    """The tools whose evidence it cites."""
    needs: str = ""
    """What must hold of a case for the sentence to be true, such as `darker`; said of a case where another word of the same
    group holds, it is false."""


@dataclass(frozen=True)
class Told:
    """A sentence on a fact of the shipped pack, and one like it that says what the fact does not."""

    fact: str
    """Its id."""
    text: str
    untold: str
    """Empty where none was written."""


@dataclass(frozen=True)
class Other:
    """A sentence on what another tool found, and one like it that this does not hold."""

    tool: str
    summary: str
    values: dict[str, Any]
    text: str
    untold: str


@dataclass(frozen=True)
class Half:
    """The sentences of one half, and how it writes places."""

    said: tuple[Said, ...]
    told: tuple[Told, ...]
    others: tuple[Other, ...]
    added: tuple[str, ...]
    """Claims to put behind a sentence that nothing cited holds."""
    answers: tuple[tuple[bool, str], ...]
    """How an answer opens, and a sentence that bears it out and contradicts the other opening."""
    rows: tuple[str, str, str] = field(kw_only=True)
    columns: tuple[str, str, str] = field(kw_only=True)
