"""Training of the eye from drawn pairs alone.

Three losses share every batch of (test, reference, mask):

- a dense InfoNCE between two views of the test photo, the same place being the positive;
- a logistic loss on each test patch's distance to its nearest reference patch, against the mask: what the detectors
  will do with the encoder;
- a logistic loss of the reference-free defect head against the mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import IterableDataset, get_worker_info
from transformers import Trainer, TrainingArguments
from transformers.utils import ModelOutput

from agent.vlm import SageVisionConfig, SageVisionModel
from training.draw.scene import draw_case
from training.draw.splits import SPLITS
from training.recipe import parse


@dataclass
class EncoderArguments:
    """What to draw and how to weigh the losses."""

    seed_of_drawing: int = field(default=1, metadata={"help": "Seed of the drawn cases; validation uses another."})
    image_size: int = field(default=224, metadata={"help": "Side of the drawn photos in pixels."})
    references: int = field(default=1, metadata={"help": "Normal photos a case."})
    warmup_contrast: int = field(default=600, metadata={"help": "First steps, with InfoNCE alone."})
    contrast_weight: float = field(default=0.3, metadata={"help": "Weight of InfoNCE after those."})
    defect_weight: float = field(default=0.3, metadata={"help": "Weight of the reference-free head."})
    temperature: float = field(default=0.1, metadata={"help": "Temperature of InfoNCE."})


class DrawnPairs(IterableDataset[dict[str, Tensor]]):
    """An endless stream of drawn cases as tensors; each worker draws its own share of the indices."""

    def __init__(self, seed: int, size: int, references: int, start: int = 0, split: str = "train") -> None:
        self.seed, self.size, self.references, self.start, self.split = seed, size, references, start, SPLITS[split]

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = get_worker_info()
        step, index = (worker.num_workers, worker.id) if worker else (1, 0)
        index += self.start
        while True:
            case = draw_case(
                (self.seed, index),
                size=self.size,
                anomalous=0.7,
                references=self.references,
                families=self.split.families,
                types=self.split.types,
            )
            yield {
                "test": torch.from_numpy(case.test).permute(2, 0, 1),
                "references": torch.from_numpy(np.stack(case.references)).permute(0, 3, 1, 2),
                "mask": torch.from_numpy(case.mask),
            }
            index += step


def to_pixel_values(images: Tensor) -> Tensor:
    """(…, H, W) uint8 in 0..255 to float in -1..1."""
    return images.float() / 127.5 - 1


def jitter(x: Tensor) -> Tensor:
    """Photometric nuisance, one draw an image: gain, offset, gamma, tint, noise; (B, 3, H, W) in -1..1."""
    b = x.shape[0]

    def uniform(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.empty(b, channels, 1, 1, device=x.device).uniform_(low, high)

    y = ((x + 1) / 2).clamp(1e-3, 1) ** uniform(0.7, 1.4)
    y = y * uniform(0.75, 1.25) * uniform(0.95, 1.05, 3) + uniform(-0.08, 0.08)
    y = y + torch.randn_like(y) * uniform(0.0, 0.03)
    return y.clamp(0, 1) * 2 - 1


class EncoderObjective(nn.Module):
    """The encoder with its losses, as a module the Trainer can drive."""

    def __init__(self, encoder: SageVisionModel, arguments: EncoderArguments) -> None:
        super().__init__()
        self.encoder, self.arguments = encoder, arguments
        self.slope = nn.Parameter(torch.tensor(10.0))
        self.bias = nn.Parameter(torch.tensor(-3.0))
        self.steps: Tensor
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, test: Tensor, references: Tensor, mask: Tensor) -> ModelOutput:
        """Args: test (B, 3, H, W) uint8, references (B, R, 3, H, W) uint8, mask (B, H, W) bool."""
        b, r = references.shape[:2]
        x, y = jitter(to_pixel_values(test)), jitter(to_pixel_values(references.flatten(0, 1)))
        # The second view sees the photo one or more whole cells further along, so that places still match exactly.
        dx, dy = (int(v) for v in torch.randint(-3, 4, (2,)))
        view = jitter(torch.roll(to_pixel_values(test), (dy * 8, dx * 8), (2, 3)))
        if torch.rand(()) < 0.5:
            view = F.avg_pool2d(F.pad(view, (1, 1, 1, 1), mode="reflect"), 3, 1)
        out = self.encoder(torch.cat([x, y, view]))
        hidden = F.normalize(out.last_hidden_state, dim=-1)
        seen, bank, other = hidden[:b], hidden[b : b + b * r].reshape(b, -1, hidden.shape[-1]), hidden[b + b * r :]
        contrast = self._contrast(seen, other, dy, dx)
        warm = self.training and int(self.steps) < self.arguments.warmup_contrast
        target, weight = self._targets(mask)
        distance = 1 - torch.einsum("bnd,bmd->bnm", seen, bank).amax(-1)
        logit = self.slope * distance + self.bias
        nearest = (F.binary_cross_entropy_with_logits(logit, target, reduction="none") * weight).sum() / weight.sum()
        alone = out.defect_logits[:b]
        defect = (F.binary_cross_entropy_with_logits(alone, target, reduction="none") * weight).sum() / weight.sum()
        if self.training:
            self.steps += 1
        loss = (
            contrast
            if warm
            else nearest + self.arguments.contrast_weight * contrast + self.arguments.defect_weight * defect
        )
        return ModelOutput(
            loss=loss, score=distance.amax(1).detach(), alone=alone.amax(1).detach(), label=mask.flatten(1).any(1)
        )

    def _contrast(self, seen: Tensor, other: Tensor, dy: int, dx: int) -> Tensor:
        b, n, d = seen.shape
        side = int(n**0.5)
        matched = torch.roll(other.reshape(b, side, side, d), (-dy, -dx), (1, 2)).reshape(b, n, d)
        pick = torch.randperm(n, device=seen.device)[:48]
        q, k = seen[:, pick].flatten(0, 1), matched[:, pick].flatten(0, 1)
        return F.cross_entropy(q @ k.T / self.arguments.temperature, torch.arange(len(q), device=q.device))

    def _targets(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Per patch: defective or not, and a weight that balances the classes and leaves out the doubtful rim."""
        cover = F.max_pool2d(F.avg_pool2d(mask[:, None].float(), 2), 4)[:, 0].flatten(1)
        near = F.max_pool2d(mask[:, None].float(), 24, stride=8, padding=8)[:, 0].flatten(1)
        target = (cover > 0.4).float()
        weight = target + ((near == 0) & (target == 0)).float() * 0.25
        # Few cells of a defect against hundreds of good ones: weigh so that a defect counts about as much as its image.
        share = target.mean().clamp(0.005, 0.5)
        return target, torch.where(target > 0, 0.25 * (1 - share) / share * 0.5, weight)


