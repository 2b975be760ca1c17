"""Files in which users write facts of their own: a YAML family, lines of text, or JSON lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from knowledge.facts import (
    Fact,
    FactError,
    FactKind,
    Pack,
    describe,
    fact_id,
    read_pack_file,
    read_text,
    snake,
)

# What a Markdown list puts before a sentence: a dash, star or plus, or a number with a dot or bracket.
_LIST_MARK = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")


class _Record(BaseModel):
    """One line of a JSON lines file. The fields of a `Fact`, most of them optional."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    text: str
    category: str | None = None
    kind: FactKind = "object"
    defect_type: str | None = None
    source: str | None = None
    id: str | None = None
    score: float | None = None
    """Accepted and dropped, so that search results can be fed back."""


def read_user_file(path: Path, *, category: str | None = None) -> Pack:
    """Read a user's own facts.

    `.yaml` and `.yml` hold one family in the format of the shipped pack. `.txt` and `.md` hold one sentence
    a line (Markdown headings are skipped, list marks dropped), all of `category`, of kind `object`, with the
    file's name as their source. `.jsonl` holds one record a line with `text` and, optionally, `category`,
    `kind`, `defect_type` and `source`.

    `category` is needed where the file names none. Raises `FactError` when it contradicts the file, or when
    the file cannot be read.
    """
    wanted = None if category is None else snake(category)
    if wanted == "":
        raise FactError(f"category is {category!r}, expected a name such as 'printed_circuit_board'")
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        pack = read_pack_file(path)
        named = next(iter(pack.families))
        if wanted not in (None, named):
            raise FactError(f"{path}: category is {named!r}, expected {wanted!r} as asked for")
        return pack
    if suffix in (".txt", ".md"):
        facts = _read_sentences(path, wanted)
    elif suffix == ".jsonl":
        facts = _read_records(path, wanted)
    else:
        raise FactError(f"{path}: suffix is {path.suffix!r}, expected .yaml, .yml, .txt, .md or .jsonl")
    # The same sentence twice is one fact; in notes kept by hand that is no mistake worth refusing.
    unique = {fact.id: fact for fact in facts}
    if not unique:
        raise FactError(f"{path}: holds no facts, expected one a line")
    return Pack({}, tuple(unique.values()))


def _read_sentences(path: Path, category: str | None) -> Iterator[Fact]:
    if category is None:
        raise FactError(f"{path}: category is missing, expected one for a {path.suffix} file")
    for number, line in _lines(path):
        if path.suffix.lower() == ".md" and line.startswith("#"):
            continue
        text = _LIST_MARK.sub("", line)
        try:
            yield Fact.create(text, category=category, kind="object", source=path.name)
        except ValidationError as error:
            raise FactError(f"{path}: line {number}: {describe(error)}") from error


def _read_records(path: Path, category: str | None) -> Iterator[Fact]:
    for number, line in _lines(path):
        try:
            record = _Record.model_validate_json(line)
            named = category if record.category is None else snake(record.category)
            if named is None:
                raise FactError(
                    f"{path}: line {number}: category is missing, expected one in the record or for the file"
                )
            if category not in (None, named):
                raise FactError(f"{path}: line {number}: category is {named!r}, expected {category!r} as asked for")
            defect_type = None if record.defect_type is None else snake(record.defect_type)
            yield Fact(
                id=record.id or fact_id(named, record.kind, defect_type, record.text),
                text=record.text,
                category=named,
                defect_type=defect_type,
                kind=record.kind,
                source=record.source or path.name,
            )
        except ValidationError as error:
            raise FactError(f"{path}: line {number}: {describe(error)}") from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, stripped, with their numbers from 1."""
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            yield number, line.strip()
