"""Every tool called as a model calls it: a tool call in, a message with `Evidence` as its artifact out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool
from PIL import Image
from pydantic import ValidationError

from knowledge.facts import Fact, FactKind
from tools.calibration import Calibration
from tools.evidence import Evidence
from tools.images import ImageStore, ToolError
from tools.reference import ReferenceDetector
from tools.toolbox import CLOSE_UP, KINDS_OF_A_DEFECT, Bench, build_tools

MARK = (100, 20, 130, 40)
"""What the test photo (140 x 140) has and the reference has not: a bar in the upper right."""


class Facts:
    """Facts on scratches and dents; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.known = [
            Fact.create(
                f"A {kind} of {name} on plates.", category="plate", kind=kind, source="a test", defect_type=name
            )
            for name in ("scratch", "deep_dent")
            for kind in KINDS_OF_A_DEFECT
        ]
        self.known.append(Fact.create("A plate is flat.", category="plate", kind="object", source="a test"))

    def search(
        self,
        query: str,
        *,
        category: str | None = None,
        kinds: Sequence[FactKind] | None = None,
        defect_types: Sequence[str] | None = None,
        limit: int = 10,
    ) -> list[Fact]:
        self.asked.append({"query": query, "category": category, "kinds": kinds, "types": defect_types, "limit": limit})
        hits = [f for f in self.known if kinds is None or f.kind in kinds]
        hits = [f for f in hits if defect_types is None or f.defect_type in defect_types]
        return [f.model_copy(update={"score": 0.9}) for f in hits][:limit]


@pytest.fixture
def facts() -> Facts:
    return Facts()


@pytest.fixture
def images(photos: Any) -> ImageStore:
    store = ImageStore()
    store.add("test", photos.marked(MARK))
    store.add("reference-1", photos.plain())
    return store


def bench(encoder: Any, images: ImageStore, facts: Facts, **more: Any) -> dict[str, Any]:
    references = more.pop("references", ("reference-1",))
    detector = ReferenceDetector(encoder, [images.photo("reference-1")], Calibration(0.15, 0.03, "a test"))
    tools = build_tools(Bench(images, encoder, detector, facts, references, **more))
    return {tool.name: tool for tool in tools}


@pytest.fixture
def tools(encoder: Any, images: ImageStore, facts: Facts) -> dict[str, Any]:
    return bench(encoder, images, facts)


def call(tools: dict[str, Any], name: str, **arguments: Any) -> Evidence:
    """Call a tool as LangGraph does, with the checks that hold for every answer."""
    message = tools[name].invoke({"type": "tool_call", "name": name, "args": arguments, "id": "call-1"})
    assert isinstance(message, ToolMessage)
    assert message.tool_call_id == "call-1"
    evidence = message.artifact
    assert isinstance(evidence, Evidence)
    assert message.content == evidence.summary
    assert evidence.tool == name
    assert json.loads(evidence.model_dump_json()) == evidence.model_dump(mode="json")
    assert "\n" not in evidence.summary
    return evidence


def test_compare_needs_a_reference(encoder: Any, images: ImageStore, facts: Facts) -> None:
    assert set(bench(encoder, images, facts)) == {"heatmap", "measure", "zoom", "query_facts", "compare"}
    assert "compare" not in bench(encoder, images, facts, references=())


def test_every_tool_has_a_schema_that_servers_take(tools: dict[str, Any]) -> None:
    for name, tool in tools.items():
        function = convert_to_openai_tool(tool)["function"]
        assert function["name"] == name
        assert function["description"]
        json.dumps(function)
        assert all(v.get("description") for v in function["parameters"]["properties"].values())


# --- heat map ---


def test_heatmap_points_at_the_mark(tools: dict[str, Any], images: ImageStore) -> None:
    found = call(tools, "heatmap", image_id="test")
    values = found.values
    assert values["score"] > values["threshold"] == 0.5
    assert values["place"] == "upper right"
    assert values["basis"] == "a test"
    (region,) = values["regions"]
    x0, y0, x1, y1 = region["box_px"]
    assert x0 <= MARK[0] + 5 < MARK[2] - 5 <= x1
    assert y0 <= MARK[1] + 5 < MARK[3] - 5 <= y1
    assert region["place"] == "upper right"
    px0, py0, px1, py1 = values["peak_box_px"]
    assert px0 <= x1
    assert x0 <= px1
    assert py0 <= y1
    assert y0 <= py1
    assert f"score {values['score']:.2f}" in found.summary
    assert "1 region at or above it" in found.summary
    assert "upper right" in found.summary
    assert "(one-shot)" in found.summary
    (map_id,) = found.image_ids
    assert images.anomaly_map(map_id).shape == (140, 140)
    assert found.arguments == {"image_id": "test"}


