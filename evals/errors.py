"""What goes wrong with the input of an evaluation."""

from __future__ import annotations


class EvalError(ValueError):
    """An evaluation that cannot be run or read; one line: argument, value, what was expected, the next
    step."""
