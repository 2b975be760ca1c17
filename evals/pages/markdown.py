"""summary.md: an evaluation as a few lines for a pull request."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from agent.render.text import plain
from evals.files import write_whole
from evals.pages.summary import columns, cost_line, figure, groups, heading, number, sentence, table_notes

if TYPE_CHECKING:
    from evals.results import Results

_SIGNS = re.compile(r"([\\`*\[<|~&]|\b_|_\b)")
# Where a forge would begin a link, a mention or a reference, even one that is escaped.
_LINK = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=[@#])")


def write_summary(results: Results, out: Path) -> Path:
    """Write `out`/summary.md and return its path.

    Raises:
        EvalError: it cannot be written.
    """
    return write_whole(out / "summary.md", markdown(results))


def markdown(results: Results) -> str:
    """Table with intervals, sentences, notes and cost; names from outside can form no link, mention or mark-up."""
    systems = columns(results)
    lines = [f"### {inert(heading(results))}", "", inert(sentence(results)), ""]
    lines += [f"| metric | {' | '.join(systems)} |", f"|---|{'--:|' * len(systems)}"]
    for _, names in groups(results):
        for name in names:
            cells = [
                (figure if system in ("agent", "detector") else number)(figures.get(name))
                for system, figures in systems.items()
            ]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", "In brackets the 95 % bootstrap interval over photos.", ""]
    lines += [f"- {inert(note)}" for note in table_notes(results)]
    lines += [f"- {inert(cost_line(results))}, seed {results.seed}"]
    versions = (f"{name} {version}" for name, version in results.environment.items())
    lines += [f"- {inert(', '.join(versions))}", ""]
    return "\n".join(lines)


def inert(text: str) -> str:
    """One line of text as it stands: every sign that means something in Markdown is escaped, but for `_` in a word."""
    return _LINK.sub("\u200b", _SIGNS.sub(r"\\\1", plain(text)))
