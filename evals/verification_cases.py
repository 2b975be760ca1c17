"""Drawn cases with the agent's own evidence and facts on them, and what is true of each in words."""

from __future__ import annotations

from dataclasses import dataclass, replace

from knowledge.facts import Fact, shipped_pack
from tools.evidence import Evidence
from tools.regions import LEVELS
from training.cases import TakeLooks
from training.draw.families import BY_NAME
from training.draw.scene import Case, draw_case
from training.draw.splits import Split
from training.fact_index import FactIndex
from training.story import Looks

SETTINGS = (("one-shot", 1), ("one-shot", 1), ("zero-shot", 0))
"""Setting and normal photos drawn, in turn."""


@dataclass(frozen=True)
class Seen:
    """A drawn case with the tools' evidence and facts on it."""

    name: str
    case: Case
    found: Looks
    facts: tuple[Fact, ...]
    described: tuple[Fact, ...]

    @property
    def evidence(self) -> dict[str, Evidence]:
        looks = enumerate(self.found.looks, 1)
        return {f"E{i}": Evidence(id=f"E{i}", tool=k.tool, summary=k.summary, values=k.values) for i, k in looks}

    @property
    def by_tool(self) -> dict[str, Evidence]:
        return {item.tool: item for item in self.evidence.values()}

    @property
    def places(self) -> set[str]:
        values = [look.values for look in self.found.looks]
        return {v["place"] for v in values} | {r["place"] for v in values for r in v.get("regions", [])}

    @property
    def holds(self) -> set[str]:
        """What is true of it, in the words of `Said.needs`."""
        found = self.by_tool
        heat = found["heatmap"].values
        regions, level = len(heat["regions"]), LEVELS.index(heat["level"])
        out = {"below" if not regions else "above", ("below", "one", "several")[min(2, regions)]}
        out.add("low" if level < 2 else "high" if level > 2 else "middling")
        if "measure" in found:
            shape = found["measure"].values["shape"]
            out.add(
                {"darker than": "darker", "brighter than": "brighter"}.get(found["measure"].values["tone"], "alike")
            )
            out |= {"compact": {"compact"}, "longish": {"longish", "long"}}.get(shape, {"thin", "long"})
        if "compare" in found:
            ratio = found["compare"].values["ratio"]
            out.add("new" if ratio >= 2 else "same" if ratio < 1.4 else "little")
        return out


def draw(split: Split, looks: TakeLooks, count: int, seed: int) -> list[Seen]:
    """Cases of a split of the drawn world, with the tools' evidence."""
    index, out = FactIndex(shipped_pack()), []
    for i in range(count):
        setting, references = SETTINGS[i % len(SETTINGS)]
        case = draw_case((seed, i), anomalous=0.65, references=references, families=split.families, types=split.types)
        found = looks(case, setting)
        if setting != "one-shot":
            case = replace(case, references=())
        types = [d.defect_type for d in case.defects] or list(BY_NAME[case.family].defect_types[:1])
        about = tuple(index.about(case.category, types[:2]))
        out.append(Seen(f"{split.name}-{i}", case, found, about, tuple(index.defects(case.category, 8))))
    return out
