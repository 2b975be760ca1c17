"""What a step of E-DPO costs beside one of TRL's DPO on the same pairs: `python -m evals.bench_edpo [--rounds N]`."""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

QUESTIONS = 4
"""Of a step: two pairs each."""


def step_costs(folder: Path, model: str | Path, *, questions: int = QUESTIONS, rounds: int = 8) -> dict[str, float]:
    """Seconds of a step, medians, and the share of E-DPO's in that of TRL's DPO, live and with the reference asked before.

    A step is everything from the opened photos to the changed weights. The three trainers take turns, each round with the same
    questions, of which each has two pairs.

    Args:
        folder: for the drawn data; anything of the like in it is overwritten.
        model: folder of the model to train.
        questions: of a step.
        rounds: repetitions behind the medians; one more is not counted.
    """
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer, ModelConfig

    from training.edpo import EDPOConfig, EDPOTrainer
    from training.edpo.method import select_pairs
    from training.edpo.questions import ranked_questions
    from training.make import Order, make
    from training.sfe.start import start

    for _ in make(Order(pairs=max(5, -(-questions * (rounds + 1) // 5) * 2), seed=7), folder, processes=1):
        pass
    rows = ranked_questions(folder / "train.jsonl", None).rows
    rows = rows.select(range(min(len(rows), questions * (rounds + 1))))
    policy, processor = start(ModelConfig(dtype="float32"), str(model))
    options: dict[str, Any] = {
        "report_to": "none", "bf16": False, "max_length": None, "gradient_checkpointing": False, "learning_rate": 1e-6, "disable_tqdm": True,
    }  # fmt: skip

    def ours(out: str, **more: Any) -> EDPOTrainer:
        reference = None if more else copy.deepcopy(policy).requires_grad_(False)
        config = EDPOConfig(str(folder / out), reference_dir=str(folder / "reference"), **options, **more)
        return EDPOTrainer(copy.deepcopy(policy), reference, config, rows, processing_class=processor)

    placeholder = Dataset.from_list([{"images": [0], "prompt": "x", "chosen": "x", "rejected": "x"}])
    trl = DPOTrainer(
        copy.deepcopy(policy), copy.deepcopy(policy).requires_grad_(False), DPOConfig(str(folder / "trl"), **options),
        train_dataset=placeholder, processing_class=processor,
    )  # fmt: skip
    trainers: dict[str, Any] = {
        "trl": trl,
        "edpo": ours("live"),
        "edpo_cached": ours("kept", precompute_ref_log_probs=True),
    }
    for trainer in trainers.values():
        trainer.create_optimizer()
        trainer.current_gradient_accumulation_steps = 1
    seconds: dict[str, list[float]] = {name: [] for name in trainers}
    for at in range(0, len(rows) - questions + 1, questions):
        for name, trainer in trainers.items():
            asked = [trainer.train_dataset[at + i] if name == "edpo_cached" else rows[at + i] for i in range(questions)]
            examples = [pair for row in asked for pair in _pairs(row, select_pairs)] if name == "trl" else asked
            begun = time.perf_counter()
            batch = trainer.data_collator(examples)
            counts = None if name == "trl" else trainer._get_num_items_in_batch([batch], trainer.args.device)
            float(trainer.training_step(trainer.model, batch, counts))
            trainer.optimizer.step()
            trainer.optimizer.zero_grad()
            seconds[name].append(time.perf_counter() - begun)
    medians = {f"{name}_step_seconds": statistics.median(taken[1:]) for name, taken in seconds.items()}
    # Of each round, since its answers are as long for all three.
    shares = {
        f"{name}_share_of_trl": statistics.median(
            a / b for a, b in zip(seconds[name][1:], seconds["trl"][1:], strict=True)
        )
        for name in ("edpo", "edpo_cached")
    }
    return medians | shares


def _pairs(row: dict[str, Any], select_pairs: Any) -> list[dict[str, Any]]:
    def said(answer: int) -> list[dict[str, Any]]:
        return [{"role": "assistant", "content": [{"type": "text", "text": row["answers"][answer]}]}]

    return [
        {"prompt": row["prompt"], "images": row["photos"], "chosen": said(w), "rejected": said(r)}
        for w, r in select_pairs(row["scores"])
    ]


def main() -> None:
    """Parse, measure, print."""
    from agent.vlm.nano import shipped

    parser = argparse.ArgumentParser(prog="python -m evals.bench_edpo", description=__doc__)
    parser.add_argument(
        "--model", default=str(shipped("sage-nano")), help="Folder of the model; default: the shipped one."
    )
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="Questions of a step.")
    parser.add_argument("--rounds", type=int, default=8, help="Steps behind each median.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = step_costs(Path(folder), given.model, questions=given.questions, rounds=given.rounds)
    for name, value in found.items():
        print(f"{name:28} {value:.3f}")


if __name__ == "__main__":
    main()
