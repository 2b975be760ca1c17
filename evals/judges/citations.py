"""Whether what a sentence cites holds what the sentence says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.verify.claims import Claims, content_words
from agent.verify.looks import places_and_numbers
from evals.mle import Citable
from tools.evidence import Evidence

_SHARED_WORDS = 0.5
"""Share of a cause's words that what it cites has to hold."""


def unsupported(claims: Claims, citable: Mapping[str, Citable], named: frozenset[str]) -> str | None:
    """What a sentence says that its citations do not hold; None where nothing is wrong.

    Args:
        claims: of the sentence.
        citable: everything that could be cited, by id; what is not among it is passed over here.
        named: kinds of defect that the whole answer names.
    """
    cites = tuple(id for id in claims.sentence.cites if id in citable)
    about = {kind for id in cites if (kind := citable[id].defect_type) is not None}
    mine = claims.affirmed | claims.denied
    if about and mine and not about & mine:
        return f"it names {listed(map(said, mine))} and cites facts on {listed(map(said, about))}"
    if about and not mine and named and not about & named:
        return f"the answer names {listed(map(said, named))} and cites facts on {listed(map(said, about))}"
    if cites and (found := _problems(claims.sentence.text, cites, citable)):
        return found[0]
    words = content_words(claims.explains or "")
    if words and not claims.sentence.cites:
        return "it explains and cites nothing"
    known = content_words(" ".join(citable[id].text for id in cites))
    if words and cites and len(words & known) < _SHARED_WORDS * len(words):
        return "what it gives as cause or effect is not in what it cites"
    return None


def _problems(text: str, cites: tuple[str, ...], citable: Mapping[str, Citable]) -> list[str]:
    """The agent's own check of numbers and places; kinds are held against the facts above, more strictly."""
    told = [citable[id].text for id in cites if citable[id].kind is not None]
    seen = [_evidence(id, citable[id]) for id in cites if citable[id].kind is None]
    found = places_and_numbers(text, seen, told)
    # A place can rest on evidence alone.
    return [why for why in found if seen or not why.startswith("no cited evidence")]


def _evidence(id: str, c: Citable) -> Evidence:
    return Evidence(id=id, tool="", summary=c.text, values={"regions": [{"place": place} for place in c.places]})


def said(kind: str) -> str:
    """A kind of defect as a sentence has it."""
    return kind.replace("_", " ")


def listed(items: Iterable[str]) -> str:
    """`a or b`, in alphabetical order."""
    return " or ".join(sorted(items))
