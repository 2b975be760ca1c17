"""A folder of several runs, such as a suite: what is finished there is not run again, so all must have been asked alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evals.engine import made
from evals.errors import EvalError
from evals.files import write_whole

_NAME = "asked.json"


def hold(out: Path, asked: dict[str, Any]) -> Path:
    """Note what is asked of all runs below `out`, or hold it against what was asked of them before; the folder.

    Raises:
        EvalError: something else was asked before, or the folder cannot be used.
    """
    path = made(out) / _NAME
    try:
        if not path.is_file():
            write_whole(path, json.dumps(asked) + "\n")
        before = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvalError(f"out {str(path)!r}: cannot be used ({error}); give another folder") from error
    if before != asked:
        differ = [name for name in asked if not isinstance(before, dict) or before.get(name) != asked[name]]
        raise EvalError(
            f"out {str(out)!r}: holds runs of another {' and '.join(differ) or 'version'}; give another folder, or delete it"
        )
    return out
