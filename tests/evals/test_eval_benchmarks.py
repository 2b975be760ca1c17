"""Sets of several products: each has its own normal photos and detector, and figures are means over products."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals import EvalError
from evals.dataset import Product, Sample, read_products
from evals.figures import metrics
from evals.figures.metrics import Metric
from evals.figures.products import mean_over
from evals.figures.resample import CONSTANT, interval, weights
from evals.look import Looker
from evals.run import run_dataset
from evals.setting import Shown, shown
from tools.detector import DetectorError

Make = Callable[..., Path]
Fake = Callable[..., Any]


@pytest.fixture(autouse=True)
def collect_garbage() -> Iterator[None]:
    yield
    gc.collect()


def test_each_product_has_its_own_normals_and_detector(fake: Fake, make_set: Make, tmp_path: Path) -> None:
    root, fits = make_set(), []

    class Agent(fake):  # type: ignore[misc, valid-type]
        def fit(self, photos: Any, **named: Any) -> Any:
            fits.append([path.relative_to(root).parts[0] for path in photos])
            return f"fitted to {fits[-1][0]}"

    agent = Agent()
    found = run_dataset(lambda: agent, root, "loco", "fitted", out=tmp_path / "out", show=False)
    assert fits == [["bolt"] * 5, ["nut"] * 5]
    for call in agent.calls:
        assert call["detector"] == f"fitted to {call['image'].relative_to(root).parts[0]}"
    assert (found.task, found.data, found.n, found.failed) == ("loco", "set", 12, 0)
    assert found.cost.fit_seconds is not None
    assert "a detector of its own fitted to 5 normal photos of each product" in found.notes
    lines = (tmp_path / "out/samples.jsonl").read_text().splitlines()
    ids = [json.loads(line)["id"] for line in lines]
    assert len(set(ids)) == 12
    assert ids[0] == "bolt/test/dent/000.png"

    run_dataset(lambda: agent, root, "loco", "one-shot", out=tmp_path / "one", show=False)
    for call in agent.calls[12:]:
        assert call["reference"][0].relative_to(root).parts[:3] == (
            *call["image"].relative_to(root).parts[:1],
            "train",
            "good",
        )


def test_figures_are_means_over_products(fake: Fake, make_set: Make, tmp_path: Path) -> None:
    class Agent(fake):  # type: ignore[misc, valid-type]
        def inspect(self, image: Any, **named: Any) -> Any:
            report = super().inspect(image, **named)
            if "nut/test/good/000" in str(image):
                report.verdict, report.anomaly_score = "anomalous", 0.99
            return report

    agent = Agent(fails_on=["bolt/test/dent/001.png"])
    found = run_dataset(lambda: agent, make_set(good=4, bad=4), "loco", "zero-shot", out=tmp_path / "out", show=False)
    assert set(found.per_category) == {"bolt", "nut"}
    bolt, nut = found.per_category["bolt"], found.per_category["nut"]
    assert ((bolt.n, bolt.failed), (nut.n, nut.failed)) == ((8, 1), (8, 0))
    assert found.failures[0].category == "bolt"
    for name in ("accuracy", "image_auroc", "pixel_auroc", "pro", "overkill"):
        parts = [bolt.metrics[name].value, nut.metrics[name].value]
        assert found.metrics[name].value == pytest.approx(np.mean([p for p in parts if p is not None]))
        assert None not in parts
    assert nut.metrics["overkill"].value == 0.25
    assert found.metrics["overkill"].value == 0.125
    assert found.metrics["overkill"].ci95 is not None
    assert found.baselines["vlm"]["pro"].reason == "draws no map of its own"
    assert found.against["detector"]["overkill"].value == pytest.approx(0.125)

    named: dict[str, Any] = {"category": "nut", "limit": 4, "show": False}
    one = run_dataset(lambda: fake(), tmp_path / "set", "loco", "zero-shot", out=tmp_path / "one", **named)
    assert (one.data, one.n, set(one.per_category)) == ("set/nut", 4, {"dent"})


def test_limit_is_per_product_and_a_product_without_scores_is_named(fake: Fake, make_set: Make, tmp_path: Path) -> None:
    agent = fake(fails_on=["nut/test/good/000.png", "nut/test/dent/000.png"])
    root = make_set(good=1, bad=1)
    found = run_dataset(lambda: agent, root, "loco", "zero-shot", limit=2, out=tmp_path / "out", show=False)
    assert (found.n, found.failed) == (4, 2)
    assert found.metrics["accuracy"].value is None
    assert found.metrics["accuracy"].reason == "undefined for 1 of 2 products; nut: no image was scored"
    assert found.per_category["bolt"].metrics["accuracy"].value == 1


def test_the_interval_of_a_mean_is_that_of_resampling_inside_each_product() -> None:
    rng = np.random.default_rng(0)
    products = {}
    drawn = np.zeros(1000)
    for at, n in enumerate((60, 90, 150)):
        labels = [int(i % 3 == 0) for i in range(n)]
        scores = [float(rng.normal(1.2 * label, 1)) for label in labels]
        products[str(at)] = {"image_auroc": metrics.image_auroc(labels, scores, seed=at)}
        drawn += metrics.resampled("image_auroc", labels, scores, weights(n, 1000, at + 10)) / 3
    found = mean_over(products)["image_auroc"]
    expected, _ = interval(drawn)
    assert expected is not None
    assert found.ci95 == pytest.approx(expected, abs=0.01)


def test_what_a_mean_cannot_say_it_says() -> None:
    sure, unsure = Metric(1.0, reason=CONSTANT), Metric(0.5, (0.4, 0.7))
    assert mean_over({"a": {"x": sure}, "b": {"x": unsure}})["x"] == Metric(0.75, (0.7, 0.85))
    assert mean_over({"a": {"x": sure}, "b": {"x": sure}})["x"] == Metric(1.0, reason=CONSTANT)
    few = Metric(0.5, reason="no interval: too few images")
    assert mean_over({"a": {"x": few}, "b": {"x": unsure}})["x"] == Metric(
        0.5, reason="no interval; a: no interval: too few images"
    )
    none = Metric(None, reason="gives no score")
    assert mean_over({"a": {"x": none}, "b": {"x": none}})["x"] == none
    assert mean_over({"a": {"x": none}})["x"] == none


def _sample(view: str, number: int, split: Any, label: Any = 0) -> Sample:
    name = f"nut/{split}{number}_{view}.png"
    return Sample(name, Path("/set") / name, label, "good" if not label else "dent", split, "nut", view=view)


def test_a_reference_is_taken_by_the_same_camera() -> None:
    train = [_sample(view, i, "train") for view in ("C1", "C2") for i in range(6)]
    test = [_sample(view, i, "test", i % 2) for view in ("C1", "C2") for i in range(4)]
    views = {s.path: s.view or "" for s in train}
    product = Product("nut", Path("/set"), tuple(s.path for s in train), tuple(test), views)
    for setting, number in (("one-shot", 1), ("few-shot", 4)):
        seen = shown(product, setting, 0)  # type: ignore[arg-type]
        for sample in test:
            references = seen.references(sample)
            assert len(references) == number
            assert all(sample.view is not None and sample.view in path.name for path in references)
    assert len(shown(product, "fitted", 0).fit_on) == 12
    own = replace(test[0], random_references=(Path("/set/r.png"),))
    seen = shown(replace(product, samples=(own,)), "one-shot", 0)
    assert seen.references(own) == (Path("/set/r.png"),)
    assert seen.common == {}
    with pytest.raises(EvalError, match="0 photos of 'nut' to learn from"):
        shown(replace(product, train=()), "one-shot", 0)


def test_bad_requests_are_one_line(fake: Fake, make_set: Make, make_folder: Make, tmp_path: Path) -> None:
    root, task, runner = make_set(), "mvtech", "cloud"
    with pytest.raises(EvalError, match="task 'mvtech': expected one of folder"):
        read_products(task, root)  # type: ignore[arg-type]
    with pytest.raises(EvalError, match="category 'screw'"):
        read_products("loco", root, "screw")
    with pytest.raises(EvalError, match="a folder is one product"):
        read_products("folder", make_folder(), "plates")
    with pytest.raises(EvalError, match="no such folder"):
        read_products("visa", tmp_path / "nowhere")
    with pytest.raises(EvalError, match="runner 'cloud'"):
        run_dataset(fake, root, "loco", out=tmp_path / "out", runner=runner)  # type: ignore[arg-type]
    with pytest.raises(EvalError, match="jobs 0"):
        run_dataset(fake, root, "loco", out=tmp_path / "out", jobs=0)


def test_a_detector_is_fitted_once_and_few_are_kept(fake: Fake) -> None:
    fits: list[str] = []
    slow = threading.Event()

    class Agent(fake):  # type: ignore[misc, valid-type]
        def fit(self, photos: Any, **named: Any) -> Any:
            fits.append(photos[0].name)
            slow.wait(0.05)
            if photos[0].name == "c":
                raise DetectorError("photos 1: expected 2 or more")
            return photos[0].name

    seen = {name: Shown("fitted", {}, (Path(name),)) for name in "abcd"}
    looker = Looker(Agent(), seen, "screen", 0)
    threads = [threading.Thread(target=looker.detector, args=("a",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fits == ["a"]
    for _ in range(3):
        with pytest.raises(DetectorError):
            looker.detector("c")
    assert fits == ["a", "c"]
    assert looker.detector("a") == "a"
    assert looker.detector("b") == "b"
    assert looker.detector("d") == "d"
    assert fits == ["a", "c", "b", "d"]
    assert len(looker._fitted) == 2
    assert Looker(Agent(), {"a": Shown("zero-shot", {}, ())}, "screen", 0).detector("a") is None


@pytest.mark.slow  # anomalib takes ten seconds to import
def test_mvtec_is_read_as_its_authors_publish_it(fake: Fake, make_set: Make, tmp_path: Path) -> None:
    found = run_dataset(lambda: fake(), make_set(), "mvtec", "one-shot", out=tmp_path / "out", show=False)
    assert (found.task, found.n, found.failed) == ("mvtec", 12, 0)
    assert set(found.per_category) == {"bolt", "nut"}
