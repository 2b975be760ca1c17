"""A question of an investigation session about a drawn case: what is before the model, and how it went."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from agent.gather import CLOSE_LOOKS, take_looks
from agent.vlm.prompt import NumberedFact, Views, question_text
from agent.vlm.quotes import quoted
from agent.vlm.tool_calls import ToolCall
from evals.drawn import detector_for, read_calibrations
from evals.follow_up_answers import Before
from knowledge.facts import Fact
from tools.evidence import Evidence
from tools.images import ImageStore
from tools.toolbox import Bench, build_tools
from training.cases import SETTINGS
from training.draw.scene import Case, draw_case
from training.draw.splits import SPLITS
from training.steps import Step
from training.story import Look, Story
from training.wordings import Asked

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool
    from numpy.typing import NDArray

SEED = 8_300_000


@dataclass(frozen=True)
class Visit:
    """A drawn case with the tools bound to it."""

    number: int
    case: Case
    references: tuple[NDArray[np.uint8], ...]
    """Those that the model sees."""
    tools: dict[str, BaseTool]
    images: ImageStore
    taken: tuple[Evidence, ...]
    """Of the inspection before the session."""


@dataclass(frozen=True)
class Taken:
    """One reply, with what would have been right."""

    reply: str
    wanted: str
    """The reply of who follows the rules of the training text."""
    calls: tuple[ToolCall, ...]
    problems: tuple[str, ...]


@dataclass
class Turn:
    """One question about a case, and how it went."""

    visit: Visit
    asked: Asked
    held_out: bool
    """In words that training does not use."""
    evidence: list[Evidence]
    facts: list[Fact]
    state: str
    """What facts it begins with: `on the kind`, `descriptions` or `own`."""
    failed: dict[str, str] = field(default_factory=dict)
    """Calls that came to nothing, and why."""
    steps: list[Taken] = field(default_factory=list)

    @property
    def before(self) -> Before:
        return Before(self.visit.case, bool(self.visit.references), self.aliases, self.evidence)

    @property
    def aliases(self) -> dict[str, Fact]:
        return {f"F{i}": fact for i, fact in enumerate(self.facts, 1)}

    @property
    def text(self) -> str:
        """The prompt."""
        text = question_text(self.asked.question, self._numbered(), [(item.id, item.summary) for item in self.evidence])
        failed = "; ".join(f"{name}: {why}" for name, why in self.failed.items())
        return f"{text}\nCalls that failed: {failed}" if failed else text

    @property
    def wanted(self) -> str:
        looks = [Look(item.tool, item.summary, item.values) for item in self.evidence]
        case = replace(self.visit.case, references=self.visit.references)
        story = Story(case, looks, self._numbered(), np.random.default_rng(0))
        return Step(story, self.asked, bool(self.visit.references), tuple(self.failed)).reply()

    @property
    def photos(self) -> tuple[list[NDArray[np.uint8]], Views]:
        crops = [id for item in reversed(self.evidence) if item.tool == "zoom" for id in item.image_ids][:1]
        shown = [np.asarray(self.visit.images.photo(id)) for id in crops]
        return [self.visit.case.test, *self.visit.references, *shown], Views(len(self.visit.references), bool(crops))

    @property
    def answer(self) -> str:
        return self.steps[-1].reply if self.steps else ""

    def told(self, reply: str) -> str:
        """A reply as the person reads it: facts and evidence in their own words."""
        texts = {alias: fact.text for alias, fact in self.aliases.items()}
        return quoted(reply, texts | {item.id: item.summary for item in self.evidence})

    def _numbered(self) -> list[NumberedFact]:
        return [NumberedFact(alias, f.kind, f.defect_type, f.text) for alias, f in self.aliases.items()]


class _NoStore:
    def search(self, query: str, **filters: object) -> list:  # type: ignore[type-arg]
        """Facts are looked up in the index instead."""
        return []


def visits(count: int, eye: Path, seed: int = SEED) -> Iterator[Visit]:
    """Cases of families that no training has seen, drawn as those of `training.cases`, with the agent's tools."""
    from agent.vlm import Eye, Kinds
    from agent.vlm.nano import shipped

    encoder, kinds = Eye.load(eye), Kinds.load(shipped("sage-kinds"))
    calibrations, split = read_calibrations(eye), SPLITS["unseen_families"]
    for number in range(count):
        rng = np.random.default_rng([seed, number, 1])
        setting: Any = str(rng.choice(list(SETTINGS), p=[share for share, _ in SETTINGS.values()]))
        case = draw_case(
            (seed, number), anomalous=0.6, references=SETTINGS[setting][1], families=split.families, types=split.types
        )
        images = ImageStore()
        images.add("test", Image.fromarray(case.test))
        shown = case.references if setting == "one-shot" else ()
        ids = tuple(images.add(f"reference-{i}", Image.fromarray(r)) for i, r in enumerate(shown, 1))
        detector = detector_for(encoder, case, setting, calibrations)
        bench = Bench(images, encoder, detector, _NoStore(), ids, likeness=kinds)
        tools = {tool.name: tool for tool in build_tools(bench)}
        taken, _ = take_looks(tools, "test", CLOSE_LOOKS)
        yield Visit(number, case, shown, tools, images, tuple(taken))
