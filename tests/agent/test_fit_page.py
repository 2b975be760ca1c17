"""The page of a fit: it says what the photos support, what to look at first, and nothing in it is trusted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image
from reports import BREAKOUT, SCRIPT, Page

from agent.images import InputError
from agent.render.fit_page import FitSummary, StrangeNormal, fit_page, histogram, write_fit_page


def summary(**changes: object) -> FitSummary:
    values: dict[str, object] = {
        "category": "bracket",
        "detector": "patchcore",
        "created": datetime(2026, 5, 4, tzinfo=UTC),
        "photos": 20,
        "scores": [0.1] * 19 + [0.5],
        "asked": 0.01,
        "rate": 1 / 21,
    }
    return FitSummary(**(values | changes))  # type: ignore[arg-type]


def strange(name: str = "odd.png", score: float = 0.9, stands_out: bool = True) -> StrangeNormal:
    return StrangeNormal(name, score, Image.new("RGB", (600, 400), "grey"), stands_out)


def test_too_few_photos_say_how_many_more() -> None:
    text = Page(fit_page(summary())).text
    assert "Needs more photos" in text
    assert "20 photos support no better than 4.76 %" in text
    assert "Give 79 more for 1 %" in text


def test_enough_photos_are_ready() -> None:
    page = fit_page(summary(scores=[0.1] * 120, rate=0.01, photos=120))
    assert "Ready" in Page(page).text
    assert '<body class="normal">' in page
    assert "more for" not in Page(page).text


def test_a_photo_that_stands_out_comes_first_and_is_named() -> None:
    page = fit_page(summary(scores=[0.1] * 120, rate=0.01, strange=[strange(), strange("b.png", 0.2, False)]))
    text = Page(page).text
    assert "Look at 1 photo first" in text
    assert text.count("stands far out") == 2  # in the verdict and below its picture
    assert text.index("odd.png") < text.index("b.png")
    assert '<body class="uncertain">' in page


def test_a_photo_no_longer_there_is_still_named() -> None:
    page = Page(fit_page(summary(strange=[StrangeNormal("old.png", 0.8)])))
    assert "old.png" in page.text
    assert not page.values("src", "img")


def test_hostile_names_stay_text_and_nothing_is_fetched() -> None:
    hostile = summary(
        category=SCRIPT, why=BREAKOUT, warnings=[SCRIPT], settings={BREAKOUT: SCRIPT}, tried={SCRIPT: 0.5},
        origin={SCRIPT: BREAKOUT}, strange=[strange(f"{BREAKOUT}\x1b[31m\u202e")],
    )  # fmt: skip
    text = fit_page(hostile)
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "form"}
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on") or name == "style"]
    assert all(src.startswith("data:image/") for src in page.values("src"))
    assert "\x1b" not in text
    assert page.text.count(SCRIPT) >= 4


def test_histogram_counts_every_photo_and_splits_at_the_threshold() -> None:
    bars = histogram([0.0, 0.1, 0.1, 0.4999, 0.5, 0.9, 1.0])
    assert sum(bar.count for bar in bars) == 7
    assert sum(bar.count for bar in bars if bar.above) == 3
    assert max(bars, key=lambda bar: bar.height).count == 2
    assert all(bar.y >= 0 and bar.height > 0 for bar in bars)


def test_bars_above_the_threshold_are_marked() -> None:
    page = Page(fit_page(summary()))
    classes = page.values("class", "rect")
    assert sorted(classes) == ["bar", "bar above"]


def test_writing_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write_fit_page(summary(), tmp_path / "new")
    before = place.read_text(encoding="utf-8")

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_fit_page(summary(category="other"), place.parent)
    assert [p.name for p in place.parent.iterdir()] == ["fit.html"]
    assert place.read_text(encoding="utf-8") == before


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"page .*file.*--out"):
        write_fit_page(summary(), tmp_path / "file" / "below")
