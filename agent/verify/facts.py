"""What a sentence claims of causes, effects, remedies and looks, against the words of the facts it cites.

A claim holds where its words are those of a cited fact, or near to them. It is taken part by part, so that a claim put behind
a supported one does not hide there: `…, which is a safety hazard`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from agent.verify.claim_words import places_in
from agent.verify.plain_words import CANONICAL, LOOKS, plain_of, stem, tools_spoken_of
from agent.verify.plain_words import FUNCTION_WORDS as _FUNCTION_WORDS
from knowledge.facts import Fact, FactKind
from tools.evidence import Evidence

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PART = re.compile(
    r"[;:,](?=\s)|(?:^|\s)[–—-](?=\s)|\b(?:and|or|but|yet|because|since|so that|so|while|whereas|although|though|which|where|when|if|before|after|until"
    r"|due to|owing to|caused by|thanks to|as a result of|leading to|leads to|resulting in|results in|lead to|result in)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[a-zà-ÿ]+(?:'[a-z]+)?")
_ENOUGH = 0.5
"""Share of a part's words that what is cited has to hold."""
_LEAST = 0.4
"""The same share, of all words of a sentence."""
_RUN = 2
"""So many words one after the other that nothing cited holds are a claim of their own."""
_NEAR, _FAR = 0.6, 0.3
"""Likeness of two words, as their embeddings have it, at which one stands for the other, and at which it does not at all."""


def problems_with_claims(text: str, facts: Sequence[Fact], seen: Sequence[Evidence]) -> list[str]:
    """What a sentence claims that neither the facts nor the evidence it cites tell."""
    return [
        *untold(text, facts, seen),
        *_of_looks(text, facts, seen),
        *_of_another_sort(text, facts),
        *_opposite(text, facts),
    ]


_META = re.compile(r"\b(?:facts?|descri\w+|known|kinds?|causes?|effects?|remed\w+|typical\w*)\b", re.IGNORECASE)


def _of_looks(text: str, facts: Sequence[Fact], seen: Sequence[Evidence]) -> list[str]:
    """A statement of what only a look tells, resting on facts that say nothing of the sort."""
    if seen or not tools_spoken_of(text) or _META.search(text) or any(fact.kind == "object" for fact in facts):
        return []
    known = list(dict.fromkeys(_WORD.findall(" ".join(fact.text for fact in facts).lower())))
    said = [word for word in _WORD.findall(text.lower()) if len(word) > 3 and word not in _FUNCTION_WORDS]
    return [] if sum(any(akin(word, other) for other in known) for word in said) > 1 else ["no cited evidence shows it"]


def words_of(text: str, tools: frozenset[str] = frozenset()) -> list[str]:
    """Words that carry meaning, each once, in order; `tools` as for `plain_of`."""
    plain = plain_of(tools)
    found = [
        word
        for word in _WORD.findall(text.lower().replace("’", "'"))
        if word not in plain and len(word) > 2 and not word.endswith("ly")
    ]
    return list({stem(word): word for word in reversed(found)}.values())[::-1]


def untold(text: str, facts: Sequence[Fact], seen: Sequence[Evidence]) -> list[str]:
    """Parts of a sentence whose words nothing cited holds."""
    tools = frozenset(item.tool for item in seen)
    cited = [
        f"{fact.text} {(fact.defect_type or '').replace('_', ' ')} {fact.category.replace('_', ' ')}" for fact in facts
    ]
    cited += [f"{item.summary} {item.tool.replace('_', ' ')} {' '.join(map(str, item.values))}" for item in seen]
    known = list(dict.fromkeys(_WORD.findall(" ".join(cited).lower())))
    looks_alone = bool(tools) and not facts and tools <= LOOKS
    found, every = [], list[float]()
    for number, (part, led_by) in enumerate(parts_of(text)):
        words = words_of(part, tools)
        held = [held_by(word, known) for word in words]
        every += held
        strange = sum(one < _ENOUGH for one in held)
        if not strange:
            continue
        if looks_alone:
            # What a picture shows is in no words: of a close-up all can be said that is no cause, effect or remedy. Of other looks
            # much can be said in words of one's own, as long as it is about what they found.
            about = (
                "zoom" in tools
                or bool(tools_spoken_of(part) & tools)
                or bool(re.search(r"\d", part) or places_in(part))
            )
            beyond = (_BEYOND_ALL if about and number == 0 else _BEYOND).search(f"{led_by} {_SEEN.sub(' ', part)}")
            most = 3 if about or not (_JOINED.search(led_by) or number == 0) else 1 if number == 0 else 0
            if beyond or (strange > most and "zoom" not in tools):
                found.append(part)
        else:
            claims = bool(_BEYOND_ALL.search(f"{led_by} {part}") or _WHICH.search(led_by))
            few = strange == 1 and not claims
            if not few and (_longest_run(held) >= _RUN or sum(held) < _ENOUGH * len(held)):
                found.append(part)
    if not found and not looks_alone and len(every) > 2 and sum(every) < _LEAST * len(every):
        found.append(text)
    return [f"what it cites does not say {part.strip(' .')!r}" for part in found]


