"""AD-PL files: what is right is read as it is, and each of thirty kinds of damage is named in one line."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from training.adpl import PreferenceRecord
from training.adpl_file import AdplFault, read_adpl

Json = dict[str, Any]


def record(pair_type: str = "defect identification", domain: str = "nut") -> Json:
    each = {"conclusion_en": "A chip at the rim."} if pair_type == "defect diagnosis" else {}
    questions = [
        {
            "question_en": f"Question {q}?",
            "question_cn": f"问题 {q}?",
            "answer": q % 2 == 0,
            "answer_options": [
                {"answer_en": f"{q % 2 == 0}, for reason {a}.", "answer_cn": f"理由 {a}"} for a in range(4)
            ],
            **each,
        }
        for q in range(5)
    ]
    whole = {} if each else {"conclusion_en": "The nut is chipped."}
    return {
        "domain": domain, "test_image": "a.png", "reference_image": "b.png", "pair_type": pair_type,
        "question_answer": questions, **whole,
    }  # fmt: skip


def written(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "adpl.json"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_all_three_pair_types_are_read_and_nothing_is_lost(tmp_path: Path) -> None:
    kinds = ("standard comparison", "defect identification", "defect diagnosis")
    given = [record(kind) | {"source": "own"} for kind in kinds]
    read = list(read_adpl(written(tmp_path, given)))
    assert [r.model_dump(exclude_none=True) for r in read if isinstance(r, PreferenceRecord)] == given


@pytest.mark.parametrize("indent", [None, 2])
def test_one_record_alone_is_a_file_too(tmp_path: Path, indent: int | None) -> None:
    (read,) = read_adpl(written(tmp_path, json.dumps(record(), indent=indent)))
    assert isinstance(read, PreferenceRecord)


def test_json_lines_with_an_empty_line_and_a_byte_order_mark(tmp_path: Path) -> None:
    text = "\ufeff" + json.dumps(record()) + "\n\n" + json.dumps(record(domain="bolt")) + "\n"
    assert [r.domain for r in read_adpl(written(tmp_path, text)) if isinstance(r, PreferenceRecord)] == ["nut", "bolt"]


def test_good_records_beside_bad_ones_are_read(tmp_path: Path) -> None:
    read = list(read_adpl(written(tmp_path, [record(), 7, record(domain="bolt")])))
    assert [isinstance(r, PreferenceRecord) for r in read] == [True, False, True]


def change(edit: Callable[[Json], Any]) -> list[Json]:
    """Two records, the second changed."""
    changed = copy.deepcopy(record())
    edit(changed)
    return [record(domain="bolt"), changed]


def at(q: int, a: int | None = None) -> Callable[[Json], Json]:
    def found(r: Json) -> Json:
        question: Json = r["question_answer"][q]
        return question if a is None else question["answer_options"][a]

    return found


HERE = "record 2, question 3"
DAMAGE: list[tuple[Any, str]] = [
    ("", "is empty"),
    ("[]", "is an empty array"),
    ('"text"', "holds one string"),
    ("12", "holds one number"),
    ("null", "holds one null"),
    ('[{"domain": "nut",]', "line 1, column 19: is not JSON"),
    ('{"domain": 1}\n{"domain": \n', "line 2, column 12: is not JSON"),
    (b"\xff\xfe[]", "byte 0 is not UTF-8"),
    ("[" * 100_000, "cannot be read as JSON"),
    ("[" + "1" * 5000 + "]", "cannot be read as JSON"),
    ([record(), [1]], "record 2: it is an array of 1"),
    ([record(), None], "record 2: it is null"),
    ([record(), record()], "record 2: is the same as record 1 of adpl.json"),
    (change(lambda r: r.pop("domain")), "record 2: domain is missing"),
    (change(lambda r: r.update(domain="  ")), 'record 2: domain is "  "'),
    (change(lambda r: r.update(domain=3)), "record 2: domain is 3, expected text"),
    (change(lambda r: r.pop("test_image")), "record 2: test_image is missing"),
    (change(lambda r: r.update(reference_image="")), 'record 2: reference_image is ""'),
    (change(lambda r: r.update(pair_type="comparison")), "record 2: pair_type is \"comparison\", expected 'standard comparison' or"),
    (change(lambda r: r.pop("question_answer")), "record 2: question_answer is missing"),
    (change(lambda r: r.update(question_answer={})), "record 2: question_answer is an object"),
    (change(lambda r: r["question_answer"].pop()), "record 2: question_answer holds 4 questions, expected exactly 5"),
    (change(lambda r: r["question_answer"].append(at(0)(r))), "record 2: question_answer holds 6 questions"),
    (change(lambda r: r["question_answer"].__setitem__(2, "text")), f'{HERE}: it is "text", expected an object'),
    (change(lambda r: r.pop("conclusion_en")), "record 2: conclusion_en is missing"),
    (change(lambda r: r.update(pair_type="defect diagnosis")), "record 2: questions 1, 2, 3, 4, 5 have no conclusion_en"),
    (change(lambda r: at(2)(r).pop("question_en")), f"{HERE}: question_en is missing"),
    (change(lambda r: at(2)(r).pop("answer")), f"{HERE}: answer is missing"),
    (change(lambda r: at(2)(r).update(answer="true")), f'{HERE}: answer is "true", expected true, false or "unanswerable"'),
    (change(lambda r: at(2)(r).update(answer=1)), f"{HERE}: answer is 1"),
    (change(lambda r: at(2)(r)["answer_options"].pop()), f"{HERE}: answer_options holds 3 answers, expected exactly 4"),
    (change(lambda r: at(2, 1)(r).pop("answer_en")), f"{HERE}, answer 2: answer_en is missing"),
    (change(lambda r: at(2, 3)(r).update(answer_en="")), f'{HERE}, answer 4: answer_en is ""'),
    (change(lambda r: at(2, 3)(r).update(answer_en=None)), f"{HERE}, answer 4: answer_en is null"),
    (change(lambda r: at(2, 3)(r).update(answer_en="true,  for reason 0.")), f"{HERE}: answers 1 and 4 are the same"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "says"), DAMAGE, ids=[says for _, says in DAMAGE])
def test_each_damage_is_named_in_one_line(tmp_path: Path, content: Any, says: str) -> None:
    faults = [str(f) for f in read_adpl(written(tmp_path, content)) if isinstance(f, AdplFault)]
    assert any(fault.startswith(says) for fault in faults), faults
    assert all(fault.splitlines() == [fault] for fault in faults)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    (fault,) = read_adpl(tmp_path / "none.json")
    assert str(fault).startswith("cannot be read (No such file")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (fault,) = read_adpl(written(tmp_path, [record()]), images=tmp_path)
    assert str(fault).startswith('record 1: reference_image "b.png" is not in')


def test_a_record_that_is_in_two_files_is_named(tmp_path: Path) -> None:
    seen: dict[str, str] = {}
    for name in ("one.json", "two.json"):
        (tmp_path / name).write_text(json.dumps([record() | {"split": name, "note": name}]), encoding="utf-8")
        found = list(read_adpl(tmp_path / name, seen=seen))
    assert [str(fault) for fault in found] == ["record 1: is the same as record 1 of one.json"]


# --- made records: their scores, facts and masks ---

SIDE = 20


def made_record() -> Json:
    """A record as the engine makes it, of photos of 20 pixels with one defect."""
    made = record()
    for question in made["question_answer"]:
        for rank, option in enumerate(question["answer_options"]):
            option["answer_en"] = f"{question['answer']}, as reason {rank} says [F1]."
            option["scores"] = {"type": 5 - rank, "location": 5 - rank, "logic": 5 - rank}
    marked = {"defect_type": "dent", "severity": 0.5, "box": [3, 4, 8, 10], "mask": "mask.png"}
    return made | {"facts": ["nut/dent"], "defects": [marked]}


def photos(folder: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (SIDE, SIDE)).save(folder / name)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[4:10, 3:8] = 255
    Image.fromarray(mask).save(folder / "mask.png")


def scores(r: Json, answer: int) -> Json:
    found: Json = at(2, answer)(r)["scores"]
    return found


MADE_DAMAGE: list[tuple[Callable[[Json], Any], str]] = [
    (lambda r: scores(r, 1).update(type=6), "record 1, question 3, answer 2: type is 6, expected less than or equal to 5"),
    (lambda r: scores(r, 1).update(logic=0), "record 1, question 3, answer 2: logic is 0, expected greater"),
    (lambda r: at(2, 1)(r).pop("scores"), "record 1, question 3: 3 of 4 answers have scores, expected all or none"),
    (lambda r: scores(r, 0).update(type=1, logic=1), "record 1, question 3: answers are not best first: their mean scores are 2.33, 4.00"),
    (lambda r: at(2, 1)(r).update(answer_en="True [F2]."), "record 1, question 3, answer 2: cites [F2], but the record has 1 facts"),
    (lambda r: at(2, 1)(r).update(answer_en="True [F0]."), "record 1, question 3, answer 2: cites [F0], but"),
    (lambda r: r.update(facts=["nut/rust"]), "record 1: fact 'nut/rust' is not in the fact store"),
    (lambda r: r["defects"][0].update(severity=2), "record 1, defect 1: severity is 2"),
    (lambda r: r["defects"][0].update(box=[3, 4, 8]), "record 1, defect 1: box is an array of 3, expected 4 numbers"),
    (lambda r: r["defects"][0].update(box=[3, 4, 8, 11]), "record 1, defect 1: box is [3, 4, 8, 11], but its mask lies in [3, 4, 8, 10]"),
    (lambda r: r["defects"][0].update(mask="none.png"), "record 1, defect 1: mask "),
    (lambda r: r["defects"][0].update(mask="broken.png"), "record 1, defect 1: mask "),
    (lambda r: r["defects"][0].update(mask="empty.png"), "record 1, defect 1: mask "),
    (lambda r: r["defects"][0].update(mask="small.png", box=[0, 0, 5, 6]), 'record 1, defect 1: mask "small.png" is 5 x 6 pixels, expected 20 x 20'),
    (lambda r: r["defects"][0].update(mask="../mask.png"), 'record 1, defect 1: mask "../mask.png" is no path below'),
    (lambda r: r.update(test_image="/etc/passwd"), 'record 1: test_image "/etc/passwd" is no path below'),
    (lambda r: r.update(test_image="a\0.png"), "record 1: test_image "),
    (lambda r: r.update(test_image="a" * 300), "record 1: test_image "),
    (lambda r: r.update(reference_image="broken.png"), 'record 1: reference_image "broken.png" cannot be read'),
    (lambda r: r.update(reference_image="none.png"), 'record 1: reference_image "none.png" is not in'),
    (lambda r: r["question_answer"][2].update(answer="unanswerable"), "record 1, question 3, answer 1: opens with 'true', but the right verdict is unanswerable"),
    (lambda r: at(2, 0)(r).update(answer_en="False, it is not [F1]."), "record 1, question 3, answer 1: opens with 'false', but the right verdict is true"),
    (lambda r: r.pop("facts"), "record 1, question 1, answer 1: cites [F1], but the record has 0 facts"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "says"), MADE_DAMAGE, ids=[says for _, says in MADE_DAMAGE])
def test_damage_to_a_made_record_is_named_in_one_line(tmp_path: Path, edit: Callable[[Json], Any], says: str) -> None:
    photos(tmp_path)
    Image.new("L", (SIDE, SIDE)).save(tmp_path / "empty.png")
    Image.new("L", (5, 6), 255).save(tmp_path / "small.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    made = made_record()
    edit(made)
    faults = [str(f) for f in read_adpl(written(tmp_path, [made]), tmp_path, {"nut/dent"}) if isinstance(f, AdplFault)]
    assert any(fault.startswith(says) for fault in faults), faults
    assert all(fault.splitlines() == [fault] for fault in faults)


def test_a_made_record_without_faults_is_read_whole(tmp_path: Path) -> None:
    photos(tmp_path)
    (read,) = read_adpl(written(tmp_path, [made_record()]), tmp_path, {"nut/dent"})
    assert isinstance(read, PreferenceRecord)
    assert read.model_dump(exclude_none=True) == made_record()
