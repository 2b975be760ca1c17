"""Words and numbers as a report shows them; what a report holds is untrusted until it went through here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

_ESCAPE_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # OSC: window title, clipboard, links
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c]*(?:\x1b\\|\x9c)"  # DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]?"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# These reorder what a reader sees: `photo<RLO>gpj.exe` reads as `photoexe.jpg`.
_REORDERING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def plain(text: str) -> str:
    """`text` on one line, encodable as UTF-8, without escape sequences, control or reordering characters.

    Line breaks become spaces, so that a file name cannot forge a line of the report.
    """
    text = _ESCAPE_SEQUENCE.sub("", text)
    text = " ".join(text.split())
    return _SURROGATE.sub("\ufffd", _REORDERING.sub("", _CONTROL.sub("", text)))


def score_text(value: float | None) -> str:
    """A score in 0..1 with two decimals, with more where two would put it on 0, the threshold 0.5 or 1."""
    if value is None:
        return "not available"
    for digits in (2, 3, 4):
        shown = f"{value:.{digits}f}"
        if float(shown) not in (0.0, 0.5, 1.0) or float(shown) == value:
            break
    return shown


def percent_text(fraction: float) -> str:
    """A fraction in 0..1 as a percentage with about two significant digits."""
    percent = 100 * fraction
    if 0 < percent < 0.01:
        return "< 0.01 %"
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.2g} %"


def rate_text(rate: float) -> str:
    """A false-alarm rate in 0..1 as a percentage, exact enough to hold somebody to it."""
    return f"{100 * rate:.3g} %"


def duration_text(milliseconds: float) -> str:
    """Milliseconds, or seconds from one second on."""
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.2f} s"
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


def value_text(value: Any) -> str:
    """One value of an evidence: a number with its unit where it has one, JSON where it is nested."""
    if value is None:
        return "not available"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, Mapping) and set(value) == {"value", "unit"}:
        return f"{value_text(value['value'])} {value['unit']}"
    flat = isinstance(value, list | tuple) and not any(isinstance(item, dict | list | tuple) for item in value)
    if flat:
        return ", ".join(map(value_text, value))
    return json.dumps(value, default=str, ensure_ascii=False)


def total_ms(timings: Mapping[str, float]) -> float:
    """The recorded total where there is one, else the sum of the steps."""
    return timings["total"] if "total" in timings else sum(timings.values())


def time_text(moment: datetime) -> str:
    """Date and time to the second, with its offset from UTC where it carries one."""
    shown = moment.isoformat(sep=" ", timespec="seconds")
    return f"{shown[:19]} UTC" if moment.utcoffset() == timedelta(0) else shown
