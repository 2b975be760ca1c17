"""Ranked answers (AD-PL) as questions for E-DPO: what the model is shown, all answers best first, and a score for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import Dataset

from agent.vlm.prompt import Views, inert, question_text
from training.adpl import PreferenceRecord, RankedQuestion
from training.recipe import RecipeError
from training.sfe.adpl_rows import records_of, shown_evidence, shown_facts, upright
from training.sfe.rows import conversation


@dataclass
class Left:
    """Questions that cannot be learnt from."""

    places: list[tuple[str, str]] = field(default_factory=list)
    """Where, and why."""

    def __str__(self) -> str:
        return "; ".join(f"{count} questions {why}" for why, count in Counter(why for _, why in self.places).items())


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
    tokenizer: Any = None,
    context: int | None = None,
) -> tuple[Dataset, Left]:
    """Questions as `RankedCollator` takes them, whose photos are read when a question is; and those left out.

    Answers are sorted by score; of those that score the same, the better rank comes first. Left out are questions whose answers
    all score the same, which say nothing of the ranking, those without scores where there should be some, and those with an
    answer that is longer than the context.

    Args:
        file: an AD-PL file.
        images: folder that its photos lie below; None: the file's own.
        facts: put the record's facts before the model.
        references: show the reference.
        tokenizer: measures the answers; None: they are not measured.
        context: most tokens that the model reads; None: any number.

    Raises:
        RecipeError: as `training.sfe.adpl_rows.records_of`, and where no question is left.
    """
    folder = file.parent if images is None else images
    left, rows = Left(), list[dict[str, Any]]()
    for number, record in enumerate(records_of(file, folder), 1):
        photos = [record.test_image, record.reference_image] if references else [record.test_image]
        shown = shown_facts(record) if facts else []
        for place, question in enumerate(record.question_answer, 1):
            at = f"record {number}, question {place}"
            scores = scores_of(record, question)
            if scores is None:
                left.places.append((at, "whose answers the evaluator could not score"))
                continue
            order = sorted(range(len(scores)), key=lambda i: -scores[i])
            answers = [inert(question.answer_options[i].answer_en) for i in order]
            if len(set(scores)) == 1:
                left.places.append((at, "whose answers all score the same"))
            elif context is not None and _longest(tokenizer, answers) > context:
                left.places.append(
                    (at, f"with an answer of more than {context} tokens, which is all that the model reads")
                )
            else:
                rows.append(
                    {
                        "text": question_text(question.question_en, shown, shown_evidence(record)),
                        "photos": [str(folder / photo) for photo in photos],
                        "answers": answers,
                        "scores": [scores[i] for i in order],
                        "place": at,
                    }
                )
    if not rows:
        raise RecipeError(f"adpl {str(file)!r}: no question to learn from; {left}")
    return Dataset.from_list(rows).with_transform(as_questions), left


def as_questions(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Rows as they are stored, opened: `prompt` in place of the text, photos in place of their paths."""
    made = dict(batch)
    opened = [[upright(Path(path)) for path in paths] for paths in batch["photos"]]
    made["photos"] = opened
    made["prompt"] = [
        conversation(text, "", photos, Views(len(photos) - 1))["prompt"]
        for text, photos in zip(made.pop("text"), opened, strict=True)
    ]
    return made


def _longest(tokenizer: Any, answers: Sequence[str]) -> int:
    return max(len(ids) for ids in tokenizer(list(answers), add_special_tokens=False)["input_ids"])
