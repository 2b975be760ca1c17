"""The reference judge: scores an answer from what is known of the part, deterministically, and says what each point went for.

It reads claims (`agent.verify.claims`) and holds them against the truth, against what they cite and against each other. Wording,
order and length count for nothing. What an answer does not say costs something only where MLE asks for it: the kind and the
place of a defect.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.report import InspectionReport
from agent.verify.claim_words import NINTHS
from agent.verify.claims import Claims, all_claims
from agent.vlm.prompt import Sentence, read_answer
from evals.judges.citations import listed, said, unsupported
from evals.mle import BEST, SCALES, WORST, Fault, FaultKind, MleScore, Scale, TrueDefect, Truth, scales_of
from evals.verdicts import verdict_of
from knowledge.kinds import near
from training.adpl import UNANSWERABLE
from training.preference.scene import EXTENTS

VERSION = "2"
# Points off by what is wrong. They are graded as AD-PL's answers are (`training.preference.telling.score`).
_VERDICT: dict[Scale, float] = {"type": 3, "location": 4, "logic": 2}
_REPLY: dict[Scale, float] = {"type": 4, "logic": 1}
_UNDECIDED = 2
_NO_REASONS = 3
_NEAR_KIND, _FAR_KIND, _NO_KIND, _EXTRA_KIND = 2, 3, 2, 1
_TOUCHED, _NEXT_NINTH, _FAR_PLACE, _NO_PLACE = 1, 2, 4, 2
_SIZE = _TONE = 1
_DIFFERENCE = 2
_UNSUPPORTED = _FABRICATED = 2
_CONTRADICTION = 3


_PLAN = re.compile(r"\s*(?:category|looks|facts)\s*:", re.IGNORECASE)


class ReferenceJudge:
    """Implements `evals.mle.Judge`."""

    name = f"reference judge {VERSION}"

    def judge(self, answer: str, truth: Truth) -> MleScore:
        """Score one answer; unscored where it says nothing."""
        value, sentences = read_answer(answer)
        declined = verdict_of(answer) == UNANSWERABLE
        if declined or (truth.answer == UNANSWERABLE and (value is not None or sentences)):
            return _declining(declined, truth)
        return judge_sentences(value, sentences, truth)


def _declining(declined: bool, truth: Truth) -> MleScore:
    """To what no photo can tell the one right answer is to say so, and to nothing else."""
    kind: FaultKind = "no answer" if declined else "wrong reply"
    why = "it declines what the photo can tell" if declined else "it answers what no photo of the part can tell"
    lost = () if declined is (truth.answer == UNANSWERABLE) else SCALES
    faults = [Fault(kind=kind, scale=scale, points=BEST - WORST, why=why) for scale in lost]
    left = scales_of(faults)
    return MleScore(type=left["type"], location=left["location"], logic=left["logic"], faults=tuple(faults))


def judge_report(report: InspectionReport, truth: Truth) -> MleScore:
    """Score the verdict, the reasoning and the findings of a report.

    Args:
        report: at depth `full`; its reasoning is judged sentence by sentence, its findings by kind and box.
        truth: `citable` by the full ids of the report's facts and evidence.
    """
    value = {"anomalous": True, "normal": False, "uncertain": None}[report.verdict]
    sentences = [Sentence(step.text, tuple(step.cites)) for step in report.reasoning]
    if report.findings and report.findings[0].defect_type != "unclassified":
        first = report.findings[0]
        sentences.append(Sentence(f"The test part shows {first.defect_type.replace('_', ' ')}.", ()))
    boxes = [finding.box for finding in report.findings]
    return judge_sentences(value, sentences, truth, boxes)


def judge_sentences(
    value: bool | None,
    sentences: Sequence[Sentence],
    truth: Truth,
    boxes: Sequence[tuple[int, int, int, int]] = (),
) -> MleScore:
    """Score an answer that is already taken apart.

    Args:
        value: how it opens, True or False; None where with neither.
        sentences: its reasons.
        truth: what is known.
        boxes: places it points at besides those in words, x0, y0, x1, y1 in pixels.
    """
    if value is None and not sentences:
        return MleScore(unscored="the answer says nothing")
    # Lines of a plan name kinds and looks that are wanted; nothing in them is a claim.
    book = _Book(truth, all_claims(s for s in sentences if not _PLAN.match(s.text)))
    told = book.told(value)
    if value is None and told is None:
        # Words, but no answer: a plan, a question back. Silence must not score better than a wrong answer.
        for scale in SCALES:
            book.off("no answer", scale, BEST - WORST, "it says nothing of the part")
        return book.score()
    right = truth.anomalous if truth.answer is None else truth.answer
    if value is None:
        book.off("no verdict", "type", _UNDECIDED, "it opens with neither True nor False")
    elif value != right:
        for scale, points in _REPLY.items():
            book.off("wrong reply", scale, points, f"it says {value}, right is {right}")
    reasons = any(c.says for c in book.claims)
    if not reasons:
        book.off("no reasons", "logic", _NO_REASONS, "it gives no reasons")
    if told is not None and told != truth.anomalous:
        for scale, points in _VERDICT.items():
            book.off(
                "wrong verdict",
                scale,
                points,
                f"it tells of {'an anomalous' if told else 'a normal'} part, which it is not",
            )
    elif truth.anomalous:
        book.kinds()
        book.place(boxes)
    elif reasons:
        book.differences()
    else:
        book.off("no reasons", "location", _NO_PLACE, "it points at nothing that makes the part a good one")
    book.contradictions(value, told)
    book.support()
    return book.score()


@dataclass
class _Book:
    """Faults of one answer as they are found."""

    truth: Truth
    claims: list[Claims]
    faults: list[Fault] = field(default_factory=list)

    def off(
        self,
        kind: FaultKind,
        scale: Scale,
        points: float,
        why: str,
        step: int | None = None,
        finding: int | None = None,
    ) -> None:
        self.faults.append(Fault(kind=kind, scale=scale, points=points, why=why, step=step, finding=finding))

    def score(self) -> MleScore:
        left = scales_of(self.faults)
        return MleScore(type=left["type"], location=left["location"], logic=left["logic"], faults=tuple(self.faults))

    # --- what the answer tells of as a whole

    def told(self, value: bool | None) -> bool | None:
        """Whether it tells of an anomalous part: by what it sees, else by its conclusion, else by its opening where that is the verdict."""
        if any(c.sees for c in self.claims):
            return True
        if any(c.denied or c.defect is False or c.differences is not None for c in self.claims):
            return False
        if conclusions := [c.accepts for c in self.claims if c.accepts is not None]:
            return not conclusions[-1]
        return value if self.truth.answer is None else None

    # --- type

    def kinds(self) -> None:
        """Kinds named on an anomalous part that is told of as such."""
        real = {defect.defect_type for defect in self.truth.defects if defect.defect_type}
        named = {kind: i for i, c in reversed(list(enumerate(self.claims))) for kind in c.affirmed}
        if not real:
            return
        if not named:
            denied = {kind: i for i, c in enumerate(self.claims) for kind in c.denied}
            wrong = sorted(real & set(denied))
            for kind in wrong:
                self.off("wrong type", "type", _FAR_KIND, f"it denies {said(kind)}, which is there", denied[kind])
            if not wrong:
                self.off("no type", "type", _NO_KIND, "it names no kind of defect")
            return
        hit = bool(real & set(named))
        for kind, step in named.items():
            if kind in real:
                continue
            if hit:
                self.off("wrong type", "type", _EXTRA_KIND, f"it names {said(kind)} too, which is not there", step)
            else:
                close = any(near(kind, one) for one in real)
                wanted = " and ".join(sorted(map(said, real)))
                points = _NEAR_KIND if close else _FAR_KIND
                self.off(
                    "wrong type",
                    "type",
                    points,
                    f"it names {said(kind)}, {'near to' if close else 'far from'} {wanted}",
                    step,
                )

    # --- location

    def place(self, boxes: Sequence[tuple[int, int, int, int]]) -> None:
        """Place, size and tone of the defect that is told of, against the true one it is nearest to."""
        marked = [defect for defect in self.truth.defects if defect.places or defect.box]
        if not marked:
            return
        told = [(i, place) for i, c in enumerate(self.claims) if c.sees for place in c.places]
        pixels = [*boxes[:1], *(c.box for c in self.claims if c.box is not None)]
        if not told and not pixels:
            told = [(i, place) for i, c in enumerate(self.claims) for place in c.places]
        if not told and not pixels:
            self.off("no place", "location", _NO_PLACE, "it names no place")
            return
        wrong = False
        if told:
            wrong = self._worded(told, marked)
        for box in pixels[:1]:
            if not any(d.box is not None and _meet(box, d.box) for d in marked) and any(d.box for d in marked):
                self.off("wrong place", "location", _FAR_PLACE, f"its box {list(box)} meets no true defect")
                wrong = True
        if not wrong:
            self._asked_places(marked)
        self._size_and_tone(marked)

    def _worded(self, told: Sequence[tuple[int, frozenset[str]]], marked: Sequence[TrueDefect]) -> bool:
        """Hold the first place named against the true ones; later ones that no defect touches count as one fault more."""
        (step, first), *others = told
        cost, finding = min((_distance(first, defect), i) for i, defect in enumerate(marked))
        if cost:
            true = " and ".join(d.places[0] for d in marked if d.places)
            self.off(
                "wrong place",
                "location",
                cost,
                f"it points at the {listed(first)}, the defect is in the {true}",
                step,
                finding,
            )
        touched = {place for defect in marked for place in defect.places} | first
        for step, place in others:
            if not place & touched:
                self.off("wrong place", "location", _NEXT_NINTH, f"nothing is in the {listed(place)}", step)
                break
        return cost > _TOUCHED

    def _asked_places(self, marked: Sequence[TrueDefect]) -> None:
        """Places said to be clean or affected in answer to the question; where the place itself is wrong, that is one mistake."""
        touched = {place for defect in marked for place in defect.places}
        for i, c in enumerate(self.claims):
            if any(place <= touched for place in c.clean):
                self.off(
                    "wrong place",
                    "location",
                    _NEXT_NINTH,
                    f"it calls the {listed(c.clean[0])} clean, which it is not",
                    i,
                )
            elif not c.sees and any(not place & touched for place in c.places):
                self.off("wrong place", "location", _NEXT_NINTH, f"nothing is in the {listed(c.places[0])}", i)

    def _size_and_tone(self, marked: Sequence[TrueDefect]) -> None:
        sizes = {_extent(d.area_fraction) for d in marked if d.area_fraction is not None}
        tones = {d.tone for d in marked if d.tone is not None}
        for i, c in enumerate(self.claims):
            if c.extent is not None and sizes and c.extent not in sizes:
                self.off(
                    "wrong size",
                    "location",
                    _SIZE,
                    f"it calls the defect {c.extent}, it is {' or '.join(sorted(sizes))}",
                    i,
                )
                break
        for i, c in enumerate(self.claims):
            if c.tone is not None and tones and c.tone not in tones:
                self.off(
                    "wrong tone",
                    "location",
                    _TONE,
                    f"it calls the defect {c.tone}, it is {' or '.join(sorted(map(str, tones)))}",
                    i,
                )
                break

    def differences(self) -> None:
        """Allowed differences named on a normal part."""
        if self.truth.differences is None:
            return
        real = frozenset(self.truth.differences) - {"plain"}
        for i, c in enumerate(self.claims):
            if c.differences is None:
                continue
            extra = c.differences - real
            if extra or (not c.differences and real):
                seen = listed(c.differences) if c.differences else "no difference"
                self.off(
                    "wrong difference",
                    "location",
                    _DIFFERENCE,
                    f"it tells of {seen}; there is {listed(real) if real else 'none'}",
                    i,
                )

    # --- logic

    def contradictions(self, value: bool | None, told: bool | None) -> None:
        """Sentences that cannot all be true, and a conclusion that does not follow from them."""
        concluded = [(i, c.accepts) for i, c in enumerate(self.claims) if c.accepts is not None]
        # What a sentence without sight of a defect concludes; `no defect on it` is both a sight and a conclusion.
        for i, accepts in concluded:
            if told is not None and accepts == told:
                self.off(
                    "contradiction",
                    "logic",
                    _CONTRADICTION,
                    f"it {'accepts' if accepts else 'rejects'} a part it tells of as {'anomalous' if told else 'normal'}",
                    i,
                )
                break
        else:
            if self.truth.answer is None and value is not None and told is not None and value != told:
                self.off(
                    "contradiction",
                    "logic",
                    _CONTRADICTION,
                    f"it opens with {value} and tells of {'an anomalous' if told else 'a normal'} part",
                )
        affirmed = {kind for c in self.claims for kind in c.affirmed}
        for i, c in enumerate(self.claims):
            if both := sorted(c.denied & affirmed):
                self.off("contradiction", "logic", _CONTRADICTION, f"it affirms and denies {said(both[0])}", i)
                return
            if told and c.defect is False and not c.accepts and not c.clean:
                self.off("contradiction", "logic", _CONTRADICTION, "it tells of a defect and of none", i)
                return
        places = frozenset[str]().union(*(place for c in self.claims if c.sees for place in c.places))
        for i, c in enumerate(self.claims):
            if any(place <= places for place in c.clean):
                self.off(
                    "contradiction",
                    "logic",
                    _CONTRADICTION,
                    f"it calls the {listed(c.clean[0])} affected and clean",
                    i,
                )
                return

    def support(self) -> None:
        """Citations that do not exist or do not hold what rests on them. The same mismatch said twice is one fault."""
        named = frozenset[str]().union(*(c.affirmed | c.denied for c in self.claims))
        missing = unheld = False
        if self.truth.citable and self.claims and not any(c.sentence.cites for c in self.claims):
            self.off("unsupported claim", "logic", _UNSUPPORTED, "it cites nothing, though there are facts or evidence")
            unheld = True  # a cause without a source is the same lack
        for i, c in enumerate(self.claims):
            unknown = sorted(set(c.sentence.cites) - set(self.truth.citable))
            if unknown and not missing:
                missing = True
                self.off("fabricated citation", "logic", _FABRICATED, f"{', '.join(unknown)} does not exist", i)
            why = None if unheld else unsupported(c, self.truth.citable, named)
            if why is not None:
                unheld = True
                self.off("unsupported claim", "logic", _UNSUPPORTED, why, i)


def _distance(place: frozenset[str], defect: TrueDefect) -> float:
    """Points off for a place against one defect: nothing where it means the ninth that holds most of it."""
    if not defect.places:
        return 0
    if defect.places[0] in place:
        return 0
    if place & set(defect.places):
        return _TOUCHED
    b, a = divmod(NINTHS.index(defect.places[0]), 3)
    gap = min(max(abs(y - b), abs(x - a)) for y, x in (divmod(NINTHS.index(name), 3) for name in place))
    return _NEXT_NINTH if gap == 1 else _FAR_PLACE


def _extent(share: float) -> str:
    return next(word for limit, word in EXTENTS if share <= limit)


def _meet(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    """Whether two boxes share a pixel."""
    return max(one[0], other[0]) < min(one[2], other[2]) and max(one[1], other[1]) < min(one[3], other[3])
