"""Questions put to the agent about one photo at a time: what came of them, and how they are run.

Shared by the tasks `adpl` and `mmad`. One sample of a run is all questions about one photo, so that a photo is inspected
once and what is resumed is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict

from agent.report import InspectionReport, ModelInfo
from evals.mle import MleScore

if TYPE_CHECKING:
    from agent.images import ImageSource


class Gathered(Protocol):
    """An inspected photo that can be asked about; `agent.sample.Gathered` is one."""

    @property
    def report(self) -> InspectionReport:
        """Of the inspection."""
        ...

    def answer(self, question: str) -> str:
        """The model's words over facts and evidence, citing them by their short ids."""
        ...

    def choose(self, question: str, options: Mapping[str, str]) -> dict[str, float] | None:
        """Probability of each option's letter; None where the model was about to say something else."""
        ...


class Answering(Protocol):
    """The agent as these tasks need it; `agent.inspector.Inspector` is one."""

    def gather(self, image: ImageSource, *, reference: ImageSource | Sequence[ImageSource] | None = None) -> Gathered:
        """Inspect a photo in full."""
        ...

    def answer_alone(
        self, image: ImageSource, question: str, *, reference: ImageSource | Sequence[ImageSource] | None = None
    ) -> str:
        """The answer of the model without tools or facts."""
        ...

    def choose_alone(
        self,
        image: ImageSource,
        question: str,
        options: Mapping[str, str],
        *,
        reference: ImageSource | Sequence[ImageSource] | None = None,
    ) -> dict[str, float] | None:
        """The choice of the model without tools or facts."""
        ...


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Reply(_Part):
    """What one system said to one question."""

    given: str | None
    """`True` or `False`, or the letter of an option; None: undecided, which is wrong."""
    text: str = ""
    """In words; empty where it only chose a letter."""
    probabilities: dict[str, float] | None = None
    """Of the letters, where options were given."""
    scores: dict[str, MleScore] = {}
    """By the name of the judge."""


class Asked(_Part):
    """One question and the replies to it."""

    kind: str
    """Pair type or subtask."""
    question: str
    options: dict[str, str] = {}
    """From letter to text, in the set's order; empty where True or False was asked for."""
    right: str
    """As `Reply.given`."""
    agent: Reply
    vlm: Reply
    """The model alone."""


class AskedPhoto(_Part):
    """All questions about one photo."""

    id: str
    category: str
    """The product."""
    label: int | None
    """0 normal, 1 anomalous, None where nobody said."""
    defect_type: str
    photo: str
    """Its path."""
    reference: str | None
    """That of the photo beside it."""
    seconds: float
    """Wall time of the agent, the baseline left out."""
    model: ModelInfo
    asked: list[Asked]


class Failure(_Part):
    """A photo that nothing could be asked about."""

    id: str
    kinds: list[str]
    """Of its questions."""
    error: str
    """One line."""


@dataclass(frozen=True)
class Due:
    """A photo that is to be asked about."""

    id: str
    kinds: tuple[str, ...]
    """Of its questions."""


@dataclass(frozen=True)
class Run:
    """What came of all photos, in the order of the data."""

    photos: list[AskedPhoto]
    failures: list[Failure]
    tokens: int | None


@contextmanager
def ask_all(
    task: str,
    due: Sequence[Due],
    look: Callable[[str], AskedPhoto],
    asked: dict[str, Any],
    out: Path,
    *,
    jobs: int = 1,
    show: bool = True,
) -> Iterator[Run]:
    """Ask all questions, or those that a stopped run of the same left; results are made inside the `with`.

    Args:
        task: Its name.
        due: What is to be asked about.
        look: Asks about one photo, by its id; what it raises fails this photo alone.
        asked: What tells this run from others; JSON.
        out: Folder for the log.
        jobs: How many photos are asked about at once.
        show: Print progress to stderr.

    Raises:
        EvalError: see `evals.engine.ran`.
    """
    from evals import engine

    kinds = {photo.id: list(photo.kinds) for photo in due}
    items = [engine.Item(id, {"kinds": of}) for id, of in kinds.items()]
    with engine.ran(
        task, items, engine.in_thread(look), _right, AskedPhoto, {"task": task, **asked}, out, jobs=jobs, show=show
    ) as ran:
        failures = [Failure(id=id, kinds=kinds[id], error=error) for id, error in ran.errors.items()]
        yield Run(ran.records, failures, ran.tokens)


def _right(photo: AskedPhoto) -> float:
    """Share of a photo's questions that the agent got right."""
    return sum(asked.agent.given == asked.right for asked in photo.asked) / len(photo.asked)
