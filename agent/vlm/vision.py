"""The eye: a small convolutional patch encoder, usable as vision tower, as detector backbone and as image embedder.

Loaded through transformers' Auto classes after `import agent.vlm`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling


class SageVisionConfig(PretrainedConfig):
    """Sizes of the encoder; the defaults are those of the shipped one."""

    model_type = "sage_vision"
    base_config_key = "vision_config"

    def __init__(
        self,
        image_size: int = 224,
        widths: tuple[int, ...] = (24, 64, 128),
        depths: tuple[int, ...] = (1, 2, 3),
        hidden_size: int = 128,
        **kwargs: object,
    ) -> None:
        self.image_size = image_size
        self.widths = list(widths)
        self.depths = list(depths)
        self.hidden_size = hidden_size
        super().__init__(**kwargs)  # type: ignore[arg-type]


@dataclass
class SageVisionOutput(BaseModelOutputWithPooling):
    """What the encoder sees; `last_hidden_state` is (B, N, d), N patches row by row at stride 8."""

    defect_logits: Tensor | None = None
    """(B, N): how defect-like a patch looks by itself, without any reference."""


class _Block(nn.Module):
    """Two 3×3 convolutions around which the input goes on unchanged."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(x + self.norm2(self.conv2(y)))


def stage(inputs: int, width: int, depth: int) -> nn.Sequential:
    """Halve the resolution, then `depth` residual blocks."""
    down = [nn.Conv2d(inputs, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*down, *(_Block(width) for _ in range(depth)))


class SageVisionModel(PreTrainedModel):
    """Residual network whose features at strides 4, 8 and 16 are merged into one vector per 8×8 patch."""

    config_class = SageVisionConfig
    base_model_prefix = "vision"
    main_input_name = "pixel_values"
    input_modalities = "image"
    stride = 8
    margin = 16
    """Pixels of reflected border added before the network and cut off after it: the zero padding of convolutions
    would otherwise make every border look strange, and a maximum over the map would find it."""

    def __init__(self, config: SageVisionConfig) -> None:
        super().__init__(config)
        a, b, c = config.widths
        d = config.hidden_size
        self.stem = stage(3, a, 0)
        self.stage4 = stage(a, a, config.depths[0])
        self.stage8 = stage(a, b, config.depths[1])
        self.stage16 = stage(b, c, config.depths[2])
        self.merge = nn.ModuleList(nn.Conv2d(width, d, 1) for width in (a, b, c))
        self.neck = nn.Sequential(nn.BatchNorm2d(d), nn.ReLU(), nn.Conv2d(d, d, 1))
        self.defect_head = nn.Sequential(nn.Conv2d(2 * d + 1, 48, 1), _Block(48), nn.ReLU(), nn.Conv2d(48, 1, 1))
        self.post_init()

    def train(self, mode: bool = True) -> SageVisionModel:
        """Set the mode; a frozen encoder stays in evaluation, or training a model around it would move its BatchNorm."""
        super().train(mode and any(p.requires_grad for p in self.parameters()))
        return self

    def stages(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features of (B, 3, H, W) at strides 4, 8 and 16, before they are merged."""
        s4 = self.stage4(self.stem(x))
        s8 = self.stage8(s4)
        return s4, s8, self.stage16(s8)

    def forward(self, pixel_values: Tensor, return_dict: bool | None = None, **kwargs: object) -> SageVisionOutput:
        """Encode images.

        Args:
            pixel_values: (B, 3, H, W) float in -1..1; H and W multiples of 8.

        Returns:
            `last_hidden_state` (B, H/8 · W/8, d), `pooler_output` (B, d), `defect_logits` (B, H/8 · W/8).
        """
        # A fifth faster on a CPU with the channels last.
        pixel_values = pixel_values.contiguous(memory_format=torch.channels_last)
        x = F.pad(pixel_values, (self.margin,) * 4, mode="reflect")
        s4, s8, s16 = self.stages(x)
        fine, middle, coarse = (layer(s) for layer, s in zip(self.merge, (F.avg_pool2d(s4, 2), s8, s16), strict=True))
        cut = self.margin // self.stride
        merged = fine + middle + F.interpolate(coarse, size=s8.shape[-2:], mode="bilinear")
        merged = merged[..., cut:-cut, cut:-cut]
        grid = self.neck(merged)
        # What is unlike the rest of its own image is the only cue there is without a reference.
        context = torch.cat([merged, merged - merged.mean((2, 3), keepdim=True), rarity(grid.detach())], 1)
        logits = self.defect_head(context).flatten(1)
        hidden = grid.flatten(2).transpose(1, 2).contiguous()
        return SageVisionOutput(last_hidden_state=hidden, pooler_output=hidden.mean(1), defect_logits=logits)


def rarity(grid: Tensor) -> Tensor:
    """How rare each patch is inside its own image: mean distance to the nearest of four disjoint sets of patches, those
    nearer than three cells left out.

    Args:
        grid: (B, d, h, w) patch features.

    Returns:
        (B, 1, h, w) in 0..2.
    """
    h, w = grid.shape[-2:]
    flat = F.normalize(grid.flatten(2).transpose(1, 2).float(), dim=-1)
    # Every second row and column is enough to compare with: neighbouring patches look alike.
    bank = flat.unflatten(1, (h, w))[:, ::2, ::2].flatten(1, 2)
    rows, columns = torch.arange(h, device=grid.device), torch.arange(w, device=grid.device)
    near_rows, near_columns = ((at[:, None] - at[::2]).abs() < 3 for at in (rows, columns))
    touching = (near_rows[:, None, :, None] & near_columns[None, :, None]).flatten(2).flatten(0, 1)
    # Contiguous: a product with the transposed view is slower on a CPU (7.8 against 4.9 ms).
    cosine = (flat @ bank.transpose(1, 2).contiguous()).masked_fill(touching, -1)
    best = torch.stack([cosine[..., i::4].amax(-1) for i in range(4)], -1)
    return (2 - 2 * best).clamp(min=1e-6).sqrt().mean(-1).reshape(-1, 1, h, w).to(grid.dtype)
