"""Supervised training through its real entry point: words are learnt, the eye is left alone, and the result loads."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

SIDE = 64
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
vocabulary: 600
tokenizer_cases: 3
width: 32
layers: 1
heads: 2
ratio: 0.25
held_out: [gear]
"""

# The recipes keep the name that transformers below 5.23 know too.
pytestmark = pytest.mark.filterwarnings("ignore:`gradient_checkpointing` is deprecated:FutureWarning")
torch = pytest.importorskip("torch")
pytest.importorskip("trl")


@pytest.fixture(scope="module")
def eye(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An eye with random weights and an image side of 64, where photos are drawn at 224."""
    from agent.vlm import SageVisionConfig, SageVisionModel

    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("eye")
    SageVisionModel(SageVisionConfig(image_size=SIDE)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, eye: Path, cheap_looks: Any) -> SimpleNamespace:
    """Two steps from nothing."""
    from training.sft import train_sft

    out = tmp_path_factory.mktemp("sft")
    recipe = out / "recipe.yaml"
    recipe.write_text(RECIPE.replace("OUT", str(out / "run")).replace("EYE", str(eye)), encoding="utf-8")
    folder = train_sft(recipe, [], cheap_looks)
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
    assert (card["stage"], card["steps"], card["width"], card["held_out"]) == ("sft", 2, 32, ["gear"])


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

    from agent.vlm.nano import ALIASES, END, IMAGE, PAD, START_TURN

    tokenizer = AutoProcessor.from_pretrained(run.folder).tokenizer
    for text in (*ALIASES, END, IMAGE, PAD, START_TURN):
        assert len(tokenizer.encode(text, add_special_tokens=False)) == 1, text
    assert len({tokenizer.encode(alias)[0] for alias in ALIASES}) == len(ALIASES)
    answer = "True. The heat map is high [E1]. It fits [F2][E12]."
    ids = tokenizer.encode(answer)
    assert tokenizer.decode(ids, skip_special_tokens=True) == answer
    # Digits stand alone, so that numbers can be copied.
    assert len(tokenizer.encode("0.51")) == 4
    assert tokenizer.padding_side == "left"


def test_a_verdict_opens_with_a_whole_word(cheap_looks: Any) -> None:
    """The verdict's probability is read from the first token: `T` would be no word to look for."""
    from agent.vlm.nano import train_tokenizer
    from training.sft import SftArguments, _texts

    tokenizer = train_tokenizer(_texts(cheap_looks, SftArguments(eye="not read", tokenizer_cases=25)), 3072)
    assert tokenizer.tokenize("True. It is.")[:2] == ["True", "."]
    assert tokenizer.tokenize("False. It is.")[:2] == ["False", "."]
    # Room for what the recipes' 300 cases say, in few tokens a word.
    assert len(tokenizer.tokenize("The heat map is very high and marks the upper left [E1].")) <= 16


@pytest.mark.parametrize("text", ["é ü 漢字 🔩", "a\n\n b\t c  d", "{}<>|[F99]", ""])
def test_any_text_survives_the_tokenizer(run: SimpleNamespace, text: str) -> None:
    from transformers import AutoProcessor

    tokenizer = AutoProcessor.from_pretrained(run.folder).tokenizer
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_loss_is_on_the_reply_alone(run: SimpleNamespace, cheap_looks: Any) -> None:
    """Prompt and image tokens carry no loss, the end of the turn does."""
    from transformers import AutoProcessor
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    processor = AutoProcessor.from_pretrained(run.folder)
    made = list(islice(rows_of(cheap_looks), 3))
    batch = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)(made)
    tokenizer = processor.tokenizer
    for labels, row in zip(batch["labels"], made, strict=True):
        reply = row["completion"][0]["content"][0]["text"]
        assert tokenizer.decode(labels[labels >= 0]).strip() == f"{reply}<|im_end|>"
    assert int((batch["input_ids"] == tokenizer.vocab["<IMG_CONTEXT>"]).sum()) == 4 * sum(
        len(r["images"]) for r in made
    )


def test_a_second_run_goes_on_from_the_checkpoint(run: SimpleNamespace, cheap_looks: Any, tmp_path: Path) -> None:
    import shutil

    from training.sft import train_sft

    shutil.copytree(run.out, tmp_path / "run")
    folder = train_sft(run.recipe, [f"output_dir={tmp_path / 'run'}", "max_steps=3"], cheap_looks)
    assert json.loads((folder / "training.json").read_text())["steps"] == 3
    log = json.loads((tmp_path / "run" / "checkpoint-3" / "trainer_state.json").read_text())["log_history"]
    assert [entry["step"] for entry in log if "loss" in entry] == [1, 2, 3]


def test_an_unknown_family_to_hold_out_is_refused(run: SimpleNamespace, cheap_looks: Any) -> None:
    from training.recipe import RecipeError
    from training.sft import train_sft

    with pytest.raises(RecipeError, match=r"held_out \['gears'\]: no such families; there are \["):
        train_sft(run.recipe, ["held_out=[gears]"], cheap_looks)


# --- rows ---


def rows_of(look: Any, **more: Any) -> Iterator[dict[str, Any]]:
    from training.draw.scene import FAMILIES
    from training.sft import rows

    settings: dict[str, Any] = {
        "seed": 6, "families": tuple(f.name for f in FAMILIES), "batch": 2, "start": 0, "shards": [0],
    }  # fmt: skip
    return rows(look, **(settings | more))


def print_of(row: dict[str, Any]) -> tuple[str, str, bytes]:
    return (
        row["prompt"][0]["content"][-1]["text"],
        row["completion"][0]["content"][0]["text"],
        row["images"][0].tobytes(),
    )


def test_rows_are_the_same_every_time_and_shards_draw_apart(cheap_looks: Any) -> None:
    first = [print_of(r) for r in islice(rows_of(cheap_looks), 16)]
    assert first == [print_of(r) for r in islice(rows_of(cheap_looks), 16)]
    other = [print_of(r) for r in islice(rows_of(cheap_looks, shards=[1]), 16)]
    assert not {image for *_, image in first} & {image for *_, image in other}


def test_rows_of_a_batch_are_of_like_length(cheap_looks: Any) -> None:
    made = list(islice(rows_of(cheap_looks, batch=4), 32))
    lengths = np.array([len(r["prompt"][0]["content"][-1]["text"]) for r in made]).reshape(8, 4)
    assert np.ptp(lengths, axis=1).mean() < 0.5 * np.ptp(lengths)


def test_held_out_families_are_never_drawn(cheap_looks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import training.sft as sft

    drawn, real = [], sft.draw_case

    def draw_case(*args: Any, **options: Any) -> Any:
        case = real(*args, **options)
        drawn.append(case.family)
        return case

    monkeypatch.setattr(sft, "draw_case", draw_case)
    list(islice(rows_of(cheap_looks, families=("gear", "wood")), 16))
    assert set(drawn) == {"gear", "wood"}
