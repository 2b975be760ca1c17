"""Files that a run leaves: each is written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from evals.errors import EvalError


def write_whole(path: Path, text: str) -> Path:
    """Write a text file and return its path; a process killed meanwhile leaves what was there before.

    Raises:
        EvalError: it cannot be written.
    """
    draft = path.with_name(f"{path.name}.tmp")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise EvalError(f"out {str(path)!r}: cannot be written ({error.strerror}); give another folder") from error
    return path
