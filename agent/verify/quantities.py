"""Numbers with their units, in sentences and in what tools found; and whether one says the other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

_UNITS = {
    "px": r"px|pixels?", "%": r"%|percent|per cent|percentage points?", "mm2": r"mm²|mm\^?2|square millimet(?:re|er)s?",
    "mm": r"mm|millimet(?:re|er)s?", "µm": r"µm|um|microns?|micromet(?:re|er)s?", "cm": r"cm|centimet(?:re|er)s?",
    "times": r"times|[x×](?=[ .,;]|$)|-?fold",
}  # fmt: skip
_UNIT = "|".join(f"(?P<u{i}>{words})" for i, words in enumerate(_UNITS.values()))
_NUMBER = re.compile(rf"(?<![\w.])(?P<n>\d+(?:\.\d+)?)(?:[ -]?(?:{_UNIT})(?![\w²]))?(?![\w]|\.\d)", re.IGNORECASE)
_NAMES = tuple(_UNITS)
# `42 by 6 px`: the first number has the unit of the second.
_SHARED = re.compile(r"^\s*(?:by|x|×|and|to|-|–)\s*$", re.IGNORECASE)
_HEDGE = re.compile(
    r"\b(?:about|approximately|roughly|around|nearly|almost|some|circa|approx\.?|close to|just (?:over|under))\s*$|~\s*$",
    re.IGNORECASE,
)
_SLACK = 0.06
"""How far, as a share, a number may be from the measured one where the sentence says `about`."""


@dataclass(frozen=True)
class Quantity:
    """A number as it stands in a text."""

    value: float
    decimals: int
    unit: str | None
    about: bool
    start: int
    end: int

    @property
    def text(self) -> str:
        """As one writes it."""
        return f"{self.value:.{self.decimals}f}{'' if self.unit is None else f' {self.unit}'}"


def quantities(text: str) -> list[Quantity]:
    """The numbers of a text, in order."""
    found: list[Quantity] = []
    for match in _NUMBER.finditer(text):
        unit = next((name for i, name in enumerate(_NAMES) if match[f"u{i}"]), None)
        decimals = len(match["n"].partition(".")[2])
        about = bool(_HEDGE.search(text[: match.start()]))
        found.append(Quantity(float(match["n"]), decimals, unit, about, match.start(), match.end()))
    for i in range(len(found) - 2, -1, -1):
        one, following = found[i], found[i + 1]
        if (
            one.unit is None
            and following.unit not in (None, "times")
            and _SHARED.match(text[one.end : following.start])
        ):
            found[i] = Quantity(one.value, one.decimals, following.unit, one.about, one.start, one.end)
    return found


@dataclass(frozen=True)
class Known:
    """A number that evidence or a fact holds."""

    value: float
    unit: str | None


def known_quantities(texts: Iterable[str], values: Iterable[Mapping[str, Any]]) -> list[Known]:
    """The numbers of summaries and facts, and those behind them; boxes aside, since they would bear out nearly any number."""
    known = [Known(q.value, q.unit) for text in texts for q in quantities(text)]
    return known + [k for item in values for k in _of_values(item)]


def _of_values(item: object, key: str = "") -> Iterator[Known]:
    if isinstance(item, Mapping):
        for name, value in item.items():
            if "box" not in str(name):
                yield from _of_values(value, str(name))
    elif isinstance(item, (list, tuple)):
        for value in item:
            yield from _of_values(value, key)
    elif isinstance(item, (int, float)) and not isinstance(item, bool):
        value = abs(float(item))
        suffix = key.rpartition("_")[2]
        if suffix in ("fraction", "contrast"):
            yield Known(100 * value, "%")
        yield Known(value, suffix if suffix in _NAMES else None)


def holds(said: Quantity, known: Iterable[Known]) -> bool:
    """Whether one of the known numbers, rounded as the sentence has it, is the one said, in the same unit."""
    return any(_same(said, k) for k in known)


def _same(said: Quantity, known: Known) -> bool:
    if said.unit == known.unit or said.unit is None:
        factor = 1.0
    elif said.unit == "%" and known.unit is None and known.value <= 1:
        factor = 100.0
    elif said.unit == "times" and known.unit is None:
        factor = 1.0
    else:
        return False
    slack = max(0.5 * 10**-said.decimals + 1e-9, _SLACK * said.value if said.about else 0.0)
    return bool(abs(said.value - factor * known.value) <= slack)


# `1.42 mm, below the nominal 1.50 mm`: what a sentence says of two numbers can be held against the numbers.
_MORE = re.compile(
    r"\b(?:above|over|exceed\w*|more than|greater than|larger than|higher than|longer than|surpass\w*|beyond)\b",
    re.IGNORECASE,
)
_LESS = re.compile(
    r"\b(?:below|under|less than|smaller than|lower than|shorter than|short of|fewer than)\b", re.IGNORECASE
)


def wrong_order(text: str, denied: bool) -> str | None:
    """Two numbers of one unit that a sentence puts in the wrong order; None where it puts none so.

    Args:
        text: one clause or sentence.
        denied: it says that they do not stand so.
    """
    found = quantities(text)
    for one, other in pairwise(found):
        between = text[one.end : other.start]
        more, less = _MORE.search(between), _LESS.search(between)
        if bool(more) == bool(less) or (None not in (one.unit, other.unit) and one.unit != other.unit):
            continue
        if (one.value > other.value) != (bool(more) != denied):
            return f"{one.text} is not {'above' if bool(more) != denied else 'below'} {other.text}"
    return None
