"""AD-PL records about drawn cases: five questions, each with four answers, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.adpl import ANSWERS, MleScores, PairType, RankedAnswer, RankedQuestion
from training.draw.families import BY_NAME
from training.draw.noise import Rng
from training.draw.scene import Case, draw_case
from training.fact_index import FactIndex
from training.preference.questions import QUESTIONS, Asked, Question
from training.preference.scene import PLACES, Scene, describe
from training.preference.telling import Telling, flawed, honest, score
from training.preference.wording import SENTENCES, named, say

FOIL_SIZE = 64
"""Side in pixels of the other parts that wrong answers speak of; nobody sees them."""
MINIMAL = 0.5
"""Share of questions whose answers are worded alike, so that they differ in what is wrong alone."""
OPPOSITE = 0.8
"""Share of questions with an answer that takes a good part for a bad one, or the other way round."""
WRONG_END = 0.4
"""Share of the other wrong answers whose conclusion does not follow."""
Scored = tuple[Telling, MleScores]
Named = dict[tuple[str, str], str]
"""By defect type (none: the product) and kind of fact."""


@dataclass(frozen=True)
class Told:
    """All that is said about a case."""

    questions: list[RankedQuestion]
    conclusion: str
    facts: list[str]
    """Ids; the first is cited as [F1]."""


class AdplWriter:
    """Writes the questions and answers of drawn cases."""

    def __init__(self, facts: FactIndex) -> None:
        self.facts = facts

    def tell(self, case: Case, pair_type: PairType, seed: Sequence[int], types: frozenset[str] | None = None) -> Told:
        """The five questions of a pair type about a case; the same seed gives the same words.

        Args:
            case: what was drawn, with a reference.
            pair_type: which questions to ask.
            seed: non-negative integers, such as (run seed, index).
            types: kinds of defect that may be named; none: all of the family's.
        """
        rng = np.random.default_rng([len(seed), *seed])
        family = BY_NAME[case.family]
        # What wrong answers say is true of another part of the same family.
        foil, third = (
            describe(draw_case((*seed, i), size=FOIL_SIZE, anomalous=1.0, families=[family], types=types, references=0))
            for i in (1, 2)
        )
        truth = describe(case)
        # Where the split leaves a family a single kind, the facts beside it are about one that is not drawn.
        kinds = sorted(
            rng.permutation(family.defect_types).tolist(), key=lambda d: types is not None and d not in types
        )
        described = self._described((truth, foil, third), kinds, rng)
        about = self.facts.about(case.category, described)
        cites: Named = {(fact.defect_type or "", fact.kind): f"[F{i}]" for i, fact in enumerate(about, 1)}
        quotes: Named = {(fact.defect_type or "", fact.kind): fact.text for fact in about}
        sheet = _Sheet(truth, foil, described, cites, quotes, rng)
        diagnosis = pair_type == "defect diagnosis"
        questions = [sheet.question(question, diagnosis) for question in QUESTIONS[pair_type]]
        return Told(questions, sheet.conclusion(), [fact.id for fact in about])

    @staticmethod
    def _described(scenes: Sequence[Scene], kinds: list[str], rng: Rng) -> list[str]:
        """Two kinds the facts are about, in either order: those that are told of first."""
        drawn = [scene.marks[0].defect_type for scene in scenes if scene.marks]
        truly = scenes[0].types - set(drawn[:1])  # a second defect of the part is no kind to be wrong about
        chosen = [kind for kind in dict.fromkeys([*drawn, *kinds]) if kind not in truly][:2]
        return [str(kind) for kind in rng.permutation(chosen)]


@dataclass(frozen=True)
class _Sheet:
    """One case, ready to be asked about."""

    truth: Scene
    foil: Scene
    described: list[str]
    cites: Named
    quotes: Named
    rng: Rng

    def question(self, question: Question, own_conclusion: bool) -> RankedQuestion:
        rng = self.rng
        asked = self._asked(question)
        denies = bool(rng.random() < 0.5)
        right = question.holds(self.truth, asked)
        # The kind that is named as absent where the part is told of as normal.
        absent = asked.kind if question.yes else str(rng.choice(self.described))
        truth = honest(self.truth, absent)
        other_facts = next((kind for kind in self.described if kind != truth.named), truth.named)
        tellings = [
            (told, score(told, truth, question.holds(told.scene, asked) == right))
            for told in flawed(truth, self.foil, absent, other_facts, rng)
        ]
        best = (truth, score(truth, truth, True))
        chosen = [best, *self._choose(tellings)]
        shape, words = int(rng.integers(2**31)), int(rng.integers(2**31))
        alike = rng.random() < MINIMAL
        options: list[RankedAnswer] = []
        for number, (told, scores) in enumerate(chosen):
            wording = np.random.default_rng([words, 0 if alike else number])
            text = _Answer(told, question, asked, denies, self.cites, wording).text(np.random.default_rng(shape))
            options.append(RankedAnswer(answer_en=text, scores=scores))
        text = say(
            rng,
            question.denied if denies else question.affirmed,
            kind=named(asked.kind),
            place=asked.place,
            quote=asked.quote,
        )
        return RankedQuestion(
            question_en=text,
            answer=right != denies,
            answer_options=options,
            conclusion_en=self.conclusion() if own_conclusion else None,
        )

    def _asked(self, question: Question) -> Asked:
        rng = self.rng
        kind = str(rng.choice(self.described))
        here = [mark.place for mark in self.truth.marks[:1]]
        there = [self.foil.marks[0].place]
        elsewhere = [str(p) for p in rng.permutation(PLACES)]
        # Half of the questions are about the place that right answers tell of, half about one that wrong ones do.
        likely = [*here, *there] if rng.random() < 0.5 else there if here else elsewhere
        # A ninth that the defect only reaches into is not asked about.
        place = next(p for p in [*likely, *elsewhere] if p not in self.truth.touched or p in here)
        return Asked(kind, place, self.quotes[kind, question.fact] if question.fact else "")

    def _choose(self, tellings: list[Scored]) -> list[Scored]:
        """Three of different scores, best first, all below the right answer's."""
        rng = self.rng
        order = [tellings[int(i)] for i in rng.permutation(len(tellings))]
        # Good parts taken for bad must be as many as bad ones taken for good: else either account would be a bad sign.
        opposite = [one for one in order if one[0].scene.anomalous != self.truth.anomalous]
        same = self._shuffled([one for one in order if one[0].scene.anomalous == self.truth.anomalous])
        chosen: dict[float, Scored] = {}
        for telling in (*(opposite[:1] if rng.random() < OPPOSITE else ()), *same, *opposite):
            if len(chosen) < ANSWERS - 1:
                chosen.setdefault(telling[1].mean, telling)
        if len(chosen) < ANSWERS - 1:
            raise AssertionError(f"only {len(chosen)} grades of wrong answers about {self.truth}")
        return sorted(chosen.values(), key=lambda one: -one[1].mean)

    def _shuffled(self, tellings: list[Scored]) -> list[Scored]:
        """Those whose conclusion is wrong come as often for good parts as for bad ones: else `accept` would be a sign."""
        wrong = [one for one in tellings if one[0].accepts == one[0].scene.anomalous]
        right = [one for one in tellings if one[0].accepts != one[0].scene.anomalous]
        mixed = []
        while wrong and right:
            mixed.append((wrong if self.rng.random() < WRONG_END else right).pop())
        return [*mixed, *wrong, *right]

    def conclusion(self) -> str:
        if not self.truth.marks:
            forms = (
                "The test part is normal.",
                "The test part is as good as the reference.",
                "Nothing is wrong with the test part.",
            )
            return say(self.rng, forms)
        mark = self.truth.marks[0]
        forms = (
            "The test part is anomalous: {kind} in the {place}.",
            "In the {place}, the test part shows {kind}, and it is not acceptable.",
            "The {place} of the test part shows {kind}; it should be set apart.",
        )
        return say(self.rng, forms, kind=named(mark.defect_type), place=mark.place)


