"""`sage-iad train sfe`: supervised fine-tuning of the core model, from drawn cases or from ranked answers.

Source: Zang et al., ACM Multimedia 2025, section 3: vision and text encoder frozen; adaptor, fusion attention and language
model trained, the last in full or by LoRA.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import datasets
from transformers import set_seed
from transformers.trainer import TRAINING_ARGS_NAME
from trl import ModelConfig, SFTConfig, SFTTrainer, get_peft_config

from agent.vlm.eye import weights_revision
from agent.vlm.nano import shipped
from training.cases import CARD, TakeLooks, kept_cases
from training.recipe import RecipeError, parse
from training.sfe.adpl_rows import adpl_rows
from training.sfe.arguments import SfeArguments
from training.sfe.card import Data, trained_parts, write_card
from training.sfe.rows import Telling, endless
from training.sfe.start import check_start, make_new, start
from training.text import TASKS

Exam = Callable[[Any, Any], dict[str, float]]
"""Asks a model, by its processor, and gives figures by name, `mle` among them."""
EXAM_SEED = 8_100_000
LORA_TARGETS = r".*language_model.*\.(q|k|v|o|gate|up|down)_proj"
"""Every linear layer of the language model, and none of the fusion's or the adaptor's, which are trained in full."""
TRAINED_IN_FULL = ["fact_fusion", "multi_modal_projector"]


class SfeTrainer(SFTTrainer):
    """TRL's trainer, whose evaluation also lets the model sit an exam, so that the best checkpoint can be chosen by MLE."""

    exam: Exam | None = None

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """As of the base class, with the exam's figures."""
        metrics: dict[str, float] = super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        if self.exam is not None:
            model = self.accelerator.unwrap_model(self.model)
            training = model.training
            with self.accelerator.autocast():
                figures = self.exam(model.eval(), self.processing_class)
            told = {f"{metric_key_prefix}_{name}": value for name, value in figures.items()}
            model.train(training)
            self.log(told)
            metrics |= told
        return metrics


