"""The report as picture, page and terminal text: nothing in it is trusted, nothing in it gets lost."""

from __future__ import annotations

import html
import io
import re
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from hashlib import sha256
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image, ImageDraw
from rich.console import Console

from agent.render.html import notebook_html, report_html
from agent.render.overlay import MAX_SIDE, MIN_SIDE, THRESHOLD, heat_table, heatmap_png, overlay
from agent.render.terminal import print_report
from agent.render.text import duration_text, percent_text, plain, score_text, time_text, total_ms, value_text
from agent.report import (
    Answer,
    CitedEvidence,
    CitedFact,
    Finding,
    ImageInfo,
    InspectionReport,
    ModelInfo,
    ReasoningStep,
    Scores,
    Verdict,
)

SCRIPT = "<script>alert(1)</script>"
BREAKOUT = "\"'><img src=x onerror=alert(1)>"
ANSI = "\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b[2J"
MARKUP = "[bold red]loud[/bold red] [link=https://example.org]here[/link]"
TEMPLATE = "{{ 7 * 7 }}{% raw %}"
HOSTILE_ID = "F 2\"><script>'"


def drawn_photo(width: int = 640, height: int = 480) -> Image.Image:
    """A grey plate with a hole and a bright line, (width, height) RGB."""
    photo = Image.new("RGB", (width, height), (170, 173, 178))
    draw = ImageDraw.Draw(photo)
    draw.ellipse((width * 0.4, height * 0.4, width * 0.6, height * 0.6), fill=(50, 52, 56))
    draw.line((width * 0.1, height * 0.1, width * 0.3, height * 0.2), fill=(235, 235, 235), width=3)
    return photo


def hot_corner(height: int = 480, width: int = 640) -> np.ndarray:
    """(H, W) float32: 0.9 in the upper left third, 0.05 elsewhere."""
    scores = np.full((height, width), 0.05, np.float32)
    scores[: height // 3, : width // 3] = 0.9
    return scores


def image_info(source: str = "plate.png") -> ImageInfo:
    return ImageInfo(source=source, sha256="ab" * 32, width=640, height=480)


def hostile_report(**changes: object) -> InspectionReport:
    """A report that uses every field, with hostile text wherever text goes."""
    report = InspectionReport(
        id=f"r1{BREAKOUT}",
        created=datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC),
        image=image_info(f"in/{BREAKOUT}\x1b[31m\nNORMAL 0.01\u202egpj.png"),
        references=[image_info(f"ref {SCRIPT}.png")],
        category=f"plate {MARKUP}",
        setting="one-shot",
        verdict="anomalous",
        anomaly_score=0.93,
        scores=Scores(detector=0.97, vlm=None),
        confidence=0.8,
        findings=[
            Finding(
                defect_type=f"scratch {SCRIPT}",
                box=(64, 48, 192, 96),
                area_fraction=0.0123,
                score=0.97,
                severity="critical",
                description=f"A line {ANSI} {MARKUP}",
                cause=f"cause {BREAKOUT}",
                impact=None,
                recommendation=f"advice {TEMPLATE}",
                cites=["F1", "E1"],
            )
        ],
        answer=Answer(value=True, text=f"Yes {SCRIPT} {ANSI}"),
        reasoning=[
            ReasoningStep(text=f"First {MARKUP}", cites=["F1", "E1"], supported=True),
            ReasoningStep(text=f"Second {SCRIPT}", cites=[HOSTILE_ID], supported=True),
            ReasoningStep(text="Third", cites=["F99"], supported=False),
        ],
        facts=[
            CitedFact(id="F1", text=f"fact {SCRIPT} {TEMPLATE}", source="javascript:alert(1)", score=0.71),
            CitedFact(id=HOSTILE_ID, text=f"fact {BREAKOUT}", source=f"notes {ANSI}", score=None),
            CitedFact(id="F3", text="nobody cites this", source="notes.md", score=0.1),
        ],
        evidence=[
            CitedEvidence(
                id="E1",
                tool=f"measure{SCRIPT}",
                arguments={f"region{BREAKOUT}": [1, 2]},
                summary=f"summary {ANSI}",
                values={"length": {"value": 41.25, "unit": f"px{SCRIPT}"}, f"key{BREAKOUT}": None},
            )
        ],
        heatmap=f"out/{SCRIPT}.png",
        overlay=f"out/{MARKUP}.png",
        model=ModelInfo(name=f"nano{SCRIPT}", revision="0.1.0", stage="sft"),
        timings={f"load{SCRIPT}": 12.0, "reason": 1500.0},
        warnings=[f"warning {SCRIPT} {ANSI}"],
    )
    return report.model_copy(update=changes)


