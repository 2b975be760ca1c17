"""E-DPO's trainer against TRL's own and against the formulas, on a random model that sees."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore:`(is_)?gradient_checkpointing` is deprecated:FutureWarning")

WORDS = "True False the part has a scratch at left upper lower right and it is long deep fine no defect found here"
ANSWERS = [
    "True. The part has a deep scratch at the left.",
    "True. The part has a scratch.",
    "True. It is long.",
    "False. No defect found here, the part is fine and it is fine at the right.",
]
MIX = {"loss_type": ["sigmoid", "bco_pair", "sft"], "loss_weights": [0.8, 0.2, 1.0]}


@pytest.fixture(scope="module")
def nano(eye: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A random model with a fusion that says something, its processor, and a slightly different reference."""
    from agent.vlm import Eye
    from agent.vlm.nano import build_model, build_processor, train_tokenizer

    encoder = Eye.load(eye).model
    tokenizer = train_tokenizer(
        [WORDS, *ANSWERS, "Question: Is it good?", "Facts: a scratch weakens the part"] * 3, 400
    )
    model = build_model(encoder, tokenizer, width=32, layers=2, heads=2, ratio=0.25, seed=0)
    processor = build_processor(tokenizer, encoder.config.image_size, model.config.image_seq_length)
    torch.manual_seed(0)
    with torch.no_grad():
        model.model.fact_fusion.out.weight.normal_(0, 0.05)
    model.model.vision_tower.requires_grad_(False)
    reference = copy.deepcopy(model.eval()).requires_grad_(False)
    with torch.no_grad():
        for parameter in reference.model.language_model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return SimpleNamespace(model=model, reference=reference, processor=processor)


def questions(count: int, scores: list[float], answers: list[str] = ANSWERS) -> list[dict[str, Any]]:
    """As `RankedCollator` takes them; each with two photos of its own."""
    from agent.vlm.prompt import Views
    from training.sfe.rows import conversation

    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        photos = [Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)) for _ in range(2)]
        text = "Facts:\n<data>\n[F1] scratch weakens\n</data>\nQuestion: Is it good?" + " fine" * number
        prompt = conversation(text, "", photos, Views(1))["prompt"]
        made.append({"prompt": prompt, "photos": photos, "answers": answers, "scores": scores, "place": f"q{number}"})
    return made


