"""Lines on a terminal: wrapped beside their labels, inert whatever they hold, readable without colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from agent.render.text import plain

MAX_WIDTH = 100

Part = tuple[str, str]
"""Words and the rich style they are printed in."""
Row = tuple[Part, Sequence[Part]]
"""A label and what stands beside it."""

# For terminals that know only ASCII or Latin-1.
_SIMPLER = str.maketrans({"✓": "+", "✗": "x", "×": "x", "–": "-", "·": ".", "█": "#", "│": "|", "’": "'", "…": "..."})


class Lines:
    """Prints on one console, at most MAX_WIDTH columns wide; texts are never read as rich markup or terminal control."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.width = min(MAX_WIDTH, console.width)

    def heading(self, words: str) -> None:
        """An empty line and a heading."""
        self.console.print()
        self.lines((words, "bold underline"))

    def section(self, words: str, rows: Iterable[Row]) -> None:
        """A heading and its rows; nothing at all without rows."""
        rows = list(rows)
        if rows:
            self.heading(words)
            self.rows(rows)

    def rows(self, rows: Iterable[Row], indent: int = 2) -> None:
        """Labels in a column of their own, what they label wrapped beside them."""
        labelled = [(self.line(label), parts) for label, parts in rows]
        column = min(max((label.cell_len for label, _ in labelled), default=0), self.width // 4)
        margin = Text(" " * indent)
        for label, parts in labelled:
            if label.cell_len > column:  # an id must not be cut: it gets lines of its own
                self.wrapped(label, indent)
                first = None
            else:
                first = margin + label
                first.pad_right(column + 2 - label.cell_len)
            self.wrapped(self.line(*parts), indent + column + 2, first)

    def lines(self, *parts: Part, indent: int = 0) -> None:
        """`parts` one after the other, wrapped, `indent` cells from the left."""
        self.wrapped(self.line(*parts), indent)

    def whole(self, *parts: Part, indent: int = 0) -> None:
        """`parts` on one line however long it is, so that a path or a command in it can be copied."""
        self.console.print(Text(" " * indent) + self.line(*parts), soft_wrap=True)

    def wrapped(self, words: Text, indent: int, first: Text | None = None) -> None:
        """Print `words` `indent` cells from the left, with `first` as the margin of the first line."""
        margin = first or Text(" " * indent)
        # Rich's own padding would fill each line with spaces up to the width, which copying then picks up.
        for line in words.wrap(self.console, max(20, self.width - indent), overflow="fold"):
            shown = margin + line
            shown.rstrip()
            self.console.print(shown, soft_wrap=True)
            margin = Text(" " * indent)

    def line(self, *parts: Part) -> Text:
        """`parts` with a space between them, in characters that this console's encoding can print."""
        line = Text()
        for number, (words, style) in enumerate(parts):
            line.append(" " if number else "").append(self.printable(words), style)
        return line

    def printable(self, words: str) -> str:
        """`words` made inert, in characters that this console's encoding can print."""
        clean, encoding = plain(words), self.console.encoding
        if clean.encode(encoding, "replace").decode(encoding) != clean:
            clean = clean.translate(_SIMPLER).encode(encoding, "replace").decode(encoding)
        return clean
