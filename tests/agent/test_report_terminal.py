"""The report as terminal text: complete, within its columns, and deaf to markup and escape sequences."""

from __future__ import annotations

import io
import re

import pytest
from reports import MARKUP, bare_report, hostile_report
from rich.console import Console

from agent.render.terminal import print_report
from agent.report import CitedEvidence, InspectionReport, Verdict


def terminal_text(report: InspectionReport, *, width: int = 140, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    print_report(report, Console(file=stream, width=width))
    stream.flush()
    return raw.getvalue().decode(encoding)


def test_says_everything() -> None:
    text = terminal_text(hostile_report())
    for words in ("ANOMALOUS", "0.93", "detector 0.97, VLM not available", "confidence 0.80", "critical"):
        assert words in text
    for words in (
        "[F1] [E1]",
        "[F99: not in this report]",
        "UNSUPPORTED: Third",
        "1 more read, not cited",
    ):
        assert words in text
    for words in ("length 41.25 px", "Heat map  out/", "Overlay   out/", "1.51 s", "warning <script>"):
        assert words in text


@pytest.mark.parametrize("width", [40, 80, 100, 300])
def test_stays_within_its_columns(width: int) -> None:
    lines = terminal_text(hostile_report(), width=width).splitlines()
    assert max(map(len, lines)) <= min(width, 100)
    assert not [line for line in lines if line != line.rstrip()]


def test_markup_and_escape_sequences_are_not_obeyed() -> None:
    text = terminal_text(hostile_report(), width=100)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert MARKUP in " ".join(text.split())
    assert not [line for line in text.splitlines() if line.startswith("NORMAL")]


def test_only_its_own_colours_reach_a_terminal() -> None:
    file = io.StringIO()
    print_report(hostile_report(), Console(file=file, force_terminal=True, color_system="standard", width=100))
    assert set(re.findall(r"\x1b[^m]*m", file.getvalue())) <= {
        f"\x1b[{code}m" for code in ("0", "1", "2", "1;4", "1;31", "1;33", "31", "33", "36")
    }


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_prints_where_unicode_does_not(encoding: str) -> None:
    text = terminal_text(hostile_report(warnings=["größe 写真"]), encoding=encoding)
    assert "x ANOMALOUS" in text


def test_a_long_id_is_never_cut() -> None:
    long_id = "metal-nut/" + "x" * 60
    evidence = [CitedEvidence(id=long_id, tool="t", arguments={}, summary="s", values={})]
    assert f"[{long_id}]" in terminal_text(hostile_report(evidence=evidence))


@pytest.mark.parametrize("verdict", ["normal", "uncertain"])
def test_a_bare_report_invents_nothing(verdict: Verdict) -> None:
    text = terminal_text(bare_report(verdict))
    assert "ANOMAL" not in text
    assert text.count("not available") == 2
