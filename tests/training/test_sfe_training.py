"""Supervised training through its real entry point: words are learnt, the eye is left alone, and the result loads."""

from __future__ import annotations

import json
import math
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from drawn_rows import rows_of

from training.recipe import RecipeError

SIDE = 64
"""Of `eye`'s photos."""
RECIPE = """
output_dir: OUT
eye: EYE
max_steps: 2
per_device_train_batch_size: 2
learning_rate: 1e-3
dataloader_num_workers: 0
save_steps: 2
logging_steps: 1
report_to: none
disable_tqdm: true
use_cpu: true
bf16: false
gradient_checkpointing: false
seed: 0
cases: 8
cases_dir: CASES
drawing_processes: 1
vocabulary: 600
tokenizer_cases: 3
width: 32
layers: 1
heads: 2
ratio: 0.25
"""

# The recipes, and the libraries themselves, keep the name that transformers below 5.23 know too.
pytestmark = pytest.mark.filterwarnings("ignore:`(is_)?gradient_checkpointing` is deprecated:FutureWarning")
torch = pytest.importorskip("torch")
pytest.importorskip("trl")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, eye: Path, cheap_looks: Any) -> SimpleNamespace:
    """Two steps from nothing."""
    from training.sfe.train import train_sfe

    out = tmp_path_factory.mktemp("sft")
    recipe = out / "recipe.yaml"
    filled = RECIPE.replace("OUT", str(out / "run")).replace("EYE", str(eye)).replace("CASES", str(out / "cases"))
    recipe.write_text(filled, encoding="utf-8")
    folder = train_sfe(recipe, [], lambda _: cheap_looks)
    return SimpleNamespace(out=out / "run", folder=folder, recipe=recipe)


def load(folder: Path) -> Any:
    from transformers import AutoModelForImageTextToText

    import agent.vlm  # noqa: F401 - registers the classes

    return AutoModelForImageTextToText.from_pretrained(folder)


def test_words_are_learnt_and_the_eye_is_left_alone(run: SimpleNamespace, eye: Path) -> None:
    from agent.vlm import SageVisionModel

    before, after = load(run.out / "base").state_dict(), load(run.folder).state_dict()
    assert before.keys() == after.keys()
    moved = {k for k, v in after.items() if not torch.equal(v, before[k])}
    tower = {k for k in after if "vision_tower" in k}
    assert tower
    assert not moved & tower
    assert {k for k in after if "language_model" in k} <= moved
    assert any("multi_modal_projector" in k for k in moved)
    first = SageVisionModel.from_pretrained(eye).state_dict()
    kept = {k.split("vision_tower.", 1)[1]: v for k, v in after.items() if k in tower}
    assert kept.keys() == first.keys()
    assert all(torch.equal(v, first[k]) for k, v in kept.items())


def test_the_losses_are_finite(run: SimpleNamespace) -> None:
    log = json.loads((run.out / "checkpoint-2" / "trainer_state.json").read_text())["log_history"]
    losses = [entry["loss"] for entry in log if "loss" in entry]
    assert len(losses) == 2
    assert all(math.isfinite(loss) and loss > 0 for loss in losses)


def test_the_card_says_how_it_was_trained(run: SimpleNamespace, eye: Path) -> None:
    card = json.loads((run.folder / "training.json").read_text())
    assert (card["stage"], card["steps"], card["width"]) == ("sfe", 2, 32)


def test_the_result_loads_through_the_auto_classes_and_answers(run: SimpleNamespace) -> None:
    from PIL import Image
    from transformers import AutoProcessor

    from agent.vlm import SageForConditionalGeneration, SageProcessor

    model, processor = load(run.folder).eval(), AutoProcessor.from_pretrained(run.folder)
    assert isinstance(model, SageForConditionalGeneration)
    assert isinstance(processor, SageProcessor)
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Question: Is it bent?"}]}]
    prompt = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (224, 300, 3), dtype=np.uint8))
    inputs = processor(text=prompt, images=[photo], return_tensors="pt")
    assert inputs["pixel_values"].shape == (1, 3, SIDE, SIDE)
    assert -1 <= float(inputs["pixel_values"].min()) < 0 < float(inputs["pixel_values"].max()) <= 1
    placeholders = int((inputs["input_ids"] == model.config.image_token_id).sum())
    assert placeholders == model.config.image_seq_length == 4
    with torch.inference_mode():
        out = model.generate(**inputs, max_new_tokens=3, do_sample=False)
        assert torch.isfinite(model(**inputs).logits).all()
    assert out.shape[1] <= inputs["input_ids"].shape[1] + 3
    # What the model sees has a say in what it says.
    with torch.inference_mode():
        other = model(**{**inputs, "pixel_values": -inputs["pixel_values"]}).logits
        assert not torch.allclose(other[0, -1], model(**inputs).logits[0, -1])


