"""Findings from the regions of the heat map and the model's cited sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.report import Finding, Severity
from agent.vlm.prompt import Sentence
from knowledge.facts import Fact, FactKind
from tools.evidence import Evidence

UNCLASSIFIED = "unclassified"
# Defects that end or endanger the function of most parts, and those that mostly concern its looks. The drawing or the
# customer has the last word; this is where a report without either begins.
_GRAVE = {
    "crack", "break", "hole", "leak", "missing_part", "swapped_part", "open_circuit", "short_circuit", "lack_of_fusion", "cold_solder",
    "foreign_body", "broken_thread", "burn", "exposed_conductor", "seal_failure", "wrong_count", "empty_pocket",
}  # fmt: skip
_COSMETIC = {
    "scratch",
    "scuff",
    "stain",
    "discolouration",
    "colour_mismatch",
    "misprint",
    "orange_peel",
    "dent",
    "uneven_surface",
}
_CERTAIN = 0.8
_SMALL = 0.01


def severity_of(defect_type: str, score: float, area_fraction: float) -> Severity:
    """A first severity by rule: grave kinds seen with certainty are critical, small cosmetic ones minor, the rest major."""
    if defect_type in _GRAVE and score >= _CERTAIN:
        return "critical"
    if defect_type in _COSMETIC and area_fraction < _SMALL:
        return "minor"
    return "major"


def build_findings(
    sentences: Sequence[Sentence],
    facts: Mapping[str, Fact],
    evidence: Sequence[Evidence],
    image_pixels: int,
    general: Sequence[Fact] = (),
) -> list[Finding]:
    """One finding a region; the first carries what the model wrote, the others were not looked at closely.

    Args:
        sentences: the supported sentences of the answer.
        facts: by short id.
        evidence: all evidence of the inspection.
        image_pixels: width times height of the photo.
        general: facts on what to do with a part whose defect is of no known kind.
    """
    heat = next(item for item in evidence if item.tool == "heatmap")
    regions = heat.values["regions"] or [
        {"box_px": heat.values["peak_box_px"], "peak": heat.values["score"], "place": heat.values["place"]}
    ]
    cited = list(dict.fromkeys(id for s in sentences for id in s.cites))
    read = [facts[id] for id in cited if id in facts]
    named = [f.defect_type for f in read if f.defect_type]
    # Two kinds named side by side is the model saying that it cannot tell: see the sentence "fits none of".
    kinds = {f.defect_type for f in read if f.kind in ("cause", "impact", "remedy") and f.defect_type}
    defect_type = next((t for t in named if t in kinds), named[0] if len(set(named)) == 1 else UNCLASSIFIED)

    if defect_type == UNCLASSIFIED:
        read += general
        cited += [fact.id for fact in general]

    def fact_text(kind: FactKind) -> str | None:
        return next((f.text for f in read if f.kind == kind and f.defect_type == defect_type), None)

    # The model may have measured other places too.
    strongest = list(regions[0]["box_px"])
    measured = next(
        (e for e in evidence if e.tool == "measure" and e.arguments.get("where", strongest) == strongest), None
    )
    findings = []
    for i, region in enumerate(regions):
        x0, y0, x1, y1 = region["box_px"]
        first = i == 0
        fraction = (x1 - x0) * (y1 - y0) / image_pixels
        if first and measured is not None:
            fraction = float(measured.values["area_fraction"])
        kind = defect_type if first else UNCLASSIFIED
        says = [s.text for s in sentences if any(id in facts and facts[id].kind == "defect" for id in s.cites)]
        place = f"In the {region['place']}, heat-map score {region['peak']:.2f}."
        described = (
            " ".join([place, *([measured.summary] if measured else []), *says])
            if first
            else f"{place} Not looked at closely."
        )
        findings.append(
            Finding(
                defect_type=kind,
                box=(x0, y0, x1, y1),
                area_fraction=min(1.0, fraction),
                score=region["peak"],
                severity=severity_of(kind, region["peak"], fraction),
                description=described,
                cause=fact_text("cause") if first else None,
                impact=fact_text("impact") if first else None,
                recommendation=fact_text("remedy") if first else None,
                cites=[facts[id].id if id in facts else id for id in cited] if first else [heat.id],
            )
        )
    return findings
