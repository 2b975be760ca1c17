"""`data stats`: what files hold, what they share, what gives the ranking away; each check fires and keeps silent."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from training.adpl import PreferenceRecord
from training.cues import Cue, is_minimal, length_cue, word_cue
from training.leaks import Shared, photos_of, shared_by, unseen_shared
from training.stats import AdplFile, open_files, stats_of
from training.stats_report import data_stats

WORDS = [f"w{k}" for k in range(40)]
Rng = np.random.Generator
Answers = Callable[[Rng], list[str]]


def some_words(rng: Rng, number: int = 12) -> str:
    return " ".join(rng.choice(WORDS, number))


def random_answers(rng: Rng) -> list[str]:
    return [some_words(rng) for _ in range(4)]


def record(rng: Rng, answers: Answers = random_answers, **fields: Any) -> PreferenceRecord:
    questions = [
        {"question_en": f"{some_words(rng)}?", "answer": k % 2 == 0, "answer_options": [{"answer_en": a} for a in answers(rng)]}
        for k in range(5)
    ]  # fmt: skip
    whole = {
        "domain": "nut", "test_image": "a.png", "reference_image": "b.png", "pair_type": "defect identification",
        "conclusion_en": "Chipped.", "question_answer": questions,
    }  # fmt: skip
    return PreferenceRecord.model_validate(whole | fields)


def records(
    answers: Answers = random_answers, number: int = 40, seed: int = 0, **fields: Any
) -> list[PreferenceRecord]:
    rng = np.random.default_rng(seed)
    return [record(rng, answers, **fields) for _ in range(number)]


def scored(read: PreferenceRecord, scores: Sequence[int]) -> PreferenceRecord:
    content = read.model_dump()
    for question in content["question_answer"]:
        for option, score in zip(question["answer_options"], scores, strict=True):
            option["scores"] = {"type": score, "location": score, "logic": score}
    return PreferenceRecord.model_validate(content)


def defect(defect_type: str, severity: float = 0.5) -> dict[str, Any]:
    return {"defect_type": defect_type, "severity": severity, "box": [0, 0, 4, 4], "mask": "m.png"}


# contents


def test_contents_of_a_made_file() -> None:
    made = [
        record(np.random.default_rng(0), lambda rng: ["a b c", "a b", "b a", "a"], split="train", family="hexagon nut", defects=[defect("chip", 0.2), defect("crack")]),
        record(np.random.default_rng(1), lambda rng: ["a b c d", "b", "c", "d"], split="train", family="square nut", defects=[], pair_type="standard comparison"),
    ]  # fmt: skip
    stats = stats_of(
        AdplFile("made", tuple(scored(r, s) for r, s in zip(made, ([5, 4, 4, 1], [5, 2, 3, 1]), strict=True)))
    )
    assert (stats.questions, stats.answers, stats.photos) == (10, 40, 2)
    assert stats.pair_types == {"defect identification": 1, "standard comparison": 1}
    assert stats.families == {"hexagon nut": 1, "square nut": 1}
    assert stats.splits == {"train": 2}
    assert (stats.verdicts["standard comparison"].true, stats.verdicts["standard comparison"].questions) == (3, 5)
    assert stats.lengths == ((3,) * 5 + (4,) * 5, (2,) * 5 + (1,) * 5, (2,) * 5 + (1,) * 5, (1,) * 10)
    assert stats.defects is not None
    assert (stats.defects.severities, stats.defects.normal, stats.defects.unmarked) == (
        {"chip": [0.2], "crack": [0.5]},
        1,
        0,
    )
    assert stats.scores is not None
    assert stats.scores.closest == (0,) * 5 + (1,) * 5
    assert stats.scores.widest == (4,) * 10
    assert (stats.scores.contradictions, stats.scores.unscored) == (5, 0)


def test_what_the_published_layout_leaves_out_is_none() -> None:
    stats = stats_of(AdplFile("published", tuple(records(number=2))))
    assert (stats.families, stats.splits, stats.defects, stats.scores) == (None, None, None, None)
    assert photos_of(stats.file) is None


# cues


def test_a_word_in_every_best_answer_is_found() -> None:
    cue = word_cue(records(lambda rng: [f"{some_words(rng)} surely", *random_answers(rng)[1:]], 60))
    assert cue is not None
    assert cue.words[0] == "+surely"
    # Of six pairs, the three with the best answer are told by the word, the others by chance.
    assert cue.accuracy == pytest.approx(0.75, abs=0.04)
    assert cue.pairs == 30 * 30


def test_answers_that_words_rank_entirely() -> None:
    cue = word_cue(records(lambda rng: [f"{some_words(rng)} {'good ' * k}" for k in (3, 2, 1, 0)], 20))
    assert cue is not None
    assert cue.accuracy > 0.99
    assert cue.low < cue.accuracy <= cue.high


@pytest.mark.parametrize("measure", [length_cue, lambda r: length_cue(r, "adjacent"), word_cue])
def test_random_answers_hold_no_cue(measure: Callable[[Sequence[PreferenceRecord]], Cue | None]) -> None:
    found = [
        measure(records(lambda rng: [some_words(rng, int(rng.integers(5, 20))) for _ in range(4)], seed=s))
        for s in range(20)
    ]
    cues = [cue for cue in found if cue is not None]
    assert len(cues) == 20
    # 95 % intervals: of 20, one misses in the long run, more than four in one run of 400.
    assert sum(cue.low <= 0.5 <= cue.high for cue in cues) >= 16
    assert abs(np.mean([cue.accuracy for cue in cues]) - 0.5) < 0.02


def test_length_ranks_both_ways_and_ties_count_half() -> None:
    longer = length_cue(records(lambda rng: [some_words(rng, n) for n in (9, 8, 7, 6)], 5))
    shorter = length_cue(records(lambda rng: [some_words(rng, n) for n in (6, 7, 8, 9)], 5), "adjacent")
    alike = length_cue(records(number=5))
    assert longer is not None
    assert shorter is not None
    assert alike is not None
    assert (longer.accuracy, shorter.accuracy, alike.accuracy) == (1, 0, 0.5)
    # 25 pairs ranked right of five records say less than 25 records would.
    assert longer.low == pytest.approx(0.566, abs=0.001)


def test_minimal_pairs_are_taken_alone() -> None:
    def answers(rng: Rng) -> list[str]:
        said, other = some_words(rng), some_words(rng)
        return [f"{said} left", f"{said} right", f"left {other}", f"left right {other}"]

    told = word_cue(records(answers, 30), minimal=True)
    assert told is not None
    assert told.pairs == 2 * 5 * 15
    assert told.accuracy == 1
    assert word_cue(records(number=30), minimal=True) is None


def test_what_a_minimal_pair_is() -> None:
    said = "The chip lies in the upper left of the rim, and it is darker than the rest."
    assert is_minimal(said, said.replace("upper left", "lower right").upper())
    assert is_minimal("a b c d e f g h", "a b")
    assert not is_minimal("a b c d e f g h i", "a b")
    assert not is_minimal("a b c d e f g h", "h g f e d c b a")


def test_too_few_records_give_no_cue() -> None:
    assert length_cue([]) is None
    assert word_cue([]) is None
    assert length_cue(records(number=1)) is None
    assert word_cue(records(number=3)) is not None
    assert word_cue(records(number=2)) is None


def test_a_cue_is_the_same_again() -> None:
    assert word_cue(records()) == word_cue(records())


# leaks


def drawn(seed: int) -> NDArray[np.uint8]:
    """A photo-like picture: soft blotches and grain, (96, 96, 3)."""
    rng = np.random.default_rng(seed)
    blotches = cv2.resize(rng.uniform(40, 200, (6, 6, 3)).astype(np.float32), (96, 96), interpolation=cv2.INTER_CUBIC)
    return np.clip(blotches + rng.normal(0, 6, (96, 96, 3)), 0, 255).astype(np.uint8)


def photographed(folder: Path, photos: dict[str, NDArray[np.uint8]], **fields: Any) -> AdplFile:
    """A file of records whose images are in `folder`, two a record."""
    folder.mkdir()
    for name, photo in photos.items():
        assert cv2.imwrite(str(folder / name), photo)
    names = list(photos)
    rng = np.random.default_rng(int.from_bytes(folder.name.encode()))
    pairs = [
        record(rng, test_image=a, reference_image=b, **fields) for a, b in zip(names[::2], names[1::2], strict=True)
    ]
    return AdplFile(folder.name, tuple(pairs), images=folder)


def shared(*files: AdplFile) -> list[Shared]:
    return shared_by(files, [photos_of(file) for file in files])


def test_copied_and_encoded_images_are_found_and_others_are_not(tmp_path: Path) -> None:
    one = photographed(tmp_path / "one", {f"{k}.png": drawn(k) for k in range(6)})
    two = photographed(
        tmp_path / "two", {"copy.png": drawn(0), "again.jpg": drawn(1), **{f"{k}.png": drawn(k) for k in range(10, 14)}}
    )
    (found,) = shared(one, two)
    assert found.same is not None
    assert found.near is not None
    assert [(t.first, t.second) for t in found.same] == [("0.png", "copy.png")]
    assert [(t.first, t.second) for t in found.near] == [("1.png", "again.jpg")]
    assert found.questions == ()


def test_unrelated_noise_is_no_near_duplicate(tmp_path: Path) -> None:
    def noise(seed: int) -> NDArray[np.uint8]:
        return np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)

    one = photographed(tmp_path / "one", {f"{k}.png": noise(k) for k in range(30)})
    two = photographed(tmp_path / "two", {f"{k}.png": noise(k) for k in range(30, 60)})
    (found,) = shared(one, two)
    assert (found.same, found.near) == ((), ())


def test_images_of_one_file_under_several_names(tmp_path: Path) -> None:
    found = photos_of(
        photographed(tmp_path / "one", {"a.png": drawn(0), "b.png": drawn(1), "c.png": drawn(0), "d.png": drawn(2)})
    )
    assert found is not None
    assert (found.copies, found.unreadable) == ([("a.png", "c.png")], ())


def test_images_that_are_none_are_named(tmp_path: Path) -> None:
    file = photographed(tmp_path / "one", {"a.png": drawn(0), "b.png": drawn(1), "c.png": drawn(2), "d.png": drawn(3)})
    (tmp_path / "one" / "a.png").unlink()
    (tmp_path / "one" / "b.png").write_text("text")
    (tmp_path / "one" / "c.png").write_bytes(b"")
    found = photos_of(file)
    assert found is not None
    assert (found.unreadable, [p.name for p in found.read]) == (("a.png", "b.png", "c.png"), ["d.png"])


def test_the_same_question_with_the_same_answers_is_found_in_another_file() -> None:
    (read,) = records(number=1)
    content = read.model_dump()
    for question in content["question_answer"][1:]:
        question["question_en"] += " Or not?"
    first = content["question_answer"][0]
    first["question_en"] = first["question_en"].upper()
    first["answer_options"].reverse()
    other = PreferenceRecord.model_validate(content)
    (found,) = shared(AdplFile("one", (read,)), AdplFile("two", (other,)))
    assert found.questions == (first["question_en"],)
    assert (found.same, found.near) == (None, None)


def test_what_unseen_splits_share_with_the_others() -> None:
    def file(split: str | None, domain: str, family: str | None, *types: str) -> AdplFile:
        marked = None if family is None else [defect(t) for t in types]
        return AdplFile(str(split), tuple(records(number=1, split=split, domain=domain, family=family, defects=marked)))

    train = file("train", "nuts", "hexagon nut", "chip", "crack")
    families = file("unseen_families", "nuts", "square nut", "chip")
    defects = file("unseen_defects", "nuts", "hexagon nut", "burn")
    kept = {(u.split, u.what): u.shared for u in unseen_shared([train, families, defects])}
    assert kept == {
        ("unseen_families", "families"): (),
        ("unseen_families", "domains"): ("nuts",),
        ("unseen_defects", "defect types"): (),
    }
    leaking = [
        train,
        file("unseen_families", "bolts", "hexagon nut"),
        file("unseen_defects", "nuts", "ring", "crack", "burn"),
    ]
    assert [u.shared for u in unseen_shared(leaking)] == [("hexagon nut",), (), ("crack",)]
    assert [u.shared for u in unseen_shared([file(None, "nuts", None), families, defects])] == [None, ("nuts",), None]
    assert unseen_shared([train]) == []


# report


def written(path: Path, content: Sequence[PreferenceRecord]) -> Path:
    path.write_text("\n".join(r.model_dump_json(exclude_none=True) for r in content), encoding="utf-8")
    return path


def printed(*paths: Path, out: Path | None = None) -> tuple[str, list[str]]:
    console = Console(file=io.StringIO(), width=200)
    faults = data_stats(paths, out=out, console=console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue(), faults


def test_the_report_of_made_files_and_its_plots(tmp_path: Path) -> None:
    for split, seed in (("train", 0), ("unseen_families", 1)):
        made = records(
            number=8, seed=seed, split=split, family="nut $x", domain="[bold]nut 螺母\x1b[31m", defects=[defect("chip")]
        )
        written(tmp_path / f"{split}.jsonl", [scored(r, [5, 4, 3, 1]) for r in made])
    (tmp_path / "images").mkdir()
    for name, seed in (("a.png", 0), ("b.png", 1)):
        assert cv2.imwrite(str(tmp_path / "images" / name), drawn(seed))
    text, faults = printed(tmp_path / "train.jsonl", tmp_path / "unseen_families.jsonl", out=tmp_path / "plots")
    assert faults == []
    assert "[bold]nut" in text
    assert "\x1b" not in text
    assert "unseen_families: families that are seen in other splits: nut $x" in text
    assert "train, unseen_families: same image: a.png = a.png" in text
    assert "not given" not in text
    assert max(map(len, text.splitlines())) <= 120
    names = {"pair_types", "domains", "defect_types", "severities", "lengths", "scores", "gaps", "cues"}
    assert {path.stem for path in (tmp_path / "plots").iterdir()} == names
    assert all(cv2.imread(str(path)) is not None for path in (tmp_path / "plots").iterdir())


def test_the_report_of_files_of_other_origin(tmp_path: Path) -> None:
    path = written(tmp_path / "own.json", records(number=1))
    path.write_text(path.read_text() + "\n" + json.dumps({"domain": "nut"}))
    text, faults = printed(path, out=tmp_path / "plots")
    assert len(faults) == 4
    assert all(str(path) in fault for fault in faults)
    for what in ("split", "families", "marked defects", "scores", "images read"):
        assert any(what in line and "not given" in line for line in text.splitlines()), what
    assert "too few" in text
    assert {p.stem for p in (tmp_path / "plots").iterdir()} == {"pair_types", "domains", "lengths"}
    text, faults = printed(tmp_path / "none.json", out=tmp_path / "none")
    assert len(faults) == 1
    assert text == ""
    assert not (tmp_path / "none").exists()


def test_files_of_one_name_and_where_their_images_are(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        written(tmp_path / name / "train.jsonl", records(number=1))
    (tmp_path / "two" / "a.png").touch()
    paths = [tmp_path / name / "train.jsonl" for name in ("one", "two")]
    files = open_files(paths)
    assert [file.name for file in files] == [str(path) for path in paths]
    assert [file.images for file in files] == [None, tmp_path / "two"]
    assert [file.images for file in open_files(paths, tmp_path)] == [tmp_path, tmp_path]