def test_the_processor_shows_the_eye_what_the_detectors_show_it(run: SimpleNamespace, eye: Path) -> None:
    """One photo, two ways in: tools and model must see the same pixels, up to rounding."""
    from PIL import Image
    from transformers import AutoProcessor

    from agent.vlm import Eye
    from training.draw.scene import draw_case

    photo = Image.fromarray(draw_case((41, 0)).test)
    processor = AutoProcessor.from_pretrained(run.folder)
    values = processor(text="<IMG_CONTEXT>", images=[photo], return_tensors="pt")["pixel_values"]
    seen = Eye.load(eye)
    with torch.inference_mode():
        hidden = torch.nn.functional.normalize(seen.model(values).last_hidden_state[0], dim=-1)
    alike = (hidden.reshape(8, 8, -1) * torch.from_numpy(seen.patches(photo).features)).sum(-1)
    assert float(alike.min()) > 0.99


def test_citations_and_control_marks_are_single_tokens(run: SimpleNamespace) -> None:
    from transformers import AutoProcessor

    from agent.vlm.nano import ALIASES, END, IMAGE, PAD, START_TURN, said_in_one
    from agent.vlm.tool_calls import tool_call_text

    tokenizer = AutoProcessor.from_pretrained(run.folder).tokenizer
    for text in (*ALIASES, END, IMAGE, PAD, START_TURN, *said_in_one()):
        assert len(tokenizer.encode(text, add_special_tokens=False)) == 1, text
    assert len({tokenizer.encode(alias)[0] for alias in ALIASES}) == len(ALIASES)
    answer = "True. The heat map is high [E1]. It fits [F2][E12]."
    ids = tokenizer.encode(answer)
    assert tokenizer.decode(ids, skip_special_tokens=True) == answer
    call = tool_call_text("query_facts", {"query": "cause of crack", "defect_types": ["crack"]})
    ids = tokenizer.encode(call)
    assert tokenizer.decode(ids, skip_special_tokens=True) == call
    assert len(ids) < 20
    # Digits stand alone, so that numbers can be copied.
    assert len(tokenizer.encode("0.51")) == 4
    assert tokenizer.padding_side == "left"


def test_a_verdict_opens_with_a_whole_word(kept: Path) -> None:
    """The verdict's probability is read from the first token: `T` would be no word to look for."""
    from datasets import load_from_disk

    from agent.vlm.nano import train_tokenizer
    from training.sfe.start import texts

    tokenizer = train_tokenizer(texts(load_from_disk(kept), 300, 0), 3072)
    assert tokenizer.tokenize("True. It is.")[:2] == ["True", "."]
    assert tokenizer.tokenize("False. It is.")[:2] == ["False", "."]
    # Room for what the recipes' 300 cases say, in few tokens a word.
    assert len(tokenizer.tokenize("The heat map is very high and marks the upper left [E1].")) <= 16


@pytest.mark.parametrize("text", ["é ü 漢字 🔩", "a\n\n b\t c  d", "{}<>|[F99]", ""])
def test_any_text_survives_the_tokenizer(run: SimpleNamespace, text: str) -> None:
    from transformers import AutoProcessor

    tokenizer = AutoProcessor.from_pretrained(run.folder).tokenizer
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_loss_is_on_the_reply_alone(run: SimpleNamespace, kept: Path) -> None:
    """Prompt and image tokens carry no loss, the end of the turn does."""
    from transformers import AutoProcessor
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    processor = AutoProcessor.from_pretrained(run.folder)
    made = list(islice(rows_of(kept), 3))
    batch = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)(made)
    tokenizer = processor.tokenizer
    for labels, row in zip(batch["labels"], made, strict=True):
        reply = row["completion"][0]["content"][0]["text"]
        assert tokenizer.decode(labels[labels >= 0]).strip() == f"{reply}<|im_end|>"
    assert int((batch["input_ids"] == tokenizer.vocab["<IMG_CONTEXT>"]).sum()) == 4 * sum(
        len(r["images"]) for r in made
    )