_NAMES: dict[FactKind, re.Pattern[str]] = {
    "cause": re.compile(r"\b(?:causes?(?! by)|origins?)\b(?=[^,;]*)", re.IGNORECASE),
    "impact": re.compile(r"\b(?:effects?|consequences?)\b|\bwhat [^,;]* (?:does|do) to the part\b", re.IGNORECASE),
    "remedy": re.compile(r"\bremed(?:y|ies)\b|\bwhat to do\b|\brecommend\w*\b", re.IGNORECASE),
}
_DENIED = re.compile(r"\b(?:not|cannot|never|\w+n't)\b", re.IGNORECASE)
_ANY_DENIAL = re.compile(
    r"\b(?:no|not|cannot|never|none|nothing|nor|without|unlike|whereas|rather than|instead of|\w+n't)\b", re.IGNORECASE
)
_WANTING = re.compile(
    r"\b(?:lacks?|lacking|less|missing|absent|poor|insufficient|skipped|prevents?|blocks?|stops?|avoids?|hinders?|loses?|fails?)\b",
    re.IGNORECASE,
)


def _of_another_sort(text: str, facts: Sequence[Fact]) -> list[str]:
    """A cause, effect or remedy that a sentence speaks of, where the facts it cites are of another sort."""
    if not any(fact.defect_type for fact in facts):
        return []
    words = " ".join(fact.text for fact in facts)
    found = []
    for kind, name in _NAMES.items():
        said = name.search(text)
        cited = any(fact.kind == kind for fact in facts)
        if said and not cited and not name.search(words):
            found.append(f"no cited fact gives the {kind}")
        elif said and cited and (gives := _GIVES.search(text)) and _DENIED.search(gives[0]):
            found.append(f"a cited fact does give the {kind}")
    return found


_GIVES = re.compile(
    r"\b(?:is|are) (?:not )?(?:given |named |stated |told )?(?:in|by) the facts?\b|\bfacts? (?:\w+ ){0,5}?(?:give|gives|name|names|say|says|tell|tells|state|states|list|lists)\b",
    re.IGNORECASE,
)
# `it does not look like a crack` is said of the part, not of what is known of cracks.
_OF_THE_PART = re.compile(
    r"\b(?:not|cannot|never|\w+n't)\b (?:be )?(?:\w+ly )?(?:match\w*|fit\w*|look\w*|resembl\w*|correspond\w*|agree\w*|have the look|visible|present|apparent|seen|found|observed|recogni[sz]\w*|in line)\b",
    re.IGNORECASE,
)


def _opposite(text: str, facts: Sequence[Fact]) -> list[str]:
    """Facts whose words a sentence denies that these do not deny."""
    for part in _COARSE.split(text):
        match = _DENIED.search(part)
        if match is None or _GIVES.search(part):
            continue
        of_the_part = _OF_THE_PART.search(part) and all(fact.kind in ("defect", "object", "standard") for fact in facts)
        for fact in facts:
            known = words_of(fact.text)
            shared = [w for w in words_of(part) if any(akin(w, k) for k in known)]
            rest = part[match.end() :]
            denied = (words_of(_SCOPE.split(rest)[0]) or words_of(rest))[:3]
            behind = [w for w in denied if any(akin(w, k) for k in known)]
            if of_the_part and len(shared) < 3:
                continue
            if len(shared) > 1 and _NOT_SO.search(part):
                return ["it denies what a cited fact says"]
            if behind and 2 * sum(_denied_in(fact.text, word) for word in behind) <= len(behind):
                return ["it denies what a cited fact says"]
    return []


