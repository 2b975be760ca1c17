"""An answer as it is written, word by word."""

from __future__ import annotations

import re

from rich.cells import chop_cells
from rich.text import Text

from agent.render.lines import Lines

_LONG = 40
"""Characters after which a word is shown before it ends: not every script has spaces."""


class Flow:
    """Wraps words as they come. A word appears when it is whole, so that no half of a control code is let through."""

    def __init__(self, to: Lines, indent: int = 2) -> None:
        self.to, self.indent = to, indent
        self.pending = ""
        self.column = 0
        """Cells written on this line; 0 before its margin."""
        self.glued = False
        """The next piece goes on with the word before it."""

    def add(self, text: str) -> None:
        """The next piece of the answer, of any length."""
        *whole, self.pending = re.split(r"\s+", self.pending + text)
        for word in whole:
            self._put(word)
            self.glued = False
        if len(self.pending) > _LONG:
            self._put(self.pending)
            self.pending, self.glued = "", True

    def end(self, *, whole: bool = True) -> None:
        """Show what is left and end the line; unless `whole`, the word that was not yet ended is dropped."""
        if whole:
            self._put(self.pending)
        self.pending, self.glued = "", False
        if self.column:
            self._print("\n")
            self.column = 0

    def _put(self, word: str) -> None:
        shown = self.to.printable(word)
        if not shown:
            return
        room = max(20, self.to.width - self.indent)
        for number, piece in enumerate(chop_cells(shown, room)):
            lead = "" if number or self.glued or not self.column else " "
            size = Text(lead + piece).cell_len
            if self.column and self.column + size > self.indent + room:
                self._print("\n")
                self.column, lead = 0, ""
            if not self.column:
                lead, self.column = " " * self.indent, self.indent
                size = Text(piece).cell_len
            self._print(lead + piece)
            self.column += size

    def _print(self, words: str) -> None:
        text = Text(words)
        text.highlight_regex(r"\[[^\]\s]+\]", "cyan")
        self.to.console.print(text, end="", soft_wrap=True)