class Page(HTMLParser):
    """Tags, attributes and visible text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def values(self, name: str, tag: str | None = None) -> list[str]:
        return [attrs[name] or "" for found, attrs in self.tags if name in attrs and tag in (None, found)]


def full_page(report: InspectionReport) -> str:
    photo = drawn_photo()
    picture = overlay(photo, hot_corner(), [finding.box for finding in report.findings])
    return report_html(report, overlay=picture, photo=photo, references=[drawn_photo(100, 80)])


def terminal_text(report: InspectionReport, *, width: int = 140, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    print_report(report, Console(file=stream, width=width))
    stream.flush()
    return raw.getvalue().decode(encoding)


class TestText:
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
    def test_plain(self, given: str, shown: str) -> None:
        assert plain(given) == shown

    @pytest.mark.parametrize(
        ("value", "shown"),
        [(0.931, "0.93"), (0.5, "0.50"), (0.4996, "0.4996"), (0.998, "0.998"), (1.0, "1.00"), (0.0, "0.00")],
    )
    def test_score_never_rounds_onto_threshold_or_end(self, value: float, shown: str) -> None:
        assert score_text(value) == shown

    def test_missing_score_is_not_a_number(self) -> None:
        assert score_text(None) == "not available"

    @pytest.mark.parametrize(
        ("fraction", "shown"),
        [(0.0, "0 %"), (0.00001, "< 0.01 %"), (0.0123, "1.2 %"), (0.25, "25 %"), (1.0, "100 %")],
    )
    def test_percent(self, fraction: float, shown: str) -> None:
        assert percent_text(fraction) == shown

    def test_durations(self) -> None:
        assert [duration_text(ms) for ms in (6.25, 842, 1630)] == ["6.2 ms", "842 ms", "1.63 s"]
        assert total_ms({"load": 1.0, "reason": 2.0}) == 3.0
        assert total_ms({"load": 1.0, "total": 5.0}) == 5.0

    def test_time_keeps_its_offset(self) -> None:
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
    def test_values(self, value: object, shown: str) -> None:
        assert value_text(value) == shown


class TestOverlay:
    def test_heat_table_gets_brighter_and_more_opaque(self) -> None:
        table = heat_table().astype(float)
        assert table.shape == (256, 4)
        luma = table[:, :3] @ [0.2126, 0.7152, 0.0722]
        assert (np.diff(luma) > -1).all()
        assert luma[255] - luma[0] > 200
        assert (np.diff(table[:, 3]) >= 0).all()
        assert table[:77, 3].max() == 0  # well below the threshold the photo shows as it is
        assert table[255, 3] < 0.8 * 255  # and even the worst place lets it through

    def test_photo_is_untouched_where_scores_are_low_and_coloured_where_high(self) -> None:
        photo = drawn_photo()
        picture = np.asarray(overlay(photo, hot_corner()), int)[:480, :640]
        change = np.abs(picture - np.asarray(photo, int)).sum(axis=2)
        assert change[200:, 260:].max() == 0
        assert change[10:140, 10:190].min() > 60

    def test_low_scores_change_nothing_at_all(self) -> None:
        photo = drawn_photo()
        picture = overlay(photo, np.full((60, 80), 0.3, np.float32))
        assert np.array_equal(np.asarray(picture)[:480, :640], np.asarray(photo))

    def test_outline_follows_the_threshold(self) -> None:
        photo = Image.new("RGB", (640, 480))
        scores = np.tile(np.linspace(0, 1, 640, dtype=np.float32), (480, 1))
        row = np.asarray(overlay(photo, scores), int)[240, :640].min(axis=1)
        assert abs(int(row.argmax()) - THRESHOLD * 640) <= 2
        assert row.max() > 200

    @pytest.mark.parametrize(
        "size", [(32, 32), (640, 480), (40, 600), (600, 40), (4000, 30), (1, 1), (4000, 3000), (5000, 100)]
    )
    def test_any_size_and_no_legend_over_the_photo(self, size: tuple[int, int]) -> None:
        photo = Image.new("RGB", size, (200, 0, 0))
        picture = overlay(photo, np.zeros((7, 9), np.float32))
        zoom = min(max(*size, MIN_SIDE), MAX_SIDE) / max(size)
        width, height = (max(1, round(side * zoom)) for side in size)
        assert picture.width >= width
        assert picture.height >= height
        assert picture.width > width or picture.height > height
        assert (np.asarray(picture)[:height, :width] == (200, 0, 0)).all()

    def test_boxes_lie_around_the_place_they_name(self) -> None:
        photo = Image.new("RGB", (64, 64), (128, 128, 128))
        picture = np.asarray(overlay(photo, np.zeros((64, 64), np.float32), [(16, 16, 48, 48)]), int)
        changed = np.argwhere((picture[:512, :512] != 128).any(axis=2))
        assert changed.min() >= 16 * 8 - 40
        assert changed.max() <= 48 * 8 + 40
        assert (picture[16 * 8 : 48 * 8, 16 * 8 : 48 * 8] == 128).mean() > 0.98
        assert (picture[:512, :512] == (64, 224, 255)).all(axis=2).any()

    def test_boxes_off_the_photo_or_empty_do_not_fail(self) -> None:
        boxes = [
            (-50, -50, 10, 10),
            (600, 400, 9000, 9000),
            (5000, 5000, 5001, 5001),
            (7, 7, 7, 7),
            (0, 0, 640, 480),
        ]
        assert overlay(drawn_photo(), hot_corner(), boxes * 5).mode == "RGB"

    @pytest.mark.parametrize(
        "scores",
        [
            np.zeros((4, 4, 3), np.float32),
            np.zeros((0, 4), np.float32),
            np.full((4, 4), 1.5, np.float32),
            np.full((4, 4), np.nan, np.float32),
        ],
    )
    def test_a_wrong_map_is_refused_by_name(self, scores: np.ndarray) -> None:
        with pytest.raises(ValueError, match="anomaly_map: expected"):
            overlay(drawn_photo(), scores)
        with pytest.raises(ValueError, match="anomaly_map: expected"):
            heatmap_png(scores)

    def test_heatmap_keeps_16_bits_through_a_file(self) -> None:
        scores = np.random.default_rng(0).random((33, 47), np.float32)
        scores[0, :3] = (0.0, 0.5, 1.0)
        file = io.BytesIO()
        heatmap_png(scores).save(file, "PNG")
        read = np.asarray(Image.open(file))
        assert read.dtype == np.uint16
        assert read.shape == scores.shape
        assert read[0, 0] == 0
        assert read[0, 2] == 65535
        assert np.abs(read / 65535 - scores).max() <= 0.5 / 65535 + 1e-7


class TestPage:
    def test_hostile_text_stays_text(self) -> None:
        page = Page(full_page(hostile_report()))
        tags = {tag for tag, _ in page.tags}
        assert not tags & {"script", "iframe", "object", "embed", "form", "base"}
        assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on") or name == "style"]
        for shown in (
            f"scratch {SCRIPT}",
            f"fact {BREAKOUT}",
            f"advice {TEMPLATE}",
            MARKUP,
            "javascript:alert(1)",
        ):
            assert shown in page.text

    def test_nothing_is_fetched(self) -> None:
        page = Page(full_page(hostile_report()))
        assert all(src.startswith(("data:image/png;base64,", "data:image/jpeg;base64,")) for src in page.values("src"))
        assert all(href.startswith("#") or href == "data:," for href in page.values("href"))
        assert not [tag for tag, _ in page.tags if tag == "link" and _.get("rel") != "icon"]

    def test_no_control_characters(self) -> None:
        text = full_page(hostile_report())
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
        text.encode("utf-8")

    def test_policy_allows_exactly_this_style(self) -> None:
        text = full_page(hostile_report())
        style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
        assert style
        digest = b64encode(sha256(style[1].encode()).digest()).decode()
        (policy,) = Page(text).values("content", "meta")[:1]
        assert "default-src 'none'" in policy
        assert f"style-src 'sha256-{digest}'" in policy
        assert "unsafe" not in policy
        assert "script-src" not in policy

    def test_every_known_cite_has_its_target(self) -> None:
        report = hostile_report()
        page = Page(full_page(report))
        ids = page.values("id")
        assert len(ids) == len(set(ids))
        assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", id_) for id_ in ids)
        links = page.values("href", "a")
        assert links
        assert all(link[1:] in ids for link in links)
        assert {"#fact-F1", "#evidence-E1"} <= set(links)
        assert len(links) == 5  # F1 and E1 twice, the hostile id once; F99 leads nowhere
        assert "F99: not in this report" in page.text

    def test_ids_that_look_alike_do_not_share_an_anchor(self) -> None:
        facts = [CitedFact(id=id_, text=id_, source="s") for id_ in ("a b", "a?b", "a-b", "", "?", "a b")]
        steps = [ReasoningStep(text="t", cites=[fact.id for fact in facts], supported=True)]
        page = Page(full_page(hostile_report(facts=facts, reasoning=steps, findings=[])))
        targets = [id_ for id_ in page.values("id") if id_.startswith("fact-")]
        assert len(targets) == len(set(targets)) == 5
        assert {link[1:] for link in page.values("href", "a")} == set(targets)

    @pytest.mark.parametrize(("verdict", "word"), [("normal", "Normal"), ("uncertain", "Uncertain")])
    def test_missing_scores_and_bare_report(self, verdict: Verdict, word: str) -> None:
        report = InspectionReport(
            id="r",
            created=datetime(2026, 5, 4),
            image=image_info(),
            category=None,
            setting="zero-shot",
            verdict=verdict,
            anomaly_score=0.5,
            scores=Scores(),
            confidence=0.0,
            model=ModelInfo(name="m", revision="1", stage="external"),
        )
        page = Page(report_html(report, overlay=None, photo=None))
        assert word in page.text
        assert page.text.count("not available") == 2
        assert not page.values("src")
        assert "Warning" not in page.text
        assert "Reasoning" not in page.text
        assert "None" not in page.text
        assert "ANOMAL" not in terminal_text(report)
        assert terminal_text(report).count("not available") == 2

    def test_unsupported_sentences_are_marked(self) -> None:
        text = full_page(hostile_report())
        assert text.count('<li class="unsupported">') == 1
        assert "1 of 3 sentences could not be verified" in text

    def test_pictures_are_capped_and_carry_no_metadata(self) -> None:
        photo = drawn_photo(3000, 2000)
        photo.info["comment"] = b"where it was taken"
        text = report_html(hostile_report(), overlay=None, photo=photo)
        for uri in Page(text).values("src"):
            data = b64decode(uri.split(",", 1)[1])
            assert max(Image.open(io.BytesIO(data)).size) <= 1200
            assert b"taken" not in data

    def test_close_up_of_a_box_off_the_photo(self) -> None:
        finding = hostile_report().findings[0].model_copy(update={"box": (9000, 9000, 9001, 9001)})
        assert "Close-up of finding 1" in full_page(hostile_report(findings=[finding]))

    def test_notebook_frame_holds_the_page_and_links_within_itself(self) -> None:
        (frame,) = [attrs for tag, attrs in Page(notebook_html(hostile_report(), height=500)).tags if tag == "iframe"]
        assert frame["sandbox"] == ""
        assert frame["height"] == "500"
        inner = Page(frame["srcdoc"] or "")
        assert f"scratch {SCRIPT}" in inner.text
        assert not {"script", "iframe"} & {tag for tag, _ in inner.tags}
        links = inner.values("href", "a")
        assert links
        assert all(link.startswith("about:srcdoc#") for link in links)
        assert html.escape("<!doctype html>") in notebook_html(hostile_report())


class TestTerminal:
    def test_says_everything(self) -> None:
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
    def test_stays_within_its_columns(self, width: int) -> None:
        lines = terminal_text(hostile_report(), width=width).splitlines()
        assert max(map(len, lines)) <= min(width, 100)
        assert not [line for line in lines if line != line.rstrip()]

    def test_markup_and_escape_sequences_are_not_obeyed(self) -> None:
        text = terminal_text(hostile_report(), width=100)
        assert "\x1b" not in text
        assert "\x07" not in text
        assert MARKUP in " ".join(text.split())
        assert not [line for line in text.splitlines() if line.startswith("NORMAL")]

    def test_only_its_own_colours_reach_a_terminal(self) -> None:
        file = io.StringIO()
        print_report(hostile_report(), Console(file=file, force_terminal=True, color_system="standard", width=100))
        assert set(re.findall(r"\x1b[^m]*m", file.getvalue())) <= {
            f"\x1b[{code}m" for code in ("0", "1", "2", "1;4", "1;31", "1;33", "31", "33", "36")
        }

    @pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
    def test_prints_where_unicode_does_not(self, encoding: str) -> None:
        text = terminal_text(hostile_report(warnings=["größe 写真"]), encoding=encoding)
        assert "x ANOMALOUS" in text

    def test_a_long_id_is_never_cut(self) -> None:
        long_id = "metal-nut/" + "x" * 60
        evidence = [CitedEvidence(id=long_id, tool="t", arguments={}, summary="s", values={})]
        assert f"[{long_id}]" in terminal_text(hostile_report(evidence=evidence))