@dataclass(frozen=True)
class _Answer:
    """A telling put into words, as the answer to a question."""

    told: Telling
    question: Question
    asked: Asked
    denies: bool
    cites: Named
    words: Rng

    def text(self, shape: Rng) -> str:
        """`shape` decides the order of sentences and what is left out: the same for all answers to a question."""
        means, swap = shape.random() < 0.4, shape.random() < 0.5
        anomalous = self.told.scene.anomalous
        seen = self._say("mark" if anomalous else self.told.scene.differences[0])
        against = self._say("unlike" if anomalous else "alike")
        kind = self._say("kind" if anomalous else "no_kind")
        holds = self.question.holds(self.told.scene, self.asked)
        parts = ["True." if holds != self.denies else "False.", seen, *((kind, against) if swap else (against, kind))]
        if means:
            parts.append(self._say("means" if anomalous else "no_means"))
        if self.question.yes:
            parts.append(self._say(self.question.yes if holds else self.question.no))
        parts.append(self._say("accept" if self.told.accepts else "reject"))
        return " ".join(parts)

    def _say(self, key: str) -> str:
        about = self.told.about
        mark = self.told.scene.marks[0] if self.told.scene.marks else None
        return say(
            self.words,
            SENTENCES[key],
            kind=named(self.told.named),
            place=self.asked.place if key in ("here", "not_here") or mark is None else mark.place,
            extent=mark.extent if mark else "",
            tone=mark.tone if mark else "",
            asked=named(self.asked.kind),
            cite=self.cites[about, "defect"],
            cause=self.cites[about, "cause"],
            impact=self.cites[about, "impact"],
            quoted=self.cites[self.asked.kind, self.question.fact or "defect"],
            end=self.cites["", "object"] if self.told.accepts else self.cites[about, "remedy"],
        )
