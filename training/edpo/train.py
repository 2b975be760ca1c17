"""`sage-iad train edpo`: the core model aligned with ranked answers.

Source: Zang et al., ACM Multimedia 2025, section 3.4: vision and text encoder frozen; adaptor, fusion attention and language
model trained, the last in full or by LoRA; the reference policy is the model of the first stage, frozen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import datasets
from transformers import IntervalStrategy, set_seed
from trl import ModelConfig

from agent.vlm.eye import weights_revision
from agent.vlm.nano import shipped
from training.card import Data, trained_parts, write_card
from training.cases import TakeLooks, kept_cases, seen_with
from training.edpo.arguments import EdpoArguments
from training.edpo.questions import Read, ranked_questions, why_left_out
from training.edpo.trainer import EDPOConfig, EDPOTrainer, is_sharded
from training.recipe import RecipeError, parse
from training.sfe.start import check_start, start
from training.tuning import EXAM_SEED, Exam, Examined, adapters, checkpoints, keep_whole, same_run, save_whole

OF_THE_STEPS = (
    "learning_rate", "lr_scheduler_type", "warmup_steps", "weight_decay", "max_grad_norm", "optim", "bf16", "fp16", "seed"
)  # fmt: skip
NOT_LEARNT = ("remembered", "drawing_processes", "exam_cases", "exam_dir", "adpl_eval")
"""Settings that shape how long a training takes, or what is measured of it, and not what is learnt."""
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

    Questions that cannot be learnt from are listed in `left-out.txt` beside the checkpoints. A run that has taken all its steps is
    left as it is.

    Args:
        config: the recipe.
        overrides: `key=value`, in place of the recipe's.
        looks_with: makes, of the folder of an encoder, what runs the agent's tools with it; for recipes with `exam_cases`.
        exam_on: makes an exam of drawn cases, for recipes with `exam_cases`.

    Raises:
        RecipeError: a recipe that cannot be used, ranked answers that hold a fault, or a model that is not there.
    """
    arguments, models, run = parse((EdpoArguments, ModelConfig, EDPOConfig), config, overrides)
    check(arguments, models, run)
    out, name, file = Path(run.output_dir), str(models.model_name_or_path), Path(str(arguments.adpl))
    images = None if arguments.images_dir is None else Path(arguments.images_dir)
    set_seed(run.seed)
    model, processor = start(models, name, tiles=arguments.tiles, remembered=arguments.remembered)
    shown: dict[str, Any] = {
        "facts": arguments.facts, "references": arguments.references, "processor": processor,
        "context": getattr(model.config.get_text_config(), "max_position_embeddings", None),
    }  # fmt: skip
    read = ranked_questions(file, images, **shown)
    data = Data.of(file, "ranked answers")
    described = {key: value for key, value in asdict(arguments).items() if key not in NOT_LEARNT}
    method = {key: getattr(run, key) for key in OF_THE_METHOD}
    schedule = {key: getattr(run, key) for key in OF_THE_STEPS}
    schedule["batch"] = run.per_device_train_batch_size * run.gradient_accumulation_steps * run.world_size
    weights = weights_revision(Path(name)) if Path(name).is_dir() else name
    asked = {**described, **asdict(models), **method, **schedule, "data": data.digest, "weights to start from": weights}
    with run.main_process_first(desc="looking for an earlier run"):
        same_run(out, asked, write=run.should_save)
    folder, done = out / "model", checkpoints(out)
    if done and (folder / "training.json").is_file() and 0 < run.max_steps <= int(done[-1].name.split("-")[1]):
        return folder  # a trainer that goes on from its end takes one more step
    held_out = None
    left_out = [("adpl", *left) for left in read.left_out]
    if arguments.adpl_eval is not None:
        more = ranked_questions(Path(arguments.adpl_eval), images, argument="adpl_eval", **shown)
        held_out, left_out = more.rows, left_out + [("adpl_eval", *left) for left in more.left_out]
    if run.should_save:
        _tell(out, file, read, left_out)
    peft = adapters(models, model)
    try:
        trainer = ExaminedEdpo(
            model=model,
            args=run,
            train_dataset=read.rows,
            eval_dataset=held_out,
            processing_class=processor,
            peft_config=peft,
        )
    except ValueError as error:
        raise RecipeError(f"--config {str(config)!r}: {error}") from error
    if peft is not None:
        keep_whole(trainer.model)
    if exam_on is not None and looks_with is not None and arguments.exam_cases:
        eye = shipped("sage-eye") if arguments.eye is None else Path(arguments.eye)
        looks, revision = looks_with(eye), seen_with(eye)
        with run.main_process_first(desc="drawing the cases of the exam"):
            cases = kept_cases(
                Path(arguments.exam_dir), arguments.exam_cases, EXAM_SEED, looks, arguments.drawing_processes, revision,
                "validation",
            )  # fmt: skip
        trainer.exam = exam_on(cases)
    trainer.train(resume_from_checkpoint=str(done[-1]) if done else None)
    trained = trained_parts(trainer.model)
    save_whole(trainer, folder, adapted=peft is not None)
    if trainer.is_world_process_zero():
        settings = {**asdict(arguments), **method, "questions": len(read.rows), "left_out": len(read.left_out)}
        write_card(folder, "edpo", settings, models, trainer, data, trained=trained, resumed=bool(done))
    return folder


