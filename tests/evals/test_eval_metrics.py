"""Every metric against a plain second implementation, with ties, with one class, with odd sizes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evals import EvalError
from evals.figures import metrics, pixels
from evals.figures.maps import LONG_SIDE, on_mask, pointed_at, reduce_map, reduce_mask
from evals.figures.metrics import Metric
from evals.figures.resample import area, average_precision, best_f1, interval, ranked, weights

Scores = list[float]


def plain_auroc(labels: list[int], scores: Scores) -> float:
    pairs = [
        (a, b) for (x, a), (y, b) in itertools.product(zip(labels, scores, strict=True), repeat=2) if x == 1 and y == 0
    ]
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)


def plain_points(labels: list[int], scores: Scores) -> list[tuple[int, int, int]]:
    """Hits, false alarms and positives at every threshold, highest first."""
    found = []
    for threshold in sorted(set(scores), reverse=True):
        said = [s >= threshold for s in scores]
        found.append(
            (
                sum(s and x == 1 for s, x in zip(said, labels, strict=True)),
                sum(s and x == 0 for s, x in zip(said, labels, strict=True)),
                sum(labels),
            )
        )
    return found


def plain_ap(labels: list[int], scores: Scores) -> float:
    total, before = 0.0, 0.0
    for hits, alarms, positives in plain_points(labels, scores):
        total += hits / (hits + alarms) * (hits / positives - before)
        before = hits / positives
    return total


def plain_f1max(labels: list[int], scores: Scores) -> float:
    return max(2 * h / (h + a + p) for h, a, p in plain_points(labels, scores))


def plain_pro(maps: list[NDArray[Any]], masks: list[NDArray[np.bool_]], limit: float = 0.3) -> float:
    """Threshold by threshold, region by region, from a flood fill of its own."""
    regions = []
    for i, mask in enumerate(masks):
        left = {(int(r), int(c)) for r, c in np.argwhere(mask)}
        while left:
            region, edge = set(), {left.pop()}
            while edge:
                region |= edge
                near = {(r + a, c + b) for r, c in edge for a in (-1, 0, 1) for b in (-1, 0, 1)}
                edge = near & left
                left -= edge
            regions.append((i, region))
    normal = sum(int((~mask).sum()) for mask in masks)
    curve = [(0.0, 0.0)]
    for threshold in sorted({float(v) for m in maps for v in m.ravel()}, reverse=True):
        alarms = sum(int(((m >= threshold) & ~mask).sum()) for m, mask in zip(maps, masks, strict=True))
        overlap = [sum(maps[i][place] >= threshold for place in region) / len(region) for i, region in regions]
        curve.append((alarms / normal, float(np.mean(overlap))))
    total = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(curve):
        if x0 >= limit or x1 == x0:
            continue
        end = min(x1, limit)
        total += (end - x0) * (y0 + y0 + (y1 - y0) * (end - x0) / (x1 - x0)) / 2
    return total / limit


def drawn_scores(seed: int, ties: bool) -> tuple[list[int], Scores]:
    rng = np.random.default_rng(seed)
    labels = [0, 1, *rng.integers(0, 2, 38).tolist()]
    scores = rng.random(40) + 0.3 * np.array(labels)
    return labels, (np.round(scores, 1) if ties else scores).tolist()


def drawn_maps(seed: int, ties: bool = True) -> tuple[list[NDArray[np.float16]], list[NDArray[np.bool_]]]:
    """Maps of different sizes; regions that touch at corners, lie apart, or are missing."""
    rng = np.random.default_rng(seed)
    maps, masks = [], []
    for height, width in ((9, 12), (7, 7), (12, 5), (8, 8)):
        mask = np.zeros((height, width), bool)
        if height != 8:
            mask[1:3, 1:4] = mask[3, 4] = True  # one region of seven
            mask[5:7, 0:2] = True  # and another of four
        scores = rng.random((height, width)) * 0.6 + 0.3 * mask
        maps.append((np.round(scores, 1) if ties else scores).astype(np.float16))
        masks.append(mask)
    return maps, masks


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("metric", "plain"),
    [
        (metrics.image_auroc, plain_auroc),
        (metrics.image_ap, plain_ap),
        (metrics.image_f1max, plain_f1max),
    ],
)
def test_ranking_metrics_equal_plain_ones(metric: Any, plain: Any, seed: int, ties: bool) -> None:
    labels, scores = drawn_scores(seed, ties)
    found = metric(labels, scores)
    assert found.value == pytest.approx(plain(labels, scores), abs=1e-6)
    assert found.ci95[0] < found.value < found.ci95[1]
    assert found.reason is None


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(
    ("curve", "plain"), [(area, plain_auroc), (average_precision, plain_ap), (best_f1, plain_f1max)]
)
def test_a_resample_equals_the_plain_metric_on_the_images_drawn(curve: Any, plain: Any, ties: bool) -> None:
    labels, scores = drawn_scores(7, ties)
    drawn = weights(40, 120, 1)  # more than one chunk
    truth = np.array(labels, float)
    found = ranked(np.array(scores), np.asarray(truth, float), drawn, curve)
    for row, value in zip(drawn, found, strict=True):
        picked = np.repeat(np.arange(40), row.astype(int))
        again = plain([labels[i] for i in picked], [scores[i] for i in picked])
        assert value == pytest.approx(again, abs=1e-9)


@pytest.mark.parametrize("ties", [False, True])
def test_pixel_auroc_equals_the_plain_one_on_all_pixels(ties: bool) -> None:
    maps, masks = drawn_maps(2, ties)
    labels = np.concatenate([m.ravel() for m in masks]).astype(int).tolist()
    scores = np.concatenate([m.ravel() for m in maps]).astype(float).tolist()
    assert pixels.pixel_auroc(maps, masks).value == pytest.approx(plain_auroc(labels, scores), abs=1e-6)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_pro_equals_the_plain_one(seed: int, ties: bool) -> None:
    maps, masks = drawn_maps(seed, ties)
    found = pixels.pro(maps, masks)
    assert found.value == pytest.approx(plain_pro(maps, masks), abs=1e-6)
    assert found.ci95 is not None


@pytest.mark.filterwarnings("ignore")
def test_pro_equals_anomalib() -> None:
    import torch
    from anomalib.metrics.aupro import _AUPRO

    rng = np.random.default_rng(5)
    mask = np.zeros((6, 40, 40), bool)
    mask[:4, 5:9, 6:30] = mask[:3, 20:36, 8:12] = True
    maps = (rng.random(mask.shape) * 0.7 + 0.25 * mask).astype(np.float16)
    theirs = _AUPRO()
    theirs.update(torch.from_numpy(maps.astype(np.float32)), torch.from_numpy(mask).int())
    assert pixels.pro(list(maps), list(mask)).value == pytest.approx(float(theirs.compute()), abs=1e-5)


def test_pixel_intervals_resample_images_not_pixels() -> None:
    maps, masks = drawn_maps(0)
    drawn = weights(4, 200, 9)
    values = []
    for row in drawn:
        picked = np.repeat(np.arange(4), row.astype(int))
        again = pixels.pro([maps[i] for i in picked], [masks[i] for i in picked], resamples=0)
        values.append(np.nan if again.value is None else again.value)
    expected = interval(np.array(values))[0]
    assert pixels.pro(maps, masks, resamples=200, seed=9).ci95 == pytest.approx(expected, abs=2e-3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(10, 14))
def test_ranking_metrics_equal_torchmetrics(seed: int, ties: bool) -> None:
    import torch
    from torchmetrics.functional.classification import (
        binary_auroc,
        binary_average_precision,
        binary_precision_recall_curve,
    )

    labels, scores = drawn_scores(seed, ties)
    said, truth = torch.tensor(scores, dtype=torch.float64).clamp(0, 1), torch.tensor(labels)
    precision, recall, _ = binary_precision_recall_curve(said, truth)
    f1 = torch.nan_to_num(2 * precision * recall / (precision + recall))
    for metric, theirs in (
        (metrics.image_auroc, binary_auroc(said, truth)),
        (metrics.image_ap, binary_average_precision(said, truth)),
        (metrics.image_f1max, f1.max()),
    ):
        assert metric(labels, said.tolist(), resamples=0).value == pytest.approx(float(theirs), abs=1e-6)


@pytest.mark.parametrize("classes", [(0, 1), (0,), (1,)])
@pytest.mark.parametrize("seed", range(3))
def test_shares_equal_plain_counts(seed: int, classes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, 25).tolist()
    verdicts: list[Any] = rng.choice(["normal", "anomalous", "uncertain"], 25).tolist()
    both = list(zip(labels, verdicts, strict=True))
    for metric, counted, chosen in (
        (metrics.accuracy, both, [p for p in both if p in ((0, "normal"), (1, "anomalous"))]),
        (metrics.overkill, [p for p in both if p[0] == 0], [p for p in both if p == (0, "anomalous")]),
        (metrics.miss, [p for p in both if p[0] == 1], [p for p in both if p == (1, "normal")]),
    ):
        found = metric(labels, verdicts, seed=seed)
        if counted:
            assert found.value == pytest.approx(len(chosen) / len(counted), abs=1e-6)
        else:
            assert found.value is None
            assert found.reason
    hits = (rng.random(25) < 0.4).tolist()
    assert metrics.localisation_hit(hits).value == pytest.approx(sum(hits) / 25, abs=1e-6)


@pytest.mark.parametrize("name", ["accuracy", "overkill", "miss"])
def test_a_resample_of_a_share_equals_the_share_of_the_images_drawn(name: str) -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 12).tolist()
    verdicts: list[Any] = rng.choice(["normal", "anomalous", "uncertain"], 12).tolist()
    drawn = weights(12, 60, 4)
    for row, value in zip(drawn, metrics.resampled(name, labels, verdicts, drawn), strict=True):
        picked = np.repeat(np.arange(12), row)
        again = getattr(metrics, name)([labels[i] for i in picked], [verdicts[i] for i in picked], resamples=0).value
        assert (again is None and np.isnan(value)) or value == pytest.approx(again, abs=1e-9)


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1]])
@pytest.mark.parametrize("metric", [metrics.image_auroc, metrics.image_ap, metrics.image_f1max])
def test_one_class_has_no_ranking(metric: Any, labels: list[int]) -> None:
    found = metric(labels, [0.1, 0.2, 0.3])
    assert found == Metric(
        None, None, f"needs normal and anomalous images; scored were {3 - sum(labels)} and {sum(labels)}"
    )


def test_no_image_has_no_figure() -> None:
    assert metrics.image_auroc([], []).reason == "no image was scored"
    assert metrics.accuracy([], []).reason == "no image was scored"
    assert metrics.localisation_hit([]).reason == "no anomalous image with a mask"
    assert pixels.pixel_auroc([], []).reason == "no anomalous image with a mask"


def test_verdict_metrics_count_uncertain_as_neither() -> None:
    labels = [0, 0, 0, 0, 1, 1, 1, 1]
    verdicts: list[Any] = [
        "normal",
        "anomalous",
        "uncertain",
        "normal",
        "anomalous",
        "normal",
        "normal",
        "uncertain",
    ]
    assert metrics.accuracy(labels, verdicts).value == 3 / 8
    assert metrics.overkill(labels, verdicts).value == 1 / 4
    assert metrics.miss(labels, verdicts).value == 2 / 4
    assert metrics.overkill([1], ["normal"]).reason == "no normal image was scored"
    assert metrics.miss([0], ["normal"]).reason == "no anomalous image was scored"


def test_unmarked_images_alone_have_no_pixel_metric() -> None:
    maps, empty = [np.zeros((4, 4), np.float16)], [np.zeros((4, 4), bool)]
    for metric in (pixels.pixel_auroc, pixels.pro):
        assert metric(maps, empty).reason == "no anomalous image with a mask"
        assert metric(maps, [~empty[0]]).reason == "every pixel of every mask is marked"


def test_maps_that_do_not_fit_are_refused() -> None:
    with pytest.raises(EvalError, match="one mask a map"):
        pixels.pro([np.zeros((4, 4))], [])
    with pytest.raises(EvalError, match="expected the same"):
        pixels.pro([np.zeros((4, 4))], [np.zeros((4, 5), bool)])
    with pytest.raises(EvalError, match="outside"):
        pixels.pixel_auroc([np.full((4, 4), np.nan)], [np.zeros((4, 4), bool)])
    with pytest.raises(EvalError, match="one value an image"):
        metrics.image_auroc([0, 1], [0.5])


def test_intervals_follow_the_seed_and_collapse_openly() -> None:
    labels, scores = drawn_scores(3, ties=False)
    assert metrics.image_auroc(labels, scores, seed=1) == metrics.image_auroc(labels, scores, seed=1)
    assert metrics.image_auroc(labels, scores, seed=1).ci95 != metrics.image_auroc(labels, scores, seed=2).ci95
    perfect = metrics.image_auroc([0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
    assert perfect.value == 1
    assert perfect.ci95 is None
    assert perfect.reason == "no interval: every resample gives this value"
    lonely = metrics.image_auroc([0, 0, 0, 0, 0, 1], [0.1, 0.5, 0.3, 0.2, 0.4, 0.35])
    assert lonely.ci95 is None
    assert lonely.reason is not None
    assert "too few images" in lonely.reason


def test_a_difference_is_paired() -> None:
    labels, scores = drawn_scores(4, ties=False)
    better = [s + 0.05 * x for s, x in zip(scores, labels, strict=True)]
    gain = metrics.difference("image_auroc", labels, better, scores)
    assert gain.value == pytest.approx(plain_auroc(labels, better) - plain_auroc(labels, scores))
    alone = metrics.image_auroc(labels, scores)
    assert gain.ci95 is not None
    assert alone.ci95 is not None
    assert gain.ci95[1] - gain.ci95[0] < (alone.ci95[1] - alone.ci95[0]) / 2
    assert metrics.difference("image_auroc", labels, scores, scores).value == 0
    said: list[Any] = ["normal", "anomalous", "anomalous"]
    assert metrics.difference("miss", [0, 0, 0], said, said).reason is not None
    other: list[Any] = ["anomalous", "anomalous", "normal"]
    assert metrics.difference("overkill", [0, 0, 1], said, other).value == pytest.approx(-0.5)


def test_thousands_of_resamples_of_many_maps_stay_cheap() -> None:
    import time

    rng = np.random.default_rng(0)
    maps = [rng.random((64, 64)).astype(np.float16) for _ in range(50)]
    masks = [np.zeros((64, 64), bool) for _ in maps]
    for mask in masks[:25]:
        mask[10:20, 10:20] = True
    start = time.process_time()
    pixels.pro(maps, masks)
    assert time.process_time() - start < 20


def test_a_reduced_mask_loses_no_crack() -> None:
    mask = np.zeros((1000, 600), bool)
    mask[500, 20:560] = True
    small = reduce_mask(mask)
    assert small.shape == (LONG_SIDE, 154)
    assert small.any(1).sum() == 1
    assert small.sum() > 130
    big = np.zeros((1000, 600), np.float32)
    big[:500] = 1
    assert reduce_map(big).shape == small.shape
    assert reduce_map(big).dtype == np.float16
    assert reduce_map(big)[0, 0] == 1
    assert reduce_map(np.zeros((5, 7), np.float32)).shape == (5, 7)


def test_pointing() -> None:
    heat = np.zeros((10, 20), np.float32)
    heat[2, 3], heat[7, 15] = 0.9, 0.6
    mask = np.zeros((10, 20), bool)
    mask[7, 15] = True
    assert pointed_at(heat) == (2, 3)
    assert pointed_at(heat, (12, 5, 18, 9)) == (7, 15)
    assert on_mask(pointed_at(heat, (12, 5, 18, 9)), mask)
    assert not on_mask(pointed_at(heat), mask)
    assert pointed_at(np.full((4, 4), 0.3)) is None
    assert pointed_at(heat, (40, 5, 50, 9)) is None
    assert not on_mask(None, mask)
