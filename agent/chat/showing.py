"""What a chat prints: the verdict in short, answers and what they rest on, turns, pauses, sessions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from agent.conversation import Correction, Pause, Turn
from agent.render.lines import Lines, Part, Row
from agent.render.text import score_text, time_text, value_text
from agent.render.verdict import SEVERITY_STYLE, print_verdict
from agent.report import CitedEvidence, CitedFact, InspectionReport, ReasoningStep
from agent.vlm.prompt import read_answer
from knowledge.facts import Fact
from tools.evidence import Evidence

if TYPE_CHECKING:
    from agent.session import Reply, SessionInfo

AnyFact = Fact | CitedFact
AnyEvidence = Evidence | CitedEvidence
_SHORT = 160
"""Characters of an answer or a question where many are listed."""
_MOST = 3
"""Warnings that are shown with the verdict."""


def short(text: str, length: int = _SHORT) -> str:
    """The beginning of a long text."""
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


def facts_of(report: InspectionReport, turns: Sequence[Turn]) -> dict[str, AnyFact]:
    """Every fact of the conversation by id, in the order they came up."""
    facts: dict[str, AnyFact] = {fact.id: fact for fact in report.facts}
    for turn in turns:
        for fact in turn.facts:
            facts.setdefault(fact.id, fact)
    return facts


def evidence_of(report: InspectionReport, turns: Sequence[Turn]) -> dict[str, AnyEvidence]:
    """Every piece of evidence of the conversation by id, in the order it came up."""
    looks = {item.id: item for turn in turns for item in turn.looks}
    return {item.id: item for item in report.evidence} | looks


def cited_ids(report: InspectionReport, turns: Sequence[Turn]) -> set[str]:
    """Ids that findings, reasoning or answers rest on."""
    steps = [*report.reasoning, *(step for turn in turns for step in turn.steps)]
    cites = [*(finding.cites for finding in report.findings), *(step.cites for step in steps)]
    return {id for ids in cites for id in ids}


def print_verdict_in_short(report: InspectionReport, to: Lines) -> None:
    """The verdict, a line for each finding, and what to mind about them."""
    to.console.print()
    print_verdict(report, to)
    for number, finding in enumerate(report.findings, start=1):
        x0, y0, x1, y1 = finding.box
        kind = finding.defect_type.replace("_", " ")
        to.lines(
            (f"{number}.", "bold"),
            (kind, "bold"),
            (f"· {finding.severity}", SEVERITY_STYLE[finding.severity]),
            (f"· score {score_text(finding.score)} · box {x0}, {y0} – {x1}, {y1} px", "dim"),
            indent=2,
        )
        if finding.recommendation is not None:
            to.lines((finding.recommendation, ""), indent=5)
    warnings = report.warnings if len(report.warnings) <= _MOST else report.warnings[: _MOST - 1]
    to.rows((("!", "bold yellow"), [(text, "")]) for text in warnings)
    if more := len(report.warnings) - len(warnings):
        to.lines((f"{more} more warnings: /report", "dim"), indent=5)


def print_step(text: str, looks: Sequence[Evidence], to: Lines) -> None:
    """A step that is done: what the tools found in it, each with its id, else in words."""
    if not looks:
        to.rows([(("·", "dim"), [(text, "dim")])])
    for look in looks:
        show: list[Part] = [(f"/show {look.id}", "cyan")] if look.tool == "zoom" else []
        to.rows([(("·", "dim"), [(f"[{look.id}]", "cyan"), (f"{_name(look)}: {look.summary}", "dim"), *show])])


def names_of(written: str, steps: Sequence[ReasoningStep]) -> dict[str, str] | None:
    """For each id of an answer as it was written: the one it has in the session.

    A prompt numbers facts and evidence anew, so that its ids stay short; `steps` are its sentences with the ids of the
    session. None: something else was written, or nothing.
    """
    sentences = read_answer(written)[1]
    if not sentences or [said.text for said in sentences] != [step.text for step in steps]:
        return None
    pairs = zip(sentences, steps, strict=True)
    return {short: id for said, step in pairs for short, id in zip(said.cites, step.cites, strict=False)}


def print_cited(names: Mapping[str, str], report: InspectionReport, turns: Sequence[Turn], to: Lines) -> None:
    """What cited ids say; `names` holds for each id as it was shown the one it has in the session."""
    facts = {id: f"{fact.text} ({fact.source})" for id, fact in facts_of(report, turns).items()}
    looks = {id: f"{_name(item)}: {item.summary}" for id, item in evidence_of(report, turns).items()}
    to.rows((_cite(label, id, looks | facts) for label, id in names.items()), indent=4)


def print_grounds(reply: Reply, names: Mapping[str, str], turns: Sequence[Turn], to: Lines) -> None:
    """What the ids of an answer say, and which of its sentences nothing bears out; `names` as of `names_of`."""
    more = {id: id for id in reply.cites if id not in names.values()}
    print_cited({**names, **more}, reply.report, [*turns, reply.turn], to)
    weak = [step for step in reply.turn.steps if not step.supported]
    to.rows((("!", "bold yellow"), [("not supported by what it cites:", "yellow"), (s.text, "")]) for s in weak)
    to.rows((("!", "bold yellow"), [("could not be looked up:", "yellow"), (text, "")]) for text in reply.turn.failed)


def print_pause(pause: Pause, to: Lines) -> None:
    """What the agent waits for, and what the person can do."""
    to.console.print()
    if pause.kind == "question":
        to.lines(("The agent asks you:", "bold yellow"), (pause.text, ""))
        to.lines(("Type your answer; commands such as /show still work.", "dim"), indent=2)
        return
    to.lines(("A person should look at this part:", "bold yellow"), (pause.text, ""))
    to.lines(
        ("Look with /show, then /accept lets the verdict stand and /correct says what is right.", ""),
        ("You can ask questions first.", "dim"),
        indent=2,
    )


def print_facts(facts: Sequence[AnyFact], cited: Collection[str], to: Lines) -> None:
    """Facts with their sources; those that nothing rests on are marked."""
    to.rows(
        (
            (f"[{fact.id}]", "cyan"),
            [(fact.text, ""), (f"({fact.source}{'' if fact.id in cited else '; not cited'})", "dim")],
        )
        for fact in facts
    )


def print_evidence(items: Sequence[AnyEvidence], to: Lines, *, values: bool) -> None:
    """What the tools found; with `values` the numbers behind it."""
    rows: list[Row] = []
    for item in items:
        rows.append(((f"[{item.id}]", "cyan"), [(f"{_name(item)}:", "bold"), (item.summary, "")]))
        if values and item.values and item.tool != "query_facts":
            numbers = ", ".join(f"{name} {value_text(value)}" for name, value in item.values.items())
            rows.append((("", ""), [(numbers, "dim")]))
    to.rows(rows)


def print_turns(turns: Sequence[Turn], corrections: Sequence[Correction], to: Lines) -> None:
    """Questions and answers in short, with what a person said instead."""
    for turn in turns:
        to.lines((f"{turn.number}.", "bold"), (short(turn.question), "bold"))
        weak = sum(not step.supported for step in turn.steps)
        mark: list[Part] = [(f"({weak} of {len(turn.steps)} sentences not supported)", "yellow")] if weak else []
        to.lines((short(turn.answer.text), ""), *mark, indent=3)
        for correction in corrections:
            if correction.answer is not None and correction.turn == turn.number:
                to.lines((f"{correction.by} says instead:", "green"), (short(correction.answer), ""), indent=3)


def print_corrections(corrections: Sequence[Correction], to: Lines) -> None:
    """What persons said of the verdict, and why they corrected it or an answer."""
    for item in corrections:
        said = [item.verdict, item.defect_type, None if item.box is None else f"box {value_text(item.box)}"]
        words = ", ".join(part for part in said if part is not None)
        if item.answer is not None and item.question is None:
            words = f"{words}; {short(item.answer)}" if words else short(item.answer)
        told = f"{words} (the agent said {item.verdict_before})" if words else "a better answer"
        to.lines((f"{item.by}, {time_text(item.at)}:", "green"), (told, ""), (f"· {short(item.why)}", "dim"))


def print_sessions(sessions: Sequence[SessionInfo], to: Lines, current: str | None = None) -> None:
    """Sessions, newest first, each with what it is about."""
    for info in sessions:
        fork = info.forked_from
        begun = (
            None
            if fork is None
            else f"from {fork.session}, after {f'question {fork.turn}' if fork.turn else 'the inspection'}"
        )
        about = [time_text(info.created), *(part for part in (info.category, info.model, begun) if part)]
        here: list[Part] = [("(this one)", "green")] if info.id == current else []
        to.lines((info.id, "cyan"), (info.image.source, ""), *here)
        to.lines((" · ".join(about), "dim"), indent=2)


def _cite(label: str, id: str, known: dict[str, str]) -> Row:
    if id not in known:
        return (f"[{label}]", "yellow"), [("is not known here", "yellow")]
    kept = [] if label == id else [(f"· id {id}", "dim")]
    return (f"[{label}]", "cyan"), [(known[id], "dim"), *kept]


def _name(item: AnyEvidence) -> str:
    return item.tool.replace("_", " ")
