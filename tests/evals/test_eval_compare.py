"""Two runs held against each other: differences on common photos, photos that changed side, the page."""

from __future__ import annotations

import gc
import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from drawn_run import leave, mixed, outcome
from rich.console import Console
from scipy.stats import binom

from evals import EvalError
from evals.compare import compare, verdict_line
from evals.figures import metrics
from evals.figures.answers import ANSWER_METRICS
from evals.figures.metrics import IMAGE_METRICS, PLACE_METRICS, Metric
from evals.pages.comparison import print_comparison, says, write_comparison
from evals.run import run_folder
from evals.samples import read_samples, write_samples


@pytest.fixture(autouse=True)
def collect_garbage() -> Iterator[None]:
    """What Inspect AI leaves to the garbage collector is collected here, where it troubles no other test."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs, the second on more photos; not to be written to."""
    out = tmp_path_factory.mktemp("runs")
    leave(out / "first", mixed(30, seed=1))
    leave(out / "second", mixed(36, seed=2), seed=9)
    return out / "first", out / "second"


def test_every_difference_is_that_of_the_metrics_on_common_photos(two: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = two
    found = compare(first, second)
    assert (found.n, found.only_first, found.only_second) == (30, 0, 6)
    assert set(found.differences) == {*IMAGE_METRICS, *PLACE_METRICS, *ANSWER_METRICS}
    one = found.first
    ids = {o.id for o in read_samples(first)}
    same = [o for o in mixed(36, seed=2) if o.id in ids]
    other = leave(tmp_path / "other", same, seed=9)
    for name, difference in found.differences.items():
        a, b = one.metrics[name].value, other.metrics[name].value
        if a is None or b is None:
            assert difference.value is None
            assert difference.reason is not None
        else:
            assert difference.value == pytest.approx(b - a, abs=1e-6), name
            assert difference.ci95 is not None
            assert difference.ci95[0] <= difference.value <= difference.ci95[1]
    labels = [o.label for o in mixed(30, seed=1)]
    plain = metrics.difference(
        "image_auroc", labels, [o.score for o in same], [o.score for o in mixed(30, seed=1)], seed=0
    )
    assert found.differences["image_auroc"].ci95 == pytest.approx(plain.ci95, abs=1e-9)


def test_a_run_differs_from_itself_in_nothing(two: tuple[Path, Path]) -> None:
    first, _ = two
    found = compare(first, first)
    assert {d.value for d in found.differences.values()} == {0}
    assert found.better == found.worse == ()
    assert found.p is None
    assert "none changed side" in verdict_line(found)


def test_photos_that_changed_side_are_found_and_tested(tmp_path: Path) -> None:
    ids = [f"{i:02}.png" for i in range(12)]
    before = [outcome(id, i % 2, verdict="normal") for i, id in enumerate(ids)]
    after = [
        outcome(id, i % 2, verdict="uncertain" if i == 0 else "anomalous" if i % 2 else "normal")
        for i, id in enumerate(ids)
    ]
    leave(tmp_path / "a", before)
    leave(tmp_path / "b", after)
    found = compare(tmp_path / "a", tmp_path / "b")
    assert [c.first.id for c in found.better] == ids[1::2]
    assert [c.first.id for c in found.worse] == ids[:1]
    assert found.p == pytest.approx(2 * binom.cdf(1, 7, 0.5))
    assert verdict_line(found).startswith(
        "Of 12 photos inspected by both, 6 turned from wrong to right and 1 from right"
    )


def test_of_a_benchmark_the_mean_over_products_is_compared(tmp_path: Path) -> None:
    def run(name: str, seed: int) -> Path:
        outcomes = [
            o.model_copy(update={"category": product, "id": f"{product}/{o.id}", "map": f"maps/{product}{i}.npz"})
            for product, count, shift in (("nut", 10, 0), ("bolt", 30, 10))
            for i, o in enumerate(mixed(count, seed=seed + shift))
        ]
        leave(tmp_path / name, outcomes)
        return tmp_path / name

    a, b = run("a", 0), run("b", 1)
    found = compare(a, b)
    for name in ("image_auroc", "accuracy", "pro", "citation_precision"):
        expected = found.second.metrics[name].value - found.first.metrics[name].value  # type: ignore[operator]
        assert found.differences[name].value == pytest.approx(expected, abs=1e-6)


def test_what_is_no_run_is_refused_in_one_line(two: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = (Path(shutil.copytree(run, tmp_path / run.name)) for run in two)
    with pytest.raises(EvalError, match=r"cannot read results\.json"):
        compare(first, tmp_path / "nowhere")
    stranger = tmp_path / "stranger"
    leave(stranger, [outcome("other.png"), outcome("more.png", 0)])
    with pytest.raises(EvalError, match="no photo in common"):
        compare(first, stranger)
    outcomes = read_samples(second)
    write_samples([outcomes[0].model_copy(update={"defect_type": "dent"}), *outcomes[1:]], second)
    with pytest.raises(EvalError, match="'crack' in one and 'dent' in the other"):
        compare(first, second)
    lines = (second / "samples.jsonl").read_text().split("\n")
    (second / "samples.jsonl").write_text("\n".join([lines[0], json.dumps({"id": 1}), *lines[2:]]))
    with pytest.raises(EvalError, match=r"line 2 of samples\.jsonl is no outcome") as caught:
        compare(first, second)
    assert "\n" not in str(caught.value)
    (second / "samples.jsonl").unlink()
    with pytest.raises(EvalError, match=r"cannot read samples\.jsonl"):
        compare(first, second)
    (first / "results.json").write_text("{}")
    with pytest.raises(EvalError, match=r"results\.json is none of photos inspected"):
        compare(first, second)


def test_samples_are_read_as_they_were_written(tmp_path: Path) -> None:
    outcomes = [outcome("line\u2028break\u0085.png", named="a\nb"), *mixed(4)]
    write_samples(outcomes, tmp_path)
    assert read_samples(tmp_path) == outcomes
    with pytest.raises(EvalError, match="cannot be written"):
        write_samples(outcomes, tmp_path / "nowhere")


def test_differences_are_put_into_words() -> None:
    assert says("accuracy", Metric(0.1, (0.05, 0.2))) == "better"
    assert says("miss", Metric(0.1, (0.05, 0.2))) == "worse"
    assert says("miss", Metric(-0.1, (-0.2, -0.05))) == "better"
    assert says("accuracy", Metric(0.1, (-0.05, 0.2))) == "within chance"
    assert says("accuracy", Metric(0.1, None, "no interval: x")) == "no interval: x"
    assert says("accuracy", Metric(0.0)) == "the same"
    assert says("accuracy", Metric(None, None, "why")) == "why"


def test_the_page_shows_the_changed_photos_of_two_runs(
    fake: Callable[..., Any], make_folder: Callable[..., Path], tmp_path: Path
) -> None:
    root, a, b = make_folder(good=3, bad=3, name="<b>plates"), tmp_path / "a", tmp_path / "b"
    run_folder(fake(blind=True), root, "zero-shot", out=a, show=False)
    shutil.copytree(a, b)
    write_samples((o.model_copy(update={"verdict": "anomalous" if o.label else "normal"}) for o in read_samples(a)), b)
    found = compare(a, b)
    assert len(found.better) == 3
    page = write_comparison(found, a, b, tmp_path / "page")
    text = page.read_text()
    assert text.count("<img") == 3 * 3
    assert "test/dent/000.png" in text
    assert "<script" not in text
    assert "<b>plates" not in text
    assert "Turned wrong: 0" in text
    shown = io.StringIO()
    print_comparison(found, Console(file=shown, width=100))
    assert "3 turned from wrong to right" in shown.getvalue()
    (root / "test").rename(tmp_path / "moved")
    assert write_comparison(found, a, b, tmp_path / "page").read_text().count("<img") == 0
