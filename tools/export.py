"""One ONNX file of a fitted detector: light, encoder, matching, smoothing and calibration; and the detector that runs it.

The steps around the network are linear along each axis (resizing, blurring, enlarging): their matrices are taken from
the very functions that the detector calls, so that the two cannot come apart.
"""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tools.bank import WINDOW
from tools.calibration import Calibration
from tools.detector import Detection, DetectorError, detection
from tools.folder import read_checked, whole_folder
from tools.matching import smoothed
from tools.separable import along_one_axis
from tools.settings import light_matrix, squashed

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from tools.fit import FittedDetector

Array = NDArray[np.float32]

MODEL, CARD = "detector.onnx", "detector.onnx.json"
TOLERANCE = 1e-4
"""Largest difference of score and map between a detector and its export."""
_FORMAT = 1


def enlarged(raw_map: Array, side: int) -> Array:
    """A map of patches at the size of the square, as `Detection.anomaly_map` is at the size of the photo."""
    from PIL import Image as PILImage

    return np.asarray(PILImage.fromarray(raw_map, mode="F").resize((side, side), PILImage.Resampling.BILINEAR))


def graph_of(detector: FittedDetector, network: torch.nn.Module) -> torch.nn.Module:
    """A fitted detector as one torch module: (1, 3, side, side) uint8 to `anomaly_map`, `score` and `raw_map`."""
    import torch
    from PIL import Image as PILImage
    from torch import Tensor, nn
    from torch.nn import functional as F

    settings, bank, calibration = detector.settings, detector.bank, detector.calibration
    side = settings.side
    cells = detector.encoder.patches(PILImage.new("RGB", (side, side)), side).features.shape[0]
    inner = slice(1, -1) if cells > 4 else slice(None)  # as `tools.matching.score_of`

    class Graph(nn.Module):
        smooth: Tensor
        enlarge: Tensor
        bank: Tensor
        light: Tensor
        empty: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.network = copy.deepcopy(network).cpu().eval()
            constants = {
                "smooth": along_one_axis(smoothed, cells),
                "enlarge": along_one_axis(lambda raw_map: enlarged(raw_map, side), cells),
                "bank": np.pad(bank.patches, ((WINDOW, WINDOW), (WINDOW, WINDOW), (0, 0), (0, 0)))
                if bank.local
                else bank.patches,
            }
            if bank.local:
                empty = np.pad(bank.owners, ((WINDOW, WINDOW), (WINDOW, WINDOW), (0, 0)), constant_values=-1) < 0
                constants["empty"] = empty.astype(np.float32)
            for name, value in constants.items():
                self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(value, np.float32)))
            if settings.flatten:
                self.register_buffer("light", torch.from_numpy(light_matrix(side)))

        def forward(self, photo: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            pixels = photo.to(torch.float32)
            if settings.flatten:
                pixels = self.flattened(pixels)
            features = F.normalize(self.network(pixels / 127.5 - 1).last_hidden_state[0], dim=-1)
            cosine = self.local_cosine(features) if bank.local else (features @ self.bank.T).amax(1)
            distance = (2 - 2 * cosine).clamp(min=0).sqrt().to(torch.float32).reshape(cells, cells)
            raw_map = self.smooth @ distance @ self.smooth.T
            score = self.unit(raw_map[inner, inner].flatten().amax(0))
            return self.unit(self.enlarge @ raw_map @ self.enlarge.T), score, raw_map

        def flattened(self, pixels: Tensor) -> Tensor:
            """As `tools.settings.flattened`, on the square."""
            # In double precision, as there: the result is cut to whole grey levels, and rounding would tip some.
            pixels = pixels.to(torch.float64)
            flat = pixels / (self.light @ pixels.mean(1) @ self.light.T).clamp(min=8)[:, None]
            middle = flat.mean()
            spread = ((flat - middle) ** 2).mean().sqrt().clamp(min=1e-3)
            return (127.5 + 50 * (flat - middle) / spread).clamp(0, 255).floor().to(torch.float32)

        def local_cosine(self, features: Tensor) -> Tensor:
            """Highest cosine of each patch with the normal patches at most `WINDOW` cells away, (cells²,)."""
            features = features.reshape(cells, cells, -1, 1).to(torch.float64)  # as `tools.bank.Bank.distance`
            found = []
            for dy in range(2 * WINDOW + 1):
                for dx in range(2 * WINDOW + 1):
                    here = (slice(dy, dy + cells), slice(dx, dx + cells))
                    cosine = (self.bank[here].to(torch.float64) @ features)[..., 0]
                    found.append(torch.where(self.empty[here] > 0, -1.0, cosine).amax(-1))
            return torch.stack(found).amax(0).reshape(-1)

        def unit(self, raw: Tensor) -> Tensor:
            """As `Calibration.unit`."""
            return torch.sigmoid(((raw - calibration.threshold) / calibration.scale).clamp(-30, 30))

    return Graph().eval()


def export_onnx(detector: FittedDetector, network: torch.nn.Module, folder: Path) -> Path:
    """Write `detector.onnx` and the card beside it to `folder`; returns the file.

    Args:
        detector: a fitted one.
        network: the network inside its encoder: (1, 3, H, W) float32 in −1..1 to `last_hidden_state` (1, h·w, d).
        folder: made where it is missing; an older export in it is replaced.

    Raises:
        DetectorError: the `export` extra is missing, the folder cannot be written, or what was written does not give
            the detector's scores; nothing is left behind then.
    """
    import torch

    side = detector.settings.side
    sample = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    card = {
        "format": _FORMAT,
        "encoder": detector.encoder.revision,
        "settings": asdict(detector.settings),
        "side": side,
        "threshold": detector.calibration.threshold,
        "scale": detector.calibration.scale,
        "basis": detector.calibration.basis,
        "false_alarm_rate": detector.rate,
        "photo": f"uint8 (1, 3, {side}, {side}), RGB, channels first: the whole photo squashed with Pillow's "
        f"Image.resize(({side}, {side}), Image.Resampling.BILINEAR, reducing_gap=3.0)",
        "anomaly_map": f"float32 ({side}, {side}), 0..1, 0.5 at the threshold",
        "score": "float32 (), 0..1, 0.5 at the threshold",
        "raw_map": "float32 (cells, cells), before calibration",
    }
    with whole_folder(folder, frozenset({MODEL, CARD}), what="export folder") as made:
        try:
            with torch.no_grad():
                torch.onnx.export(
                    graph_of(detector, network), (torch.from_numpy(sample).permute(2, 0, 1)[None],), made / MODEL,
                    dynamo=True, verbose=False, external_data=False,
                    input_names=["photo"], output_names=["anomaly_map", "score", "raw_map"],
                )  # fmt: skip
        except ImportError as error:
            raise DetectorError(f"export: {error}; install it with `pip install 'sage-iad[export]'`") from error
        card["sha256"] = hashlib.sha256((made / MODEL).read_bytes()).hexdigest()
        (made / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        _hold_together(detector, OnnxDetector.load(made), sample)
    return folder / MODEL


def _hold_together(detector: FittedDetector, exported: OnnxDetector, sample: NDArray[np.uint8]) -> None:
    """Compare both on one photo of noise: score, map, and the raw map, since far from the threshold scores are all alike."""
    from PIL import Image

    photo = Image.fromarray(sample)
    ours, theirs = detector.detect(photo), exported.detect(photo)
    raw, again = detector.raw_map(photo), exported.run(photo)[1]
    apart = max(
        abs(ours.score - theirs.score),
        float(np.abs(ours.anomaly_map - theirs.anomaly_map).max()),
        float(np.abs(raw - again).max() / max(np.abs(raw).max(), 1e-6)),
    )
    if apart > TOLERANCE:
        raise DetectorError(
            f"export: scores differ by {apart:.2g} from the detector's, expected at most {TOLERANCE}; the network given "
            "is not that of its encoder, or this version of onnxruntime computes otherwise"
        )


class OnnxDetector:
    """Runs an exported detector with onnxruntime: no torch, no encoder."""

    setting = "fitted"

    def __init__(self, session: Any, side: int, calibration: Calibration, card: dict[str, Any]) -> None:
        self.session, self.side, self.calibration, self.card = session, side, calibration, card

    @classmethod
    def load(cls, folder: Path) -> OnnxDetector:
        """Read what `export_onnx` wrote.

        Raises:
            DetectorError: missing or damaged.
        """
        again = "export it again with `sage-iad export`"
        card, data = read_checked(folder, (CARD, MODEL), version=_FORMAT, what="export", again=again)
        try:
            calibration = Calibration(float(card["threshold"]), float(card["scale"]), str(card["basis"]))
            side = int(card["side"])
        except (ValueError, KeyError, TypeError) as error:
            raise DetectorError(
                f"export {str(folder)!r}: cannot be read ({type(error).__name__}: {error}); {again}"
            ) from error
        import onnxruntime

        return cls(onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]), side, calibration, card)

    def run(self, image: Image.Image) -> tuple[float, Array]:
        """Score, 0..1, and raw map, (cells, cells), of one RGB photo."""
        photo = np.asarray(squashed(image, self.side)).transpose(2, 0, 1)[None]
        score, raw_map = self.session.run(["score", "raw_map"], {"photo": photo})
        return float(score), raw_map

    def detect(self, image: Image.Image) -> Detection:
        """Score one RGB photo."""
        score, raw_map = self.run(image)
        return replace(detection(raw_map, self.calibration, image), score=score)
