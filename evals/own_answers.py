"""AD-PL of a model's own answers: it answers questions about drawn cases several times over, and what was drawn ranks them.

Rankings that people wrote teach what nobody would say anyway; a model's own answers are the mistakes that it makes. It is asked
as in an inspection: photo, reference and close-up, the facts it asks for, what the tools found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from agent.vlm.prompt import Views, plan_text, question_text, read_plan
from evals.asking import Asking, Prompt
from evals.files import write_whole
from evals.judges.truth import truth_of_case
from evals.mle import WORST, judge_reference
from knowledge.facts import Fact, shipped_pack
from tools.evidence import Evidence
from training.adpl import ANSWERS, MarkedDefect, PreferenceRecord, RankedAnswer, RankedQuestion
from training.cases import read_case
from training.draw.scene import Case
from training.fact_index import FactIndex, numbered
from training.rank.folder import same
from training.rank.sample import DEFAULT_QUESTIONS
from training.story import Looks, Story, join
from training.text import DEFECTS

if TYPE_CHECKING:
    from datasets import Dataset

    from training.sfe.rows import Photo

ABOUT_A_DEFECT = (True, False, True, False, False)
"""Whether True says of a part that it is defective, for each of `DEFAULT_QUESTIONS`."""
PLAN, REPLY = 24, 160
"""Most tokens."""
SEED = 5_800_000
"""From which on cases are drawn for it, apart from those of other training."""
TOGETHER = 16
"""Cases that are asked about at once."""
JUDGE = "the reference judge, on what was drawn"


@dataclass
class Shown:
    """A case as it is put before the model."""

    number: int
    case: Case
    found: Looks
    facts: list[Fact]

    @property
    def evidence(self) -> list[Evidence]:
        looks = enumerate(self.found.looks, 1)
        return [Evidence(id=f"E{i}", tool=k.tool, summary=k.summary, values=k.values) for i, k in looks]

    @property
    def photos(self) -> tuple[list[Photo], Views]:
        close = [] if self.found.close_up is None else [self.found.close_up]
        return [self.case.test, self.case.references[0], *close], Views(1, bool(close))

    def prompt(self, question: str) -> Prompt:
        summaries = [(item.id, item.summary) for item in self.evidence]
        return Prompt(question_text(question, numbered(self.facts), summaries), *self.photos)


def rank_own_answers(
    model: Any,
    processor: Any,
    cases: Dataset,
    out: Path,
    *,
    split: str,
    draws: int = 6,
    temperature: float = 1.0,
    seed: int = 0,
    done: Callable[[int], None] = lambda count: None,
) -> tuple[Path, int, int]:
    """Write `out`/SPLIT.jsonl and its photos and masks below `out`.

    To each question stand the answer that follows from the case and three that the model gave, best first by the reference
    judge, whose marks are the rewards. Cases without a reference are passed over.

    Args:
        model: of transformers.
        processor: its processor.
        cases: of `training.cases.kept_cases`.
        out: folder.
        split: which part of the drawn world the cases are of; names the file.
        draws: answers drawn to a question, at least 3; the more, the farther apart are those that are kept.
        temperature: above 0.
        seed: of the draws.
        done: told how many cases were gone through, each time that some were.

    Returns:
        The file, its records, and how many cases with a reference were left out: some question had fewer than three different
        answers, or what follows from the case did not come out first.
    """
    asking, index = Asking(model, processor), FactIndex(shipped_pack())
    lines, asked = list[str](), 0
    for some in _with_reference(cases, TOGETHER):
        _ask_for_facts(asking, index, some, seed)
        answers = _draw(asking, some, draws, temperature, seed)
        for shown, drawn in zip(some, answers, strict=True):
            if (record := _record(shown, drawn, out, split, seed)) is not None:
                lines.append(record.model_dump_json(exclude_none=True))
        asked += len(some)
        done(some[-1].number + 1)
    file = write_whole(out / f"{split}.jsonl", "".join(f"{line}\n" for line in lines))
    return file, len(lines), asked - len(lines)


def answer_drawn_cases(
    model: str | None,
    out: Path,
    *,
    split: str,
    cases: int,
    draws: int,
    temperature: float,
    seed: int,
    done: Callable[[int], None],
) -> tuple[Path, int, int]:
    """Draw cases below `out`, where they are kept, and rank a model's answers to them; see `rank_own_answers`.

    Args:
        model: folder of a core model; None: the shipped one.
        out: as of `rank_own_answers`, like the rest.
        split: a name of `training.draw.splits.SPLITS`.
        cases: how many to draw.
        draws: at least 3.
        temperature: above 0.
        seed: of cases and answers.
        done: told how many cases were gone through.

    Returns:
        The file, its records, and the cases that were left out though they have a reference.

    Raises:
        InputError: the model cannot be loaded, or is none of transformers.
        RecipeError: the folder holds cases that were drawn otherwise.
        EvalError: the file cannot be written.
    """
    import os

    from agent.images import InputError
    from agent.model import load_vlm
    from agent.vlm.chat import TransformersChat
    from agent.vlm.eye import weights_revision
    from agent.vlm.nano import shipped
    from evals.drawn import DrawnLooks
    from training.cases import kept_cases

    chat = load_vlm(model).chat
    if not isinstance(chat, TransformersChat):
        raise InputError(f"model={model!r}: expected a folder of transformers; a server's answers cannot be trained on")
    eye = shipped("sage-eye")
    drawn = kept_cases(
        out / f"cases-{split}", cases, SEED + seed, DrawnLooks(eye), os.cpu_count() or 1, weights_revision(eye), split
    )
    return rank_own_answers(
        chat.model, chat.processor, drawn, out, split=split, draws=draws, temperature=temperature, seed=seed, done=done
    )


def _with_reference(cases: Dataset, together: int) -> Iterator[list[Shown]]:
    some: list[Shown] = []
    for number, row in enumerate(cases):
        case, found = read_case(row)
        if case.references and found.looks:
            some.append(Shown(number, case, found, []))
        if len(some) == together:
            yield some
            some = []
    if some:
        yield some


def _ask_for_facts(asking: Asking, index: FactIndex, some: Sequence[Shown], seed: int) -> None:
    """As an inspection does: first one description of each defect, then all about those that the model suspects."""
    for shown in some:
        listed = index.defects(shown.case.category, DEFECTS)
        order = np.random.default_rng([seed, shown.number]).permutation(len(listed))
        shown.facts = [listed[i] for i in order] + index.find(shown.case.category, "", "object")[:1]
    summaries = [[(item.id, item.summary) for item in shown.evidence] for shown in some]
    plans = [
        Prompt(plan_text(evidence, numbered(shown.facts)), *shown.photos)
        for shown, evidence in zip(some, summaries, strict=True)
    ]
    for shown, reply in zip(some, asking.replies(plans, PLAN), strict=True):
        suspects = read_plan(reply.text).facts[:2]
        known = [s for s in suspects if index.find(shown.case.category, s, "defect")]
        shown.facts = index.about(shown.case.category, known) if known else shown.facts


def _draw(asking: Asking, some: Sequence[Shown], draws: int, temperature: float, seed: int) -> list[list[list[str]]]:
    """Different answers by case and question."""
    prompts = [shown.prompt(question) for shown in some for question in DEFAULT_QUESTIONS]
    found: list[list[str]] = [[] for _ in prompts]
    for draw in range(draws):
        drawn = asking.replies(
            prompts, REPLY, temperature=temperature, seed=seed + 7919 * (some[0].number * draws + draw)
        )
        for kept, reply in zip(found, drawn, strict=True):
            if reply.text and not any(same(reply.text, other) for other in kept):
                kept.append(reply.text)
    count = len(DEFAULT_QUESTIONS)
    return [found[at : at + count] for at in range(0, len(found), count)]


def _record(shown: Shown, drawn: Sequence[Sequence[str]], out: Path, split: str, seed: int) -> PreferenceRecord | None:
    """The record of a case; None where a question has too few answers, or where a wrong verdict would stand first."""
    case, rng = shown.case, np.random.default_rng([seed, shown.number, 1])
    story = Story(case, shown.found.looks, numbered(shown.facts), rng)
    aliases = {f"F{i}": fact for i, fact in enumerate(shown.facts, 1)}
    truth = truth_of_case(case, aliases, shown.evidence)
    questions = []
    for text, says, answers in zip(DEFAULT_QUESTIONS, ABOUT_A_DEFECT, drawn, strict=True):
        value = case.anomalous is says
        told = join(f"{value}.", *_reasons(story))
        asked = truth if text == DEFAULT_QUESTIONS[0] else truth.model_copy(update={"question": text, "answer": value})

        def mark(answer: str, asked: Any = asked) -> float:
            found = judge_reference(answer, asked).mean
            return WORST if found is None else found

        others = sorted(((mark(a), a) for a in answers if not same(a, told)), reverse=True)
        if len(others) < ANSWERS - 1:
            return None
        kept = [others[0], others[len(others) // 2], others[-1]] if len(others) > ANSWERS - 1 else others
        ranked = sorted([(mark(told), told), *kept], key=lambda pair: -pair[0])  # stable: what follows stands first
        if not ranked[0][1].startswith(f"{value}"):
            return None
        options = [RankedAnswer(answer_en=answer, reward=reward) for reward, answer in ranked]
        questions.append(RankedQuestion(question_en=text, answer=value, answer_options=options))
    return _kept(shown, questions, out, split)


def _reasons(story: Story) -> list[str]:
    """As in a verdict: what the tools found, then what that means."""
    if not story.case.anomalous:
        return [story.heat(), story.against(), story.quiet()]
    seen = [story.shape(), story.against()] if story.hit else []
    return [story.heat(), *seen, story.kind(), story.consequences()]


def _kept(shown: Shown, questions: list[RankedQuestion], out: Path, split: str) -> PreferenceRecord:
    """The record, with its photos and masks on disk."""
    case, name = shown.case, f"{shown.number:06d}"

    def keep(kind: str, end: str, pixels: Any) -> str:
        path = Path(kind) / split / f"{name}_{end}.png"
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(out / path, compress_level=1)
        return path.as_posix()

    marked = [
        MarkedDefect(
            defect_type=d.defect_type, severity=d.severity, box=list(d.box),
            mask=keep("masks", str(i), d.mask.astype(np.uint8) * 255),
        )
        for i, d in enumerate(case.defects)
    ]  # fmt: skip
    names = ", ".join(d.defect_type.replace("_", " ") for d in case.defects)
    close_up = shown.found.close_up
    return PreferenceRecord(
        domain=case.category,
        test_image=keep("images", "test", case.test),
        reference_image=keep("images", "reference", case.references[0]),
        close_up=None if close_up is None else keep("images", "close-up", close_up),
        pair_type="defect identification",
        question_answer=questions,
        conclusion_en=f"The part has a defect: {names}." if names else "The part has no defect.",
        split=split,
        family=case.family,
        facts=[fact.id for fact in shown.facts],
        evidence=[item.summary for item in shown.evidence],
        defects=marked,
        rewarded_by=JUDGE,
    )
