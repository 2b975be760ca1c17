"""Reports to render, hostile ones among them, and a reader of pages."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
from PIL import Image, ImageDraw

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
        model=ModelInfo(name=f"nano{SCRIPT}", revision="0.1.0", stage="sfe"),
        timings={f"load{SCRIPT}": 12.0, "reason": 1500.0},
        warnings=[f"warning {SCRIPT} {ANSI}"],
    )
    return report.model_copy(update=changes)


def bare_report(verdict: Verdict) -> InspectionReport:
    """A report with nothing but what it must have."""
    return InspectionReport(
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