def test_heatmap_of_a_normal_photo_has_no_region(tools: dict[str, Any]) -> None:
    found = call(tools, "heatmap", image_id="reference-1")
    assert found.values["score"] < 0.5
    assert found.values["regions"] == []
    assert "no region reaches it" in found.summary
    x0, y0, x1, y1 = found.values["peak_box_px"]
    assert 0 <= x0 < x1 <= 140
    assert 0 <= y0 < y1 <= 140


def test_the_peak_box_of_a_tiny_photo_lies_in_it(encoder: Any, images: ImageStore, facts: Facts, photos: Any) -> None:
    images.add("tiny", photos.plain((3, 2)))
    found = call(bench(encoder, images, facts), "heatmap", image_id="tiny")
    x0, y0, x1, y1 = found.values["peak_box_px"]
    assert 0 <= x0 < x1 <= 3
    assert 0 <= y0 < y1 <= 2


# --- measure ---


def test_measure_gives_size_shape_and_tone_in_pixels(tools: dict[str, Any]) -> None:
    heat = call(tools, "heatmap", image_id="test")
    found = call(tools, "measure", image_id="test", where=heat.values["regions"][0]["box_px"])
    values = found.values
    # The map is as coarse as the patches are, 10 px.
    assert values["length_px"] == pytest.approx(30, abs=20)
    assert values["length_px"] >= values["width_px"] > 0
    assert values["contrast"] < 0
    assert "darker than its surround" in found.summary
    assert f"{values['length_px']:.0f} by {values['width_px']:.0f} px" in found.summary
    assert "mm" not in found.summary
    assert not [key for key in values if "mm" in key]
    assert values["place"] == "upper right"
    assert values["shape"] in ("compact", "longish", "long and thin")
    assert values["shape"] in found.summary


def test_measure_gives_millimetres_where_the_scale_is_known(encoder: Any, images: ImageStore, facts: Facts) -> None:
    scaled = bench(encoder, images, facts, mm_per_px=0.05)
    heat = call(scaled, "heatmap", image_id="test")
    found = call(scaled, "measure", image_id="test", where=heat.values["regions"][0]["box_px"])
    values = found.values
    assert values["length_mm"] == pytest.approx(0.05 * values["length_px"])
    assert values["width_mm"] == pytest.approx(0.05 * values["width_px"])
    assert values["area_mm2"] == pytest.approx(0.05**2 * values["area_px"])
    assert f"{values['length_mm']:.2f} by {values['width_mm']:.2f} mm" in found.summary
    assert " px" not in found.summary


def test_measure_where_nothing_stands_out_measures_the_weak_peak(tools: dict[str, Any]) -> None:
    heat = call(tools, "heatmap", image_id="reference-1")
    found = call(tools, "measure", image_id="reference-1", where=heat.values["peak_box_px"])
    assert found.values["area_px"] > 0


def test_measure_before_the_heat_map_says_what_to_do(tools: dict[str, Any]) -> None:
    with pytest.raises(ToolError, match=r"no such heat map; .*call heatmap first"):
        call(tools, "measure", image_id="test", where=[0, 0, 10, 10])


@pytest.mark.parametrize(
    ("length", "shape"), [((20, 20), "compact"), ((40, 20), "longish"), ((120, 20), "long and thin")]
)
def test_shapes_have_words(
    encoder: Any, images: ImageStore, facts: Facts, photos: Any, length: tuple[int, int], shape: str
) -> None:
    images.add("shape", photos.plain())
    mask = np.full((140, 140), 0.1, np.float32)
    mask[30 : 30 + length[1], 10 : 10 + length[0]] = 0.9
    images.add_map("shape-heatmap", mask)
    found = call(bench(encoder, images, facts), "measure", image_id="shape", where=[0, 0, 140, 140])
    assert found.values["shape"] == shape
    assert "as bright as its surround" in found.summary


# --- zoom ---


