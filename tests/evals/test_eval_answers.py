"""Kinds by name, and metrics of what was written against sums by hand."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_run import mixed, outcome, steps

from evals.figures.answers import ANSWER_METRICS, answer_metrics, answer_notes, ratio, sums
from evals.figures.kinds import confusion, kind_of
from evals.figures.resample import interval, weights
from evals.mle import Fault, MleScore
from knowledge.kinds import groups


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("crack", "crack"),
        ("cracked", "crack"),
        ("Broken_large", "break"),
        ("broken_small", "break"),
        ("Short", "short_circuit"),
        ("mouse bite", "mouse_bite"),
        ("mousebite", "mouse_bite"),
        ("metal_contamination", "contamination"),
        ("thread_top", "thread_damage"),
        ("missing_1", "missing_part"),
        ("missing parts", "missing_part"),
        ("scratches", "scratch"),
        ("scratch_head", "scratch"),
        ("rolled-in_scale", "rolled_in_scale"),
        ("major_rust", "corrosion"),
        ("bent_lead", "bent_pin"),
        ("HS", "scratch"),
        ("uneven", "uneven_surface"),
        # These say no kind, or two.
        ("defective", None),
        ("possibly_defective", None),
        ("combined", None),
        ("bad", None),
        ("good", None),
        ("missing_hole", None),
        ("bubble,discolor", None),
        ("bend_and_parts_mismatch", None),
        ("", None),
    ],
)
def test_names_of_data_sets_become_kinds(name: str, kind: str | None) -> None:
    assert kind_of(name) == kind
    assert kind is None or kind in groups()


def test_every_kind_of_the_ontology_names_itself() -> None:
    assert [kind_of(kind) for kind in groups()] == list(groups())


def test_kinds_are_held_against_the_truth_where_both_are_known() -> None:
    outcomes = [
        outcome("a", named="crack"),
        outcome("b", named="dent"),
        outcome("c", named=None),  # called anomalous, named nothing: wrong
        outcome("d", named="crack", verdict="normal"),  # not detected: left out
        outcome("e", named="crack", defect_type="defective"),  # kind unknown: left out
        outcome("f", 0, named="crack", verdict="anomalous"),  # a false alarm has no kind
    ]
    found = answer_metrics(outcomes, "full")["type_accuracy"]
    assert found.value == pytest.approx(1 / 3)
    assert answer_notes(outcomes) == [
        "1 anomalous photos have names that say no kind of the ontology (defective); type_accuracy leaves them out"
    ]
    assert confusion(outcomes) == {
        "crack": {"none": 2, "crack": 1, "dent": 1},
        "none": {"crack": 1},
    }


def test_sentences_of_one_photo_are_drawn_together() -> None:
    outcomes = [
        outcome("a", reasoning=steps(True, True, True, False)),
        outcome("b", reasoning=[*steps(False), *steps(True, cites=False)]),
        outcome("c", reasoning=steps(True, cites=False)),
    ]
    found = answer_metrics(outcomes, "full", seed=3)["citation_precision"]
    assert found.value == 3 / 5
    by_hand = []
    for row in weights(3, 1000, 3):
        a, b, _ = (int(times) for times in row)
        by_hand.append(3 * a / (4 * a + b) if a + b else np.nan)
    assert found.ci95 == pytest.approx(interval(np.array(by_hand))[0], abs=1e-9)


def test_mle_is_the_mean_of_what_was_scored_and_the_rest_is_counted() -> None:
    fault = Fault(kind="wrong type", scale="type", points=2, why="wrong kind")
    outcomes = [
        outcome("a", mle=MleScore(type=5, location=4, logic=3)),
        outcome("b", mle=MleScore(type=3, location=1, logic=1, faults=(fault,))),
        outcome("c", mle=MleScore(unscored="no reply in 30 s")),
        outcome("d"),
    ]
    found = answer_metrics(outcomes, "full")
    assert found["mle_type"].value == 4
    assert found["mle_location"].value == 2.5
    assert found["mle_logic"].value == 2
    assert found["mle"].value == pytest.approx((4 + 5 / 3) / 2)
    assert found["unscored"].value == pytest.approx(1 / 3)
    assert answer_notes(outcomes) == ["1 answers are unscored: no reply in 30 s"]


def test_what_is_undefined_says_why() -> None:
    at_screen = answer_metrics([outcome()], "screen")
    assert {m.reason for m in at_screen.values()} == {"nothing is written at depth screen"}
    for outcomes, reasons in (
        ([], {"no image was scored"}),
        (
            [outcome("a", 0)],
            {
                "no anomalous photo of known kind was called anomalous",
                "no sentence cites anything",
                "no answer was judged",
            },
        ),
    ):
        found = answer_metrics(outcomes, "full")
        assert list(found) == list(ANSWER_METRICS)
        assert all(m.value is None and m.ci95 is None for m in found.values())
        assert {m.reason for m in found.values()} == reasons
    unscored = answer_metrics([outcome(mle=MleScore(unscored="x"))], "full")
    assert unscored["mle"].reason == "no answer could be scored"
    assert unscored["unscored"].value == 1


@pytest.mark.parametrize("name", ["type_accuracy", "citation_precision"])
def test_a_resample_equals_the_metric_of_the_photos_drawn(name: str) -> None:
    outcomes = mixed(20, seed=5)
    drawn = weights(20, 60, 2)
    for row, value in zip(drawn, ratio(*sums(name, outcomes), drawn), strict=True):
        picked = [outcomes[i] for i in np.repeat(np.arange(20), row)]
        again = answer_metrics(picked, "full", resamples=0)[name].value
        assert (again is None and np.isnan(value)) or value == pytest.approx(again, abs=1e-9)
