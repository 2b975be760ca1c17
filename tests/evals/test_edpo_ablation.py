"""Ways of learning from ranked answers are trained and compared through the real command, on a random model."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore:`(is_)?gradient_checkpointing` is deprecated:FutureWarning")

RECIPE = """
model_name_or_path: MODEL
adpl: ADPL
output_dir: OUT
max_steps: 2
per_device_train_batch_size: 2
learning_rate: 5e-3
lr_scheduler_type: constant
save_steps: 100
logging_steps: 1
report_to: none
disable_tqdm: true
use_cpu: true
bf16: false
gradient_checkpointing: false
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A random model, ranked answers with a held-out file beside them, and a recipe."""
    from agent.vlm import SageVisionConfig, SageVisionModel
    from agent.vlm.nano import build_model, build_processor, train_tokenizer
    from training.make import Order, make

    folder = tmp_path_factory.mktemp("ablation")
    assert list(make(Order(pairs=20, seed=3, size=64), folder / "adpl", processes=1))[-1] == 20
    records = [json.loads(line) for line in (folder / "adpl" / "train.jsonl").read_text().splitlines()]
    said = [o["answer_en"] for r in records for q in r["question_answer"] for o in q["answer_options"]]
    torch.manual_seed(1)
    eye = SageVisionModel(SageVisionConfig(image_size=64)).eval()
    tokenizer = train_tokenizer(said, 900)
    model = build_model(eye, tokenizer, width=32, layers=1, heads=2, ratio=0.25, seed=0)
    model.save_pretrained(folder / "base")
    build_processor(tokenizer, 64, model.config.image_seq_length).save_pretrained(folder / "base")
    recipe = folder / "recipe.yaml"
    text = RECIPE.replace("MODEL", str(folder / "base")).replace("ADPL", str(folder / "adpl" / "train.jsonl"))
    recipe.write_text(text.replace("OUT", str(folder / "run")), encoding="utf-8")
    return SimpleNamespace(folder=folder, recipe=recipe)


def ablate(made: SimpleNamespace, *options: object) -> Any:
    from agent.cli import app

    command = ["train", "ablate", "edpo", "--config", str(made.recipe), "--seeds", "2", *map(str, options)]
    return CliRunner().invoke(app, command)


def test_ways_are_trained_with_every_seed_compared_and_kept(made: SimpleNamespace) -> None:
    from agent.vlm import SageForConditionalGeneration

    out = made.folder / "out"
    arms = ["--arm", "supervised only", "--arm", "E-DPO, eta 2"]
    done = ablate(made, "--out", out, *arms)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == str(out / "ablation.md")
    table = (out / "ablation.md").read_text()
    assert table.startswith("2 steps of 2 questions, 2 seeds each, learning rate 0.005, losses ['sigmoid']")
    assert "; 1 records of five questions" in table.splitlines()[0]
    assert [line.split(" | ")[0] for line in table.splitlines()[4:]] == [
        "| before alignment",
        "| supervised only",
        "| E-DPO, eta 2",
    ]
    assert (out / "ablation.png").stat().st_size > 5000
    found = json.loads((out / "ablation.json").read_text())
    assert found["before alignment"]["kl"]["value"] == 0
    for name in ("supervised only", "E-DPO, eta 2"):
        assert found[name]["kl"]["value"] > 0
        assert 1 <= found[name]["mle"]["value"] <= 5
    weights = [
        SageForConditionalGeneration.from_pretrained(out / arm / f"seed-{seed}" / "model").lm_head.weight
        for arm in ("supervised-only", "e-dpo-eta-2")
        for seed in (0, 1)
    ]
    assert not any(torch.equal(a, b) for a, b in combinations(weights, 2))
    card = json.loads((out / "e-dpo-eta-2" / "seed-1" / "model" / "training.json").read_text())
    assert (card["eta"], card["seed"], card["loss_type"]) == (2.0, 1, ["sigmoid"])
    # What is there is not trained again.
    stamps = {p: p.stat().st_mtime_ns for p in out.rglob("model.safetensors")}
    assert ablate(made, "--out", out, *arms).exit_code == 0
    assert stamps == {p: p.stat().st_mtime_ns for p in out.rglob("model.safetensors")}
    other = ablate(made, "--out", out, *arms, "max_steps=3")
    assert other.exit_code == 2
    assert "holds a run of another recipe" in other.stderr


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--arm", "GRPO"], "arms ['GRPO']: expected some of"),
        (["--held-out", "nowhere.jsonl"], "held-out 'nowhere.jsonl': no file there"),
        (["adpl=null"], "adpl: not set"),
        (["model_name_or_path=/no/where"], "model_name_or_path '/no/where': no model there"),
        (["steps=3"], "steps"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(
    made: SimpleNamespace, tmp_path: Path, options: list[str], problem: str
) -> None:
    done = ablate(made, "--out", tmp_path, *options)
    assert done.exit_code == 2
    assert problem in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_perfect_answer_scores_best_and_an_empty_one_worst(made: SimpleNamespace) -> None:
    """The exam, on a model that is told what to say."""
    from evals import adpl_exam
    from evals.asking import Reply

    exam = adpl_exam.AdplExam(made.folder / "adpl" / "unseen_families.jsonl")
    best = [q.answer_options[0].answer_en for _, r in exam.records for q in r.question_answer]

    class Told:
        def __init__(self, said: list[str]) -> None:
            self.said = said

        def replies(self, prompts: list[Any], most: int) -> list[Reply]:
            assert all(len(p.photos) == 2 for p in prompts)
            return [Reply(text, None, len(text)) for text in self.said]

    found = {}
    for name, said in {"best": best, "silent": [""] * len(best)}.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(adpl_exam, "Asking", lambda model, processor, said=said: Told(said))
            values = adpl_exam.values_of(exam.sit(None, None))
        found[name] = {key: sum(v.value for v in vs) / len(vs) for key, vs in values.items()}
    assert found["best"]["accuracy"] == found["best"]["group_accuracy"] == found["best"]["parsed"] == 1
    assert found["best"]["mle"] > 4.5
    assert found["silent"]["accuracy"] == found["silent"]["group_accuracy"] == found["silent"]["parsed"] == 0
    assert found["silent"]["mle"] == 1
