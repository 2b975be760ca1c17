"""An inspection report as one self-contained web page: pictures inlined, no script, nothing fetched."""

from __future__ import annotations

import html as html_escape
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from PIL import Image

from agent.render.text import duration_text, percent_text, plain, score_text, time_text, total_ms, value_text
from agent.report import Finding, ImageInfo, InspectionReport

MAX_SIDE = 1200
"""Long side of an inlined picture, in pixels; larger ones are scaled down."""
_POLICY = "default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
_PNG_UP_TO = 256
_CLOSE_UP_SIDE = 400
_MAX_CLOSE_UPS = 24


@dataclass(frozen=True)
class Picture:
    """An image as the page shows it."""

    uri: str
    """`data:` URI, JPEG or PNG."""
    width: int
    height: int


def report_html(
    report: InspectionReport,
    *,
    overlay: Image.Image | None,
    photo: Image.Image | None,
    references: Sequence[Image.Image] = (),
) -> str:
    """The whole page as text; write it as UTF-8.

    Args:
        report: What to show. Every text in it, file names included, is escaped.
        overlay: Photo with heat map and boxes, from `agent.render.overlay.overlay`; None leaves it out.
        photo: The photo as inspected; None where only the report was kept.
        references: The reference photos, in the order of `report.references`.
    """
    return _render(report, overlay, photo, references)


def notebook_html(
    report: InspectionReport,
    *,
    overlay: Image.Image | None = None,
    photo: Image.Image | None = None,
    references: Sequence[Image.Image] = (),
    height: int = 720,
) -> str:
    """The page in a frame `height` CSS pixels tall, for `_repr_html_`.

    A frame because a notebook holds many reports in one document: their anchors would collide and their style
    would reach the notebook's own pages. The sandbox gives it no scripts and no access to the notebook.
    """
    # In such a frame a bare `#fact-1` means the notebook's own address and would load the notebook into it.
    page = _render(report, overlay, photo, references, address="about:srcdoc")
    return (
        f'<iframe sandbox="" title="Inspection report" width="100%" height="{int(height)}"'
        f' style="border:0;color-scheme:light dark" srcdoc="{html_escape.escape(page, quote=True)}"></iframe>'
    )


def _render(
    report: InspectionReport,
    overlay: Image.Image | None,
    photo: Image.Image | None,
    references: Sequence[Image.Image],
    address: str = "",
) -> str:
    anchors, titles = _targets(report)
    style = _style()
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return _template().render(
        report=report,
        # The hash lets in this one style sheet; any other `<style>` or `style=` would stay dead.
        policy=_POLICY.format(digest=digest),
        style=Markup(style),  # our own file, and the hash covers it as it stands
        address=address,
        anchors=anchors,
        titles=titles,
        overlay=_picture(overlay) if overlay is not None else None,
        photo=_picture(photo) if photo is not None else None,
        references=list(_named_references(report.references, references)),
        close_ups=_close_ups(report, photo) if photo is not None else [],
        steps=_steps(report),
        total=duration_text(total_ms(report.timings)),
    )


@cache
def _style() -> str:
    return (Path(__file__).parent / "report.css").read_text(encoding="utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        score=score_text, percent=percent_text, value=value_text, duration=duration_text, time=time_text
    )
    return environment.get_template("report.html.j2")


def _printable(value: Any) -> Any:
    # Runs on every expression of the template, before it is escaped.
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _targets(report: InspectionReport) -> tuple[dict[str, str], dict[str, str]]:
    """From each id that may be cited to its anchor, and to the words shown when pointing at the link."""
    anchors: dict[str, str] = {}
    titles: dict[str, str] = {}
    for kind, items in (
        ("fact", [(fact.id, fact.text) for fact in report.facts]),
        ("evidence", [(evidence.id, evidence.summary) for evidence in report.evidence]),
    ):
        for id_, title in items:
            if id_ not in anchors:
                anchors[id_] = f"{kind}-{_slug(id_)}"
                titles[id_] = title
    return anchors, titles


def _slug(id_: str) -> str:
    """`id_` as an anchor: letters, digits, `_` and `-`, else with a hash so that no two coincide."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", id_):
        return id_
    kept = re.sub(r"[^A-Za-z0-9_-]+", "-", id_)[:40].strip("-")
    return f"{kept}.{sha256(id_.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _picture(image: Image.Image, max_side: int = MAX_SIDE) -> Picture:
    shown = image.convert("RGB")
    shown.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    shown.info = {}  # no comment or position from the camera goes into a page that gets mailed around
    buffer = BytesIO()
    if max(shown.size) <= _PNG_UP_TO:
        kind = "png"
        shown.save(buffer, "PNG", optimize=True)
    else:
        kind = "jpeg"
        # Without chroma subsampling, which blurs thin coloured lines.
        shown.save(buffer, "JPEG", quality=88, subsampling=0, optimize=True)
    return Picture(f"data:image/{kind};base64,{b64encode(buffer.getvalue()).decode()}", *shown.size)


def _named_references(
    infos: Sequence[ImageInfo], images: Sequence[Image.Image]
) -> Iterable[tuple[str, Picture | None]]:
    """Source and picture of each reference; a reference without its picture is still named."""
    for number in range(max(len(infos), len(images))):
        source = infos[number].source if number < len(infos) else ""
        yield source, _picture(images[number]) if number < len(images) else None


def _close_ups(report: InspectionReport, photo: Image.Image) -> list[Picture]:
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
    return _picture(photo.crop((left, top, right, bottom)), _CLOSE_UP_SIDE)


def _steps(report: InspectionReport) -> list[tuple[str, float, float]]:
    """Name, milliseconds and share of the longest step, 0..1, without the total."""
    steps = {name: ms for name, ms in report.timings.items() if name != "total"}
    longest = max(steps.values(), default=0.0) or 1.0
    return [(name, ms, max(0.0, ms) / longest) for name, ms in steps.items()]
