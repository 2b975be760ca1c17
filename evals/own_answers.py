"""AD-PL of a model's own answers: it answers questions about drawn cases several times over, and what was drawn ranks them.

It is asked as in an inspection: photo, reference and close-up, the facts it asks for, what the tools found.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from agent.images import InputError
from agent.model import load_vlm
from agent.vlm.chat import TransformersChat
from agent.vlm.nano import shipped
from evals.drawn import DrawnLooks
from evals.exam import REPLY, AskingAbout, Exam, Sheet
from evals.files import write_whole
from evals.judges.reference import ReferenceJudge
from evals.judges.truth import truth_of_case
from evals.mle import Truth
from evals.verdicts import verdict_of
from training.adpl import ANSWERS, UNANSWERABLE, MarkedDefect, PreferenceRecord, RankedAnswer, RankedQuestion
from training.cases import kept_cases, seen_with
from training.fact_index import numbered
from training.follow_ups import unseen_topic
from training.rank.folder import same
from training.rank.sample import DEFAULT_QUESTIONS
from training.steps import unseen_reply
from training.story import Story

if TYPE_CHECKING:
    from datasets import Dataset

ASKED = DEFAULT_QUESTIONS[:-1]
"""Of every case; the last question is one that no photo answers, lest declining be taken for always wrong."""
ABOUT_A_DEFECT = (True, False, True, False)
"""Whether True says of a part that it is defective, for each of them."""
SEED = 5_800_000
"""From which on cases are drawn for it, apart from those of other training."""
TOGETHER = 16
"""Cases that are asked about at once."""


def answer_drawn_cases(
    model: str | None,
    out: Path,
    *,
    split: str,
    cases: int,
    draws: int,
    temperature: float,
    seed: int,
) -> tuple[Path, int, int]:
    """Draw cases below `out`, where they are kept, and rank a model's answers to those with a reference.

    Args:
        model: folder of a core model; None: the shipped one.
        out: folder.
        split: a name of `training.draw.splits.SPLITS`.
        cases: how many to draw.
        draws: as of `rank_own_answers`, like the rest.
        temperature: as of it.
        seed: of cases and answers.

    Returns:
        As `rank_own_answers`.

    Raises:
        InputError: the model cannot be loaded, or is none of transformers.
        RecipeError: the folder holds cases that were drawn otherwise.
        EvalError: the file cannot be written.
    """
    chat = load_vlm(model).chat
    if not isinstance(chat, TransformersChat):
        raise InputError(f"model={model!r}: expected a folder of transformers; a server's answers cannot be trained on")
    eye = shipped("sage-eye")
    drawn = kept_cases(
        out / f"cases-{split}", cases, SEED + seed, DrawnLooks(eye), os.cpu_count() or 1, seen_with(eye), split
    )
    one_shot = drawn.filter(lambda references: len(references) > 0, input_columns="references")
    return rank_own_answers(
        chat.model, chat.processor, one_shot, out,
        split=split, draws=draws, temperature=temperature, seed=seed,
    )  # fmt: skip


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
) -> tuple[Path, int, int]:
    """Write `out`/SPLIT.jsonl, and photos and masks below `out`.

    To each of four questions stand the answer that follows from the case and three that the model gave, best first by the
    reference judge, whose marks are the rewards; the fifth is one that no photo answers.

    Args:
        model: of transformers.
        processor: its processor.
        cases: of `training.cases.kept_cases`, each with a reference.
        out: folder.
        split: which part of the drawn world the cases are of; names the file.
        draws: answers drawn to a question, at least 3; of more, the best, the worst and one between them are kept.
        temperature: above 0.
        seed: of the draws.

    Returns:
        The file, its records, and how many cases were left out: some question had fewer than three different answers that can
        be marked, or what follows from the case did not come out first.
    """
    exam, asking, lines = Exam(cases, seed=seed), AskingAbout(model, processor), list[str]()
    for at in tqdm(range(0, len(cases), TOGETHER), desc=f"asking about {len(cases)} cases, {TOGETHER} at a time"):
        numbers = range(at, min(at + TOGETHER, len(cases)))
        sheets = [exam.sheet(number, cases[number]) for number in numbers]
        exam.look_up(asking, sheets)
        for number, sheet, answers in zip(
            numbers, sheets, _draw(asking, sheets, draws, temperature, seed + at * draws), strict=True
        ):
            if (questions := _ranked(sheet, answers, np.random.default_rng([seed, number, 1]))) is not None:
                record = _record(sheet, questions, out, split, f"{number:06d}")
                lines.append(record.model_dump_json(exclude_none=True))
    file = write_whole(out / f"{split}.jsonl", "".join(f"{line}\n" for line in lines))
    return file, len(lines), len(cases) - len(lines)


def _draw(
    asking: AskingAbout, sheets: Sequence[Sheet], draws: int, temperature: float, seed: int
) -> list[list[list[str]]]:
    """Different answers by case and question."""
    asked = [sheet for sheet in sheets for _ in ASKED]
    texts = [sheet.prompt(question) for sheet in sheets for question in ASKED]
    found: list[list[str]] = [[] for _ in texts]
    for draw in range(draws):
        drawn = asking(asked, texts, REPLY, temperature=temperature, seed=1000 * (seed + draw))
        for kept, (_, reply) in zip(found, drawn, strict=True):
            if reply.text and not any(same(reply.text, other) for other in kept):
                kept.append(reply.text)
    count = len(ASKED)
    return [found[at : at + count] for at in range(0, len(found), count)]


def _ranked(sheet: Sheet, drawn: Sequence[Sequence[str]], rng: np.random.Generator) -> list[RankedQuestion] | None:
    """The questions with their answers; None where one has too few, or where a wrong verdict would stand first."""
    case, judge = sheet.case, ReferenceJudge()
    story = Story(case, sheet.found.looks, numbered(sheet.facts), rng)
    truth = truth_of_case(case, sheet.aliases, sheet.evidence)
    questions = []
    for text, says, answers in zip(ASKED, ABOUT_A_DEFECT, drawn, strict=True):
        value = case.anomalous is says
        # The reasons of a verdict are those of its contrary's denial too.
        told = f"{value}. {story.verdict().split('. ', 1)[1]}"
        asked = truth if text == ASKED[0] else truth.model_copy(update={"question": text, "answer": value})
        marks = {answer: judge.judge(answer, asked).mean for answer in [told, *answers]}
        others = sorted(
            ((mark, a) for a, mark in marks.items() if mark is not None and not same(a, told)), reverse=True
        )
        first = marks[told]
        if first is None or len(others) < ANSWERS - 1:
            return None
        # Stable, so that of equals what follows from the case stands first.
        ranked = sorted(
            [(first, told), others[0], others[len(others) // 2], others[-1]], key=lambda pair: pair[0], reverse=True
        )
        if not ranked[0][1].startswith(f"{value}"):
            return None
        options = [RankedAnswer(answer_en=answer, reward=reward) for reward, answer in ranked]
        questions.append(RankedQuestion(question_en=text, answer=value, answer_options=options))
    unseen = _unseen(drawn, truth, rng)
    return None if unseen is None else [*questions, unseen]


def _unseen(drawn: Sequence[Sequence[str]], truth: Truth, rng: np.random.Generator) -> RankedQuestion | None:
    """A question that no photo answers, with the reply that says so and three answers that the model gave to others."""
    judge, (text, topic) = ReferenceJudge(), unseen_topic(rng)
    asked = truth.model_copy(update={"question": text, "answer": UNANSWERABLE})
    given = list(dict.fromkeys(a for answers in drawn for a in answers if verdict_of(a) != UNANSWERABLE))
    if len(given) < ANSWERS - 1:
        return None
    others = [given[i] for i in rng.choice(len(given), ANSWERS - 1, replace=False)]
    options = [RankedAnswer(answer_en=a, reward=judge.judge(a, asked).mean) for a in (unseen_reply(topic), *others)]
    return RankedQuestion(question_en=text, answer=UNANSWERABLE, answer_options=options)


def _record(sheet: Sheet, questions: list[RankedQuestion], out: Path, split: str, name: str) -> PreferenceRecord:
    """The record, with its photos and masks on disk."""
    case, close_up = sheet.case, sheet.found.close_up

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
        facts=[fact.id for fact in sheet.facts],
        evidence=[item.summary for item in sheet.evidence],
        defects=marked,
        rewarded_by=ReferenceJudge.name,
    )
