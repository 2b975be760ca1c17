"""Clauses of a sentence, what they deny, and the places they name: what every check of citations reads first."""

from __future__ import annotations

import re

from agent.verify.claim_words import places_in
from tools.regions import PLACES

_CLAUSE = re.compile(
    r"[;:](?=\s)|,(?=\s)|\b(?:and|but|yet|because|since|while|whereas|although|though|which|so that|where|when|if)\b",
    re.IGNORECASE,
)
NOT = re.compile(
    r"\b(?:no|not|cannot|never|none|nothing|nowhere|neither|nor|without|lacks?|\w+n't|hardly|barely|free of)\b",
    re.IGNORECASE,
)
SET_AGAINST = re.compile(r"\b(?:rather than|instead of|not only)\b[^,;.]*", re.IGNORECASE)
REST = re.compile(
    r"\b(?:no|any|without|nothing) (?:\w+ )?(?:other|further|additional|more|else)\b|\b(?:nothing|nowhere) else\b|\belsewhere\b|\b(?:apart|aside) from\b"
    r"|\bother than\b|\bexcept\b|\bbesides\b|\bthe rest\b|\boutside\b|\bremainder\b",
    re.IGNORECASE,
)


def clauses(text: str) -> list[str]:
    """Parts of a sentence that may say the opposite of each other."""
    text = re.sub(r"\blong,? and (thin|narrow|slender)\b", r"long \1", text, flags=re.IGNORECASE)  # one shape
    return [part.strip() for part in _CLAUSE.split(text) if part and re.search(r"\w", part)]


def denies(clause: str) -> bool:
    """Whether a clause denies what it speaks of; two denials make none."""
    return len(NOT.findall(SET_AGAINST.sub(" ", clause))) % 2 == 1


_MORE_PLACES = (
    (re.compile(r"\bat the (top|bottom)\b(?! (?:left|right|cent))", re.IGNORECASE), {"top": "upper", "bottom": "lower"}),
    (re.compile(r"\b(?:on|to|towards?) the (?:far )?(left|right)\b(?! (?:side|edge|half|part|end|seat))", re.IGNORECASE), {"left": "left", "right": "right"}),
)  # fmt: skip
# `centre left` is a place beside the centre.
_MIDDLE = re.compile(r"\bcent(?:re|er|ral)[ -](left|right)\b", re.IGNORECASE)


def said_places(text: str) -> list[frozenset[str]]:
    found = list(places_in(_MIDDLE.sub(r"middle \1", text)))
    for pattern, names in _MORE_PLACES:
        for match in pattern.finditer(text):
            word = names[match[1].lower()]
            found.append(frozenset(place for place in PLACES if word in place.split()))
    return found
