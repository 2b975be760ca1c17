"""Right answers said otherwise, and right answers with one fault planted: what a judge has to be unmoved by, and to catch.

Works on answers that the data engine worded, whose sentences can be taken back to what they say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from agent.verify.claim_words import NINTHS
from evals.mle import FaultKind, Truth
from knowledge.kinds import groups
from training.draw.noise import Rng
from training.preference.wording import SENTENCES, named, say

Forms = Mapping[str, tuple[str, ...]]
NEUTRAL = (
    "The photo was taken from above.",
    "Both images show the product at the same scale.",
    "The background is plain and does not matter.",
    "All of the part is inside the picture.",
    "The light comes from one side.",
)
"""Sentences that say nothing about the part, for longer answers."""


@dataclass(frozen=True)
class Said:
    """One sentence of an answer: a form of `key` with these values."""

    key: str
    values: dict[str, str]


@dataclass(frozen=True)
class Planted:
    """An answer with one fault that the right one does not have."""

    fault: FaultKind
    how: str
    answer: str


def take_apart(answer: str) -> tuple[str, list[Said]] | None:
    """The opening and what the sentences say; None for an answer that the data engine did not word."""
    opening, _, rest = answer.partition(" ")
    said = []
    for sentence in re.findall(r".+?\.(?=\s|$)", rest):
        read = _read(sentence.strip())
        if read is None:
            return None
        said.append(read)
    return (opening, said) if said else None


def put_together(opening: str, said: list[Said], rng: Rng, forms: Forms = SENTENCES) -> str:
    """An answer of these sentences in forms drawn anew."""
    return " ".join([opening, *(say(rng, forms[one.key], **one.values) for one in said)])


def reworded(answer: str, rng: Rng, forms: Forms = SENTENCES) -> str | None:
    """The same in other words, in another order of sentences, and longer; None where the answer cannot be read."""
    apart = take_apart(answer)
    if apart is None:
        return None
    opening, said = apart
    text = put_together(opening, [said[i] for i in rng.permutation(len(said))], rng, forms)
    return " ".join([text, *(NEUTRAL[i] for i in rng.permutation(len(NEUTRAL))[: int(rng.integers(3))])])


def planted(answer: str, truth: Truth, rng: Rng) -> Iterator[Planted]:
    """The right answer with one fault each, where its sentences allow it."""
    apart = take_apart(answer)
    if apart is None:
        return
    opening, said = apart
    for fault, how, plant in _PLANTS:
        wrong = plant(said, truth, rng)
        if wrong is not None:
            yield Planted(fault, how, put_together(opening, wrong, rng))
    for fault, how, add in _ADDITIONS:
        sentence = add(said, truth, rng)
        if sentence is not None:
            yield Planted(fault, how, f"{put_together(opening, said, rng)} {sentence}")


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    found = []
    for key, forms in SENTENCES.items():
        for form in forms:
            pattern = re.escape(form)
            pattern = re.sub(r"<(.*?)>", lambda m: "(?:" + m[1].replace(r"\|", "|") + ")", pattern)
            pattern = re.sub(r"\\\{(\w+)\\\}", lambda m: f"(?P<{m[1]}>{_values(m[1])})", pattern)
            found.append((key, re.compile(pattern + "$")))
    return found


def _values(name: str) -> str:
    """What may stand for a value of a form, as a regular expression."""
    if name in ("kind", "asked"):
        return "|".join(sorted((re.escape(named(kind)) for kind in groups()), key=len, reverse=True))
    return {"place": "|".join(NINTHS), "extent": r"[\w-]+", "tone": r"[\w ]+"}.get(name, r"\[F\d+\]")


def _read(sentence: str) -> Said | None:
    for key, pattern in _patterns():
        if match := pattern.match(sentence):
            return Said(key, match.groupdict())
    return None


def _swapped(said: list[Said], key: str, **values: str) -> list[Said] | None:
    """With other values in the sentence of this key; None where there is none."""
    if not any(one.key == key for one in said):
        return None
    return [replace(one, values={**one.values, **values}) if one.key == key else one for one in said]


def _other_kind(truth: Truth, rng: Rng) -> str:
    real = {defect.defect_type for defect in truth.defects}
    return str(rng.choice(sorted(set(groups()) - real - {"unclassified"})))


def _far_place(truth: Truth, rng: Rng) -> str:
    touched = {place for defect in truth.defects for place in defect.places}
    return str(rng.choice([place for place in NINTHS if place not in touched] or NINTHS))


def _other_facts(said: list[Said], truth: Truth, rng: Rng) -> str | None:
    """A citation of a fact on another kind of defect than the answer cites."""
    cited = {id for one in said for value in one.values.values() for id in re.findall(r"F\d+", value)}
    about = {truth.citable[id].defect_type for id in cited if id in truth.citable}
    others = [id for id, c in truth.citable.items() if c.defect_type and c.defect_type not in about]
    return f"[{rng.choice(sorted(others))}]" if others else None


def _wrong_type(said: list[Said], truth: Truth, rng: Rng) -> list[Said] | None:
    return _swapped(said, "kind", kind=named(_other_kind(truth, rng)))


def _wrong_place(said: list[Said], truth: Truth, rng: Rng) -> list[Said] | None:
    return _swapped(said, "mark", place=_far_place(truth, rng))


def _wrong_facts(said: list[Said], truth: Truth, rng: Rng) -> list[Said] | None:
    cite = _other_facts(said, truth, rng)
    return None if cite is None else _swapped(said, "kind" if truth.anomalous else "no_kind", cite=cite)


def _no_such_fact(said: list[Said], truth: Truth, rng: Rng) -> list[Said] | None:
    return _swapped(said, "kind" if truth.anomalous else "no_kind", cite=f"[F{int(rng.integers(30, 99))}]")


def _other_end(said: list[Said], truth: Truth, rng: Rng) -> list[Said] | None:
    turned = {"accept": "reject", "reject": "accept"}
    return [replace(one, key=turned.get(one.key, one.key)) for one in said]


def _no_reasons(said: list[Said], truth: Truth, rng: Rng) -> list[Said] | None:
    return []


def _false_cause(said: list[Said], truth: Truth, rng: Rng) -> str | None:
    """A cause that belongs to another kind of defect, on the strength of a fact that the answer cites."""
    about = {one.values["kind"] for one in said if one.key == "kind"}
    mine = [id for id, c in truth.citable.items() if c.kind == "cause" and named(c.defect_type or "") in about]
    others = [c.text for c in truth.citable.values() if c.kind == "cause" and named(c.defect_type or "") not in about]
    return (
        f"It was caused by {others[0][0].lower()}{others[0][1:].rstrip('.')} [{mine[0]}]." if mine and others else None
    )


def _false_number(said: list[Said], truth: Truth, rng: Rng) -> str | None:
    if not truth.anomalous or not truth.citable:
        return None
    return f"It covers {rng.uniform(20, 90):.1f} % of the image [F1]."


def _second_defect(said: list[Said], truth: Truth, rng: Rng) -> str | None:
    if not any(one.key == "kind" for one in said):
        return None
    return f"There is also {named(_other_kind(truth, rng))} in the {_far_place(truth, rng)}."


def _denial(said: list[Said], truth: Truth, rng: Rng) -> str | None:
    if not any(one.key == "kind" for one in said):
        return None
    kind = next(one.values["kind"] for one in said if one.key == "kind")
    return str(rng.choice([f"There is no sign of {kind} on the part.", "No defect is visible on the part."]))


def _invented_id(said: list[Said], truth: Truth, rng: Rng) -> str | None:
    return f"This agrees with what was measured [E{int(rng.integers(20, 60))}]."


_Plant = Callable[[list[Said], Truth, Rng], list[Said] | None]
_Add = Callable[[list[Said], Truth, Rng], str | None]
_PLANTS: tuple[tuple[FaultKind, str, _Plant], ...] = (
    ("no reasons", "True or False and no more", _no_reasons),
    ("wrong type", "another kind is named", _wrong_type),
    ("wrong place", "a place that no defect touches", _wrong_place),
    ("unsupported claim", "a fact on another kind is cited", _wrong_facts),
    ("fabricated citation", "a fact that is not there is cited", _no_such_fact),
    ("contradiction", "the conclusion is turned round", _other_end),
)
_ADDITIONS: tuple[tuple[FaultKind, str, _Add], ...] = (
    ("unsupported claim", "the cause of another kind, on a fact that does not say so", _false_cause),
    ("unsupported claim", "a number that is nowhere", _false_number),
    ("wrong type", "a second defect that is not there", _second_defect),
    ("contradiction", "the defect is denied in the end", _denial),
    ("fabricated citation", "evidence that is not there is cited", _invented_id),
)
