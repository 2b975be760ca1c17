"""Ranking in the terminal: one question after another, each kept as soon as it is answered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.prompt import InvalidResponse, Prompt, PromptBase
from rich.table import Table
from rich.text import Text

from agent.render.text import plain
from training.adpl import QUESTIONS
from training.rank.folder import LETTERS, Question, RankError, RankFolder, Ranking

HELP = (
    "Give the right verdict, t or f, and the order of the answers, the best first: t CABD. Or s skip, b back, "
    "e C edit answer C, q quit."
)


@dataclass(frozen=True)
class Reply:
    """What a rater typed."""

    action: Literal["rank", "skip", "back", "edit", "quit"]
    verdict: bool = False
    letters: str = ""
    """The order, or the one answer to edit."""


def read_reply(typed: str) -> Reply:
    """Read `t CABD`, `s`, `b`, `e C` or `q`; raises RankError."""
    words = typed.upper().split()
    match words:
        case ["S" | "SKIP"]:
            return Reply("skip")
        case ["B" | "BACK"]:
            return Reply("back")
        case ["Q" | "QUIT"]:
            return Reply("quit")
        case ["E" | "EDIT", letter] if letter in LETTERS and len(letter) == 1:
            return Reply("edit", letters=letter)
        case ["T" | "TRUE" | "F" | "FALSE" as verdict, *order] if sorted("".join(order)) == list(LETTERS):
            return Reply("rank", verdict.startswith("T"), "".join(order))
    raise RankError(f"{typed!r}: expected such as t CABD or f BDAC with each of {LETTERS} once, or s, b, e C, q")


class _ReplyPrompt(PromptBase[Reply]):
    def process_response(self, value: str) -> Reply:
        try:
            return read_reply(value)
        except RankError as error:
            raise InvalidResponse(Text(str(error), "red")) from error


def rank_in_terminal(
    folder: RankFolder, rater: str, console: Console, *, scores: bool = False, again: bool = False
) -> None:
    """Ask a rater what they have not ranked yet, until they quit or all is done.

    Args:
        folder: where every answer is kept at once.
        rater: who is asked.
        console: where to ask; replies come from standard input.
        scores: show the hints on the answers, which may bias a rater.
        again: ask what they have ranked already, too.
    """
    said = folder.rankings()
    queue = [id for id in folder.questions() if again or (rater, id) not in said]
    if queue:
        console.print(Text(HELP, "dim"))
    try:
        _ask_all(folder, rater, console, queue, scores)
    except (EOFError, KeyboardInterrupt):
        console.print()
    said, questions = folder.rankings(), folder.questions()
    done = sum((rater, id) in said for id in questions)
    console.print(f"{rater}: {done} of {len(questions)} questions ranked; what was said is kept in {folder.path}")


def _ask_all(folder: RankFolder, rater: str, console: Console, queue: Sequence[str], scores: bool) -> None:
    at = 0
    while at < len(queue):
        # Read anew: another rater may have corrected an answer meanwhile.
        question = folder.questions()[queue[at]]
        before = folder.newest().get((rater, question.id))
        _show(question, console, f"{at + 1} of {len(queue)}", scores, before)
        reply = _ReplyPrompt.ask("verdict and order", console=console)
        try:
            if reply.action == "quit":
                return
            if reply.action == "edit":
                _edit(folder, rater, question, reply.letters, console)
            elif reply.action == "rank":
                # Kept before the conclusion is asked for, so that breaking off there loses nothing.
                folder.rank(rater, question, reply.verdict, reply.letters, before.conclusion if before else None)
                _conclude(folder, rater, question, reply, before, console)
                at += 1
            else:
                at = at + 1 if reply.action == "skip" else max(0, at - 1)
        except RankError as error:
            console.print(Text(str(error), "red"))


def _show(question: Question, console: Console, place: str, scores: bool, before: Ranking | None) -> None:
    pair = question.pair
    console.rule(Text(f"{place}: {plain(question.id)}"))
    console.print(Text(f"test image       {plain(pair.test_image)}\nreference image  {plain(pair.reference_image)}"))
    for line in question.cited():
        console.print(Text(plain(line), "dim"))
    console.print(Text(f"\n{plain(question.asked.question)}\n", "bold"))
    table = Table.grid(padding=(0, 2, 1, 0))
    for letter, answer in zip(LETTERS, question.answers, strict=True):
        score = question.score(letter)
        hint = ["" if score is None else f"{score:.0%} holds"] if scores else []
        text = (
            Text(f"(the model gave no other answer; e {letter} writes one)", "dim")
            if answer is None
            else Text(plain(answer))
        )
        table.add_row(Text(letter, "bold"), *hint, text)
    console.print(table)
    if before is not None:
        when = "so far" if before.seen == question.seen else "before an answer was reworded"
        console.print(Text(f"{when} you said {'true' if before.verdict else 'false'} {before.order}", "dim"))


def _conclude(
    folder: RankFolder, rater: str, question: Question, reply: Reply, before: Ranking | None, console: Console
) -> None:
    """Ask for a conclusion where AD-PL has one: of each question in `defect diagnosis`, else of the pair."""
    if question.pair.pair_type != "defect diagnosis" and question.number < QUESTIONS:
        return
    old = (before.conclusion if before else None) or ""
    about = "this question" if question.pair.pair_type == "defect diagnosis" else "the pair"
    typed = _typed(f"conclusion on {about} (empty: leave it as it is; -: none)", old, console)
    if typed and typed != old:
        folder.rank(rater, question, reply.verdict, reply.letters, None if typed == "-" else typed)


def _edit(folder: RankFolder, rater: str, question: Question, letter: str, console: Console) -> None:
    old = question.answers[LETTERS.index(letter)] or ""
    typed = _typed(f"answer {letter} (empty: leave it as it is)", old, console)
    if typed and typed != old:
        folder.reword(rater, question, letter, typed)


def _typed(prompt: str, old: str, console: Console) -> str:
    """A line typed by the rater, who starts from the old one where the terminal can do that."""
    try:
        import readline
    except ModuleNotFoundError:  # Windows
        return Prompt.ask(prompt, console=console).strip()
    readline.set_startup_hook(lambda: readline.insert_text(old))
    try:
        return re.sub(r"\s+", " ", Prompt.ask(prompt, console=console)).strip()
    finally:
        readline.set_startup_hook()
