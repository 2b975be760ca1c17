"""`sage-iad train kinds`: the classifier of close-ups, grown from the eye, from drawn defects alone.

A close-up is cut with room around it; each batch turns, shifts and zooms it anew, since regions of a heat map are larger, smaller
and beside the defect. Places of sound parts, most of them where the eye takes fright, are a class of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments
from transformers.modeling_outputs import ImageClassifierOutput

from agent.vlm import Eye, SageVisionConfig, SageVisionForImageClassification
from agent.vlm.kinds import SOUND
from agent.vlm.nano import shipped
from training.augment import to_pixel_values, uniform
from training.draw.noise import Rng
from training.draw.scene import draw_case
from training.draw.splits import SPLITS, TRAINED_KINDS
from training.pairs import Drawn
from training.recipe import RecipeError, parse
from training.tuning import checkpoints

KINDS = (*TRAINED_KINDS, SOUND)
"""The classes."""
KEPT, SHOWN = 2.7, 1.8
"""Sides of what is cut out and of what is shown, in sides of the defect's box."""
ROOM = KEPT / SHOWN
NEAREST = 60
"""Least side of what is cut out, in pixels of a drawn photo."""
FRIGHT = 0.6
"""Share of the sound places that are where the eye sees most of a defect."""
VALIDATION_SEED = 900_002


@dataclass
class KindsArguments:
    """What to draw."""

    eye: str | None = field(
        default=None, metadata={"help": "Folder of the encoder to start from; none: the shipped one."}
    )
    seed_of_drawing: int = field(default=881, metadata={"help": "Seed of the drawn cases; validation uses another."})
    image_size: int = field(default=128, metadata={"help": "Side of a close-up in pixels."})
    sound: float = field(default=0.1, metadata={"help": "Share of close-ups without a defect."})
    replay: int = field(default=1, metadata={"help": "How often a drawn close-up is shown, changed anew each time."})
    kept: int = field(default=1, metadata={"help": "Drawn close-ups that each worker keeps to show again."})
    validated: int = field(default=1000, metadata={"help": "Close-ups of the validation split to judge by."})


class DrawnCloseUps(Drawn):
    """Close-ups, (3, S, S) uint8 with room around what is shown, and their kinds as indices of `KINDS`."""

    def __init__(
        self, seed: int, eye: Path, side: int, sound: float,
        start: int = 0, split: str = "train", replay: int = 1, kept: int = 1,
    ) -> None:  # fmt: skip
        super().__init__(start, replay, kept)
        self.seed, self.eye, self.side, self.sound, self.split = seed, eye, round(side * ROOM), sound, SPLITS[split]
        self._loaded: Eye | None = None

    def draw(self, index: int) -> dict[str, Tensor]:
        """Close-up `index`."""
        rng = np.random.default_rng([self.seed, index, 7])
        sound = rng.random() < self.sound
        case = draw_case(
            (self.seed, index), anomalous=float(not sound), references=0, families=self.split.families, types=self.split.types
        )  # fmt: skip
        defect = case.defects[0] if case.defects else None
        box = self._sound_place(case.test, rng) if defect is None else defect.box
        pixels = torch.from_numpy(close_up(case.test, box, self.side)).permute(2, 0, 1)
        return {"photos": pixels, "labels": torch.tensor(KINDS.index(SOUND if defect is None else defect.defect_type))}

    def _sound_place(self, photo: NDArray[np.uint8], rng: Rng) -> tuple[float, float, float, float]:
        height, width = photo.shape[:2]
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        if rng.random() < FRIGHT:
            if self._loaded is None:
                self._loaded = Eye.load(self.eye)
            seen = self._loaded.patches(Image.fromarray(photo)).defect
            row, column = np.unravel_index(int(seen.argmax()), seen.shape)
            x, y = (column + 0.5) * width / seen.shape[1], (row + 0.5) * height / seen.shape[0]
        half = math.exp(rng.uniform(math.log(20), math.log(110))) / 2
        return x - half, y - half, x + half, y + half


def close_up(photo: NDArray[np.uint8], box: tuple[float, float, float, float], side: int) -> NDArray[np.uint8]:
    """A square around a box, `KEPT` times its longer side, reflected where it leaves the photo.

    Args:
        photo: (H, W, 3).
        box: x0, y0, x1, y1 in pixels.
        side: of the square that comes out, in pixels.

    Returns:
        (side, side, 3).
    """
    height, width = photo.shape[:2]
    size = min(max(round(KEPT * max(box[2] - box[0], box[3] - box[1])), NEAREST), round(1.5 * min(height, width)))
    rows, columns = (
        _reflected(round((low + high - size) / 2) + np.arange(size), length)
        for low, high, length in ((box[1], box[3], height), (box[0], box[2], width))
    )
    cut = Image.fromarray(photo[rows][:, columns])
    return np.array(cut.resize((side, side), resample=2, reducing_gap=3.0), np.uint8)