def validation(images: int, seed: int = 900_001, size: int = 224) -> list[dict[str, Tensor]]:
    """A fixed list of drawn cases that training never sees."""
    stream = iter(DrawnPairs(seed, size, 1, split="validation"))
    return [next(stream) for _ in range(images)]


def image_auroc(outputs: Any) -> dict[str, float]:
    """Image AUROC of the nearest-reference distance and of the defect head on the validation cases."""
    from sklearn.metrics import roc_auc_score

    score, alone, label = outputs.predictions
    return {"auroc_one_shot": float(roc_auc_score(label, score)), "auroc_zero_shot": float(roc_auc_score(label, alone))}


def train_encoder(config: Path, overrides: list[str]) -> Path:
    """Train from a recipe; returns the folder of the saved encoder. Resumes when its output folder holds a checkpoint."""
    arguments, run = parse((EncoderArguments, TrainingArguments), config, overrides)
    torch.manual_seed(run.seed)
    encoder = SageVisionModel(SageVisionConfig(image_size=arguments.image_size))
    model = EncoderObjective(encoder, arguments)
    done = sorted(Path(run.output_dir).glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
    seen = (
        int(done[-1].name.split("-")[1]) * run.per_device_train_batch_size * run.gradient_accumulation_steps
        if done
        else 0
    )
    run.ignore_data_skip = True  # The stream starts where the last checkpoint stopped, instead of drawing it all again.
    run.remove_unused_columns = False
    run.label_names = ["mask"]
    trainer = Trainer(
        model=model,
        args=run,
        train_dataset=DrawnPairs(arguments.seed_of_drawing, arguments.image_size, arguments.references, start=seen),
        eval_dataset=validation(400, size=arguments.image_size),
        compute_metrics=image_auroc,
    )
    trainer.train(resume_from_checkpoint=str(done[-1]) if done else None)
    out = Path(run.output_dir) / "encoder"
    encoder.save_pretrained(out)
    return out
