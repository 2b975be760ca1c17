"""Rewards: a score of an evaluator for each ranked answer of AD-PL records, as E-DPO's margins need.

An evaluator is a judge, whose mean over the three scales is the reward, or a reward model. A question with an answer that
cannot be scored gets no rewards at all, and is listed with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from evals.errors import EvalError
from training.adpl_file import AdplFault

if TYPE_CHECKING:
    from evals.mle import Judge, Truth
    from training.adpl import PreferenceRecord, RankedQuestion

REWARD_MODEL = "reward:"
"""What the name of a reward model is written behind."""


class Evaluator(Protocol):
    """Scores the answers to a question."""

    name: str
    """With its version: what a record has to say of who gave its rewards."""

    def rewards(self, record: PreferenceRecord, question: RankedQuestion) -> list[float] | str:
        """A finite score for each answer, in their order, the better the higher; or why there are none."""
        ...


class JudgeEvaluator:
    """A judge of MLE as an evaluator: the mean of its three scales, 1 (worst) to 5."""

    def __init__(
        self,
        judge: Judge,
        truth_of: Callable[[PreferenceRecord, RankedQuestion], Truth],
        *,
        needs_marks: bool = False,
    ) -> None:
        """Score with a judge.

        Args:
            judge: who scores.
            truth_of: what is known of a record's question, such as `evals.judges.truth.truths_below` tells.
            needs_marks: the judge goes by the marked defects alone: records without them are left unscored.
        """
        self.name = judge.name
        self._judge = judge
        self._truth_of = truth_of
        self._needs_marks = needs_marks

    def rewards(self, record: PreferenceRecord, question: RankedQuestion) -> list[float] | str:
        if self._needs_marks and record.defects is None:
            return f"the record does not say which defects there are, by which {self.name} goes"
        truth, found = self._truth_of(record, question), []
        for number, option in enumerate(question.answer_options, 1):
            score = self._judge.judge(option.answer_en, truth)
            if score.mean is None:
                return f"answer {number}: {score.unscored}"
            found.append(score.mean)
        return found


def evaluator_named(by: str, records: Iterable[PreferenceRecord], images: Path | None) -> Evaluator:
    """The evaluator of a name.

    Args:
        by: `reference`; `reward:` with a folder or id of a reward model; else a chat model as `agent.model.load_vlm` takes it.
        records: which it is to score.
        images: folder that their photos are below; judges need it for records with marked defects.

    Raises:
        EvalError: the folder is missing, or the model cannot judge or score.
        InputError: the chat model cannot be loaded.
    """
    if by.startswith(REWARD_MODEL):
        from evals.reward_model import RewardModel

        return RewardModel.load(by.removeprefix(REWARD_MODEL))
    if images is None and any(record.defects for record in records):
        raise EvalError(
            f"images None: expected the folder of the records' photos and masks, from which {by!r} is told of the defects"
        )
    from evals.judges.truth import truths_below

    truth_of = truths_below(images or Path())
    if by == "reference":
        from evals.judges.reference import ReferenceJudge

        return JudgeEvaluator(ReferenceJudge(), truth_of, needs_marks=True)
    from agent.model import load_vlm
    from evals.judges.model import ModelJudge

    return JudgeEvaluator(ModelJudge(load_vlm(by)), truth_of)


@dataclass
class Rewarded:
    """Records with rewards, and how that went."""

    lines: list[str] = field(default_factory=list)
    """The records as JSON, in their order."""
    scored: int = 0
    """Questions with rewards."""
    unscored: list[AdplFault] = field(default_factory=list)
    """Questions without, and why."""
    other_best: int = 0
    """Questions in which an answer has a higher reward than the one ranked first."""


def reward(records: Iterable[PreferenceRecord], evaluator: Evaluator) -> Rewarded:
    """Have every answer scored; earlier rewards are replaced, and all else is kept as it is."""
    found = Rewarded()
    for number, record in enumerate(records, 1):
        given = [evaluator.rewards(record, question) for question in record.question_answer]
        found.lines.append(json.dumps(_with_rewards(record, given, evaluator.name), ensure_ascii=False))
        for place, rewards in enumerate(given, 1):
            if isinstance(rewards, str):
                found.unscored.append(AdplFault(f"record {number}, question {place}", " ".join(rewards.split())))
            else:
                found.scored += 1
                found.other_best += rewards[0] < max(rewards)
    return found


def _with_rewards(record: PreferenceRecord, given: list[list[float] | str], name: str) -> dict[str, Any]:
    # Named even where it could not say: such a question is not to be taken for one that nobody was asked about.
    whole = record.model_dump(exclude_unset=True) | {"rewarded_by": name}
    for question, rewards in zip(whole["question_answer"], given, strict=True):
        for place, option in enumerate(question["answer_options"]):
            option.pop("reward", None)
            if not isinstance(rewards, str):
                option["reward"] = rewards[place]
    return whole
