"""Photos for a fit: what is found, what is left out, and that the reader is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from parts import plate

from agent.images import InputError
from agent.normals import Normals


def folder(at: Path, count: int = 3) -> Path:
    at.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        plate(False).save(at / f"{i}.png")
    return at


def test_folders_and_files_are_read_in_order_with_names(tmp_path: Path) -> None:
    good = folder(tmp_path / "good", 2)
    folder(good / "more", 1)
    plate(False).save(tmp_path / "alarm.png")
    normals = Normals([good, tmp_path / "alarm.png"])
    assert len(list(normals)) == 4
    assert normals.names == ["0.png", "1.png", str(Path("more") / "0.png"), "alarm.png"]
    assert normals.warnings() == []


def test_what_is_no_photo_is_named(tmp_path: Path) -> None:
    good = folder(tmp_path)
    (good / "notes.txt").write_text("x")
    (good / ".DS_Store").write_text("x")
    for i in range(5):
        (good / f"bad{i}.jpg").write_text("not a photo")
    normals = Normals([good])
    assert len(list(normals)) == 3
    said = normals.warnings()
    assert said[0] == "no photos, left out: notes.txt"
    assert said[1].startswith("skipped bad0.jpg: is not a known kind of image")
    assert said[-1] == "skipped 2 more that cannot be read"
    assert not [line for line in said if "DS_Store" in line]


def test_mixed_sizes_are_told(tmp_path: Path) -> None:
    good = folder(tmp_path)
    plate(False, side=48).save(good / "small.png")
    normals = Normals([good])
    list(normals)
    (line,) = normals.warnings()
    assert line.startswith("photos come in 2 sizes, 3 of 4 in 96 × 96 px")


def test_a_sample_is_told(tmp_path: Path) -> None:
    normals = Normals([folder(tmp_path, 4)])
    normals.chosen = normals.found[:2]
    assert len(list(normals)) == 2
    assert normals.warnings() == ["4 photos found; a random sample of 2 is used"]


@pytest.mark.parametrize(("name", "message"), [("missing", "not there"), (".", "no photo in it")])
def test_nothing_to_read_is_one_clear_error(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Normals([tmp_path / name])
