"""What a sentence about a part claims: kinds, places, sizes, tones and the conclusion, each said to be there or not.

Rules over words, no model: the same sentence always reads the same, and a judge can say which words it went by. What is not
understood is no claim.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from agent.verify.claim_words import (
    DEFECT,
    EXTENTS,
    MARK,
    TONES,
    Place,
    calls_clean,
    clauses,
    denies,
    kinds_in,
    places_in,
    word_of,
)
from agent.vlm.prompt import Sentence

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Claims:
    """What one sentence says."""

    sentence: Sentence
    affirmed: frozenset[str] = frozenset()
    """Kinds of defect said to be there."""
    denied: frozenset[str] = frozenset()
    """Kinds of defect said not to be there."""
    defect: bool | None = None
    """Whether a mark or defect of no named kind is said to be there; None: not spoken of."""
    places: tuple[Place, ...] = ()
    """Each place said to be affected."""
    clean: tuple[Place, ...] = ()
    """Each place said to be in order."""
    extent: str | None = None
    """tiny, small, medium-sized or large: of a defect."""
    tone: str | None = None
    """darker, brighter or alike: of a defect against its surround."""
    differences: frozenset[str] | None = None
    """Allowed differences from the reference said to be there; empty: said to be absent; None: not spoken of."""
    accepts: bool | None = None
    """Whether the part is called good or fit to pass; None: no conclusion."""
    box: Box | None = None
    """Place in pixels, x0, y0, x1, y1."""
    explains: str | None = None
    """What follows a word of cause or effect, such as `caused by`."""

    compares: bool = False
    """Speaks of the reference, without saying that the parts are alike."""

    @property
    def says(self) -> bool:
        """Whether it says anything of the part besides a conclusion."""
        return (
            self.sees
            or self.compares
            or bool(self.denied or self.clean or self.places)
            or self.defect is False
            or self.differences is not None
        )

    @property
    def sees(self) -> bool:
        """Whether it tells of a defect that is there."""
        return bool(self.affirmed) or self.defect is True


def read_claims(sentence: Sentence) -> Claims:
    """Read one sentence."""
    text = sentence.text
    cause = _EXPLAINS.search(_NO_CAUSE.sub(" ", text))
    # `caused by dust [F2]` is no account of dust on this part.
    if not (cause and sentence.cites) and (differences := _differences(text)) is not None:
        return Claims(sentence, differences=differences)
    if not kinds_in(text)[0]:
        if _ALIKE.search(_UNLIKE.sub(" ", text)) and not places_in(text):
            return Claims(sentence, defect=False)
        told = _REFERENCE_LACKS.sub(" ", text)
        if _REFERENCE.search(told) or (told != text and not places_in(told)):
            # That the reference has nothing of it says little of the test part.
            return Claims(sentence, compares=True)
    text = _REFERENCE_LACKS.sub(" ", text)
    affirmed, denied, rest = _kinds(text)
    accepts = _conclusion(rest)
    named, clean = _places(rest)
    defect = None
    # `free of any flaw` and `does not reach` are about the place named, not about the whole part.
    about_clean = bool(clean) and not named
    if (DEFECT.search(rest) or MARK.search(rest)) and not (affirmed | denied or about_clean or accepts is not None):
        # Where two facts are pointed at and no place, `such a defect` is what they are about.
        clear = bool(named) or (bool(DEFECT.search(rest)) and len(sentence.cites) < 2)
        if named or not denies(rest):
            defect = True if clear else None
        elif not _REMAINDER.search(rest):
            defect = False
    sees = bool(affirmed) or defect is True
    return Claims(
        sentence,
        affirmed,
        denied,
        defect,
        named,
        clean,
        word_of(EXTENTS, rest) if sees else None,
        word_of(TONES, rest) if sees else None,
        accepts=accepts,
        box=_box(text),
        explains=None if cause is None else cause["what"],
    )


def all_claims(sentences: Iterable[Sentence]) -> list[Claims]:
    """Read every sentence of an answer."""
    return [read_claims(sentence) for sentence in sentences]


def _kinds(text: str) -> tuple[frozenset[str], frozenset[str], str]:
    """Kinds said to be there, kinds said not to be, and the text without their names."""
    affirmed: set[str] = set()
    denied: set[str] = set()
    before: frozenset[str] = frozenset()
    for clause in clauses(text):
        named, rest = kinds_in(_LEADS_TO.sub(" ", clause))
        if named and denies(rest) and _REMAINDER.search(rest):
            continue  # `no other scratch` leaves the one that was told of
        if named:
            (denied if denies(rest) else affirmed).update(named)
            before = named
        elif (
            before
            and denies(rest)
            and not _REFERENCE.search(rest)
            and re.search(r"\b(?:it|this|that|defect|which)\b", rest, re.IGNORECASE)
        ):
            # `..., but this defect has not been found` takes back what was named before.
            affirmed -= before
            denied |= before
    for other in re.findall(r"\b(?:rather than|instead of)\b([^.;,]*)", text):
        named = kinds_in(other)[0]
        affirmed -= named
        denied |= named
    return frozenset(affirmed), frozenset(denied), kinds_in(text)[1]


def _places(text: str) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    """Places said to be affected, and places said to be in order."""
    affected: list[Place] = []
    clean: list[Place] = []
    for clause in clauses(text):
        named = places_in(clause)
        if named:
            (clean if calls_clean(clause) or denies(clause) else affected).extend(named)
        elif denies(clause) and not any(p.search(clause) for p in (_REMAINDER, _REFERENCE, _SAYS_REJECT, _KIND)):
            # `In the centre one looks for a mark, but there is none.`
            clean, affected = [*clean, *affected], []
    return tuple(dict.fromkeys(affected)), tuple(dict.fromkeys(clean))


_KIND = re.compile("#")  # which is denied instead
# What such words speak of is all but what was told before.
_REMAINDER = re.compile(
    r"\b(?:no|any|without) (?:other|further|additional|more)\b|\b(?:rest|remainder|remaining|otherwise|elsewhere|other than|surround\w*)\b"
    r"|\bother (?:areas?|regions?|parts?|places?)\b|\b(?:apart|aside) from\b|\bexcept\b|\b(?:nothing|everything|all) else\b",
    re.IGNORECASE,
)
# What may come of a defect is not there yet.
_LEADS_TO = re.compile(
    r"\b(?:leads? to|leading to|results? in|resulting in|(?:may|can|could|might|will|would) (?:\w+ )?(?:causes?|become|develop into|turn into|promote|invite)|"
    r"(?:risk|danger) of)\b[^.;,]*",
    re.IGNORECASE,
)

# --- the test part against the reference

_REFERENCE = re.compile(
    r"\b(?:golden|good|standard|master|comparison|normal) (?:part|sample|piece|image|photo|picture|item|unit|one)\b|\breference\b|\bmaster\b",
    re.IGNORECASE,
)
_ALIKE = re.compile(
    r"\b(?:agrees?|agreement with|coincides? with|match(?:es)?|conforms? to (?:the )?(?:reference|golden)|aligns? with|(?<!no )equivalent|just like|found (?:again|unchanged)|nothing extra|correspond(?:s|ing)? to (?:the|that|it)|repeats?|identical|(?:looks?|shows?|are) the same|the same as|as good as|equals?|"
    r"consistent with (?:the )?(?:reference|golden)|like (?:that of )?the reference|in line with|(?:is|are|depict|show) the same|full agreement|indistinguishable)\b"
    r"|\bnothing is (?:missing|added|lost|gained|wrong|different)|\bno part is lost|\b(?:no|not \w+ any|cannot \w+ any|without) (?:\w+ )?(?:difference|deviation|discrepanc)"
    r"|\bno \w+ (?:has|have) been (?:added|lost)|\band nothing else|\bnone has been added|\bcannot be (?:told|set) apart|\bcan ?not be distinguished",
    re.IGNORECASE,
)
_UNLIKE = re.compile(
    r"(?:\b(?:not|no longer)|n't) (?:\w+ ){0,2}?(?:agree|coincide|match|conform|align|equivalent|just like|correspond|repeat|identical|the same|as good|equal|consistent|in line)\w*.*",
    re.IGNORECASE,
)
_REFERENCE_LACKS = re.compile(
    r"(?:,? ?(?:which|that) )?(?:the )?reference(?: part| image| photo| sample)? (?:does not|doesn't|lacks?|is free|is without|(?:shows|has) (?:nothing|no))\b[^.;,]*"
    r"|(?:absent|missing) (?:from|in) the reference[^.;]*|not (?:be )?(?:seen |found |present |visible |appear |exist )?(?:in|on) the reference[^.;]*",
    re.IGNORECASE,
)

# --- allowed differences

_SHADE = r"(?:shades?|tone|tonal difference|tint\w*|hue|colou?r\w*)"
_SHIFT = (
    r"(?:off|batch(?:es)?|lots?|deliver(?:y|ies)|production runs?|differ\w*|slight\w*|chang\w+|shift\w*|deviat\w+|depart\w+|alter\w+|var(?:y|ies|iation)|"
    r"not quite|not identical|lighter|darker|other)"
)
_DIFFERENCE: dict[str, re.Pattern[str]] = {
    "dust": re.compile(r"\b(?:dust(?:y|ing)?|specks?|lint|particles?)\b", re.IGNORECASE),
    "passing_shadow": re.compile(r"\bshadow(?:s|ed|ing|y)?\b|\bshad(?:ed|ing)\b|\bdimmer side\b|\bone side\b.{0,20}\b(?:darker|dimm\w+)\b|\b(?:darkening|dimming)\b", re.IGNORECASE),
    "cloud": re.compile(
        r"\b(?:hazy|haziness|haze|cloud(?:y|ed|ing|iness)|mottl\w+|blotchy|gradients?)\b"
        r"|\b(?:brightness|lightness|luminance|intensity|sheen|gloss|tonal variations?|light and dark(?:er)?|(?<!colour )(?<!color )tone|lighter and darker)\b(?=.{0,60}\b(?:drift|var|gradual|gentl|soft|slow|smooth|uneven|fluctuat|waver|fad|blend|diffuse))"
        r"|\b(?:drift\w*|var\w+|chang\w+|gradual\w*|gentle|soft|slow|smooth|uneven|fluctuating|diffuse)\b.{0,50}\b(?:brightness|lightness|luminance|intensity|tonal variations?|light and dark(?:er)?|lighter and darker)\b",
        re.IGNORECASE,
    ),
    "batch_colour": re.compile(
        rf"\b{_SHADE}\b(?=.{{0,130}}\b{_SHIFT})|\b{_SHIFT}\b.{{0,80}}\b{_SHADE}\b", re.IGNORECASE
    ),
}  # fmt: skip
_NO_DIFFERENCE = re.compile(
    r"\b(?:no|none|not|neither|nor|nothing|without|free (?:of|from)|devoid|absent|\w+n't|cannot)\b", re.IGNORECASE
)


def _differences(text: str) -> frozenset[str] | None:
    """The allowed differences a sentence speaks of, none of them where it denies them; None where it speaks of none."""
    named = frozenset(name for name, pattern in _DIFFERENCE.items() if pattern.search(text))
    if places_in(text):
        named -= {"batch_colour"}  # which is of the whole part
    if not named or kinds_in(text)[0]:
        return None
    if (
        "dust" in named
        and len(named | ({"passing_shadow"} if re.search(r"\bshadow", text) else set())) > 1
        and _NO_DIFFERENCE.search(text)
    ):
        return frozenset()  # dust and shadows in one sentence: they are listed to be denied
    if re.search(r"\b(?:no|without|free of) (?:visible )?(?:dust|shadows?)\b|\bdust-free\b", text, re.IGNORECASE):
        return frozenset()
    # A shadow and a cloud are told by their brightness, which is no change of shade; a shadow lies on one side.
    if "batch_colour" in named and re.search(r"\breference|batch|\blots?\b", text) and "passing_shadow" not in named:
        return named - {"cloud"}
    if "passing_shadow" in named or ("cloud" in named and re.search(r"\bone side\b", text)):
        return named - {"batch_colour", "cloud"} | {"passing_shadow"}
    return named - {"batch_colour"} if "cloud" in named else named


# --- conclusion

_ACCEPT = (
    r"normal|good|fine|sound|ok(?:ay)?|in order|accept(?:ed|able|s|ance|ing)?|pass(?:es|ed)?|releas(?:ed|e)|approv(?:ed|al|e)|go on|run on|conform(?:s|ing)|meets?|cleared|proceed|(?:let \w+ \w+ through)|"
    r"remain in|stay in|be used|continue|shipp?(?:ed)?|defect-free"
)
_REJECT = (
    r"anomalous|abnormal|defective|not good|set apart|set aside|h[eo]ld back|hold (?:it|the part) back|reject(?:ed|s|ion|ing)?|NOK|NG|fails?|tak(?:en|e) out|take (?:it|the part) out|"
    r"scrap(?:ped)?|discard(?:ed)?|repair(?:ed)?|replac(?:ed?|ing)|rework(?:ed)?|quarantined?|sorted out|unacceptable|non-?conforming|removed? from|withh[eo]ld|refused?|denied|(?:must|should|to) hold|"
    r"(?<=[,:] )hold|pull(?:ed)? (?:\w+ )?(?:off|from)|stop(?:ped)?|block(?:ed)?"
)
_SAYS_ACCEPT = re.compile(rf"\b(?:{_ACCEPT})\b", re.IGNORECASE)
_SAYS_REJECT = re.compile(rf"(?:\b|(?<=[,:] ))(?:{_REJECT})\b", re.IGNORECASE)
# Not said of this part as it is: `differs from a normal surface`, `before it can be used`, `may continue to grow`.
_ASIDE = re.compile(
    r"\b(?:from|than|unlike|(?:in|on|to|with|against)(?= (?:the|an?) )) (?:(?:the|an?|its|what is) )?(?:normal|good|sound)\b"
    r"|\b(?:before|until|unless|once)\b[^.;,]*|\bcontinues? to\b|\bfine-|\b(?:normal|fine) to the\b|\blight pass\w*",
    re.IGNORECASE,
)
_OF_CAUSES = re.compile(r"\b(?:causes?|sources?|origins?|effects?|consequences?|harm|how|why)\b", re.IGNORECASE)
_TURNED = r"\b(?:not|cannot|never|no longer|no reason to|need not|no need to|wrong to|incorrect to|\w+n't)\b(?:(?! and )[^.,;]){0,25}"
_TURNED_ACCEPT = re.compile(rf"{_TURNED}\b(?:{_ACCEPT}|meet)\b", re.IGNORECASE)
_TURNED_REJECT = re.compile(rf"{_TURNED}\b(?:{_REJECT})\b", re.IGNORECASE)
_ALL_WELL = re.compile(
    r"\b(?:nothing is wrong|free (?:of|from) (?:any )?(?:defects?|faults?|flaws?|damage))\b", re.IGNORECASE
)


def _conclusion(text: str) -> bool | None:
    """Whether the part is accepted; None where the sentence does not conclude."""
    if _OF_CAUSES.search(text):
        return None
    if places_in(text):
        return None  # it is said of a place
    text = _ASIDE.sub(" ", text)
    if _TURNED_REJECT.search(text):
        return True
    if _TURNED_ACCEPT.search(text) or _SAYS_REJECT.search(text):
        return False
    return True if (_SAYS_ACCEPT.search(text) or _ALL_WELL.search(text)) and not _REMAINDER.search(text) else None


# --- cause and effect, pixels

_EXPLAINS = re.compile(
    r"\b(?:it|this|that|which|marks?|defects?|damage|flaws?|faults?|irregularity|here)\b[^.;]*?\b(?:caused by|comes? from|came from|due to|because of|"
    r"stems? from|results? from|results? in|leads? to|originates? (?:in|from)|brought about by|explained by)\s+(?!and\b|as\b|it\b|what\b)(?P<what>[^.;]+)",
    re.IGNORECASE,
)
# `what leads to it` names a cause without saying which.
_NO_CAUSE = re.compile(
    r"\b(?:what|how|why|where) (?:it )?(?:\w+ )?(?:leads? to|results? (?:in|from)|comes? from)(?: it)?\b", re.IGNORECASE
)
_BOX = re.compile(r"[\[(]\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*[\])]")
_EMPTY = frozenset(
    re.findall(
        r"\w+",
        "about also available been being cause caused causes could described documented each fact facts from given harm information listed have image into known more most onto other over "
        "part parts provided reference should stated such surround test than that their them then there these they this those under usual very what when "
        "where which will with would",
    )
)


def content_words(text: str) -> frozenset[str]:
    """Words that carry meaning, cut to their first six letters so that `tools` and `tool` are one."""
    return frozenset(w[:6] for w in re.findall(r"[a-z]{4,}", text.lower()) if w not in _EMPTY)


def _box(text: str) -> Box | None:
    found = _BOX.search(text)
    if found is None:
        return None
    x0, y0, x1, y1 = map(int, found.groups())
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None
