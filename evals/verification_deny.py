"""Denies what a sentence says."""

from __future__ import annotations

import re

_AUXILIARY = re.compile(r"\b(is|are|was|were|will|could|should|must|would)\b")
_MODAL = re.compile(r"\b(can|may|might)\b")
_VERBS = {
    "measures": "measure", "shows": "show", "has": "have", "marks": "mark", "covers": "cover", "peaks": "peak", "sits": "sit", "lies": "lie",
    "looks": "look", "appears": "appear", "differs": "differ", "agrees": "agree", "stands": "stand", "exceeds": "exceed", "scores": "score",
    "leads": "lead", "stems": "stem", "results": "result", "comes": "come", "reaches": "reach", "leaves": "leave", "makes": "make", "takes": "take",
    "produces": "produce", "arises": "arise", "weakens": "weaken", "reduces": "reduce", "prevents": "prevent", "loses": "lose", "amounts": "amount",
    "remains": "remain", "stays": "stay", "corresponds": "correspond", "highlights": "highlight", "deviates": "deviate", "matches": "match",
    "magnifies": "magnify", "occurs": "occur", "frays": "fray", "needs": "need", "occupies": "occupy", "lights": "light", "give": "give",
    "name": "name", "recommend": "recommend", "crack": "crack", "start": "start", "form": "form", "trap": "trap", "break": "break",
}  # fmt: skip
_NEGATIVE = re.compile(r"\b(?:no|not|nothing|none|never|without|neither|hardly|only)\b", re.IGNORECASE)


def deny(text: str) -> str | None:
    """The sentence with its first verb denied; None where that cannot be told, or it denies something already."""
    if _NEGATIVE.search(text) or text.startswith("For "):
        return None
    verb = re.search(rf"(?<!\ba )(?<!\ban )(?<!\bthe )\b(?:{'|'.join(_VERBS)})\b", text)
    found = [match for match in (_AUXILIARY.search(text), _MODAL.search(text), verb) if match]
    if not found:
        return None
    first = min(found, key=lambda m: m.start())
    word = first[0]
    if _AUXILIARY.fullmatch(word):
        put = f"{word} not"
    elif _MODAL.fullmatch(word):
        put = "cannot"
    else:
        put = f"{'does' if word.endswith('s') else 'do'} not {_VERBS[word]}"
    return f"{text[: first.start()]}{put}{text[first.end() :]}"
