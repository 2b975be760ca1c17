"""Checks of what the model wrote against what it cites. Nothing here asks a model."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from agent.verify.claim_words import DEFECT, denies, kinds_in
from agent.verify.claims import read_claims
from agent.verify.facts import akin, problems_with_claims, words_of
from agent.verify.looks import problems_with_looks
from agent.vlm.prompt import DECLINED, Sentence
from knowledge.facts import Fact
from knowledge.kinds import groups
from tools.evidence import Evidence

_READ_BY_WORDS = frozenset(groups())
"""Kinds of defect that are read by how a sentence uses their words; others, such as those of own facts, by name."""


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
    if found:
        return found
    seen = [evidence[id] for id in sentence.cites if id in evidence]
    read = [facts[id] for id in sentence.cites if id in facts]
    found += problems_with_looks(sentence.text, seen, [fact.text for fact in read])
    found += _kinds(sentence, read, seen, facts, types)
    found += problems_with_claims(sentence.text, read, seen)
    return list(dict.fromkeys(found))


def _kinds(
    sentence: Sentence,
    read: Sequence[Fact],
    seen: Sequence[Evidence],
    facts: Mapping[str, Fact],
    types: Collection[str],
) -> list[str]:
    """Kinds of defect that a sentence names and nothing cited is about."""
    claims = read_claims(sentence)
    others = {t for t in types if re.search(rf"\b{re.escape(t.replace('_', ' '))}s?\b", sentence.text, re.IGNORECASE)}
    about = {fact.defect_type for fact in read if fact.defect_type}
    shown = {kind for item in seen for kind in kinds_in(item.summary)[0]}
    if not (shown or any(fact.defect_type for fact in facts.values())):
        return []  # nothing is known of any kind: the name can rest on the picture alone
    spoken = set(claims.affirmed)
    if shown:
        spoken |= others
    elif not denies(sentence.text):
        spoken |= others - _READ_BY_WORDS
    affirmed = spoken & set(types)
    if not read:
        affirmed &= others  # of a look one may well say that an edge is torn
    strange = affirmed - about - shown
    if about and claims.denied & set(types) and not claims.denied & about:
        strange |= claims.denied & set(types)
    if affirmed & about or any(_tells(sentence.text, fact) for fact in read):
        # Such as a crack that corrosion leads to.
        strange = {kind for kind in strange if not any(_mentions(fact.text, kind) for fact in read)}
    return [f"no cited fact is about {', '.join(sorted(strange)).replace('_', ' ')}"] if strange else []


def _mentions(text: str, kind: str) -> bool:
    return kind in kinds_in(text)[0] or kind.replace("_", " ") in text.lower()


def _tells(text: str, fact: Fact) -> bool:
    """Whether a sentence repeats a fact, and does not only point at it."""
    known = words_of(fact.text)
    return sum(any(akin(word, other) for other in known) for word in words_of(text)) > 2


# A mark of no described kind may be a defect or none.
_OPEN = re.compile(r"\bnone of the (?:described|known|listed|given)\b", re.IGNORECASE)
_NOTHING = re.compile(
    r"\bnothing (?:is |looks |seems )?(?:at all )?(?:suspicious|unusual|conspicuous|wrong|abnormal|odd|remarkable|amiss|out of)\b"
    r"|\b(?:everything|all) (?:\w+ )?(?:is |to be |looks )?(?:fine|well|in order|normal|as it should)\b|\blooks? (?:\w+ )?as (?:it|such a part) should\b",
    re.IGNORECASE,
)


def verdict_problems(value: bool | None, sentences: Sequence[Sentence], evidence: Mapping[str, Evidence]) -> list[str]:
    """Where the opening of a verdict and its sentences contradict each other; empty where they go together.

    What the heat map or a comparison found is no contradiction: a careful inspector may overrule both.

    Args:
        value: whether the answer opens with True (a defect); None where with neither.
        sentences: of the answer.
        evidence: by id.
    """
    if value is None:
        return []
    defect, fine = [], []
    for sentence in sentences:
        tools = {evidence[id].tool for id in sentence.cites if id in evidence}
        if tools and tools <= {"heatmap", "compare", "measure"}:
            continue
        if _OPEN.search(sentence.text):
            continue
        claims = read_claims(sentence)
        named = claims.affirmed or claims.accepts is False
        if named or (claims.defect is True and DEFECT.search(sentence.text)):
            defect.append(sentence.text)
        elif claims.accepts or claims.denied or claims.defect is False or _NOTHING.search(sentence.text):
            fine.append(sentence.text)
    if value and fine and not defect:
        return [f"it opens with True and says {text!r}" for text in fine]
    return [f"it opens with False and says {text!r}" for text in defect] if not value else []
