"""Settings chosen from normals alone: what pseudo-defects show, and what they must not change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_auc_score

from tools.choice import FEWEST, START, STEPS, Choice, Scores, choose_settings, clearly_better
from tools.pseudo_defects import KINDS, pseudo_defect
from tools.settings import PLAIN, Settings, flattened, light

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Seen:
    features: Array
    defect: Array


class Colours:
    """Each patch is the direction of its mean colour against a fixed grey."""

    revision = "colours"

    def patches(self, image: Image.Image, side: int | None = None) -> Seen:
        small = np.asarray(image.resize((14, 14), Image.Resampling.BOX), np.float32)
        vectors = np.concatenate([small, np.full((14, 14, 1), 128, np.float32)], -1)
        return Seen(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.zeros((14, 14), np.float32))


def part(seed: int, *, aligned: bool) -> Image.Image:
    """Stripes of four colours with a little noise: always in the same order, or rotated at random."""
    rng = np.random.default_rng(seed)
    colours = np.array([(40, 40, 40), (210, 60, 60), (60, 200, 60), (70, 70, 220)], np.float32)
    order = np.roll(np.arange(4), 0 if aligned else rng.integers(4))
    pixels = colours[order].repeat(28, 0)[None].repeat(112, 0) + rng.normal(0, 1, (112, 112, 3)) + rng.normal(0, 2, 3)
    if not aligned and rng.uniform() < 0.5:
        pixels = pixels.transpose(1, 0, 2)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


# --- the choice ---


@pytest.fixture(scope="module")
def choices() -> dict[bool, Choice]:
    return {
        aligned: choose_settings(Colours(), [part(i, aligned=aligned) for i in range(12)], 0)
        for aligned in (True, False)
    }


def test_a_product_that_lies_alike_is_matched_nearby_and_one_that_does_not_anywhere(
    choices: dict[bool, Choice],
) -> None:
    assert choices[True].settings.local
    assert not choices[False].settings.local


def test_a_choice_states_what_was_tried_and_why(choices: dict[bool, Choice]) -> None:
    for choice in choices.values():
        assert len(choice.tried) == 1 + len(STEPS)
        assert START.words() in choice.tried
        assert choice.settings.words() in choice.tried
        assert all(0 <= auroc <= 1 for auroc in choice.tried.values())
        assert "held-out normal photos" in choice.why


def test_few_photos_keep_the_plain_settings() -> None:
    choice = choose_settings(Colours(), [part(i, aligned=True) for i in range(FEWEST - 1)], 0)
    assert (choice.settings, choice.tried) == (PLAIN, {})
    assert "too few" in choice.why


def test_auroc_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    scores = Scores(rng.integers(0, 9, 20).astype(np.float32), (rng.integers(0, 9, (20, 3)) + 1).astype(np.float32))
    label = [0] * 20 + [1] * 60
    assert scores.auroc() == pytest.approx(
        roc_auc_score(label, np.concatenate([scores.normals, scores.defects.ravel()]))
    )


def test_better_by_chance_is_not_clearly_better() -> None:
    rng = np.random.default_rng(0)
    normals = rng.normal(size=24).astype(np.float32)
    found = Scores(normals, rng.normal(1, 1, (24, 3)).astype(np.float32))
    assert not clearly_better(found, found, 0)
    assert clearly_better(Scores(normals, found.defects + 1), found, 0)
    assert not clearly_better(found, Scores(normals, found.defects + 1), 0)


# --- pseudo-defects ---


@pytest.mark.parametrize("kind", range(len(KINDS)))
@pytest.mark.parametrize("size", [(224, 224), (160, 96)])
def test_a_pseudo_defect_changes_one_place_alone(kind: int, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    photo, other = (Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)) for _ in range(2))
    for seed in range(6):
        made = pseudo_defect(photo, other, kind, np.random.default_rng(seed))
        assert made.size == photo.size
        changed = (np.asarray(made) != np.asarray(photo)).any(-1)
        assert 0 < changed.mean() < 0.2
        np.testing.assert_array_equal(
            np.asarray(made), np.asarray(pseudo_defect(photo, other, kind, np.random.default_rng(seed)))
        )


# --- settings ---


def test_flattening_takes_the_light_away_and_leaves_the_mark() -> None:
    pixels = np.full((112, 112, 3), 120, np.float32)
    pixels[50:58, 60:68] = 60
    ramp = np.linspace(0.6, 1.4, 112)[None, :, None]
    even, uneven = (
        np.asarray(flattened(Image.fromarray(np.clip(p, 0, 255).astype(np.uint8))), np.float32).mean(-1)
        for p in (pixels, pixels * ramp)
    )
    before = (pixels * ramp).mean(-1)[20:92, 20:92].mean(0).std()
    assert uneven[20:40, 20:92].mean(0).std() < 0.5 * before
    assert uneven[52:56, 62:66].mean() < uneven[20:40].mean() - 30
    assert abs(even.mean() - 127.5) < 4


def test_light_is_linear_along_each_axis() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.uniform(0, 255, (56, 56)).astype(np.float32) for _ in range(2))
    np.testing.assert_allclose(light(a + 2 * b), light(a) + 2 * light(b), atol=1e-2)
    np.testing.assert_allclose(light(np.full((56, 56), 80, np.float32)), 80, atol=1e-3)


def test_words_name_every_change() -> None:
    assert PLAIN.words() == "224 px, global matching"
    assert Settings(320, True, True).words() == "320 px, local matching, flattened light"