@pytest.mark.parametrize(
    "box", [MARK, (0, 0, 1, 1), (139, 139, 140, 140), (0, 0, 140, 140), (-50, -50, 5, 5), (0, 60, 140, 62)]
)
def test_zoom_cuts_a_square_around_the_box(
    tools: dict[str, Any], images: ImageStore, box: tuple[int, int, int, int]
) -> None:
    found = call(tools, "zoom", image_id="test", where=list(box))
    x0, y0, x1, y1 = found.values["box_px"]
    assert 0 <= x0 < x1 <= 140
    assert 0 <= y0 < y1 <= 140
    assert x1 - x0 == y1 - y0 >= 16
    # The box, as far as it lies in the photo, is in the picture.
    assert x0 <= max(0, box[0])
    assert y0 <= max(0, box[1])
    assert min(140, box[2]) <= x1
    assert min(140, box[3]) <= y1
    assert found.values["factor"] == pytest.approx(CLOSE_UP / (x1 - x0))
    (crop,) = found.image_ids
    assert images.photo(crop).size == (CLOSE_UP, CLOSE_UP)


def test_zoom_says_what_kinds_its_close_up_looks_like(encoder: Any, images: ImageStore, facts: Any) -> None:
    seen = []

    def likeness(close_up: Image.Image) -> list[tuple[str, float]]:
        seen.append(close_up.size)
        return [("crack", 0.623), ("sound", 0.2), ("scratch", 0.05)]

    found = call(bench(encoder, images, facts, likeness=likeness), "zoom", image_id="test", where=list(MARK))
    assert seen == [(CLOSE_UP, CLOSE_UP)]
    assert found.summary.endswith("times enlarged; likeness: crack 0.62, sound 0.20, scratch 0.05.")
    assert found.values["likeness"][0] == {"kind": "crack", "probability": 0.623}
    without = call(bench(encoder, images, facts), "zoom", image_id="test", where=list(MARK))
    assert without.values["likeness"] == []
    assert without.summary.endswith("times enlarged.")


