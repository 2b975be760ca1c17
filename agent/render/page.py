"""What every page shares: one file with its pictures inlined, no script, nothing fetched, every text escaped."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from agent.render.text import duration_text, percent_text, plain, rate_text, score_text, time_text, value_text

MAX_SIDE = 1200
"""Long side of an inlined picture, in pixels; larger ones are scaled down."""
_POLICY = "default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
_PNG_UP_TO = 256
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Picture:
    """An image as a page shows it."""

    uri: str
    """`data:` URI, JPEG or PNG."""
    width: int
    height: int


def picture_of(image: Image.Image, max_side: int = MAX_SIDE) -> Picture:
    """`image` for a page, its long side at most `max_side` pixels."""
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


def render_page(template: str, *styles: str, **values: Any) -> str:
    """A template of this folder filled in, with its style sheets and the policy that admits them alone; write as UTF-8."""
    style = "".join((_FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", *styles))
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return (
        _environment()
        .get_template(template)
        .render(
            # The hash lets in this one style sheet; any other `<style>` or `style=` would stay dead.
            policy=_POLICY.format(digest=digest),
            style=Markup(style),  # our own file, and the hash covers it as it stands
            **values,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        score=score_text, percent=percent_text, rate=rate_text, value=value_text, duration=duration_text, time=time_text
    )
    return environment


def _printable(value: Any) -> Any:
    # Runs on every expression of the template, before it is escaped.
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value
