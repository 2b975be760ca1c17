"""Several different answers of a model to questions about one photo, over the facts and evidence the agent gathers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.model import Vlm
from agent.verify import problems_of
from agent.vlm.prompt import VERDICT_QUESTION, Views, choice_text, one_line, question_text, read_answer
from tools.evidence import Evidence

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage
    from PIL import Image

    from agent.images import ImageSource
    from agent.inspector import Inspector
    from agent.report import InspectionReport
    from knowledge.facts import Fact


@dataclass(frozen=True)
class _Asked:
    images: Sequence[Image.Image]
    views: Views
    text: str


@dataclass(frozen=True)
class _Listening(Vlm):
    """Keeps what the agent asks it."""

    asked: list[_Asked] = field(default_factory=list)

    def ask(
        self, images: Sequence[Image.Image], views: Views, text: str, critique: str = "", **options: Any
    ) -> AIMessage:
        self.asked.append(_Asked(images, views, text))
        return super().ask(images, views, text, critique, **options)


@dataclass(frozen=True)
class Gathered:
    """An inspection whose model can be asked other questions, each in the very words and pictures of the verdict's."""

    report: InspectionReport
    facts: list[Fact]
    """Those put before the model, in the order of their short ids F1, F2, …"""
    defect_types: frozenset[str]
    """Every defect type there is."""
    _vlm: Vlm
    _prompt: _Asked
    """Without the question, which comes last."""

    @property
    def evidence(self) -> list[str]:
        """The summaries put before the model, in the order of their ids E1, E2, …"""
        return [item.summary for item in self.report.evidence if item.tool != "query_facts"]

    def answer(self, question: str, *, temperature: float = 0.0, seed: int = 0) -> str:
        """The model's answer; drawn when `temperature` is above 0. Raises `agent.images.InputError` where it gives none."""
        text = self._prompt.text + question_text(question, [], [])
        reply = self._vlm.ask(self._prompt.images, self._prompt.views, text, temperature=temperature, seed=seed)
        return str(reply.content).strip()

    def choose(self, question: str, options: Mapping[str, str]) -> dict[str, float] | None:
        """Probability of each option's letter, as `agent.vlm.chat.letter_probabilities`; `options` from letter to text.

        Raises:
            agent.images.InputError: the model gave no answer.
        """
        from agent.vlm.chat import letter_probabilities

        text = self._prompt.text + choice_text(question, options)
        reply = self._vlm.ask(self._prompt.images, self._prompt.views, text, max_tokens=1)
        return letter_probabilities(reply, list(options))

    def support(self, answer: str) -> float | None:
        """Share of an answer's sentences that hold against what they cite, 0 to 1; None where it has no sentence."""
        facts = {f"F{i}": fact for i, fact in enumerate(self.facts, 1)}
        evidence = {item.id: Evidence(**item.model_dump()) for item in self.report.evidence}
        sentences = read_answer(answer)[1]
        good = sum(not problems_of(sentence, facts, evidence, self.defect_types) for sentence in sentences)
        return good / len(sentences) if sentences else None


def gather(inspector: Inspector, image: ImageSource, **options: Any) -> Gathered:
    """Inspect a photo, and keep what was put before the model; `options` as for `Inspector.inspect`.

    Raises:
        agent.images.InputError: bad input, or no answer from the model.
        tools.detector.DetectorError: the fitted detector of the category cannot be read.
    """
    from agent.inspector import Inspector

    heard = _Listening(**vars(inspector.vlm))
    listening = Inspector(
        heard, inspector.encoder, inspector.facts, inspector.home, inspector.weights, inspector.without
    )
    report = listening.inspect(image, **options)
    ending = question_text(VERDICT_QUESTION, [], [])
    prompt = next(
        asked for asked in reversed(heard.asked) if asked.text.endswith(ending)
    )  # the first is without evidence
    # A report may hold more: what to do with a part whose defect is of no known kind.
    facts = [f for f in inspector.facts.get([f.id for f in report.facts]) if one_line(f.text) in prompt.text]
    before = _Asked(prompt.images, prompt.views, prompt.text.removesuffix(ending))
    return Gathered(report, facts, inspector.facts.defect_types(), inspector.vlm, before)
