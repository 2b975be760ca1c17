"""Alignment with ranked answers through its real entry point."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from training.recipe import RecipeError

RECIPE = """
model_name_or_path: MODEL
adpl: ADPL
output_dir: OUT
reference_dir: REFERENCE
max_steps: 4
per_device_train_batch_size: 2
learning_rate: 5e-3
lr_scheduler_type: constant
beta: 0.1
eta: 0.5
save_steps: 2
logging_steps: 1
report_to: none
disable_tqdm: true
use_cpu: true
bf16: false
gradient_checkpointing: false
seed: 0
"""

pytestmark = pytest.mark.filterwarnings("ignore:`(is_)?gradient_checkpointing` is deprecated:FutureWarning")
torch = pytest.importorskip("torch")
pytest.importorskip("trl")


@pytest.fixture(scope="module")
def base(eye: Path, ranked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of this project that knows the words of the ranked answers."""
    from agent.vlm import Eye
    from agent.vlm.nano import build_model, build_processor, train_tokenizer

    records = [json.loads(line) for line in ranked.read_text(encoding="utf-8").splitlines()]
    said = [o["answer_en"] for r in records for q in r["question_answer"] for o in q["answer_options"]]
    encoder, folder = Eye.load(eye).model, tmp_path_factory.mktemp("base")
    tokenizer = train_tokenizer(said, 900)
    model = build_model(encoder, tokenizer, width=32, layers=1, heads=2, ratio=0.25, seed=0)
    model.save_pretrained(folder)
    build_processor(tokenizer, encoder.config.image_size, model.config.image_seq_length).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def run(base: Path, ranked: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Four steps."""
    from training.edpo.train import train_edpo

    out = tmp_path_factory.mktemp("edpo")
    recipe = out / "recipe.yaml"
    text = RECIPE.replace("MODEL", str(base)).replace("ADPL", str(ranked)).replace("OUT", str(out / "run"))
    recipe.write_text(text.replace("REFERENCE", str(out / "reference")), encoding="utf-8")
    folder = train_edpo(recipe, [])
    return SimpleNamespace(out=out / "run", folder=folder, recipe=recipe)


def load(folder: Path) -> Any:
    from transformers import AutoModelForImageTextToText

    import agent.vlm  # noqa: F401 - registers the classes

    return AutoModelForImageTextToText.from_pretrained(folder)


def log_of(out: Path, step: int) -> list[dict[str, float]]:
    entries: list[dict[str, float]] = json.loads((out / f"checkpoint-{step}" / "trainer_state.json").read_text())[
        "log_history"
    ]
    return [entry for entry in entries if "loss" in entry]


def moved(before: Path, after: Path) -> set[str]:
    first, last = load(before).state_dict(), load(after).state_dict()
    assert first.keys() == last.keys()
    return {name for name, value in last.items() if not torch.equal(value, first[name])}


def test_words_and_fusion_are_aligned_and_the_eye_is_left_alone(run: SimpleNamespace, base: Path) -> None:
    changed = moved(base, run.folder)
    assert not any("vision_tower" in name for name in changed)
    for part in ("fact_fusion", "multi_modal_projector", "language_model"):
        assert any(part in name for name in changed), part


def test_the_log_tells_margins_and_accuracies(run: SimpleNamespace) -> None:
    log = log_of(run.out, 4)
    assert len(log) == 4
    for entry in log:
        assert all(math.isfinite(value) for value in entry.values())
        assert entry["margin"] == pytest.approx(0.5 * entry["delta_h"])
        assert 0 <= entry["rewards/accuracies_extremes"] <= 1
    # Before the first step the policy is the reference, so that the margin is all there is.
    assert log[0]["rewards/margins"] == pytest.approx(0, abs=1e-5)
    assert log[0]["loss"] > math.log(2)
    assert log[-1]["rewards/margins"] > 0.01


def test_the_card_names_the_stage_the_data_and_the_settings(run: SimpleNamespace, ranked: Path) -> None:
    import hashlib

    card = json.loads((run.folder / "training.json").read_text())
    assert (card["stage"], card["steps"], card["eta"], card["pairs"]) == ("edpo", 4, 0.5, "closest and extremes")
    assert card["data"]["digest"] == hashlib.sha256(ranked.read_bytes()).hexdigest()
    assert card["trained"] == ["multi_modal_projector", "fact_fusion", "language_model"]
    text = (run.folder / "README.md").read_text()
    assert "Entropy-aware direct preference optimisation, 4 steps of 2 questions" in text
    assert not list(run.folder.glob("*.bin"))


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(run: SimpleNamespace, tmp_path: Path) -> None:
    from training.edpo.train import train_edpo

    here = [f"output_dir={tmp_path / 'run'}", f"reference_dir={tmp_path / 'kept'}", "precompute_ref_log_probs=true"]
    train_edpo(run.recipe, [*here, "max_steps=2"])
    folder = train_edpo(run.recipe, here)
    again, whole = log_of(tmp_path / "run", 4), log_of(run.out, 4)
    # What the reference thinks, kept on disk, makes no difference either.
    assert [e["loss"] for e in again] == pytest.approx([e["loss"] for e in whole], abs=1e-5)
    assert len(list((tmp_path / "kept").iterdir())) == 1
    one, other = load(folder).state_dict(), load(run.folder).state_dict()
    assert all(torch.allclose(value, other[name], atol=1e-4) for name, value in one.items())


def test_a_run_that_has_taken_its_steps_is_left_as_it_is(run: SimpleNamespace) -> None:
    from training.edpo.train import train_edpo

    before = (run.folder / "model.safetensors").stat().st_mtime_ns
    assert train_edpo(run.recipe, []) == run.folder
    assert (run.folder / "model.safetensors").stat().st_mtime_ns == before
    assert [path.name for path in sorted(run.out.glob("checkpoint-*"))] == ["checkpoint-2", "checkpoint-4"]


def test_adapters_need_no_second_model(run: SimpleNamespace, base: Path, tmp_path: Path) -> None:
    from training.edpo import trainer
    from training.edpo.train import train_edpo

    seen = []
    first = trainer.EDPOTrainer.compute_loss

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(self.ref_model)
        return first(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer.EDPOTrainer, "compute_loss", watched)
        lora = ["use_peft=true", "lora_r=4", "learning_rate=0.01"]
        folder = train_edpo(run.recipe, [*lora, f"output_dir={tmp_path / 'run'}"])
    assert seen == [None] * 4
    before = [*lora, "precompute_ref_log_probs=true", f"reference_dir={tmp_path / 'kept'}"]
    for seed in (0, 1):  # adapters are drawn at random, and are no part of the reference policy
        train_edpo(run.recipe, [*before, f"output_dir={tmp_path / f'kept-{seed}'}", f"seed={seed}"])
    assert len(list((tmp_path / "kept").iterdir())) == 1
    asked = [[entry["loss"] for entry in log_of(tmp_path / name, 4)] for name in ("run", "kept-0")]
    assert asked[0] == pytest.approx(asked[1], abs=1e-5)
    log = log_of(tmp_path / "run", 4)
    assert log[0]["rewards/margins"] == pytest.approx(0, abs=1e-5)
    assert log[-1]["rewards/margins"] > 0.01
    changed = moved(base, folder)
    assert any("self_attn.q_proj" in name for name in changed)
    assert not any("embed_tokens" in name or "vision_tower" in name for name in changed)


def test_supervised_training_alone_asks_no_reference(run: SimpleNamespace, tmp_path: Path) -> None:
    from training.edpo.train import train_edpo

    train_edpo(run.recipe, [f"output_dir={tmp_path / 'run'}", "loss_type=[sft]", f"reference_dir={tmp_path / 'kept'}"])
    assert not (tmp_path / "kept").exists()
    losses = [entry["loss"] for entry in log_of(tmp_path / "run", 4)]
    assert losses[-1] < losses[0]


def test_questions_that_say_nothing_are_counted_and_listed(
    run: SimpleNamespace, ranked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from training.edpo.train import train_edpo

    records = [json.loads(line) for line in ranked.read_text(encoding="utf-8").splitlines()]
    for option in records[0]["question_answer"][1]["answer_options"]:
        option["scores"] = {"type": 3, "location": 3, "logic": 3}
    records[1]["rewarded_by"] = "a judge"
    for number, question in enumerate(records[1]["question_answer"]):
        for place, option in enumerate(question["answer_options"]):
            if number:
                option["reward"] = float(place)  # the evaluator would have ranked them the other way round
    long = records[2]["question_answer"][4]["answer_options"][3]
    long["answer_en"] = "False. " + "It is fine. " * 6000
    own = tmp_path / "own.jsonl"
    own.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    here = [f"adpl={own}", f"images_dir={ranked.parent}", f"output_dir={tmp_path / 'run'}", "max_steps=1"]
    folder = train_edpo(run.recipe, here)
    listed = (tmp_path / "run" / "left-out.txt").read_text().splitlines()
    assert listed[:2] == [
        "adpl: record 1, question 2: whose answers all score the same",
        "adpl: record 2, question 1: whose answers the evaluator could not score",
    ]
    assert listed[2].startswith("adpl: record 3, question 5: longer than the 2048 tokens")
    assert len(listed) == 3
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith(f"sage-iad: adpl {str(own)!r}: ")]
    assert f": 3 of {5 * len(records)} questions are left out: 1 whose answers all score the same; 1 whose" in said[0]
    assert f": in 4 of {5 * len(records) - 3} questions a score contradicts the ranking" in said[1]
    card = json.loads((folder / "training.json").read_text())
    assert (card["questions"], card["left_out"]) == (5 * len(records) - 3, 3)


def test_scores_come_from_the_evaluator_then_the_record_then_the_rank(ranked: Path, tmp_path: Path) -> None:
    from training.edpo.questions import ranked_questions

    records = [json.loads(line) for line in ranked.read_text(encoding="utf-8").splitlines()]
    first, second, third = records[0]["question_answer"][:3]
    for place, option in enumerate(first["answer_options"]):
        option["reward"] = float(place)
    marks = [sum(o["scores"].values()) / 3 for o in second["answer_options"]]
    for option in third["answer_options"]:
        del option["scores"]
    own = tmp_path / "own.jsonl"
    own.write_text(json.dumps(records[0]) + "\n", encoding="utf-8")
    read = ranked_questions(own, ranked.parent)
    rows = read.rows
    assert not read.left_out
    assert read.contradicted == 1
    assert rows[0]["scores"] == [0.0, 1.0, 2.0, 3.0]  # of answers that people have ranked: their order stands
    assert rows[0]["answers"] == [o["answer_en"] for o in first["answer_options"]]
    assert rows[1]["scores"] == pytest.approx(marks)
    assert rows[2]["scores"] == [3.0, 2.0, 1.0, 0.0]
    assert rows[2]["answers"] == [o["answer_en"] for o in third["answer_options"]]
    assert [photo.size for photo in rows[0]["photos"]] == [(64, 64)] * 2


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["adpl=null"], r"adpl: not set; name a file of ranked answers"),
        (["adpl=nowhere.jsonl"], r"adpl 'nowhere.jsonl': no file there"),
        (["model_name_or_path=null"], r"model_name_or_path: not set; name the model of"),
        (["model_name_or_path=/no/where"], r"model_name_or_path '/no/where': no model there"),
        (["eta=-1"], r"eta -1: expected a number of at least 0"),
        (["loss_type=[hinge]"], r"loss_type \['hinge'\]: expected some of"),
        (["steps=3"], r"steps"),
        (["eval_strategy=steps"], r"eval_strategy 'steps': needs adpl_eval"),
        (["eval_strategy=steps", "adpl_eval=nowhere.jsonl"], r"adpl_eval 'nowhere.jsonl': no file there"),
        (["exam_cases=3"], r"exam_cases 3: an exam is sat at evaluations"),
        (["metric_for_best_model=eval_mle"], r"metric_for_best_model 'eval_mle': is of the exam; set exam_cases"),
        (["eye=nowhere"], r"eye 'nowhere': no encoder there"),
        (["images_dir=nowhere"], r"record 1: test_image .* is not in 'nowhere'"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_refused_in_one_line(
    run: SimpleNamespace, tmp_path: Path, overrides: list[str], problem: str
) -> None:
    from training.edpo.train import train_edpo

    with pytest.raises(RecipeError, match=problem) as caught:
        train_edpo(run.recipe, [f"output_dir={tmp_path / 'run'}", *overrides])
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "run").glob("checkpoint-*"))


def test_nothing_to_learn_from_is_said(run: SimpleNamespace, ranked: Path, tmp_path: Path) -> None:
    from training.edpo.train import train_edpo

    record = json.loads(ranked.read_text(encoding="utf-8").splitlines()[0])
    for question in record["question_answer"]:
        for option in question["answer_options"]:
            option["scores"] = {"type": 3, "location": 3, "logic": 3}
    own = tmp_path / "own.jsonl"
    own.write_text(json.dumps(record) + "\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"no question to learn from; 5 whose answers all score the same"):
        train_edpo(run.recipe, [f"output_dir={tmp_path / 'run'}", f"adpl={own}", f"images_dir={ranked.parent}"])


@pytest.mark.parametrize(
    "other", ["eta=1.0", "beta=0.2", "loss_type=[sft]", "learning_rate=0.5", "seed=3", "per_device_train_batch_size=1"]
)
def test_checkpoints_of_other_settings_are_not_gone_on_with(run: SimpleNamespace, other: str) -> None:
    from training.edpo.train import train_edpo

    with pytest.raises(RecipeError, match=r"output_dir .*: holds a run with other .*; name another folder"):
        train_edpo(run.recipe, [other])


def test_checkpoints_of_another_model_at_the_same_place_are_not_gone_on_with(
    run: SimpleNamespace, base: Path, tmp_path: Path
) -> None:
    import shutil

    from training.edpo.train import train_edpo

    shutil.copytree(base, tmp_path / "model")
    here = [f"model_name_or_path={tmp_path / 'model'}", f"output_dir={tmp_path / 'run'}", "max_steps=1"]
    train_edpo(run.recipe, here)
    shutil.copytree(run.folder, tmp_path / "model", dirs_exist_ok=True)
    with pytest.raises(RecipeError, match=r"holds a run with other weights to start from; name another folder"):
        train_edpo(run.recipe, here)


def test_a_photo_that_was_changed_is_asked_about_anew(ranked: Path, tmp_path: Path) -> None:
    import shutil

    from training.edpo.questions import ranked_questions
    from training.edpo.reference import digest_of

    shutil.copytree(ranked.parent, tmp_path / "own")
    rows = ranked_questions(tmp_path / "own" / "train.jsonl", None).rows
    before = digest_of(rows)
    assert digest_of(ranked_questions(tmp_path / "own" / "train.jsonl", None).rows) == before
    assert digest_of(rows.select(range(1, len(rows)))) != before
    photo = next((tmp_path / "own" / "images" / "train").glob("*_test.jpg"))
    photo.write_bytes(photo.read_bytes() + b"\0")
    assert digest_of(rows) != before


@pytest.mark.slow  # two processes import everything
def test_two_processes_align_as_one_does(run: SimpleNamespace, tmp_path: Path) -> None:
    import subprocess
    import sys

    losses = {}
    for processes in (1, 2):
        out = tmp_path / f"run{processes}"
        overrides = [
            f"output_dir={out}", f"reference_dir={tmp_path / str(processes)}", "precompute_ref_log_probs=true",
            f"per_device_train_batch_size={4 // processes}", "loss_type=[sigmoid, bco_pair, sft]", "loss_weights=[0.8, 0.2, 1.0]",
        ]  # fmt: skip
        # On processors `accelerate launch` starts a single process unless there is MPI; this is what it starts on GPUs.
        launch = ["-m", "torch.distributed.run", "--nproc_per_node", str(processes), "-m", "agent", "train", "edpo"]
        done = subprocess.run(
            [sys.executable, *launch, "--config", str(run.recipe), *overrides], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert json.loads((out / "model" / "training.json").read_text())["processes"] == processes
        losses[processes] = [entry["loss"] for entry in log_of(out, 4)]
    assert losses[1] == pytest.approx(losses[2], abs=1e-4)
    one, two = (load(tmp_path / f"run{n}" / "model").state_dict() for n in (1, 2))
    assert all(torch.allclose(value, two[name], atol=1e-4) for name, value in one.items())


def test_the_checkpoint_that_does_best_in_the_exam_is_kept(
    run: SimpleNamespace, ranked: Path, eye: Path, cheap_looks: Any, tmp_path: Path
) -> None:
    from training.edpo.train import train_edpo

    sat: list[dict[str, Any]] = []

    def exam_on(cases: Any) -> Any:
        def exam(model: Any, processor: Any) -> dict[str, float]:
            assert not model.training
            sat.append({name: p.clone() for name, p in model.state_dict().items()})
            return {"mle": [3.0, 2.0][len(sat) - 1]}

        assert len(cases) == 2
        return exam

    here = [
        f"output_dir={tmp_path / 'run'}", f"adpl_eval={ranked}", "precompute_ref_log_probs=true",
        f"reference_dir={tmp_path / 'kept'}", f"eye={eye}", f"exam_dir={tmp_path / 'exam'}", "exam_cases=2",
        "drawing_processes=1", "max_steps=2", "save_steps=1", "eval_strategy=steps", "eval_steps=1",
        "load_best_model_at_end=true", "metric_for_best_model=eval_mle", "greater_is_better=true",
    ]  # fmt: skip
    folder = train_edpo(run.recipe, here, lambda _: cheap_looks, exam_on)
    best = load(folder).state_dict()
    assert all(torch.equal(value, sat[0][name]) for name, value in best.items() if name in sat[0])
    assert not all(torch.equal(sat[1][name], sat[0][name]) for name in sat[0])
    figures = json.loads((folder / "training.json").read_text())["figures"]
    assert figures["eval_mle"] == 3.0
    assert {"eval_loss", "eval_rewards/accuracies_closest", "eval_margin"} <= figures.keys()


def test_a_step_is_timed_beside_the_one_of_trl(base: Path, tmp_path: Path) -> None:
    from evals.bench_edpo import step_costs

    found = step_costs(tmp_path / "drawn", base, questions=1, rounds=1)
    assert all(value > 0 for value in found.values())
    assert found["edpo_share_of_trl"] == pytest.approx(found["edpo_step_seconds"] / found["trl_step_seconds"])
