"""What each part of self-guided fact enhancement is worth: trained without it, on equal data and steps."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.vlm.eye import weights_revision
from agent.vlm.nano import shipped
from evals.arms import folder_of, write_comparison
from evals.drawn import DrawnLooks
from evals.exam import Exam
from evals.figures.metrics import Metric
from training.card import Data
from training.cases import kept_cases, seen_with
from training.recipe import RecipeError, read
from training.sfe.train import train_sfe

if TYPE_CHECKING:
    from datasets import Dataset

ARMS: dict[str, dict[str, Any]] = {
    "no SFE": {"facts": False, "fusion": False},
    "facts as text": {"fusion": False},
    "comparison, no facts": {"facts": False},
    "no reference": {"references": False},
    "no top-k": {"distinct_patches": 1_000_000},
    "full SFE": {},
}
"""What each run does without; `comparison, no facts` compares with the question alone."""
SHOWN = {
    "accuracy_compared": "verdict accuracy",
    "image_auroc_compared": "image AUROC",
    "image_auroc_alone": "image AUROC, no facts asked",
    "type_accuracy_compared": "kind right",
    "mle_compared": "MLE",
}
"""Figures of the model without tools: photos, reference and facts are all it has, as in the paper."""
SEED = 8_200_000


def ablate_sfe(config: Path, overrides: list[str], out: Path, count: int) -> Path:
    """Train every arm and examine it on one-shot cases of families that no training has seen.

    Args:
        config: recipe of each arm.
        overrides: `key=value`, in place of the recipe's.
        out: folder of the runs; an arm whose figures are there is not trained again.
        count: cases to draw, of which those with a reference are asked.

    Raises:
        RecipeError: as `train_sfe`, and where `out` holds arms of another recipe.

    Returns:
        The table, a Markdown file; the plot lies beside it.
    """
    eye = Path(read(config, overrides).get("eye") or shipped("sage-eye"))
    drawn = kept_cases(out / "cases", count, SEED, DrawnLooks(eye), 2, seen_with(eye), "unseen_families")
    one_shot = drawn.filter(lambda references: len(references) > 0, input_columns="references")
    found = {name: _arm(name, config, overrides, out, one_shot) for name in ARMS}
    steps = json.loads((out / folder_of(next(iter(ARMS))) / "model" / "training.json").read_text(encoding="utf-8"))[
        "steps"
    ]
    head = f"{steps} training steps each; {len(one_shot)} one-shot cases of families held out of training; 95 % intervals over the cases."
    return write_comparison(found, SHOWN, head, out)


def _arm(name: str, config: Path, overrides: list[str], out: Path, cases: Dataset) -> dict[str, Metric]:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder, without = out / folder_of(name), ARMS[name]
    kept = folder / "figures.json"
    recipe = read(config, overrides)
    start, data = (Path(str(recipe.get(key))) for key in ("model_name_or_path", "adpl"))
    asked = {
        "recipe": recipe, "cases": len(cases), "weights": weights_revision(start) if start.is_dir() else None,
        "data": Data.of(data, "").digest if data.is_file() else None,
    }  # fmt: skip
    if kept.is_file():
        before = json.loads(kept.read_text(encoding="utf-8"))
        if before["asked"] != json.loads(json.dumps(asked)):
            raise RecipeError(f"--out {str(out)!r}: holds arms of another recipe or other cases; name another folder")
        return {
            k: Metric(v["value"], v["ci95"] and tuple(v["ci95"]), v["reason"]) for k, v in before["figures"].items()
        }
    # Every arm ends at the same step; nothing is chosen among its checkpoints.
    own = ['eval_strategy="no"', "load_best_model_at_end=false", "exam_cases=0"]
    own += [f"{key}={json.dumps(value)}" for key, value in without.items()]
    trained = train_sfe(config, [*overrides, *own, f"output_dir={folder}"], DrawnLooks)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model: Any = AutoModelForImageTextToText.from_pretrained(trained, dtype=torch.float32)
    exam = Exam(cases, facts=without.get("facts", True), references=without.get("references", True))
    metrics = exam.metrics(exam.sit(model.to(device).eval(), AutoProcessor.from_pretrained(trained)))
    figures = {k: asdict(m) for k, m in metrics.items()}
    kept.write_text(json.dumps({"asked": asked, "figures": figures}, indent=2) + "\n", encoding="utf-8")
    return metrics