def _reflected(at: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    at = np.abs(at)
    return np.where(at > length - 1, 2 * (length - 1) - at, at).clip(0, length - 1)


class KindsObjective(nn.Module):
    """The classifier with its changes of close-ups, as a module the Trainer can drive."""

    def __init__(self, classifier: SageVisionForImageClassification) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, photos: Tensor, labels: Tensor) -> ImageClassifierOutput:
        """Args: photos (B, 3, S, S) uint8 with room around what is shown; labels (B,) long."""
        with torch.no_grad():
            x, side = to_pixel_values(photos), self.classifier.config.image_size
            x = _changed(x, side) if self.training else _shown(x, side)
        found: ImageClassifierOutput = self.classifier(x, labels)
        return found


def _shown(x: Tensor, side: int, zoom: float = 0.0, shift: float = 0.0, turn: float = 0.0) -> Tensor:
    """The middle of (B, 3, S, S), each zoomed by up to e^±zoom, moved by a share of its side, turned by radians."""
    b = x.shape[0]
    scale = torch.exp(uniform(x, -zoom, zoom, b)) / ROOM
    angle, dx, dy = (uniform(x, -most, most, b) for most in (turn, shift, shift))
    rows = [(scale * angle.cos(), -scale * angle.sin(), dx), (scale * angle.sin(), scale * angle.cos(), dy)]
    theta = torch.stack([torch.stack(row, 1) for row in rows], 1)
    grid = F.affine_grid(theta, [b, 3, side, side], align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def _changed(x: Tensor, side: int) -> Tensor:
    """Turned and mirrored, as a region of a heat map would frame it, in another light and with noise."""
    b = x.shape[0]
    if torch.rand(()) < 0.5:
        x = x.flip(3)
    x = _shown(torch.rot90(x, int(torch.randint(4, ())), (2, 3)), side, zoom=0.47, shift=0.22, turn=0.35)
    light = uniform(x, 0.75, 1.25, b, 1, 1, 1)
    colour = uniform(x, -0.08, 0.08, b, 3, 1, 1) + uniform(x, -0.2, 0.2, b, 1, 1, 1)
    noise = torch.randn_like(x) * uniform(x, 0.0, 0.05, b, 1, 1, 1)
    return x * light + colour + noise


def accuracy(outputs: Any) -> dict[str, float]:
    """Share of the defects whose kind comes first, and among the first three; how well `sound` tells sound places (AUROC)."""
    from sklearn.metrics import roc_auc_score

    logits, labels = outputs.predictions, outputs.label_ids
    defect = labels != KINDS.index(SOUND)
    order = np.argsort(-logits[defect][:, :-1], 1)
    hit = order == labels[defect][:, None]
    told = {"top1": float(hit[:, 0].mean()), "top3": float(hit[:, :3].any(1).mean())}
    if 0 < defect.sum() < len(defect):
        exponents = np.exp(logits - logits.max(1, keepdims=True))
        told["auroc_sound"] = float(roc_auc_score(~defect, (exponents / exponents.sum(1, keepdims=True))[:, -1]))
    return told


def train_kinds(config: Path, overrides: list[str]) -> Path:
    """Train from a recipe; returns the folder of the saved classifier. Resumes when its output folder holds a checkpoint.

    Raises:
        RecipeError: a recipe that cannot be used, or that names an encoder that is not there.
    """
    arguments, run = parse((KindsArguments, TrainingArguments), config, overrides)
    eye = shipped("sage-eye") if arguments.eye is None else Path(arguments.eye)
    if not (eye / "config.json").is_file():
        raise RecipeError(f"eye {str(eye)!r}: no encoder there; make one with `sage-iad train encoder`")
    torch.manual_seed(run.seed)
    names = dict(enumerate(KINDS))
    sizes = SageVisionConfig.from_pretrained(eye).to_diff_dict()
    settings = {key: sizes[key] for key in ("widths", "depths", "hidden_size") if key in sizes}
    classifier = SageVisionForImageClassification(
        SageVisionConfig(**settings, image_size=arguments.image_size, id2label=names, label2id={n: i for i, n in names.items()})
    )  # fmt: skip
    classifier.vision.load_state_dict(Eye.load(eye).model.state_dict())
    for unused in (classifier.vision.merge, classifier.vision.neck, classifier.vision.defect_head):
        unused.requires_grad_(False)
    done = checkpoints(Path(run.output_dir))
    steps = int(done[-1].name.split("-")[1]) if done else 0
    seen = steps * run.per_device_train_batch_size * run.gradient_accumulation_steps
    run.ignore_data_skip = True  # The stream starts where the last checkpoint stopped, instead of drawing it all again.
    run.remove_unused_columns = False
    drawing = (eye, arguments.image_size, arguments.sound)
    stream = DrawnCloseUps(
        arguments.seed_of_drawing, *drawing, start=seen // arguments.replay, replay=arguments.replay, kept=arguments.kept
    )  # fmt: skip
    fixed = DataLoader(DrawnCloseUps(VALIDATION_SEED, *drawing, split="validation"), batch_size=None)
    trainer = Trainer(
        model=KindsObjective(classifier), args=run, train_dataset=stream,
        eval_dataset=list(islice(fixed, arguments.validated)), compute_metrics=accuracy,
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=str(done[-1]) if done else None)
    out = Path(run.output_dir) / "kinds"
    classifier.save_pretrained(out)
    return out
