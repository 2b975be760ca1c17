"""Detectors of anomalib by name: PaDiM on our eye, and the four that need pre-trained weights, here tiny random ones."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from refusals import refusal

from tools import other_detectors, padim, pretrained_weights
from tools.other_detectors import NAMES, fit_other, load_other, model_of
from tools.padim import Padim
from tools.pretrained import Pretrained
from tools.pretrained_weights import RECIPES, find_weights

SIDE = 56


def normals(photos: Any, count: int) -> list[Image.Image]:
    """Photos that share a picture and differ by a little noise."""
    picture = np.asarray(photos.noisy(0), np.int16)
    return [
        Image.fromarray((picture + np.random.default_rng(i).integers(-8, 9, picture.shape)).astype(np.uint8))
        for i in range(count)
    ]


def marked(photo: Image.Image) -> Image.Image:
    """With four cells of another colour a little off the middle."""
    found = photo.copy()
    found.paste((250, 10, 10), (4, 6, 6, 8))
    return found


# --- PaDiM ---


def test_padim_finds_the_place_and_keeps_the_false_alarm_rate(encoder: Any, photos: Any) -> None:
    good = normals(photos, 40)
    fitted = fit_other("padim", model_of("padim", encoder), good[:30], 0.1)
    found = fitted.detect(marked(good[35]))
    raw_map, _ = fitted.model.score(fitted.model.prepare(marked(good[35])))
    y, x = np.unravel_index(raw_map.argmax(), raw_map.shape)
    assert found.score > 0.9
    assert 4 <= x <= 5
    assert 6 <= y <= 7
    assert found.anomaly_map.shape == (14, 14)
    assert fitted.rate == 0.1
    assert sum(fitted.detect(photo).score > 0.5 for photo in good[30:]) <= 3
    assert sum(score > fitted.calibration.threshold for score in fitted.normals) == 2, "rank ceil(31 · 0.9) of 30"


def test_padim_is_anomalibs_mahalanobis_distance(encoder: Any, photos: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        from anomalib.models.image.padim.anomaly_map import AnomalyMapGenerator

    monkeypatch.setattr(padim, "smoothed", lambda raw_map: raw_map)
    model = Padim(encoder)
    prepared = [model.prepare(photo) for photo in normals(photos, 8)]
    model.fit(prepared)
    other = model.prepare(photos.noisy(3))
    embedding = torch.from_numpy(other).permute(2, 0, 1)[None]
    stats = [torch.from_numpy(model.mean).T, torch.from_numpy(model.inverse_covariance)]
    expected = AnomalyMapGenerator.compute_distance(embedding, stats)[0, 0].numpy()
    np.testing.assert_allclose(model.score(other)[0], expected, rtol=1e-4)


def test_padim_keeps_a_seeded_choice_of_as_many_dimensions_as_the_size_allows(
    encoder: Any, photos: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(padim, "MAX_BYTES", 14 * 14 * 2 * 2 * 4)
    choices = set()
    for seed in range(8):
        model = Padim(encoder, seed)
        again = Padim(encoder, seed)
        assert model.prepare(photos.plain()).shape == (14, 14, 2)
        again.prepare(photos.plain())
        assert model.dimensions is not None
        assert again.dimensions is not None
        assert model.dimensions.tolist() == again.dimensions.tolist()
        choices.add(tuple(model.dimensions.tolist()))
    assert len(choices) > 1


def test_a_detector_read_again_gives_the_same_scores(encoder: Any, photos: Any, tmp_path: Path) -> None:
    fitted = fit_other("padim", model_of("padim", encoder), normals(photos, 9), 0.2)
    fitted.save(tmp_path / "plate")
    read = load_other(tmp_path / "plate", encoder)
    ours, theirs = (d.detect(marked(photos.noisy(0))) for d in (fitted, read))
    assert ours.score == theirs.score
    np.testing.assert_array_equal(ours.anomaly_map, theirs.anomaly_map)
    assert (read.rate, read.asked, read.name, read.setting) == (0.2, 0.2, "padim", "fitted")
    assert read.normals.tolist() == fitted.normals.tolist()
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["detector.json", "plate", "state.safetensors"]


def test_damaged_or_foreign_detectors_are_refused(encoder: Any, photos: Any, tmp_path: Path) -> None:
    fitted = fit_other("padim", model_of("padim", encoder), normals(photos, 4), 0.2)
    folder = tmp_path / "plate"
    fitted.save(folder)
    encoder.revision = "colours-2"
    assert "colours-1" in refusal(lambda: load_other(folder, encoder))
    encoder.revision = "colours-1"
    card = json.loads((folder / "detector.json").read_text())
    (folder / "detector.json").write_text(json.dumps(card | {"scale": 0}))
    assert "no calibration" in refusal(lambda: load_other(folder, encoder))
    (folder / "detector.json").write_text(json.dumps(card))
    (folder / "state.safetensors").write_bytes((folder / "state.safetensors").read_bytes()[:-1])
    assert "does not match its card" in refusal(lambda: load_other(folder, encoder))
    (folder / "detector.json").write_text("{")
    assert "cannot be read" in refusal(lambda: load_other(folder, encoder))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    assert "holds something else" in refusal(lambda: fitted.save(tmp_path / "mine"))


def test_bad_input_is_refused(encoder: Any, photos: Any) -> None:
    model = model_of("padim", encoder)
    assert "2 given" in refusal(lambda: fit_other("padim", model, normals(photos, 2)))
    assert "0.6" in refusal(lambda: fit_other("padim", model, normals(photos, 3), 0.6))
    line = refusal(lambda: model_of("padam", encoder))
    assert all(name in line for name in NAMES)


def test_a_long_list_of_photos_is_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_detectors, "MAX_PHOTOS", 10)
    seen: list[int] = []
    for seed in range(60):
        kept, given = other_detectors._sample((np.array(i) for i in range(40)), seed)
        assert (len(kept), given) == (10, 40)
        seen += [int(k) for k in kept]
    first_half = sum(i < 20 for i in seen) / len(seen)
    assert 0.42 < first_half < 0.58


# --- those that need weights ---


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_missing_weights_are_named_and_nothing_is_fetched(
    name: str, encoder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import anomalib.utils.path
    import huggingface_hub

    def fetch(*args: object, **kwargs: object) -> str:
        raise AssertionError("offline means offline")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(anomalib.utils.path, "get_pretrained_weights_dir", lambda: tmp_path / "anomalib")
    recipe = RECIPES[name]
    line = refusal(lambda: model_of(name, encoder))
    assert recipe.file in line
    assert str(tmp_path) in line
    assert "allow the download" in line
    assert (recipe.repository or "efficientad_pretrained_weights") in line
    assert recipe.file in refusal(lambda: model_of(name, encoder, weights=tmp_path))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / recipe.file).write_bytes(b"")
    assert find_weights(name, tmp_path) == tmp_path / "deep" / recipe.file


def test_weights_in_the_local_cache_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    repo = tmp_path / "models--timm--vit_small_patch14_dinov2.lvd142m"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("abc")
    (repo / "snapshots" / "abc").mkdir(parents=True)
    (repo / "snapshots" / "abc" / "model.safetensors").write_bytes(b"")
    assert find_weights("anomalydino").parent.name == "abc"


def test_weights_of_another_model_are_refused(tmp_path: Path, tiny: Callable[[str], Path]) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"no such thing")
    tiny("anomalydino")
    assert "not those of anomalydino" in refusal(lambda: Pretrained("anomalydino", tmp_path / "model.safetensors"))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """Makes a model's backbone tiny, and gives a file of random weights for it."""
    import timm
    import torch
    from safetensors.torch import save_file
    from timm.models.vision_transformer import VisionTransformer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        from anomalib.models.image.dinomaly import torch_model
        from anomalib.models.image.efficient_ad.torch_model import EfficientAdModel

    def vit(backbone: str, pretrained: bool = True, **kwargs: object) -> VisionTransformer:
        assert not pretrained, "anomalib would fetch weights"
        registers = 4 if "reg4" in backbone else 0
        return VisionTransformer(
            img_size=SIDE, patch_size=14, embed_dim=24, depth=12, num_heads=2, num_classes=0, reg_tokens=registers,
            no_embed_class=bool(registers), init_values=1e-5, dynamic_img_size=True,
        )  # fmt: skip

    def make(name: str) -> Path:
        if name == "efficientad":
            Image.new("RGB", (40, 30), (9, 99, 199)).save(tmp_path / "other.jpg")
            torch.manual_seed(5)
            torch.save(EfficientAdModel().teacher.state_dict(), tmp_path / "teacher.pth")
            return tmp_path / "teacher.pth"
        monkeypatch.setattr(timm, "create_model", vit)
        monkeypatch.setitem(
            torch_model.DINO_ARCHITECTURES,
            "base",
            {"embed_dim": 24, "num_heads": 2, "target_layers": list(range(2, 10))},
        )
        monkeypatch.setitem(RECIPES, name, dataclasses.replace(RECIPES[name], side=SIDE))
        torch.manual_seed(5)
        weights = tmp_path / f"{name}.safetensors"
        save_file(vit("reg4" if name == "dinomaly" else "", pretrained=False).state_dict(), weights)
        return weights

    return make


