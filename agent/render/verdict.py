"""The head of a report on a terminal: the verdict, its score as a bar, and where it comes from."""

from __future__ import annotations

from agent.render.lines import Lines
from agent.render.text import score_text
from agent.report import InspectionReport

SEVERITY_STYLE = {"minor": "cyan", "major": "yellow", "critical": "bold red"}
_VERDICT_STYLE = {"normal": "bold green", "anomalous": "bold red", "uncertain": "bold yellow"}
_VERDICT_SIGN = {"normal": "✓", "anomalous": "✗", "uncertain": "?"}
_BAR_CELLS = 40


def print_verdict(report: InspectionReport, to: Lines) -> None:
    """Verdict and scores, the score as a bar, the photo and how it was inspected."""
    style = _VERDICT_STYLE[report.verdict]
    parts = f"(detector {score_text(report.scores.detector)}, VLM {score_text(report.scores.vlm)})"
    to.lines(
        (f"{_VERDICT_SIGN[report.verdict]} {report.verdict.upper()}", style),
        (f"· anomaly score {score_text(report.anomaly_score)}", style),
        (f"{parts}, confidence {score_text(report.confidence)}", ""),
    )
    half, filled = _BAR_CELLS // 2, round(report.anomaly_score * _BAR_CELLS)
    cells = "█" * filled + "·" * (_BAR_CELLS - filled)
    to.lines((f"{cells[:half]}│{cells[half:]}", style), ("threshold 0.5 in the middle", "dim"), indent=2)
    count = len(report.findings)
    found = "no finding" if count == 0 else f"{count} finding{'s' if count > 1 else ''}"
    where = [report.image.source, f"{report.image.width} × {report.image.height} px"]
    where += [report.category] if report.category is not None else []
    to.lines((" · ".join([*where, report.setting, found]), "dim"), indent=2)