_NOT_SO = re.compile(
    r"\b(?:not|never|\w+n't)\b (?:be )?(?:the |an? )?(?:\w+ly )?(?:likely |usual |typical )?(?:causes?|origins?|reasons?|sources?|effects?|consequences?|remed\w+|suggested|recommended|advisable|advised|due)\b",
    re.IGNORECASE,
)
_SCOPE = re.compile(r"\b(?:and|should|must|when|if|unless|because|since|until)\b", re.IGNORECASE)
"""Where what a denial denies ends."""
_COARSE = re.compile(r"[;:,](?=\s)|\b(?:but|yet|whereas|although|though|while|which)\b", re.IGNORECASE)


_CONTRAST = re.compile(r"[;:](?=\s)|\b(?:but|yet|although|though)\b", re.IGNORECASE)


def _denied_in(text: str, word: str) -> bool:
    """Whether a text denies what a word stands for: a denial stands shortly before it in the same clause, or `un` at its front."""
    if re.search(rf"\b(?:un|in|im|non-?){re.escape(word)}", text, re.IGNORECASE):
        return True
    for clause in _CONTRAST.split(text):
        for denial, reach in ((_ANY_DENIAL, 6), (_WANTING, 3)):
            for match in denial.finditer(clause):
                if any(akin(word, other) for other in words_of(clause[match.end() :])[:reach]):
                    return True
    return False


_JOINED = re.compile(r"[a-z]", re.IGNORECASE)
_WHICH = re.compile(r"\b(?:which|where|so)\b", re.IGNORECASE)
_CAUSAL = (
    r"because|since|due to|owing to|caused by|as a result|resulting|results? in|so|therefore|thus|hence|leads?(?= to)|leading to|lead to|may|might|will|would|must|should|hazards?|danger\w*|unsafe|risks?"
    r"|violat\w*|endanger\w*|fail\w*|probably|prevent\w*|impair\w*|weaken\w*|harm\w*"
)
_BEYOND_ALL = re.compile(rf"\b(?:{_CAUSAL})\b", re.IGNORECASE)
_BEYOND = re.compile(
    rf"\b(?:{_CAUSAL}|could|can|needs?|suggests?|points? to|reduc\w*|caus\w*|affects?|makes?|allow\w*|likely)\b",
    re.IGNORECASE,
)
"""What leads from a look to a cause, an effect or a remedy."""
_SEEN = re.compile(
    r"\bc(?:an|ould) (?:also |clearly )?be (?:seen|made out|noted|observed|recogni[sz]ed|found|detected|discerned|spotted|identified)\b",
    re.IGNORECASE,
)


def _longest_run(held: Sequence[float]) -> int:
    longest = run = 0
    for one in held:
        run = run + 1 if one < _ENOUGH else 0
        longest = max(longest, run)
    return longest


def parts_of(text: str) -> list[tuple[str, str]]:
    """Parts of a sentence that claim something each, with the word that leads to each."""
    out, last, led_by = [], 0, ""
    for match in _PART.finditer(text):
        out.append((text[last : match.start()], led_by))
        led_by = match[0] if match.start() > last + 1 or not led_by else f"{led_by} {match[0]}"
        last = match.end()
    return [(part, word) for part, word in [*out, (text[last:], led_by)] if re.search(r"\w", part)]


def held_by(word: str, known: Sequence[str]) -> float:
    """How far a word is among others, 0 to 1: the same, of the same stem, or near in meaning."""
    if any(akin(word, other) for other in known):
        return 1.0
    if not known:
        return 0.0
    best = float((_vectors(tuple(known)) @ _vectors((word,))[0]).max())
    return min(1.0, max(0.0, (best - _FAR) / (_NEAR - _FAR)))


_BY_STEM = {stem(word): first for word, first in CANONICAL.items()}


def same_meaning(word: str) -> frozenset[str]:
    """A word's stem, and the word that an inspector might use for it."""
    found = stem(word)
    return frozenset([found, _BY_STEM.get(found, found)])


@lru_cache(maxsize=65536)
def akin(one: str, other: str) -> bool:
    """Whether two words are of one stem, such as `corroded` and `corrosion`."""
    if same_meaning(one) & same_meaning(other):
        return True
    one, other = stem(one), stem(other)
    shared = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        shared += 1
    return shared >= 4 and shared >= 0.66 * max(len(one), len(other))


@lru_cache(maxsize=4096)
def _vectors(words: tuple[str, ...]) -> NDArray[np.float32]:
    """Embeddings, (len(words), 256), unit length."""
    from knowledge.embed import embed

    return embed(words)