def test_passing_over_the_prompt_changes_no_loss(
    run: SimpleNamespace, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import trl.trainer.utils
    from transformers import AutoProcessor
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling
    from trl.trainer.utils import add_fused_lm_head

    from training.sfe.start import score_replies_alone

    processor = AutoProcessor.from_pretrained(run.folder)
    batch = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)(list(islice(rows_of(kept), 3)))
    model = load(run.folder)
    add_fused_lm_head(model)

    def step() -> tuple[int, Any, list[Any]]:
        scored: list[int] = []
        apply = trl.trainer.utils._ChunkedLogProbFunction.apply
        monkeypatch.setattr(
            trl.trainer.utils._ChunkedLogProbFunction,
            "apply",
            lambda hidden, *rest: (scored.append(len(hidden)), apply(hidden, *rest))[1],
        )
        model.zero_grad()
        loss = model(**batch, fused_lm_head=True).loss
        loss.backward()
        return scored[0], loss, [p.grad.clone() for p in model.parameters() if p.grad is not None]

    monkeypatch.setattr(trl.trainer.utils, "_use_triton", lambda device: False)
    everything, loss, gradients = step()
    score_replies_alone()
    replies, same, alike = step()
    assert replies == int((batch["labels"][:, 1:] >= 0).sum()) < everything
    torch.testing.assert_close(same, loss)
    torch.testing.assert_close(alike, gradients)


def test_a_second_run_goes_on_from_the_checkpoint(run: SimpleNamespace, cheap_looks: Any, tmp_path: Path) -> None:
    import shutil

    from training.sfe.train import train_sfe

    shutil.copytree(run.out, tmp_path / "run")
    folder = train_sfe(run.recipe, [f"output_dir={tmp_path / 'run'}", "max_steps=3"], lambda _: cheap_looks)
    assert json.loads((folder / "training.json").read_text())["steps"] == 3
    log = json.loads((tmp_path / "run" / "checkpoint-3" / "trainer_state.json").read_text())["log_history"]
    assert [entry["step"] for entry in log if "loss" in entry] == [1, 2, 3]


def test_a_second_run_begins_with_the_weights_of_the_checkpoint(
    run: SimpleNamespace, cheap_looks: Any, tmp_path: Path
) -> None:
    import shutil

    from training.sfe.train import train_sfe

    shutil.copytree(run.out, tmp_path / "run")
    standing = ["max_steps=3", "learning_rate=0", "weight_decay=0", "lr_scheduler_type=constant"]
    (tmp_path / "run" / "checkpoint-2" / "optimizer.pt").unlink()
    (tmp_path / "run" / "checkpoint-2" / "scheduler.pt").unlink()
    folder = train_sfe(run.recipe, [f"output_dir={tmp_path / 'run'}", *standing], lambda _: cheap_looks)
    trained, after = load(run.folder).state_dict(), load(folder).state_dict()
    assert all(torch.equal(value, trained[name]) for name, value in after.items())


def test_checkpoints_of_another_run_are_not_gone_on_with(run: SimpleNamespace, cheap_looks: Any) -> None:
    from training.sfe.train import train_sfe

    with pytest.raises(RecipeError, match=r"output_dir .*: holds a run with other tellings; name another folder"):
        train_sfe(run.recipe, ["tellings=2"], lambda _: cheap_looks)


@pytest.mark.parametrize("wrong", ["model_name_or_path=NOWHERE", "eye=NOWHERE"])
def test_what_is_not_there_is_named_before_anything_is_drawn(
    run: SimpleNamespace, cheap_looks: Any, wrong: str, tmp_path: Path
) -> None:
    from training.sfe.train import train_sfe

    cases = tmp_path / "cases"
    overrides = [wrong.replace("NOWHERE", str(tmp_path / "nowhere")), f"cases_dir={cases}"]
    with pytest.raises(RecipeError, match=rf"^{wrong[:4].strip('=')}.*nowhere': no "):
        train_sfe(run.recipe, overrides, lambda _: cheap_looks)
    assert not cases.exists()


def test_reading_alone_trains_the_language_model(run: SimpleNamespace, cheap_looks: Any, tmp_path: Path) -> None:
    from training.sfe.train import train_sfe

    overrides = [f"output_dir={tmp_path / 'run'}", "images=false", "tasks=[screen]", "max_steps=1", "save_steps=1"]
    folder = train_sfe(run.recipe, overrides, lambda _: cheap_looks)
    before, after = load(tmp_path / "run" / "base").state_dict(), load(folder).state_dict()
    moved = {k for k, v in after.items() if not torch.equal(v, before[k])}
    assert any("language_model" in k for k in moved)
    assert not any("vision_tower" in k or "multi_modal_projector" in k for k in moved)


