"""What persons said against the agent, as AD-PL records: the corrected answer over the model's.

A correction gives the truth of one photo. From it follow the right answers to five questions: the corrected ones, and general
ones whose True or False hangs on the verdict alone. Beside each right answer stand three that are worse by construction: the
agent's own where it is known to be wrong, and accounts in which one thing or several are told otherwise than they are. Ranks
rest on no opinion but the person's; scores are given where all four answers are made, so that what is wrong is known.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from agent.vlm.prompt import VERDICT_QUESTION, Sentence, read_answer
from knowledge.facts import Fact, Pack
from training.adpl import ANSWERS, QUESTIONS, MleScores, PreferenceRecord, RankedAnswer, RankedQuestion
from training.draw.noise import Rng
from training.fact_index import KINDS, FactIndex
from training.preference.scene import PLACES, Mark, Scene, mark_of
from training.preference.telling import Telling, flawed, honest, score
from training.preference.wording import SENTENCES, named, say
from training.rank.folder import same
from training.rank.sample import DEFAULT_QUESTIONS

OF_A_BAD_PART = dict(zip(DEFAULT_QUESTIONS, (True, False, True, False, False), strict=True))
"""The right answer to each general question where the part is anomalous; where it is normal, the other."""
UNKNOWN = "unclassified"
"""Kind of a defect that nobody has named; the facts have advice on it, and no description."""
Box = tuple[int, int, int, int]


class CorrectionError(ValueError):
    """A correction that no record can be made of; the message says why."""


@dataclass(frozen=True)
class CorrectedAnswer:
    """An answer that a person wrote in place of the agent's."""

    question: str
    answer: str
    instead_of: str
    """As the agent gave it. Both may cite facts and evidence by their ids, facts also as F1, F2, … of the case."""


@dataclass(frozen=True)
class CorrectedCase:
    """One photo, what the agent said of it, and what persons said instead."""

    id: str
    test_image: Path
    reference_image: Path | None
    category: str | None
    facts: Mapping[str, str]
    """Texts by id, in the order the agent was shown them."""
    evidence: Mapping[str, str]
    """What tools found, a summary by id, in the order of the looks; nothing that a person said."""
    said: str
    """The model's answer to the verdict question; it cites facts as F1, F2, …"""
    called: bool | None
    """The agent's verdict, True for anomalous; None: uncertain."""
    anomalous: bool | None = None
    """The persons' verdict; None where they let the agent's stand, and so below."""
    box: Box | None = None
    """x0, y0, x1, y1 in pixels of the photo, end exclusive."""
    defect_type: str | None = None
    answers: tuple[CorrectedAnswer, ...] = ()
    """At most one to a question."""


@dataclass(frozen=True)
class Corrected:
    """A record, and what of the corrections is not in it."""

    record: PreferenceRecord
    notes: list[str]


def corrected_record(case: CorrectedCase, test_image: str, reference_image: str, pack: Pack) -> Corrected:
    """Make a record of a case; the same case gives the same words.

    Facts that are not in the pack are left out of the record, for training knows no others; so are citations of them.

    Args:
        case: what was said; its photo is opened where a box has to be put into words.
        test_image: what the record calls the photo.
        reference_image: and its reference.
        pack: the facts that records may cite.

    Raises:
        CorrectionError: the corrections do not say what a record needs, or nothing that differs from what the agent said.
    """
    return _Sheet(case, pack, *_truth_of(case)).record(test_image, reference_image)


@dataclass(frozen=True)
class _Claims:
    """What an answer to the verdict question says."""

    anomalous: bool | None
    place: str
    defect_type: str
    """Empty, as the place, where it says none."""


