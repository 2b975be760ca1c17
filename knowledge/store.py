"""The fact store: the shipped pack and the user's own facts, found by meaning, kept in one folder."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias, get_args

from knowledge.categories import GENERIC, CategoryNames
from knowledge.errors import StoreError
from knowledge.facts import (
    Fact,
    FactError,
    FactKind,
    Family,
    Pack,
    check_families,
    fact_id,
    shipped_pack,
    snake,
)
from knowledge.folder import (
    Marker,
    copy_index,
    make_folder,
    marker_stamp,
    remove_indexes,
    remove_marker,
    write_lock,
)
from knowledge.index import FactIndex
from knowledge.user_facts import UserFacts

GOOD_SCORE = 0.2
"""Score from which a fact has to do with the query; most unrelated ones of the shipped pack score less."""

# Facts fetched to choose from: more than a family and all it falls back to hold in the shipped pack.
_FETCHED = 300
# Part of the fingerprint: raise it when the index must be written anew although no fact has changed.
_LAYOUT = "1"

# Inside the class `list` is a method.
_Facts: TypeAlias = list[Fact]
_Names: TypeAlias = list[str]


class FactStore:
    """Facts on disk, searchable by meaning. Threads may share one.

    Any number of processes may read a folder. One at a time writes; the others notice and read on.
    The folder holds `user_facts.jsonl` and `user_families.json` (the user's own, the only copy that counts)
    and an index that can be made again from them and the shipped pack.
    """

    def __init__(self, path: Path | str, *, pack: Pack | None = None) -> None:
        """Open the store in this folder, made if missing; `pack` takes the place of the shipped pack.

        Brings the index up to date when facts have changed, which takes a second or two the first time.
        Raises `StoreError` when the folder cannot be used, the index is damaged or was made with another
        embedding function (see `rebuild`), or another process keeps the folder locked.
        """
        self.path = Path(path)
        self._pack = shipped_pack() if pack is None else pack
        self._guard = threading.RLock()
        self._index: FactIndex | None = None
        self._stamp: tuple[int, ...] | None = None
        make_folder(self.path)
        self._open()

    @classmethod
    def rebuild(cls, path: Path | str, *, pack: Pack | None = None) -> Self:
        """Make the index of a folder anew, whatever state it is in, keep the user's own facts, and open it.

        Raises `StoreError` when the folder cannot be used or the user's own files cannot be read.
        """
        folder = Path(path)
        make_folder(folder)
        with write_lock(folder):
            remove_marker(folder)
        return cls(folder, pack=pack)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the index. A second call does nothing; a later search opens it again."""
        with self._guard:
            if self._index is not None:
                self._index.close()
                self._index = None
                self._stamp = None

    def search(
        self,
        query: str,
        *,
        category: str | None = None,
        kinds: Collection[FactKind] | None = None,
        defect_types: Collection[str] | None = None,
        limit: int = 10,
    ) -> _Facts:
        """Up to `limit` facts by meaning, each with a `score` from 0 to 1.

        With a category (any name that `resolve_category` knows) the facts are of that family and, where it
        has fewer than `limit` with a score of at least `GOOD_SCORE`, of the families it falls back to, nearer
        families first. A category that nothing is near to gives the generic families and then the best of
        all. `kinds` and `defect_types`, where given, are kept to strictly.

        Raises `FactError` for an unknown kind or a limit below 1, `StoreError` when the index fails.
        """
        if limit < 1:
            raise FactError(f"limit is {limit!r}, expected at least 1")
        where: dict[str, Collection[str]] = {}
        if kinds is not None:
            where["kind"] = _checked_kinds(kinds)
        if defect_types is not None:
            where["defect_type"] = [snake(name) for name in defect_types]
        category = (category or "").strip() or None
        # A question without words is about the product; without a product it is about nothing.
        words = query.strip() or category
        if not words or not all(where.values()):
            return []
        with self._guard:
            index = self._current()
            tiers = self._tiers(category)
            if None not in tiers:
                where["category"] = [name for tier in tiers if tier for name in tier]
            fetched = max(1, min(len(self._facts), max(_FETCHED, 3 * limit)))
            try:
                hits = index.nearest(words, where=where, limit=fetched)
            except StoreError:
                if self._stamp == marker_stamp(self.path):
                    raise
                # Another process has just put a new index in its place.
                hits = self._current().nearest(words, where=where, limit=fetched)
            found = [self._facts[key].model_copy(update={"score": score}) for key, score in hits if key in self._facts]
        return _choose(found, tiers, limit)

    def add(self, facts: Iterable[Fact], families: Mapping[str, Family] | None = None) -> int:
        """Keep facts of the user's own and the families they come with; returns how many were new or changed.

        A category that is another name of a known family (`pcb`) is stored under that family. A shipped
        family gains the aliases given for it and stays as it is otherwise; a fact of the shipped pack is not
        kept a second time. Raises `FactError`, before anything is written, when a fact has the id of a
        different shipped fact or a family falls back to one that does not exist, and `StoreError`.
        """
        with self._guard, write_lock(self.path):
            user = UserFacts.read(self.path)
            kept_families = {**user.families, **(families or {})}
            everyone = _all_families(self._pack, kept_families)
            check_families(everyone, where="families")
            names = CategoryNames(everyone)
            kept = dict(user.facts)
            for fact in facts:
                filed = _filed(fact, names)
                shipped = self._shipped.get(filed.id)
                if shipped is not None and shipped.text != filed.text:
                    raise FactError(
                        f"id is {filed.id!r}, expected another: {shipped.text!r} of the shipped pack has it"
                    )
                if shipped is None:
                    kept[filed.id] = filed
            changed = sum(user.facts.get(key) != fact for key, fact in kept.items())
            if changed or kept_families != user.families:
                UserFacts(kept, kept_families).write(self.path)
            self._synchronise()
        return changed

    def remove(self, id: str) -> None:
        """Forget one of the user's own facts, and with the last one of a family what they added to it.

        Raises `FactError` when no fact has this id, or it belongs to the shipped pack, and `StoreError`.
        """
        with self._guard, write_lock(self.path):
            user = UserFacts.read(self.path)
            if id not in user.facts:
                owner = "a fact of the shipped pack" if id in self._shipped else "no fact's"
                raise FactError(f"id is {id!r}, which is {owner}, expected one of your own facts")
            kept = {key: fact for key, fact in user.facts.items() if key != id}
            used = {fact.category for fact in kept.values()}
            families = {name: family for name, family in user.families.items() if name in used}
            UserFacts(kept, families).write(self.path)
            self._synchronise()

    def get(self, ids: Iterable[str]) -> _Facts:
        """The facts with these ids, in their order; ids that no fact has are left out."""
        with self._guard:
            self._current()
            return [self._facts[id] for id in ids if id in self._facts]

    def count(self) -> int:
        """How many facts there are, shipped and the user's own."""
        with self._guard:
            self._current()
            return len(self._facts)

    def categories(self) -> _Names:
        """The families and every other category that a fact has, sorted."""
        with self._guard:
            self._current()
            return sorted(self._categories)

    def defect_types(self) -> frozenset[str]:
        """Every defect type that a fact is about, snake case."""
        with self._guard:
            self._current()
            return frozenset(fact.defect_type for fact in self._facts.values() if fact.defect_type)

    def resolve_category(self, name: str) -> str | None:
        """The category that a product's name stands for: `hex nut` is a `fastener`. None if nothing is near.

        By the name itself, else a title or alias, else the noun it ends in, else by meaning.
        """
        with self._guard:
            self._current()
            return self._resolve(name)

    def list(self, category: str | None = None) -> _Facts:
        """All facts, or those of one category by any of its names, sorted by id; none if it is unknown."""
        with self._guard:
            self._current()
            facts = sorted(self._facts.values(), key=lambda fact: fact.id)
            if category is None:
                return facts
            wanted = self._resolve(category)
            return [fact for fact in facts if fact.category == wanted]

    def _resolve(self, name: str) -> str | None:
        return snake(name) if snake(name) in self._categories else self._names.resolve(name)

    def _tiers(self, category: str | None) -> tuple[frozenset[str] | None, ...]:
        """Sets of categories to choose from, nearest first; None stands for all there are."""
        if category is None:
            return (None,)
        resolved = self._resolve(category)
        if resolved is None:
            return (frozenset(GENERIC), None)
        chain = self._names.chain(resolved)
        if resolved not in self._families:
            # A category that only the user's facts name falls back to the family its name is near to.
            nearest = self._names.resolve(resolved)
            chain = chain if nearest is None else (resolved, *self._names.chain(nearest))
        return tuple(frozenset({name}) for name in chain)

    def _current(self) -> FactIndex:
        """The index as it is on disk now. Another process may have written since it was opened."""
        if self._index is None or self._stamp != marker_stamp(self.path):
            return self._open()
        return self._index

    def _open(self) -> FactIndex:
        self._read_facts()
        stamp = marker_stamp(self.path)
        marker = Marker.read(self.path)
        if marker is not None and self._matches(marker):
            try:
                index = self._attach(marker.index)
            except StoreError:
                # Perhaps only because another process has just replaced it: look again when it has finished.
                pass
            else:
                if index.count() == len(self._facts):
                    self._stamp = stamp
                    return index
        with write_lock(self.path):
            return self._synchronise()

    def _synchronise(self) -> FactIndex:
        """Bring the index in line with the facts. To be called under the write lock."""
        self._read_facts()
        marker = Marker.read(self.path)
        index = None
        if marker is not None and self._matches(marker):
            index = self._attach(marker.index)
        if index is None or index.count() != len(self._facts):
            index = self._replace(None if marker is None else marker.index)
        self._stamp = marker_stamp(self.path)
        return index

    def _replace(self, last: str | None) -> FactIndex:
        # Changed in a copy, never in place: Chroma keeps vectors in memory, and a process that reads while
        # another writes would be told of damage.
        name = f"index-{secrets.token_hex(4)}"
        self.close()
        copy_index(self.path, last, name)
        try:
            index = self._attach(name)
            index.synchronise(self._facts)
        except StoreError:
            self.close()
            remove_indexes(self.path, keep=last)
            raise
        Marker(name, self._fingerprint).write(self.path)
        remove_indexes(self.path, keep=name)
        return index

    def _matches(self, marker: Marker) -> bool:
        return marker.fingerprint == self._fingerprint and FactIndex.exists(self.path / marker.index)

    def _attach(self, name: str) -> FactIndex:
        self.close()
        self._index = FactIndex.open(self.path / name)
        return self._index

    def _read_facts(self) -> None:
        user = UserFacts.read(self.path)
        self._shipped = {fact.id: fact for fact in self._pack.facts}
        self._facts = {**user.facts, **self._shipped}
        self._families = _all_families(self._pack, user.families)
        self._categories = {*self._families, *(fact.category for fact in self._facts.values())}
        self._names = CategoryNames(self._families)
        content = (self._facts[key].model_dump_json() for key in sorted(self._facts))
        self._fingerprint = hashlib.sha256("\n".join([_LAYOUT, *content]).encode()).hexdigest()


def _choose(found: list[Fact], tiers: tuple[frozenset[str] | None, ...], limit: int) -> list[Fact]:
    """The facts to answer with: good ones of near families, then of far ones, then the rest, near first."""

    def distance(fact: Fact) -> int:
        near = (number for number, tier in enumerate(tiers) if tier is None or fact.category in tier)
        return next(near, len(tiers))

    def score(fact: Fact) -> float:
        return fact.score or 0.0

    by_use = sorted(found, key=lambda fact: (score(fact) < GOOD_SCORE, distance(fact), -score(fact)))
    # The same sentence may be filed under two categories.
    chosen = list({fact.text.casefold(): fact for fact in reversed(by_use)}.values())[::-1][:limit]
    return sorted(chosen, key=lambda fact: (distance(fact), -score(fact)))


def _checked_kinds(kinds: Collection[FactKind]) -> list[str]:
    for kind in kinds:
        if kind not in get_args(FactKind):
            raise FactError(f"kinds holds {kind!r}, expected some of {', '.join(get_args(FactKind))}")
    return list(kinds)


def _all_families(pack: Pack, user: Mapping[str, Family]) -> dict[str, Family]:
    families = dict(pack.families)
    for category, family in user.items():
        families[category] = _merged(families.get(category), family)
    return families


def _merged(known: Family | None, added: Family) -> Family:
    if known is None:
        return added
    return Family(known.title, known.falls_back_to, tuple(dict.fromkeys((*known.aliases, *added.aliases))))


def _filed(fact: Fact, names: CategoryNames) -> Fact:
    """The fact without its score, under the family that its category is another name of."""
    category = names.exact(fact.category) or fact.category
    own = fact_id(fact.category, fact.kind, fact.defect_type, fact.text)
    id = fact_id(category, fact.kind, fact.defect_type, fact.text) if fact.id == own else fact.id
    return fact.model_copy(update={"category": category, "id": id, "score": None})
