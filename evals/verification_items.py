"""Sentences with what they cite, supported ones and such with one planted fault, of drawn cases and of the written halves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from agent.vlm.prompt import DECLINED, Sentence, read_answer
from evals.verification_cases import Seen
from evals.verification_deny import deny
from evals.verification_words import Half, Said
from knowledge.facts import Fact, shipped_pack
from tools.evidence import Evidence
from tools.regions import LEVELS, PLACES
from training.draw.families import BY_NAME
from training.fact_index import numbered
from training.follow_ups import another_question
from training.story import Story

Rng = np.random.Generator
TONES = ("darker than", "brighter than", "as bright as")
SHAPES = ("compact", "longish", "long and thin")
AGAINST = (
    ("Nothing in the reference looks like it", "The reference shows nothing of the kind"),
    ("The reference looks much the same there", "It agrees with the reference"),
    ("It differs a little from the reference", "The reference differs only a little there"),
)
"""The data engine's words for what a comparison found."""
COUNTS = ("no", "one", "two", "three", "four", "five")
_GROUPS = (
    frozenset({"below", "above"}), frozenset({"below", "one", "several"}), frozenset({"low", "middling", "high"}),
    frozenset({"darker", "brighter", "alike"}), frozenset({"compact", "longish", "thin"}), frozenset({"new", "little", "same"}),
)  # fmt: skip
_NAMES = ("threshold", "count of regions", "level", "tone", "shape", "relation to the reference")


@dataclass(frozen=True)
class Item:
    """One sentence, or an opening with its sentences, and what stands behind it."""

    source: str
    """`data engine` or `free English`."""
    plant: str | None
    """What was planted; None where it is supported."""
    cluster: str
    """Items of one case or of one written sentence are related."""
    sentences: tuple[Sentence, ...]
    facts: Mapping[str, Fact]
    evidence: Mapping[str, Evidence]
    opening: bool | None = None
    """How the answer opens, where opening and sentences are held against each other."""


