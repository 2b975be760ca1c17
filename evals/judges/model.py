"""A judge that is a chat model: asked several times, held to one form of reply; anything else is unscored."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any

from evals.errors import EvalError
from evals.judges.prompt import RESPONSE_FORMAT, Grades, judge_messages, prompt_version, read_grades, shortened
from evals.mle import MleScore, Truth

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from agent.model import Vlm

SAMPLES = 4
"""Even, so that candidate and reference come first equally often."""
TEMPERATURE = 0.7
MAX_TOKENS = 300
_MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What client libraries of servers raise for a body that is no completion: a web page, half of its JSON, no choices."""


class ModelJudge:
    """Grades answers with any chat model, by the mean of several replies.

    Reads words only: question, true facts of the case, reference answer and candidate. A thinking model must keep its
    thoughts out of the reply, as servers do that are started with a reasoning parser.
    """

    def __init__(self, vlm: Vlm, *, samples: int = SAMPLES, temperature: float = TEMPERATURE, seed: int = 0) -> None:
        """Judge with a model, as `agent.model.load_vlm` gives it.

        Args:
            vlm: transformers model or server; how long a server may take and how often it is tried again is its client's matter.
            samples: replies an answer, 1 or more; in every other one the candidate stands before the reference.
            temperature: above 0 to draw replies that differ; 0 for the likeliest one in each order.
            seed: of the first reply; the next ones count up.

        Raises:
            EvalError: the model cannot judge, or an argument is out of range.
        """
        if not vlm.follows_instructions:
            raise EvalError(
                f"judge={vlm.info.name!r}: was trained on fixed prompts alone and cannot grade; name a model that follows "
                "instructions: a transformers folder or id, or a server address that ends in /v1"
            )
        if samples < 1 or not 0 <= temperature <= 2:
            raise EvalError(
                f"samples={samples!r}, temperature={temperature!r}: expected at least 1 sample and 0 to 2 for the temperature"
            )
        self.name = (
            f"{vlm.info.name} ({vlm.info.revision}; prompt {prompt_version()}; {samples} samples at {temperature:g})"
        )
        self._vlm = vlm
        self._samples = samples
        self._temperature = temperature
        self._seed = seed
        self._schema = True

    def judge(self, answer: str, truth: Truth) -> MleScore:
        """Score an answer by the mean of the valid replies, scale by scale; unscored where fewer than half are valid, or
        where the answer says nothing."""
        if not answer.strip():
            return MleScore(unscored="the answer says nothing")
        needed = (self._samples + 1) // 2
        good: list[Grades] = []
        bad: list[str] = []
        for number in range(self._samples):
            grades = self._grades(answer, truth, number)
            if isinstance(grades, Grades):
                good.append(grades)
                continue
            bad.append(f"sample {number + 1}: {grades}")
            # Not worth asking further: a server that is down costs its time-out each time.
            if len(bad) > self._samples - needed:
                return MleScore(unscored=f"too few valid replies of {self._samples}; {'; '.join(bad)}")
        return MleScore(
            type=fmean(grades.type for grades in good),
            location=fmean(grades.location for grades in good),
            logic=fmean(grades.logic for grades in good),
            remarks=(*(shortened(grades.why, 300) for grades in good), *(f"not counted: {why}" for why in bad)),
        )

    def _grades(self, answer: str, truth: Truth, number: int) -> Grades | str:
        """The grades of one sample, or why there are none."""
        failures = self._vlm.failures
        # Only a server can send these: of a local model they would be faults of this program, and must be seen.
        malformed = _MALFORMED if failures else ()
        messages = judge_messages(answer, truth, swapped=number % 2 == 1)
        try:
            reply = self._ask(messages, self._seed + number)
        except failures as error:
            return f"no reply: {_said(error)}"
        except malformed as error:
            return f"no reply that is a completion: {_said(error)}"
        if refusal := reply.additional_kwargs.get("refusal"):
            return f"refused: {shortened(str(refusal), 200)}"
        return read_grades(reply.text)

    def _ask(self, messages: list[BaseMessage], seed: int) -> BaseMessage:
        limits: dict[str, Any] = {"temperature": self._temperature, "seed": seed, "max_tokens": MAX_TOKENS}
        if not self._schema:
            return self._vlm.chat.invoke(messages, **limits)
        try:
            return self._vlm.chat.invoke(messages, response_format=RESPONSE_FORMAT, **limits)
        except self._vlm.failures as error:
            if getattr(error, "status_code", None) not in (400, 422):
                raise
            # It may be a server that knows no schemas; only where it replies without one is that so.
            reply = self._vlm.chat.invoke(messages, **limits)
            self._schema = False
            return reply


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {shortened(str(error), 200)}"