def test_zoom_shows_the_pixels_of_the_box(tools: dict[str, Any], images: ImageStore) -> None:
    found = call(tools, "zoom", image_id="test", where=list(MARK))
    middle = images.photo(found.image_ids[0]).getpixel((CLOSE_UP // 2, CLOSE_UP // 2))
    assert middle == images.photo("test").getpixel((115, 30))


@pytest.mark.parametrize("size", [(400, 30), (30, 400), (5, 7)])
def test_zoom_in_a_narrow_photo_stays_inside(
    encoder: Any, images: ImageStore, facts: Facts, photos: Any, size: tuple[int, int]
) -> None:
    images.add("narrow", photos.plain(size))
    found = call(bench(encoder, images, facts), "zoom", image_id="narrow", where=[0, 0, *size])
    x0, y0, x1, y1 = found.values["box_px"]
    assert 0 <= x0 < x1 <= size[0]
    assert 0 <= y0 < y1 <= size[1]
    assert x1 - x0 == y1 - y0


# --- compare ---


def test_compare_tells_the_mark_from_the_rest(tools: dict[str, Any]) -> None:
    mark = call(tools, "compare", image_id="test", where=list(MARK))
    assert mark.values["ratio"] >= 2
    assert mark.values["distance_there"] > mark.values["distance_median"]
    assert "nothing in it looks like the upper right" in mark.summary
    rest = call(tools, "compare", image_id="test", where=[10, 90, 40, 120])
    assert rest.values["distance_there"] < 0.01
    assert rest.values["place"] == "lower left"


@pytest.mark.parametrize("box", [[0, 0, 1, 1], [139, 139, 140, 140], [0, 139, 140, 140], [69, 0, 70, 140]])
def test_compare_takes_boxes_smaller_than_a_patch(tools: dict[str, Any], box: list[int]) -> None:
    assert np.isfinite(call(tools, "compare", image_id="test", where=box).values["ratio"])


def test_compare_looks_at_every_reference(encoder: Any, images: ImageStore, facts: Facts, photos: Any) -> None:
    images.add("reference-2", photos.marked(MARK))
    both = bench(encoder, images, facts, references=("reference-1", "reference-2"))
    assert call(both, "compare", image_id="test", where=list(MARK)).values["distance_there"] < 0.01


# --- facts ---


def test_facts_on_the_asked_defects_come_in_full(tools: dict[str, Any], facts: Facts) -> None:
    found = call(tools, "query_facts", query="a line", defect_types=["scratch", "deep_dent"], category="plate")
    got = [Fact.model_validate(f) for f in found.values["facts"]]
    assert {(f.defect_type, f.kind) for f in got} == {
        (name, kind) for name in ("scratch", "deep_dent") for kind in KINDS_OF_A_DEFECT
    } | {(None, "object")}
    assert all(f.score == 0.9 for f in got)
    assert found.summary == "9 facts found, on scratch, deep dent, plate."
    assert {entry["category"] for entry in facts.asked} == {"plate"}
    assert facts.asked[0]["query"] == "scratch defect"


def test_facts_without_a_defect_type_are_found_by_meaning(tools: dict[str, Any], facts: Facts) -> None:
    found = call(tools, "query_facts", query="a thin line")
    assert [f["kind"] for f in found.values["facts"]] == ["defect", "defect", "object"]
    assert found.arguments == {"query": "a thin line", "defect_types": [], "category": None}
    assert [entry["query"] for entry in facts.asked] == ["a thin line", "a thin line"]


def test_an_unknown_defect_type_falls_back_to_the_query(tools: dict[str, Any]) -> None:
    found = call(tools, "query_facts", query="a line", defect_types=["unheard_of"])
    assert [f["kind"] for f in found.values["facts"]] == ["defect", "defect", "object"]


def test_no_facts_at_all_is_an_answer(tools: dict[str, Any], facts: Facts) -> None:
    facts.known.clear()
    found = call(tools, "query_facts", query="a line", defect_types=["scratch"])
    assert found.values["facts"] == []
    assert found.summary == "0 facts found, on nothing."


# --- what a model gets wrong ---


@pytest.mark.parametrize("name", ["heatmap", "measure", "zoom", "compare"])
def test_an_unknown_photo_is_named_with_those_there_are(tools: dict[str, Any], name: str) -> None:
    arguments = {"image_id": "tset"} | ({} if name == "heatmap" else {"where": [0, 0, 10, 10]})
    with pytest.raises(ToolError) as caught:
        call(tools, name, **arguments)
    assert str(caught.value) == "image_id 'tset': no such image; there are ['reference-1', 'test']"


@pytest.mark.parametrize("name", ["measure", "zoom", "compare"])
@pytest.mark.parametrize("box", [[10, 10, 10, 20], [20, 10, 10, 20], [140, 0, 200, 20], [-20, -20, 0, 0], [0, 5, 9, 5]])
def test_an_empty_box_is_refused(tools: dict[str, Any], name: str, box: list[int]) -> None:
    call(tools, "heatmap", image_id="test")
    with pytest.raises(ToolError) as caught:
        call(tools, name, image_id="test", where=box)
    line = str(caught.value)
    assert line.startswith(f"where {box!r}: empty inside the 140 x 140 image; expected")
    assert line.splitlines() == [line]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("heatmap", {"against": 5}),
        ("zoom", {"image_id": "test"}),
        ("zoom", {"image_id": "test", "where": [1, 2, 3]}),
        ("zoom", {"image_id": "test", "where": 7}),
        ("zoom", {"image_id": "test", "where": [0, 0, float("inf"), 5]}),
        ("query_facts", {"defect_types": ["scratch"]}),
    ],
)
def test_arguments_of_the_wrong_shape_are_refused(tools: dict[str, Any], name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        call(tools, name, **arguments)


@pytest.mark.parametrize("name", ["measure", "zoom", "compare"])
def test_a_place_that_is_none_is_named_with_those_there_are(tools: dict[str, Any], name: str) -> None:
    call(tools, "heatmap")
    with pytest.raises(ToolError, match=r"^where 'all of it': not a place; expected one of upper left, upper centre"):
        call(tools, name, where="all of it")


def test_a_place_in_words_is_the_region_there_or_else_that_ninth(tools: dict[str, Any]) -> None:
    heat = call(tools, "heatmap")
    [region] = [r for r in heat.values["regions"] if r["place"] == "upper right"]
    assert call(tools, "zoom", where="the top right corner").arguments["where"] == region["box_px"]
    assert call(tools, "zoom", where="left edge").arguments["where"] == [0, 46, 47, 94]


def test_a_second_heat_map_against_something_else(encoder: Any, images: ImageStore, facts: Facts) -> None:

    own = bench(encoder, images, facts)
    with pytest.raises(ToolError, match="there is no other detector or reference here"):
        call(own, "heatmap", against="reference-1")


def test_evidence_takes_no_other_fields() -> None:
    with pytest.raises(ValidationError):
        Evidence(id="E1", tool="zoom", summary="x", pixels=[1])  # type: ignore[call-arg]
