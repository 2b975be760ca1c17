"""`sage-iad train sfe`: supervised fine-tuning of the core model, from drawn cases or from ranked answers.

Source: Zang et al., ACM Multimedia 2025, section 3: vision and text encoder frozen; adaptor, fusion attention and language
model trained, the last in full or by LoRA.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import datasets
from transformers import set_seed
from trl import ModelConfig, SFTConfig, SFTTrainer

from agent.vlm.nano import shipped
from training.card import Data, trained_parts, write_card
from training.cases import CARD, TakeLooks, kept_cases, seen_with
from training.recipe import RecipeError, parse
from training.sfe.adpl_rows import adpl_rows
from training.sfe.arguments import OF_A_NEW_MODEL, SfeArguments
from training.sfe.rows import Telling, endless
from training.sfe.start import check_start, make_new, start
from training.text import TASKS
from training.tuning import EXAM_SEED, Exam, Examined, adapters, checkpoints, keep_whole, same_run, save_whole


class SfeTrainer(Examined, SFTTrainer):
    """TRL's trainer, with an exam at each evaluation."""


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
    if unknown := {*arguments.tasks, *arguments.tasks_without_images} - set(TASKS):
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
        same_run(out, {**asdict(arguments), **asdict(models), "data": data.digest}, write=run.should_save)
        name = models.model_name_or_path or str(out / "base")
        if models.model_name_or_path is None:
            if cases is None:
                raise RecipeError(
                    "model_name_or_path: none, with ranked answers as data; a new model needs drawn cases"
                )
            make_new(arguments, cases, eye, run.seed, out / "base")
    set_seed(run.seed)
    model, processor = start(
        models, name, fusion=arguments.fusion, patches=arguments.distinct_patches, tiles=arguments.tiles,
        remembered=arguments.remembered,
    )  # fmt: skip
    if arguments.fusion and not arguments.fusion_trained:
        model.model.fact_fusion.requires_grad_(False)
    peft, done = adapters(models, model), checkpoints(out)
    telling = Telling(
        arguments.images, tuple(arguments.tasks), arguments.tellings, arguments.facts, arguments.references,
        tuple(arguments.tasks_without_images),
    )  # fmt: skip
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
        keep_whole(trainer.model)
    if examined is not None and exam_on is not None:
        trainer.exam = exam_on(examined)
    trainer.train(resume_from_checkpoint=str(done[-1]) if done else None)
    folder, trained = out / "model", trained_parts(trainer.model)
    save_whole(trainer, folder, adapted=peft is not None)
    if trainer.is_world_process_zero():
        settings = asdict(arguments)
        if models.model_name_or_path is not None:  # Its sizes are its own, whatever the defaults say.
            for setting in OF_A_NEW_MODEL:
                del settings[setting]
        write_card(folder, "sfe", settings, models, trainer, data, trained=trained, resumed=bool(done))
    return folder


def _data(
    arguments: SfeArguments, eye: Path, looks_with: Callable[[Path], TakeLooks], exam: bool
) -> tuple[Data, datasets.Dataset | None, datasets.Dataset | None]:
    """What is learnt from: its description, the cases where it is drawn ones, and those of the exam where there is one."""
    looks, revision = looks_with(eye), seen_with(eye)
    examined = None
    if exam and arguments.exam_cases:
        examined = kept_cases(
            Path(arguments.exam_dir), arguments.exam_cases, EXAM_SEED, looks, arguments.drawing_processes, revision,
            "validation",
        )  # fmt: skip
    if arguments.adpl is not None:
        file = Path(arguments.adpl)
        if not file.is_file():
            raise RecipeError(f"adpl {str(file)!r}: no file there; make one with `sage-iad data make`")
        return Data.of(file, "ranked answers"), None, examined
    folder = Path(arguments.cases_dir)
    cases = kept_cases(folder, arguments.cases, arguments.seed_of_drawing, looks, arguments.drawing_processes, revision)
    return Data.of(folder / CARD, "drawn cases"), cases, examined
