"""How well the checks of citations work: supported sentences that they pass, and planted faults that they find.

    python -m evals.verification            # held out
    python -m evals.verification --half dev # what the checks were developed on

Two sources. *data engine*: the wording of `training.story` over drawn cases with the agent's own tools; held out are other
cases, of families never drawn for training. *free English*: sentences as a large model writes them, in
`evals.verification_dev` and `evals.verification_held_out`. Both were written by the author of the checks, the held-out ones first,
before any check. While the checks were made the table of the held-out half was seen six times, its sentences and which of
them failed never; after the first time, which showed too many supported sentences flagged, the development half was
enlarged from 86 wordings to 299. So it tells how the checks do on new wording of one writer, not on the wording of another. Facts of the two
halves come from different product families. A fault is one thing changed, see `evals.verification_items`; a few are no faults
on a careful reading, and count against the checks. What only a close-up shows cannot be checked by words, and is not in the table.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from agent.verify import problems_of, verdict_problems
from agent.vlm.nano import shipped
from evals import verification_dev, verification_held_out
from evals.drawn import DrawnLooks
from evals.verification_cases import draw
from evals.verification_items import Item, Writer
from knowledge.facts import shipped_pack
from training.cases import TakeLooks
from training.draw.splits import SPLITS

HALVES = {"dev": (verification_dev.HALF, "train"), "held-out": (verification_held_out.HALF, "unseen_families")}
"""Sentences, and the split of the drawn world, of each half."""
CASES = 45
_Z = 1.96
_TYPES = frozenset(f.defect_type for f in shipped_pack().facts if f.defect_type)


@dataclass(frozen=True)
class Row:
    """How often the checks object to the sentences of one kind."""

    name: str
    source: str
    sentences: int
    flagged: int
    low: float
    high: float
    """95 % interval of the share flagged; sentences of one case or one wording count as related."""


def items_of(half: str, looks: TakeLooks, cases: int = CASES, seed: int = 11) -> list[Item]:
    """Every item of a half."""
    sentences, split = HALVES[half]
    return list(Writer(sentences, draw(SPLITS[split], looks, cases, seed), np.random.default_rng(seed)).items())


def objections(item: Item) -> list[str]:
    """What the checks find wrong."""
    if item.opening is not None:
        return verdict_problems(item.opening, item.sentences, item.evidence)
    return [p for s in item.sentences for p in problems_of(s, item.facts, item.evidence, _TYPES)]


def table(items: Sequence[Item]) -> list[Row]:
    """Rows by source and plant; the supported ones and all planted ones first."""
    flagged = [bool(objections(item)) for item in items]
    rows = []
    for source in ("data engine", "free English"):
        of = [(i, f) for i, f in zip(items, flagged, strict=True) if i.source == source]
        rows.append(_row("supported", source, [x for x in of if x[0].plant is None]))
        rows.append(_row("planted, all", source, [x for x in of if x[0].plant]))
    both = list(zip(items, flagged, strict=True))
    rows.append(_row("supported", "both", [x for x in both if x[0].plant is None]))
    rows.append(_row("planted, all", "both", [x for x in both if x[0].plant]))
    plants = sorted({i.plant for i in items if i.plant})
    kinds = [_row(plant, "both", [x for x in both if x[0].plant == plant]) for plant in plants]
    return [*rows, *kinds]


def _row(name: str, source: str, of: Sequence[tuple[Item, bool]]) -> Row:
    """Wilson's interval with as many independent sentences as would scatter like the clusters do."""
    n, hits = len(of), sum(f for _, f in of)
    p = hits / max(1, n)
    off: dict[str, float] = {}
    for item, flag in of:
        off[item.cluster] = off.get(item.cluster, 0.0) + flag - p
    spread = sum(x * x for x in off.values()) / max(1, n) ** 2
    count = min(n, p * (1 - p) / spread) if spread > 1e-12 else len(off)
    count = max(1.0, count)
    middle = (p + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z * float(np.sqrt(p * (1 - p) / count + _Z**2 / (4 * count**2))) / (1 + _Z**2 / count)
    return Row(name, source, n, hits, max(0.0, middle - half), min(1.0, middle + half))


def markdown(rows: Iterable[Row]) -> str:
    """The rows as a table."""
    lines = ["| sentences | source | n | flagged | 95 % |", "|---|---|---|---|---|"]
    for row in rows:
        share = f"{row.flagged / row.sentences:.1%}" if row.sentences else "-"
        lines.append(f"| {row.name} | {row.source} | {row.sentences} | {share} | {row.low:.1%} to {row.high:.1%} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table of a half."""
    parser = argparse.ArgumentParser(prog="python -m evals.verification", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--half", choices=HALVES, default="held-out", help="which sentences (default: held-out)")
    parser.add_argument("--cases", type=int, default=CASES, help=f"drawn cases (default: {CASES})")
    parser.add_argument("--show", action="store_true", help="print the sentences judged wrongly too")
    given = parser.parse_args()
    items = items_of(given.half, DrawnLooks(shipped("sage-eye")), given.cases)
    print(markdown(table(items)))
    if given.show:
        for item in items:
            found = objections(item)
            if bool(found) != bool(item.plant):
                cited = [s.cites for s in item.sentences]
                print(f"{item.plant or 'supported'}: {[s.text for s in item.sentences]} {cited} {found}")


if __name__ == "__main__":
    main()