def _claims(text: str, shown: Sequence[str], pack: Pack) -> _Claims:
    """Read an answer; `shown` holds the ids of facts that it cites as F1, F2, …"""
    value, sentences = read_answer(text)
    if not value:
        return _Claims(value, "", "")
    known = {fact.id: fact for fact in pack.facts}
    places = [place for sentence in sentences for place in _places(sentence.text)]
    numbers = [int(id[1:6]) for sentence in sentences for id in sentence.cites if id[0] == "F"]
    cited = [known[shown[n - 1]] for n in numbers if 0 < n <= len(shown) and shown[n - 1] in known]
    # A description is also cited for what the defect is not; its cause, harm and remedy only for what it is.
    kinds = [fact.defect_type for fact in cited if fact.defect_type and fact.kind != "defect"]
    return _Claims(value, *(found[0] if found else "" for found in (places, kinds)))


# Longest first, so that `upper centre` is not read as `centre`.
_PLACE = re.compile(r"\b(" + "|".join(sorted(PLACES, key=len, reverse=True)) + r")\b", re.IGNORECASE)


def _truth_of(case: CorrectedCase) -> tuple[bool, dict[str, CorrectedAnswer]]:
    """Whether the part is anomalous, and the corrected answers by their question.

    Raises:
        CorrectionError: as `corrected_record`.
    """
    answers = {_key(answer.question): answer for answer in case.answers if not same(answer.answer, answer.instead_of)}
    verdict = answers.get(_key(VERDICT_QUESTION))
    opens = None if verdict is None else read_answer(verdict.answer)[0]
    anomalous = next((said for said in (case.anomalous, opens, case.called) if said is not None), None)
    if anomalous is None:
        raise CorrectionError(
            "says neither normal nor anomalous, where the agent was uncertain; correct the verdict too"
        )
    if opens is not None and opens != anomalous:
        raise CorrectionError(f"the corrected answer opens with {opens}, against the verdict; reword it")
    if not anomalous and (case.box or case.defect_type):
        raise CorrectionError("a defect was marked on a part that stays normal; correct the verdict too")
    other_verdict = case.anomalous is not None and {case.called, read_answer(case.said)[0]} != {case.anomalous}
    if not (answers or other_verdict or case.box or case.defect_type):
        raise CorrectionError("says nothing that differs from what the agent said")
    return anomalous, answers


def _key(question: str) -> str:
    return " ".join(question.split()).casefold()


def _asked(question: RankedQuestion) -> str:
    return _key(question.question_en)


def _places(text: str) -> list[str]:
    return [place.lower() for place in _PLACE.findall(text)]


