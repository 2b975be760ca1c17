"""Training of the eye from drawn cases alone.

Every batch holds cases of a test photo and two normal references of the same product. Four losses share it:

- a dense InfoNCE between two views of the test photo, the same place being the positive;
- a logistic loss on each patch's distance to its nearest reference patch, against the mask: what the detectors will do with the
  encoder. Once anywhere in the reference, once near the same place where the station is still;
- a ranking: a defective part has to look stranger beside the first reference than the second reference does;
- a logistic loss of the reference-free defect head against the mask.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments
from transformers.utils import ModelOutput

from agent.vlm import SageVisionConfig, SageVisionModel
from training.augment import jitter, paste_defects, reframe, restyle, to_pixel_values
from training.pairs import DrawnPairs, Pair
from training.recipe import parse
from training.tuning import checkpoints


@dataclass
class EncoderArguments:
    """What to draw and how to weigh the losses."""

    seed_of_drawing: int = field(default=1, metadata={"help": "Seed of the drawn cases; validation uses another."})
    image_size: int = field(default=224, metadata={"help": "Side of the drawn photos in pixels."})
    replay: int = field(default=1, metadata={"help": "How often a drawn case is shown, changed anew each time."})
    kept: int = field(default=1, metadata={"help": "Drawn cases that each worker keeps to show again."})
    warmup_contrast: int = field(default=600, metadata={"help": "First steps, with InfoNCE alone."})
    contrast_weight: float = field(default=0.3, metadata={"help": "Weight of InfoNCE after those."})
    local_weight: float = field(default=0.3, metadata={"help": "Weight of the loss near the same place."})
    rank_weight: float = field(default=0.1, metadata={"help": "Weight of the ranking loss."})
    defect_weight: float = field(default=0.3, metadata={"help": "Weight of the reference-free head."})
    temperature: float = field(default=0.1, metadata={"help": "Temperature of InfoNCE."})
    paste: float = field(default=0.35, metadata={"help": "Share of test photos with a pasted defect."})
    restyled: float = field(default=0.5, metadata={"help": "Share of cases in other colours."})
    reframed: float = field(default=0.6, metadata={"help": "Share of cases turned and zoomed."})


class EncoderObjective(nn.Module):
    """The encoder with its losses, as a module the Trainer can drive."""

    def __init__(self, encoder: SageVisionModel, arguments: EncoderArguments) -> None:
        super().__init__()
        self.encoder, self.arguments = encoder, arguments
        # Slope and bias that turn a distance into log-odds: anywhere, near the same place.
        self.slope = nn.Parameter(torch.tensor([10.0, 10.0]))
        self.bias = nn.Parameter(torch.tensor([-3.0, -3.0]))
        self.steps: Tensor
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, photos: Tensor, mask: Tensor, still: Tensor, close: Tensor) -> ModelOutput:
        """Args: photos (B, 3, 3, H, W) uint8, test and two references; mask (B, H, W) bool; still and close (B,) bool."""
        x = to_pixel_values(photos)
        return self._train_step(x, mask, still, close) if self.training else self._evaluate(x, mask)

    def _evaluate(self, x: Tensor, mask: Tensor) -> ModelOutput:
        """The test photo beside the first reference: loss, and image scores with and without the reference."""
        b = x.shape[0]
        out = self.encoder(x[:, :2].flatten(0, 1))
        test, first = F.normalize(out.last_hidden_state.float(), dim=-1).unflatten(0, (b, 2)).unbind(1)
        distance = 1 - (test @ first.transpose(1, 2)).amax(-1)
        return ModelOutput(
            loss=self._logistic(distance, 0, *self._targets(mask)),
            score=_smoothed(distance).amax(1),
            alone=out.defect_logits[::2].amax(1),
            label=mask.flatten(1).any(1),
        )

    def _train_step(self, x: Tensor, mask: Tensor, still: Tensor, close: Tensor) -> ModelOutput:
        b = x.shape[0]
        with torch.no_grad():
            x, mask = self._augmented(x, mask, still, close)
            # The other view sees the photo one or more whole cells further along, so that places still match exactly.
            dy, dx = (int(v) for v in torch.randint(-3, 4, (2,)))
            view = jitter(torch.roll(x[:, 0], (dy * 8, dx * 8), (2, 3)))
            seen = jitter(x.flatten(0, 1))
        out = self.encoder(torch.cat([seen, view]))
        hidden = F.normalize(out.last_hidden_state.float(), dim=-1)
        test, first, second = hidden[: 3 * b].unflatten(0, (b, 3)).unbind(1)
        contrast = self._contrast(test, hidden[3 * b :], dy, dx)
        self.steps += 1
        a = self.arguments
        if int(self.steps) <= a.warmup_contrast:
            return ModelOutput(loss=contrast)
        target, weight = self._targets(mask)
        clean, plain = torch.zeros_like(target), torch.full_like(weight, 0.25)
        # Now and then both references are the bank, as in few-shot and fitted detectors.
        both = bool(torch.rand(()) < 0.35)
        cosine = test @ (torch.cat([first, second], 1) if both else first).transpose(1, 2)
        distance = 1 - cosine.amax(-1)
        beside = 1 - (second @ first.transpose(1, 2)).amax(-1)
        nearest = self._logistic(distance, 0, target, weight)
        if not both:
            nearest = nearest + 0.3 * self._logistic(beside, 0, clean, plain)
        cells = first.shape[1]
        near = 1 - cosine[..., :cells].masked_fill(~_window(cells, cosine.device), -1).amax(-1)
        local = self._logistic(near, 1, target, weight * still[:, None])
        gap = (_worst(distance) - _worst(beside)) * self.slope[0].detach()
        bad = mask.flatten(1).any(1).float()
        rank = (F.softplus(-gap) * bad).sum() / bad.sum().clamp(min=1)
        defects = out.defect_logits[: 3 * b].float().unflatten(0, (b, 3))
        labels, weights = torch.stack([target, clean, clean], 1), torch.stack([weight, 0.5 * plain, 0.5 * plain], 1)
        defect = _balanced(F.binary_cross_entropy_with_logits(defects, labels, reduction="none"), weights)
        return ModelOutput(
            loss=nearest
            + a.local_weight * local
            + a.contrast_weight * contrast
            + a.rank_weight * rank
            + a.defect_weight * defect
        )

    def _augmented(self, x: Tensor, mask: Tensor, still: Tensor, close: Tensor) -> tuple[Tensor, Tensor]:
        a, b = self.arguments, x.shape[0]
        test, mask = paste_defects(x[:, 0], mask, a.paste)
        x = torch.cat([test[:, None], x[:, 1:]], 1)
        framed, moved = reframe(x, mask, close, still)
        take = torch.rand(b, device=x.device) < a.reframed
        x = torch.where(take[:, None, None, None, None], framed, x)
        mask = torch.where(take[:, None, None], moved, mask)
        take = torch.rand(b, device=x.device) < a.restyled
        return torch.where(take[:, None, None, None, None], restyle(x), x), mask

    def _logistic(self, distance: Tensor, which: int, target: Tensor, weight: Tensor) -> Tensor:
        logit = self.slope[which] * distance + self.bias[which]
        return _balanced(F.binary_cross_entropy_with_logits(logit, target, reduction="none"), weight)

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


def _balanced(loss: Tensor, weight: Tensor) -> Tensor:
    return (loss * weight).sum() / weight.sum().clamp(min=1e-6)


def _smoothed(cells: Tensor) -> Tensor:
    """(B, N) square grids averaged over 3×3 cells, as the detectors smooth their maps."""
    side = int(cells.shape[1] ** 0.5)
    grid = F.pad(cells.unflatten(1, (1, side, side)), (1,) * 4, mode="reflect")
    return F.avg_pool2d(grid, 3, 1).flatten(1)


def _worst(distance: Tensor) -> Tensor:
    """(B,) mean of the four highest cells of a smoothed map."""
    return _smoothed(distance).topk(4, 1).values.mean(1)


def _window(cells: int, device: torch.device, reach: int = 2) -> Tensor:
    """(N, N) bool: pairs of cells of a square grid that are at most `reach` rows and columns apart."""
    side = int(cells**0.5)
    at = torch.arange(cells, device=device)
    rows, columns = at // side, at % side
    return ((rows[:, None] - rows).abs() <= reach) & ((columns[:, None] - columns).abs() <= reach)


def validation(images: int, size: int = 224, split: str = "validation", workers: int = 0) -> list[Pair]:
    """A fixed list of drawn cases that training never sees."""
    stream = DataLoader(DrawnPairs(900_001, size, 2, split=split), batch_size=None, num_workers=workers)
    return list(islice(stream, images))


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
    done = checkpoints(Path(run.output_dir))
    seen = (
        int(done[-1].name.split("-")[1]) * run.per_device_train_batch_size * run.gradient_accumulation_steps
        if done
        else 0
    )
    run.ignore_data_skip = True  # The stream starts where the last checkpoint stopped, instead of drawing it all again.
    run.remove_unused_columns = False
    run.label_names = ["mask"]
    drawn = DrawnPairs(
        arguments.seed_of_drawing,
        arguments.image_size,
        2,
        start=seen // arguments.replay,
        replay=arguments.replay,
        kept=arguments.kept,
    )
    trainer = Trainer(
        model=model,
        args=run,
        train_dataset=drawn,
        eval_dataset=validation(400, arguments.image_size, workers=run.dataloader_num_workers),
        compute_metrics=image_auroc,
    )
    trainer.train(resume_from_checkpoint=str(done[-1]) if done else None)
    out = Path(run.output_dir) / "encoder"
    encoder.save_pretrained(out)
    return out
