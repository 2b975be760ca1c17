"""The benchmark of the checks of citations: that its sentences are what they are said to be, and that the checks work on them."""

from __future__ import annotations

import re

import pytest

from agent.vlm.nano import shipped
from evals.drawn import DrawnLooks
from evals.verification import HALVES, items_of, markdown, objections, table
from evals.verification_deny import deny
from evals.verification_items import Item
from knowledge.facts import shipped_pack

LOOKS = shipped("sage-eye")
pytestmark = pytest.mark.skipif(not (LOOKS / "calibration.json").is_file(), reason="no shipped eye")


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return items_of("held-out", DrawnLooks(LOOKS), cases=9)


def test_supported_sentences_pass_and_planted_ones_are_found(items: list[Item]) -> None:
    supported = [bool(objections(item)) for item in items if item.plant is None]
    planted = [bool(objections(item)) for item in items if item.plant]
    assert len(supported) > 150
    assert len(planted) > 500
    assert sum(supported) < 0.05 * len(supported)
    assert sum(planted) > 0.95 * len(planted)


def test_a_planted_sentence_differs_from_every_supported_one_of_its_wording(items: list[Item]) -> None:
    def key(item: Item) -> object:
        return tuple(e.summary for e in item.evidence.values()), tuple(item.facts), item.sentences, item.opening

    supported = {key(item) for item in items if item.plant is None and item.evidence}
    for item in items:
        assert not item.plant or key(item) not in supported, item


def test_no_slot_is_left_open(items: list[Item]) -> None:
    assert not [s for item in items for s in item.sentences if re.search(r"[{}]", s.text)]


def test_the_halves_share_no_sentence_and_no_family() -> None:
    categories = {fact.id: fact.category for fact in shipped_pack().facts}
    (dev, _), (held_out, _) = HALVES["dev"], HALVES["held-out"]
    assert not {s.text for s in dev.said} & {s.text for s in held_out.said}
    assert not {categories[t.fact] for t in dev.told} & {categories[t.fact] for t in held_out.told}
    assert not set(dev.added) & set(held_out.added)


def test_the_table_has_a_row_for_every_plant(items: list[Item]) -> None:
    rows = table(items)
    assert {item.plant for item in items if item.plant} <= {row.name for row in rows}
    for row in rows:
        assert 0 <= row.low <= row.flagged / row.sentences <= row.high + 1e-9 <= 1 + 1e-9, row
    assert markdown(rows).count("\n") == len(rows) + 1


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("It measures 4 px.", "It does not measure 4 px."),
        ("The map is high.", "The map is not high."),
        ("It may crack.", "It cannot crack."),
        ("No region stands out.", None),
        ("A line.", None),
    ],
)
def test_denials(text: str, denied: str | None) -> None:
    assert deny(text) == denied
