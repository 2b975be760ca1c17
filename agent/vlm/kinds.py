"""What kind of defect a close-up shows: a classifier grown from the eye, beside it, since the eye's own features do not tell kinds.

Loaded through transformers' Auto classes after `import agent.vlm`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput

from agent.vlm.vision import SageVisionConfig, SageVisionModel, stage

if TYPE_CHECKING:
    from PIL import Image

SOUND = "sound"
"""The class of close-ups that show no defect."""
NAMED = 3
"""As many kinds are told of a close-up."""
FINE, COARSE = 192, 256
"""Channels of the head at strides 8 and 16."""


class SageVisionForImageClassification(PreTrainedModel):
    """The eye's trunk, trained on, with a head that names the kind of defect in the middle of a close-up."""

    config_class = SageVisionConfig
    base_model_prefix = "vision"
    main_input_name = "pixel_values"
    input_modalities = "image"

    def __init__(self, config: SageVisionConfig) -> None:
        super().__init__(config)
        self.vision = SageVisionModel(config)
        self.head = nn.Sequential(*_conv(sum(config.widths), FINE), *_conv(FINE, FINE))
        self.top = stage(FINE, COARSE, 1)
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(2 * (FINE + COARSE), len(config.id2label or {}))
        self.post_init()

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, **kwargs: object) -> ImageClassifierOutput:
        """Classify close-ups.

        Args:
            pixel_values: (B, 3, H, W) float in -1..1; H and W multiples of 16.
            labels: (B,) long, indices of `config.id2label`.

        Returns:
            `logits` (B, K), and `loss`, a cross-entropy, with `labels`.
        """
        fine, middle, coarse = self.vision.stages(pixel_values.contiguous(memory_format=torch.channels_last))
        coarse = F.interpolate(coarse, size=middle.shape[-2:], mode="bilinear")
        seen = self.head(torch.cat([F.avg_pool2d(fine, 2), middle, coarse], 1))
        pooled = [pool for x in (seen, self.top(seen)) for pool in (x.mean((2, 3)), x.amax((2, 3)))]
        logits = self.classifier(self.dropout(torch.cat(pooled, 1)))
        loss = None if labels is None else F.cross_entropy(logits, labels, label_smoothing=0.05 * self.training)
        return ImageClassifierOutput(loss=loss, logits=logits)


def _conv(inputs: int, width: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]


class Kinds:
    """The shipped classifier, or another folder of the same kind, on the CPU."""

    def __init__(self, model: SageVisionForImageClassification) -> None:
        self.model = model.eval()

    @classmethod
    def load(cls, folder: Path) -> Kinds:
        """Read its folder (config.json and model.safetensors)."""
        return cls(SageVisionForImageClassification.from_pretrained(folder, dtype=torch.float32))

    def __call__(self, close_up: Image.Image) -> list[tuple[str, float]]:
        """The `NAMED` kinds of defect that a close-up looks most like, or `SOUND`, with their probabilities, likeliest first.

        Args:
            close_up: RGB, the region of interest in its middle.
        """
        side = self.model.config.image_size
        small = close_up.resize((side, side), resample=2, reducing_gap=3.0)
        pixels = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).reshape(1, side, side, 3)
        with torch.inference_mode():
            logits = self.model(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1).logits[0]
        best = logits.softmax(0).topk(NAMED)
        return [(self.model.config.id2label[int(i)], float(p)) for p, i in zip(*best, strict=True)]
