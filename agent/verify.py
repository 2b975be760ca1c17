"""Checks of what the model wrote against what it cites. Nothing here asks a model."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from agent.vlm.prompt import DECLINED, Sentence
from knowledge.facts import Fact
from tools.evidence import Evidence
from tools.regions import LEVELS, PLACES

_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w]|\.\d)")
# Longest first, so that `upper centre` is not read as `centre`.
_LEVEL = re.compile(r"\b(" + "|".join(sorted(LEVELS, key=len, reverse=True)) + r")\b")
_PLACE = re.compile(r"\b(" + "|".join(sorted(PLACES, key=len, reverse=True)) + r")\b", re.IGNORECASE)


def problems_of(
    sentence: Sentence, facts: Mapping[str, Fact], evidence: Mapping[str, Evidence], types: Collection[str]
) -> list[str]:
    """What is wrong with a sentence; empty when it holds.

    Args:
        sentence: with the short ids it cites.
        facts: by short id, F1, F2, …
        evidence: by id, E1, E2, …
        types: every defect type there is, snake case.
    """
    if not sentence.cites:
        return [] if sentence.text.startswith(DECLINED) else ["it cites nothing"]
    found = [f"{id} does not exist" for id in sentence.cites if id not in facts and id not in evidence]
    seen = [evidence[id] for id in sentence.cites if id in evidence]
    read = [facts[id] for id in sentence.cites if id in facts]
    said_places = {place.lower() for place in _PLACE.findall(sentence.text)}
    known_places = {place for item in seen for place in _places(item.values)}
    found += [f"no cited evidence lies in the {place}" for place in sorted(said_places - known_places)]
    known_numbers = {
        float(n) for text in [e.summary for e in seen] + [f.text for f in read] for n in _NUMBER.findall(text)
    }
    found += [f"{n} is not in what it cites" for n in _NUMBER.findall(sentence.text) if float(n) not in known_numbers]
    levels = {str(item.values["level"]) for item in seen if "level" in item.values}
    said_levels = set(_LEVEL.findall(sentence.text)) if levels else set()
    found += [f"the heat map is not {level}" for level in sorted(said_levels - levels)]
    cited_types = {fact.defect_type for fact in read if fact.defect_type}
    # A sentence on facts about a defect is held to the word for it; elsewhere words such as `run` may mean another thing.
    looked_for = types if cited_types else {fact.defect_type for fact in facts.values() if fact.defect_type}
    named = {t for t in looked_for if re.search(rf"\b{t.replace('_', ' ')}\b", sentence.text)}
    if named and not named & cited_types:
        found.append(f"no cited fact is about {', '.join(sorted(named)).replace('_', ' ')}")
    return found


def _places(values: Mapping[str, Any]) -> set[str]:
    places = {values["place"]} if "place" in values else set()
    return places | {region["place"] for region in values.get("regions", [])}
