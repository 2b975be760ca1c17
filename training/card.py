"""What is written beside a trained model: how it came about, for programs and for people."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from transformers import Trainer
    from trl import ModelConfig


STAGES = {
    "sfe": ("Supervised fine-tuning with self-guided fact enhancement", "rows"),
    "edpo": ("Entropy-aware direct preference optimisation", "questions"),
}
"""Each stage of the method in words, and what its batches are made of."""
PARTS = ("vision_tower", "multi_modal_projector", "fact_fusion", "language_model")


@dataclass(frozen=True)
class Data:
    """What was learnt from."""

    kind: str
    name: str
    digest: str
    """SHA-256 of the AD-PL file, or of what drawn cases were asked for: the same request draws the same cases."""

    @classmethod
    def of(cls, file: Path, kind: str) -> Data:
        """Described by a file."""
        with file.open("rb") as opened:
            return cls(kind, file.name, hashlib.file_digest(opened, "sha256").hexdigest())


def write_card(
    folder: Path,
    stage: str,
    settings: dict[str, Any],
    models: ModelConfig,
    trainer: Trainer,
    data: Data,
    *,
    trained: list[str],
    resumed: bool,
) -> None:
    """`training.json` with the settings that shaped the model, and a model card, `README.md`, with its numbers.

    Args:
        folder: of the model.
        stage: of the method, a key of `STAGES`.
        settings: of the recipe, beside those that every training has.
        models: what it started from.
        trainer: after the training.
        data: what was learnt from.
        trained: as `trained_parts` gave them before adapters were merged.
        resumed: the training went on from a checkpoint.
    """
    best = trainer.state.best_model_checkpoint if trainer.args.load_best_model_at_end else None
    figures = numbers(
        trainer.state.log_history, trainer.state.global_step if best is None else int(best.split("-")[-1])
    )
    speed = {} if resumed else throughput(trainer)  # of a whole run: what came before was not timed here
    start = None if models.model_name_or_path is None else Path(models.model_name_or_path).name
    lora = {"rank": models.lora_r, "alpha": models.lora_alpha} if models.use_peft else None
    run = {
        "processes": trainer.args.world_size,
        "batch": trainer.args.train_batch_size * trainer.args.gradient_accumulation_steps * trainer.args.world_size,
        "learning_rate": trainer.args.learning_rate,
        "schedule": getattr(trainer.args.lr_scheduler_type, "value", trainer.args.lr_scheduler_type),
        "warmup_steps": trainer.args.warmup_steps,
        "weight_decay": trainer.args.weight_decay,
        "max_grad_norm": trainer.args.max_grad_norm,
        "bf16": trainer.args.bf16,
        "seed": trainer.args.seed,
    }
    card = {
        "stage": stage, "steps": trainer.state.global_step, "start": start, "trained": trained, "lora": lora, "data": asdict(data), **run, **settings,
        "figures": figures, "throughput": speed,
    }  # fmt: skip
    (folder / "training.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    rows = "\n".join(f"| {name} | {value:.4g} |" for name, value in figures.items())
    what, unit = STAGES[stage]
    lines = [
        "# Model card",
        f"{what}, {card['steps']} steps of {run['batch']} {unit}, from "
        f"{start or 'random weights around a trained encoder'}{'' if lora is None else f', LoRA of rank {models.lora_r}'}.",
        f"Data: {data.kind}, `{data.name}`, SHA-256 `{data.digest}`.",
        f"Trained: {', '.join(trained)}. Everything else is frozen.",
        f"## Numbers\n\n| figure | last value |\n|---|---|\n{rows}" if rows else "## Numbers\n\nNone were taken.",
        "## Recipe\n\n```yaml\n" + "\n".join(f"{k}: {v}" for k, v in {**run, **settings}.items()) + "\n```",
    ]
    (folder / "README.md").write_text("\n\n".join(lines) + "\n", encoding="utf-8")


def trained_parts(model: Any) -> list[str]:
    """The parts of the model that were trained, of all of it or by adapters."""
    named = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    return [part for part in PARTS if any(part in name for name in named)]


def numbers(log: list[dict[str, float]], step: int) -> dict[str, float]:
    """The last values, up to a step, of the loss and of the figures of the evaluations."""
    wanted = {
        key: float(value)
        for entry in log
        if entry["step"] <= step
        for key, value in entry.items()
        if key == "loss" or (key.startswith("eval_") and not key.endswith(("runtime", "per_second")))
    }
    return dict(sorted(wanted.items()))


def throughput(trainer: Trainer) -> dict[str, float]:
    """Samples a second, and the share of this machine's measured matrix-multiply peak that went into the language model.

    Operations are counted as 6 a token and parameter of its layers; attention, words, adaptor and vision encoder are not in them.
    """
    log = trainer.state.log_history
    ended: dict[str, Any] = next((entry for entry in reversed(log) if "train_runtime" in entry), {})
    tokens = max((float(entry.get("num_tokens", 0)) for entry in log), default=0.0)
    if not ended or not tokens:
        return {}
    model: Any = trainer.model
    layers = [p.numel() for name, p in model.named_parameters() if "language_model" in name and ".layers." in name]
    flops = 6 * sum(layers) * tokens / float(ended["train_runtime"])
    peak = matmul_peak(trainer.args.device, torch.bfloat16 if trainer.args.bf16 else torch.float32)
    return {
        "samples_per_second": float(ended["train_samples_per_second"]),
        "share_of_matmul_peak": flops / (peak * trainer.args.world_size),
    }


def matmul_peak(device: torch.device, dtype: torch.dtype, seconds: float = 0.5) -> float:
    """Floating-point operations a second of the fastest of several products of two square matrices."""
    side = 1024 if device.type == "cpu" else 8192
    a = torch.randn(side, side, device=device, dtype=dtype)
    best, until = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        start = time.perf_counter()
        product = a @ a
        float(product[0, 0])  # waits for the device
        best = max(best, 2 * side**3 / (time.perf_counter() - start))
    return best
