"""Fitted detectors: thresholds that hold what they promise, and files that are whole or not there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tools.detector import score_of
from tools.fit import DetectorError, FittedDetector, conformal_threshold, coreset, detector_folder, fit_detector

ALL_PATCHES = 10**9
"""A bank this large keeps every patch, and the coreset is left out."""


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DetectorError) as caught:
        call()
    line = str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert line.splitlines() == [line]
    return line


# --- the threshold ---


def slow_threshold(scores: list[float], rate: str) -> tuple[float, float]:
    """The lowest score that a new one exceeds with probability at most `rate`, when all n + 1 orders are as likely.

    A new score exceeds the k-th smallest of n in n + 1 - k of the n + 1 places it can take.
    """
    ordered, n = sorted(scores), len(scores)
    for k in range(1, n + 1):
        if Decimal(n + 1 - k) <= Decimal(rate) * (n + 1):
            return ordered[k - 1], float(rate)
    return ordered[-1], 1 / (n + 1)


@pytest.mark.parametrize("rate", ["0.01", "0.05", "0.07", "0.1", "0.2", "0.29", "0.3", "0.45", "0.5"])
def test_threshold_is_the_lowest_that_keeps_the_promise(rate: str) -> None:
    rng = np.random.default_rng(3)
    for n in [3, 4, 9, 10, 11, 19, 20, 33, 99, 100, 101, 199, 300]:
        scores = rng.standard_normal(n)
        assert conformal_threshold(scores.astype(np.float64), float(rate)) == slow_threshold(scores.tolist(), rate), n


def test_too_few_photos_promise_less_than_was_asked() -> None:
    scores = np.array([3, 1, 2], np.float32)
    assert conformal_threshold(scores, 0.01) == (3.0, 0.25)
    assert conformal_threshold(scores, 0.25) == (3.0, 0.25)
    assert conformal_threshold(scores, 0.5) == (2.0, 0.5)


def test_threshold_does_not_depend_on_the_order_and_leaves_the_scores_alone() -> None:
    scores = np.random.default_rng(0).standard_normal(30).astype(np.float32)
    before = scores.copy()
    assert conformal_threshold(scores, 0.1) == conformal_threshold(scores[::-1], 0.1)
    np.testing.assert_array_equal(scores, before)


def test_false_alarms_on_new_normals_stay_at_the_promised_rate(encoder: Any, photos: Any) -> None:
    fits, normals, fresh, rate = 60, 19, 20, 0.1
    shares = []
    for fit in range(fits):
        made = [photos.noisy(10_000 * fit + i) for i in range(normals + fresh)]
        detector = fit_detector(encoder, made[:normals], rate, bank=ALL_PATCHES)
        shares.append(np.mean([detector.detect(photo).score > 0.5 for photo in made[normals:]]))
    # Over fits the share of false alarms is Beta(2, 18), mean 0.1; three standard errors of the mean of 60 such shares.
    spread = np.sqrt(0.1 * 0.9 / 21 + 0.1 * 0.9 / fresh) / np.sqrt(fits)
    assert np.mean(shares) <= rate + 3 * spread
    assert np.mean(shares) >= rate - 4 * spread


def test_a_thinned_bank_keeps_the_promise_too(encoder: Any, photos: Any) -> None:
    fits, normals, fresh, rate, cells = 10, 19, 40, 0.1, 8
    encoder.cells, shares = cells, []
    for fit in range(fits):
        made = [photos.noisy(5_000_000 + 10_000 * fit + i, cells) for i in range(normals + fresh)]
        detector = fit_detector(encoder, made[:normals], rate, bank=120)
        assert len(detector.bank) == 120
        shares.append(np.mean([detector.detect(photo).score > 0.5 for photo in made[normals:]]))
    spread = np.sqrt(0.1 * 0.9 / 21 + 0.1 * 0.9 / fresh) / np.sqrt(fits)
    assert np.mean(shares) <= rate + 3 * spread
    assert np.mean(shares) > 0, "a threshold out of reach finds nothing"


# --- fitting ---


def test_fit_reports_what_it_promises(encoder: Any, photos: Any) -> None:
    detector = fit_detector(encoder, [photos.noisy(i) for i in range(12)], 0.01, bank=ALL_PATCHES)
    assert detector.setting == "fitted"
    assert (detector.rate, detector.asked) == (1 / 13, 0.01)
    assert detector.normals.shape == (12,)
    assert detector.calibration.threshold == pytest.approx(float(detector.normals.max()))
    assert "12 normal photos" in detector.calibration.basis
    assert f"at most {1 / 13:.3g}" in detector.calibration.basis
    assert detector.bank.shape == (12 * 14 * 14, 3)
    # The median normal photo scores 0.1.
    assert float(detector.calibration.unit(np.median(detector.normals))) == pytest.approx(0.1, abs=1e-3)


def test_held_out_scores_are_those_of_a_detector_that_never_saw_the_photo(encoder: Any, photos: Any) -> None:
    made = [photos.noisy(i) for i in range(5)]
    detector = fit_detector(encoder, made, 0.3, bank=ALL_PATCHES)
    for i, photo in enumerate(made):
        others = fit_detector(encoder, made[:i] + made[i + 1 :], 0.3, bank=ALL_PATCHES)
        assert detector.normals[i] == pytest.approx(score_of(others.raw_map(photo)), abs=1e-5)


def test_a_planted_defect_scores_above_the_threshold(encoder: Any, photos: Any) -> None:
    normals = [photos.plain(colour=(110 + i, 120, 130 - i)) for i in range(6)]
    detector = fit_detector(encoder, normals, 0.2, bank=ALL_PATCHES)
    assert detector.detect(photos.plain(colour=(112, 120, 128))).score < 0.5
    found = detector.detect(photos.marked((40, 70, 60, 90)))
    assert found.score > 0.99
    assert found.anomaly_map[80, 50] > 0.99


def test_equal_normals_give_a_finite_detector(encoder: Any, photos: Any) -> None:
    detector = fit_detector(encoder, [photos.plain()] * 4, 0.3)
    assert detector.calibration.scale > 0
    assert detector.detect(photos.plain()).score <= 0.5
    assert detector.detect(photos.marked((40, 40, 60, 60))).score > 0.99


def test_equal_normals_without_any_texture_survive_a_thinned_bank(encoder: Any, photos: Any) -> None:
    for seed in range(4):
        detector = fit_detector(encoder, [photos.plain()] * 3, 0.3, seed=seed, bank=5)
        assert np.isfinite(detector.normals).all()
        assert detector.detect(photos.plain()).score <= 0.5


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_photos_are_refused(encoder: Any, photos: Any, count: int) -> None:
    line = refusal(lambda: fit_detector(encoder, [photos.plain()] * count))
    assert line.startswith(f"normal photos: {count} given, at least 3 are needed")
    assert "references" in line


@pytest.mark.parametrize("rate", [0.0, -0.1, 0.51, 1.0, 5, float("nan")])
def test_a_rate_that_makes_no_sense_is_refused(encoder: Any, photos: Any, rate: float) -> None:
    line = refusal(lambda: fit_detector(encoder, [photos.plain()] * 3, rate))
    assert line.startswith(f"false_alarm_rate {rate!r}: expected")


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_coreset_is_spread_and_repeatable() -> None:
    crowd = unit(np.full(9, 1.0) + np.random.default_rng(0).normal(0, 0.01, (400, 9)))
    loners = np.eye(9, dtype=np.float32)[:8]
    patches = np.concatenate([crowd, loners])
    kept = coreset(patches, 40)
    assert len(set(kept.tolist())) == 40
    assert set(range(400, 408)) <= set(kept.tolist())
    np.testing.assert_array_equal(kept, coreset(patches, 40))
    np.testing.assert_array_equal(coreset(patches, 408), np.arange(408))


def test_coreset_is_anomalibs_own_choice() -> None:
    import torch
    from anomalib.models.components import KCenterGreedy

    patches = unit(np.random.default_rng(3).normal(size=(500, 16)))
    torch.manual_seed(7)
    theirs = KCenterGreedy(torch.from_numpy(patches)[:, None], 60.5 / 500).select_coreset_idxs()
    np.testing.assert_array_equal(coreset(patches, 60, seed=7), theirs)


# --- files ---


@pytest.fixture
def fitted(encoder: Any, photos: Any) -> FittedDetector:
    return fit_detector(encoder, [photos.noisy(i) for i in range(5)], 0.1, bank=ALL_PATCHES)


def state(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_what_was_saved_comes_back_to_the_bit(
    fitted: FittedDetector, encoder: Any, photos: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "home" / "detectors" / "plates"
    fitted.save(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["bank.safetensors", "detector.json"]
    assert [p.name for p in folder.parent.iterdir()] == ["plates"]
    again = FittedDetector.load(folder, encoder)
    np.testing.assert_array_equal(again.bank, fitted.bank)
    np.testing.assert_array_equal(again.normals, fitted.normals)
    assert again.bank.dtype == fitted.bank.dtype
    assert (again.calibration, again.rate, again.asked) == (fitted.calibration, fitted.rate, fitted.asked)
    one, other = fitted.detect(photos.noisy(99)), again.detect(photos.noisy(99))
    assert (one.score, one.raw) == (other.score, other.raw)
    np.testing.assert_array_equal(one.anomaly_map, other.anomaly_map)


def test_the_same_fit_writes_the_same_bytes(encoder: Any, photos: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        fit_detector(encoder, [photos.noisy(i) for i in range(4)], 0.1).save(tmp_path / name)
    assert state(tmp_path / "a") == state(tmp_path / "b")


def test_saving_replaces_an_older_detector(fitted: FittedDetector, encoder: Any, photos: Any, tmp_path: Path) -> None:
    fitted.save(tmp_path / "plates")
    (tmp_path / "plates" / "left over").write_text("from an older version")
    newer = fit_detector(encoder, [photos.noisy(50 + i) for i in range(4)], 0.2)
    newer.save(tmp_path / "plates")
    assert FittedDetector.load(tmp_path / "plates", encoder).asked == 0.2
    assert [p.name for p in tmp_path.iterdir()] == ["plates"]
    assert not (tmp_path / "plates" / "left over").exists()


@pytest.mark.parametrize("failing", [1, 2, None])
def test_a_failed_save_leaves_what_was_there(
    fitted: FittedDetector, encoder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int | None
) -> None:
    fitted.save(tmp_path / "plates")
    before, calls, real = state(tmp_path), [], os.replace

    def replace(source: Any, target: Any) -> None:
        calls.append(source)
        if failing is None or len(calls) == failing:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    line = refusal(lambda: fitted.save(tmp_path / "plates"))
    monkeypatch.undo()
    assert "No space left on device" in line
    assert "SAGE_HOME" in line
    assert state(tmp_path) == before
    FittedDetector.load(tmp_path / "plates", encoder)


def test_a_failed_first_save_leaves_nothing(
    fitted: FittedDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(source: Any, target: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", replace)
    refusal(lambda: fitted.save(tmp_path / "plates"))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_while_the_bank_is_written_leaves_nothing(
    fitted: FittedDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import safetensors.numpy
    from safetensors import SafetensorError

    def save_file(tensors: Any, path: Path) -> None:
        path.write_bytes(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(safetensors.numpy, "save_file", save_file)
    assert "No space left on device" in refusal(lambda: fitted.save(tmp_path / "plates"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(fitted: FittedDetector, tmp_path: Path) -> None:
    (tmp_path / "detectors").write_text("a file where the folder should be")
    folder = tmp_path / "detectors" / "plates"
    line = refusal(lambda: fitted.save(folder))
    assert line.startswith(f"detector folder {str(folder)!r}: cannot be written")
    assert state(tmp_path) == {"detectors": b"a file where the folder should be"}


def test_saving_never_deletes_what_is_no_detector(fitted: FittedDetector, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").write_bytes(b"dear to someone")
    assert "holds something else" in refusal(lambda: fitted.save(tmp_path / "photos"))
    (tmp_path / "notes").write_text("dear to someone")
    refusal(lambda: fitted.save(tmp_path / "notes"))
    assert state(tmp_path) == {"photos/holiday.jpg": b"dear to someone", "notes": b"dear to someone"}
    (tmp_path / "empty").mkdir()
    fitted.save(tmp_path / "empty")


def spoil(folder: Path, **changes: Any) -> None:
    """Change the card of a saved detector; None takes a key out."""
    card = json.loads((folder / "detector.json").read_text())
    card |= changes
    (folder / "detector.json").write_text(json.dumps({k: v for k, v in card.items() if v is not None}))


@pytest.mark.parametrize(
    "card",
    [b"", b"{", b"[]", b"null", b'"text"', b"{}", b"\xff\xfe\x00", b'{"bank_sha256": 1}', b"{\n\n  1: 2\n}"],
)
def test_a_damaged_card_is_refused(fitted: FittedDetector, encoder: Any, tmp_path: Path, card: bytes) -> None:
    fitted.save(tmp_path / "plates")
    (tmp_path / "plates" / "detector.json").write_bytes(card)
    line = refusal(lambda: FittedDetector.load(tmp_path / "plates", encoder))
    assert line.startswith(f"detector {str(tmp_path / 'plates')!r}: ")
    assert "sage-iad fit plates NORMAL_DIR" in line


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": None}, {"threshold": "high"}, {"threshold": [1]}, {"threshold": float("nan")}, {"scale": 0.0},
        {"scale": -1.0}, {"scale": "wide"}, {"encoder": None}, {"false_alarm_rate": None}, {"basis": None}, {"format": 2},
    ],
)  # fmt: skip
def test_a_card_with_a_wrong_value_is_refused(
    fitted: FittedDetector, encoder: Any, tmp_path: Path, change: dict[str, Any]
) -> None:
    fitted.save(tmp_path / "plates")
    spoil(tmp_path / "plates", **change)
    assert "sage-iad fit plates NORMAL_DIR" in refusal(lambda: FittedDetector.load(tmp_path / "plates", encoder))


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "missing"])
def test_a_damaged_bank_is_refused(fitted: FittedDetector, encoder: Any, tmp_path: Path, damage: str) -> None:
    fitted.save(tmp_path / "plates")
    bank = tmp_path / "plates" / "bank.safetensors"
    data = bytearray(bank.read_bytes())
    data[-5] ^= 1
    written = {"cut": bytes(data[:-40]), "bit": bytes(data), "empty": b"", "missing": None}[damage]
    bank.unlink() if written is None else bank.write_bytes(written)
    line = refusal(lambda: FittedDetector.load(tmp_path / "plates", encoder))
    assert "bank.safetensors" in line
    assert "sage-iad fit plates NORMAL_DIR" in line


def test_a_bank_that_is_no_safetensors_is_refused_even_with_a_matching_card(
    fitted: FittedDetector, encoder: Any, tmp_path: Path
) -> None:
    fitted.save(tmp_path / "plates")
    (tmp_path / "plates" / "bank.safetensors").write_bytes(b"nothing of the kind")
    spoil(tmp_path / "plates", bank_sha256=hashlib.sha256(b"nothing of the kind").hexdigest())
    assert "cannot be read" in refusal(lambda: FittedDetector.load(tmp_path / "plates", encoder))


def test_a_detector_of_another_encoder_is_refused(fitted: FittedDetector, encoder: Any, tmp_path: Path) -> None:
    fitted.save(tmp_path / "plates")
    other = type(encoder)(revision="colours-2")
    line = refusal(lambda: FittedDetector.load(tmp_path / "plates", other))
    assert "colours-1" in line
    assert "colours-2" in line
    assert "sage-iad fit plates NORMAL_DIR" in line


def test_a_missing_detector_is_refused(encoder: Any, tmp_path: Path) -> None:
    line = refusal(lambda: FittedDetector.load(tmp_path / "plates", encoder))
    assert "cannot be read" in line
    assert "sage-iad fit plates NORMAL_DIR" in line


@pytest.mark.parametrize("category", ["plates", "M8-nut", "a", "0", "v1.2_b", "x" * 64])
def test_good_category_names_become_folders(category: str) -> None:
    assert detector_folder(Path("home"), category) == Path("home") / "detectors" / category


@pytest.mark.parametrize(
    "category", ["", ".", "..", "../x", "a/b", "a\\b", " a", "a ", "a\n", "-a", "_a", ".hidden", "x" * 65, "naïve", "a:b"]
)  # fmt: skip
def test_bad_category_names_are_refused(category: str) -> None:
    line = refusal(lambda: detector_folder(Path("home"), category))
    assert line.startswith(f"category {category!r}: expected")
