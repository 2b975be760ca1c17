"""The fact: one sentence of domain knowledge with a source, and how a pack of them is read from YAML."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

FactKind = Literal["object", "defect", "cause", "impact", "remedy", "standard"]

NAME_PATTERN = r"^[a-z][a-z0-9_]*$"
"""Categories and defect types are snake case."""

# The C parser reads the shipped pack about ten times faster; PyYAML can be built without it.
_YamlLoader: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class FactError(ValueError):
    """A fact, a file of facts or a request for facts is not valid; the message says what was expected."""


class Fact(BaseModel):
    """One sentence of domain knowledge that an answer can cite."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=200)
    """Stable across rebuilds: derived from category, kind, defect type and text."""
    text: str = Field(min_length=8, max_length=600)
    """One sentence."""
    category: str = Field(pattern=NAME_PATTERN)
    """Product or material family, such as `printed_circuit_board`."""
    defect_type: str | None = Field(default=None, pattern=NAME_PATTERN)
    """Defect type in snake case, or None where the fact is about the product itself."""
    kind: FactKind
    source: str = Field(min_length=1)
    """Something a person can look up: a named standard, a textbook topic, or `general practice`."""
    score: float | None = Field(default=None, ge=0.0, le=1.0)
    """Similarity to the query, 0 to 1, when the fact is a search result."""

    @classmethod
    def create(cls, text: str, *, category: str, kind: FactKind, source: str, defect_type: str | None = None) -> Self:
        """A fact with the id that belongs to its content. Raises pydantic's `ValidationError`."""
        return cls(
            id=fact_id(category, kind, defect_type, text),
            text=text,
            category=category,
            defect_type=defect_type,
            kind=kind,
            source=source,
        )


@dataclass(frozen=True)
class Family:
    """A product or material family: what it is called and where to look when it has too few facts."""

    title: str
    falls_back_to: str | None = None
    """The more general family, such as `metal_surface` for `bearing_gear`."""
    aliases: tuple[str, ...] = ()
    """Other names of the family or of products in it."""


@dataclass(frozen=True)
class Pack:
    """Facts and the families they belong to."""

    families: Mapping[str, Family]
    """By category."""
    facts: tuple[Fact, ...]


class _Entry(BaseModel):
    """One fact as it is written in a pack file."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    kind: FactKind
    text: str = Field(min_length=8, max_length=600)
    source: str = Field(min_length=1)
    defect: str | None = Field(default=None, pattern=NAME_PATTERN)

    @model_validator(mode="after")
    def _names_its_defect(self) -> Self:
        if self.defect is None and self.kind in ("defect", "cause", "impact", "remedy"):
            raise ValueError(f"a fact of kind {self.kind!r} with a `defect`, such as `defect: scratch`")
        return self


class _PackFile(BaseModel):
    """One family as it is written in a pack file."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    category: str = Field(pattern=NAME_PATTERN)
    title: str = Field(min_length=1)
    falls_back_to: str | None = Field(default=None, pattern=NAME_PATTERN)
    aliases: list[str] = []
    facts: list[_Entry]


def fact_id(category: str, kind: FactKind, defect_type: str | None, text: str) -> str:
    """The id of a fact: readable, lower case, and the same wherever the same fact is written."""
    digest = hashlib.sha256(f"{category}|{kind}|{defect_type}|{text}".encode()).hexdigest()[:8]
    return f"{category}-{defect_type or kind}-{digest}".lower()


def snake(name: str) -> str:
    """A name as categories and defect types are written: `Hex-Nut` becomes `hex_nut`."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def load_pack(folder: Path) -> Pack:
    """Read every `*.yaml` file in a folder, one family a file.

    Raises `FactError` when a file does not parse, a category or fact occurs twice, or `falls_back_to`
    names no family in the folder or leads back to itself.
    """
    families: dict[str, Family] = {}
    facts: dict[str, Fact] = {}
    for path in sorted(folder.glob("*.yaml")):
        pack = read_pack_file(path)
        for category, family in pack.families.items():
            if category in families:
                raise FactError(f"{path}: category is {category!r}, which another file of this folder has too")
            families[category] = family
        for fact in pack.facts:
            if fact.id in facts:
                raise FactError(f"{path}: the fact {fact.text!r} occurs twice, expected once")
            facts[fact.id] = fact
    if not families:
        raise FactError(f"{folder}: no *.yaml files, expected a folder of pack files")
    check_families(families, where=str(folder))
    return Pack(families, tuple(facts.values()))


@functools.cache
def shipped_pack() -> Pack:
    """The facts that come with this package."""
    return load_pack(Path(__file__).parent / "pack")


def read_pack_file(path: Path) -> Pack:
    """Read one family from a YAML file; `falls_back_to` may name a family that the file does not hold.

    Raises `FactError` naming the file, the entry, the field, its value and what was expected.
    """
    try:
        content = yaml.load(read_text(path), Loader=_YamlLoader)
    except yaml.YAMLError as error:
        raise FactError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise FactError(f"{path}: holds {_shorten(content)}, expected category, title, aliases and facts")
    try:
        file = _PackFile.model_validate(content)
    except ValidationError as error:
        raise FactError(f"{path}: {describe(error)}") from error
    facts: dict[str, Fact] = {}
    for number, entry in enumerate(file.facts):
        fact = Fact.create(
            entry.text,
            category=file.category,
            kind=entry.kind,
            source=entry.source,
            defect_type=entry.defect,
        )
        if fact.id in facts:
            raise FactError(f"{path}: facts[{number}].text is {fact.text!r} a second time, expected once")
        facts[fact.id] = fact
    family = Family(file.title, file.falls_back_to, tuple(file.aliases))
    return Pack({file.category: family}, tuple(facts.values()))


def check_families(families: Mapping[str, Family], *, where: str) -> None:
    """Raise `FactError` when a `falls_back_to` names no family or leads back to its own family."""
    for category, family in families.items():
        seen = [category]
        while family.falls_back_to is not None:
            following = family.falls_back_to
            if following not in families:
                raise FactError(
                    f"{where}: falls_back_to of {seen[-1]!r} is {following!r}, "
                    f"expected one of {', '.join(sorted(families))}"
                )
            if following in seen:
                raise FactError(f"{where}: falls_back_to goes round: {' > '.join([*seen, following])}")
            seen.append(following)
            family = families[following]


def read_text(path: Path) -> str:
    """The text of a UTF-8 file. Raises `FactError` when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FactError(f"{path}: not UTF-8 text at byte {error.start}, expected a text file") from error
    except OSError as error:
        raise FactError(f"{path}: cannot be read: {error.strerror or error}") from error


def describe(error: ValidationError) -> str:
    """The first thing pydantic found wrong, in one line: the field, its value and what was expected."""
    first = error.errors(include_url=False)[0]
    field = ""
    for part in first["loc"]:
        field += f"[{part}]" if isinstance(part, int) else f".{part}" if field else str(part)
    if first["type"] == "missing":
        return f"{field} is missing, expected a value"
    if first["type"] == "extra_forbidden":
        return f"{field} is not a known field"
    expected = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{field or 'record'} is {_shorten(first['input'])}, expected {expected[:1].lower()}{expected[1:]}"


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
