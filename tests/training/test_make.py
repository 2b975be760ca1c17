"""Made data: whole, held out by design, the same bytes however often it is stopped."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from agent.cli import app
from knowledge.facts import shipped_pack
from training.adpl import PreferenceRecord
from training.adpl_file import AdplFault, read_adpl
from training.draw.splits import HELD_OUT_FAMILIES, HELD_OUT_TYPES, SPLITS
from training.make import MANIFEST, MakeError, Order, draw_pair, make, stream, write_sheets

ORDER = Order(pairs=60, seed=3, size=64)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "adpl"
    *_, done = make(ORDER, folder, processes=2)
    assert done == ORDER.pairs
    return folder


def records(folder: Path, split: str) -> list[PreferenceRecord]:
    return [PreferenceRecord.model_validate_json(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]


def contents(folder: Path) -> dict[str, str]:
    files = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_all_pairs_are_there_and_free_of_faults(made: Path) -> None:
    facts = {fact.id for fact in shipped_pack().facts}
    for split, count in ORDER.shares().items():
        read = list(read_adpl(made / f"{split}.jsonl", made, facts))
        assert [r for r in read if isinstance(r, AdplFault)] == []
        assert len(read) == count


def test_masks_are_there_for_defects_alone(made: Path) -> None:
    anomalous = 0
    for split in SPLITS:
        for record in records(made, split):
            anomalous += bool(record.defects)
            for defect in record.defects or []:
                with Image.open(made / defect.mask) as picture:
                    assert set(np.unique(np.asarray(picture))) == {0, 255}
            if not record.defects:
                assert "normal" in (text := said(record)) or "as good as" in text or "Nothing is wrong" in text
    assert 0.3 < anomalous / ORDER.pairs < 0.7
    named = {d.mask for split in SPLITS for r in records(made, split) for d in r.defects or []}
    assert named == {p.relative_to(made).as_posix() for p in (made / "masks").rglob("*.png")}


def said(record: PreferenceRecord) -> str:
    return record.conclusion_en or record.question_answer[0].conclusion_en or ""


def test_what_is_held_out_is_not_trained_on(made: Path) -> None:
    for split in ("train", "validation"):
        for record in records(made, split):
            assert record.family not in HELD_OUT_FAMILIES
            assert not {d.defect_type for d in record.defects or []} & HELD_OUT_TYPES
    assert {record.family for record in records(made, "unseen_families")} <= HELD_OUT_FAMILIES
    for record in records(made, "unseen_defects"):
        assert {d.defect_type for d in record.defects or []} <= HELD_OUT_TYPES


def test_no_photo_is_in_two_places(made: Path) -> None:
    hashes = [digest for path, digest in contents(made).items() if path.endswith(".jpg") and path.startswith("images/")]
    assert len(hashes) == 2 * ORDER.pairs == len(set(hashes))


def test_the_manifest_names_every_file_with_its_hash(made: Path) -> None:
    manifest = json.loads((made / MANIFEST).read_text())
    there = contents(made)
    for name in (MANIFEST, "order.json"):
        del there[name]
    assert manifest["sha256"] == there
    assert {name: split["pairs"] for name, split in manifest["splits"].items()} == ORDER.shares()


def test_one_process_makes_the_same_bytes(made: Path, tmp_path: Path) -> None:
    for _ in make(ORDER, tmp_path / "again", processes=1):
        pass
    assert contents(tmp_path / "again") == contents(made)


def test_another_seed_makes_other_photos(made: Path, tmp_path: Path) -> None:
    for _ in make(Order(8, seed=4, size=64), tmp_path / "other", processes=1):
        pass
    mine = {d for p, d in contents(made).items() if p.endswith(".jpg")}
    assert not mine & {d for p, d in contents(tmp_path / "other").items() if p.endswith(".jpg")}


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_run_goes_on_to_the_same_bytes(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    command = [
        sys.executable, "-c", "from agent.cli import app; app()", "data", "make", "--pairs", "60", "--seed", "3", "--size", "64", "--processes", "2",
        "--out", str(folder),
    ]  # fmt: skip
    for kill in (1, 3):
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 60
        while len(list(folder.glob("parts/*.jsonl"))) < kill and run.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        # The first time with its workers, then alone: those that are left must end by themselves.
        os.killpg(run.pid, signal.SIGKILL) if kill == 1 else os.kill(run.pid, signal.SIGKILL)
        run.wait()
        deadline = time.monotonic() + 60  # of the workers' own: the start may have taken most of the first
        while group_lives(run.pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not group_lives(run.pid)
        assert not (folder / MANIFEST).exists(), "it was over before it could be killed"
    assert subprocess.run(command, capture_output=True, timeout=120).returncode == 0
    assert contents(folder) == contents(made)


def test_what_a_kill_leaves_at_either_end_is_cleared_away(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / ".order.json.1.partial").write_text("{")
    small = Order(4, size=64)
    for _ in make(small, folder, processes=1):
        pass
    whole = contents(folder)
    assert not any(name.endswith(".partial") for name in whole)
    (folder / "parts").mkdir()
    (folder / "parts" / "train_000000.jsonl").touch()
    assert list(make(small, folder)) == [4]
    assert contents(folder) == whole


def test_a_finished_folder_is_left_as_it_is(made: Path) -> None:
    before = contents(made)
    assert list(make(ORDER, made)) == [ORDER.pairs]
    assert contents(made) == before


def test_a_folder_of_another_order_is_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(MakeError, match="pairs 60"):
        next(make(Order(61, seed=3, size=64), made))
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(MakeError, match="not empty"):
        next(make(ORDER, tmp_path))
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(("pairs", "size"), [(0, 64), (5, 10)])
def test_orders_that_cannot_be_made(pairs: int, size: int, tmp_path: Path) -> None:
    run = CliRunner().invoke(
        app, ["data", "make", "--pairs", str(pairs), "--size", str(size), "--out", str(tmp_path / "x")]
    )
    assert run.exit_code == 2
    assert f"pairs {pairs}, size {size}" in run.stderr
    assert not (tmp_path / "x").exists()


def test_streaming_gives_the_pairs_that_are_stored(made: Path) -> None:
    stored = records(made, "train")
    for (case, record), kept in zip(itertools.islice(stream("train", 3, size=64), 4), stored, strict=False):
        assert record.question_answer == kept.question_answer
        with Image.open(made / kept.test_image) as picture:
            gap = np.abs(np.asarray(picture, int) - case.test.astype(int))
        assert gap.mean() < 4, "JPEG alone may differ"


def test_two_workers_share_a_stream() -> None:
    whole = [record for _, record in itertools.islice(stream("validation", 1, size=64), 4)]
    halves = [[r for _, r in itertools.islice(stream("validation", 1, size=64, start=s, step=2), 2)] for s in (0, 1)]
    assert [halves[0][0], halves[1][0], halves[0][1], halves[1][1]] == whole


def test_the_share_of_still_fixtures_is_as_asked() -> None:
    split = SPLITS["train"]
    for share in (0.0, 1.0):
        assert {draw_pair(split, 8, i, 48, share).aligned for i in range(10)} == {bool(share)}


def test_sheets_show_every_family(made: Path) -> None:
    families = {record.family for split in SPLITS for record in records(made, split)}
    written = write_sheets(made, pairs=4)
    assert {path.stem for path in written} == families
    for path in written:
        with Image.open(path) as picture:
            assert picture.width == 4 * ORDER.size
