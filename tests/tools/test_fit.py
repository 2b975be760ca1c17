"""Fitting: thresholds that hold what they promise, strange normals, additions, drift, and bad input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from refusals import refusal

import tools.bank
from tools.fit import MAX_PHOTOS, fit_detector, sample_photos
from tools.matching import score_of
from tools.settings import PLAIN, Settings

ALL_PATCHES = 10**9
"""A bank this large keeps every patch, and the coreset is left out."""


# --- the promise ---


def test_false_alarms_on_new_normals_stay_at_the_promised_rate(encoder: Any, photos: Any) -> None:
    fits, normals, fresh, rate = 60, 19, 20, 0.1
    shares = []
    for fit in range(fits):
        made = [photos.noisy(10_000 * fit + i) for i in range(normals + fresh)]
        detector = fit_detector(encoder, made[:normals], rate, settings=PLAIN, bank=ALL_PATCHES)
        shares.append(np.mean([detector.detect(photo).score > 0.5 for photo in made[normals:]]))
    # Over fits the share of false alarms is Beta(2, 18), mean 0.1; three standard errors of the mean of 60 such shares.
    spread = np.sqrt(0.1 * 0.9 / 21 + 0.1 * 0.9 / fresh) / np.sqrt(fits)
    assert np.mean(shares) <= rate + 3 * spread
    assert np.mean(shares) >= rate - 4 * spread


def test_a_thinned_bank_keeps_the_promise_too(encoder: Any, photos: Any) -> None:
    fits, normals, fresh, rate, cells = 10, 19, 40, 0.1, 8
    encoder.cells, shares = cells, []
    for fit in range(fits):
        made = [photos.noisy(5_000_000 + 10_000 * fit + i, cells) for i in range(normals + fresh)]
        detector = fit_detector(encoder, made[:normals], rate, settings=PLAIN, bank=600)
        assert len(detector.bank) == 600
        shares.append(np.mean([detector.detect(photo).score > 0.5 for photo in made[normals:]]))
    spread = np.sqrt(0.1 * 0.9 / 21 + 0.1 * 0.9 / fresh) / np.sqrt(fits)
    assert np.mean(shares) <= rate + 3 * spread
    assert np.mean(shares) > 0, "a threshold out of reach finds nothing"


# --- fitting ---


def test_fit_reports_what_it_promises(encoder: Any, photos: Any) -> None:
    detector = fit_detector(encoder, [photos.noisy(i) for i in range(12)], 0.01, settings=PLAIN, bank=ALL_PATCHES)
    assert detector.setting == "fitted"
    assert (detector.rate, detector.asked) == (1 / 13, 0.01)
    assert detector.normals.shape == (12,)
    assert detector.calibration.threshold == pytest.approx(float(detector.normals.max()))
    assert "12 normal photos" in detector.calibration.basis
    assert f"at most {1 / 13:.3g}" in detector.calibration.basis
    assert detector.bank.patches.shape == (12 * 14 * 14, 3)
    # The median normal photo scores 0.1.
    assert float(detector.calibration.unit(np.median(detector.normals))) == pytest.approx(0.1, abs=1e-3)


def test_held_out_scores_are_those_of_a_detector_that_never_saw_the_photo(encoder: Any, photos: Any) -> None:
    made = [photos.noisy(i) for i in range(5)]
    detector = fit_detector(encoder, made, 0.3, bank=ALL_PATCHES)
    for i, photo in enumerate(made):
        others = fit_detector(encoder, made[:i] + made[i + 1 :], 0.3, bank=ALL_PATCHES)
        assert detector.normals[i] == pytest.approx(score_of(others.raw_map(photo)), abs=1e-5)


def test_a_planted_defect_scores_above_the_threshold(encoder: Any, photos: Any) -> None:
    normals = [photos.plain(colour=(110 + i, 120, 130 - i)) for i in range(6)]
    detector = fit_detector(encoder, normals, 0.2, bank=ALL_PATCHES)
    assert detector.detect(photos.plain(colour=(112, 120, 128))).score < 0.5
    found = detector.detect(photos.marked((40, 70, 60, 90)))
    assert found.score > 0.99
    assert found.anomaly_map[80, 50] > 0.99


def test_equal_normals_give_a_finite_detector(encoder: Any, photos: Any) -> None:
    detector = fit_detector(encoder, [photos.plain()] * 4, 0.3)
    assert detector.calibration.scale > 0
    assert detector.detect(photos.plain()).score <= 0.5
    assert detector.detect(photos.marked((40, 40, 60, 60))).score > 0.99


def test_equal_normals_without_any_texture_survive_a_thinned_bank(encoder: Any, photos: Any) -> None:
    for seed in range(4):
        detector = fit_detector(encoder, [photos.plain()] * 3, 0.3, seed=seed, bank=5)
        assert np.isfinite(detector.normals).all()
        assert detector.detect(photos.plain()).score <= 0.5


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_photos_are_refused(encoder: Any, photos: Any, count: int) -> None:
    line = refusal(lambda: fit_detector(encoder, [photos.plain()] * count))
    assert line.startswith(f"normal photos: {count} given, at least 3 are needed")
    assert "references" in line


@pytest.mark.parametrize("rate", [0.0, -0.1, 0.51, 1.0, 5, float("nan")])
def test_a_rate_that_makes_no_sense_is_refused(encoder: Any, photos: Any, rate: float) -> None:
    line = refusal(lambda: fit_detector(encoder, [photos.plain()] * 3, rate))
    assert line.startswith(f"false_alarm_rate {rate!r}: expected")


def test_each_setting_keeps_the_promise(encoder: Any, photos: Any) -> None:
    rate, normals, fresh = 0.1, 19, 10
    encoder.cells = 8
    for settings in (Settings(local=True), Settings(flatten=True), Settings(local=True, flatten=True)):
        shares = []
        for fit in range(30):
            made = [photos.noisy(7_000_000 + 10_000 * fit + i, 8) for i in range(normals + fresh)]
            detector = fit_detector(encoder, made[:normals], rate, settings=settings)
            shares.append(np.mean([detector.detect(photo).score > 0.5 for photo in made[normals:]]))
        spread = np.sqrt(0.1 * 0.9 / 21 + 0.1 * 0.9 / fresh) / np.sqrt(30)
        assert rate - 4 * spread <= np.mean(shares) <= rate + 3 * spread, settings


def test_chosen_settings_keep_the_promise(encoder: Any, photos: Any) -> None:
    rate, normals, fresh, fits = 0.1, 9, 10, 8
    encoder.cells, shares = 8, []
    for fit in range(fits):
        made = [photos.noisy(9_000_000 + 10_000 * fit + i, 8) for i in range(normals + fresh)]
        detector = fit_detector(encoder, made[:normals], rate)
        assert detector.choice.tried
        shares.append(np.mean([detector.detect(photo).score > 0.5 for photo in made[normals:]]))
    spread = np.sqrt(0.1 * 0.9 / 11 + 0.1 * 0.9 / fresh) / np.sqrt(fits)
    assert np.mean(shares) <= rate + 3 * spread


# --- the photos ---


def test_a_defective_photo_among_the_normals_is_flagged_not_removed(encoder: Any, photos: Any) -> None:
    normals = [photos.plain(colour=(110 + i % 7, 120, 130 - i % 5)) for i in range(20)]
    normals[13] = photos.marked((40, 40, 60, 60))
    names = [f"{i}.png" for i in range(20)]
    detector = fit_detector(encoder, normals, 0.1, names=names, settings=PLAIN)
    assert [detector.names[i] for i in detector.strange] == ["13.png"]
    assert len(detector.normals) == 20
    clean = fit_detector(encoder, [photos.noisy(i) for i in range(20)], 0.1, settings=PLAIN)
    assert clean.strange == []
    assert clean.names[0] == "photo 1"


def test_ten_thousand_photos_are_sampled_before_they_are_read(encoder: Any, photos: Any) -> None:
    paths = [f"{i:05d}.png" for i in range(10_000)]
    kept = sample_photos(paths)
    assert len(kept) == len(set(kept)) == MAX_PHOTOS
    assert kept == sample_photos(paths)
    assert kept != sample_photos(paths, seed=1)
    assert sorted(sample_photos(paths[:20])) == paths[:20]


def test_no_more_photos_are_read_than_are_used(encoder: Any, photos: Any) -> None:
    encoder.cells, read = 5, 0

    def endless() -> Iterator[Image.Image]:
        nonlocal read
        while True:
            read += 1
            yield photos.noisy(read, 5)

    detector = fit_detector(encoder, endless(), 0.1, settings=PLAIN, bank=200, given=10_000)
    assert "500 of 10000 normal photos" in detector.calibration.basis
    assert read == len(detector.normals) == MAX_PHOTOS


def test_photos_of_mixed_sizes_are_taken(encoder: Any, photos: Any) -> None:
    sizes = [(140, 140), (90, 200), (301, 77), (20, 20)]
    detector = fit_detector(encoder, [photos.plain(size) for size in sizes], 0.2, settings=Settings(local=True))
    assert detector.detect(photos.plain((55, 40))).anomaly_map.shape == (40, 55)


def test_the_same_seed_gives_the_same_detector(encoder: Any, photos: Any) -> None:
    made = [photos.noisy(i) for i in range(8)]
    one, other = (fit_detector(encoder, made, 0.1, seed=3, bank=100) for _ in range(2))
    assert one.choice == other.choice
    np.testing.assert_array_equal(one.bank.patches, other.bank.patches)
    np.testing.assert_array_equal(one.normals, other.normals)


# --- additions and drift ---


@pytest.mark.parametrize("settings", [PLAIN, Settings(local=True), Settings(flatten=True)])
def test_an_added_false_alarm_is_an_alarm_no_more(encoder: Any, photos: Any, settings: Settings) -> None:
    normals = [photos.plain(colour=(110 + i, 120, 130 - i)) for i in range(9)]
    detector = fit_detector(encoder, normals, 0.1, settings=settings)
    alarm = photos.marked((40, 70, 60, 90))
    before = detector.detect(alarm)
    assert before.score > 0.5
    larger = detector.add([alarm], ["alarm.png"])
    after = larger.detect(alarm)
    assert after.score < 0.5
    assert after.raw < before.raw
    assert larger.names[-1] == "alarm.png"
    assert larger.normals[-1] == pytest.approx(before.raw)
    assert len(larger.bank) > len(detector.bank)
    assert larger.calibration.threshold >= detector.calibration.threshold
    assert (len(detector.normals), len(larger.normals)) == (9, 10)
    assert larger.rate == 0.1


def test_a_full_bank_takes_nothing_more(encoder: Any, photos: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = fit_detector(encoder, [photos.noisy(i) for i in range(4)], 0.2, settings=PLAIN)
    monkeypatch.setattr(tools.bank, "MOST_PATCHES", len(detector.bank))
    assert refusal(lambda: detector.add([photos.noisy(9)])).startswith("bank: full after 0 of the added photos")


def test_drift_sees_a_change_of_light_and_nothing_where_nothing_changed(encoder: Any, photos: Any) -> None:
    detector = fit_detector(encoder, [photos.noisy(i) for i in range(20)], 0.1, settings=PLAIN)
    calm = detector.drift([photos.noisy(100 + i) for i in range(15)])
    assert not calm.drifted
    assert calm.photos == 15
    changed = detector.drift([photos.plain(colour=(230 - i, 90, 60)) for i in range(15)])
    assert changed.drifted
    assert changed.above == 1
    assert refusal(lambda: detector.drift([])).startswith("new normal photos: none given")


def test_scale_and_threshold_follow_from_the_normals_alone(encoder: Any, photos: Any) -> None:
    detector = fit_detector(encoder, [photos.noisy(i) for i in range(9)], 0.1, settings=PLAIN)
    looser = replace(detector, asked=0.5)
    assert looser.calibration.threshold == pytest.approx(float(np.median(detector.normals)))
    assert looser.rate == 0.5
