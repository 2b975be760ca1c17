"""A scripted agent that answers questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.images import load_image
from agent.report import CitedEvidence, CitedFact, ImageInfo, InspectionReport, ModelInfo, Scores
from knowledge.facts import shipped_pack

FACT = next(fact for fact in shipped_pack().facts if fact.kind == "defect" and fact.defect_type == "scratch")


def report_on(image: Path) -> InspectionReport:
    photo = load_image(image)
    return InspectionReport(
        id="1",
        created=datetime.now(UTC),
        image=ImageInfo(source=str(image), sha256=photo.sha256, width=photo.pixels.width, height=photo.pixels.height),
        category=None,
        setting="zero-shot",
        verdict="normal",
        anomaly_score=0.2,
        scores=Scores(),
        confidence=0.5,
        facts=[CitedFact(id=FACT.id, text=FACT.text, source=FACT.source)],
        evidence=[CitedEvidence(id="E1", tool="heatmap", arguments={}, summary="flat", values={"place": "centre"})],
        model=ModelInfo(name="scripted", revision="1", stage="external"),
    )


@dataclass(frozen=True)
class Scripted:
    report: InspectionReport
    agent: ScriptedAgent
    image: Path

    def answer(self, question: str) -> str:
        return self.agent.answers(self.image, question)

    def choose(self, question: str, options: Mapping[str, str]) -> dict[str, float] | None:
        return self.agent.chooses(self.image, question, options)


class ScriptedAgent:
    """Says what it is told to; `alone_...` without tools. Keeps every photo it is given."""

    def __init__(
        self,
        answers: Callable[[Path, str], str] = lambda image, question: "True.",
        chooses: Callable[[Path, str, Mapping[str, str]], dict[str, float] | None] = lambda *_: None,
        *,
        alone: Callable[..., Any] | None = None,
    ) -> None:
        self.answers, self.chooses = answers, chooses
        self.alone = alone
        self.gathered: list[tuple[Path, Path | None]] = []

    def gather(self, image: Any, *, reference: Any = None) -> Scripted:
        self.gathered.append((image, reference))
        return Scripted(report_on(image), self, image)

    def answer_alone(self, image: Any, question: str, *, reference: Any = None) -> str:
        return str((self.alone or self.answers)(image, question))

    def choose_alone(
        self, image: Any, question: str, options: Mapping[str, str], *, reference: Any | Sequence[Any] = None
    ) -> dict[str, float] | None:
        return (self.alone or self.chooses)(image, question, options)