def trainer_of(nano: SimpleNamespace, out: Path, rows: list[dict[str, Any]], **options: Any) -> Any:
    from datasets import Dataset

    from training.edpo import EDPOConfig, EDPOTrainer

    settings = {
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "disable_tqdm": True,
        "gradient_checkpointing": False,
    }
    config = EDPOConfig(str(out), **settings | options)
    numbers = Dataset.from_dict({"number": list(range(len(rows)))})

    def opened(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        picked = [rows[i] for i in batch["number"]]
        more = {key: batch[key] for key in batch if key != "number"}
        return {key: [row[key] for row in picked] for key in picked[0]} | more

    return EDPOTrainer(
        copy.deepcopy(nano.model), None if config.precompute_ref_log_probs else copy.deepcopy(nano.reference), config,
        numbers.with_transform(opened), processing_class=nano.processor,
    )  # fmt: skip


def gradients(model: Any, loss: Any) -> dict[str, Any]:
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_alike(one: dict[str, Any], other: dict[str, Any], atol: float) -> None:
    assert one.keys() == other.keys()
    assert any("fact_fusion" in name for name in one)
    assert any("language_model" in name for name in one)
    assert not any("vision_tower" in name for name in one)
    for name, gradient in one.items():
        assert torch.allclose(gradient, other[name], atol=atol, rtol=1e-4), name


@pytest.mark.parametrize("mix", [{"loss_type": ["sigmoid"]}, {"loss_type": ["bco_pair"]}, MIX])
def test_without_a_margin_and_with_one_pair_a_question_it_is_the_trainer_of_trl(
    nano: SimpleNamespace, tmp_path: Path, mix: dict[str, Any]
) -> None:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    rows = questions(3, [5.0, 1.0], ANSWERS[1:3])
    ours = trainer_of(nano, tmp_path, rows, eta=0.0, beta=0.3, **mix)
    pairs = [
        {
            "prompt": row["prompt"],
            "images": row["photos"],
            "chosen": [{"role": "assistant", "content": [{"type": "text", "text": row["answers"][0]}]}],
            "rejected": [{"role": "assistant", "content": [{"type": "text", "text": row["answers"][1]}]}],
        }
        for row in rows
    ]
    config = DPOConfig(
        str(tmp_path), report_to="none", use_cpu=True, bf16=False, max_length=None, beta=0.3, gradient_checkpointing=False, **mix
    )  # fmt: skip
    numbers = Dataset.from_dict({"images": [[0]], "prompt": ["x"], "chosen": ["x"], "rejected": ["x"]})
    theirs = DPOTrainer(
        copy.deepcopy(nano.model), copy.deepcopy(nano.reference), config, train_dataset=numbers, processing_class=nano.processor
    )  # fmt: skip
    losses, grads, noted = [], [], []
    for trainer, examples in ((ours, rows), (theirs, pairs)):
        trainer.model.train()
        loss = trainer.compute_loss(trainer.model, dict(trainer.data_collator(examples)))
        losses.append(float(loss.detach()))
        grads.append(gradients(trainer.model, loss))
        noted.append({key: values[-1] for key, values in trainer._metrics["train"].items()})
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert losses[0] != pytest.approx(sum(mix.get("loss_weights", [1.0])[:2]) * math.log(2), abs=1e-3)
    assert_alike(*grads, atol=1e-5)
    assert noted[1].keys() <= noted[0].keys()
    for key, value in noted[1].items():
        assert noted[0][key] == pytest.approx(value, rel=1e-4, abs=1e-5), key


def by_hand(trainer: Any, rows: list[dict[str, Any]], eta: float, beta: float) -> float:
    """The loss from log-probabilities of one answer at a time, read off the logits, and the formula in double precision."""
    from training.edpo import select_pairs

    total = 0.0
    for row in rows:
        logps = []
        for answer in row["answers"]:
            both = []
            for model in (trainer.model.eval(), trainer.ref_model.eval()):
                text = trainer.processing_class.apply_chat_template(
                    row["prompt"], add_generation_prompt=True, tokenize=False
                )
                asked = trainer.processing_class(text=[text], images=[row["photos"]], return_tensors="pt")
                whole = trainer.processing_class(
                    text=[f"{text}{answer}<|im_end|>\n"], images=[row["photos"]], return_tensors="pt"
                )
                with torch.no_grad():
                    logits = model(**whole).logits[0].double().log_softmax(-1)
                ids, start = whole["input_ids"][0], asked["input_ids"].shape[1]
                both.append(sum(float(logits[t - 1, ids[t]]) for t in range(start, len(ids))))
            logps.append(both)
        losses = []
        for w, r in select_pairs(row["scores"]):
            advantage = (logps[w][0] - logps[w][1]) - (logps[r][0] - logps[r][1])
            inside = beta * advantage - eta * abs(row["scores"][w] - row["scores"][r])
            losses.append(math.log1p(math.exp(-inside)))
        total += sum(losses) / len(losses)
    return total / len(rows)


@pytest.mark.parametrize("eta", [0.0, 0.7])
def test_the_loss_is_the_formula_by_hand(nano: SimpleNamespace, tmp_path: Path, eta: float) -> None:
    rows = questions(2, [5.0, 4.0, 3.5, 1.0]) + questions(1, [4.0, 2.0], ANSWERS[:2])
    trainer = trainer_of(nano, tmp_path, rows, eta=eta, beta=0.2)
    expected = by_hand(trainer, rows, eta, 0.2)
    batch = trainer.data_collator(rows)
    assert len(batch["input_ids"]) == 4 + 4 + 2  # the best and the worst, and the two closest; no answer twice
    assert batch["weight"].tolist() == [0.5] * 4 + [1.0]
    assert float(trainer.compute_loss(trainer.model, batch).detach()) == pytest.approx(expected, abs=1e-5)
    assert trainer._metrics["eval"]["margin"] == pytest.approx([eta * (0.5 + 4 + 0.5 + 4 + 2) / 5])


def test_rewards_in_the_log_know_no_margin(nano: SimpleNamespace, tmp_path: Path) -> None:
    rows = questions(2, [5.0, 4.0, 3.0, 1.0])
    seen = []
    for eta in (0.0, 3.0):
        trainer = trainer_of(nano, tmp_path, rows, eta=eta)
        loss = trainer.compute_loss(trainer.model.train(), trainer.data_collator(rows))
        noted = {key: values[-1] for key, values in trainer._metrics["train"].items() if key != "margin"}
        seen.append((float(loss.detach()), noted))
    assert seen[0][0] != pytest.approx(seen[1][0], abs=0.1)
    assert seen[0][1] == pytest.approx(seen[1][1])
    assert {"rewards/accuracies_closest", "rewards/accuracies_extremes", "entropy", "delta_h"} <= seen[0][1].keys()


@pytest.mark.parametrize("mix", [{"loss_type": ["sigmoid"]}, MIX, {"loss_type": ["sft"]}])
def test_eight_at_once_are_eight_one_by_one(nano: SimpleNamespace, tmp_path: Path, mix: dict[str, Any]) -> None:
    """Micro-batches of answers of different lengths, and of one pair and of two, weigh as they would in one batch."""
    rows = questions(4, [5.0, 4.0, 3.5, 1.0]) + questions(4, [4.0, 2.0], ANSWERS[2:])
    grads = []
    for dealt in (1, 8):
        trainer = trainer_of(nano, tmp_path, rows, **mix)
        model = trainer.model.train()
        parts = [trainer.data_collator(rows[i::dealt]) for i in range(dealt)]
        whole = trainer._get_num_items_in_batch(parts, torch.device("cpu"))
        assert whole.tolist()[0] == 8
        grads.append(
            gradients(model, sum(trainer.compute_loss(model, part, num_items_in_batch=whole) for part in parts))
        )
    assert_alike(*grads, atol=1e-6)


def test_accumulated_steps_move_the_weights_as_one_big_step_does(nano: SimpleNamespace, tmp_path: Path) -> None:
    rows = questions(2, [5.0, 4.0, 3.5, 1.0]) + questions(2, [4.0, 2.0], ANSWERS[2:])
    after = []
    for batch, accumulated in ((4, 1), (1, 4)):
        trainer = trainer_of(
            nano, tmp_path / str(batch), rows, per_device_train_batch_size=batch, gradient_accumulation_steps=accumulated,
            max_steps=2, learning_rate=0.05, optim="sgd", lr_scheduler_type="constant", save_strategy="no", logging_steps=1, **MIX,
        )  # fmt: skip
        trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        after.append((losses, trainer.model.state_dict()))
    assert after[0][0] == pytest.approx(after[1][0], abs=1e-4)
    assert all(torch.allclose(value, after[1][1][name], atol=1e-4) for name, value in after[0][1].items())


def test_what_the_reference_thinks_is_asked_once_and_kept(nano: SimpleNamespace, tmp_path: Path) -> None:
    from training.edpo import EDPOTrainer

    rows = questions(3, [5.0, 4.0, 3.5, 1.0]) + questions(2, [4.0, 2.0], ANSWERS[:2])
    kept = {"precompute_ref_log_probs": True, "reference_dir": str(tmp_path / "kept"), "per_device_train_batch_size": 2}
    live = trainer_of(nano, tmp_path, rows)
    live.ref_model.load_state_dict(nano.model.state_dict())
    asked, first = [], EDPOTrainer.reference_logps

    def counted(self: Any, inputs: dict[str, Any]) -> Any:
        asked.append(len(inputs["input_ids"]))
        return first(self, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EDPOTrainer, "reference_logps", counted)
        cached = trainer_of(nano, tmp_path, rows, **kept)
        assert asked == [4 + 4, 4 + 2, 2]  # every answer of two questions at a time
        again = trainer_of(nano, tmp_path, rows, **kept)
        assert len(asked) == 3
    assert cached.ref_model is again.ref_model is None
    with torch.no_grad():
        for trainer in (live, cached, again):  # the policy has moved since
            trainer.model.lm_head.weight.add_(0.05 * torch.ones_like(trainer.model.lm_head.weight).cumsum(0) / 400)
    losses = []
    for trainer in (live, cached, again):
        examples = [trainer.train_dataset[i] for i in range(5)]
        loss = trainer.compute_loss(trainer.model.train(), trainer.data_collator(examples))
        losses.append(float(loss.detach()))
    assert "ref_logps" in trainer.data_collator(examples)
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-5)
    assert losses[0] != pytest.approx(math.log(2), abs=1e-3)
    (file,) = (tmp_path / "kept").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"reference_dir: .*cannot be read .*delete it"):
        trainer_of(nano, tmp_path, rows, **kept)


