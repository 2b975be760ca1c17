"""A local Ray of two workers gives the results of one process, and the death of a worker hangs nothing."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from evals import EvalError
from evals.run import run_dataset

ray = pytest.importorskip("ray")
Make = Callable[..., Path]
Fake = Callable[..., Any]
pytestmark = [
    # Inspect AI and Ray leave streams and processes to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
]


@pytest.fixture(autouse=True)
def by_value(fake: Fake) -> Iterator[None]:
    """The workers cannot import the tests, so what is defined here travels whole."""
    modules = sys.modules[fake.__module__], sys.modules[__name__]
    for module in modules:
        ray.cloudpickle.register_pickle_by_value(module)
    yield
    for module in modules:
        ray.cloudpickle.unregister_pickle_by_value(module)
    gc.collect()


def figures(out: Path) -> dict[str, Any]:
    """results.json but for what a clock says."""
    read = json.loads((out / "results.json").read_text())
    return {name: value for name, value in read.items() if name not in ("created", "cost")}


def dying(fake: Fake, marks: Path) -> Any:
    """An agent whose process dies at one photo always, and at another the first time."""

    class Agent(fake):  # type: ignore[misc, valid-type]
        def inspect(self, image: Any, **named: Any) -> Any:
            name = "-".join(Path(image).parts[-3:])
            (marks / f"{name}.{os.getpid()}").touch()
            always, once = name == "test-dent-001.png", name == "test-good-002.png"
            if always or (once and len(list(marks.glob(f"{name}.*"))) == 1):
                os._exit(1)
            return super().inspect(image, **named)

    return Agent()


def refusing() -> Any:
    raise OSError("no weights here")


def test_two_workers_give_the_results_of_one_process(fake: Fake, make_set: Make, tmp_path: Path) -> None:
    root = make_set(good=4, bad=4)
    load = partial(fake, fails_on=["nut/test/dent/001.png"])
    named: dict[str, Any] = {"show": False, "depth": "full", "jobs": 2}
    run_dataset(load, root, "loco", "fitted", out=tmp_path / "one", **named)
    found = run_dataset(load, root, "loco", "fitted", out=tmp_path / "two", runner="ray", **named)
    assert (found.n, found.failed) == (16, 1)
    assert figures(tmp_path / "one") == figures(tmp_path / "two")


@pytest.mark.slow
def test_a_dead_worker_is_replaced_and_its_photo_tried_once_more(fake: Fake, make_folder: Make, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    root = make_folder(good=4, bad=4)
    found = run_dataset(
        partial(dying, fake, marks), root, setting="zero-shot", out=tmp_path / "out", jobs=2, runner="ray", show=False
    )
    assert (found.n, found.failed) == (8, 1)
    assert found.failures[0].id == "test/dent/001.png"
    assert "died" in found.failures[0].error
    assert len(list(marks.glob("test-dent-001.png.*"))) == 2
    assert len(list(marks.glob("test-good-002.png.*"))) == 2


def test_an_agent_that_cannot_be_loaded_is_said_before_the_work(make_folder: Make, tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"runner 'ray': a worker cannot load the agent \(.*no weights here"):
        run_dataset(refusing, make_folder(), setting="zero-shot", out=tmp_path / "out", runner="ray", show=False)
