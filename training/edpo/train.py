"""`sage-iad train edpo`: the core model aligned with ranked answers.

Source: Zang et al., ACM Multimedia 2025, section 3.4: vision and text encoder frozen; adaptor, fusion attention and language
model trained, the last in full or by LoRA; the reference policy is the model of the first stage, frozen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import datasets
from transformers import set_seed
from trl import ModelConfig

from agent.vlm.eye import weights_revision
from agent.vlm.nano import shipped
from training.card import Data, trained_parts, write_card
from training.cases import TakeLooks, kept_cases
from training.edpo.arguments import EdpoArguments
from training.edpo.questions import ranked_questions
from training.edpo.trainer import EDPOConfig, EDPOTrainer
from training.recipe import RecipeError, parse
from training.sfe.start import check_start, start
from training.tuning import EXAM_SEED, Exam, Examined, adapters, checkpoints, keep_whole, same_run, save_whole

logger = logging.getLogger(__name__)
OF_THE_METHOD = ("beta", "eta", "tau", "gap", "pairs", "loss_type", "loss_weights", "precompute_ref_log_probs")


class ExaminedEdpo(Examined, EDPOTrainer):
    """The trainer of E-DPO, with an exam at each evaluation."""


def train_edpo(
    config: Path,
    overrides: list[str],
    looks_with: Callable[[Path], TakeLooks] | None = None,
    exam_on: Callable[[datasets.Dataset], Exam] | None = None,
) -> Path:
    """Train from a recipe; returns the folder of the saved model. Resumes when its output folder holds a checkpoint.

    Questions that cannot be learnt from are listed in `left-out.txt` beside the checkpoints.

    Args:
        config: the recipe.
        overrides: `key=value`, in place of the recipe's.
        looks_with: makes, of the folder of an encoder, what runs the agent's tools with it; for recipes with `exam_cases`.
        exam_on: makes an exam of drawn cases, for recipes with `exam_cases`.

    Raises:
        RecipeError: a recipe that cannot be used, ranked answers that hold a fault, or a model that is not there.
    """
    arguments, models, run = parse((EdpoArguments, ModelConfig, EDPOConfig), config, overrides)
    if arguments.adpl is None:
        raise RecipeError("adpl: not set; name a file of ranked answers, such as `sage-iad data make` writes")
    if models.model_name_or_path is None:
        raise RecipeError("model_name_or_path: not set; name the model of `sage-iad train sfe`, or an InternVL")
    if run.eval_strategy != "no" and arguments.adpl_eval is None:
        raise RecipeError(
            f"eval_strategy {run.eval_strategy.value!r}: needs adpl_eval, a file of ranked answers to evaluate on"
        )
    check_start(models)
    out, name = Path(run.output_dir), models.model_name_or_path
    images = None if arguments.images_dir is None else Path(arguments.images_dir)
    file = Path(arguments.adpl)
    held_against = set(run.loss_type) != {"sft"}
    if not held_against:
        run.precompute_ref_log_probs = True  # of nothing: no second model is loaded
    set_seed(run.seed)
    model, processor = start(models, name, tiles=arguments.tiles, remembered=arguments.remembered)
    shown: dict[str, Any] = {
        "facts": arguments.facts, "references": arguments.references, "tokenizer": processor.tokenizer,
        "context": getattr(model.config.get_text_config(), "max_position_embeddings", None),
    }  # fmt: skip
    rows, left = ranked_questions(file, images, **shown)
    data = Data.of(file, "ranked answers")
    method = {key: getattr(run, key) for key in OF_THE_METHOD}
    weights = weights_revision(Path(name)) if Path(name).is_dir() else name
    asked = {**asdict(arguments), **asdict(models), **method, "data": data.digest, "weights to start from": weights}
    same_run(out, asked, write=run.should_save)
    if left.places and run.should_save:
        logger.warning(
            "adpl %r: %d of %d questions are left out, %s; see left-out.txt",
            str(file),
            len(left.places),
            len(left.places) + len(rows),
            left,
        )
        lines = "".join(f"{place}: {why}\n" for place, why in left.places)
        (out / "left-out.txt").write_text(lines, encoding="utf-8")
    held_out = None
    if arguments.adpl_eval is not None:
        held_out, _ = ranked_questions(Path(arguments.adpl_eval), None, **shown)
    peft, done = adapters(models, model), checkpoints(out)
    reference = None
    if held_against and peft is None and not (run.precompute_ref_log_probs and not run.fsdp):
        # By adapters, or with what it thinks kept on disk, the reference policy needs no second model.
        reference, _ = start(models, name, tiles=arguments.tiles, remembered=arguments.remembered)
        reference.requires_grad_(False)
    trainer = ExaminedEdpo(
        model=model, ref_model=reference, args=run, train_dataset=rows, eval_dataset=held_out, processing_class=processor,
        peft_config=peft,
    )  # fmt: skip
    if peft is not None:
        keep_whole(trainer.model)
    if exam_on is not None and looks_with is not None and arguments.exam_cases:
        eye = shipped("sage-eye") if arguments.eye is None else Path(arguments.eye)
        looks, revision = looks_with(eye), weights_revision(eye)
        folder = Path(arguments.exam_dir)
        with run.main_process_first(desc="drawing the cases of the exam"):
            cases = kept_cases(
                folder, arguments.exam_cases, EXAM_SEED, looks, arguments.drawing_processes, revision, "validation"
            )
        trainer.exam = exam_on(cases)
    trainer.train(resume_from_checkpoint=str(done[-1]) if done else None)
    folder, trained = out / "model", trained_parts(trainer.model)
    save_whole(trainer, folder, adapted=peft is not None)
    if trainer.is_world_process_zero():
        settings = {**asdict(arguments), **method, "questions": len(rows), "left_out": len(left.places)}
        write_card(folder, "edpo", settings, models, trainer, data, trained=trained, resumed=bool(done))
    return folder
