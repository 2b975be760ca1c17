"""An inspection report as one self-contained web page: pictures inlined, no script, nothing fetched."""

from __future__ import annotations

import html as html_escape
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from agent.render.overlay import attention
from agent.render.page import Picture, picture_of, render_page
from agent.render.text import duration_text, total_ms
from agent.report import Finding, ImageInfo, InspectionReport

_CLOSE_UP_SIDE = 400
_LOOKED_SIDE = 144
_MAX_CLOSE_UPS = 24


def report_html(
    report: InspectionReport,
    *,
    overlay: Image.Image | None,
    photo: Image.Image | None,
    references: Sequence[Image.Image] = (),
    attended: Sequence[NDArray[np.float32]] = (),
) -> str:
    """The whole page as text; write it as UTF-8.

    Args:
        report: What to show. Every text in it, file names included, is escaped.
        overlay: Photo with heat map and boxes, from `agent.render.overlay.overlay`; None leaves it out.
        photo: The photo as inspected; None where only the report was kept.
        references: The reference photos, in the order of `report.references`.
        attended: Where the model looked for each of the first facts of `report.facts`, (H, W) in 0..1; see
            `agent.report.Pictures.attended`.
    """
    return _render(report, overlay, photo, references, attended)


def notebook_html(
    report: InspectionReport,
    *,
    overlay: Image.Image | None = None,
    photo: Image.Image | None = None,
    references: Sequence[Image.Image] = (),
    attended: Sequence[NDArray[np.float32]] = (),
    height: int = 720,
) -> str:
    """The page in a frame `height` CSS pixels tall, for `_repr_html_`.

    A frame because a notebook holds many reports in one document: their anchors would collide and their style
    would reach the notebook's own pages. The sandbox gives it no scripts and no access to the notebook.
    """
    # In such a frame a bare `#fact-1` means the notebook's own address and would load the notebook into it.
    page = _render(report, overlay, photo, references, attended, address="about:srcdoc")
    return (
        f'<iframe sandbox="" title="Inspection report" width="100%" height="{int(height)}"'
        f' style="border:0;color-scheme:light dark" srcdoc="{html_escape.escape(page, quote=True)}"></iframe>'
    )


def _render(
    report: InspectionReport,
    overlay: Image.Image | None,
    photo: Image.Image | None,
    references: Sequence[Image.Image],
    attended: Sequence[NDArray[np.float32]],
    address: str = "",
) -> str:
    anchors, titles = targets(report)
    return render_page(
        "report.html.j2",
        "report.css",
        report=report,
        address=address,
        anchors=anchors,
        titles=titles,
        overlay=picture_of(overlay) if overlay is not None else None,
        photo=picture_of(photo) if photo is not None else None,
        references=list(named_references(report.references, references)),
        close_ups=close_ups(report, photo) if photo is not None else [],
        looked=list(looked(photo, attended)) if photo is not None else [],
        steps=steps(report),
        total=duration_text(total_ms(report.timings)),
    )


def targets(report: InspectionReport) -> tuple[dict[str, str], dict[str, str]]:
    """From each id that may be cited to its anchor, and to the words shown when pointing at the link."""
    anchors: dict[str, str] = {}
    titles: dict[str, str] = {}
    for kind, items in (
        ("fact", [(fact.id, fact.text) for fact in report.facts]),
        ("evidence", [(evidence.id, evidence.summary) for evidence in report.evidence]),
    ):
        for id_, title in items:
            if id_ not in anchors:
                anchors[id_] = f"{kind}-{slug(id_)}"
                titles[id_] = title
    return anchors, titles


def slug(id_: str) -> str:
    """`id_` as an anchor: letters, digits, `_` and `-`, else with a hash so that no two coincide."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", id_):
        return id_
    kept = re.sub(r"[^A-Za-z0-9_-]+", "-", id_)[:40].strip("-")
    return f"{kept}.{sha256(id_.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def named_references(infos: Sequence[ImageInfo], images: Sequence[Image.Image]) -> Iterable[tuple[str, Picture | None]]:
    """Source and picture of each reference; a reference without its picture is still named."""
    for number in range(max(len(infos), len(images))):
        source = infos[number].source if number < len(infos) else ""
        yield source, picture_of(images[number]) if number < len(images) else None


def close_ups(report: InspectionReport, photo: Image.Image) -> list[Picture]:
    """The photo around each finding, without heat; the first ones only where there are very many."""
    scale_x, scale_y = photo.width / report.image.width, photo.height / report.image.height
    return [_close_up(finding, photo, scale_x, scale_y) for finding in report.findings[:_MAX_CLOSE_UPS]]


def _close_up(finding: Finding, photo: Image.Image, scale_x: float, scale_y: float) -> Picture:
    x0, y0, x1, y1 = finding.box
    centre_x, centre_y = (x0 + x1) / 2 * scale_x, (y0 + y1) / 2 * scale_y
    # Twice the box, square: enough around it to recognise the place on the part.
    half = max((x1 - x0) * scale_x, (y1 - y0) * scale_y, 24.0)
    left, top = max(0, round(centre_x - half)), max(0, round(centre_y - half))
    right, bottom = min(photo.width, round(centre_x + half)), min(photo.height, round(centre_y + half))
    if left >= right or top >= bottom:  # a box off the photo: show all of it rather than nothing
        left, top, right, bottom = 0, 0, *photo.size
    return picture_of(photo.crop((left, top, right, bottom)), _CLOSE_UP_SIDE)


def looked(photo: Image.Image, attended: Sequence[NDArray[np.float32]]) -> Iterable[Picture]:
    """The photo, small, lit where each fact looked."""
    small = photo.copy()
    small.thumbnail((_LOOKED_SIDE, _LOOKED_SIDE))
    return (picture_of(attention(small, seen)) for seen in attended)


def steps(report: InspectionReport) -> list[tuple[str, float, float]]:
    """Name, milliseconds and share of the longest step, 0..1, without the total."""
    steps = {name: ms for name, ms in report.timings.items() if name != "total"}
    longest = max(steps.values(), default=0.0) or 1.0
    return [(name, ms, max(0.0, ms) / longest) for name, ms in steps.items()]
