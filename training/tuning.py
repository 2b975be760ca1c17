"""What both stages of training the core model share: adapters, checkpoints, the exam between them, and saving."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.nn import Module
from transformers.trainer import TRAINING_ARGS_NAME
from trl import ModelConfig, get_peft_config

from training.recipe import RecipeError

Exam = Callable[[Any, Any], dict[str, float]]
"""Asks a model, by its processor, and gives figures by name, `mle` among them."""
EXAM_SEED = 8_100_000
LORA_TARGETS = r".*language_model.*\.(q|k|v|o|gate|up|down)_proj"
"""Every linear layer of the language model, and none of the fusion's or the adaptor's, which are trained in full."""
TRAINED_IN_FULL = ["fact_fusion", "multi_modal_projector"]


class Examined:
    """For trainers of transformers: their evaluation also lets the model sit an exam, so that MLE can choose the checkpoint."""

    exam: Exam | None = None

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """As of the trainer, with the exam's figures."""
        trainer: Any = self
        metrics: dict[str, float] = super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)  # type: ignore[misc]
        if self.exam is not None:
            model = trainer.accelerator.unwrap_model(trainer.model)
            training = model.training
            with trainer.accelerator.autocast():
                figures = self.exam(model.eval(), trainer.processing_class)
            told = {f"{metric_key_prefix}_{name}": value for name, value in figures.items()}
            model.train(training)
            trainer.log(told)
            metrics |= told
        return metrics


def adapters(models: ModelConfig, model: Any) -> Any:
    """PEFT's configuration of the adapters that a recipe asks for; None: the model is trained in full."""
    peft: Any = get_peft_config(models)
    if peft is not None:
        peft.target_modules = peft.target_modules or LORA_TARGETS
        parts = [
            part
            for part in TRAINED_IN_FULL
            if any(p.requires_grad for p in getattr(model.model, part, Module()).parameters())
        ]
        peft.modules_to_save = peft.modules_to_save or parts
    return peft


def keep_whole(model: Any) -> None:
    """Beside half-precision weights the trained ones stay in full precision, or small steps would be rounded away."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def checkpoints(out: Path) -> list[Path]:
    """The checkpoints of a run, the last one last."""
    return sorted(out.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))


def same_run(out: Path, asked: dict[str, Any], *, write: bool) -> None:
    """A folder of checkpoints is gone on with only for the very same run: it would be taken for trained on this data.

    Args:
        out: the run's folder.
        asked: everything that shapes what is learnt.
        write: note it down, for the next time.

    Raises:
        RecipeError: the folder holds a run that was asked for otherwise.
    """
    note, asked = out / "asked.json", json.loads(json.dumps(asked, default=str))
    if note.is_file() or any(out.glob("checkpoint-*")):
        before = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
        if differs := [key for key in asked if before.get(key) != asked[key]]:
            raise RecipeError(
                f"output_dir {str(out)!r}: holds a run with other {', '.join(differs)}; name another folder, or delete this one"
            )
    if write:
        out.mkdir(parents=True, exist_ok=True)
        part = note.with_suffix(".part")
        part.write_text(json.dumps(asked, indent=2) + "\n", encoding="utf-8")
        part.replace(note)


def save_whole(trainer: Any, folder: Path, *, adapted: bool) -> None:
    """The trained model with its processor in `folder`; adapters are merged, so that it is a model like any other."""
    if not adapted:
        trainer.save_model(str(folder))
        (folder / TRAINING_ARGS_NAME).unlink(missing_ok=True)  # a pickle, of use to nobody
    elif trainer.is_world_process_zero():
        trainer.accelerator.unwrap_model(trainer.model).merge_and_unload().save_pretrained(folder)
    if trainer.is_world_process_zero():
        trainer.processing_class.save_pretrained(folder)
