"""Training of the eye through its real entry point: it learns something, saves it, and goes on where it stopped."""

from __future__ import annotations

import json
import math
from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

SIDE, BATCH = 64, 2
RECIPE = f"""
output_dir: OUT
max_steps: 3
per_device_train_batch_size: {BATCH}
per_device_eval_batch_size: 4
learning_rate: 1e-3
dataloader_num_workers: 0
eval_strategy: steps
eval_steps: 3
save_steps: 2
logging_steps: 1
report_to: none
disable_tqdm: true
use_cpu: true
seed: 0
image_size: {SIDE}
warmup_contrast: 1
"""

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two runs into one folder: 3 steps, then 2 more after the checkpoint of step 2 or 3."""
    import training.encoder as encoder

    patch = pytest.MonkeyPatch()
    out = tmp_path_factory.mktemp("encoder")
    recipe = out / "recipe.yaml"
    recipe.write_text(RECIPE.replace("OUT", str(out / "run")), encoding="utf-8")
    validation, drawn, starts = encoder.validation, encoder.DrawnPairs, []

    class Spy(drawn):  # type: ignore[valid-type, misc]
        def __init__(self, seed: int, *args: Any, start: int = 0, **kwargs: Any) -> None:
            starts.append((seed, start))
            super().__init__(seed, *args, start=start, **kwargs)

    patch.setattr(encoder, "validation", lambda images, size, workers: validation(24, size=size))
    patch.setattr(encoder, "DrawnPairs", Spy)
    try:
        first = encoder.train_encoder(recipe, [])
        weights = {k: v.clone() for k, v in encoder.SageVisionModel.from_pretrained(first).state_dict().items()}
        log = json.loads((out / "run" / "checkpoint-3" / "trainer_state.json").read_text())["log_history"]
        second = encoder.train_encoder(recipe, ["max_steps=5"])
    finally:
        patch.undo()
    return SimpleNamespace(out=out / "run", first=first, second=second, weights=weights, log=log, starts=starts)


def fresh() -> Any:
    from agent.vlm import SageVisionConfig, SageVisionModel

    torch.manual_seed(0)
    return SageVisionModel(SageVisionConfig(image_size=SIDE))


def test_training_moves_every_weight(run: Any) -> None:
    start = fresh().state_dict()
    assert run.weights.keys() == start.keys()
    same = [k for k, v in run.weights.items() if torch.equal(v, start[k])]
    assert same == []


def test_the_losses_are_finite_and_the_scores_are_shares(run: Any) -> None:
    losses = [entry["loss"] for entry in run.log if "loss" in entry]
    assert len(losses) == 3
    assert all(math.isfinite(loss) and loss > 0 for loss in losses)
    (scores,) = [entry for entry in run.log if "eval_auroc_one_shot" in entry]
    assert 0 <= scores["eval_auroc_one_shot"] <= 1
    assert 0 <= scores["eval_auroc_zero_shot"] <= 1
    assert math.isfinite(scores["eval_loss"])


def test_what_was_saved_loads_through_the_auto_classes(run: Any) -> None:
    from transformers import AutoConfig, AutoModel

    from agent.vlm import SageVisionModel

    assert run.first == run.second == run.out / "encoder"
    model = AutoModel.from_pretrained(run.second)
    assert isinstance(model, SageVisionModel)
    assert AutoConfig.from_pretrained(run.second).image_size == SIDE
    assert not model.training
    with torch.inference_mode():
        out = model(torch.zeros(1, 3, SIDE, SIDE))
    assert out.last_hidden_state.shape == (1, 64, model.config.hidden_size)
    assert out.defect_logits.shape == (1, 64)


def test_a_second_run_goes_on_from_the_checkpoint(run: Any) -> None:
    state = json.loads((run.out / "checkpoint-5" / "trainer_state.json").read_text())
    assert state["global_step"] == 5
    logged = [entry["step"] for entry in state["log_history"] if "loss" in entry]
    assert logged == [1, 2, 3, 4, 5]
    # The stream of drawings goes on too, instead of being drawn again.
    training = [start for seed, start in run.starts if seed == 1]
    assert training == [0, 3 * BATCH]


def test_the_warm_up_does_not_start_over(run: Any) -> None:
    from safetensors.torch import load_file

    assert int(load_file(run.out / "checkpoint-5" / "model.safetensors")["steps"]) == 5


def test_the_second_run_trains_on(run: Any) -> None:
    from agent.vlm import SageVisionModel

    later = SageVisionModel.from_pretrained(run.second).state_dict()
    assert any(not torch.equal(v, run.weights[k]) for k, v in later.items())


# --- the stream ---


def test_workers_share_the_stream_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import training.pairs as pairs

    def first(count: int, worker: Any = None) -> list[bytes]:
        monkeypatch.setattr(pairs, "get_worker_info", lambda: worker)
        return [c["photos"].numpy().tobytes() for c in islice(pairs.DrawnPairs(1, 32, 1, start=3), count)]

    alone = first(6)
    halves = [first(3, SimpleNamespace(num_workers=2, id=i)) for i in range(2)]
    assert [photo for pair in zip(*halves, strict=True) for photo in pair] == alone
    assert len(set(alone)) == 6


def test_drawn_pairs_are_tensors_of_the_case() -> None:
    from training.augment import to_pixel_values
    from training.draw.families import FAMILIES
    from training.draw.scene import draw_case
    from training.draw.splits import SPLITS
    from training.pairs import DrawnPairs

    (pair,) = islice(DrawnPairs(1, 32, 2, start=7), 1)
    split = SPLITS["train"]
    case = draw_case((1, 7), size=32, anomalous=0.7, references=2, families=split.families, types=split.types)
    np.testing.assert_array_equal(pair["photos"][0].permute(1, 2, 0).numpy(), case.test)
    np.testing.assert_array_equal(pair["photos"][2].permute(1, 2, 0).numpy(), case.references[1])
    np.testing.assert_array_equal(pair["mask"].numpy(), case.mask)
    assert bool(pair["still"]) == case.aligned
    fills = next(f.fills for f in FAMILIES if f.name == case.family)
    assert bool(pair["close"]) == (case.aligned or fills)
    values = to_pixel_values(torch.tensor([0, 255], dtype=torch.uint8))
    assert values.tolist() == [-1, 1]


def test_validation_is_fixed_and_apart_from_training() -> None:
    from training.encoder import DrawnPairs, validation

    a, b = validation(3, size=32), validation(3, size=32)
    assert all(torch.equal(x["photos"], y["photos"]) for x, y in zip(a, b, strict=True))
    (trained,) = islice(DrawnPairs(1, 32, 2), 1)
    assert not torch.equal(trained["photos"], a[0]["photos"])


def test_a_drawn_case_is_shown_again_as_often_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from training.pairs import DrawnPairs

    drawn: list[int] = []
    monkeypatch.setattr(DrawnPairs, "draw", lambda self, index: drawn.append(index) or {"index": index})
    shown = [pair["index"] for pair in islice(DrawnPairs(1, 32, 2, replay=3, kept=4), 30)]
    assert drawn == list(range(10))
    assert shown[::3] == drawn, "every case is shown once when it is new"
    # A case that has been replaced is not shown any more: with room for 4, what is shown again is mostly recent.
    assert all(again <= new for new, *rest in zip(shown[::3], shown[1::3], shown[2::3], strict=True) for again in rest)


# --- the objective ---


def test_targets_leave_out_the_rim_and_balance_the_classes() -> None:
    from training.encoder import EncoderArguments, EncoderObjective

    objective = EncoderObjective(fresh(), EncoderArguments())
    mask = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
    mask[0, 16:24, 32:40] = True  # exactly one cell
    target, weight = objective._targets(mask)
    assert target.shape == weight.shape == (2, 64)
    assert target[0].nonzero().flatten().tolist() == [2 * 8 + 4]
    assert target[1].sum() == 0
    grid = weight[0].reshape(8, 8)
    assert grid[2, 4] > 0.25
    assert grid[1:4, 3:6].sum() == grid[2, 4], "the cells around it are doubtful and do not count"
    assert grid[6, 6] == 0.25
    assert torch.all(weight[1] == 0.25)


def test_the_loss_falls_when_the_same_batch_is_seen_again() -> None:
    from training.encoder import DrawnPairs, EncoderArguments, EncoderObjective

    torch.manual_seed(0)
    batch = list(islice(DrawnPairs(2, SIDE, 2), 4))
    inputs = {key: torch.stack([pair[key] for pair in batch]) for key in batch[0]}
    objective = EncoderObjective(fresh(), EncoderArguments(warmup_contrast=0, paste=0, restyled=0, reframed=0)).train()
    optimizer = torch.optim.AdamW(objective.parameters(), 1e-3)
    losses = []
    for _ in range(40):
        loss = objective(**inputs).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-15:]) < 0.8 * np.mean(losses[:5])
    assert int(objective.steps) == 40


# --- the model ---


def test_a_frozen_eye_stays_in_evaluation() -> None:
    eye = fresh()
    assert eye.train().training
    for parameter in eye.parameters():
        parameter.requires_grad_(False)
    assert eye.train() is eye
    assert not any(module.training for module in eye.modules())
    around = torch.nn.Sequential(eye, torch.nn.Linear(1, 1)).train()
    assert around.training
    assert not any(module.training for module in eye.modules())
    before = {k: v.clone() for k, v in eye.state_dict().items()}
    eye(torch.randn(2, 3, SIDE, SIDE))
    assert all(torch.equal(v, before[k]) for k, v in eye.state_dict().items())


def test_the_eye_sees_a_shift_by_whole_patches_as_a_shift() -> None:
    eye = fresh().eval()
    photo = torch.rand(1, 3, 128, 128) * 2 - 1
    with torch.inference_mode():
        seen = eye(photo).last_hidden_state.reshape(16, 16, -1)
        moved = eye(torch.roll(photo, (16, 32), (2, 3))).last_hidden_state.reshape(16, 16, -1)
    # Away from the borders, where the surround differs.
    assert torch.allclose(seen[6:9, 5:8], moved[8:11, 9:12], atol=1e-4)


@pytest.mark.parametrize("size", [(64, 64), (96, 64), (224, 224)])
def test_shapes(size: tuple[int, int]) -> None:
    eye = fresh().eval()
    with torch.inference_mode():
        out = eye(torch.zeros(2, 3, *size))
    cells = size[0] // 8 * size[1] // 8
    assert out.last_hidden_state.shape == (2, cells, 128)
    assert out.pooler_output.shape == (2, 128)
    assert out.defect_logits.shape == (2, cells)
