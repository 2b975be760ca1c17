"""Saved detectors: whole or not there, checked when read."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusals import refusal

from tools.card import detector_folder, find_detector, load_detector, save_detector
from tools.fit import FittedDetector, fit_detector
from tools.settings import Settings


@pytest.fixture
def fitted(encoder: Any, photos: Any) -> FittedDetector:
    return fit_detector(encoder, [photos.noisy(i) for i in range(5)], 0.1)


def state(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_what_was_saved_comes_back_to_the_bit(
    fitted: FittedDetector, encoder: Any, photos: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "home" / "detectors" / "plates"
    save_detector(fitted, folder)
    assert sorted(p.name for p in folder.iterdir()) == ["bank.safetensors", "detector.json"]
    assert [p.name for p in folder.parent.iterdir()] == ["plates"]
    again = load_detector(folder, encoder)
    np.testing.assert_array_equal(again.bank.patches, fitted.bank.patches)
    np.testing.assert_array_equal(again.bank.owners, fitted.bank.owners)
    np.testing.assert_array_equal(again.normals, fitted.normals)
    assert (again.names, again.choice) == (fitted.names, fitted.choice)
    assert (again.calibration, again.rate, again.asked) == (fitted.calibration, fitted.rate, fitted.asked)
    one, other = fitted.detect(photos.noisy(99)), again.detect(photos.noisy(99))
    assert (one.score, one.raw) == (other.score, other.raw)
    np.testing.assert_array_equal(one.anomaly_map, other.anomaly_map)


def test_the_same_fit_writes_the_same_bytes(encoder: Any, photos: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        fit_detector(encoder, [photos.noisy(i) for i in range(4)], 0.1).save(tmp_path / name)
    assert state(tmp_path / "a") == state(tmp_path / "b")


def test_saving_replaces_an_older_detector(fitted: FittedDetector, encoder: Any, photos: Any, tmp_path: Path) -> None:
    save_detector(fitted, tmp_path / "plates")
    (tmp_path / "plates" / "left over").write_text("from an older version")
    newer = fit_detector(encoder, [photos.noisy(50 + i) for i in range(4)], 0.2)
    save_detector(newer, tmp_path / "plates")
    assert load_detector(tmp_path / "plates", encoder).asked == 0.2
    assert [p.name for p in tmp_path.iterdir()] == ["plates"]
    assert not (tmp_path / "plates" / "left over").exists()


@pytest.mark.parametrize("failing", [1, 2, None])
def test_a_failed_save_leaves_what_was_there(
    fitted: FittedDetector, encoder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int | None
) -> None:
    save_detector(fitted, tmp_path / "plates")
    before, calls, real = state(tmp_path), [], os.replace

    def replace(source: Any, target: Any) -> None:
        calls.append(source)
        if failing is None or len(calls) == failing:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    line = refusal(lambda: save_detector(fitted, tmp_path / "plates"))
    monkeypatch.undo()
    assert "No space left on device" in line
    assert state(tmp_path) == before
    load_detector(tmp_path / "plates", encoder)


def test_a_failed_first_save_leaves_nothing(
    fitted: FittedDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace(source: Any, target: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", replace)
    refusal(lambda: save_detector(fitted, tmp_path / "plates"))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_while_the_bank_is_written_leaves_nothing(
    fitted: FittedDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.write_bytes

    def write_bytes(path: Path, data: Any) -> int:
        real(path, data[:4])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    assert "No space left on device" in refusal(lambda: save_detector(fitted, tmp_path / "plates"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(fitted: FittedDetector, tmp_path: Path) -> None:
    (tmp_path / "detectors").write_text("a file where the folder should be")
    folder = tmp_path / "detectors" / "plates"
    line = refusal(lambda: save_detector(fitted, folder))
    assert line.startswith(f"detector folder {str(folder)!r}: cannot be written")
    assert state(tmp_path) == {"detectors": b"a file where the folder should be"}


def test_saving_never_deletes_what_is_no_detector(fitted: FittedDetector, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").write_bytes(b"dear to someone")
    assert "holds something else" in refusal(lambda: save_detector(fitted, tmp_path / "photos"))
    (tmp_path / "notes").write_text("dear to someone")
    refusal(lambda: save_detector(fitted, tmp_path / "notes"))
    assert state(tmp_path) == {"photos/holiday.jpg": b"dear to someone", "notes": b"dear to someone"}
    (tmp_path / "empty").mkdir()
    save_detector(fitted, tmp_path / "empty")


def spoil(folder: Path, **changes: Any) -> None:
    """Change the card of a saved detector; None takes a key out."""
    card = json.loads((folder / "detector.json").read_text())
    card |= changes
    (folder / "detector.json").write_text(json.dumps({k: v for k, v in card.items() if v is not None}))


@pytest.mark.parametrize(
    "card",
    [b"", b"{", b"[]", b"null", b'"text"', b"{}", b"\xff\xfe\x00", b'{"sha256": 1}', b"{\n\n  1: 2\n}"],
)
def test_a_damaged_card_is_refused(fitted: FittedDetector, encoder: Any, tmp_path: Path, card: bytes) -> None:
    save_detector(fitted, tmp_path / "plates")
    (tmp_path / "plates" / "detector.json").write_bytes(card)
    line = refusal(lambda: load_detector(tmp_path / "plates", encoder))
    assert line.startswith(f"detector {str(tmp_path / 'plates')!r}: ")
    assert "sage-iad fit plates NORMAL_DIR" in line


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": None}, {"threshold": "high"}, {"threshold": [1]}, {"threshold": float("nan")}, {"scale": 0.0},
        {"scale": -1.0}, {"scale": "wide"}, {"encoder": None}, {"false_alarm_rate": None}, {"basis": None}, {"format": 1}, {"settings": None},
        {"settings": {"side": 224}}, {"settings": {"local": True, "colour": False}}, {"normals": {"given": 9, "count": 9, "names": []}},
        {"false_alarm_rate_asked": 0.5},
    ],
)  # fmt: skip
def test_a_card_with_a_wrong_value_is_refused(
    fitted: FittedDetector, encoder: Any, tmp_path: Path, change: dict[str, Any]
) -> None:
    save_detector(fitted, tmp_path / "plates")
    spoil(tmp_path / "plates", **change)
    assert "sage-iad fit plates NORMAL_DIR" in refusal(lambda: load_detector(tmp_path / "plates", encoder))


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "missing"])
def test_a_damaged_bank_is_refused(fitted: FittedDetector, encoder: Any, tmp_path: Path, damage: str) -> None:
    save_detector(fitted, tmp_path / "plates")
    bank = tmp_path / "plates" / "bank.safetensors"
    data = bytearray(bank.read_bytes())
    data[-5] ^= 1
    written = {"cut": bytes(data[:-40]), "bit": bytes(data), "empty": b"", "missing": None}[damage]
    bank.unlink() if written is None else bank.write_bytes(written)
    line = refusal(lambda: load_detector(tmp_path / "plates", encoder))
    assert "bank.safetensors" in line
    assert "sage-iad fit plates NORMAL_DIR" in line


def test_a_bank_that_is_no_safetensors_is_refused_even_with_a_matching_card(
    fitted: FittedDetector, encoder: Any, tmp_path: Path
) -> None:
    save_detector(fitted, tmp_path / "plates")
    (tmp_path / "plates" / "bank.safetensors").write_bytes(b"nothing of the kind")
    spoil(tmp_path / "plates", sha256=hashlib.sha256(b"nothing of the kind").hexdigest())
    assert "cannot be read" in refusal(lambda: load_detector(tmp_path / "plates", encoder))


def test_a_detector_of_another_encoder_is_refused(fitted: FittedDetector, encoder: Any, tmp_path: Path) -> None:
    save_detector(fitted, tmp_path / "plates")
    other = type(encoder)(revision="colours-2")
    line = refusal(lambda: load_detector(tmp_path / "plates", other))
    assert "colours-1" in line
    assert "colours-2" in line
    assert "sage-iad fit plates NORMAL_DIR" in line


def test_a_missing_detector_is_refused(encoder: Any, tmp_path: Path) -> None:
    line = refusal(lambda: load_detector(tmp_path / "plates", encoder))
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


@pytest.mark.parametrize("settings", [Settings(local=True), Settings(flatten=True), Settings(320)])
def test_every_setting_comes_back_with_the_same_scores(
    encoder: Any, photos: Any, tmp_path: Path, settings: Settings
) -> None:
    made = fit_detector(encoder, [photos.noisy(i) for i in range(6)], 0.2, settings=settings)
    made.save(tmp_path / "plates")
    again = load_detector(tmp_path / "plates", encoder)
    assert again.settings == settings
    one, other = made.detect(photos.noisy(99)), again.detect(photos.noisy(99))
    assert (one.score, one.raw) == (other.score, other.raw)
    np.testing.assert_array_equal(one.anomaly_map, other.anomaly_map)


def test_the_card_states_what_a_reader_asks(fitted: FittedDetector, tmp_path: Path) -> None:
    fitted.save(tmp_path / "plates")
    card = json.loads((tmp_path / "plates" / "detector.json").read_text())
    assert card["encoder"] == "colours-1"
    assert card["settings"] == {"side": 224, "flatten": False, "local": False}
    assert card["false_alarm_rate_asked"] == 0.1
    assert card["false_alarm_rate"] == pytest.approx(1 / 6)
    assert card["photos_needed_for_asked"] == 9
    assert (card["normals"]["given"], card["normals"]["count"]) == (5, 5)
    assert card["normals"]["names"] == [f"photo {i}" for i in range(1, 6)]


def test_find_detector_knows_what_is_there(fitted: FittedDetector, encoder: Any, tmp_path: Path) -> None:
    fitted.save(detector_folder(tmp_path, "plates"))
    assert find_detector(tmp_path, "plates", encoder) is not None
    assert find_detector(tmp_path, "cups", encoder) is None
    assert find_detector(tmp_path, "../plates", encoder) is None


def test_find_detector_reads_the_other_kinds_too(
    fitted: FittedDetector, encoder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr("tools.card.load_other", lambda folder, encoder: asked.append(folder))
    fitted.save(detector_folder(tmp_path, "plates"))
    find_detector(tmp_path, "plates", encoder)
    assert asked == []
    spoil(detector_folder(tmp_path, "plates"), detector="padim")
    find_detector(tmp_path, "plates", encoder)
    assert asked == [detector_folder(tmp_path, "plates")]