def train_sfe(
    config: Path,
    overrides: list[str],
    looks_with: Callable[[Path], TakeLooks],
    exam_on: Callable[[datasets.Dataset], Exam] | None = None,
) -> Path:
    """Train from a recipe; returns the folder of the saved model. Resumes when its output folder holds a checkpoint.

    Args:
        config: the recipe.
        overrides: `key=value`, in place of the recipe's.
        looks_with: makes, of the folder of an encoder, what runs the agent's tools with it.
        exam_on: makes an exam of drawn cases, for recipes with `exam_cases`.

    Raises:
        RecipeError: a recipe that cannot be used, or that names a model or an encoder that is not there.
    """
    arguments, models, run = parse((SfeArguments, ModelConfig, SFTConfig), config, overrides)
    if unknown := set(arguments.tasks) - set(TASKS):
        raise RecipeError(f"tasks {sorted(unknown)!r}: no such tasks; there are {list(TASKS)}")
    eye = shipped("sage-eye") if arguments.eye is None else Path(arguments.eye)
    if not (eye / "config.json").is_file():
        raise RecipeError(f"eye {str(eye)!r}: no encoder there; make one with `sage-iad train encoder`")
    check_start(models)
    if arguments.adpl is None and run.max_steps <= 0:
        raise RecipeError(f"max_steps {run.max_steps}: expected 1 or more; drawn cases are told anew without an end")
    out = Path(run.output_dir)
    run.remove_unused_columns = False
    run.max_length = None  # Cutting a prompt would cut image tokens.
    with run.main_process_first(desc="drawing the cases"):
        data, cases, examined = _data(arguments, eye, looks_with, exam_on is not None)
        _same_run(out, {**asdict(arguments), **asdict(models), "data": data.digest}, write=run.should_save)
        name = models.model_name_or_path or str(out / "base")
        if models.model_name_or_path is None:
            if cases is None:
                raise RecipeError(
                    "model_name_or_path: none, with ranked answers as data; a new model needs drawn cases"
                )
            make_new(arguments, cases, eye, run.seed, out / "base")
    set_seed(run.seed)
    model, processor = start(arguments, models, name)
    peft: Any = get_peft_config(models)
    if peft is not None:
        peft.target_modules = peft.target_modules or LORA_TARGETS
        peft.modules_to_save = peft.modules_to_save or TRAINED_IN_FULL
    done = sorted(out.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
    telling = Telling(
        arguments.images, tuple(arguments.tasks), arguments.tellings, arguments.facts, arguments.references
    )
    if cases is None:
        images = None if arguments.images_dir is None else Path(arguments.images_dir)
        rows: Any = adpl_rows(
            Path(arguments.adpl or ""), images, facts=arguments.facts, references=arguments.references
        )
    else:
        # The stream starts where the last checkpoint stopped, instead of telling it all again.
        run.ignore_data_skip = True
        batch = run.per_device_train_batch_size * run.world_size  # the processes share out each batch
        steps = int(done[-1].name.split("-")[1]) if done else 0
        told = steps * batch * run.gradient_accumulation_steps
        rows = endless(arguments.cases_dir, run.seed, telling, batch, told, run.dataloader_num_workers)
    held_out = None
    if examined is not None:
        once = endless(arguments.exam_dir, run.seed, replace(telling, times=1), 1, 0, 0)
        held_out = once.take(round(len(examined) * replace(telling, times=1).rows))
    trainer = SfeTrainer(
        model=model, args=run, train_dataset=rows, eval_dataset=held_out, processing_class=processor, peft_config=peft
    )
    if peft is not None:
        # Beside half-precision weights the trained ones stay whole, or small steps would be rounded away.
        adapted: Any = trainer.model
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
    if examined is not None and exam_on is not None:
        trainer.exam = exam_on(examined)
    trainer.train(resume_from_checkpoint=str(done[-1]) if done else None)
    folder, trained = out / "model", trained_parts(trainer.model)
    if peft is None:
        trainer.save_model(str(folder))
        (folder / TRAINING_ARGS_NAME).unlink(missing_ok=True)  # a pickle, of use to nobody
    elif trainer.is_world_process_zero():
        # Adapters are merged: what comes out is a whole model, like any other.
        trainer.accelerator.unwrap_model(trainer.model).merge_and_unload().save_pretrained(folder)
    if trainer.is_world_process_zero():
        processor.save_pretrained(folder)
        write_card(folder, arguments, models, trainer, data, trained=trained, resumed=bool(done))
    return folder


def _data(
    arguments: SfeArguments, eye: Path, looks_with: Callable[[Path], TakeLooks], exam: bool
) -> tuple[Data, datasets.Dataset | None, datasets.Dataset | None]:
    """What is learnt from: its description, the cases where it is drawn ones, and those of the exam where there is one."""
    looks, revision = looks_with(eye), weights_revision(eye)
    examined = None
    if exam and arguments.exam_cases:
        examined = kept_cases(
            Path(arguments.exam_dir), arguments.exam_cases, EXAM_SEED, looks, arguments.drawing_processes, revision,
            "validation",
        )  # fmt: skip
    if arguments.adpl is not None:
        file = Path(arguments.adpl)
        if not file.is_file():
            raise RecipeError(f"adpl {str(file)!r}: no file there; make one with `sage-iad data make adpl`")
        return Data.of(file, "ranked answers"), None, examined
    folder = Path(arguments.cases_dir)
    cases = kept_cases(folder, arguments.cases, arguments.seed_of_drawing, looks, arguments.drawing_processes, revision)
    return Data.of(folder / CARD, "drawn cases"), cases, examined


def _same_run(out: Path, asked: dict[str, Any], *, write: bool) -> None:
    """A folder of checkpoints is gone on with only for the very same run: it would be taken for trained on this data.

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
        note.write_text(json.dumps(asked, indent=2) + "\n", encoding="utf-8")
