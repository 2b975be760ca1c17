"""What a core model makes of ranked questions by itself: photo, reference and facts before it, as it was aligned."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.vlm.prompt import question_text, read_answer
from evals.asking import Asking, Prompt
from evals.figures.clustered import Value
from evals.judges.records import read_records
from evals.judges.truth import truths_below
from evals.mle import WORST, judge_reference
from evals.verdicts import verdict_of
from training.adpl_file import below
from training.sfe.adpl_rows import shown_evidence, shown_facts, shown_photos, upright

if TYPE_CHECKING:
    from training.adpl import PreferenceRecord

REPLY = 160
"""Most tokens of an answer."""


@dataclass(frozen=True)
class Answered:
    """One question, and what came of it."""

    record: str
    number: int
    right: bool
    """The verdict agrees."""
    mle: float
    """1 to 5; an answer that cannot be judged counts as the worst."""
    parsed: bool
    tokens: int


class AdplExam:
    """Asks a model the questions of AD-PL records."""

    def __init__(
        self, file: Path, limit: int | None = None, seed: int = 0, *, facts: bool = True, references: bool = True
    ) -> None:
        """Read the records.

        Args:
            file: AD-PL, its photos beside it.
            limit: at most so many records, drawn by the seed.
            seed: draws them.
            facts: put the records' facts before the model.
            references: show the references.

        Raises:
            EvalError: a fault in the file.
        """
        records = list(enumerate(read_records(file, file.parent), 1))
        if limit is not None and limit < len(records):
            records = sorted(random.Random(seed).sample(records, limit))
        self.records: list[tuple[int, PreferenceRecord]] = records
        self.folder, self.facts, self.references = file.parent, facts, references

    def sit(self, model: Any, processor: Any) -> list[Answered]:
        """Every question with what the model made of it."""
        truth_of, prompts, asked = truths_below(self.folder), list[Prompt](), []
        for number, record in self.records:
            names, views = shown_photos(record, references=self.references)
            photos = [upright(below(self.folder, name)) for name in names]  # type: ignore[arg-type]
            shown = shown_facts(record) if self.facts else []
            for place, question in enumerate(record.question_answer):
                text = question_text(question.question_en, shown, shown_evidence(record))
                prompts.append(Prompt(text, photos, views))
                asked.append((str(number), place, question.answer, truth_of(record, question)))
        found = []
        replies = Asking(model, processor).replies(prompts, REPLY)
        for (record_id, place, answer, truth), reply in zip(asked, replies, strict=True):
            given, sentences = verdict_of(reply.text), read_answer(reply.text)[1]
            mark = judge_reference(reply.text, truth).mean
            found.append(
                Answered(
                    record_id, place, given == answer, WORST if mark is None else mark,
                    given is not None and bool(sentences), reply.tokens,
                )
            )  # fmt: skip
        return found


def values_of(sat: Sequence[Answered]) -> dict[str, list[Value]]:
    """MLE, accuracy over questions and over whole records, share that can be read, and length in tokens, question by question."""
    each = {
        "mle": lambda a: a.mle,
        "accuracy": lambda a: float(a.right),
        "parsed": lambda a: float(a.parsed),
        "tokens": lambda a: float(a.tokens),
    }
    found = {name: [Value(f"{a.record}/{a.number}", of(a), a.record) for a in sat] for name, of in each.items()}
    groups: dict[str, bool] = {}
    for a in sat:
        groups[a.record] = groups.get(a.record, True) and a.right
    found["group_accuracy"] = [Value(record, float(right), record) for record, right in groups.items()]
    return found
