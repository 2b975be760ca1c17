"""Words and numbers of a report: nothing in it is trusted, no number is rounded onto the threshold."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agent.render.text import duration_text, percent_text, plain, score_text, time_text, total_ms, value_text


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("  plain text ", "plain text"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x07", "link"),
        ("\x1bPpayload\x1b\\after", "after"),
        ("\x1bcreset", "reset"),
        ("unfinished\x1b[", "unfinished"),
        ("line\r\nforged\u2028line\tx", "line forged line x"),
        ("bell\x07null\x00", "bellnull"),
        ("a\u202egpj.exe", "agpj.exe"),
        ("half \ud83d pair", "half \ufffd pair"),
        ("größe 写真 👍🏽", "größe 写真 👍🏽"),
    ],
)
def test_plain(given: str, shown: str) -> None:
    assert plain(given) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.931, "0.93"), (0.5, "0.50"), (0.4996, "0.4996"), (0.998, "0.998"), (1.0, "1.00"), (0.0, "0.00")],
)
def test_score_never_rounds_onto_threshold_or_end(value: float, shown: str) -> None:
    assert score_text(value) == shown


def test_missing_score_is_not_a_number() -> None:
    assert score_text(None) == "not available"


@pytest.mark.parametrize(
    ("fraction", "shown"),
    [(0.0, "0 %"), (0.00001, "< 0.01 %"), (0.0123, "1.2 %"), (0.25, "25 %"), (1.0, "100 %")],
)
def test_percent(fraction: float, shown: str) -> None:
    assert percent_text(fraction) == shown


def test_durations() -> None:
    assert [duration_text(ms) for ms in (6.25, 842, 1630)] == ["6.2 ms", "842 ms", "1.63 s"]
    assert total_ms({"load": 1.0, "reason": 2.0}) == 3.0
    assert total_ms({"load": 1.0, "total": 5.0}) == 5.0


def test_time_keeps_its_offset() -> None:
    assert time_text(datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)) == "2026-05-04 03:02:01 UTC"
    assert time_text(datetime(2026, 5, 4, 3, 2, 1)) == "2026-05-04 03:02:01"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (41.25, "41.25"),
        (True, "yes"),
        (None, "not available"),
        ({"value": 3.5, "unit": "mm"}, "3.5 mm"),
        ([1, 2.5], "1, 2.5"),
        ({"a": [1]}, '{"a": [1]}'),
    ],
)
def test_values(value: object, shown: str) -> None:
    assert value_text(value) == shown
