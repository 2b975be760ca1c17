"""A person's part in the graph: an inspection waits for them where a review is due, and takes their corrections."""

from __future__ import annotations

from collections.abc import Collection

from langchain_core.tools import tool
from langgraph.types import interrupt

from agent.conversation import Acceptance, Correction, Pause, ReviewRule
from agent.findings import build_findings, severity_of
from agent.report import Finding, Scores
from agent.state import InspectionState, Update
from agent.vlm.prompt import one_line
from tools.evidence import Evidence
from tools.images import ImageStore
from tools.regions import place_of_box


@tool(response_format="content_and_artifact")
def ask_person(question: str) -> tuple[str, Evidence]:
    """Ask the person a question that neither the photo nor the facts can answer, such as how the part is used."""
    asked = one_line(question)[:500]
    told = one_line(str(interrupt(Pause(kind="question", text=asked).model_dump())))
    summary = f"Asked {asked!r}, the person says: {told}"
    return summary, Evidence(id="", tool=ASK_PERSON, arguments={"question": question}, summary=summary)


ASK_PERSON = ask_person.name


class PersonNodes:
    """The nodes `review` and `correct`."""

    def __init__(self, images: ImageStore, rules: Collection[ReviewRule]) -> None:
        self.images, self.rules = images, rules

    def review(self, state: InspectionState) -> Update:
        """Wait for a person where a rule asks for one; runs again from its start when they have spoken, so it only reads."""
        decided = [c for c in state.get("corrections") or [] if c.verdict or c.box or c.defect_type]
        if state.get("accepted") or decided:
            return {}
        due = reasons_for_review(state, self.rules)
        if not due:
            return {}
        said = interrupt(Pause(kind="review", text="; ".join(due)).model_dump())
        if said["action"] == "accept":
            return {"accepted": Acceptance(**said["acceptance"])}
        if said["action"] == "correct":
            return {"correction": Correction(**said["correction"])}
        return {"question": str(said["question"])}

    def correct(self, state: InspectionState) -> Update:
        """Put what a person says in place of what the agent said; scores and confidence stay the agent's own."""
        correction = state["correction"]
        assert correction is not None
        verdict = correction.verdict or state["verdict"]
        update: Update = {"correction": None, "corrections": [correction]}
        told = [f"the part is {verdict}" if correction.verdict else ""]
        told.append(f"the defect is {correction.defect_type.replace('_', ' ')}" if correction.defect_type else "")
        photo = self.images.photo(state["image_id"])
        place = place_of_box(correction.box, photo.width, photo.height) if correction.box else None
        told.append(f"it is in the {place}" if place else "")
        if correction.answer:
            asked = f"to the question {one_line(correction.question)!r} " if correction.question else ""
            told.append(f"{asked}the answer is: {one_line(correction.answer).rstrip('.')}")
        summary = f"{one_line(correction.by)} says: {'; '.join(part for part in told if part)}. Why: {one_line(correction.why)}"
        heard = Evidence(
            id=f"E{next_look(state)}",
            tool="person",
            arguments={"by": correction.by},
            summary=summary,
            values=correction.model_dump(mode="json", exclude_none=True) | ({"place": place} if place else {}),
        )
        update["evidence"] = [heard]
        if correction.verdict or correction.box or correction.defect_type:
            update["verdict"] = verdict
            update["findings"] = [] if verdict == "normal" else self._findings(state, correction, heard)
            update["warnings"] = [
                f"corrected by {one_line(correction.by)} (was {state['verdict']}): {one_line(correction.why)}; scores and "
                "confidence are the agent's"
            ]
        return update

    def _findings(self, state: InspectionState, correction: Correction, heard: Evidence) -> list[Finding]:
        photo = self.images.photo(state["image_id"])
        # After a correction to normal and back the regions are all there is.
        known_before = state["findings"] or build_findings([], {}, state["evidence"], photo.width * photo.height)
        first = known_before[0]
        box, kind = correction.box or first.box, correction.defect_type or first.defect_type
        x0, y0, x1, y1 = box
        score = float(self.images.anomaly_map(f"{state['image_id']}-heatmap")[y0:y1, x0:x1].max())
        share = (x1 - x0) * (y1 - y0) / (photo.width * photo.height)
        known = first if first.defect_type == kind else None
        finding = Finding(
            defect_type=kind,
            box=box,
            area_fraction=share,
            score=score,
            severity=severity_of(kind, score, share),
            description=heard.summary,
            cause=known.cause if known else None,
            impact=known.impact if known else None,
            recommendation=known.recommendation if known else None,
            cites=[heard.id, *(known.cites if known else [])],
        )
        return [finding, *known_before[1:]]


def reasons_for_review(state: InspectionState, rules: Collection[ReviewRule]) -> list[str]:
    """Why a person should look at this inspection, by the rules that are asked for."""
    due = []
    if "uncertain" in rules and state["verdict"] == "uncertain":
        due.append("the verdict is uncertain")
    grave = [finding for finding in state["findings"] if finding.severity == "critical"]
    if "critical" in rules and grave:
        due.append(f"a finding is critical ({grave[0].defect_type.replace('_', ' ')})")
    scores = scores_of(state)
    detector, vlm = scores.detector, scores.vlm
    if "at odds" in rules and detector is not None and vlm is not None and (detector >= 0.5) != (vlm >= 0.5):
        due.append(f"the detector ({detector:.2f}) and the model ({vlm:.2f}) are at odds")
    return due


def scores_of(state: InspectionState) -> Scores:
    """The two parts of the verdict."""
    heat = next(item for item in state["evidence"] if item.tool == "heatmap")
    return Scores(detector=float(heat.values["score"]), vlm=state.get("vlm_score"))


def next_look(state: InspectionState) -> int:
    """The number of the next piece of evidence, E1, E2, …, unique in a session."""
    counted = [*state["evidence"], *(state.get("fresh") or [])]
    return 1 + sum(item.tool != "query_facts" for item in counted) + state.get("looks", 0)