@pytest.mark.parametrize(
    ("name", "steps"), [("anomalydino", None), ("dinomaly", 3), pytest.param("efficientad", 1, marks=pytest.mark.slow)]
)
def test_a_pretrained_model_is_fitted_kept_and_read_again(
    name: str, steps: int | None, encoder: Any, photos: Any, tmp_path: Path, tiny: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("tools.pretrained_fit.BATCH", 2)
    weights = tiny(name)
    model = model_of(name, encoder, weights=weights, steps=steps)
    before = {key: value.copy() for key, value in model.state().items()}
    fitted = fit_other(name, model, normals(photos, 5), 0.5)
    after = model.state()
    assert any(before[key].shape != after[key].shape or (before[key] != after[key]).any() for key in before)
    assert len(fitted.normals) == (5 if RECIPES[name].folds else 2)
    found = fitted.detect(photos.noisy(7).resize((90, 60)))
    assert found.anomaly_map.shape == (60, 90)
    assert np.isfinite(found.anomaly_map).all()
    assert 0 <= found.score <= 1
    fitted.save(tmp_path / "detectors" / "plate")
    assert not [key for key in after if key.startswith(f"{RECIPES[name].backbone}.")], "saved again with every detector"
    read = load_other(tmp_path / "detectors" / "plate", encoder)
    again = read.detect(photos.noisy(7).resize((90, 60)))
    assert again.score == pytest.approx(found.score, abs=1e-6)
    np.testing.assert_allclose(again.anomaly_map, found.anomaly_map, atol=1e-6)


def test_the_bank_of_anomalydino_tells_a_mark(encoder: Any, photos: Any, tiny: Callable[[str], Path]) -> None:
    good = [photo.resize((SIDE, SIDE), 0) for photo in normals(photos, 9)]
    fitted = fit_other("anomalydino", model_of("anomalydino", encoder, weights=tiny("anomalydino")), good[:8], 0.2)
    spoilt = good[8].copy()
    spoilt.paste((255, 0, 0), (14, 28, 28, 42))
    assert fitted.detect(spoilt).raw > fitted.detect(good[8]).raw


def test_efficientad_asks_for_images_of_other_things(
    encoder: Any, photos: Any, tmp_path: Path, tiny: Callable[[str], Path]
) -> None:
    model = model_of("efficientad", encoder, weights=tiny("efficientad"), steps=1)
    (tmp_path / "other.jpg").unlink()
    assert "no images of other things" in refusal(lambda: fit_other("efficientad", model, normals(photos, 3)))


def test_winclip_names_the_package_it_needs(encoder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        from anomalib.models.image.winclip import torch_model

    monkeypatch.setattr(torch_model, "open_clip", None)
    (tmp_path / pretrained_weights.RECIPES["winclip"].file).write_bytes(b"")
    assert "open_clip" in refusal(lambda: model_of("winclip", encoder, weights=tmp_path))


def test_winclip_is_fitted_kept_and_read_again(
    encoder: Any, photos: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_clip = pytest.importorskip("open_clip")
    from safetensors.torch import save_file

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        from anomalib.models.image.winclip import torch_model

    vision = {"image_size": 112, "layers": 2, "width": 32, "patch_size": 16, "head_width": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    (tmp_path / "tiny.json").write_text(json.dumps({"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}))
    open_clip.add_model_config(tmp_path / "tiny.json")
    weights = tmp_path / RECIPES["winclip"].file
    save_file(open_clip.create_model("tiny").state_dict(), weights)
    monkeypatch.setattr(torch_model, "BACKBONE", "tiny")
    monkeypatch.setitem(RECIPES, "winclip", dataclasses.replace(RECIPES["winclip"], side=112))
    fitted = fit_other("winclip", model_of("winclip", encoder, weights=weights), normals(photos, 5), 0.5)
    assert len(fitted.normals) == 5
    fitted.save(tmp_path / "detectors" / "plate")
    read = load_other(tmp_path / "detectors" / "plate", encoder)
    ours, theirs = (d.detect(photos.noisy(7)) for d in (fitted, read))
    assert theirs.score == pytest.approx(ours.score, abs=1e-6)
    np.testing.assert_allclose(theirs.anomaly_map, ours.anomaly_map, atol=1e-6)
