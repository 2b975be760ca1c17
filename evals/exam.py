"""What a core model makes of drawn cases by itself: asked as the agent asks it, with looks that were taken before.

Chooses checkpoints while training, and compares ways of training; an inspection of photos goes through the whole agent instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.verify import problems_of
from agent.vlm.prompt import DECLINED, VERDICT_QUESTION, Views, plan_text, question_text, read_answer, read_plan
from evals.asking import Asking, Prompt, Reply
from evals.figures.clustered import Value, mean
from evals.figures.metrics import Metric, image_auroc
from evals.judges.truth import truth_of_case
from evals.mle import WORST, MleScore, judge_reference
from knowledge.facts import Fact, shipped_pack
from tools.evidence import Evidence
from training.cases import read_case
from training.draw.scene import Case
from training.fact_index import FactIndex, numbered
from training.follow_ups import HELD_OUT_PROPERTIES, unseen_question
from training.story import Looks, Story
from training.text import DEFECTS

if TYPE_CHECKING:
    from datasets import Dataset

    from training.sfe.rows import Photo

REPLY = 160
"""Most tokens of a reply with reasons."""
PLAN = 24


@dataclass
class Sheet:
    """One case, and what the model said of it."""

    case: Case
    found: Looks
    described: list[Fact]
    """One description of each defect that such parts have."""
    facts: list[Fact] = field(default_factory=list)
    """On what it suspected, or those described where it suspected nothing."""
    suspects: list[str] = field(default_factory=list)
    alone: float | None = None
    """Its probability of a defect from the photos alone."""
    compared: float | None = None
    """The same, with descriptions of defects but without evidence."""
    told: str = ""
    """Its verdict from photos and descriptions, without evidence."""
    verdict: str = ""
    """Its verdict from everything."""
    score: float | None = None
    declined: bool = False
    """It said that it could not tell what no photo tells."""

    @property
    def evidence(self) -> list[Evidence]:
        looks = enumerate(self.found.looks, 1)
        return [Evidence(id=f"E{i}", tool=k.tool, summary=k.summary, values=k.values) for i, k in looks]

    @property
    def summaries(self) -> list[tuple[str, str]]:
        """The evidence as a prompt shows it."""
        return [(item.id, item.summary) for item in self.evidence]

    @property
    def aliases(self) -> dict[str, Fact]:
        """The facts by the ids of a prompt."""
        return _by_alias(self.facts)

    def prompt(self, question: str) -> str:
        """A question over facts and evidence."""
        return question_text(question, numbered(self.facts), self.summaries)

    @property
    def types(self) -> set[str]:
        """The drawn defects."""
        return {d.defect_type for d in self.case.defects}


class Exam:
    """Asks a model about drawn cases."""

    def __init__(self, cases: Dataset, *, facts: bool = True, references: bool = True, seed: int = 0) -> None:
        self.cases, self.facts, self.references, self.seed = cases, facts, references, seed
        self._index = FactIndex(shipped_pack())
        self._types = frozenset(f.defect_type for f in shipped_pack().facts if f.defect_type)

    def __call__(self, model: Any, processor: Any) -> dict[str, float]:
        """The figures without their intervals; those that nothing defines are left out."""
        metrics = self.metrics(self.sit(model, processor))
        return {name: metric.value for name, metric in metrics.items() if metric.value is not None}

    def sit(self, model: Any, processor: Any) -> list[Sheet]:
        """Every case with what the model said of it."""
        sheets = [self.sheet(i, row) for i, row in enumerate(self.cases)]
        asking = AskingAbout(model, processor)
        verdict = VERDICT_QUESTION

        for sheet, reply in asking(sheets, [question_text(verdict, [], [])] * len(sheets), 1, close_up=False):
            sheet.alone = reply.true
        texts = [question_text(verdict, numbered(s.described), []) for s in sheets]
        for sheet, reply in asking(sheets, texts, REPLY, close_up=False):
            sheet.compared, sheet.told = reply.true, reply.text
        self.look_up(asking, sheets)
        for sheet, reply in asking(sheets, [s.prompt(verdict) for s in sheets], REPLY):
            sheet.score, sheet.verdict = reply.true, reply.text
        unseen = [s.prompt(self._unseen(i, s)) for i, s in enumerate(sheets)]
        for sheet, reply in asking(sheets, unseen, PLAN):
            sheet.declined = reply.text.startswith(DECLINED)
        return sheets

    def look_up(self, asking: AskingAbout, sheets: Sequence[Sheet]) -> None:
        """The facts of each sheet, as in an inspection: on what the model suspects once it has read all descriptions."""
        plans = [plan_text(s.summaries, numbered(s.described)) for s in sheets]
        for sheet, reply in asking(sheets, plans, PLAN):
            sheet.suspects = read_plan(reply.text).facts[:2]
            found = self._index.about(sheet.case.category, sheet.suspects) if self.facts and sheet.suspects else []
            sheet.facts = found or sheet.described

    def metrics(self, sheets: Sequence[Sheet]) -> dict[str, Metric]:
        """Figures by name, with intervals over the cases.

        `accuracy`, `image_auroc`, `mle…`, `type_accuracy` are of the verdict from everything; those that end in `_alone` of
        the photos alone, and those in `_compared` of photos and descriptions. `suspect_accuracy` is of what it wants facts on.
        An exam has no blank marks: a reply that cannot be judged counts as the worst, and `unscored` says how many there were.
        """
        labels = [int(s.case.anomalous) for s in sheets]
        anomalous = [s for s in sheets if s.case.anomalous]
        full = [judge_reference(s.verdict, truth_of_case(s.case, s.aliases, s.evidence)) for s in sheets]
        compared = [judge_reference(s.told, truth_of_case(s.case, _by_alias(s.described), [])) for s in sheets]
        told = [(s, read_answer(s.verdict)) for s in sheets]
        sentences = [self._holds(s, sentence) for s, (_, found) in told for sentence in found]
        out = {
            "mle": _mle(full),
            "accuracy": _share([value is s.case.anomalous for s, (value, _) in told]),
            "type_accuracy": _share([self.named(s.verdict) in s.types for s in anomalous]),
            "suspect_accuracy": _share([s.suspects[:1] and s.suspects[0] in s.types for s in anomalous]),
            "citation_precision": _share(sentences),
            "parsed": _share([value is not None and bool(found) for _, (value, found) in told]),
            "declined": _share([s.declined for s in sheets]),
            "declined_wrongly": _share([s.verdict.startswith(DECLINED) for s in sheets]),
            "unscored": _share([score.mean is None for score in full]),
            "mle_compared": _mle(compared),
            "accuracy_compared": _share([read_answer(s.told)[0] is s.case.anomalous for s in sheets]),
            "type_accuracy_compared": _share([self.named(s.told) in s.types for s in anomalous]),
        }
        for scale in ("type", "location", "logic"):
            out[f"mle_{scale}"] = _mle(full, scale)
        scores = {
            "image_auroc": [s.score for s in sheets],
            "image_auroc_alone": [s.alone for s in sheets],
            "image_auroc_compared": [s.compared for s in sheets],
            "image_auroc_detector": [s.evidence[0].values["score"] for s in sheets],
        }
        for name, values in scores.items():
            # A model that is about to say something else gives no probability: it knows neither way.
            out[name] = image_auroc(labels, [0.5 if v is None else v for v in values])
        return out

    def named(self, reply: str) -> str | None:
        """The one kind of defect that a reply names in words; None where it names none or several."""
        found = {t for t in self._types if re.search(rf"\b{t.replace('_', ' ')}\b", reply)}
        # A longer name may hold a shorter one.
        kinds = {t for t in found if not any(t != other and t in other for other in found)}
        return kinds.pop() if len(kinds) == 1 else None

    def sheet(self, number: int, row: dict[str, Any]) -> Sheet:
        """A kept case, to be asked about; its number shuffles the descriptions."""
        case, found = read_case(row)
        if not self.references:
            case = replace(case, references=())
        facts: list[Fact] = []
        if self.facts:
            listed = self._index.defects(case.category, DEFECTS)
            order = np.random.default_rng([self.seed, number]).permutation(len(listed))
            facts = [listed[i] for i in order] + self._index.find(case.category, "", "object")[:1]
        return Sheet(case, found, facts)

    def _unseen(self, number: int, sheet: Sheet) -> str:
        story = Story(
            sheet.case, sheet.found.looks, numbered(sheet.facts), np.random.default_rng([self.seed, number, 1])
        )
        return unseen_question(story, HELD_OUT_PROPERTIES)[0]

    def _holds(self, sheet: Sheet, sentence: Any) -> bool:
        return not problems_of(sentence, sheet.aliases, {item.id: item for item in sheet.evidence}, self._types)


class AskingAbout(Asking):
    """Asks a model about the cases of sheets."""

    def __call__(
        self, sheets: Sequence[Sheet], texts: Sequence[str], most: int, *, close_up: bool = True, **drawn: Any
    ) -> Iterator[tuple[Sheet, Reply]]:
        """Each sheet with the reply to its text.

        Args:
            sheets: the cases.
            texts: what to ask of each.
            most: tokens of a reply.
            close_up: show it, where there is one.
            drawn: how, as for `Asking.replies`.
        """
        asked = [Prompt(text, *self._photos(sheet, close_up)) for sheet, text in zip(sheets, texts, strict=True)]
        return zip(sheets, self.replies(asked, most, **drawn), strict=True)

    @staticmethod
    def _photos(sheet: Sheet, close_up: bool) -> tuple[list[Photo], Views]:
        shown = close_up and sheet.found.close_up is not None
        photos: list[Photo] = [sheet.case.test, *sheet.case.references]
        if shown and sheet.found.close_up is not None:
            photos.append(sheet.found.close_up)
        return photos, Views(len(sheet.case.references), shown)


def _by_alias(facts: Sequence[Fact]) -> dict[str, Fact]:
    return {f"F{i}": fact for i, fact in enumerate(facts, 1)}


def _share(right: Sequence[object]) -> Metric:
    return mean([Value(str(i), float(bool(r)), str(i)) for i, r in enumerate(right)])


def _mle(scores: Sequence[MleScore], scale: str = "mean") -> Metric:
    marks = [WORST if score.mean is None else float(getattr(score, scale)) for score in scores]
    return mean([Value(str(i), mark, str(i)) for i, mark in enumerate(marks)])
