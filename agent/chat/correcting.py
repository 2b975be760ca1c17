"""Asking a person step by step what is right; a wrong value is asked again, and nothing said before is lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from agent.chat.reader import Reader
from agent.chat.showing import short
from agent.conversation import Turn
from agent.render.lines import Lines
from agent.report import Verdict
from knowledge.facts import NAME_PATTERN

Box = tuple[int, int, int, int]
Value = TypeVar("Value")
LEAVE, CLEAR = "/cancel", "-"


class Cancelled(Exception):
    """The person does not want to correct anything after all."""


@dataclass
class Wish:
    """What a person says is right; None where they said nothing."""

    by: str
    verdict: Literal["normal", "anomalous"] | None = None
    box: Box | None = None
    defect_type: str | None = None
    answer: str | None = None
    turn: int | None = None
    """Whose answer is corrected; None: what was said to the verdict."""
    why: str | None = None

    @property
    def says_something(self) -> bool:
        """Whether anything is corrected at all."""
        return any(part is not None for part in (self.verdict, self.box, self.defect_type, self.answer))


def ask_what_is_right(
    wish: Wish,
    reader: Reader,
    to: Lines,
    *,
    verdict: Verdict,
    size: tuple[int, int],
    turns: Sequence[Turn],
    types: Sequence[str],
) -> None:
    """Fill in `wish` step by step.

    Args:
        wish: what was said so far.
        reader: the person.
        to: where wrong values are named.
        verdict: the agent's.
        size: of the photo, width and height in pixels.
        turns: questions whose answers can be corrected.
        types: kinds of defect found so far.

    Raises:
        Cancelled: the person broke off.
    """
    ask = _Questions(reader, to)
    to.lines((f"Enter skips a step or keeps what is in brackets, {CLEAR} empties it, {LEAVE} drops all.", "dim"))
    width, height = size
    wish.verdict = ask(f"Right verdict, normal or anomalous; the agent says {verdict}", wish.verdict, read_verdict)
    if (wish.verdict or verdict) == "anomalous":
        wish.box = ask(
            f"Box of the defect as left top right bottom in pixels, within {width} x {height}",
            wish.box,
            lambda words: read_box(words, width, height),
            shown=lambda box: " ".join(map(str, box)),
        )
        such_as = ", ".join(types) or "scratch or missing_part"
        wish.defect_type = ask(f"Kind of defect, such as {such_as}", wish.defect_type, read_type)
    else:
        wish.box = wish.defect_type = None
    about = "What should the agent have said"
    wish.answer = ask(about, wish.answer, str)
    if wish.answer is not None and turns:
        for turn in turns[-5:]:
            to.lines((f"{turn.number}.", "bold"), (short(turn.question, 70), "dim"), indent=2)
        last = wish.turn if wish.turn is not None else turns[-1].number
        number = ask("To which question? Its number, or 0 for the verdict", last, lambda words: read_turn(words, turns))
        wish.turn = number or None
    if not wish.says_something:
        return
    while (why := ask("Why, for those who read it later", wish.why, str)) is None:
        to.lines(("!", "bold yellow"), ("a correction needs a reason; a few words will do", "yellow"), indent=2)
    wish.why = why
    wish.by = ask("Who says so", wish.by, str) or wish.by


def read_verdict(words: str) -> Literal["normal", "anomalous"]:
    """A verdict or its first letters.

    Raises:
        ValueError: it is neither of the two; one line, like those of the other readers here.
    """
    verdicts: tuple[Literal["normal", "anomalous"], ...] = ("normal", "anomalous")
    for verdict in verdicts:
        if verdict.startswith(words.lower()):
            return verdict
    raise ValueError(f"{words!r} is no verdict; type normal or anomalous")


def read_box(words: str, width: int, height: int) -> Box:
    """Four whole numbers that lie in the photo. Raises ValueError."""
    numbers = [int(number) for number in re.findall(r"-?\d+", words)]
    if len(numbers) != 4 or re.search(r"[^-\d\s,;()\[\]]", words):
        raise ValueError(f"{words!r} is no box; type four whole numbers, such as 40 60 120 90")
    x0, y0, x1, y1 = numbers
    if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        raise ValueError(
            f"{words!r} does not fit: left before right within 0 to {width}, top before bottom within 0 to {height}"
        )
    return x0, y0, x1, y1


def read_type(words: str) -> str:
    """A kind of defect in snake case; `Missing part` is taken for `missing_part`. Raises ValueError."""
    name = re.sub(r"[\s-]+", "_", words.strip().lower())
    if not re.fullmatch(NAME_PATTERN, name):
        raise ValueError(f"{words!r} is no kind of defect; type letters, digits and _, such as missing_part")
    return name


def read_turn(words: str, turns: Sequence[Turn]) -> int:
    """The number of a turn, or 0. Raises ValueError."""
    numbers = [turn.number for turn in turns]
    if not words.isdecimal() or int(words) not in (0, *numbers):
        raise ValueError(f"{words!r} is no question; type a number from {numbers[0]} to {numbers[-1]}, or 0")
    return int(words)


class _Questions:
    def __init__(self, reader: Reader, to: Lines) -> None:
        self.reader, self.to = reader, to

    def __call__(
        self, label: str, now: Value | None, read: Callable[[str], Value], shown: Callable[[Value], str] = str
    ) -> Value | None:
        """Ask until the answer can be read; the value there is stands in brackets."""
        while True:
            try:
                words = self.reader.read(label if now is None else f"{label} [{shown(now)}]", keep=False)
            except (KeyboardInterrupt, EOFError) as stop:
                raise Cancelled from stop
            if words == LEAVE:
                raise Cancelled
            if not words:
                return now
            if words == CLEAR:
                return None
            try:
                return read(words)
            except ValueError as error:
                self.to.lines(("!", "bold yellow"), (str(error), "yellow"), indent=2)
