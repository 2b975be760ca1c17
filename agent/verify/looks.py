"""What a sentence says of the heat map, a measurement or a comparison, against what these found.

A sentence is taken clause by clause: `the map is low and no region reaches its threshold` says one thing and denies another.
Each check reads one sort of statement in general English and returns what is wrong; what it does not understand it passes over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from agent.verify.clauses import REST, clauses, denies, said_places
from agent.verify.quantities import holds, known_quantities, quantities, wrong_order
from agent.verify.values import LIKENESS, SUBJECT, of_comparison, of_heat_map, of_measurement
from tools.evidence import Evidence
from tools.regions import PLACES


def places_and_numbers(text: str, seen: Sequence[Evidence], told: Sequence[str]) -> list[str]:
    """Places and numbers of a sentence that are not in what it cites; arguments as for `problems_with_looks`."""
    parts = clauses(text)
    return [*_places(text, parts, seen, told), *_numbers(text, parts, seen, told)]


def problems_with_looks(text: str, seen: Sequence[Evidence], told: Sequence[str]) -> list[str]:
    """What a sentence says that the evidence it cites does not hold.

    Args:
        text: of the sentence.
        seen: the cited evidence.
        told: texts of the facts it cites too, which may speak of places and numbers.
    """
    by_tool: dict[str, list[Evidence]] = {}
    for item in seen:
        by_tool.setdefault(item.tool, []).append(item)
    parts = clauses(text)
    found = places_and_numbers(text, seen, told)
    if not seen:
        found += [
            f"no cited evidence is of the {name}"
            for name, words in _VIEWS.items()
            if words.search(text) and not words.search(" ".join(told))
        ]
    checks = {"heatmap": of_heat_map, "measure": of_measurement, "compare": of_comparison}
    for tool, check in checks.items():
        if tool in by_tool:
            spoken = parts if len(by_tool) == 1 and not told else [p for p in parts if SUBJECT[tool].search(p)]
            if (
                tool == "compare"
                and (set(by_tool) <= {"compare", "zoom"} and not told)
                and any(LIKENESS.search(p) for p in parts)
            ):
                spoken = [text]  # `compared with the reference, it looks the same` is one statement
            # Several looks of a tool at several places: it is enough that one of them bears the sentence out.
            tries: list[list[str]] = [list(check(spoken, item.values)) for item in by_tool[tool] if item.values]
            found += sorted(tries, key=lambda problems: len(problems))[0] if tries else []
    return list(dict.fromkeys(found))


_VIEWS = {
    "heat map": re.compile(r"\b(?:heat|anomaly)[ -]?maps?\b|\banomaly score\b", re.IGNORECASE),
    "reference": re.compile(r"\breference\b|\b(?:golden|good) (?:part|sample|piece|one|image|photo)\b", re.IGNORECASE),
    "close-up": re.compile(r"\bclose-?up\b", re.IGNORECASE),
}
"""What only evidence shows."""


# --- places


def _known_places(items: Iterable[Evidence]) -> set[str]:
    known: set[str] = set()
    for item in items:
        known |= set(_words_for_places(item.values))
        known |= {place for ninths in said_places(item.summary) for place in ninths}
    return known


def _words_for_places(values: object) -> Iterator[str]:
    if isinstance(values, str) and values in PLACES:
        yield values
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from _words_for_places(value)
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _words_for_places(value)


def _places(text: str, parts: Sequence[str], seen: Sequence[Evidence], told: Sequence[str]) -> Iterator[str]:
    known = _known_places(seen)
    of_facts = {place for fact in told for ninths in said_places(fact) for place in ninths}
    for part in parts:
        for ninths in said_places(part):
            name = min(ninths, key=len) if len(ninths) == 1 else " or ".join(sorted(ninths))
            clean = (denies(part) or _CLEAN.search(part)) and not REST.search(text) and not _BEHIND.search(part)
            if clean and ninths <= known:
                yield f"the cited evidence lies in the {name}"
            elif not clean and not ninths & (known | of_facts):
                yield f"no cited evidence lies in the {name}"


_CLEAN = re.compile(
    r"\b(?:clean|intact|sound|undamaged|unaffected|inconspicuous|unremarkable|quiet|normal|in order|defect-free)\b",
    re.IGNORECASE,
)
# What is denied is a likeness to the reference, not the place: `nothing like the upper left is in the reference`.
_BEHIND = re.compile(
    r"\b(?:reference|good|golden|normal|counterpart|like|similar|comparable|equivalent)\b", re.IGNORECASE
)


# --- numbers

_OF = {
    "score": re.compile(r"\b(?:scor(?:e|es|ed|ing)|reading)\b(?: (?:is|was|of|at|reaches|amounts to|equals|a|an|value))*\s*$", re.IGNORECASE),
    "threshold": re.compile(r"\b(?:threshold|limit|cut-?off)\b(?: (?:is|was|of|at|lies|value|set|to))*\s*$", re.IGNORECASE),
}  # fmt: skip


_ORDER = re.compile(
    r"\b(?:exceed\w*|above|over|past|surpass\w*|cross\w*|more than|greater|higher|beyond|below|under|less than|lower)\b",
    re.IGNORECASE,
)
_PERCENT_OF = {
    "area_fraction": re.compile(
        r"\bof the (?:\w+ )?(?:image|picture|photo|frame)\b|\bimage area\b|\b(?:cover\w*|affected|occup\w+)\b",
        re.IGNORECASE,
    ),
    "contrast": re.compile(r"\b(?:darker|brighter|lighter|paler|contrast)\b", re.IGNORECASE),
}


def _numbers(text: str, parts: Sequence[str], seen: Sequence[Evidence], told: Sequence[str]) -> Iterator[str]:
    known = known_quantities([*(item.summary for item in seen), *told], [item.values for item in seen])
    for said in quantities(text):
        if not holds(said, known):
            yield f"{said.text} is not in what it cites"
            continue
        for key, words in _PERCENT_OF.items():
            shares = [float(item.values[key]) for item in seen if isinstance(item.values.get(key), (int, float))]
            part = next((p for p in parts if text[said.start : said.end] in p), text)
            if (
                said.unit == "%"
                and shares
                and words.search(part)
                and not holds(said, known_quantities([], [{key: v} for v in shares]))
            ):
                yield f"{said.text} is another measure"
        for key, before in _OF.items():
            named = [float(item.values[key]) for item in seen if isinstance(item.values.get(key), (int, float))]
            if (
                named
                and before.search(text[: said.start])
                and not holds(said, known_quantities([], [{key: v} for v in named]))
            ):
                yield f"the {key} is not {said.text}"
    for part in parts:
        # `it does not measure 42 px`; `does not exceed 0.50` is about the order of two numbers.
        if re.search(r"\b(?:not|never|\w+n't)\b", part) and not _ORDER.search(part):
            bars = [float(item.values["threshold"]) for item in seen if "threshold" in item.values]
            yield from (
                f"{said.text} is what it cites"
                for said in quantities(part)
                if holds(said, known) and said.value not in bars
            )
    sentence_denied = len(parts) == 1 and denies(text)
    wrong = wrong_order(text, sentence_denied)
    if wrong:
        yield wrong
