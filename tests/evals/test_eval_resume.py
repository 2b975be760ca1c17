"""A run that is stopped, at whatever moment, is taken up where it stood and ends the same; how many work changes nothing."""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evals import engine
from evals.errors import EvalError
from evals.journal import Journal
from evals.outcome import Outcome
from evals.results import Results
from evals.run import run_dataset, run_folder

Make = Callable[..., Path]
Fake = Callable[..., Any]
posix = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")

CHILD = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
data, out, seen, jobs, pause, *folders = sys.argv[1:]
sys.path[:0] = folders
import conftest
from evals.run import run_dataset
class FakeInspector(conftest.FakeInspector):
    def inspect(self, image, **named):
        with open(seen, "a") as file:
            file.write(f"{image}\\\\n")
        time.sleep(float(pause))
        return super().inspect(image, **named)
run_dataset(FakeInspector, data, setting="zero-shot", out=out, jobs=int(jobs))
""".replace("\\\\n", "\\n")


@pytest.fixture(autouse=True)
def collect_garbage() -> Iterator[None]:
    yield
    gc.collect()


class Child:
    """The same evaluation in a process of its own, again and again."""

    def __init__(self, data: Path, out: Path, jobs: int = 1, pause: float = 0.05) -> None:
        self.out, self.seen, self.jobs = out, out.with_suffix(".seen"), jobs
        folders = [str(Path(__file__).parent), str(Path.cwd())]
        self.command = [sys.executable, "-c", CHILD, *map(str, (data, out, self.seen, jobs, pause)), *folders]

    def inspected(self) -> Counter[str]:
        """How often each photo was inspected, by all processes together."""
        return Counter(self.seen.read_text().splitlines()) if self.seen.exists() else Counter()

    def run(self, until: int | None, moment: float = 0.0, how: signal.Signals = signal.SIGKILL) -> str:
        """Start it, and stop it so many seconds after so many inspections; what it wrote to stderr."""
        with subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
            give_up = time.monotonic() + 120
            while until is not None and self.inspected().total() < until and child.poll() is None:
                assert time.monotonic() < give_up
                time.sleep(0.01)
            if until is not None:
                time.sleep(moment)
                child.send_signal(how)
            _, err = child.communicate()
        return err.decode()


def figures(out: Path) -> dict[str, Any]:
    """results.json but for what a clock says."""
    read = json.loads((out / "results.json").read_text())
    assert Results.model_validate(read)
    return {name: value for name, value in read.items() if name not in ("created", "cost")}


@posix
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_is_taken_up(fake: Fake, make_folder: Make, tmp_path: Path, how: signal.Signals) -> None:
    root, out = make_folder(good=20, bad=10), tmp_path / "out"
    child = Child(root, out)
    err = child.run(until=15, how=how)
    if how == signal.SIGINT:
        assert "run the same command again" in err
    before = child.inspected()
    assert 15 <= before.total() < 30
    agent = fake()
    run_folder(agent, root, "zero-shot", out=out, show=False)
    counts = before + Counter(str(call["image"]) for call in agent.calls)
    assert len(counts) == 30
    assert counts.total() <= 31  # the one in flight
    run_folder(fake(), root, "zero-shot", out=tmp_path / "whole", show=False)
    assert figures(out) == figures(tmp_path / "whole")
    again = fake()  # what is finished is not taken for an unfinished run
    run_folder(again, root, "zero-shot", out=out, show=False)
    assert len(again.calls) == 30


@posix
@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 3])
def test_ten_kills_at_random_moments_change_nothing(fake: Fake, make_folder: Make, tmp_path: Path, jobs: int) -> None:
    root, out = make_folder(good=40, bad=20), tmp_path / "out"
    child, draw = Child(root, out, jobs), random.Random(os.urandom(8))
    kills, in_flight = 0, 0
    for until in sorted(draw.sample(range(1, 60), 8)):
        child.run(until, draw.uniform(0, 0.1))
        kills, in_flight = kills + 1, in_flight + jobs
    for _ in range(2):  # while the metrics are computed and the page is written
        child.run(60, draw.uniform(0, 3))
        kills, in_flight = kills + 1, in_flight + jobs
    child.run(None)
    counts = child.inspected()
    assert kills == 10
    assert len(counts) == 60
    finished_before = (counts.total() - 60) >= 60  # a kill came after the end, so that a new run was begun
    assert finished_before or counts.total() <= 60 + in_flight
    assert not finished_before, "the last kills came too late to tell; make the run longer"
    run_folder(fake(), root, "zero-shot", out=tmp_path / "whole", show=False)
    assert figures(out) == figures(tmp_path / "whole")


@pytest.mark.parametrize("setting", ["one-shot", "fitted"])
def test_the_number_of_jobs_changes_no_result(fake: Fake, make_set: Make, tmp_path: Path, setting: Any) -> None:
    root, bad = make_set(good=6, bad=6), ["bolt/test/good/003.png"]
    for jobs in (1, 4):
        run_dataset(lambda: fake(fails_on=bad), root, "loco", setting, out=tmp_path / str(jobs), jobs=jobs, show=False)
    assert figures(tmp_path / "1") == figures(tmp_path / "4")


def test_a_long_run_goes_in_blocks(
    fake: Fake, make_folder: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder(good=6, bad=4)
    fails = ["good/000.png", "good/005.png", "dent/001.png"]
    run_folder(fake(fails_on=fails), root, "zero-shot", out=tmp_path / "whole", show=False)
    monkeypatch.setattr(engine, "_BLOCK", 4)
    found = run_folder(fake(fails_on=fails), root, "zero-shot", out=tmp_path / "blocks", show=False)
    assert (found.n, found.failed) == (10, 3)
    assert len(list((tmp_path / "blocks/logs").rglob("*.eval"))) == 3
    assert figures(tmp_path / "blocks") == figures(tmp_path / "whole")


def test_no_more_than_so_many_are_inspected_at_once(fake: Fake, make_folder: Make, tmp_path: Path) -> None:
    running: list[int] = []
    most = 0

    class Agent(fake):  # type: ignore[misc, valid-type]
        def inspect(self, image: Any, **named: Any) -> Any:
            nonlocal most
            running.append(1)
            most = max(most, len(running))
            time.sleep(0.05)
            running.pop()
            return super().inspect(image, **named)

    run_dataset(Agent, make_folder(good=6, bad=6), setting="zero-shot", out=tmp_path / "out", jobs=3, show=False)
    assert most == 3


def _outcome(id: str) -> Outcome:
    model = {"name": "fake", "revision": "1", "stage": "sfe"}
    return Outcome.model_validate({
        "id": id, "category": "plates", "label": 0, "defect_type": "good", "verdict": "normal", "score": 0.1,
        "detector": None, "vlm": None, "boxes": [], "map": "m.npz", "hit": None, "detector_hit": None,
        "aligned": False, "seconds": 1.0, "model": model,
    })  # fmt: skip


def test_the_journal_forgets_only_a_line_that_was_cut_off(tmp_path: Path) -> None:
    asked = {"seed": 1, "limit": None}
    journal = Journal.open(tmp_path, asked, Outcome)
    journal.add(_outcome("a"))
    journal.add(_outcome("b"))
    journal.close(finished=False)
    (path,) = tmp_path.glob("*/records.jsonl")
    path.write_bytes(path.read_bytes()[:-7])
    journal = Journal.open(tmp_path, asked, Outcome)
    assert set(journal.records) == {"a"}
    journal.add(_outcome("c"))
    journal.close(finished=False)
    journal = Journal.open(tmp_path, asked, Outcome)
    assert set(journal.records) == {"a", "c"}
    other = Journal.open(tmp_path, {"seed": 2, "limit": None}, Outcome)
    assert other.folder != journal.folder
    other.close(finished=True)
    journal.close(finished=True)
    anew = Journal.open(tmp_path, asked, Outcome)
    assert not anew.records
    anew.close(finished=True)


def test_a_journal_of_another_version_is_left_alone(tmp_path: Path) -> None:
    for number, text in enumerate(("", "{", '{"seed": 1}\n{"id": "a"}\n', "\xff\n")):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "records.jsonl").write_text(text, encoding="latin-1")
    journal = Journal.open(tmp_path, {"seed": 1}, Outcome)
    assert not journal.records
    assert journal.folder.name not in "0123"
    journal.close(finished=True)


def test_a_stopped_run_is_not_taken_up_with_another_model(fake: Fake, make_folder: Make, tmp_path: Path) -> None:
    root, out = make_folder(), tmp_path / "out"

    class Stops(fake):  # type: ignore[misc, valid-type]
        def inspect(self, image: Any, **named: Any) -> Any:
            if len(self.calls) == 3:
                raise KeyboardInterrupt
            return super().inspect(image, **named)

    asked: dict[str, Any] = {"setting": "zero-shot", "out": out, "show": False}
    with pytest.raises(KeyboardInterrupt):
        run_dataset(Stops, root, model="one", **asked)
    found = run_dataset(lambda: fake(revision="2"), root, model="two", **asked)
    assert found.model is not None
    assert (found.n, found.failed, found.model.revision) == (6, 0, "2")
    with pytest.raises(EvalError, match="delete its folder of logs"):  # the same name, but it has changed
        run_dataset(lambda: fake(revision="3"), root, model="one", **asked)
