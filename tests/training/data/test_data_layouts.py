"""Every layout is read as its authors publish it, and what is wrong with a folder is said in a line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from training.data import DataError, Question, Sample, read_mask
from training.data.folders import loco_defects
from training.data.layouts import LAYOUTS, read_dataset

Fields = tuple[Any, ...]


def draw(root: Path, *names: str, value: int = 120) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), value).save(root / name)


def fields(root: Path, sample: Sample) -> Fields:
    """id, label, defect type, split, category and the masks below the root."""
    assert sample.path == root / sample.id
    masks = [mask.relative_to(root).as_posix() for mask in sample.masks]
    return sample.id, sample.label, sample.defect_type, sample.split, sample.category, *masks


def draw_mvtec_ad(root: Path) -> list[Fields]:
    draw(root, "nut/train/good/001.png", "nut/train/good/000.png", "nut/test/good/000.png")
    draw(root, "nut/test/bent/000.png", "nut/test/bent_far/000.png", "nut/test/bent/001.png", "wood/train/good/000.png")
    draw(root, *(f"nut/ground_truth/{name}_mask.png" for name in ("bent/000", "bent/001", "bent_far/000")), value=255)
    draw(root, "wood/test/good/000.png")
    return [
        ("nut/train/good/000.png", 0, "good", "train", "nut"),
        ("nut/train/good/001.png", 0, "good", "train", "nut"),
        ("nut/test/bent/000.png", 1, "bent", "test", "nut", "nut/ground_truth/bent/000_mask.png"),
        ("nut/test/bent/001.png", 1, "bent", "test", "nut", "nut/ground_truth/bent/001_mask.png"),
        ("nut/test/bent_far/000.png", 1, "bent_far", "test", "nut", "nut/ground_truth/bent_far/000_mask.png"),
        ("nut/test/good/000.png", 0, "good", "test", "nut"),
        ("wood/train/good/000.png", 0, "good", "train", "wood"),
        ("wood/test/good/000.png", 0, "good", "test", "wood"),
    ]


def draw_mvtec_loco(root: Path) -> list[Fields]:
    draw(root, "pins/train/good/000.png", "pins/validation/good/000.png", "pins/test/good/000.png")
    draw(root, "pins/test/logical_anomalies/000.png", "pins/test/structural_anomalies/000.png")
    truth = "pins/ground_truth"
    draw(root, f"{truth}/logical_anomalies/000/000.png", value=255)
    draw(root, f"{truth}/logical_anomalies/000/001.png", value=253)
    draw(root, f"{truth}/structural_anomalies/000/000.png", value=254)
    named = [("two pins", 255), ("dirt", 254), ("no pin", 253)]
    (root / "pins/defects_config.json").write_text(
        json.dumps(
            [
                {"defect_name": n, "pixel_value": v, "saturation_threshold": 1.0, "relative_saturation": True}
                for n, v in named
            ]
        )
    )
    both = [f"{truth}/logical_anomalies/000/00{i}.png" for i in range(2)]
    one = f"{truth}/structural_anomalies/000/000.png"
    return [
        ("pins/train/good/000.png", 0, "good", "train", "pins"),
        ("pins/validation/good/000.png", 0, "good", "validation", "pins"),
        ("pins/test/good/000.png", 0, "good", "test", "pins"),
        ("pins/test/logical_anomalies/000.png", 1, "logical_anomalies", "test", "pins", *both),
        ("pins/test/structural_anomalies/000.png", 1, "structural_anomalies", "test", "pins", one),
    ]


def draw_btad(root: Path) -> list[Fields]:
    draw(root, "01/train/ok/0000.bmp", "01/test/ok/0001.bmp", "01/test/ko/0000.bmp", "01/ground_truth/ko/0000.png")
    draw(root, "03/train/ok/0000.bmp", "03/test/ko/0000.bmp", "03/ground_truth/ko/0000.bmp")
    return [
        ("01/train/ok/0000.bmp", 0, "good", "train", "01"),
        ("01/test/ko/0000.bmp", 1, "ko", "test", "01", "01/ground_truth/ko/0000.png"),
        ("01/test/ok/0001.bmp", 0, "good", "test", "01"),
        ("03/train/ok/0000.bmp", 0, "good", "train", "03"),
        ("03/test/ko/0000.bmp", 1, "ko", "test", "03", "03/ground_truth/ko/0000.bmp"),
    ]


def draw_manta(root: Path) -> list[Fields]:
    draw(root, "mechanics/gear/train/good/0.png", "mechanics/gear/test/good/0.png", "mechanics/gear/test/chip/0.png")
    draw(root, "mechanics/gear/test/chip/1.png", "mechanics/gear/ground_truth/chip/0.png", value=255)
    return [
        ("mechanics/gear/train/good/0.png", 0, "good", "train", "gear"),
        ("mechanics/gear/test/chip/0.png", 1, "chip", "test", "gear", "mechanics/gear/ground_truth/chip/0.png"),
        ("mechanics/gear/test/chip/1.png", 1, "chip", "test", "gear"),
        ("mechanics/gear/test/good/0.png", 0, "good", "test", "gear"),
    ]


def draw_visa(root: Path) -> list[Fields]:
    images, masks = "candle/Data/Images", "candle/Data/Masks/Anomaly"
    draw(root, f"{images}/Normal/0000.JPG", f"{images}/Normal/0001.JPG")
    draw(root, f"{images}/Anomaly/000.JPG", f"{images}/Anomaly/001.JPG")
    draw(root, f"{masks}/000.png", f"{masks}/001.png", value=2)
    (root / "split_csv").mkdir()
    (root / "split_csv/1cls.csv").write_text(
        "object,split,label,image,mask\n"
        f"candle,train,normal,{images}/Normal/0000.JPG,\ncandle,test,normal,{images}/Normal/0001.JPG,\n"
        f"candle,test,anomaly,{images}/Anomaly/000.JPG,{masks}/000.png\n"
        f"candle,test,anomaly,{images}/Anomaly/001.JPG,{masks}/001.png\n"
    )
    (root / "candle/image_anno.csv").write_text(
        f'image,label,mask\n{images}/Normal/0000.JPG,normal,\n{images}/Anomaly/000.JPG,"bent,melt",{masks}/000.png\n'
    )
    return [
        (f"{images}/Normal/0000.JPG", 0, "good", "train", "candle"),
        (f"{images}/Normal/0001.JPG", 0, "good", "test", "candle"),
        (f"{images}/Anomaly/000.JPG", 1, "bent,melt", "test", "candle", f"{masks}/000.png"),
        (f"{images}/Anomaly/001.JPG", 1, "anomaly", "test", "candle", f"{masks}/001.png"),
    ]


def draw_real_iad(root: Path) -> list[Fields]:
    folder = "realiad_512/tape"
    ok, side = "OK/S0001/tape_0001_OK_C1_1.jpg", "OK/S0001/tape_0001_OK_C2_1.jpg"
    ng, mask = "NG/AK/S0002/tape_0002_NG_AK_C1_1.jpg", "NG/AK/S0002/tape_0002_NG_AK_C1_1.png"
    draw(root, f"{folder}/{ok}", f"{folder}/{side}", f"{folder}/{ng}")
    draw(root, f"{folder}/{mask}", value=255)
    (root / "realiad_jsons").mkdir()

    def row(kind: str, image: str, mask: str | None = None) -> dict[str, str | None]:
        return {"category": "tape", "anomaly_class": kind, "image_path": image, "mask_path": mask}

    told = {"meta": {"normal_class": "OK", "prefix": "tape/"}, "train": [row("OK", ok), row("OK", side)]}
    (root / "realiad_jsons/tape.json").write_text(json.dumps({**told, "test": [row("AK", ng, mask)]}))
    return [
        (f"{folder}/{ok}", 0, "good", "train", "tape"),
        (f"{folder}/{side}", 0, "good", "train", "tape"),
        (f"{folder}/{ng}", 1, "AK", "test", "tape", f"{folder}/{mask}"),
    ]


def draw_mmad(root: Path) -> list[Fields]:
    bad, fine = "DS-MVTec/bottle/image/broken_large/000.png", "DS-MVTec/bottle/image/good/000.png"
    loco = "MVTec-LOCO/pushpins/test/logical_anomalies/000.png"
    masks = ["MVTec-LOCO/pushpins/ground_truth/logical_anomalies/000/000.png"]
    masks += [masks[0].replace("000.png", "001.png"), "DS-MVTec/bottle/rbg_mask/broken_large/000_rbg_mask.png"]
    draw(root, bad, fine, loco, *masks, "MVTec-AD/bottle/train/good/001.png", "MVTec-AD/bottle/train/good/002.png")
    asked = [
        {"Question": "Is there any defect in the object?", "Answer": "A", "Options": {"A": "Yes.", "B": "No."}}
        | {"type": "Anomaly Detection", "annotation": True}
    ]
    alike, drawn = ["MVTec-AD/bottle/train/good/001.png"], ["MVTec-AD/bottle/train/good/002.png"]
    told = {
        bad: {"mask_path": "rbg_mask/broken_large/000_rbg_mask.png", "conversation": asked}
        | {"similar_templates": alike, "random_templates": drawn},
        fine: {"mask_path": None, "conversation": asked, "similar_templates": alike, "random_templates": drawn},
        loco: {"mask_path": "ground_truth/logical_anomalies/000/000.png", "conversation": []},
    }
    (root / "mmad.json").write_text(json.dumps(told))
    return [
        (bad, 1, "broken_large", "test", "bottle", masks[2]),
        (fine, 0, "good", "test", "bottle"),
        (loco, 1, "logical_anomalies", "test", "pushpins", *masks[:2]),
    ]


DRAWN: dict[str, Callable[[Path], list[Fields]]] = {
    "btad": draw_btad,
    "manta": draw_manta,
    "mmad": draw_mmad,
    "mpdd": draw_mvtec_ad,
    "mvtec_ad": draw_mvtec_ad,
    "mvtec_loco": draw_mvtec_loco,
    "real_iad": draw_real_iad,
    "visa": draw_visa,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_field_of_every_layout(tmp_path: Path, layout: str) -> None:
    root = tmp_path / "set"
    root.mkdir()
    expected = DRAWN[layout](root)
    files = sorted(root.rglob("*"))
    dataset = read_dataset(layout, root)
    assert (dataset.name, dataset.root) == ("set", root)
    assert [fields(root, sample) for sample in dataset.samples] == expected
    assert sorted(root.rglob("*")) == files, "reading leaves the folder as it is"
    last = expected[-1][4]
    one = read_dataset(layout, str(root), last)
    assert [fields(root, sample) for sample in one.samples] == [row for row in expected if row[4] == last]
    with pytest.raises(DataError, match=rf"category 'lamp'.*{last}"):
        read_dataset(layout, root, "lamp")


def test_loco_names_its_defects_by_the_value_of_the_mask(tmp_path: Path) -> None:
    draw_mvtec_loco(tmp_path)
    samples = read_dataset("mvtec_loco", tmp_path).samples
    assert [loco_defects(sample) for sample in samples] == [(), (), (), ("two pins", "no pin"), ("dirt",)]
    (tmp_path / "pins/defects_config.json").write_text("[]")
    with pytest.raises(DataError, match=r"cannot name the defects of 'pins/test/structural_anomalies/000.png'"):
        loco_defects(samples[-1])


def test_normal_photos_to_compare_with_come_from_training_and_the_same_view(tmp_path: Path) -> None:
    draw_real_iad(tmp_path)
    dataset = read_dataset("real_iad", tmp_path)
    front, side, defect = dataset.samples
    assert [s.view for s in dataset.samples] == ["C1", "C2", "C1"]
    assert dataset.normals(defect) == (front.path,)
    assert dataset.normals(side) == ()
    assert defect.references == ()


def test_mmad_brings_its_questions_and_references(tmp_path: Path) -> None:
    draw_mmad(tmp_path)
    bad, _, loco = read_dataset("mmad", tmp_path).samples
    text = "Is there any defect in the object?"
    assert bad.questions == (Question(text, (("A", "Yes."), ("B", "No.")), "A", "Anomaly Detection"),)
    assert bad.references == (tmp_path / "MVTec-AD/bottle/train/good/001.png",)
    assert bad.random_references == (tmp_path / "MVTec-AD/bottle/train/good/002.png",)
    assert (loco.references, loco.questions) == ((), ())


def test_real_iad_lists_may_lie_one_folder_deeper_and_the_largest_photos_count(tmp_path: Path) -> None:
    draw_real_iad(tmp_path)
    (tmp_path / "realiad_jsons").rename(tmp_path / "lists")
    (tmp_path / "realiad_jsons").mkdir()
    (tmp_path / "lists").rename(tmp_path / "realiad_jsons/realiad_jsons")
    (tmp_path / "realiad_512").rename(tmp_path / "realiad_1024")
    (tmp_path / "realiad_256/tape").mkdir(parents=True)
    assert all(s.id.startswith("realiad_1024/tape/") for s in read_dataset("real_iad", tmp_path).samples)


def test_masks_of_class_numbers_and_of_colours_are_read_whole(tmp_path: Path) -> None:
    classes = np.zeros((16, 16), np.uint8)
    classes[2, 3], classes[4, 5] = 1, 4
    Image.fromarray(classes).save(tmp_path / "classes.png")
    colours = np.zeros((16, 16, 3), np.uint8)
    colours[2, 3], colours[6, 7] = (0, 0, 90), (255, 0, 0)
    Image.fromarray(colours).save(tmp_path / "colours.png")
    assert np.argwhere(read_mask(tmp_path / "classes.png")).tolist() == [[2, 3], [4, 5]]
    assert np.argwhere(read_mask(tmp_path / "colours.png")).tolist() == [[2, 3], [6, 7]]
    both = read_mask(tmp_path / "classes.png", tmp_path / "colours.png")
    assert np.argwhere(both).tolist() == [[2, 3], [4, 5], [6, 7]]
    Image.new("L", (16, 17), 255).save(tmp_path / "large.png")
    with pytest.raises(DataError, match=r"large.png': is 16 x 17 pixels; expected 16 x 16 like classes.png"):
        read_mask(tmp_path / "classes.png", tmp_path / "large.png")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_another_layout_is_one_line(tmp_path: Path, layout: str) -> None:
    draw(tmp_path, "holiday/beach.png")
    with pytest.raises(DataError) as caught:
        read_dataset(layout, tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    with pytest.raises(DataError, match="no such folder"):
        read_dataset(layout, tmp_path / "none")


def test_an_unknown_layout_names_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"layout 'mvtec': expected one of btad, .*visa"):
        read_dataset("mvtec", ".")


def test_what_was_expected_and_found_is_named(tmp_path: Path) -> None:
    draw(tmp_path, "holiday/beach.png")
    with pytest.raises(DataError, match="expected <category>/train/good and <category>/test below it; found holiday"):
        read_dataset("mvtec_ad", tmp_path)


@pytest.mark.parametrize(
    ("layout", "file", "says"),
    [
        ("mvtec_ad", "nut/ground_truth/bent/001_mask.png", "'nut/test/bent/001.png': has no mask"),
        ("mpdd", "nut/ground_truth/bent/000_mask.png", "'nut/test/bent/000.png': has no mask"),
        ("mvtec_loco", "pins/ground_truth/structural_anomalies/000/000.png", "has no mask; expected one named after"),
        ("btad", "01/ground_truth/ko/0000.png", "'01/test/ko/0000.bmp': has no mask.* 01/ground_truth/ko"),
        ("visa", "candle/Data/Masks/Anomaly/000.png", "000.JPG': its mask .* is listed but not there"),
        ("visa", "candle/Data/Images/Normal/0000.JPG", "0000.JPG': its photo .* is listed but not there"),
        ("real_iad", "realiad_512/tape/NG/AK/S0002/tape_0002_NG_AK_C1_1.png", "its mask .* is listed but not there"),
        ("real_iad", "realiad_512/tape/OK/S0001/tape_0001_OK_C1_1.jpg", "its photo .* is listed but not there"),
        ("mmad", "DS-MVTec/bottle/rbg_mask/broken_large/000_rbg_mask.png", "its mask .* is listed but not there"),
        ("mmad", "DS-MVTec/bottle/image/good/000.png", "its photo .* is listed but not there"),
        ("mmad", "MVTec-AD/bottle/train/good/001.png", "its reference .* is listed but not there"),
    ],
)
def test_a_missing_file_is_named(tmp_path: Path, layout: str, file: str, says: str) -> None:
    DRAWN[layout](tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(DataError, match=says) as caught:
        read_dataset(layout, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_mask_of_no_photo_is_one_line(tmp_path: Path) -> None:
    draw_mvtec_ad(tmp_path)
    draw(tmp_path, "nut/ground_truth/bent/009_mask.png", value=255)
    with pytest.raises(DataError, match="anomalib cannot read it") as caught:
        read_dataset("mvtec_ad", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("layout", "file", "text", "says"),
    [
        ("visa", "split_csv/1cls.csv", "object,split,image\n", "misses label, mask"),
        (
            "visa",
            "split_csv/1cls.csv",
            "object,split,label,image,mask\ncandle,dev,normal,a.JPG,\n",
            "expected train or",
        ),
        ("real_iad", "realiad_jsons/tape.json", "{}", r"tape.json': train: Field required"),
        ("mmad", "mmad.json", "{", "mmad.json': the file: Invalid JSON"),
        ("mmad", "mmad.json", '{"a/b/c/d.png": {"conversation": [{}]}}', r"a/b/c/d.png.conversation.0.Question: Field"),
        ("mmad", "mmad.json", '{"a.png": {"conversation": []}}', "names 'a.png'; expected <set>/<category>"),
    ],
)
def test_a_list_that_does_not_hold_is_named(tmp_path: Path, layout: str, file: str, text: str, says: str) -> None:
    DRAWN[layout](tmp_path)
    (tmp_path / file).write_text(text)
    with pytest.raises(DataError, match=says):
        read_dataset(layout, tmp_path)


def test_importing_the_package_is_cheap() -> None:
    heavy = "('torch', 'anomalib', 'pandas', 'numpy', 'pydantic')"
    code = f"import sys, training.data.folders; sys.exit([m for m in {heavy} if m in sys.modules] != [])"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize("listed", ["/etc/hostname", "../../../outside.png"])
def test_lists_may_not_name_what_lies_outside(tmp_path: Path, listed: str) -> None:
    root = tmp_path / "set"
    root.mkdir()
    draw_real_iad(root)
    Image.new("RGB", (16, 16)).save(tmp_path / "outside.png")
    path = root / "realiad_jsons" / "tape.json"
    told = json.loads(path.read_text())
    told["test"][0]["image_path"] = listed
    path.write_text(json.dumps(told))
    with pytest.raises(DataError, match="is outside"):
        read_dataset("real_iad", root)