def test_the_model_as_it_comes_in_is_the_reference_where_none_is_given(nano: SimpleNamespace, tmp_path: Path) -> None:
    from datasets import Dataset

    from training.edpo import EDPOConfig, EDPOTrainer

    config = EDPOConfig(str(tmp_path), report_to="none", use_cpu=True, bf16=False, gradient_checkpointing=False)
    row = {"prompt": [{"role": "user", "content": "Is it good?"}], "answers": ANSWERS[:2], "scores": [2.0, 1.0]}
    trainer = EDPOTrainer(
        copy.deepcopy(nano.model), None, config, Dataset.from_list([row]), processing_class=nano.processor
    )
    assert not any(p.requires_grad for p in trainer.ref_model.parameters())
    trainer.compute_loss(trainer.model, trainer.data_collator([trainer.train_dataset[0]]))
    assert trainer._metrics["eval"]["rewards/margins"] == [0.0]
    with torch.no_grad():
        trainer.model.lm_head.weight.mul_(1.5)
    trainer.compute_loss(trainer.model, trainer.data_collator([trainer.train_dataset[0]]))
    assert trainer._metrics["eval"]["rewards/margins"][-1] != 0


def test_supervised_training_tells_no_rewards(nano: SimpleNamespace, tmp_path: Path) -> None:
    rows = questions(2, [5.0, 4.0, 3.5, 1.0])
    trainer = trainer_of(nano, tmp_path, rows, loss_type=["sft"])
    trainer.compute_loss(trainer.model.train(), trainer.data_collator(rows))
    noted = trainer._metrics["train"]
    assert not [name for name in noted if name.startswith(("rewards", "margin"))]
    assert {"entropy", "logps/chosen", "mean_token_accuracy", "delta_h"} <= noted.keys()


