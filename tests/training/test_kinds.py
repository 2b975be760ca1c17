"""Training of the classifier of close-ups through its real entry point, and what it is shown."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
SIDE = 32
RECIPE = f"""
output_dir: OUT
max_steps: 2
per_device_train_batch_size: 2
per_device_eval_batch_size: 4
learning_rate: 1e-3
dataloader_num_workers: 0
eval_strategy: steps
eval_steps: 2
save_steps: 2
logging_steps: 1
report_to: none
disable_tqdm: true
use_cpu: true
seed: 0
image_size: {SIDE}
sound: 0.5
validated: 8
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two steps, then one more."""
    from agent.vlm import SageVisionForImageClassification
    from training.kinds import train_kinds

    out = tmp_path_factory.mktemp("kinds")
    recipe = out / "recipe.yaml"
    recipe.write_text(RECIPE.replace("OUT", str(out / "run")), encoding="utf-8")
    folder = train_kinds(recipe, [])
    load = SageVisionForImageClassification.from_pretrained
    first = {k: v.clone() for k, v in load(folder).state_dict().items()}
    train_kinds(recipe, ["max_steps=3"])
    return {"folder": folder, "first": first, "second": load(folder).state_dict(), "out": out / "run"}


def test_it_starts_from_the_eye_and_trains_trunk_and_head(run: dict[str, Any]) -> None:
    from agent.vlm import Eye
    from agent.vlm.nano import shipped

    eye = Eye.load(shipped("sage-eye")).model.state_dict()
    for name, weight in eye.items():
        trained = name.startswith("st")  # stem and stages
        if weight.is_floating_point():
            assert torch.equal(run["first"][f"vision.{name}"], weight) != trained, name
    moved = [
        k
        for k, v in run["second"].items()
        if k.startswith(("head", "top", "classifier")) and not torch.equal(v, run["first"][k])
    ]
    assert moved


def test_a_second_run_goes_on_from_the_checkpoint(run: dict[str, Any]) -> None:
    import json

    state = json.loads((run["out"] / "checkpoint-3" / "trainer_state.json").read_text())
    assert [e["step"] for e in state["log_history"] if "loss" in e] == [1, 2, 3]
    scores, *_ = [e for e in state["log_history"] if "eval_top1" in e]
    assert 0 <= scores["eval_top1"] <= scores["eval_top3"] <= 1


def test_what_was_saved_names_kinds_of_a_close_up(run: dict[str, Any]) -> None:
    from PIL import Image
    from transformers import AutoModelForImageClassification

    from agent.vlm.kinds import NAMED, Kinds
    from training.kinds import KINDS

    assert (
        type(AutoModelForImageClassification.from_pretrained(run["folder"])).__name__
        == "SageVisionForImageClassification"
    )
    named = Kinds.load(run["folder"])(Image.new("RGB", (90, 90), (128, 90, 60)))
    assert len(named) == NAMED
    assert {kind for kind, _ in named} <= set(KINDS)
    chances = [p for _, p in named]
    assert chances == sorted(chances, reverse=True)
    assert 0 < sum(chances) <= 1


def test_the_loss_is_a_cross_entropy_over_the_kinds(run: dict[str, Any]) -> None:
    from agent.vlm import SageVisionForImageClassification

    model = SageVisionForImageClassification.from_pretrained(run["folder"]).eval()
    x, labels = torch.randn(3, 3, SIDE, SIDE), torch.tensor([0, 5, 9])
    out = model(x, labels)
    by_hand = -out.logits.double().log_softmax(1)[torch.arange(3), labels].mean()
    assert out.loss.item() == pytest.approx(by_hand.item(), abs=1e-5)


def test_the_classes_are_what_training_may_name() -> None:
    from agent.vlm.kinds import SOUND, Kinds
    from agent.vlm.nano import shipped
    from training.draw.splits import HELD_OUT_TYPES
    from training.kinds import KINDS

    assert KINDS[-1] == SOUND
    assert not HELD_OUT_TYPES.intersection(KINDS)
    assert tuple(Kinds.load(shipped("sage-kinds")).model.config.id2label.values()) == KINDS


def test_a_close_up_shows_the_box_in_its_middle_and_reflects_at_the_edge() -> None:
    from training.kinds import KEPT, close_up

    photo = np.zeros((200, 200, 3), np.uint8)
    photo[90:110, 80:120] = 255
    seen = close_up(photo, (80, 90, 120, 110), 108)[..., 0] > 127
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    assert columns.mean() == pytest.approx(53.5, abs=1)
    assert len(columns) == pytest.approx(108 / KEPT, abs=2)
    assert len(rows) == pytest.approx(108 / KEPT / 2, abs=2)
    corner = close_up(np.tile(np.arange(200, dtype=np.uint8)[:, None, None], (1, 200, 3)), (0, 0, 40, 40), 108)[
        :, 50, 0
    ]
    assert corner[0] > corner[20] < corner[-1]


def test_sound_places_and_defects_come_in_their_shares() -> None:
    from agent.vlm.nano import shipped
    from training.kinds import KINDS, DrawnCloseUps

    eye = shipped("sage-eye")
    sound = [int(c["labels"]) for c in islice(DrawnCloseUps(3, eye, SIDE, 1.0), 3)]
    defects = [int(c["labels"]) for c in islice(DrawnCloseUps(3, eye, SIDE, 0.0), 3)]
    assert sound == [len(KINDS) - 1] * 3
    assert len(KINDS) - 1 not in defects
    again = next(iter(DrawnCloseUps(3, eye, SIDE, 0.0)))
    assert torch.equal(again["photos"], next(iter(DrawnCloseUps(3, eye, SIDE, 0.0)))["photos"])
    assert again["photos"].shape == (3, SIDE * 3 // 2, SIDE * 3 // 2)


def test_a_missing_encoder_is_named(tmp_path: Path) -> None:
    from training.kinds import train_kinds
    from training.recipe import RecipeError

    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.replace("OUT", str(tmp_path)), encoding="utf-8")
    with pytest.raises(RecipeError, match="train encoder"):
        train_kinds(recipe, [f"eye={tmp_path / 'none'}"])
