"""Ranked answers (AD-PL) as questions for E-DPO: what the model is shown, all answers best first, and a score for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from agent.vlm.prompt import Views, inert, question_text
from training.adpl import PreferenceRecord, RankedQuestion
from training.recipe import RecipeError
from training.sfe.adpl_rows import records_of, shown_evidence, shown_facts, shown_photos, upright
from training.sfe.rows import conversation


@dataclass
class Read:
    """The questions of a file, and what was found while reading it."""

    rows: Dataset
    """Questions as `RankedCollator` takes them, whose photos are read when a question is."""
    left_out: list[tuple[str, str]]
    """Places of questions that cannot be learnt from, and why."""
    contradicted: int
    """Questions in which an answer scores higher than one that is ranked above it. The ranking stands."""


def why_left_out(left_out: list[tuple[str, str]]) -> str:
    """Counts and reasons, in a line."""
    return "; ".join(f"{count} {why}" for why, count in Counter(why for _, why in left_out).items())


def scores_of(record: PreferenceRecord, question: RankedQuestion) -> list[float] | None:
    """A score for each answer: an evaluator's reward, else the mean of its MLE scores, else its rank.

    Ranks are scores with gaps of 1: 3, 2, 1, 0 for four answers. None where an evaluator was asked and could not say.
    """
    options = question.answer_options
    rewards = [o.reward for o in options if o.reward is not None]
    if record.rewarded_by is not None or rewards:
        return rewards if len(rewards) == len(options) else None
    marks = [o.scores.mean for o in options if o.scores is not None]
    return marks if len(marks) == len(options) else [float(n) for n in reversed(range(len(options)))]


def ranked_questions(
    file: Path,
    images: Path | None,
    *,
    facts: bool = True,
    references: bool = True,
    processor: Any = None,
    context: int | None = None,
    argument: str = "adpl",
) -> Read:
    """Read ranked answers as questions.

    Left out are questions whose answers all score the same, those that an evaluator was asked about and could not score, and
    those that are longer than the context. Scores may contradict the ranking, which people have given: they say how far apart two
    answers are, not which is better.

    Args:
        file: an AD-PL file.
        images: folder that its photos lie below; None: the file's own.
        facts: put the record's facts before the model.
        references: show the reference.
        processor: measures the questions; None: they are not measured.
        context: most tokens that the model reads; None: any number.
        argument: what the file is called in errors.

    Raises:
        RecipeError: as `training.sfe.adpl_rows.records_of`, and where no question is left.
    """
    folder = file.parent if images is None else images
    left_out, rows, contradicted = list[tuple[str, str]](), list[dict[str, Any]](), 0
    for number, record in enumerate(records_of(file, folder, argument), 1):
        photos, views = shown_photos(record, references=references)
        shown = shown_facts(record) if facts else []
        for place, question in enumerate(record.question_answer, 1):
            at, scores = f"record {number}, question {place}", scores_of(record, question)
            text = question_text(question.question_en, shown, shown_evidence(record))
            answers = [inert(option.answer_en) for option in question.answer_options]
            if scores is None:
                left_out.append((at, "whose answers the evaluator could not score"))
            elif len(set(scores)) == 1:
                left_out.append((at, "whose answers all score the same"))
            elif context is not None and _tokens(processor, text, answers, len(photos)) > context:
                left_out.append((at, f"longer than the {context} tokens that the model reads"))
            else:
                paths = [str(folder / photo) for photo in photos]
                rows.append(
                    {
                        "text": text,
                        "photos": paths,
                        "close_up": views.close_up,
                        "answers": answers,
                        "scores": scores,
                        "place": at,
                    }
                )
                contradicted += sorted(scores, reverse=True) != scores
    if not rows:
        raise RecipeError(f"{argument} {str(file)!r}: no question to learn from; {why_left_out(left_out)}")
    return Read(Dataset.from_list(rows).with_transform(as_questions), left_out, contradicted)


def as_questions(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Rows as they are stored, opened: `prompt` in place of the text, photos in place of their paths."""
    made = dict(batch)
    opened = [[upright(Path(path)) for path in paths] for paths in batch["photos"]]
    made["photos"] = opened
    made["prompt"] = [
        conversation(text, "", photos, Views(len(photos) - 1 - close_up, close_up))["prompt"]
        for text, photos, close_up in zip(made.pop("text"), opened, made.pop("close_up"), strict=True)
    ]
    return made


def _tokens(processor: Any, text: str, answers: Sequence[str], photos: int) -> int:
    """Of the question with its longest answer and its photos, each as one tile, at least."""
    ids = processor.tokenizer([text, *answers], add_special_tokens=False)["input_ids"]
    return len(ids[0]) + max(map(len, ids[1:])) + photos * int(processor.image_seq_length)
