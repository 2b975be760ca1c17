"""What a product may be called, and which families to ask about it, nearest first."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from knowledge.facts import Family, snake

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GENERIC = ("generic_object", "generic_texture")
"""The families that say something about every product or surface."""

SAME_MEANING = 0.52
"""Cosine similarity from which two names count as the same product. On the product names of public
inspection data sets right matches begin at 0.53 (`usb adaptor`) and most wrong ones end at 0.51; names that
share letters, such as `tooth` and `toothbrush`, can still be taken for one another."""


class CategoryNames:
    """Finds the family that a product's name belongs to."""

    def __init__(self, families: Mapping[str, Family]) -> None:
        self._families = families
        self._by_name: dict[str, str] = {}
        # Categories first: an alias never hides a family of that very name. The first of two families
        # with the same alias keeps it.
        for category in families:
            self._by_name.setdefault(_singular(category), category)
        for category, family in families.items():
            for name in (family.title, *family.aliases):
                self._by_name.setdefault(_singular(snake(name)), category)

    def exact(self, name: str) -> str | None:
        """The family whose category, title or alias this is; case, punctuation and plural do not count."""
        return self._by_name.get(_singular(snake(name)))

    def resolve(self, name: str) -> str | None:
        """The family by name, else by the noun it ends in, else by meaning; None if none is near."""
        return self.exact(name) or self._by_head(name) or self._by_meaning(name)

    def chain(self, category: str) -> tuple[str, ...]:
        """The family and those it falls back to, the generic ones at the end.

        Both of them: a screw falls back to metal surfaces and so to textures, and can be missing all the same.
        """
        chain = [category]
        while (family := self._families.get(chain[-1])) is not None:
            following = family.falls_back_to
            if following is None or following in chain:
                break
            chain.append(following)
        return (*chain, *(name for name in GENERIC if name not in chain))

    def _by_head(self, name: str) -> str | None:
        words = _singular(snake(name)).split("_")
        # A `hexagon socket head bolt` is a bolt, whatever its other words are near to. `part` and the like
        # say too little to end the search here.
        for start in range(1, len(words)):
            category = self._by_name.get("_".join(words[start:]))
            if category is not None and category not in GENERIC:
                return category
        # And a `bottle` is in the family of `glass bottle`, not of `bottle cap`.
        ending = "_" + "_".join(words)
        families = {category for known, category in self._by_name.items() if known.endswith(ending)}
        return families.pop() if len(families) == 1 else None

    def _by_meaning(self, name: str) -> str | None:
        from knowledge.embed import embed

        if not self._by_name:
            return None
        similarity = self._vectors @ embed([snake(name).replace("_", " ")])[0]
        best = int(similarity.argmax())
        return list(self._by_name.values())[best] if similarity[best] >= SAME_MEANING else None

    @cached_property
    def _vectors(self) -> NDArray[np.float32]:
        """`(names, 256)`, in the order of `_by_name`."""
        from knowledge.embed import embed

        return embed([name.replace("_", " ") for name in self._by_name])


def _singular(name: str) -> str:
    """`hex_nuts` becomes `hex_nut`; used only to compare, so `glass` kept and `lens` cut do no harm."""
    return name[:-1] if len(name) > 3 and name.endswith("s") and not name.endswith("ss") else name