def test_the_shares_of_two_processes_add_up_to_the_whole(nano: SimpleNamespace, tmp_path: Path) -> None:
    """Each holds half of the questions; gradients are averaged over them, as distributed training does."""
    rows = questions(4, [5.0, 4.0, 3.5, 1.0]) + questions(4, [4.0, 2.0], ANSWERS[2:])
    whole = trainer_of(nano, tmp_path, rows, **MIX)
    batch = whole.data_collator(rows)
    expected = gradients(whole.model.train(), whole.compute_loss(whole.model, batch))
    both = []
    for half in (rows[::2], rows[1::2]):
        trainer = trainer_of(nano, tmp_path, rows, **MIX)
        parts = [trainer.data_collator(half[:1]), trainer.data_collator(half[1:])]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(trainer.accelerator), "num_processes", 2)
            counts = whole._get_num_items_in_batch([batch], torch.device("cpu"))
            trainer.model.train()
            loss = sum(trainer.compute_loss(trainer.model, part, num_items_in_batch=counts) for part in parts)
        both.append(gradients(trainer.model, loss))
    mean = {name: (gradient + both[1][name]) / 2 for name, gradient in both[0].items()}
    assert_alike(expected, mean, atol=1e-6)


def test_another_model_template_or_text_is_asked_anew_but_other_scores_are_not(
    nano: SimpleNamespace, tmp_path: Path
) -> None:
    from datasets import Dataset

    from training.edpo import EDPOConfig, EDPOTrainer

    def run(model: Any, processor: Any, rows: list[dict[str, Any]]) -> Any:
        plain = [{**row, "photos": []} for row in rows]
        config = EDPOConfig(
            str(tmp_path), report_to="none", use_cpu=True, bf16=False, disable_tqdm=True, gradient_checkpointing=False,
            precompute_ref_log_probs=True, reference_dir=str(tmp_path / "kept"),
        )  # fmt: skip
        return EDPOTrainer(copy.deepcopy(model), None, config, Dataset.from_list(plain), processing_class=processor)

    def texts(scores: list[float], answers: list[str]) -> list[dict[str, Any]]:
        prompt = [{"role": "user", "content": [{"type": "text", "text": "Question: Is it good?"}]}]
        return [{"prompt": prompt, "answers": answers, "scores": scores}]

    def files() -> int:
        return len(list((tmp_path / "kept").iterdir()))

    first = run(nano.model, nano.processor, texts([5.0, 4.0], ANSWERS[:2]))
    again = run(nano.model, nano.processor, texts([3.0, 1.0], ANSWERS[:2]))
    assert files() == 1
    assert again.train_dataset["ref_logps"] == first.train_dataset["ref_logps"]
    run(nano.model, nano.processor, texts([5.0, 4.0], ANSWERS[1:3]))
    assert files() == 2
    run(nano.reference, nano.processor, texts([5.0, 4.0], ANSWERS[:2]))
    assert files() == 3
    processor = copy.deepcopy(nano.processor)
    processor.chat_template = processor.chat_template.replace("assistant", "inspector")
    other = run(nano.model, processor, texts([5.0, 4.0], ANSWERS[:2]))
    assert files() == 4
    assert other.train_dataset["ref_logps"] != first.train_dataset["ref_logps"]
    fewer = copy.deepcopy(nano.model)
    fewer.config.distinct_patches = 1
    run(fewer, nano.processor, texts([5.0, 4.0], ANSWERS[:2]))
    assert files() == 5


