"""Folders are read in a fixed order, and what is wrong with one is said in a line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from evals import EvalError
from evals.dataset import pick, read_folder, read_mask
from evals.setting import FEW, FIT_AT_MOST, shown

Make = Callable[..., Path]


def test_reads_photos_masks_and_labels_in_a_fixed_order(make_folder: Make) -> None:
    root = make_folder(good=2, bad=2, stained=1)
    (root / "test/dent/.hidden.png").write_bytes(b"")
    (root / "test/dent/notes.txt").write_text("not a photo")
    folder = read_folder(root)
    assert folder.name == "plates"
    assert [s.id for s in folder.samples] == [
        "test/dent/000.png",
        "test/dent/001.png",
        "test/good/000.png",
        "test/good/001.png",
        "test/stain/000.png",
    ]
    assert [s.label for s in folder.samples] == [1, 1, 0, 0, 1]
    assert [len(s.masks) == 1 for s in folder.samples] == [True, True, False, False, False]
    assert [p.name for p in folder.train] == [f"{i:03}.png" for i in range(5)]
    assert read_folder(str(root)) == folder


def test_manifest_gives_aligned_references(make_folder: Make, draw: SimpleNamespace) -> None:
    root = make_folder(good=1, bad=1)
    draw.photo(root / "reference/a.png", defect=False)
    (root / "manifest.csv").write_text(
        "file,reference,note\ntest/dent/000.png,reference/a.png,x\ntest/good/000.png,,\n"
    )
    dent, good = read_folder(root).samples
    assert dent.references == (root / "reference/a.png",)
    assert good.references == ()
    (root / "manifest.csv").write_text("file,reference\ntest/dent/000.png,reference/b.png\n")
    with pytest.raises(EvalError, match="does not exist"):
        read_folder(root)
    (root / "manifest.csv").write_bytes(b"file,reference\n\xff\xfe\n")
    with pytest.raises(EvalError, match="UTF-8"):
        read_folder(root)


@pytest.mark.parametrize("values", [(0, 1), (0, 255), (3, 250)])
def test_a_mask_is_what_lies_above_half_of_its_highest_value(tmp_path: Path, values: tuple[int, int]) -> None:
    pixels = np.full((20, 30), values[0], np.uint8)
    pixels[4:9, 10:20] = values[1]
    Image.fromarray(pixels).save(tmp_path / "m.png")
    mask = read_mask(tmp_path / "m.png")
    assert mask.shape == (20, 30)
    assert mask.sum() == 50
    assert mask[4, 10]


def test_sixteen_bit_masks_are_read(tmp_path: Path) -> None:
    pixels = np.zeros((20, 30), np.uint16)
    pixels[2, 3] = 65535
    Image.fromarray(pixels).save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png").sum() == 1


def test_a_photo_lying_on_its_side_fits_the_mask_of_its_upright_view(make_folder: Make, draw: SimpleNamespace) -> None:
    root = make_folder(good=1, bad=0)
    exif = Image.Exif()
    exif[0x0112] = 6
    (root / "test/dent").mkdir()
    Image.new("RGB", (60, 40)).save(root / "test/dent/a.jpg", exif=exif)
    draw.mask(root / "ground_truth/dent/a_mask.png", (40, 60))
    assert len(read_folder(root).samples[0].masks) == 1


def spoil_nothing(root: Path, _: SimpleNamespace) -> None:
    for path in sorted(root.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    root.rmdir()


def spoil_good(root: Path, _: SimpleNamespace) -> None:
    for path in (root / "test/good").iterdir():
        path.unlink()
    (root / "test/good").rmdir()


def spoil_mask(root: Path, _: SimpleNamespace) -> None:
    (root / "ground_truth/dent/000_mask.png").write_bytes(b"\x89PNG cut off")


def spoil_size(root: Path, draw: SimpleNamespace) -> None:
    draw.mask(root / "ground_truth/dent/000_mask.png", (draw.side, draw.side + 1))


def spoil_content(root: Path, draw: SimpleNamespace) -> None:
    Image.new("L", (draw.side, draw.side)).save(root / "ground_truth/dent/000_mask.png")


def spoil_photos(root: Path, _: SimpleNamespace) -> None:
    for path in (root / "test").rglob("*.png"):
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_nothing, "no such folder"),
        (spoil_good, "has no test/good"),
        (spoil_mask, "cannot be read"),
        (spoil_size, "expected 64 x 64"),
        (spoil_content, "marks nothing"),
        (spoil_photos, "holds no photo"),
    ],
)
def test_a_bad_folder_is_one_line(
    make_folder: Make, spoil: Callable[[Path, SimpleNamespace], None], says: str, draw: SimpleNamespace
) -> None:
    root = make_folder()
    spoil(root, draw)
    with pytest.raises(EvalError, match=says) as caught:
        read_folder(root)
    assert "\n" not in str(caught.value)


def test_an_unreadable_photo_is_left_to_the_inspection(make_folder: Make) -> None:
    root = make_folder()
    (root / "test/dent/000.png").write_bytes(b"no picture")
    assert len(read_folder(root).samples) == 6


def test_limit_keeps_both_labels_and_the_order(make_folder: Make) -> None:
    samples = read_folder(make_folder(good=2, bad=8)).samples
    assert pick(samples, None, 0) == list(samples)
    assert pick(samples, 99, 0) == list(samples)
    some = pick(samples, 3, 0)
    assert [s.label for s in some] == [1, 1, 0]
    assert some == pick(samples, 3, 0)
    assert {tuple(s.id for s in pick(samples, 3, seed)) for seed in range(20)} != {tuple(s.id for s in some)}
    assert len(pick(samples, 1, 0)) == 1
    with pytest.raises(EvalError, match="limit 0"):
        pick(samples, 0, 0)


def test_a_manifest_that_a_spreadsheet_saved_is_read(make_folder: Make) -> None:
    root = make_folder()
    text = "file,reference\ntest/good/001.png,train/good/000.png\n"
    (root / "manifest.csv").write_text(text, encoding="utf-8-sig")  # with a byte order mark
    (own,) = [sample.references for sample in read_folder(root).samples if sample.references]
    assert own == (root / "train/good/000.png",)


def test_settings_show_what_they_say(make_folder: Make) -> None:
    folder = read_folder(make_folder(train=6))
    sample = folder.samples[0]
    assert shown(folder, "zero-shot", 0).references(sample) == ()
    assert len(shown(folder, "one-shot", 0).references(sample)) == 1
    assert len(set(shown(folder, "few-shot", 0).references(sample))) == FEW
    assert shown(folder, "fitted", 0).references(sample) == ()
    assert shown(folder, "fitted", 0).fit_on == folder.train
    assert len(folder.train) < FIT_AT_MOST
    assert shown(folder, "few-shot", 3) == shown(folder, "few-shot", 3)
    assert len({shown(folder, "one-shot", seed).common[None] for seed in range(20)}) > 1


def test_one_shot_prefers_the_aligned_reference(make_folder: Make, draw: SimpleNamespace) -> None:
    root = make_folder(good=1, bad=1, train=0)
    for name in ("a", "b"):
        draw.photo(root / f"reference/{name}.png", defect=False)
    (root / "manifest.csv").write_text(
        "file,reference\ntest/dent/000.png,reference/a.png\ntest/good/000.png,reference/b.png\n"
    )
    folder = read_folder(root)
    seen = shown(folder, "one-shot", 0)  # needs no train/good
    assert [seen.references(s)[0].name for s in folder.samples] == ["a.png", "b.png"]


@pytest.mark.parametrize("setting", ["one-shot", "few-shot", "fitted"])
def test_too_few_normal_photos_are_named(make_folder: Make, setting: str) -> None:
    folder = read_folder(make_folder(train=0))
    with pytest.raises(EvalError, match="0 photos in train/good"):
        shown(folder, setting, 0)  # type: ignore[arg-type]
    with pytest.raises(EvalError, match="setting 'two-shot'"):
        shown(folder, "two-shot", 0)  # type: ignore[arg-type]


def test_the_drawn_mask_marks_the_drawn_defect(make_folder: Make, draw: SimpleNamespace) -> None:
    (mask,) = read_folder(make_folder()).samples[0].masks
    rows, columns = np.nonzero(read_mask(mask))
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == draw.dot
