"""An inspection report as terminal text, at most 100 columns wide, readable without colour."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console

from agent.render.lines import Lines, Part, Row
from agent.render.text import duration_text, percent_text, score_text, total_ms, value_text
from agent.render.verdict import SEVERITY_STYLE, print_verdict
from agent.report import Finding, InspectionReport


def print_report(report: InspectionReport, console: Console) -> None:
    """Print `report`; its texts are shown as they are, never read as rich markup or terminal control."""
    _Printer(report, console).print_all()


class _Printer(Lines):
    """One report on one console."""

    def __init__(self, report: InspectionReport, console: Console) -> None:
        super().__init__(console)
        self.report = report
        self.known = {fact.id for fact in report.facts} | {item.id for item in report.evidence}
        self.cited = {id_ for finding in report.findings for id_ in finding.cites}
        self.cited |= {id_ for step in report.reasoning for id_ in step.cites}

    def print_all(self) -> None:
        print_verdict(self.report, self)
        self.section("Warnings", ((("!", "bold yellow"), [(text, "")]) for text in self.report.warnings))
        self.section("Answer", self.answer())
        if self.report.findings:
            self.heading("Findings")
        for number, finding in enumerate(self.report.findings, start=1):
            self.finding(number, finding)
        self.section("Reasoning", self.reasoning())
        self.section("Facts cited", self.facts())
        self.section("Evidence", self.evidence())
        self.section("Origin", self.origin())

    def answer(self) -> Iterator[Row]:
        answer = self.report.answer
        if answer is not None:
            yield ({True: "Yes", False: "No", None: "-"}[answer.value], "bold"), [(answer.text, "")]

    def finding(self, number: int, finding: Finding) -> None:
        if number > 1:
            self.console.print()
        severity = (f"· {finding.severity}", SEVERITY_STYLE[finding.severity])
        self.lines((f"{number}.", "bold"), (finding.defect_type, "bold"), severity, indent=2)
        x0, y0, x1, y1 = finding.box
        numbers = f"score {score_text(finding.score)} · area {percent_text(finding.area_fraction)}"
        self.lines((f"{numbers} · box {x0}, {y0} – {x1}, {y1} px", "dim"), indent=5)
        self.lines((finding.description, ""), *self.cites(finding.cites), indent=5)
        advice = {"Cause": finding.cause, "Impact": finding.impact, "Recommendation": finding.recommendation}
        self.rows((((name, "dim"), [(text, "")]) for name, text in advice.items() if text is not None), indent=5)

    def reasoning(self) -> Iterator[Row]:
        for number, step in enumerate(self.report.reasoning, start=1):
            flag = [] if step.supported else [("UNSUPPORTED:", "bold yellow")]
            yield (f"{number}.", "dim"), [*flag, (step.text, ""), *self.cites(step.cites)]

    def facts(self) -> Iterator[Row]:
        for fact in self.report.facts:
            if fact.id in self.cited:
                yield (f"[{fact.id}]", "cyan"), [(fact.text, ""), (f"({fact.source})", "dim")]
        if rest := sum(fact.id not in self.cited for fact in self.report.facts):
            yield ("", ""), [(f"{rest} more read, not cited", "dim")]

    def evidence(self) -> Iterator[Row]:
        for item in self.report.evidence:
            yield (f"[{item.id}]", "cyan"), [(f"{item.tool}: {item.summary}", "")]
            if item.values:
                values = ", ".join(f"{name} {value_text(value)}" for name, value in item.values.items())
                yield ("", ""), [(values, "dim")]

    def origin(self) -> Iterator[Row]:
        report, model = self.report, self.report.model
        for name, value in (
            ("Model", f"{model.name}, revision {model.revision}, stage {model.stage}"),
            ("Report", report.id),
            ("Heat map", report.heatmap),
            ("Overlay", report.overlay),
            ("Time", duration_text(total_ms(report.timings)) if report.timings else None),
        ):
            if value is not None:
                yield (name, "dim"), [(value, "")]

    def cites(self, ids: Sequence[str]) -> Iterator[Part]:
        for id_ in ids:
            yield (f"[{id_}]", "cyan") if id_ in self.known else (f"[{id_}: not in this report]", "yellow")
