"""Drawn folders of photos and a scripted agent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from agent.report import Finding, ImageInfo, InspectionReport, ModelInfo, Pictures, Scores

SIDE = 64
DOT = (20, 24, 30, 34)  # x0, y0, x1, y1 of the drawn defect


def draw_photo(path: Path, *, defect: bool, grey: int = 120, size: tuple[int, int] = (SIDE, SIDE)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    photo = Image.new("RGB", size, (grey, grey, grey))
    if defect:
        ImageDraw.Draw(photo).rectangle((DOT[0], DOT[1], DOT[2] - 1, DOT[3] - 1), fill=(250, 40, 40))
    photo.save(path)


def draw_mask(path: Path, size: tuple[int, int] = (SIDE, SIDE), *, box: tuple[int, int, int, int] = DOT) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=255)
    mask.save(path)


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Draws a folder: `good` normal, `bad` dented (with masks) and `stained` photos without masks."""

    def make(good: int = 3, bad: int = 3, stained: int = 0, train: int = 5, name: str = "plates") -> Path:
        root = tmp_path / name
        (root / "test/good").mkdir(parents=True)
        for i in range(train):
            draw_photo(root / f"train/good/{i:03}.png", defect=False, grey=100 + i)
        for i in range(good):
            draw_photo(root / f"test/good/{i:03}.png", defect=False, grey=110 + i)
        for i in range(bad):
            draw_photo(root / f"test/dent/{i:03}.png", defect=True, grey=110 + i)
            draw_mask(root / f"ground_truth/dent/{i:03}_mask.png")
        for i in range(stained):
            draw_photo(root / f"test/stain/{i:03}.png", defect=True, grey=110 + i)
        return root

    return make


@pytest.fixture
def make_set(tmp_path: Path) -> Callable[..., Path]:
    """Draws a set of several products in the layout of MVTec AD and LOCO; `good` and `bad` photos of each product."""

    def make(products: Sequence[str] = ("bolt", "nut"), good: int = 3, bad: int = 3, train: int = 5) -> Path:
        root = tmp_path / "set"
        for at, name in enumerate(products):
            for i in range(train):
                draw_photo(root / name / f"train/good/{i:03}.png", defect=False, grey=100 + 20 * at + i)
            for i in range(good):
                draw_photo(root / name / f"test/good/{i:03}.png", defect=False, grey=110 + i)
            for i in range(bad):
                draw_photo(root / name / f"test/dent/{i:03}.png", defect=True, grey=110 + i)
                draw_mask(root / name / f"ground_truth/dent/{i:03}_mask.png")
        return root

    return make


class FakeDetector:
    """What the scripted agent's `fit` returns."""

    setting = "fitted"

    def detect(self, image: Image.Image) -> Any:
        raise AssertionError("the evaluation itself never detects")


class FakeInspector:
    """Sees the red of the drawn defect; fails on the photos it is told to, and keeps every call."""

    def __init__(
        self,
        *,
        fails_on: Sequence[str] = (),
        vlm: float | None = 0.4,
        blind: bool = False,
        revision: str = "1",
    ) -> None:
        self.fails_on, self.vlm, self.blind, self.revision = fails_on, vlm, blind, revision
        self.calls: list[dict[str, Any]] = []
        self.fitted: list[Path] = []
        self.detector = FakeDetector()

    def inspect(
        self,
        image: Any,
        *,
        reference: Any = None,
        category: str | None = None,
        question: str | None = None,
        depth: Any = "full",
        detector: Any = None,
    ) -> InspectionReport:
        self.calls.append({"image": image, "reference": reference, "depth": depth, "detector": detector})
        if any(str(image).endswith(name) for name in self.fails_on):
            raise RuntimeError("the lamp\nis off")
        photo = Image.open(image).convert("RGB")
        pixels = np.asarray(photo).astype(np.float32)
        heat = np.clip((pixels[..., 0] - pixels[..., 1]) / 255 + pixels[..., 0] / 5000, 0, 1)
        if self.blind:
            heat = np.full_like(heat, 0.2)
        score = float(heat.max())
        found = score > 0.5
        finding = Finding(
            defect_type="dent",
            box=DOT,
            area_fraction=0.02,
            score=score,
            severity="minor",
            description="a dent",
        )
        report = InspectionReport(
            id="1",
            created=datetime.now(UTC),
            image=ImageInfo(source=str(image), sha256="0" * 64, width=photo.width, height=photo.height),
            category=None,
            setting="zero-shot",
            verdict="anomalous" if found else "normal",
            anomaly_score=score,
            scores=Scores(detector=score * 0.9, vlm=self.vlm),
            confidence=0.9,
            findings=[finding] if found else [],
            model=ModelInfo(name="fake", revision=self.revision, stage="sfe"),
        )
        report.keep_pictures(Pictures(photo, (), heat.astype(np.float32)))
        return report

    def fit(self, photos: Any, *, false_alarm_rate: float = 0.05, seed: int = 0) -> Any:
        self.fitted = list(photos)
        return self.detector

    def vlm_alone(self, image: Any, *, reference: Any = None, heat_map: Any = None) -> float | None:
        return self.vlm


@pytest.fixture
def fake() -> type[FakeInspector]:
    """The scripted agent; a fixture, since test modules do not import each other."""
    return FakeInspector


@pytest.fixture
def draw() -> SimpleNamespace:
    """`photo` and `mask` draw to a path; `dot` is the box of the drawn defect, `side` of the photos."""
    return SimpleNamespace(photo=draw_photo, mask=draw_mask, dot=DOT, side=SIDE)


@pytest.fixture(autouse=True)
def undrawn_charts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of the time of a small run; the tests of the report alone look at its charts."""
    if request.module.__name__ != "test_eval_report":
        monkeypatch.setattr("evals.pages.charts._svg", lambda figure, name, title: '<svg role="img"></svg>')
