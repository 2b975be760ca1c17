"""Ways of learning from ranked answers, compared: on equal data, steps and seeds, examined on families held out of training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trl import ModelConfig

from agent.vlm.eye import weights_revision
from evals.adpl_exam import AdplExam, values_of
from evals.arms import folder_of, write_comparison
from evals.figures.clustered import Value, mean
from evals.files import write_whole
from training.card import Data
from training.edpo.arguments import EdpoArguments
from training.edpo.questions import ranked_questions
from training.edpo.train import check, train_edpo
from training.edpo.trainer import EDPOConfig
from training.recipe import RecipeError, parse, read

if TYPE_CHECKING:
    from datasets import Dataset

    from evals.figures.metrics import Metric

START = "before alignment"
SUPERVISED = {"loss_type": ["sft"], "loss_weights": [1.0]}
MIX = {"loss_type": ["sigmoid", "bco_pair", "sft"], "loss_weights": [0.8, 0.2, 1.0]}
ARMS: dict[str, dict[str, Any]] = {
    "supervised only": SUPERVISED,
    "DPO, extremes": {"eta": 0.0, "pairs": "extremes"},
    "DPO, all pairs": {"eta": 0.0, "pairs": "all"},
    "ODPO, all pairs": {"gap": "log", "pairs": "all"},
    "MPO, extremes": {"eta": 0.0, "pairs": "extremes", **MIX},
    "E-DPO": {},
    "E-DPO, no margin": {"eta": 0.0},
    "E-DPO, extremes alone": {"pairs": "extremes"},
    "E-DPO, closest alone": {"pairs": "closest"},
    "E-DPO, plogp": {"gap": "plogp"},
    "E-DPO, eta 0.1": {"eta": 0.1},
    "E-DPO, eta 1": {"eta": 1.0},
    "E-DPO, eta 2": {"eta": 2.0},
    "E-DPO, tau 2": {"tau": 2.0},
    "E-DPO, plogp, tau 2": {"gap": "plogp", "tau": 2.0},
}
"""What each way sets otherwise than the recipe, which is E-DPO's; so all but two have its mix of losses. By self-information only
eta / tau counts: a higher tau is a lower eta."""
SHOWN = {
    "mle": "MLE",
    "accuracy": "verdict accuracy",
    "group_accuracy": "all five right",
    "kl": "KL from before, nats a token",
    "tokens": "tokens an answer",
}
PLAIN = (
    'eval_strategy="no"',
    "load_best_model_at_end=false",
    "exam_cases=0",
    "adpl_eval=null",
    "metric_for_best_model=null",
)
"""Every run ends at the same step; nothing is chosen among its checkpoints."""
KL_QUESTIONS = 64
"""Of the held-out questions, on whose best answers the divergence is taken."""


def ablate_edpo(
    config: Path,
    overrides: list[str],
    out: Path,
    held_out: Path | None,
    count: int,
    seeds: int,
    arms: Sequence[str] = (),
) -> Path:
    """Train every way with every seed and examine it; returns the table, beside which lie the plot and all figures.

    Args:
        config: the recipe of E-DPO.
        overrides: `key=value`, in place of the recipe's.
        out: folder of the runs; a run whose figures are there is not trained again.
        held_out: AD-PL file of families held out of training; None: `unseen_families.jsonl` beside the recipe's data.
        count: at most so many of its records.
        seeds: how many seeds, from 0.
        arms: names of ways; none: all.

    Raises:
        RecipeError: as `train_edpo`, an unknown arm, or where `out` holds runs of another recipe.
        EvalError: a fault in the held-out file.
    """
    recipe = read(config, overrides)
    arguments, models, settings = parse((EdpoArguments, ModelConfig, EDPOConfig), config, [*overrides, *PLAIN])
    check(arguments, models, settings)
    if unknown := set(arms) - set(ARMS):
        raise RecipeError(f"arms {sorted(unknown)!r}: expected some of {list(ARMS)}")
    file = held_out or Path(recipe.get("adpl") or "data").parent / "unseen_families.jsonl"
    if not file.is_file():
        raise RecipeError(f"held-out {str(file)!r}: no file there; `sage-iad data make` writes one")
    before = str(models.model_name_or_path)
    shown: dict[str, Any] = {"facts": arguments.facts, "references": arguments.references}
    exam = AdplExam(file, count, **shown)
    rows = ranked_questions(file, None, **shown).rows
    asked_about = rows.select(range(min(KL_QUESTIONS, len(rows))))
    asked = {
        "recipe": recipe, "records": count, "weights": weights_revision(Path(before)) if Path(before).is_dir() else before,
        "data": Data.of(Path(recipe["adpl"]), "").digest, "held_out": Data.of(file, "").digest,
    }  # fmt: skip
    found: dict[str, dict[str, Metric]] = {}
    first = _kept(out / folder_of(START), asked, lambda: _examined(exam, before, before, asked_about))
    found[START] = _pooled([first])
    for name in arms or ARMS:
        runs = []
        for seed in range(seeds):
            folder = out / folder_of(name) / f"seed-{seed}"

            def run(folder: Path = folder, name: str = name, seed: int = seed) -> dict[str, list[Value]]:
                own = [f"{key}={json.dumps(value)}" for key, value in ARMS[name].items()]
                trained = train_edpo(config, [*overrides, *own, *PLAIN, f"seed={seed}", f"output_dir={folder}"])
                return _examined(exam, trained, before, asked_about)

            runs.append(_kept(folder, asked | {"arm": ARMS[name], "seed": seed}, run))
        found[name] = _pooled(runs)
        head = (
            f"{_steps(out / folder_of(name))} questions, {seeds} seeds each, learning rate {recipe.get('learning_rate')}, losses "
            f"{recipe.get('loss_type', ['sigmoid'])} where nothing else is said; "
            f"{len(exam.records)} records of five questions, of families held out of training; 95 % intervals over the records."
        )
        table = write_comparison(found, SHOWN, head, out)  # after each way: a long run can be looked at, or stopped
    return table


def _kept(folder: Path, asked: dict[str, Any], run: Any) -> dict[str, list[Value]]:
    """The figures in a folder, question by question; taken and kept there where there are none."""
    kept, asked = folder / "figures.json", json.loads(json.dumps(asked))
    if kept.is_file():
        before = json.loads(kept.read_text(encoding="utf-8"))
        if before["asked"] != asked:
            raise RecipeError(
                f"--out {str(folder)!r}: holds a run of another recipe or other records; name another folder"
            )
        return {key: [Value(v["item"], v["value"], v["cluster"]) for v in vs] for key, vs in before["values"].items()}
    values: dict[str, list[Value]] = run()
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"asked": asked, "values": {key: [asdict(v) for v in vs] for key, vs in values.items()}})
    write_whole(kept, f"{text}\n")
    return values


def _pooled(runs: Sequence[dict[str, list[Value]]]) -> dict[str, Metric]:
    """Means over all seeds; a record that is drawn for an interval is drawn with what every seed made of it."""
    return {
        key: mean([Value(f"{seed}/{v.item}", v.value, v.cluster) for seed, run in enumerate(runs) for v in run[key]])
        for key in runs[0]
    }


def _steps(folder: Path) -> str:
    card = json.loads((folder / "seed-0" / "model" / "training.json").read_text(encoding="utf-8"))
    return f"{card['steps']} steps of {card['batch']}"


def _examined(exam: AdplExam, trained: Path | str, before: str, rows: Dataset) -> dict[str, list[Value]]:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    import agent.vlm  # noqa: F401 - registers the classes

    device = "cuda" if torch.cuda.is_available() else "cpu"

    def loaded(folder: Path | str) -> Any:
        model: Any = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
        return model.to(device).eval()

    model, first = loaded(trained), loaded(before)
    processor = AutoProcessor.from_pretrained(trained)
    values = values_of(exam.sit(model, processor))
    values["kl"] = divergence(model, first, processor, rows)
    return values


def divergence(policy: Any, reference: Any, processor: Any, rows: Dataset) -> list[Value]:
    """How far the policy has moved: KL of its next word from the reference's, nats, mean over the words of each best answer."""
    import torch

    from training.edpo.batches import NOT_OF_THE_MODEL, RankedCollator

    collate, found = RankedCollator(processor), []
    for row in rows:
        batch = {k: v.to(policy.device) for k, v in collate([row]).items()}
        best = int(batch["best"][0])
        said = batch["completion_mask"][best, 1:].bool()
        shown = {k: v for k, v in batch.items() if k not in NOT_OF_THE_MODEL}
        with torch.inference_mode():
            p, q = (model(**shown).logits[best, :-1][said].float().log_softmax(-1) for model in (policy, reference))
        kl = float((p.exp() * (p - q)).sum(-1).mean())
        found.append(Value(row["place"], kl, row["place"].split(",")[0]))
    return found
