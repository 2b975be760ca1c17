"""From the state that a run of the graph ends with to the report."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from agent.findings import UNCLASSIFIED
from agent.nodes import shown
from agent.person import scores_of
from agent.report import CitedEvidence, CitedFact, InspectionReport, Pictures
from agent.setup import Setup
from agent.state import InspectionState
from tools.evidence import Evidence
from tools.toolbox import TEST

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from agent.model import Vlm


def new_id(now: datetime) -> str:
    """Of an inspection or a session: when, and a few random digits."""
    return f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def report_of(
    setup: Setup, vlm: Vlm, state: Mapping[str, Any], id: str | None = None, created: datetime | None = None
) -> InspectionReport:
    """The report.

    Args:
        setup: what the inspection worked with.
        vlm: the model that reasoned.
        state: of the graph, when it had come to a verdict.
        id: of the session, where it is one.
        created: when the session began.
    """
    now = created or datetime.now(UTC)
    values = cast(InspectionState, state)
    turns = values.get("turns") or []
    found = [*values["evidence"], *(values.get("looked") or []), *(look for turn in turns for look in turn.looks)]
    looks = {look.id: look for look in found}
    facts = {fact.id: fact for fact in [*(values.get("facts") or []), *(fact for turn in turns for fact in turn.facts)]}
    # What is known against the kinds of defect the model names, where a person has taken those away.
    named = any(finding.defect_type != UNCLASSIFIED for finding in values["findings"])
    warnings = [line for line in values["warnings"] if named or line != vlm.caveat]
    last = turns[-1] if turns else None
    if last is not None and vlm.answers_caveat:
        warnings.append(vlm.answers_caveat)
    unheld = [step.text for step in last.steps if not step.supported] if last else []
    report = InspectionReport(
        id=id or new_id(now),
        created=now,
        image=setup.photo.info(),
        references=[r.info() for r in setup.references],
        category=setup.category or values.get("category"),
        setting=values.get("setting") or setup.detector.setting,  # type: ignore[arg-type]
        verdict=values["verdict"],
        anomaly_score=values["anomaly_score"],
        scores=scores_of(values),
        confidence=values["confidence"],
        findings=values["findings"],
        answer=last.answer if last else None,
        reasoning=values.get("reasoning") or [],
        facts=[CitedFact(id=f.id, text=f.text, source=f.source, score=f.score) for f in facts.values()],
        evidence=[_cited(item) for item in looks.values()],
        model=vlm.info,
        timings=values["timings"],
        warnings=[
            *warnings,
            *(f"in the answer, not supported by what it cites: {text!r}" for text in unheld),
        ],
    )
    report.keep_pictures(
        Pictures(
            setup.photo.pixels,
            tuple(r.pixels for r in setup.references),
            setup.images.anomaly_map(f"{TEST}-heatmap"),
            lambda: _attended(setup, vlm, values),
        )
    )
    return report


def _attended(setup: Setup, vlm: Vlm, state: InspectionState) -> list[NDArray[np.float32]]:
    if "asked" not in state:
        return []
    evidence = [item for item in state["evidence"] if item.tool == "zoom"]
    photos, views = shown({**state, "fresh": []}, setup.images, close_up=True)
    zoom = evidence[0] if evidence else None
    sides = photos[0].size * 2
    box = None if zoom is None else tuple(at / side for at, side in zip(zoom.values["box_px"], sides, strict=True))
    return vlm.attended(photos, views, state["asked"], box)[:-1]  # the last is the question's


def _cited(item: Evidence) -> CitedEvidence:
    values = item.values
    if item.tool == "query_facts":  # The facts stand in the report once already.
        values = {"facts": [fact["id"] for fact in values["facts"]]}
    return CitedEvidence(id=item.id, tool=item.tool, arguments=item.arguments, summary=item.summary, values=values)
