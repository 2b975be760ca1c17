"""An inspection report as terminal text, at most 100 columns wide, readable without colour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

from agent.render.text import duration_text, percent_text, plain, score_text, total_ms, value_text
from agent.report import Finding, InspectionReport

MAX_WIDTH = 100
_BAR_CELLS = 40

Part = tuple[str, str]
"""Words and the rich style they are printed in."""
Row = tuple[Part, Sequence[Part]]
"""A label and what stands beside it."""

_VERDICT_STYLE = {"normal": "bold green", "anomalous": "bold red", "uncertain": "bold yellow"}
_VERDICT_SIGN = {"normal": "✓", "anomalous": "✗", "uncertain": "?"}
_SEVERITY_STYLE = {"minor": "cyan", "major": "yellow", "critical": "bold red"}
# For terminals that know only ASCII or Latin-1.
_SIMPLER = str.maketrans({"✓": "+", "✗": "x", "×": "x", "–": "-", "·": ".", "█": "#", "│": "|", "’": "'"})


def print_report(report: InspectionReport, console: Console) -> None:
    """Print `report`; its texts are shown as they are, never read as rich markup or terminal control."""
    _Printer(report, console).print_all()


class _Printer:
    """One report on one console."""

    def __init__(self, report: InspectionReport, console: Console) -> None:
        self.report = report
        self.console = console
        self.width = min(MAX_WIDTH, console.width)
        self.known = {fact.id for fact in report.facts} | {item.id for item in report.evidence}
        self.cited = {id_ for finding in report.findings for id_ in finding.cites}
        self.cited |= {id_ for step in report.reasoning for id_ in step.cites}

    def print_all(self) -> None:
        self.verdict()
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

    def verdict(self) -> None:
        report, style = self.report, _VERDICT_STYLE[self.report.verdict]
        parts = f"(detector {score_text(report.scores.detector)}, VLM {score_text(report.scores.vlm)})"
        self.lines(
            (f"{_VERDICT_SIGN[report.verdict]} {report.verdict.upper()}", style),
            (f"· anomaly score {score_text(report.anomaly_score)}", style),
            (f"{parts}, confidence {score_text(report.confidence)}", ""),
        )
        half, filled = _BAR_CELLS // 2, round(report.anomaly_score * _BAR_CELLS)
        cells = "█" * filled + "·" * (_BAR_CELLS - filled)
        bar = (f"{cells[:half]}│{cells[half:]}", style)
        self.lines(bar, ("threshold 0.5 in the middle", "dim"), indent=2)
        count = len(report.findings)
        found = "no finding" if count == 0 else f"{count} finding{'s' if count > 1 else ''}"
        where = [report.image.source, f"{report.image.width} × {report.image.height} px"]
        where += [report.category] if report.category is not None else []
        self.lines((" · ".join([*where, report.setting, found]), "dim"), indent=2)

    def answer(self) -> Iterator[Row]:
        answer = self.report.answer
        if answer is not None:
            yield ({True: "Yes", False: "No", None: "-"}[answer.value], "bold"), [(answer.text, "")]

    def finding(self, number: int, finding: Finding) -> None:
        if number > 1:
            self.console.print()
        severity = (f"· {finding.severity}", _SEVERITY_STYLE[finding.severity])
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

    def heading(self, words: str) -> None:
        self.console.print()
        self.lines((words, "bold underline"))

    def section(self, words: str, rows: Iterable[Row]) -> None:
        """A heading and its rows; nothing at all without rows."""
        rows = list(rows)
        if rows:
            self.heading(words)
            self.rows(rows)

    def rows(self, rows: Iterable[Row], indent: int = 2) -> None:
        """Labels in a column of their own, what they label wrapped beside them."""
        labelled = [(self.line(label), parts) for label, parts in rows]
        column = min(max((label.cell_len for label, _ in labelled), default=0), self.width // 4)
        margin = Text(" " * indent)
        for label, parts in labelled:
            if label.cell_len > column:  # an id must not be cut: it gets lines of its own
                self.wrapped(label, indent)
                first = None
            else:
                first = margin + label
                first.pad_right(column + 2 - label.cell_len)
            self.wrapped(self.line(*parts), indent + column + 2, first)

    def lines(self, *parts: Part, indent: int = 0) -> None:
        self.wrapped(self.line(*parts), indent)

    def wrapped(self, words: Text, indent: int, first: Text | None = None) -> None:
        """Print `words` `indent` cells from the left, with `first` as the margin of the first line."""
        margin = first or Text(" " * indent)
        # Rich's own padding would fill each line with spaces up to the width, which copying then picks up.
        for line in words.wrap(self.console, max(20, self.width - indent), overflow="fold"):
            shown = margin + line
            shown.rstrip()
            self.console.print(shown, soft_wrap=True)
            margin = Text(" " * indent)

    def line(self, *parts: Part) -> Text:
        """`parts` with a space between them, in characters that this console's encoding can print."""
        line = Text()
        for number, (words, style) in enumerate(parts):
            line.append(" " if number else "").append(self.printable(words), style)
        return line

    def printable(self, words: str) -> str:
        clean, encoding = plain(words), self.console.encoding
        if clean.encode(encoding, "replace").decode(encoding) != clean:
            clean = clean.translate(_SIMPLER).encode(encoding, "replace").decode(encoding)
        return clean