def check(arguments: EdpoArguments, models: ModelConfig, run: EDPOConfig) -> None:
    """Refuse a recipe that cannot work, before anything is read or drawn.

    Raises:
        RecipeError: names the setting and what to do.
    """
    if arguments.adpl is None:
        raise RecipeError("adpl: not set; name a file of ranked answers, such as `sage-iad data make` writes")
    if models.model_name_or_path is None:
        raise RecipeError("model_name_or_path: not set; name the model of `sage-iad train sfe`, or an InternVL")
    evaluated = run.eval_strategy != "no"
    if evaluated and arguments.adpl_eval is None:
        raise RecipeError(
            f"eval_strategy {IntervalStrategy(run.eval_strategy).value!r}: needs adpl_eval, a file of ranked answers to evaluate on"
        )
    if arguments.exam_cases and not evaluated:
        raise RecipeError(
            f"exam_cases {arguments.exam_cases!r}: an exam is sat at evaluations; set eval_strategy, or 0"
        )
    if arguments.exam_cases and (is_sharded(run) or run.deepspeed_plugin is not None):
        raise RecipeError(
            f"exam_cases {arguments.exam_cases!r}: a sharded model cannot sit an exam while it trains; set 0, and "
            "`sage-iad eval adpl --model` afterwards"
        )
    if str(run.metric_for_best_model).endswith("eval_mle") and not arguments.exam_cases:
        raise RecipeError("metric_for_best_model 'eval_mle': is of the exam; set exam_cases")
    if arguments.eye is not None and not (Path(arguments.eye) / "config.json").is_file():
        raise RecipeError(f"eye {arguments.eye!r}: no encoder there; make one with `sage-iad train encoder`")
    check_start(models)


def _tell(out: Path, file: Path, read: Read, left_out: list[tuple[str, str, str]]) -> None:
    """Say on stderr, and list, what cannot be learnt from; say where scores contradict the ranking."""
    if read.left_out:
        count, whole = len(read.left_out), len(read.left_out) + len(read.rows)
        why = why_left_out(read.left_out)
        _say(f"adpl {str(file)!r}: {count} of {whole} questions are left out: {why}; see {out / 'left-out.txt'}")
    if left_out:
        lines = "".join(f"{argument}: {place}: {why}\n" for argument, place, why in left_out)
        (out / "left-out.txt").write_text(lines, encoding="utf-8")
    if read.contradicted:
        _say(
            f"adpl {str(file)!r}: in {read.contradicted} of {len(read.rows)} questions a score contradicts the ranking; the ranking "
            "says who wins, the scores how far apart"
        )


def _say(line: str) -> None:
    print(f"sage-iad: {line}", file=sys.stderr)