@dataclass
class Writer:
    """Writes the items of a half."""

    half: Half
    cases: Sequence[Seen]
    rng: Rng
    _types: tuple[str, ...] = field(
        default=tuple(sorted({f.defect_type for f in shipped_pack().facts if f.defect_type} - {"unclassified"}))
    )

    def items(self) -> Iterator[Item]:
        for seen in self.cases:
            yield from self._engine(seen)
        for number, said in enumerate(self.half.said):
            fit = [s for s in self.cases if self._fits(said, s) and set(said.needs.split()) <= s.holds]
            for place in self.rng.permutation(len(fit))[:4]:
                yield from self._of_evidence(said, fit[place], f"said-{number}")
            yield from self._of_other_cases(said, f"said-{number}")
        yield from self._of_facts()
        yield from self._of_other_tools()
        for value, text in self.half.answers:
            for opening in (value, not value):
                plant = None if opening is value else "opening"
                yield Item("free English", plant, text, (Sentence(text, ("E1",)),), {}, {}, opening)

    # --- the data engine's words

    def _engine(self, seen: Seen) -> Iterator[Item]:
        told = [
            (seen.facts, "verdict"),
            (seen.described, "verdict"),
            (seen.facts, "question"),
            (seen.facts, "question"),
            ((), "seen"),
        ]
        known: set[Sentence] = set()
        for facts, form in told:
            story = Story(seen.case, seen.found.looks, numbered(facts), self.rng)
            types = list(BY_NAME[seen.case.family].defect_types)
            reply = another_question(story, types)[1] if form == "question" else getattr(story, form)()
            value, sentences = read_answer(reply)
            by_alias = {f"F{i}": fact for i, fact in enumerate(facts, 1)}
            item = Item("data engine", None, seen.name, (), by_alias, seen.evidence)
            for sentence in sentences:
                if sentence in known or sentence.text.startswith(DECLINED):
                    continue
                known.add(sentence)
                yield replace(item, sentences=(sentence,))
                for plant, wrong in self._faults(sentence, by_alias, seen):
                    yield replace(item, plant=plant, sentences=(wrong,))
            if form == "verdict":
                whole = replace(item, sentences=tuple(sentences), opening=value)
                yield whole
                # `fits none of the described defects` goes with either opening.
                if not any("one of the described" in sentence.text for sentence in sentences):
                    yield replace(whole, plant="opening", opening=not value)

    def _faults(self, sentence: Sentence, facts: Mapping[str, Fact], seen: Seen) -> Iterator[tuple[str, Sentence]]:
        text = sentence.text
        swaps = {
            "place": (PLACES, seen.places), "level": (LEVELS, set()), "tone": (TONES, set()), "shape": (SHAPES, set()),
        }  # fmt: skip
        for plant, (words, barred) in swaps.items():
            said = re.search(rf"\b({'|'.join(sorted(words, key=len, reverse=True))})\b", text)
            if said and (plant != "level" or "heat map" in text):
                others = sorted(set(words) - barred - {said[1]})
                yield plant, replace(sentence, text=f"{text[: said.start()]}{self._one(others)}{text[said.end() :]}")
        for relation in AGAINST:
            if text.rstrip(".") in relation:
                other = self._one([r for r in AGAINST if r != relation])
                yield "relation to the reference", replace(sentence, text=f"{self._one(other)}.")
        if re.search(r"\d px", text):
            yield "number", replace(sentence, text=re.sub(r"\d+", lambda m: str(2 * int(m[0]) + 3), text, count=1))
            yield "unit", replace(sentence, text=text.replace(" px", " mm"))
        if "no region" in text.lower():
            yield (
                "count of regions",
                replace(sentence, text=re.sub("no region", "two regions", text, flags=re.IGNORECASE)),
            )
            yield (
                "threshold",
                replace(sentence, text=f"The heat map is above its threshold in the {self._one(sorted(seen.places))}."),
            )
        yield from self._of_any(sentence, facts, [f for f in seen.described if f.defect_type])
        if not text.startswith(("No", "None")) and not any(
            c in facts and facts[c].kind == "defect" for c in sentence.cites
        ):
            yield from self._denied(sentence)

    # --- English as a large model writes it

    def _fits(self, said: Said, seen: Seen) -> bool:
        return all(tool in seen.by_tool for tool in said.on.split())

    def _of_evidence(self, said: Said, seen: Seen, cluster: str) -> Iterator[Item]:
        slots, cites = self._slots(said, seen), self._cites(said, seen)
        item = Item(
            "free English",
            None,
            cluster,
            (Sentence(said.text.format(**slots), cites),),
            self._some(seen.facts),
            seen.evidence,
        )
        yield item
        wrong: dict[str, dict[str, str]] = {}
        if "{place}" in said.text:
            away = self._one(sorted(set(PLACES) - seen.places))
            wrong["place"] = {"place": self._place(away)}
        if "{level}" in said.text:
            wrong["level"] = {"level": self._one([level for level in LEVELS if level != slots["level"]])}
        numbers = [
            n for n in ("score", "length", "width", "area", "contrast", "there", "factor") if f"{{{n}}}" in said.text
        ]
        if numbers:
            name = self._one(numbers)
            wrong["number"] = {name: self._other_number(slots[name])}
        if "{count}" in said.text:
            wrong["count of regions"] = {"count": self._one([c for c in COUNTS[2:] if c != slots["count"]])}
        for plant, changed in wrong.items():
            yield self._with(item, plant, said.text.format(**(slots | changed)))
        text = item.sentences[0].text
        for pattern, unit in ((r"(?<=\d) (?:px|pixels)\b", " mm"), (r"(?<=\d) (?:%|percent)", " px")):
            if re.search(pattern, text):
                yield self._with(item, "unit", re.sub(pattern, unit, text))
                break
        # What a close-up shows is in no words: nothing tells whether a denial of it holds.
        denied = [] if said.on == "zoom" and "{" not in said.text else self._denied(item.sentences[0])
        for plant, sentence in (*self._of_any(item.sentences[0], item.facts, []), *denied):
            yield replace(item, plant=plant, sentences=(sentence,))

    def _of_other_cases(self, said: Said, cluster: str) -> Iterator[Item]:
        """The sentence said of cases where another word of one of its groups holds, all else being so."""
        needs = set(said.needs.split())
        for name, group in zip(_NAMES, _GROUPS, strict=True):
            mine = needs & group | ({"longish", "thin"} if "long" in needs and "thin" in group else set())
            if not mine:
                continue
            rest = (
                needs
                - mine
                - {"long"}
                - ({"above", "high"} if "below" in group or "high" in group else {"one", "several"})
            )
            # `longish` is not far from thin, nor a little from the same.
            far = (
                group
                - mine
                - ({"longish"} if "thin" in mine else set())
                - ({"little"} if "same" in mine else set())
                - {"middling"}
            )
            far -= {"same"} if "little" in mine else set()
            fit = [
                s
                for s in self.cases
                if self._fits(said, s) and far & s.holds and not mine & s.holds and rest <= s.holds | group
            ]
            for place in self.rng.permutation(len(fit))[:2]:
                seen = fit[place]
                slots = self._slots(said, seen)
                slots["count"] = COUNTS[2] if slots["count"] in COUNTS[:2] else slots["count"]
                sentence = Sentence(said.text.format(**slots), self._cites(said, seen))
                yield Item("free English", name, cluster, (sentence,), self._some(seen.facts), seen.evidence)

    def _of_facts(self) -> Iterator[Item]:
        known = {fact.id: fact for fact in shipped_pack().facts}
        for told in self.half.told:
            fact = known[told.fact]
            others = [known[t.fact] for t in self.half.told if known[t.fact].defect_type != fact.defect_type]
            family = [
                f
                for f in known.values()
                if f.category == fact.category
                and f.defect_type == fact.defect_type
                and f != fact
                and f.kind != "standard"
            ]
            chosen = [fact, *family[:3], *(others[i] for i in self.rng.permutation(len(others))[:3])]
            order = self.rng.permutation(len(chosen))
            facts = {f"F{i}": chosen[j] for i, j in enumerate(order, 1)}
            alias = next(a for a, f in facts.items() if f == fact)
            item = Item("free English", None, told.fact, (Sentence(told.text, (alias,)),), facts, {})
            yield item
            if told.untold:
                yield self._with(item, "untold of a fact", told.untold)
            for plant, sentence in (*self._of_any(item.sentences[0], facts, others), *self._denied(item.sentences[0])):
                yield replace(item, plant=plant, sentences=(sentence,))
            if family:
                other = next(a for a, f in facts.items() if f == family[0])
                yield replace(item, plant="id of another kind", sentences=(Sentence(told.text, (other,)),))

    def _of_other_tools(self) -> Iterator[Item]:
        for other in self.half.others:
            evidence = {"E5": Evidence(id="E5", tool=other.tool, summary=other.summary, values=other.values)}
            item = Item("free English", None, other.summary, (Sentence(other.text, ("E5",)),), {}, evidence)
            yield item
            yield self._with(item, "untold of another tool", other.untold)

    # --- faults of any sentence

    def _of_any(
        self, sentence: Sentence, facts: Mapping[str, Fact], others: Sequence[Fact]
    ) -> Iterator[tuple[str, Sentence]]:
        text, cites = sentence.text, sentence.cites
        if self.rng.random() < 0.25:  # they are easily found, and every sentence gives one
            yield "id of nothing", replace(sentence, cites=(*cites[:-1], self._one(["F97", "E31"])))
        about = {facts[c].defect_type for c in cites if c in facts}
        strangers = [a for a, f in facts.items() if f.defect_type and f.defect_type not in about]
        general = len(about) > 1 and re.search(r"\bdescribed\b", text)  # what fits none of several is so of others too
        if strangers and not general and (about or not facts.keys() & set(cites)):
            swapped = tuple(c for c in cites if c not in facts) if about else ()
            yield "id of another", replace(sentence, cites=(self._one(strangers), *swapped))
        noun = r"\b(?:an?|the|of|for|on|as|defect|matrix|that is) {}\b"
        named = [
            t for t in sorted(t for t in about if t) if re.search(noun.format(t.replace("_", " ")), text, re.IGNORECASE)
        ]
        kinds = [f.defect_type for f in others if f.defect_type not in (None, "unclassified", *about)] or [
            t for t in self._types if t not in about
        ]
        if len(about) == 1 and named:
            other = str(self._one(kinds)).replace("_", " ")
            yield "kind of defect", replace(sentence, text=re.sub(rf"\b{named[0].replace('_', ' ')}\b", other, text))
        yield "claim added", replace(sentence, text=f"{text.rstrip('.')}{self._one(self.half.added)}.")

    def _denied(self, sentence: Sentence) -> Iterator[tuple[str, Sentence]]:
        denied = deny(sentence.text)
        if denied is not None:
            yield "negation", replace(sentence, text=denied)

    def _slots(self, said: Said, seen: Seen) -> dict[str, str]:
        found = seen.by_tool
        heat, measured = found["heatmap"].values, found["measure"].values if "measure" in found else {}
        flagged = {"above", "one"} & set(said.needs.split()) and heat["regions"]
        tool = said.on.split()[0]
        place = heat["regions"][0]["place"] if flagged else found[tool].values["place"]
        out = {
            "place": self._place(place),
            "score": f"{heat['score']:.2f}",
            "threshold": f"{heat['threshold']:.2f}",
            "level": heat["level"],
        }
        out["count"] = COUNTS[min(5, len(heat["regions"]))]
        if measured:
            out |= {"length": f"{measured['length_px']:.0f}", "width": f"{measured['width_px']:.0f}"}
            out |= {
                "area": f"{measured['area_fraction'] * 100:.1f}",
                "contrast": f"{abs(measured['contrast']) * 100:.0f}",
            }
        if "compare" in found:
            out |= {
                "there": f"{found['compare'].values['distance_there']:.2f}",
                "usual": f"{found['compare'].values['distance_median']:.2f}",
            }
        if "zoom" in found:
            out["factor"] = f"{found['zoom'].values['factor']:.1f}"
        return out

    def _place(self, name: str) -> str:
        row, _, column = name.rpartition(" ")
        at = self.half.columns[("left", "centre", "right").index(column)]
        if not row:
            return at
        return f"{self.half.rows[('upper', 'middle', 'lower').index(row)]} {at}"

    def _other_number(self, number: str) -> str:
        decimals = len(number.partition(".")[2])
        value = float(number)
        if value <= 1 and decimals == 2:
            return f"{value + 0.31 if value < 0.5 else value - 0.27:.2f}"
        return f"{value * float(self._one([1.6, 2.0, 3.0])) + 2:.{decimals}f}"

    @staticmethod
    def _with(item: Item, plant: str, text: str) -> Item:
        return replace(item, plant=plant, sentences=(replace(item.sentences[0], text=text),))

    @staticmethod
    def _some(facts: Sequence[Fact]) -> dict[str, Fact]:
        return {f"F{i}": fact for i, fact in enumerate(facts, 1)}

    @staticmethod
    def _cites(said: Said, seen: Seen) -> tuple[str, ...]:
        return tuple(seen.by_tool[tool].id for tool in said.on.split())

    def _one(self, choices: Sequence[Any]) -> Any:
        return choices[int(self.rng.integers(len(choices)))]
