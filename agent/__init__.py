"""Visual inspection that explains itself: `agent.inspect(image)` returns a cited report.

>>> import agent
>>> report = agent.inspect("part.png", reference="good.png")
>>> report.verdict, report.anomaly_score
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # before anything imports the hub's client

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from agent.images import ImageSource, InputError
    from agent.inspector import Inspector
    from agent.report import Depth, InspectionReport
    from agent.session import Session, SessionError, sessions

__all__ = [
    "InputError",
    "InspectionReport",
    "Inspector",
    "Session",
    "SessionError",
    "inspect",
    "inspect_many",
    "sessions",
]

_HOMES = {
    "InputError": "images",
    "InspectionReport": "report",
    "Inspector": "inspector",
    "Session": "session",
    "SessionError": "session",
    "sessions": "session",
}


def inspect(
    image: ImageSource,
    *,
    reference: ImageSource | Sequence[ImageSource] | None = None,
    category: str | None = None,
    question: str | None = None,
    depth: Depth = "full",
    mm_per_px: float | None = None,
    model: str | None = None,
    tools: Sequence[BaseTool] = (),
) -> InspectionReport:
    """Inspect one photo; see `agent.inspector.Inspector.inspect` for the arguments and `agent.model.load_vlm` for `model`.

    The models are loaded at the first call and kept.

    Raises:
        InputError: bad input, or a model that cannot be loaded or gives no answer.
        tools.detector.DetectorError: the fitted detector of `category` cannot be read.
        knowledge.StoreError: the fact store cannot be used.
    """
    return _inspector(model).inspect(
        image,
        reference=reference,
        category=category,
        question=question,
        depth=depth,
        mm_per_px=mm_per_px,
        tools=tools,
    )


def inspect_many(
    images: Iterable[ImageSource], *, model: str | None = None, **options: Any
) -> Iterator[InspectionReport]:
    """Inspect photos one after another, as an iterator; `options` as for `inspect`.

    Raises:
        InputError: at the first photo that cannot be inspected; call `inspect` in a loop of your own to go on after one.
    """
    inspector = _inspector(model)
    for image in images:
        yield inspector.inspect(image, **options)


def _inspector(model: str | None) -> Inspector:
    from agent.inspector import Inspector

    return Inspector.shared(model)


def __getattr__(name: str) -> object:
    # Loaded on first use: torch and transformers take seconds, and `import agent` should not.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"agent.{_HOMES[name]}"), name)
