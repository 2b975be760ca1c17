"""The user's own facts and families: plain files beside the index, and the only copy that counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from knowledge.errors import StoreError
from knowledge.facts import Fact, FactError, Family, describe, read_text
from knowledge.folder import replace_file

FACTS_FILE = "user_facts.jsonl"
FAMILIES_FILE = "user_families.json"

_FAMILIES = TypeAdapter(dict[str, Family])


@dataclass(frozen=True)
class UserFacts:
    """What the user has added to a store."""

    facts: Mapping[str, Fact] = field(default_factory=dict)
    """By id."""
    families: Mapping[str, Family] = field(default_factory=dict)
    """By category."""

    @classmethod
    def read(cls, folder: Path) -> UserFacts:
        """Read the files of a store's folder. Raises `StoreError` naming the line that is not a fact."""
        return cls(_read_facts(folder / FACTS_FILE), _read_families(folder / FAMILIES_FILE))

    def write(self, folder: Path) -> None:
        """Replace the files; a reader, or a crash, sees each either as it was or as it is now.

        Raises `StoreError` when the folder cannot be written.
        """
        if self.families or (folder / FAMILIES_FILE).exists():
            replace_file(folder / FAMILIES_FILE, _FAMILIES.dump_json(dict(self.families), indent=1).decode())
        lines = (fact.model_dump_json(exclude={"score"}) + "\n" for fact in self.facts.values())
        replace_file(folder / FACTS_FILE, "".join(lines))


def _read_facts(path: Path) -> dict[str, Fact]:
    facts: dict[str, Fact] = {}
    # Not `splitlines`: a sentence may hold a rare line separator that JSON leaves as it is.
    for number, line in enumerate(_read(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            fact = Fact.model_validate_json(line)
        except ValidationError as error:
            raise StoreError(f"{path}: line {number}: {describe(error)}; correct or delete that line") from error
        facts[fact.id] = fact
    return facts


def _read_families(path: Path) -> dict[str, Family]:
    text = _read(path)
    try:
        return _FAMILIES.validate_json(text) if text else {}
    except ValidationError as error:
        raise StoreError(f"{path}: {describe(error)}; correct or delete the file") from error


def _read(path: Path) -> str:
    if not path.exists():
        return ""
    try:
        return read_text(path)
    except FactError as error:
        raise StoreError(str(error)) from error
