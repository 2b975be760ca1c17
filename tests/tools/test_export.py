"""Exported detectors: the same scores and maps as the fitted one under every setting, and files that are whole."""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from refusals import refusal
from torch import Tensor, nn
from torch.nn import functional as F

from tools.card import load_detector
from tools.export import CARD, MODEL, TOLERANCE, OnnxDetector, _hold_together, enlarged, export_onnx, graph_of
from tools.fit import FittedDetector, fit_detector
from tools.matching import smoothed
from tools.separable import along_one_axis
from tools.settings import Settings, light, squashed

pytest.importorskip("onnxscript", reason="needs the `export` extra")

SIDE = 64
EVERY = [Settings(SIDE, *switches) for switches in itertools.product([False, True], repeat=2)]


class TinyNetwork(nn.Module):
    """Two random layers at stride 8, with the interface of the eye's network."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.Sequential(nn.Conv2d(3, 12, 8, stride=8), nn.GELU(), nn.Conv2d(12, 6, 1))

    def forward(self, pixel_values: Tensor) -> Any:
        return SimpleNamespace(last_hidden_state=self.layers(pixel_values).flatten(2).transpose(1, 2))


@dataclass(frozen=True)
class Seen:
    features: NDArray[np.float32]
    defect: NDArray[np.float32]


class TinyEncoder:
    revision = "tiny-1"

    def __init__(self) -> None:
        self.network = TinyNetwork().eval()

    def patches(self, image: Image.Image, side: int | None = None) -> Seen:
        small = np.asarray(squashed(image, side or SIDE), np.float32)
        pixels = torch.from_numpy(small).permute(2, 0, 1)[None] / 127.5 - 1
        with torch.inference_mode():
            hidden = F.normalize(self.network(pixels).last_hidden_state[0], dim=-1)
        cells = (side or SIDE) // 8
        return Seen(hidden.reshape(cells, cells, -1).numpy(), np.zeros((cells, cells), np.float32))


def drawn(seed: int, size: tuple[int, int] = (96, 80)) -> Image.Image:
    """Blobs under uneven light, in a place that hardly moves."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[1], : size[0]]
    blob = np.hypot(x - 40 - rng.normal(), y - 40 - rng.normal()) < 20
    shade = 90 + 60 * x / size[0] * rng.uniform(0.5, 1) + 50 * blob
    pixels = shade[..., None] * [1, 0.9, 0.8] + rng.normal(0, 6, (*shade.shape, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def encoder() -> TinyEncoder:
    return TinyEncoder()


def fitted(encoder: TinyEncoder, settings: Settings = EVERY[0]) -> FittedDetector:
    return fit_detector(encoder, [drawn(i) for i in range(6)], 0.2, settings=settings)


def spoilt(seed: int) -> Image.Image:
    photo = drawn(seed)
    photo.paste((250, 20, 20), (60, 30, 75, 45))
    return photo


@pytest.mark.parametrize("settings", EVERY, ids=Settings.words)
def test_the_graph_scores_as_the_detector_does(settings: Settings, encoder: TinyEncoder) -> None:
    detector = fitted(encoder, settings)
    graph = graph_of(detector, encoder.network)
    for photo in (drawn(20), spoilt(21), drawn(22, (300, 200))):
        square = squashed(photo, SIDE)
        with torch.inference_mode():
            anomaly_map, score, _ = graph(torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1)[None])
        ours = detector.detect(square)
        assert float(score) == pytest.approx(detector.detect(photo).score, abs=TOLERANCE)
        np.testing.assert_allclose(anomaly_map.numpy(), ours.anomaly_map, atol=TOLERANCE)
    assert ours.score != detector.detect(spoilt(21)).score, "a constant would pass"


@pytest.fixture(scope="module")
def exported(encoder: TinyEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With every setting on: one export, since each takes several seconds."""
    folder = tmp_path_factory.mktemp("export") / "out"
    assert export_onnx(fitted(encoder, EVERY[-1]), encoder.network, folder) == folder / MODEL
    return folder


def test_checkpoint_reloaded_and_onnx_agree(encoder: TinyEncoder, exported: Path, tmp_path: Path) -> None:
    detector = fitted(encoder, EVERY[-1])
    detector.save(tmp_path / "plate")
    reloaded = load_detector(tmp_path / "plate", encoder)
    runs = OnnxDetector.load(exported)
    for photo in (drawn(30), spoilt(31), drawn(32, (300, 200))):
        ours, again, onnx = (d.detect(photo) for d in (detector, reloaded, runs))
        assert again.score == pytest.approx(ours.score, abs=TOLERANCE)
        assert onnx.score == pytest.approx(ours.score, abs=TOLERANCE)
        assert onnx.raw == pytest.approx(ours.raw, rel=1e-4)
        np.testing.assert_allclose(onnx.anomaly_map, ours.anomaly_map, atol=TOLERANCE)
        pixels = np.asarray(squashed(photo, SIDE)).transpose(2, 0, 1)[None]
        inside = runs.session.run(["anomaly_map"], {"photo": pixels})[0]
        np.testing.assert_allclose(inside, detector.detect(squashed(photo, SIDE)).anomaly_map, atol=TOLERANCE)


def test_the_card_states_what_runs(encoder: TinyEncoder, exported: Path) -> None:
    detector = fitted(encoder, EVERY[-1])
    card = json.loads((exported / CARD).read_text())
    assert card["settings"] == vars(EVERY[-1])
    assert (card["encoder"], card["side"], card["false_alarm_rate"]) == ("tiny-1", SIDE, 0.2)
    assert card["threshold"] == pytest.approx(detector.calibration.threshold)
    assert card["sha256"] == hashlib.sha256((exported / MODEL).read_bytes()).hexdigest()
    assert sorted(p.name for p in exported.iterdir()) == [MODEL, CARD]


def test_a_separable_step_is_its_matrix() -> None:
    photo = np.random.default_rng(0).random((40, 40), np.float32)
    for step in (smoothed, light, lambda x: enlarged(x, 70)):
        matrix = along_one_axis(step, 40)
        np.testing.assert_allclose(matrix @ photo @ matrix.T, step(photo), atol=2e-6)


def test_an_export_of_another_network_is_refused(exported: Path) -> None:
    other = TinyEncoder()
    nn.init.normal_(other.network.layers[0].weight)  # type: ignore[arg-type]
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    runs = OnnxDetector.load(exported)
    assert "not that of its encoder" in refusal(lambda: _hold_together(fitted(other, EVERY[-1]), runs, noise))


def test_a_missing_extra_is_named(encoder: TinyEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*args: object, **kwargs: object) -> None:
        raise ModuleNotFoundError("No module named 'onnxscript'")

    monkeypatch.setattr(torch.onnx, "export", missing)
    assert "sage-iad[export]" in refusal(lambda: export_onnx(fitted(encoder), encoder.network, tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_left_alone(encoder: TinyEncoder, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    assert "holds something else" in refusal(lambda: export_onnx(fitted(encoder), encoder.network, tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_a_damaged_export_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(lambda: OnnxDetector.load(tmp_path))
    (tmp_path / MODEL).write_bytes(b"graph")
    (tmp_path / CARD).write_text(json.dumps({"format": 1, "sha256": "0"}))
    assert "does not match its card" in refusal(lambda: OnnxDetector.load(tmp_path))
    (tmp_path / CARD).write_text(json.dumps({"format": 9}))
    assert "format 9" in refusal(lambda: OnnxDetector.load(tmp_path))


def test_importing_loads_neither_torch_nor_onnxruntime() -> None:
    import subprocess

    code = "import sys, tools.export, tools.other_detectors; print(sorted({'torch', 'onnxruntime'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
