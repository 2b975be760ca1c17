"""Where the lines of a chat come from: a person at a terminal, or a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from rich.console import Console
from rich.text import Text

from agent.render.text import plain

if TYPE_CHECKING:
    from prompt_toolkit.history import History

Choices = Callable[[str], Iterable[tuple[str, str]]]
"""What may stand at the end of the line so far: each with a word on what it is."""


class Reader(Protocol):
    """One line at a time."""

    by_person: bool
    """A person types them, who sees what comes and can try again; else a script does."""

    def read(self, label: str, *, keep: bool = True) -> str:
        """The next line, on one line and without control characters; `label` asks for it.

        `keep`: it is worth finding again with the arrow keys.

        Raises:
            EOFError: there are no more; a person pressed Ctrl-D.
            KeyboardInterrupt: a person pressed Ctrl-C.
        """
        ...


class TerminalReader:
    """A person's lines, with line editing, history and completion of commands."""

    by_person = True

    def __init__(self, history: Path, choices: Choices) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.shortcuts import CompleteStyle

        self.remembered: PromptSession[str] = PromptSession(
            history=_history(history),
            completer=_completer(choices),
            complete_while_typing=True,
            complete_style=CompleteStyle.COLUMN,
            reserve_space_for_menu=6,
        )
        self.passing: PromptSession[str] = PromptSession()

    def read(self, label: str, *, keep: bool = True) -> str:
        """See `Reader.read`."""
        session = self.remembered if keep else self.passing
        return plain(session.prompt([("bold", f"{plain(label)}> ")]))  # pasted text may hold several lines


class PipedReader:
    """Lines of a script. They are shown, so that what comes out reads as a conversation."""

    by_person = False

    def __init__(self, console: Console, source: TextIO | None = None) -> None:
        self.console, self.source = console, source or sys.stdin

    def read(self, label: str, *, keep: bool = True) -> str:
        """See `Reader.read`."""
        line = self.source.readline()
        if not line:
            raise EOFError
        words = plain(line)
        encoding = self.console.encoding
        shown = f"{plain(label)}> {words}".encode(encoding, "replace").decode(encoding)
        self.console.print(Text(shown, "bold"), soft_wrap=True)
        return words


def open_reader(console: Console, history: Path, choices: Choices) -> Reader:
    """A terminal's reader where a person sits at both ends, else a pipe's."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        return TerminalReader(history, choices)
    return PipedReader(console)


def _history(path: Path) -> History:
    """Kept in a file that only its owner can read, since questions tell of parts; in memory where it cannot be."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))


def _completer(choices: Choices) -> Any:
    from prompt_toolkit.completion import Completer, Completion
    from prompt_toolkit.document import Document

    class Slash(Completer):
        def get_completions(self, document: Document, complete_event: object) -> Iterable[Completion]:
            """Commands, and what a command takes; none inside a question."""
            so_far = document.text_before_cursor
            if so_far.startswith("/"):
                last = so_far.rsplit(" ", 1)[-1]
                for word, about in choices(so_far):
                    if word.startswith(last):
                        yield Completion(word, -len(last), display_meta=about)

    return Slash()
