"""Facts quoted by their id, whole and while a reply is being written."""

from __future__ import annotations

import pytest

from agent.vlm.prompt import read_answer
from agent.vlm.quotes import quoted, quoting

FACTS = {"F1": "A crack is a thin dark line.", "F12": "Cracks come from cooling too fast"}


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ("If it is the defect crack: [F12].", "If it is the defect crack: Cracks come from cooling too fast [F12]."),
        ("One: [F1]. Two:[F12].", "One: A crack is a thin dark line [F1]. Two: Cracks come from cooling too fast [F12]."),
        ("It has the look of crack [F1][E2].", "It has the look of crack [F1][E2]."),
        ("Cause: [F3].", "Cause: [F3]."),
        ("The photo does not allow an answer: there is none [F1].", "The photo does not allow an answer: there is none [F1]."),
        ("At 12:30 [E1]", "At 12:30 [E1]"),
        ("Ends with :", "Ends with :"),
        ("", ""),
    ],
)  # fmt: skip
def test_an_id_behind_a_colon_is_told_in_full(reply: str, says: str) -> None:
    assert quoted(reply, FACTS) == says
    for size in (1, 2, 3, 7):
        pieces = [reply[i : i + size] for i in range(0, len(reply), size)]
        assert "".join(quoting(pieces, FACTS)) == says


def test_the_text_comes_as_soon_as_it_is_clear() -> None:
    stream = quoting(iter(["If it", " is crack", ": ", "[F1]", "."]), FACTS)
    assert next(stream) == "If it"
    assert next(stream) == " is crack"
    assert next(stream) == ": A crack is a thin dark line [F1]"


def test_each_fact_stays_one_sentence_that_names_it() -> None:
    _, sentences = read_answer(quoted("If it is crack: [F12]. If it is dent: [F1].", FACTS))
    assert [s.cites for s in sentences] == [("F12",), ("F1",)]
