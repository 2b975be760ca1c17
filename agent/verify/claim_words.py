"""The words that claims are read by: kinds of defect, places, sizes, tones, and what denies them. English alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache, lru_cache

from knowledge.kinds import groups

ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")
Place = frozenset[str]
"""The ninths of the photo that words for a place may mean."""

# --- kinds of defect

_DETERMINED = frozenset(
    [
        "run",
        "break",
        "cut",
        "fold",
        "split",
        "tear",
        "bend",
        "leak",
        "burn",
        "chip",
        "spur",
        "void",
        "wear",
        "flash",
        "peel",
    ]
)
"""Kinds whose word is a verb or an adjective too: they count where the sentence uses them as a noun."""
_BEFORE = (
    # `a scratch runs` has a verb where `a deep cut` and `a few cuts` have a noun.
    r"(?:\b(?:(?:a|an|the|this|that|any|some|such) (?:few |\w+ (?!\w+s\b))?"
    r"|(?:no|of|is|as|not|has|have|had|shows?|exhibits?|report|to|called|for|like|also|with|and|or|by|having) )|[,:] |^)"
)
_THINGS = (
    "component", "capacitor", "resistor", "diode", "connector", "pin", "lead", "screw", "nut", "bolt", "washer", "cap", "label",
    "clip", "spring", "wire", "cable", "piece",
)  # fmt: skip
"""Parts of products that may be missing."""
_OTHER_WORDS: dict[str, tuple[str, ...]] = {
    "scratch": ("scratched", "score mark"),
    "crack": ("cracked", "fracture", "fissure"),
    "dent": ("dented", "ding"),
    "stain": ("stained", "smear", "blotch"),
    "chip": ("chipped",),
    "break": ("broken off", "breakage"),
    "contamination": ("contaminated", "contaminant", "dirt"),
    "discolouration": ("discoloration", "discoloured", "discolored"),
    "colour_mismatch": ("color mismatch", "wrong colour", "wrong color"),
    "missing_part": (
        "part is missing",
        "absent component",
        *(f"{thing} is missing" for thing in _THINGS),
        *(f"missing {thing}" for thing in _THINGS),
    ),
    "deformation": ("deformed", "distortion"),
    "corrosion": ("corroded", "rust"),
    "fibre_misalignment": ("fiber misalignment",),
    "mould": ("mold",),
    "short_circuit": ("bridged conductors", "a short between"),
    "open_circuit": ("broken trace", "interrupted trace", "interrupted conductor"),
    "hole": ("perforation",),
    "burr": ("burred",),
    "foreign_body": ("foreign object", "foreign material"),
    "warpage": ("warped", "warping"),
    "scuff": ("scuffed", "scuffing"),
    "wrinkle": ("wrinkled", "crease"),
    "tear": ("torn", "ripped", "rip"),
    "bend": ("bent",),
    "misprint": ("printing error", "print error"),
    "fray": ("frayed", "fraying"),
    "delamination": ("delaminated",),
    "porosity": ("pores", "porous"),
}


@cache
def _kinds() -> tuple[re.Pattern[str], dict[str, str]]:
    """How kinds are written, longest first so that `cold solder` is not read as `solder`, and what each writing means."""
    meaning: dict[str, str] = {}
    for kind in sorted(set(groups()) - {"unclassified"}):
        name = kind.replace("_", " ")
        for word in (name, name + "s", name + "es", *_OTHER_WORDS.get(kind, ())):
            meaning.setdefault(word, kind)
    nouns = [word for word, kind in meaning.items() if kind in _DETERMINED and word not in _OTHER_WORDS.get(kind, ())]
    clear = sorted(set(meaning) - set(nouns), key=len, reverse=True)
    written = (
        "|".join(word.replace(" ", "[ -]") for word in words) for words in (sorted(nouns, key=len, reverse=True), clear)
    )
    return re.compile(
        "(?P<before>{})(?P<noun>{})\\b|\\b(?P<clear>{})\\b".format(_BEFORE, *written), re.IGNORECASE
    ), meaning


# Holes that are made are no defects.
_MADE_HOLES = re.compile(
    r"\b(?:drilled|mounting|screw|through|bolt|plated|centred|round|fixing|locating|alignment)[ -]holes?\b"
    r"|\bholes? (?:is|are) (?:all )?(?:\w+ and )?(?:clean|intact|open|round|centred|aligned|drilled|plated|in (?:place|order))\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def kinds_in(text: str) -> tuple[frozenset[str], str]:
    """Kinds that a text names, and the text with `#` in their place, so that no word of theirs is read as another."""
    pattern, meaning = _kinds()
    text = _MADE_HOLES.sub("openings", text)
    found = set()

    def take(match: re.Match[str]) -> str:
        found.add(meaning[(match["noun"] or match["clear"]).lower().replace("-", " ")])
        return f"{match['before'] or ''}#"

    # Again until nothing is left: one kind may stand in the words before the next.
    while (rest := pattern.sub(take, text)) != text:
        text = rest
    return frozenset(found), text


# --- denial

_DENIAL = re.compile(
    r"\b(?:no|not|nothing|nowhere|none|neither|nor|never|without|lacks?|lacking|absent|absence|missing|devoid|incorrect to|wrong to|negative for|free (?:of|from)|ruled out|cannot|\w+n't|"
    r"excluded?|unconfirmed|unaffected)\b",
    re.IGNORECASE,
)
# Denials of something else than the defect: that the part is good, that it belongs there, that it is in doubt.
_GOOD = (
    r"(?:accept\w*|pass\w*|release\w*|approv\w*|clean|good|in order|normal|ok|okay|fine|sound|intact|undamaged|flawless|unblemished|unimpaired|belong\w*|within|allowed|permitted|"
    r"conform\w*|meet\w*|free (?:of|from)|let)"
)
_OF_THE_GOOD = re.compile(
    rf"\b(?:not|cannot|n't|never)\b (?:to )?(?:be )?(?:been )?(?:fit to be |called |considered )?(?:fully )?{_GOOD}\b|\b(?:do|does|is|are|can|must|should|would)n't (?:be )?{_GOOD}\b"
    r"|\b(?:cannot|not|n't) (?:be )?(?:ruled out|excluded|denied)\b|\bnot only\b|\bno longer\b|\bno doubt\b|\bnothing (?:like it|of the kind)\b",
    re.IGNORECASE,
)

_LACK = re.compile(r"\b(?:lacks?|lacking|absent|absence|missing)\b", re.IGNORECASE)


def denies(text: str) -> bool:
    """Whether a clause says that something is not there; `the solder is missing` says that a part is not."""
    text = _OF_THE_GOOD.sub(" ", text)
    return bool(_DENIAL.search(text if _UNWANTED.search(text) else _LACK.sub(" ", text)))


# --- a mark of no named kind, its size and its tone

DEFECT = re.compile(
    r"\b(?:defects?|defective|damaged|flaws?|faults?|blemish(?:es)?|anomal(?:y|ies)|imperfections?|irregularit(?:y|ies)|abnormalit(?:y|ies))\b",
    re.IGNORECASE,
)
"""Words for something that should not be there."""
MARK = re.compile(
    r"\b(?:marks?|spots?|patch(?:es)?|areas?|zones?|regions?|features?|deviations?|disturbances?|discontinuit(?:y|ies)|conspicuous|unusual|art[ei]facts?|"
    r"something \w+ (?:in|at|near)|catches the eye|out of the ordinary|stands? out|affected|impaired|touched)\b",
    re.IGNORECASE,
)
"""Words that mean such a thing where a place is named with them."""
_UNWANTED = re.compile(
    rf"#|{DEFECT.pattern}|{MARK.pattern}|\b(?:signs?|traces?|evidence|indications?|hints?|damage|it|this|that|which)\b",
    re.IGNORECASE,
)
"""What a good part lacks; `#` stands for a kind of defect."""
EXTENTS = {
    "tiny": r"tiny|minute|very small|minuscule|pinpoint",
    "small": r"small|little(?! (?:\w+er|different)\b)|minor",
    "medium-sized": r"medium[- ]sized|medium|moderate(?:ly sized)?|mid-sized",
    "large": r"large|big|extensive|huge|wide-?spread|sizeable",
}
TONES = {
    "darker": r"dark(?:er)?|blacker|dimmer",
    "brighter": r"bright(?:er)?|lighter|(?<!the )light(?! (?:source|reflect|condition|pass|fall|com|from))|paler|whiter",
    "alike": r"(?:about |nearly |almost )?as (?:bright|dark|light) as|(?:the same|equal|similar) (?:brightness|tone)|equally bright",
}


def word_of(table: dict[str, str], text: str) -> str | None:
    """The name of the word of a table that stands first; of two that start together the longer."""
    found = [
        (match.start(), -len(match[0]), name)
        for name, words in table.items()
        if (match := re.search(rf"\b(?:{words})\b", text, re.IGNORECASE))
    ]
    return min(found)[2] if found else None


# --- places

_ROW = {"upper": r"upper|top", "middle": r"middle|mid", "lower": r"lower|bottom"}
_COLUMN = {"left": r"left(?:-hand)?", "centre": r"cent(?:re|er|ral)|middle", "right": r"right(?:-hand)?"}
_V, _H = "|".join(_ROW.values()), "|".join(_COLUMN.values())


def ninth(row: str, column: str) -> str:
    """The name of a ninth of the photo: `upper left`, and `centre` for the one in the middle."""
    return "centre" if (row, column) == ("middle", "centre") else f"{row} {column}"


NINTHS = tuple(ninth(row, column) for row in ROWS for column in COLUMNS)


def _named(table: dict[str, str], word: str) -> str:
    return next(name for name, words in table.items() if re.fullmatch(words, word, re.IGNORECASE))


def _corner(match: re.Match[str]) -> Place:
    return frozenset([ninth(_named(_ROW, match["row"]), _named(_COLUMN, match["column"]))])


def _side(match: re.Match[str]) -> Place:
    word = match["side"]
    for name, words in _ROW.items():
        if re.fullmatch(words, word, re.IGNORECASE):
            return frozenset(ninth(name, column) for column in COLUMNS)
    return frozenset(ninth(row, _named(_COLUMN, word)) for row in ROWS)


_PLACES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Place]], ...] = (
    (re.compile(rf"\b(?P<row>{_V})[ -](?P<column>{_H})\b", re.IGNORECASE), _corner),
    (re.compile(rf"\b(?P<column>left|right)[ -](?P<row>{_V})\b", re.IGNORECASE), _corner),
    (
        re.compile(
            r"\b(?P<side>upper|top|lower|bottom|left(?:-hand)?|right(?:-hand)?) (?:side|edge|half|third|part|end|margin|border|rim)\b",
            re.IGNORECASE,
        ),
        _side,
    ),
    (re.compile(r"\bcent(?:re|er)\b|\bin the middle\b", re.IGNORECASE), lambda match: frozenset(["centre"])),
)


def places_in(text: str) -> tuple[Place, ...]:
    """The places that a text names, each once."""
    found: list[Place] = []
    for pattern, read in _PLACES:
        found += [read(match) for match in pattern.finditer(text)]
        text = pattern.sub(" # ", text)
    return tuple(dict.fromkeys(found))


_CLEAN = re.compile(
    r"\b(?:clean|undisturbed|in order|undamaged|intact|sound|unaffected|unimpaired|unblemished|spotless|flawless|clear|fine|good condition|expected condition|normal|defect-free)\b",
    re.IGNORECASE,
)


def calls_clean(text: str) -> bool:
    """Whether a sentence says of a place that it is in order."""
    return bool(_CLEAN.search(_OF_THE_GOOD.sub(" ", text)))


# `Apart from a scratch, the part is fine.`
_EXCEPTION_FIRST = re.compile(r"((?:^|[,;] )(?:except|(?:apart|aside) from)\b[^,;]*),", re.IGNORECASE)


def clauses(text: str) -> Iterator[str]:
    """Parts of a sentence that may say the opposite of each other."""
    yield from re.split(
        r"\b(?:but|yet|whereas|rather than|instead of|except|other than|(?:apart|aside) from)\b|;"
        r"|, (?=not (?:an?|the)\b)|,? (?=and (?:there (?:is|are) )?no\b)|(?<=\w),? (?=without\b)",
        _EXCEPTION_FIRST.sub(r"\1;", text),
    )
