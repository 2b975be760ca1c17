"""The detectors' benchmark draws its own photos and sets anomalib's Engine beside ours."""

from __future__ import annotations

import numpy as np
import pytest

from agent.vlm import Eye, SageVisionConfig, SageVisionModel
from evals import bench_detectors
from evals.bench_detectors import draw_product, encoder_ms, engine, ours, scoring_ms


@pytest.fixture(scope="module")
def eye() -> Eye:
    return Eye(SageVisionModel(SageVisionConfig()), "random")


def test_a_product_has_photos_of_one_design_with_their_labels() -> None:
    product = draw_product(3, 3, 2)
    again = draw_product(3, 3, 2)
    assert len(product.normals) == 3
    assert product.anomalous == [0, 0, 1, 1]
    assert len(product.tests) == 4
    assert all(a.tobytes() == b.tobytes() for a, b in zip(product.tests, again.tests, strict=True))
    assert product.normals[0].tobytes() != product.normals[1].tobytes()


def test_times_are_those_of_the_work(eye: Eye, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = draw_product(3, 1, 1).normals[0]
    assert encoder_ms(eye, times=1) > 0.1
    small = scoring_ms(eye, photo, times=5)
    monkeypatch.setattr(bench_detectors, "BANK", 60_000)
    assert scoring_ms(eye, photo, times=5) > 2 * small


@pytest.mark.slow
def test_the_engine_scores_the_same_photos(eye: Eye, tmp_path: object) -> None:
    from agent.vlm.nano import shipped

    shipped_eye = Eye.load(shipped("sage-eye"))
    product = draw_product(0, 4, 4)
    for contest in (ours(shipped_eye, product), engine(shipped("sage-eye"), product)):
        assert contest.fit_seconds > 0
        assert contest.predict_ms > 0
        assert np.isfinite(contest.auroc)
