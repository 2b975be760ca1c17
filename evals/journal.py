"""The records of an unfinished run: what was asked, then one record a line as they come.

Inspect's own log is rewritten as a whole at every flush, so it is flushed seldom, and what came since the last flush is
lost with a killed process. Here one line is appended per record: only the samples in flight are lost.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

from pydantic import ValidationError

from evals.errors import EvalError

_NAME = "records.jsonl"


class Record(Protocol):
    """What a run keeps of a sample: a pydantic model with the sample's id."""

    id: str

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """As pydantic's."""
        ...

    def model_dump_json(self) -> str:
        """As pydantic's."""
        ...

    @classmethod
    def model_validate_json(cls, json_data: bytes) -> Self:
        """As pydantic's."""
        ...


R = TypeVar("R", bound=Record)


class Journal(Generic[R]):
    """The records of one run, in a folder of its own until the run is finished."""

    def __init__(self, folder: Path, records: dict[str, R]) -> None:
        self.folder = folder
        """Beside which the run's other logs lie."""
        self.records = records
        """By id of the sample."""
        self._file = (folder / _NAME).open("a", encoding="utf-8")

    @classmethod
    def open(cls, logs: Path, asked: dict[str, Any], kind: type[R]) -> Journal[R]:
        """The journal of the unfinished run below `logs` that was asked the same, else a new one.

        Raises:
            EvalError: the folder cannot be written.
        """
        try:
            for path in sorted(logs.glob(f"*/{_NAME}"), reverse=True):
                if (found := _read(path, asked, kind)) is not None:
                    return cls(path.parent, found)
            folder = logs / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
            folder.mkdir(parents=True)
            journal = cls(folder, {})
        except OSError as error:
            raise EvalError(f"out {str(logs)!r}: cannot be written ({error.strerror}); give another folder") from error
        journal._append(json.dumps(asked))
        return journal

    def add(self, record: R) -> None:
        """Keep one more record."""
        self.records[record.id] = record
        self._append(record.model_dump_json())

    def close(self, *, finished: bool) -> None:
        """Close the file; that of a finished run is deleted, so that the next run starts anew."""
        self._file.close()
        if finished:
            (self.folder / _NAME).unlink()

    def _append(self, line: str) -> None:
        self._file.write(line + "\n")
        self._file.flush()  # to the system, which outlives this process


def _read(path: Path, asked: dict[str, Any], kind: type[R]) -> dict[str, R] | None:
    """The records in a file, from which a line that was cut off is cut out; None where other things were asked."""
    with path.open("r+b") as file:
        text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        first, *lines = whole.splitlines() or [b""]
        try:
            if json.loads(first) != json.loads(json.dumps(asked)):
                return None
            records = [kind.model_validate_json(line) for line in lines]
        except (json.JSONDecodeError, UnicodeDecodeError, ValidationError):
            return None  # of another version, or cut off at its start
        file.truncate(len(whole))
    return {record.id: record for record in records}
