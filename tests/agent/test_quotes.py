"""Facts and evidence quoted by their id, in whole replies and in those still being written."""

from __future__ import annotations

import pytest

from agent.vlm.quotes import Quoting, quoted

TEXTS = {"F1": "Dull tools tear it.", "F2": "It leaks\nunder pressure.", "E4": "One similar case: gear, normal."}


@pytest.mark.parametrize(
    ("reply", "whole"),
    [
        ("The usual cause: [F1].", "The usual cause: Dull tools tear it [F1]."),
        ("What it does: [F2]. So it is.", "What it does: It leaks under pressure [F2]. So it is."),
        ("The cause is known [F1].", "The cause is known [F1]."),
        ("The usual cause: [F9].", "The usual cause: [F9]."),
        ("The usual cause: it is old [F1].", "The usual cause: it is old [F1]."),
        ("On record: [E4].", "On record: One similar case: gear, normal [E4]."),
        ("So: ", "So: "),
    ],
)
def test_a_pointer_becomes_the_facts_own_words(reply: str, whole: str) -> None:
    assert quoted(reply, TEXTS) == whole
    for size in (1, 2, 3, 7):
        writing = Quoting(TEXTS)
        pieces = [writing.add(reply[at : at + size]) for at in range(0, len(reply), size)]
        assert "".join(pieces) + writing.rest() == whole


def test_nothing_is_held_back_that_is_no_pointer() -> None:
    writing = Quoting(TEXTS)
    assert writing.add("It is in the centre [E1]. ") == "It is in the centre [E1]. "
