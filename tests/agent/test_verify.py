"""Sentences held against what they cite."""

from __future__ import annotations

import pytest
from parts import FACTS, TYPES

from agent.verify import problems_of
from agent.vlm.prompt import Sentence
from tools.evidence import Evidence

EVIDENCE = {
    "E1": Evidence(
        id="E1",
        tool="heatmap",
        summary="Heat map (one-shot): score 0.91, threshold 0.50, 1 region at or above it, peak in the upper left.",
        values={"place": "upper left", "regions": [{"place": "upper left"}]},
    ),
    "E2": Evidence(
        id="E2", tool="measure", summary="Region in the upper left: 42 by 6 px.", values={"place": "upper left"}
    ),
}
ALIASES = {f"F{i}": fact for i, fact in enumerate(FACTS, 1)}


@pytest.mark.parametrize(
    ("text", "cites"),
    [
        ("The heat map reaches 0.91 in the upper left.", ("E1",)),
        ("It measures 42 by 6 px.", ("E2",)),
        ("It has the look of a scratch.", ("F1", "E2")),
        ("The part is flat.", ("F9",)),
        ("A crack would run through it.", ("E1",)),
    ],
)
def test_supported_sentences_pass(text: str, cites: tuple[str, ...]) -> None:
    assert problems_of(Sentence(text, cites), ALIASES, EVIDENCE, TYPES) == []


@pytest.mark.parametrize(
    ("text", "cites", "problem"),
    [
        ("The part is cracked.", (), "cites nothing"),
        ("The part is cracked.", ("F99",), "F99 does not exist"),
        ("The part is cracked.", ("E7",), "E7 does not exist"),
        ("The heat map reaches 0.91 in the lower right.", ("E1",), "lower right"),
        ("The upper centre is hot.", ("E1",), "upper centre"),
        ("The heat map reaches 0.12.", ("E1",), "0.12"),
        ("It measures 42 by 60 px.", ("E2",), "60"),
        ("It has the look of a scratch.", ("F5",), "scratch"),
        ("It is a stain.", ("E1",), "stain"),
        ("This fits the description of crack.", ("F1",), "no cited fact is about crack"),
        ("A missing part.", ("F1", "E1"), "no cited fact is about missing part"),
    ],
)
def test_unsupported_sentences_are_named(text: str, cites: tuple[str, ...], problem: str) -> None:
    assert any(problem in found for found in problems_of(Sentence(text, cites), ALIASES, EVIDENCE, TYPES))
