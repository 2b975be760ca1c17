"""What makes an answer of an investigation session right: it says what was found or what a fact says, and names it by its id.

Position and kind are held against what was drawn; all else against what is before the model, since a true measurement of a wrongly
marked place is the detector's mistake.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.vlm.prompt import DECLINED, read_answer
from agent.vlm.tool_calls import read_tool_calls
from evals.judges.truth import truth_of_case
from evals.mle import judge_reference
from knowledge.facts import Fact
from tools.evidence import Evidence
from tools.regions import PLACES
from training.draw.scene import Case
from training.wordings import UNKNOWN, Asked

_PLACE = re.compile(r"\b(" + "|".join(sorted(PLACES, key=len, reverse=True)) + r")\b", re.IGNORECASE)
FACT_KINDS = {
    "cause": "cause", "consequence": "impact", "remedy": "remedy", "of_cause": "cause", "of_consequence": "impact", "of_remedy": "remedy",
    "known": "defect",
}  # fmt: skip
"""Kind of the fact that answers each kind of question."""


@dataclass(frozen=True)
class Before:
    """What was before the model when it answered."""

    case: Case
    references: bool
    facts: Mapping[str, Fact]
    """By short id."""
    evidence: Sequence[Evidence]


def right(asked: Asked, reply: str, before: Before) -> bool:
    """Whether a reply answers the question rightly."""
    if read_tool_calls(reply)[0] or not reply:
        return False
    kind, here = asked.kind, _here(before)
    regions = bool(_heat(before).values["regions"])
    if kind == "unseen":
        return reply.startswith(DECLINED)
    if kind == "position":
        named = _PLACE.findall(reply)
        return bool(named) and named[0].lower() in _touched(before.case)
    if kind == "type":
        faults = judge_reference(reply, truth_of_case(before.case, before.facts, list(before.evidence))).faults
        return not any(fault.kind in ("wrong type", "no type", "wrong verdict", "no answer") for fault in faults)
    if kind in FACT_KINDS:
        return _tells_facts(asked, reply, before)
    if kind in ("size", "shape"):
        return _measured(asked, reply, before, here) if regions else reply.startswith(DECLINED)
    if kind == "measure":
        return _measured(asked, reply, before, (asked.where or "",))
    if kind in ("reference", "compare", "closer"):
        return _looked(asked, reply, before, here if kind == "reference" else (asked.where or "",))
    if kind == "heat":
        heat = _heat(before)
        return str(heat.values["level"]) in reply and _cites(reply, heat.id)
    if kind == "why":
        sentences = read_answer(reply)[1]
        return len(sentences) > 1 and _cites(reply, _heat(before).id) and all(s.cites for s in sentences)
    found = [item for item in before.evidence if item.tool == ("similar_cases" if kind == "similar" else "ask_person")]
    if not found:
        return False
    said = found[-1].values["cases"][:1] if kind == "similar" else [found[-1].values["said"]]
    if said == [UNKNOWN]:
        return reply.startswith(DECLINED)
    return _cites(reply, found[-1].id) and (said[0] in reply if said else "No similar case" in reply)


def cites_fact(asked: Asked, reply: str, before: Before) -> bool:
    """Whether a reply at least names, by its id, a fact of the kind that was asked for, and no other than that on causes."""
    cited = {id for sentence in read_answer(reply)[1] for id in sentence.cites}
    return any(id in cited and _fits(asked, fact) for id, fact in before.facts.items())


def of_drawn_kind(asked: Asked, reply: str, before: Before) -> bool:
    """Whether a right answer on cause, consequence or remedy is about the defect that was drawn."""
    types = {d.defect_type for d in before.case.defects}
    told = (fact for id, fact in before.facts.items() if _fits(asked, fact) and _tells(reply, id, fact))
    return any(fact.defect_type in types for fact in told)


def _fits(asked: Asked, fact: Fact) -> bool:
    return fact.kind == FACT_KINDS[asked.kind] and asked.defect_type in (None, fact.defect_type)


def _tells(reply: str, id: str, fact: Fact) -> bool:
    """Word for word, in a sentence that names it."""
    words = _words(fact.text)
    return any(id in s.cites and words in _words(s.text) for s in read_answer(reply)[1])


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _tells_facts(asked: Asked, reply: str, before: Before) -> bool:
    fitting = {id: fact for id, fact in before.facts.items() if _fits(asked, fact)}
    if not fitting:
        if asked.defect_type is not None:
            return reply.startswith(DECLINED)
        return not _heat(before).values["regions"] and _cites(reply, _heat(before).id)
    return any(_tells(reply, id, fact) for id, fact in fitting.items())


def _heat(before: Before) -> Evidence:
    return next(item for item in before.evidence if item.tool == "heatmap")


def _here(before: Before) -> tuple[str, ...]:
    """The places that may stand for the region that stands out."""
    values = _heat(before).values
    return (values["place"], *(region["place"] for region in values["regions"][:1]))


def _touched(case: Case) -> set[str]:
    from training.preference.scene import places_of

    return set(places_of(case.mask)[1]) if case.defects else set()


def _cites(reply: str, id: str) -> bool:
    return any(id in sentence.cites for sentence in read_answer(reply)[1])


def _at(before: Before, tool: str, places: Sequence[str]) -> list[Evidence]:
    return [item for item in before.evidence if item.tool == tool and item.values.get("place") in places]


def _measured(asked: Asked, reply: str, before: Before, places: Sequence[str]) -> bool:
    """The numbers, or the shape and tone, of a measurement there, with its id."""
    for item in _at(before, "measure", places):
        values = item.values
        size = f"{values['length_px']:.0f} by {values['width_px']:.0f} px"
        wanted = [str(values["shape"]), str(values["tone"])] if asked.kind == "shape" else [size]
        if _cites(reply, item.id) and all(part in reply for part in wanted):
            return True
    return False


def _looked(asked: Asked, reply: str, before: Before, places: Sequence[str]) -> bool:
    """What a comparison there found, and for a closer look its id; without a reference, that there is none."""
    close = asked.kind == "closer"
    if close and not any(_cites(reply, item.id) for item in _at(before, "zoom", places)):
        return False
    if not before.references:
        return close or reply.startswith(DECLINED)
    return any(
        _cites(reply, item.id) and band_of(reply) == _band(item.values) for item in _at(before, "compare", places)
    )


def _band(values: Mapping[str, Any]) -> str:
    ratio = float(values["ratio"])
    return "other" if ratio >= 2 else "same" if ratio < 1.4 else "a little"


def band_of(reply: str) -> str | None:
    """How far an answer says that the reference differs; None where it does not say."""
    if re.search(r"\bdiffers? (?:only )?a little\b|\ba little from\b|\bonly a little\b", reply):
        return "a little"
    if re.search(r"\bmuch the same\b|\bagrees with the reference\b|\bmuch like\b", reply):
        return "same"
    return "other" if re.search(r"\b[Nn]othing in (?:the reference|it)\b|\bnothing of the kind\b", reply) else None
