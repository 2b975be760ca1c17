"""The agent's own tools on drawn cases, with an eye that costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tools.detector import Calibration

CELLS = 14


@dataclass(frozen=True)
class ColourPatches:
    features: NDArray[np.float32]
    defect: NDArray[np.float32]


class ColourEye:
    """Each patch is its mean colour, stretched; far from the mean of the photo is called defect-like."""

    revision = "colours-1"

    def patches(self, image: Image.Image, side: int | None = None) -> ColourPatches:
        small = np.asarray(image.resize((CELLS, CELLS), Image.Resampling.BOX), np.float32) / 255
        centred = np.concatenate([small - small.mean((0, 1)), np.full((CELLS, CELLS, 1), 0.2, np.float32)], -1)
        features = (centred / np.linalg.norm(centred, axis=-1, keepdims=True)).astype(np.float32)
        odd = np.abs(centred[..., :3]).sum(-1)
        return ColourPatches(features, np.clip(odd, 0.01, 0.99).astype(np.float32))


def kinds_by_colour(close_up: Image.Image) -> list[tuple[str, float]]:
    """Some kinds of defect, by the mean colour."""
    names = ("scratch", "sound", "crack", "dent", "stain", "contamination", "missing_part")
    first = int(np.asarray(close_up, np.float64).mean()) % len(names)
    return [(names[(first + i) % len(names)], p) for i, p in enumerate((0.6, 0.25, 0.05))]


@pytest.fixture(scope="session")
def cheap_looks() -> object:
    """As `evals.drawn.DrawnLooks`, but for the eye."""
    from evals.drawn import DrawnLooks

    looks = DrawnLooks(Path("not read"))
    settings = {
        "zero-shot": 1.1, "one-shot": 0.45, "one-shot, aligned": 0.6, "few-shot": 0.4, "few-shot, aligned": 0.55
    }  # fmt: skip
    calibrations = {name: Calibration(at, 0.15, "a test") for name, at in settings.items()}
    looks._loaded = ColourEye(), kinds_by_colour, calibrations  # type: ignore[assignment]
    return looks


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, cheap_looks: Any) -> Path:
    """A folder of drawn cases."""
    from training.cases import kept_cases

    folder = tmp_path_factory.mktemp("cases")
    kept_cases(folder, 25, 6, cheap_looks, processes=1, eye="colours")
    return folder


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few ranked answers with their photos."""
    from training.make import Order, make

    folder = tmp_path_factory.mktemp("adpl")
    assert list(make(Order(pairs=5, seed=3, size=64), folder, processes=1))[-1] == 5
    return folder / "train.jsonl"


@pytest.fixture(scope="session")
def eye(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An eye with random weights and an image side of 64, where photos are drawn at 224."""
    import torch

    from agent.vlm import SageVisionConfig, SageVisionModel

    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("eye")
    SageVisionModel(SageVisionConfig(image_size=64)).save_pretrained(folder)
    return folder
