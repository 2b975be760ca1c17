"""Facts by category, defect type and kind, with the fallbacks of the fact store."""

from __future__ import annotations

from collections.abc import Sequence

from agent.vlm.prompt import NumberedFact
from knowledge.facts import Fact, Pack
from training.draw.splits import HELD_OUT_TYPES

KINDS = ("defect", "cause", "impact", "remedy")


class FactIndex:
    """Looks facts up without a store: many times a second, and the same on every machine."""

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        self._facts: dict[tuple[str, str, str], list[Fact]] = {}
        for fact in pack.facts:
            self._facts.setdefault((fact.category, fact.defect_type or "", fact.kind), []).append(fact)

    @property
    def trained_types(self) -> list[str]:
        """Every kind of defect that training may name, in alphabetical order."""
        named = {fact.defect_type for fact in self.pack.facts if fact.defect_type}
        return sorted(named - HELD_OUT_TYPES - {"unclassified"})

    def find(self, category: str | None, defect_type: str, kind: str) -> list[Fact]:
        """As the fact store does: the family, then what it falls back to, then the generic families."""
        seen: list[str] = []
        while category and category not in seen:
            seen.append(category)
            category = self.pack.families[category].falls_back_to
        for name in dict.fromkeys([*seen, "generic_object", "generic_texture"]):
            if (name, defect_type, kind) in self._facts:
                return self._facts[name, defect_type, kind]
        return []

    def defects(self, category: str, limit: int) -> list[Fact]:
        """One description of each defect that such products have, of the family and then of those it falls back to."""
        found: dict[str, Fact] = {}
        name: str | None = category
        while name and len(found) < limit:
            for (family, defect_type, kind), facts in self._facts.items():
                if family == name and kind == "defect":
                    found.setdefault(defect_type, facts[0])
            name = self.pack.families[name].falls_back_to
        return list(found.values())[:limit]

    def about(self, category: str, suspects: Sequence[str]) -> list[Fact]:
        """One fact of each kind on each of the suspected defects, and one on the product."""
        chosen = [f for s in dict.fromkeys(suspects) for kind in KINDS for f in self.find(category, s, kind)[:1]]
        return chosen + self.find(category, "", "object")[:1]


def numbered(facts: Sequence[Fact]) -> list[NumberedFact]:
    """The facts as a prompt shows them: [F1], [F2], ..."""
    return [NumberedFact(f"F{i}", f.kind, f.defect_type, f.text) for i, f in enumerate(facts, 1)]
