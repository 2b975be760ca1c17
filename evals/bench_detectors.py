"""Speed of the eye and its detectors, beside anomalib's own Engine on the same drawn photos with the same encoder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from agent.vlm import Eye

FAMILIES = (0, 7)
"""Which of the drawn product families the comparison takes, by place in their list."""
FIT, TEST = 24, 20
"""Photos of good parts to fit to, and photos of good and of bad parts to score, of each product."""
MANY = 200
LIMIT = 900
"""Seconds the Engine may take on one product."""
BANK = 6_000
"""Patches of the bank whose search is timed."""


@dataclass(frozen=True)
class Product:
    """Drawn photos of one design."""

    normals: list[Image.Image]
    tests: list[Image.Image]
    anomalous: list[int]
    """0 or 1 for each of `tests`."""


def draw_product(family: int, normals: int, tests: int, seed: int = 0) -> Product:
    """Photos of one design before one camera.

    Args:
        family: place in the list of drawn families, modulo its length.
        normals: photos of good parts.
        tests: photos of good parts and as many of bad ones.
    """
    from PIL import Image

    from training.draw.families import FAMILIES as ALL
    from training.draw.scene import _Station

    kind = ALL[family % len(ALL)]
    station = _Station(kind, np.random.default_rng([seed, family]), 224, 0.15)

    def photo(names: list[str]) -> Image.Image:
        return Image.fromarray(station.photo(names, varied=False, twin=False)[0])

    good = [photo([]) for _ in range(normals + tests)]
    bad = [photo(list(kind.defects)) for _ in range(tests)]
    return Product(good[:normals], good[normals:] + bad, [0] * tests + [1] * tests)


def encoder_ms(eye: Eye, times: int = 20) -> float:
    """Median milliseconds of the network on one photo of 224 pixels."""
    import torch

    pixels = torch.rand(1, 3, 224, 224) * 2 - 1

    def encode() -> None:
        with torch.inference_mode():
            eye.model(pixels)

    return 1000 * _median(encode, times)


def scoring_ms(eye: Eye, photo: Image.Image, times: int = 20) -> float:
    """Median milliseconds from features to score and map, against a global bank of `BANK` patches."""
    from tools.bank import Bank
    from tools.calibration import Calibration
    from tools.detector import detection
    from tools.matching import smoothed

    features = eye.patches(photo).features
    rows = np.random.default_rng(0).standard_normal((BANK, features.shape[-1])).astype(np.float32)
    bank = Bank(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.zeros(BANK, np.int32))
    calibration = Calibration(1.0, 0.1, "")
    return 1000 * _median(lambda: detection(smoothed(bank.distance(features)), calibration, photo), times)


def fitting(eye: Eye, photos: Sequence[Image.Image]) -> tuple[float, float]:
    """Seconds to fit a detector, settings chosen, and its megabytes on disk."""
    from tools.card import save_detector
    from tools.fit import fit_detector

    start = time.perf_counter()
    fitted = fit_detector(eye, photos)
    seconds = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "detector"
        save_detector(fitted, folder)
        size = sum(path.stat().st_size for path in folder.iterdir())
    return seconds, size / 1e6


@dataclass(frozen=True)
class Contest:
    """One detector on one product."""

    fit_seconds: float
    predict_ms: float
    """A photo."""
    auroc: float
    peak_mb: float | None = None
    """Highest memory in use."""


def ours(eye: Eye, product: Product) -> Contest:
    """Our own fitted detector, settings chosen as in `fit`."""
    from sklearn.metrics import roc_auc_score

    from tools.fit import fit_detector

    start = time.perf_counter()
    fitted = fit_detector(eye, product.normals)
    between = time.perf_counter()
    scores = [fitted.detect(photo).score for photo in product.tests]
    end = time.perf_counter()
    auroc = float(roc_auc_score(product.anomalous, scores))
    return Contest(between - start, 1000 * (end - between) / len(scores), auroc)


def engine(eye: Path, product: Product) -> Contest:
    """anomalib's Engine with its PatchCore at its defaults, but that the features are the eye's.

    It runs in a process of its own: what it prints, the folders it makes and the memory it takes stay there.

    Args:
        eye: folder of the encoder.
        product: its photos.
    """
    from sklearn.metrics import roc_auc_score

    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for name in ("good", "ok", "bad"):
            (root / name).mkdir()
        for i, photo in enumerate(product.normals):
            photo.save(root / "good" / f"{i}.png")
        for i, (photo, bad) in enumerate(zip(product.tests, product.anomalous, strict=True)):
            photo.save(root / ("bad" if bad else "ok") / f"{i}.png")
        command = [sys.executable, "-m", "evals.bench_engine", str(eye.resolve()), scratch]
        quiet = {"TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
        # Each step of its coreset makes and frees a large array. glibc keeps such arrays in a heap that they fill with
        # holes, to more than 20 GB here; given back to the system one by one, they need no more than one at a time.
        quiet["MALLOC_MMAP_THRESHOLD_"] = "1000000"
        paths = os.pathsep.join([str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")])
        subprocess.run(
            command,
            cwd=scratch,
            env=os.environ | quiet | {"PYTHONPATH": paths},
            check=True,
            capture_output=True,
            timeout=LIMIT,
        )
        found = json.loads((root / "found.json").read_text(encoding="utf-8"))
    scores = [found["scores"][str(i)] for i in range(len(product.tests))]
    auroc = float(roc_auc_score(product.anomalous, scores))
    return Contest(found["fit_seconds"], 1000 * found["predict_seconds"] / len(scores), auroc, found["peak_mb"])


def detector_figures(eye: Path) -> dict[str, tuple[float, str]]:
    """Every figure of this file with its unit; those of the contest are means over its products.

    Args:
        eye: folder of the encoder.
    """
    from agent.vlm import Eye

    encoder = Eye.load(eye)
    photos = draw_product(FAMILIES[0], MANY, 1)
    seconds, megabytes = fitting(encoder, photos.normals)
    found = {
        "encoder_ms": (encoder_ms(encoder), "ms"),
        f"score_and_map_{BANK}_patches_ms": (scoring_ms(encoder, photos.tests[0]), "ms"),
        f"fit_{MANY}_photos_seconds": (seconds, "s"),
        "fitted_detector_mb": (megabytes, "MB"),
    }
    products = [draw_product(family, FIT, TEST) for family in FAMILIES]
    for name, contests in (
        ("ours", [ours(encoder, product) for product in products]),
        ("engine", [engine(eye, product) for product in products]),
    ):
        found[f"{name}_fit_{FIT}_photos_seconds"] = (float(np.mean([c.fit_seconds for c in contests])), "s")
        found[f"{name}_predict_ms"] = (float(np.mean([c.predict_ms for c in contests])), "ms")
        found[f"{name}_image_auroc"] = (float(np.mean([c.auroc for c in contests])), "")
        if peaks := [c.peak_mb for c in contests if c.peak_mb is not None]:
            found[f"{name}_peak_mb"] = (max(peaks), "MB")
    return found


def _median(run: Callable[[], object], times: int) -> float:
    for _ in range(3):
        run()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return float(np.median(found))
