"""samples.jsonl: what a run found of every photo, one `Outcome` a line, for whoever compares or reads on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from evals.errors import EvalError
from evals.files import write_whole
from evals.outcome import Outcome

_NAME = "samples.jsonl"


def write_samples(outcomes: Iterable[Outcome], out: Path) -> Path:
    """Write `out`/samples.jsonl, whole or not at all, and return its path.

    Raises:
        EvalError: it cannot be written.
    """
    return write_whole(out / _NAME, "".join(outcome.model_dump_json() + "\n" for outcome in outcomes))


def read_samples(run: Path) -> list[Outcome]:
    """The outcomes of the run that left `run`/samples.jsonl.

    Raises:
        EvalError: no such file, or a line that is no outcome.
    """
    path = run / _NAME
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise EvalError(f"run {str(run)!r}: cannot read {_NAME} ({error}); give the --out folder of an eval") from error
    found = []
    for number, line in enumerate(filter(None, lines), 1):
        try:
            found.append(Outcome.model_validate_json(line))
        except ValidationError as error:
            raise EvalError(
                f"run {str(run)!r}: line {number} of {_NAME} is no outcome ({error.error_count()} errors); "
                "run the evaluation again with this version"
            ) from error
    return found
