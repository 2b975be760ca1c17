"""The files of a report: page, JSON, overlay, heat map."""

from __future__ import annotations

from pathlib import Path

from agent.images import InputError
from agent.render.html import report_html
from agent.render.overlay import heatmap_png, overlay
from agent.report import InspectionReport


def write_report(report: InspectionReport, folder: Path, *, mm_per_px: float | None = None) -> InspectionReport:
    """Write report.html, report.json, overlay.png and heatmap.png; returns the report with their paths in it.

    Raises:
        InputError: the folder cannot be written.
    """
    pictures = report.pictures
    boxes = [finding.box for finding in report.findings]
    picture = overlay(pictures.photo, pictures.anomaly_map, boxes, mm_per_px=mm_per_px)
    written = report.model_copy(update={"heatmap": str(folder / "heatmap.png"), "overlay": str(folder / "overlay.png")})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        heatmap_png(pictures.anomaly_map).save(folder / "heatmap.png")
        picture.save(folder / "overlay.png")
        page = report_html(
            written,
            overlay=picture,
            photo=pictures.photo,
            references=pictures.references,
            attended=pictures.attended(),
        )
        (folder / "report.html").write_text(page, encoding="utf-8")
        (folder / "report.json").write_text(written.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"--out {str(folder)!r}: cannot be written ({error.strerror}); give a folder that can"
        ) from error
    return written
