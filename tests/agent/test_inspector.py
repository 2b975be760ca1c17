"""The inspector with the shipped weights: every kind of input, every setting, on drawn parts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from parts import plate

import agent
from agent.images import InputError
from agent.inspector import Inspector
from agent.report import InspectionReport
from tools.fit import DetectorError

EXAMPLES = Path(__file__).parents[2] / "examples"
PART, REFERENCE = EXAMPLES / "part.png", EXAMPLES / "reference.png"


@pytest.fixture(scope="module")
def inspector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inspector]:
    made = Inspector.load(home=tmp_path_factory.mktemp("home"))
    yield made
    made.facts.close()


@pytest.fixture(scope="module")
def report(inspector: Inspector) -> InspectionReport:
    return inspector.inspect(PART, reference=REFERENCE, question="Is the part free of defects?")


def test_the_shipped_example_is_found_and_every_sentence_is_cited(report: InspectionReport) -> None:
    assert report.verdict == "anomalous"
    assert report.setting == "one-shot"
    ids = {fact.id for fact in report.facts} | {item.id for item in report.evidence}
    assert report.reasoning
    for step in report.reasoning:
        assert step.cites
        assert set(step.cites) <= ids
    assert all(set(finding.cites) <= ids for finding in report.findings)
    assert report.answer is not None
    assert report.answer.value is not None


def test_both_parts_of_the_score_are_reported(report: InspectionReport) -> None:
    assert report.scores.detector is not None
    assert report.scores.vlm is not None
    assert report.model.name == "sage-nano"


def test_the_report_follows_the_published_schema(report: InspectionReport) -> None:
    published = json.loads((Path(agent.__file__).parent / "report.schema.json").read_text(encoding="utf-8"))
    assert published == InspectionReport.model_json_schema(mode="serialization")
    jsonschema.validate(json.loads(report.model_dump_json()), published)


def test_a_report_read_from_json_has_no_pixels(report: InspectionReport) -> None:
    again = InspectionReport.model_validate_json(report.model_dump_json())
    assert again.model_dump() == report.model_dump()
    with pytest.raises(ValueError, match="no pixels"):
        _ = again.pictures
    assert "iframe" in again._repr_html_()
    assert "data:image" in report._repr_html_()


def test_path_image_array_and_bytes_give_the_same_score(inspector: Inspector) -> None:
    from PIL import Image

    with Image.open(PART) as opened:
        photo = opened.convert("RGB")
    inputs = [PART, str(PART), photo, np.asarray(photo), PART.read_bytes()]
    scores = {inspector.inspect(i, reference=REFERENCE, depth="screen").anomaly_score for i in inputs}
    assert len(scores) == 1


def test_screening_has_boxes_and_no_words(inspector: Inspector) -> None:
    screened = inspector.inspect(PART, depth="screen")
    assert screened.setting == "zero-shot"
    assert screened.reasoning == []
    assert screened.facts == []
    assert screened.pictures.anomaly_map.shape == (screened.image.height, screened.image.width)


@pytest.mark.parametrize(
    ("category", "family"), [("weld", None), ("hex nut", "fastener"), ("pcb", "printed_circuit_board")]
)
def test_a_category_by_another_name_is_found_and_told(inspector: Inspector, category: str, family: str | None) -> None:
    warnings = inspector.inspect(PART, category=category, depth="screen").warnings
    told = [w for w in warnings if "taken for the product family" in w]
    assert [w.split()[-1] for w in told] == ([] if family is None else [family])


def test_fit_then_inspect_by_category(inspector: Inspector, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    normals = [
        np.clip(np.asarray(plate(False)) + rng.normal(0, 5, (96, 96, 3)), 0, 255).astype(np.uint8) for _ in range(6)
    ]
    detector = inspector.fit(normals, false_alarm_rate=0.2)
    detector.save(inspector.home / "detectors" / "plate")
    good, bad = (inspector.inspect(plate(spot), category="plate", depth="screen") for spot in (False, True))
    assert good.setting == bad.setting == "fitted"
    assert (bad.scores.detector or 0) > 0.5 > (good.scores.detector or 1) - 0.5
    assert (bad.scores.detector or 0) > (good.scores.detector or 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"category": "no-such-thing-at-all-xyz"}, "neither a fitted detector"),
        ({"category": "../up"}, "neither a fitted detector"),
        ({"question": "x" * 100_000}, "100000 characters"),
        ({"question": "  "}, "expected 1 to"),
        ({"depth": "deep"}, "'screen' or 'full'"),
        ({"reference": ["missing.png"]}, "reference"),
        ({"reference": [PART] * 9}, "at most 8"),
    ],
)
def test_bad_arguments_are_one_line(inspector: Inspector, arguments: dict[str, object], message: str) -> None:
    with pytest.raises((InputError, DetectorError), match=message) as caught:
        inspector.inspect(PART, **arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 2000


def test_a_reference_of_another_size_is_fine(inspector: Inspector) -> None:
    assert inspector.inspect(plate(True, 128), reference=plate(False, 300), depth="screen").setting == "one-shot"
    assert inspector.inspect(plate(True), reference=[plate(False)] * 3, depth="screen").setting == "few-shot"


def test_the_model_alone_is_a_baseline(inspector: Inspector) -> None:
    p = inspector.vlm_alone(PART, reference=REFERENCE)
    assert p is not None
    assert 0 <= p <= 1