class _Sheet:
    """One case, ready to be asked about."""

    def __init__(
        self, case: CorrectedCase, pack: Pack, anomalous: bool, answers: Mapping[str, CorrectedAnswer]
    ) -> None:
        self.case, self.anomalous = case, anomalous
        instead = answers.get(_key(VERDICT_QUESTION))
        self.answers = sorted(answers.values(), key=lambda answer: answer is not instead)  # the verdict first
        self.claims = _claims(case.said, list(case.facts), pack)
        self.rng = np.random.default_rng(list(hashlib.sha256(case.id.encode()).digest()))
        # What persons put an answer of their own in place of is not what they let stand.
        stands = self.claims if instead is None else _claims(instead.answer, list(case.facts), pack)
        mark = self._mark(stands, pack) if anomalous else None
        self.facts = self._facts(pack, mark)
        self.cites: dict[tuple[str, str], str] = {}
        for i, fact in enumerate(self.facts, 1):
            self.cites.setdefault((fact.defect_type or "", fact.kind), f"[F{i}]")
        self.names = {fact.id: f"F{i}" for i, fact in enumerate(self.facts, 1)}
        self.names |= {f"F{i}": self.names[id] for i, id in enumerate(case.facts, 1) if id in self.names}
        self.names |= {id: f"E{i}" for i, id in enumerate(case.evidence, 1)}
        self.described = [kind for kind, of in self.cites if of == "defect"]
        self.absent = next((k for k in (self.claims.defect_type, *self.described) if k in self.described), UNKNOWN)
        self.truth = honest(Scene((mark,) if mark else (), ("plain",)), self.absent)
        self.foil = self._foil(mark)

    def record(self, test_image: str, reference_image: str) -> Corrected:
        """All five questions."""
        questions, notes = list[RankedQuestion](), list[str]()
        for answer in self.answers:
            try:
                if len(questions) == QUESTIONS - (_key(VERDICT_QUESTION) not in map(_asked, questions)):
                    raise CorrectionError(f"a record has {QUESTIONS} questions, and they are taken")
                questions.append(self._corrected(answer))
            except CorrectionError as error:
                notes.append(f"{answer.question!r}: {error}")
        if _key(VERDICT_QUESTION) not in map(_asked, questions):
            questions.insert(0, self._verdict())
        asked = set(map(_asked, questions))
        general = (question for question in DEFAULT_QUESTIONS if _key(question) not in asked)
        questions += [self._general(question) for question in islice(general, QUESTIONS - len(questions))]
        best = questions[0].answer_options[0].answer_en
        record = PreferenceRecord.model_validate({
            "domain": self.case.category or "unknown", "test_image": test_image, "reference_image": reference_image,
            "pair_type": "standard comparison", "question_answer": questions,
            "conclusion_en": " ".join(sentence.text for sentence in read_answer(best)[1]) or best,
            "facts": [fact.id for fact in self.facts], "evidence": list(self.case.evidence.values()), "session": self.case.id,
        })  # fmt: skip
        return Corrected(record, notes)

    def _mark(self, stands: _Claims, pack: Pack) -> Mark:
        """The defect in words, as far as it is known: what persons said, and of what the agent said that which they let stand."""
        kind = self.case.defect_type or stands.defect_type
        described = any(fact.defect_type == kind and fact.kind == "defect" for fact in pack.facts)
        mark = Mark(kind if described else UNKNOWN, stands.place, frozenset({stands.place}), "", "")
        if self.case.box is None:
            return mark
        with Image.open(self.case.test_image) as photo:
            width, height = ImageOps.exif_transpose(photo).size
        mask = np.zeros((height, width), bool)
        x0, y0, x1, y1 = self.case.box
        mask[max(0, y0) : y1, max(0, x0) : x1] = True
        if not mask.any():
            raise CorrectionError(f"box {list(self.case.box)} lies outside the photo of {width} x {height} pixels")
        # A box is not the defect itself: how bright the defect is cannot be read from it.
        return replace(mark_of(mark.defect_type, mask, np.zeros((height, width), np.float32)), tone="")

    def _facts(self, pack: Pack, mark: Mark | None) -> list[Fact]:
        """Those that the agent was shown, and those on the true kind that it had not looked up."""
        known = {fact.id: fact for fact in pack.facts}
        facts = [known[id] for id in self.case.facts if id in known]
        if mark is None:
            return facts
        index = FactIndex(pack)
        family = self.case.category if self.case.category in pack.families else None
        have = {(fact.defect_type, fact.kind) for fact in facts}
        lacking = [of for of in KINDS if (mark.defect_type, of) not in have]
        missing = [fact for of in lacking for fact in index.find(family, mark.defect_type, of)[:1]]
        # Anywhere: facts that always came last would give the kind away.
        at = int(self.rng.integers(len(facts) + 1))
        return [*facts[:at], *missing, *facts[at:]]

    def _foil(self, mark: Mark | None) -> Mark:
        """The defect that wrong accounts tell of: as the agent told it, else otherwise than it is; unknown where it is unknown."""
        claims, rng = self.claims, self.rng
        if mark is None:
            kind = claims.defect_type if claims.defect_type in self.described else UNKNOWN
            return Mark(kind, claims.place, frozenset({claims.place}), "", "")
        drawn = [str(place) for place in rng.permutation(PLACES)]
        elsewhere = (p for p in (claims.place, *drawn) if p and p not in mark.touched)
        place = next(elsewhere, mark.place) if mark.place else ""
        extents = [word for word in ("tiny", "small", "medium-sized", "large") if word != mark.extent]
        extent = str(rng.choice(extents)) if mark.extent else ""
        others = sorted({*self.described} - {mark.defect_type}, key=lambda kind: kind != claims.defect_type)
        kind = others[0] if others and mark.defect_type != UNKNOWN else mark.defect_type
        return Mark(kind, place, frozenset({place}), extent, "")

    def _verdict(self) -> RankedQuestion:
        """The verdict question where nobody worded its answer: with the agent's own, if that is known to be wrong."""
        made = self._graded(VERDICT_QUESTION)
        said, mark = self._shortened(self.case.said), self.truth.scene.marks[:1]
        if self.claims.anomalous is (not self.anomalous):
            return self._question(VERDICT_QUESTION, self.anomalous, [*(text for text, _ in made[: ANSWERS - 1]), said])
        place, kind = self.claims.place, self.claims.defect_type
        elsewhere = bool(self.case.box and mark and place and place not in mark[0].touched)
        of_other_kind = bool(self.case.defect_type and kind and kind != self.case.defect_type)
        if self.claims.anomalous is None or not (elsewhere or of_other_kind):
            return self._question(VERDICT_QUESTION, self.anomalous, made)
        # The verdict is right, so it stands above every account with the wrong one, and nobody knows how far above others.
        opposite = [told for told in self._wrong(VERDICT_QUESTION) if told[2].scene.anomalous != self.anomalous]
        least, most = (pick(opposite, key=lambda told: told[1].mean)[0] for pick in (max, min))
        return self._question(VERDICT_QUESTION, self.anomalous, [made[0][0], said, least, most])

    def _corrected(self, given: CorrectedAnswer) -> RankedQuestion:
        """A question whose answer a person wrote: the rest is the agent's, and both with the other word in front."""
        value, mine = read_answer(self._shortened(given.answer))
        if value is None and _key(given.question) == _key(VERDICT_QUESTION):
            value = self.anomalous
        if value is None:
            raise CorrectionError("the corrected answer opens with neither True nor False, as answers in AD-PL do")
        theirs, reasons = read_answer(self._shortened(given.instead_of))
        best, flipped = _told(value, mine), _told(not value, mine)
        own = _told(theirs, reasons)
        if theirs is (not value):
            # As MLE grades: a wrong word before right reasons costs less than wrong reasons, and both wrong is worst.
            texts = [best, flipped, _told(value, reasons), own]
        else:
            texts = [best, own, flipped, _told(not value, reasons)]
        return self._question(given.question, value, texts)

    def _general(self, question: str) -> RankedQuestion:
        return self._question(question, OF_A_BAD_PART[question] == self.anomalous, self._graded(question))

    def _question(self, question: str, right: bool, texts: Iterable[str | tuple[str, MleScores]]) -> RankedQuestion:
        options = [
            RankedAnswer(answer_en=text) if isinstance(text, str) else RankedAnswer(answer_en=text[0], scores=text[1])
            for text in texts
        ]
        if any(option.scores is None for option in options):
            options = [option.model_copy(update={"scores": None}) for option in options]
        alike = any(same(a.answer_en, b.answer_en) for i, a in enumerate(options) for b in options[:i])
        if alike or len(options) != ANSWERS:
            raise CorrectionError(f"the corrected answer and the agent's are too alike to give {ANSWERS} that differ")
        return RankedQuestion(question_en=question, answer=right, answer_options=options)

    def _graded(self, question: str) -> list[tuple[str, MleScores]]:
        """Four made answers, best first: the right one, two that are partly wrong, one with the opposite verdict."""
        best = (self._text(question, self.truth, True), score(self.truth, self.truth, True))
        wrong = self._wrong(question)
        opposite = next(told for told in wrong if told[2].scene.anomalous != self.anomalous)
        by_mean = {told[1].mean: told for told in wrong if told[1].mean > opposite[1].mean}
        means = sorted(self.rng.permutation(list(by_mean))[: ANSWERS - 2].tolist(), reverse=True)
        return [best, *((by_mean[mean][0], by_mean[mean][1]) for mean in means), opposite[:2]]

    def _wrong(self, question: str) -> list[tuple[str, MleScores, Telling]]:
        """Every worse answer, its grade and what it tells; no two in the same words."""
        truth, named = self.truth, self.truth.named
        # Where the kind is unknown, no fact is known to be the wrong one.
        other_facts = next((kind for kind in self.described if kind != named), named) if named != UNKNOWN else UNKNOWN
        foil = Scene((self.foil,), ("plain",))
        told = [
            (one, one.scene.anomalous == self.anomalous)
            for one in flawed(truth, foil, self.absent, other_facts, self.rng)
        ]
        found = {_key(self._text(question, truth, True)): None}
        wrong = []
        for one, right in (*told, (truth, False)):
            text = self._text(question, one, right)
            if _key(text) not in found:
                found[_key(text)] = None
                wrong.append((text, score(one, truth, right), one))
        return wrong

    def _text(self, question: str, told: Telling, right: bool) -> str:
        """An account in words; those to one question are worded alike, so that they differ in what is wrong alone."""
        rng = np.random.default_rng([*hashlib.sha256(f"{self.case.id} {question}".encode()).digest()])
        says = [f"{(OF_A_BAD_PART[question] == self.anomalous) == right}."]
        mark = told.scene.marks[0] if told.scene.marks else None
        if mark is None:
            says.append(say(rng, SENTENCES["alike"]))
        elif mark.place:
            says += [self._seen(mark, rng), say(rng, SENTENCES["unlike"])]
        if (cite := self.cites.get((told.about, "defect"))) and told.named != UNKNOWN:
            says.append(say(rng, SENTENCES["kind" if mark else "no_kind"], kind=named(told.named), cite=cite))
        rests_on = ("", "object") if told.accepts else (told.about, "remedy")
        says.append(say(rng, SENTENCES["accept" if told.accepts else "reject"], end=self.cites.get(rests_on, "")))
        return re.sub(r"\s+\.", ".", " ".join(says))

    def _seen(self, mark: Mark, rng: Rng) -> str:
        looks = [i for i, summary in enumerate(self.case.evidence.values(), 1) if mark.place in _places(summary)]
        what = f"{mark.extent} area" if mark.extent else "place"
        return say(rng, _SEEN, what=what, place=mark.place, cite="".join(f"[E{i}]" for i in looks[:2]))

    def _shortened(self, text: str) -> str:
        """A text that cites by the short ids of the record; what the record does not carry is not cited."""

        def short(found: re.Match[str]) -> str:
            ids = [id for id in re.split(r"[\s,;]+", found[2]) if id]
            known = [f"[{self.names[id]}]" for id in ids if id in self.names]
            cites = all(id in self.names or id in self.case.facts or re.fullmatch(r"[EFQ]\d+", id) for id in ids)
            return found[0] if not cites else found[1] + "".join(known) if known else ""

        return re.sub(r"(\s?)\[([^\[\]\n]{1,400})\]", short, text)


_SEEN = (
    "<One|A> {what} in the {place} of the test image is not as it should be {cite}.",
    "The {place} of the test image shows a {what} that does not belong there {cite}.",
    "In the {place} <there is|one sees> a {what} that a good part does not have {cite}.",
)
"""As `mark` in `training.preference.wording`, without what a box does not tell."""


def _told(opens: bool | None, sentences: Iterable[Sentence]) -> str:
    """An answer as the agent writes it: True or False, then each sentence with what it cites."""
    says = [] if opens is None else [f"{opens}."]
    for sentence in sentences:
        cites = "".join(f"[{id}]" for id in sentence.cites)
        text, stop = (sentence.text[:-1], sentence.text[-1]) if sentence.text[-1] in ".!?" else (sentence.text, ".")
        says.append(f"{text[:1].upper()}{text[1:]} {cites}".rstrip() + stop)
    return " ".join(says)
