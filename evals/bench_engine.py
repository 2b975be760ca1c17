"""anomalib's Engine on a folder of photos, in a process of its own: `python -m evals.bench_engine EYE FOLDER`.

FOLDER holds `good` to fit to, `ok` and `bad` to score; `found.json` is written into it.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F
from torchvision.transforms.v2 import Compose, Normalize, Resize

from agent.vlm import Eye


class Features(torch.nn.Module):
    """The eye in the place of anomalib's feature extractor."""

    def __init__(self, eye: Eye) -> None:
        super().__init__()
        self.network = eye.model

    def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """(B, 3, H, W) in −1..1 to vectors of length 1, (B, d, h, w)."""
        hidden = F.normalize(self.network(pixels).last_hidden_state, dim=-1)
        h, w = (n // self.network.stride for n in pixels.shape[-2:])
        return {"layer1": hidden.transpose(1, 2).reshape(len(pixels), -1, h, w)}


def main(eye: Path, root: Path) -> None:
    """Fit, predict, write."""
    from anomalib.data import Folder
    from anomalib.engine import Engine
    from anomalib.models import Patchcore
    from anomalib.pre_processing import PreProcessor

    encoder = Eye.load(eye)
    side = encoder.model.config.image_size
    prepare = PreProcessor(Compose([Resize((side, side)), Normalize([0.5] * 3, [0.5] * 3)]))
    model = Patchcore(
        backbone="resnet18",
        layers=["layer1"],
        pre_trained=False,
        pre_processor=prepare,
        evaluator=False,
        visualizer=False,
    )
    model.model.feature_extractor = Features(encoder).eval()  # type: ignore[assignment]
    data = Folder(
        "drawn", normal_dir="good", normal_test_dir="ok", abnormal_dir="bad", root=root, num_workers=0,
        train_batch_size=8, eval_batch_size=8, val_split_mode="same_as_test",
    )  # fmt: skip
    # Its validation only sets a threshold, from the test photos.
    engine = Engine(
        default_root_dir=root / "results", accelerator="cpu", devices=1, limit_val_batches=0,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    start = time.perf_counter()
    engine.fit(model=model, datamodule=data)
    between = time.perf_counter()
    batches: Any = engine.predict(model=model, datamodule=data)
    end = time.perf_counter()
    scores = {Path(p).stem: float(s) for b in batches for p, s in zip(b.image_path, b.pred_score, strict=True)}
    per_mb = 2**20 if sys.platform == "darwin" else 2**10
    found = {
        "fit_seconds": between - start,
        "predict_seconds": end - between,
        "scores": scores,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / per_mb,
    }
    (root / "found.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