@pytest.mark.parametrize("lora", [False, True])
def test_a_fusion_that_is_not_to_be_trained_stays_as_it_is(
    run: SimpleNamespace, cheap_looks: Any, tmp_path: Path, lora: bool
) -> None:
    from training.sfe.train import train_sfe

    own = [f"model_name_or_path={run.folder}", "fusion_trained=false", f"use_peft={str(lora).lower()}"]
    folder = train_sfe(run.recipe, [*own, f"output_dir={tmp_path / 'run'}"], lambda _: cheap_looks)
    before, after = load(run.folder).state_dict(), load(folder).state_dict()
    moved = {k for k, v in after.items() if not torch.equal(v, before[k])}
    assert not any("fact_fusion" in k for k in moved)
    for part in ("language_model", "multi_modal_projector"):
        assert any(part in k for k in moved), part
    assert "fact_fusion" not in json.loads((folder / "training.json").read_text())["trained"]


def test_an_unknown_task_is_refused(run: SimpleNamespace, cheap_looks: Any) -> None:
    from training.sfe.train import train_sfe

    with pytest.raises(RecipeError, match=r"tasks \['read'\]: no such tasks; there are \["):
        train_sfe(run.recipe, ["tasks=[read]"], lambda _: cheap_looks)


# --- other beginnings, other data, several processes ---


def test_a_photo_that_comes_again_is_looked_up(eye: Path) -> None:
    from agent.vlm import SageVisionModel
    from training.sfe.remembered import remember

    tower = SageVisionModel.from_pretrained(eye).eval().requires_grad_(False)
    photos = torch.rand(3, 3, SIDE, SIDE) * 2 - 1
    expected = tower(photos).last_hidden_state
    looked = []
    inner = tower.forward

    def counted(pixel_values: Any, **kwargs: Any) -> Any:
        looked.append(len(pixel_values))
        return inner(pixel_values, **kwargs)

    tower.forward = counted
    remember(tower, 2)
    for _ in range(2):
        seen = tower(photos[[0, 1, 2, 0]]).last_hidden_state
        assert torch.allclose(seen, expected[[0, 1, 2, 0]], atol=2e-3)
    assert looked == [3, 1]  # one more than it may keep


@pytest.fixture(scope="module")
def internvl(tmp_path_factory: pytest.TempPathFactory, run: SimpleNamespace) -> Path:
    """A random InternVL of transformers' own classes that cuts photos into tiles."""
    from transformers import (
        AutoProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVisionConfig,
        Qwen2Config,
    )
    from transformers.models.got_ocr2.image_processing_got_ocr2 import GotOcr2ImageProcessor

    from agent.vlm.sfe import MARKS

    folder, ours = tmp_path_factory.mktemp("internvl"), AutoProcessor.from_pretrained(run.folder)
    tokenizer = ours.tokenizer
    assert all(mark in tokenizer.get_vocab() for mark in MARKS)
    vision = InternVLVisionConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, image_size=56, patch_size=14
    )
    text = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    token = tokenizer.vocab["<IMG_CONTEXT>"]
    config = InternVLConfig(vision_config=vision, text_config=text, image_token_id=token, image_seq_length=4)
    InternVLForConditionalGeneration(config).save_pretrained(folder)
    images = GotOcr2ImageProcessor(size={"height": 56, "width": 56}, max_patches=2)
    InternVLProcessor(
        images, tokenizer, ours.video_processor, image_seq_length=4, chat_template=ours.chat_template
    ).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("lora", [False, True])
