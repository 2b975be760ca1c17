"""What each part of self-guided fact enhancement is worth: trained without it, on equal data and steps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.vlm.eye import weights_revision
from agent.vlm.nano import shipped
from evals.drawn import DrawnLooks
from evals.exam import Exam
from evals.figures.metrics import Metric
from training.cases import kept_cases
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
    drawn = kept_cases(out / "cases", count, SEED, DrawnLooks(eye), 2, weights_revision(eye), "unseen_families")
    one_shot = drawn.filter(lambda references: len(references) > 0, input_columns="references")
    found = {name: _arm(name, config, overrides, out, one_shot) for name in ARMS}
    steps = json.loads((out / _folder(next(iter(ARMS))) / "model" / "training.json").read_text(encoding="utf-8"))[
        "steps"
    ]
    (out / "ablation.json").write_text(
        json.dumps({n: {k: asdict(m) for k, m in f.items()} for n, f in found.items()}, indent=2) + "\n",
        encoding="utf-8",
    )
    _plot(found, out / "ablation.png")
    table = out / "ablation.md"
    table.write_text(_table(found, len(one_shot), steps), encoding="utf-8")
    return table


def _folder(name: str) -> str:
    return name.replace(",", "").replace(" ", "-").lower()


def _arm(name: str, config: Path, overrides: list[str], out: Path, cases: Dataset) -> dict[str, Metric]:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder, without = out / _folder(name), ARMS[name]
    kept = folder / "figures.json"
    asked = {"recipe": read(config, overrides), "cases": len(cases)}
    if kept.is_file():
        before = json.loads(kept.read_text(encoding="utf-8"))
        if before["asked"] != json.loads(json.dumps(asked)):
            raise RecipeError(f"--out {str(out)!r}: holds arms of another recipe or other cases; name another folder")
        return {
            k: Metric(v["value"], v["ci95"] and tuple(v["ci95"]), v["reason"]) for k, v in before["figures"].items()
        }
    # Every arm ends at the same step; nothing is chosen among its checkpoints.
    own = ["eval_strategy=no", "load_best_model_at_end=false", "exam_cases=0"]
    own += [f"{key}={json.dumps(value)}" for key, value in without.items()]
    trained = train_sfe(config, [*overrides, *own, f"output_dir={folder}"], DrawnLooks)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model: Any = AutoModelForImageTextToText.from_pretrained(trained, dtype=torch.float32)
    exam = Exam(cases, facts=without.get("facts", True), references=without.get("references", True))
    metrics = exam.metrics(exam.sit(model.to(device).eval(), AutoProcessor.from_pretrained(trained)))
    figures = {k: asdict(m) for k, m in metrics.items()}
    kept.write_text(json.dumps({"asked": asked, "figures": figures}, indent=2) + "\n", encoding="utf-8")
    return metrics


def _table(found: Mapping[str, Mapping[str, Metric]], cases: int, steps: int) -> str:
    lines = [
        f"{steps} training steps each; {cases} one-shot cases of families held out of training; 95 % intervals over the cases.",
        "",
        "| trained with | " + " | ".join(SHOWN.values()) + " |",
        "|---" * (len(SHOWN) + 1) + "|",
    ]
    lines += [f"| {name} | " + " | ".join(_cell(m[key]) for key in SHOWN) + " |" for name, m in found.items()]
    return "\n".join(lines) + "\n"


def _cell(metric: Metric) -> str:
    if metric.value is None:
        return "–"
    return f"{metric.value:.3f}" + (f" ({metric.ci95[0]:.3f} to {metric.ci95[1]:.3f})" if metric.ci95 else "")


def _plot(found: Mapping[str, Mapping[str, Metric]], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(SHOWN), figsize=(3 * len(SHOWN), 3), sharey=True, layout="constrained")
    names = list(found)[::-1]
    for axis, (key, title) in zip(axes, SHOWN.items(), strict=True):
        for at, name in enumerate(names):
            metric = found[name][key]
            if metric.value is not None:
                low, high = metric.ci95 or (metric.value, metric.value)
                axis.plot([low, high], [at, at], color="0.6", linewidth=3, solid_capstyle="butt")
                axis.plot(metric.value, at, "o", color="C0")
        axis.set_title(title, fontsize=9)
        axis.set_yticks(range(len(names)), names)
        axis.grid(axis="x", alpha=0.3)
    figure.savefig(file, dpi=120)
    plt.close(figure)
