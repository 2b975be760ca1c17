"""Drawn cases and ranked answers as rows for the trainer: the same every time, apart in their streams, true to their source."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_rows import rows_of

from training.recipe import RecipeError

pytest.importorskip("datasets")


def print_of(row: dict[str, Any]) -> tuple[str, str, bytes]:
    return (
        row["prompt"][-1]["content"][-1]["text"],
        row["completion"][0]["content"][0]["text"],
        row["images"][0].tobytes(),
    )


def test_a_kept_case_is_the_case_that_was_drawn(kept: Path, cheap_looks: Any) -> None:
    from datasets import load_from_disk

    from training.cases import SETTINGS, read_case
    from training.draw.scene import draw_case
    from training.draw.splits import SPLITS

    split, seen = SPLITS["train"], set()
    for index, row in enumerate(load_from_disk(kept)):
        case, found = read_case(row)
        rng = np.random.default_rng([6, index, 1])
        setting = str(rng.choice(list(SETTINGS), p=[share for share, _ in SETTINGS.values()]))
        drawn = draw_case(
            (6, index), anomalous=0.6, references=SETTINGS[setting][1], families=split.families, types=split.types
        )
        looked = cheap_looks(drawn, setting)
        seen.add(setting)
        assert np.array_equal(case.test, drawn.test)
        assert np.array_equal(case.mask, drawn.mask)
        assert [(d.defect_type, d.box, d.severity) for d in case.defects] == [
            (d.defect_type, d.box, d.severity) for d in drawn.defects
        ]
        assert len(case.references) == (1 if setting == "one-shot" else 0)
        assert [look.summary for look in found.looks] == [look.summary for look in looked.looks]
        assert (found.close_up is None) == (looked.close_up is None)
    assert seen == set(SETTINGS)


def test_cases_are_drawn_once(kept: Path) -> None:
    from training.cases import kept_cases

    def never(*_: object) -> Any:
        raise AssertionError("drawn again")

    assert len(kept_cases(kept, 25, 6, never, processes=1, eye="colours")) == 25
    assert not (kept / "drawing").exists()


@pytest.mark.parametrize(("other", "named"), [({"seed": 7}, "seed"), ({"eye": "other"}, "eye")])
def test_cases_that_were_drawn_otherwise_are_refused(
    kept: Path, cheap_looks: Any, other: dict[str, Any], named: str
) -> None:
    from training.cases import kept_cases

    asked = {"seed": 6, "eye": "colours"} | other
    with pytest.raises(RecipeError, match=f"holds cases of other {named};"):
        kept_cases(kept, 25, look=cheap_looks, processes=1, **asked)


def test_rows_are_the_same_every_time_and_shards_are_apart(kept: Path) -> None:
    first = [print_of(r) for r in islice(rows_of(kept), 16)]
    assert first == [print_of(r) for r in islice(rows_of(kept), 16)]
    other = [print_of(r) for r in islice(rows_of(kept, shards=[1]), 16)]
    assert not {image for *_, image in first} & {image for *_, image in other}


def test_the_second_time_round_has_other_words(kept: Path) -> None:
    from training.sfe.rows import Telling

    made = islice(rows_of(kept, telling=Telling(False, ("screen",), 1), batch=3), 48)
    texts = [(r["prompt"][-1]["content"][-1]["text"], r["completion"][0]["content"][0]["text"]) for r in made]
    told: dict[str, set[str]] = {}
    for prompt, reply in texts:
        told.setdefault(prompt, set()).add(reply)
    assert len(told) <= 25 < len(texts)
    assert any(len(replies) > 1 for replies in told.values())


def test_text_alone_carries_no_images_and_only_the_tasks_asked_for(kept: Path) -> None:
    from training.sfe.rows import Telling

    made = list(islice(rows_of(kept, telling=Telling(False, ("screen", "verdict"), 2)), 24))
    assert {r["task"] for r in made} == {"screen", "verdict"}
    for r in made:
        assert "images" not in r
        content = r["prompt"][-1]["content"]
        assert {part["type"] for part in content} == {"text"}
        assert content[0]["text"] == "Test image:"


def test_text_alone_says_the_same_as_with_photos(kept: Path) -> None:
    """Whether there is a reference decides what can be answered, so a row without photos has to know of it too."""
    from training.sfe.rows import Telling

    def said(images: bool) -> list[tuple[str, str]]:
        made = islice(rows_of(kept, telling=Telling(images, ("verdict", "follow_up"), 1)), 64)
        contents = [(r["prompt"][-1]["content"], r["completion"][0]["content"]) for r in made]
        return [
            ("".join(part["text"] for part in prompt if part["type"] == "text"), reply[0]["text"])
            for prompt, reply in contents
        ]

    with_photos = said(True)
    assert said(False) == with_photos
    assert any("Reference:" in prompt for prompt, _ in with_photos)
    assert any("Close-up:" in prompt for prompt, _ in with_photos)


def test_some_tasks_may_be_told_without_photos_each_batch_of_one_sort(kept: Path) -> None:
    from training.sfe.rows import Telling

    telling = Telling(True, ("screen", "verdict"), 1, unseen=("screen",))
    made = list(islice(rows_of(kept, telling=telling, batch=3), 48))
    for r in made:
        assert bool(r["images"]) == (r["task"] == "verdict")
    for at in range(0, 48, 3):
        assert len({bool(r["images"]) for r in made[at : at + 3]}) == 1
    assert {r["task"] for r in made} == {"screen", "verdict"}


def test_rows_of_a_batch_are_of_like_length(kept: Path) -> None:
    made = list(islice(rows_of(kept, batch=4), 32))
    lengths = np.array([len(r["prompt"][-1]["content"][-1]["text"]) for r in made]).reshape(8, 4)
    assert np.ptp(lengths, axis=1).mean() < 0.5 * np.ptp(lengths)


def test_what_is_held_out_is_never_drawn(kept: Path) -> None:
    from datasets import load_from_disk

    from training.draw.splits import HELD_OUT_FAMILIES, HELD_OUT_TYPES

    rows = load_from_disk(kept)
    assert not set(rows["family"]) & HELD_OUT_FAMILIES
    assert not {name for row in rows["defects"] for name, _, _ in json.loads(row)} & HELD_OUT_TYPES


def test_ranked_answers_become_rows_with_the_best_answer(ranked: Path) -> None:
    from training.adpl import PreferenceRecord
    from training.adpl_file import read_adpl
    from training.sfe.adpl_rows import adpl_rows

    records = [r for r in read_adpl(ranked) if isinstance(r, PreferenceRecord)]
    made = adpl_rows(ranked, None)
    assert len(made) == 5 * len(records)
    for i, record in enumerate(records):
        for q, question in enumerate(record.question_answer):
            row = made[5 * i + q]
            said = row["prompt"][-1]["content"][-1]["text"]
            assert said.endswith(f"Question: {question.question_en}")
            assert row["completion"][0]["content"][0]["text"] == question.answer_options[0].answer_en
            assert len(row["images"]) == 2
            assert said.count("[F") == len(record.facts or ())
    alone = adpl_rows(ranked, None, facts=False, references=False)[0]
    assert len(alone["images"]) == 1
    assert "Facts:" not in alone["prompt"][-1]["content"][-1]["text"]


def test_what_tools_found_stands_in_the_prompt_that_its_answers_cite(ranked: Path, tmp_path: Path) -> None:
    from training.sfe.adpl_rows import adpl_rows

    record = json.loads(ranked.read_text(encoding="utf-8").splitlines()[0])
    record["evidence"] = ["Heat map: score 0.93.", "Measured: 12 px wide."]
    record["question_answer"][0]["answer_options"][3]["answer_en"] += " It is 12 px wide [E2]."
    file = tmp_path / "own.jsonl"
    file.write_text(json.dumps(record), encoding="utf-8")
    said = adpl_rows(file, ranked.parent)[0]["prompt"][-1]["content"][-1]["text"]
    assert "Evidence:\n<data>\n[E1] Heat map: score 0.93.\n[E2] Measured: 12 px wide.\n</data>" in said
    record["evidence"].pop()
    file.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(
        RecipeError, match=r"question 1, answer 4: cites \[E2\], but the record has 1 sentences of evidence"
    ):
        adpl_rows(file, ranked.parent)


def test_a_faulty_file_of_answers_is_refused(tmp_path: Path) -> None:
    from training.sfe.adpl_rows import adpl_rows

    file = tmp_path / "broken.jsonl"
    with pytest.raises(RecipeError, match=r"^adpl .*broken.jsonl': no file there"):
        adpl_rows(file, None)
    file.write_text('{"domain": "nut"}\n', encoding="utf-8")
    with pytest.raises(RecipeError, match=r"record 1.*sage-iad data check"):
        adpl_rows(file, None)
    file.write_text("", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"record"):
        adpl_rows(file, None)
