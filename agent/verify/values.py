"""What clauses say of a heat map, a measurement or a comparison, against the values that these found."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.verify.clauses import NOT, REST, SET_AGAINST, denies, said_places
from agent.verify.quantities import quantities
from tools.regions import LEVELS

# --- the heat map

SUBJECT = {
    "heatmap": re.compile(r"\b(?:heat|maps?|score[sd]?|detector|threshold|anomal\w+|peaks?|response|activ\w+|flag\w*|mark(?:s|ed)|highlight\w*|hot\w*|region reaches|stands? out)\b", re.IGNORECASE),
    "measure": re.compile(r"\b(?:dark\w*|bright\w*|light\w*|pal\w+|dim\w*|tone|measur\w+|px|pixels?|shape|outline|compact|long\w*|elongat\w*|round\w*|narrow|thin|stretch\w*|size|surround\w*)\b", re.IGNORECASE),
    "compare": re.compile(r"\b(?:reference|golden|(?:good|normal|standard|master) (?:part|sample|piece|image|photo|one)|compar\w+|counterpart)\b", re.IGNORECASE),
}  # fmt: skip
_LEVEL = re.compile(rf"\b({'|'.join(sorted(LEVELS, key=len, reverse=True))})\b", re.IGNORECASE)
_STRONG = re.compile(
    r"\b(?:strong(?:ly)?|intense(?:ly)?|pronounced|elevated|hot|glows?|well above|clearly (?:above|over|exceeds)|far above)\b",
    re.IGNORECASE,
)
_WEAK = re.compile(
    r"\b(?:weak(?:ly)?|faint(?:ly)?|quiet|feeble|cool|calm|negligible|well below|far below|clearly (?:below|under))\b",
    re.IGNORECASE,
)
_OVER = re.compile(
    r"\b(?:exceed\w*|above|over|past|surpass\w*|cross\w*|pass(?:es|ed)|reach(?:es|ed)?|climb\w*|more than|greater than|higher than|beyond|at or above|gets? to)\b",
    re.IGNORECASE,
)
_UNDER = re.compile(
    r"\b(?:below|under|beneath|less than|lower than|short of|within|misses|not enough|insufficient)\b", re.IGNORECASE
)
_BAR = re.compile(r"\b(?:threshold|limit|cut-?off|allowed|permitted|decision|bar)\b", re.IGNORECASE)
_MARKED = re.compile(
    r"\b(?:marks|marked|(?<=not )mark|flag(?:s|ged)|(?<=not )(?:flag|highlight|stand out|light up|point to)|highlight(?:s|ed)|stands? out|lights? up|points? to|picks? out|raises?|conspicuous|suspicious|singled out|alarms?(?! (?:limit|threshold|level))|detected|hot ?spot|indication|registered|identified|triggers?|alarmed|(?:as|is|rated|called) (?:an? )?(?:anomalous|anomaly|defective|abnormal)|presence of)\b",
    re.IGNORECASE,
)
_SOUND = re.compile(
    r"\b(?:as|is|looks?|rated|called) (?:a )?(?:normal|good|fine|sound|in order|defect-free|inconspicuous)\b",
    re.IGNORECASE,
)
_THINGS = r"(?:regions?|areas?|spots?|zones?|places?|locations?|hotspots?|patches|sites?)"
_COUNT_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_COUNT = re.compile(
    rf"\b(?P<more>more than |not (?:just|only) )?(?P<only>only |exactly |just )?(?:an? )?(?P<count>{'|'.join(_COUNT_WORDS)}|\d+|single|several|multiple|both|many)(?: (?!other|more|further)[\w-]+){{0,2}} {_THINGS}\b",
    re.IGNORECASE,
)


def of_heat_map(parts: Sequence[str], values: Mapping[str, Any]) -> Iterator[str]:
    whole = ", ".join(parts)
    level = str(values.get("level", ""))
    rank = LEVELS.index(level) if level in LEVELS else None
    for part in parts if rank is not None else ():
        against = denies(part)
        for word in _LEVEL.findall(_NUMERIC_LEVEL.sub(" ", part)):
            if (word.lower() != level) != against:
                yield f"the heat map is {'' if against else 'not '}{word.lower()}"
        part = re.sub(r"\b(?:most|strongest|weakest|least) (?:strong|intense|pronounced|elevated|weak)?", " ", part)
        for pattern, right in ((_STRONG, rank is not None and rank >= 3), (_WEAK, rank is not None and rank <= 1)):
            # `nothing strong stands out` on a low map: what is denied may be so or not, as long as it is not the level itself.
            if (match := pattern.search(part)) and (right == against if not re.search(r"\bnot\b", part) else right):
                yield f"the heat map is {level}, not {match[0].lower()}"
    if "regions" not in values:
        return
    number = len(values["regions"])
    score, threshold = float(values.get("score", number > 0)), float(values.get("threshold", 0.5))
    over, under = number > 0 or score >= threshold, number == 0 or score < threshold
    for part in parts:
        if REST.search(part):
            continue
        named = any(abs(said.value - threshold) < 1e-6 for said in quantities(part))
        against, bar = denies(part), named or bool(_BAR.search(part) or re.search(r"\b(?:it|which)\s*$", part))
        above = (bar and bool(_OVER.search(part)) and not _UNDER.search(part)) or bool(_MARKED.search(part))
        below = (bar and bool(_UNDER.search(part))) or bool(_SOUND.search(part))
        if above == below:
            continue
        if below and re.search(r"\bnot enough\b|\binsufficient\b", part):
            against = False
        placed = bool(said_places(part)) and (against or below)  # what is denied of one place may be so elsewhere
        says_over = above != against
        if not (over if says_over else under or placed):
            yield "no region reaches the threshold" if says_over else "a region reaches the threshold"
    yield from _count(whole, number, placed=bool(said_places(whole)))


_NUMERIC_LEVEL = re.compile(r"\b(?:high|low)(?:er|est|-)\w*|\bhighest\b|\blowest\b", re.IGNORECASE)


def _count(text: str, number: int, *, placed: bool) -> Iterator[str]:
    for match in _COUNT.finditer(text):
        word = match["count"].lower()
        if word in ("several", "multiple", "many", "both"):
            right = number >= 2
        elif word == "single":
            right = number == 1
        else:
            said = _COUNT_WORDS.index(word) if word in _COUNT_WORDS else int(word)
            if match["more"]:
                right = number > said
            elif said == 0:
                right = number == 0 or placed
            elif said == 1 and not match["only"]:
                right = number >= 1 or denies(text)
            else:
                right = number == said or (denies(text) and number < said)
        if not right:
            yield f"the heat map marks {number or 'no'} region{'s' if number != 1 else ''}"
    if REST.search(text) and re.search(r"\b(?:other|further|more|else|additional)\b|\b(?:apart|aside) from\b|\bbesides\b", text, re.IGNORECASE) and NOT.search(text) and number != 1:  # fmt: skip
        yield f"the heat map marks {number or 'no'} region{'s' if number != 1 else ''}"


# --- measurements

_BRIGHTNESS = r"(?:brightness|lightness|luminance|intensity|grey (?:value|level)|tone)"
_TONES = {
    "darker than": rf"dark(?:er)?|blacker|dimmer|less bright|{_BRIGHTNESS}\b.{{0,30}}\b(?:below|lower|less|under|reduced)|lower {_BRIGHTNESS}|(?:below|lower|less|reduced)\b.{{0,30}}\bin {_BRIGHTNESS}",
    "brighter than": rf"bright(?:er)?|lighter|light(?=,| |$)|paler|whiter|less dark|{_BRIGHTNESS}\b.{{0,30}}\b(?:above|higher|greater|more|over|increased)|higher {_BRIGHTNESS}|(?:above|higher|more)\b.{{0,30}}\bin {_BRIGHTNESS}",
    "as bright as": rf"(?:about |nearly |almost |just )?(?:as|equally) (?:bright|dark|light)(?: as)?|(?:same|equal|similar|identical|unchanged|matching) {_BRIGHTNESS}"
    rf"|{_BRIGHTNESS}\b.{{0,40}}\b(?:same|equal|similar|identical|match\w*)|{_BRIGHTNESS}\b.{{0,20}}\b(?:hardly|barely|scarcely|does not|not)\b.{{0,20}}\b(?:differ\w*|depart\w*|deviat\w*|chang\w*|var\w*)"
    rf"|(?:no|hardly any|little) (?:difference|change|contrast)(?: in {_BRIGHTNESS})?|blends? (?:in|with)",
}  # fmt: skip
_SHAPES = {
    "long and thin": r"long(?:,)? (?:and )?(?:thin|narrow|slender)|thin|slender|thread-?like|hair-?like|linear|needle-?like",
    "longish": r"longish|elongated?|oblong|stretched(?: out)?|lengthy|drawn[- ]out|narrow|oval|(?<!\d px )(?<!pixels )long(?! side)(?=,| |\.|$)",
    "compact": r"compact|round(?:ed|ish)?|circular|blob-?like|blob|square|equally long and wide|as wide as long",
}  # fmt: skip
_NEGATED_ALREADY = re.compile(
    r"\b(?:hardly|barely|scarcely|does not|not|no)\b(?=.{0,20}\b(?:differ|depart|deviat|chang|var|contrast))",
    re.IGNORECASE,
)


_OF_SURROUND = re.compile(
    r"\b(?:its|the|their) (?:\w+er|dark|bright|light|pale) (?:surround\w*|background|environment|neighbour\w*|vicinity)",
    re.IGNORECASE,
)


_NEITHER = re.compile(r"\bneither\b(.*?)\bnor\b(.*)", re.IGNORECASE)


def of_measurement(parts: Sequence[str], values: Mapping[str, Any]) -> Iterator[str]:
    tone, shape = str(values.get("tone", "")), str(values.get("shape", ""))
    for part in parts:
        if neither := _NEITHER.search(part):
            if {tone, shape} & {_word(table, half) for table in (_TONES, _SHAPES) for half in neither.groups()}:
                yield f"it is {shape or 'a region'} and {tone or 'as bright as'} its surround"
            continue
        part = _OF_SURROUND.sub(" ", SET_AGAINST.sub(" ", part))
        if tone and (said := _word(_TONES, part)) is not None:
            against = denies(_NEGATED_ALREADY.sub(" ", part) if said == "as bright as" else part)
            if (said != tone) != against:
                yield f"it is {tone} its surround"
        sizes = re.sub(r"\d+(?:\.\d+)?[ -]?(?:px|pixels?|mm)?[ -](?:long|wide|high|thin)\b", " ", part)
        if shape and (said := _word(_SHAPES, sizes)) is not None:
            right = said == shape or (
                {said, shape} == {"longish", "long and thin"}
                and not re.search(r"\blongish\b|\blong,? (?:and )?(?:thin|narrow)\b", sizes)
            )
            if right == denies(part):
                yield f"its shape is {shape}"


def _word(table: Mapping[str, str], text: str) -> str | None:
    """The name whose words stand in the text; of several the longest wording."""
    found = [
        (len(match[0]), name)
        for name, words in table.items()
        if (match := re.search(rf"\b(?:{words})", text, re.IGNORECASE))
    ]
    return max(found)[1] if found else None


# --- against the reference

LIKENESS = re.compile(
    r"\b(?:like|likeness|alike|similar\w*|comparable|same|identical|match\w*|agree\w*|agreement|counterpart|equivalent|resembl\w*|correspond\w*|consistent|of the (?:kind|sort)|such|looks as|the way)\b",
    re.IGNORECASE,
)
_FOUND_THERE = re.compile(r"\b(?:exists?|present|found|seen|visible|appears?|shows?|has|there is)\b", re.IGNORECASE)
_DIFFERENCE = re.compile(
    r"\b(?:differ\w*|deviat\w*|depart\w*|unlike|distinct|discrepan\w*|dissimilar|stands? out|novel|new|chang\w*)\b",
    re.IGNORECASE,
)
_SLIGHT = re.compile(
    r"\b(?:slight(?:ly)?|(?:a|only) (?:little|bit)|little|minor|small|somewhat|marginal(?:ly)?|subtle|faint(?:ly)?|mild(?:ly)?|modest(?:ly)?)\b",
    re.IGNORECASE,
)
_GREAT = re.compile(
    r"\b(?:clear(?:ly)?|strong(?:ly)?|marked(?:ly)?|considerabl[ey]|great(?:ly)?|significant(?:ly)?|substantial(?:ly)?|completely|very|obvious(?:ly)?)\b",
    re.IGNORECASE,
)
_NEARLY = re.compile(
    r"\b(?:no|not|hardly|barely|without|cannot)\b(?=.{0,20}(?:differ|deviat|depart|discrepan|distinct|stand out|chang))",
    re.IGNORECASE,
)


def of_comparison(parts: Sequence[str], values: Mapping[str, Any]) -> Iterator[str]:
    if "ratio" not in values:
        return
    ratio = float(values["ratio"])
    truth = "new" if ratio >= 2 else "same" if ratio < 1.4 else "little"
    for part in parts:
        said = _relation(part)
        if said and truth not in said:
            yield {"new": "nothing in the reference looks like it", "same": "the reference looks much like it", "little": "it differs a little from the reference"}[truth]  # fmt: skip


_UNKNOWN = re.compile(r"\b(?:unknown|unseen|unmatched|unheard)\b", re.IGNORECASE)


def _relation(part: str) -> frozenset[str]:
    """What a clause may say of the reference: new, little or same; nothing where it does not speak of that."""
    part = re.sub(r"\bagrees? that\b", " ", part)
    part = re.sub(r"\bas compared (?:to|with)\b|\bcompared (?:to|with)\b|\bin comparison (?:to|with)\b", " ", part)
    unchanged = re.search(r"\b(?:unchanged|unaltered|indistinguishable)\b", part, re.IGNORECASE)
    absent = re.search(r"\b(?:absent|missing|lacks?|lacking|absence)\b", part, re.IGNORECASE)
    if unchanged or (absent and SUBJECT["compare"].search(part)):
        denied = bool(re.search(r"\b(?:not|n't|no|never)\b", part))
        return frozenset({"same"} if bool(unchanged) != denied else {"new", "little"} if unchanged else {"new"})
    if _DIFFERENCE.search(part):
        if _NEARLY.search(part) or re.search(
            r"\b(?:cannot|not|n't|never) be (?:seen|noted|found|detected|observed|made out)\b", part
        ):
            return frozenset({"same"})
        if _SLIGHT.search(part):
            return frozenset(
                {"new"}
                if re.search(r"\bnot (?:an? |only |just )?(?:small|slight|little|minor|subtle|mild)", part)
                else {"little"}
            )
        if not (LIKENESS.search(part) and NOT.search(part)):
            return frozenset({"new"}) if _GREAT.search(part) else frozenset({"new", "little"})
    if LIKENESS.search(part) or _SOUND.search(part):
        return (
            frozenset({"new"} if not _SOUND.search(part) else {"new", "little"})
            if denies(part) != bool(_UNKNOWN.search(part))
            else frozenset({"same"})
        )
    if denies(part) and _FOUND_THERE.search(part) and SUBJECT["compare"].search(part):
        return frozenset({"new"})
    return frozenset()