def test_an_internvl_learns_from_ranked_answers_in_full_or_by_adapters(
    run: SimpleNamespace, internvl: Path, ranked: Path, cheap_looks: Any, tmp_path: Path, lora: bool
) -> None:
    """Exactly the parts that the method trains change; what comes out is a whole model with a card."""
    from transformers import AutoProcessor

    from agent.vlm import SageForConditionalGeneration
    from training.sfe.train import train_sfe

    start = SageForConditionalGeneration.from_internvl(internvl).state_dict()
    overrides = [
        f"model_name_or_path={internvl}", f"adpl={ranked}", f"output_dir={tmp_path / 'run'}", "tiles=2", "distinct_patches=4",
        "max_steps=10", "learning_rate=0.01", f"use_peft={str(lora).lower()}", "lora_r=4", "logging_steps=5",
    ]  # fmt: skip
    folder = train_sfe(run.recipe, overrides, lambda _: cheap_looks)
    model = load(folder)
    assert isinstance(model, SageForConditionalGeneration)
    after = model.state_dict()
    assert after.keys() == start.keys()
    moved = {name for name in after if not torch.equal(after[name], start[name])}
    assert not any("vision_tower" in name for name in moved)
    for part in (
        "fact_fusion.out",
        "multi_modal_projector.linear_1",
        "layers.0.self_attn.q_proj",
        "layers.0.mlp.up_proj",
    ):
        assert any(part in name for name in moved), part
    words = {name for name in moved if "embed_tokens" in name or "lm_head" in name or "layernorm" in name}
    assert bool(words) is not lora
    assert not list(folder.glob("*.bin"))
    card = json.loads((folder / "training.json").read_text())
    assert card["stage"] == "sfe"
    assert card["trained"] == ["multi_modal_projector", "fact_fusion", "language_model"]
    assert card["lora"] == ({"rank": 4, "alpha": 32} if lora else None)
    assert len(card["data"]["digest"]) == 64
    assert 0 < card["throughput"]["share_of_matmul_peak"] < 1
    assert card["data"]["digest"] in (folder / "README.md").read_text()
    processor = AutoProcessor.from_pretrained(folder)
    assert processor.image_processor.crop_to_patches
    assert processor.image_processor.max_patches == 2


def test_the_checkpoint_that_does_best_in_the_exam_is_kept(
    run: SimpleNamespace, cheap_looks: Any, tmp_path: Path
) -> None:
    """The exam is the real one; its figures, not the loss, choose the checkpoint."""
    from evals.exam import Exam
    from training.sfe.train import train_sfe

    given = iter([3.0, 2.0])
    sat = []

    class Marked(Exam):
        def __call__(self, model: Any, processor: Any) -> dict[str, float]:
            figures = super().__call__(model, processor)
            sat.append({name: p.clone() for name, p in model.state_dict().items()})
            assert 1 <= figures["mle"] <= 5
            assert 0 <= figures["accuracy"] <= 1
            return figures | {"mle": next(given)}

    overrides = [
        f"output_dir={tmp_path / 'run'}", f"exam_dir={tmp_path / 'exam'}", "exam_cases=4", "max_steps=2", "save_steps=1",
        "eval_strategy=steps", "eval_steps=1", "load_best_model_at_end=true", "metric_for_best_model=eval_mle",
        "greater_is_better=true", "tasks=[alone, judge]",
    ]  # fmt: skip
    folder = train_sfe(run.recipe, overrides, lambda _: cheap_looks, Marked)
    best = load(folder).state_dict()
    assert all(torch.equal(value, sat[0][name]) for name, value in best.items() if name in sat[0])
    assert not all(torch.equal(sat[1][name], sat[0][name]) for name in sat[0])
    figures = json.loads((folder / "training.json").read_text())["figures"]
    assert figures["eval_mle"] == 3.0  # of the checkpoint that was kept
    assert "eval_loss" in figures
    assert "| eval_mle |" in (folder / "README.md").read_text()


@pytest.mark.slow  # two processes import everything
def test_two_processes_train_as_one_does(run: SimpleNamespace, eye: Path, cheap_looks: Any, tmp_path: Path) -> None:
    import subprocess
    import sys

    from agent.vlm.eye import weights_revision
    from training.cases import kept_cases
    from training.recipe import read

    kept_cases(tmp_path / "cases", 8, 5_000_000, cheap_looks, processes=1, eye=weights_revision(eye))
    assert read(run.recipe, [])["cases"] == 8
    losses = {}
    for processes in (1, 2):
        out = tmp_path / f"run{processes}"
        overrides = [
            f"output_dir={out}", f"cases_dir={tmp_path / 'cases'}", f"per_device_train_batch_size={4 // processes}",
            "max_steps=3", "save_steps=3",
        ]  # fmt: skip
        # On processors `accelerate launch` starts a single process unless there is MPI; this is what it starts on GPUs.
        launch = ["-m", "torch.distributed.run", "--nproc_per_node", str(processes), "-m", "agent", "train", "sfe"]
        done = subprocess.run(
            [sys.executable, *launch, "--config", str(run.recipe), *overrides], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert json.loads((out / "model" / "training.json").read_text())["processes"] == processes
        log = json.loads((out / "checkpoint-3" / "trainer_state.json").read_text())["log_history"]
        losses[processes] = [entry["loss"] for entry in log if "loss" in entry]
    assert losses[1] == pytest.approx(losses[2], abs=1e-4)
    assert len(losses[1]) == 3