@pytest.mark.parametrize(
    ("answers", "scores", "problem"),
    [
        (ANSWERS[:1], [5.0], r"q0: scores \[5.0\]: expected at least 2"),
        (ANSWERS[:2], [5.0, math.nan], r"q0: scores .*: expected one finite number an answer"),
        (ANSWERS[:3], [5.0, 1.0], r"q0: has 3 answers and 2 scores"),
        (
            [ANSWERS[0], "fine " * 5000],
            [5.0, 1.0],
            r"q0: question and answer take \d+ tokens, the model reads \d+; shorten",
        ),
    ],
)
def test_a_question_that_cannot_be_learnt_from_is_named(
    nano: SimpleNamespace, tmp_path: Path, answers: list[str], scores: list[float], problem: str
) -> None:
    trainer = trainer_of(nano, tmp_path, questions(1, scores, answers))
    with pytest.raises(ValueError, match=problem):
        trainer.data_collator([trainer.train_dataset[0]])


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("eta", -0.1, "eta -0.1: expected a number of at least 0"),
        ("tau", 0.0, "tau 0.0: expected a number above 0"),
        ("beta", math.nan, "beta nan: expected a number above 0"),
        ("gap", "entropy", "gap 'entropy': expected one of"),
        ("pairs", "some", "pairs 'some': expected one of"),
        ("loss_type", ["ipo"], r"loss_type \['ipo'\]: expected some of"),
        ("label_smoothing", 0.1, "label_smoothing 0.1: not supported by E-DPO"),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path: Path, option: str, value: Any, problem: str) -> None:
    from training.edpo import EDPOConfig

    with pytest.raises(ValueError, match=problem):
        EDPOConfig(str(tmp_path), bf16=False, **{option: value})
