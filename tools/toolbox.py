"""The tools of an inspection as LangChain tools; each returns text for the model and `Evidence` as its artifact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Protocol

import numpy as np
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, Field

from knowledge import StoreError
from tools.detector import Detector, PatchEncoder
from tools.evidence import Evidence
from tools.images import ImageStore, ToolError
from tools.matching import nearest_distance, smoothed
from tools.measure import measure_region
from tools.regions import PLACES, Box, box_of_place, find_regions, level_of, place_of, place_of_box, read_place
from tools.similar import CaseSource, find_similar

if TYPE_CHECKING:
    from PIL import Image

    from knowledge.facts import Fact, FactKind

TEST = "test"
"""Id of the photo that is inspected."""
NAMES = ("compare", "heatmap", "measure", "query_facts", "similar_cases", "zoom")
"""Of every tool that there may be."""
THRESHOLD = 0.5
CLOSE_UP = 448
"""Side of a close-up in pixels."""
DESCRIBED = 8
"""Defects described to a model that has none in mind yet."""
KINDS_OF_A_DEFECT: tuple[FactKind, ...] = ("defect", "cause", "impact", "remedy")


class FactSource(Protocol):
    """Where facts come from."""

    def search(
        self,
        query: str,
        *,
        category: str | None = None,
        kinds: Sequence[FactKind] | None = None,
        defect_types: Sequence[str] | None = None,
        limit: int = 10,
    ) -> list[Fact]:
        """The facts nearest in meaning, best first."""
        ...


Likeness = Callable[["Image.Image"], Sequence[tuple[str, float]]]
"""The kinds of defect that a close-up looks most like, with their probabilities, likeliest first."""


@dataclass(frozen=True)
class Bench:
    """What the tools of one inspection share."""

    images: ImageStore
    encoder: PatchEncoder
    detector: Detector
    facts: FactSource
    references: tuple[str, ...] = ()
    """Ids of the reference photos."""
    mm_per_px: float | None = None
    """Scale of the photo, where it is known."""
    others: Callable[[str], Detector] | None = None
    """A detector by the name of a fitted one or the id of a reference photo; raises `ToolError` for an unknown name."""
    cases: CaseSource | None = None
    """Past inspections, where they are kept."""
    likeness: Likeness | None = None
    """Which kinds of defect a close-up looks like."""
    own: tuple[str, ...] = ()
    """SHA-256 of this photo and its references, so that none is taken for a case like itself."""


class _Heatmap(BaseModel):
    against: str | None = Field(
        default=None,
        description="What to hold the photo against: a fitted detector by name, or a reference photo by id such as "
        "`reference-1`; none: what this inspection began with.",
    )
    image_id: str = Field(default=TEST, description="Id of the photo to look at.")


class _Place(BaseModel):
    # A list, not a tuple: some servers refuse the schema of a tuple.
    where: Annotated[list[int], Field(min_length=4, max_length=4)] | str = Field(
        description=f"A place of the photo in words ({', '.join(PLACES)}), or a box x0, y0, x1, y1 in pixels, end exclusive."
    )
    image_id: str = Field(default=TEST, description="Id of the photo.")


class _Nothing(BaseModel):
    pass


class _Facts(BaseModel):
    query: str = Field(description="What to look up, in a few words.")
    defect_types: list[str] = Field(
        default_factory=list,
        description="Defect types in snake case to look up in full; none: a description of each defect such parts have.",
    )
    category: str | None = Field(default=None, description="Product family, where it is known.")


def build_tools(bench: Bench) -> list[BaseTool]:
    """heatmap, compare (with references), zoom, measure and query_facts, bound to one inspection."""

    def heatmap(against: str | None = None, image_id: str = TEST) -> Evidence:
        photo = bench.images.photo(image_id)
        detector = bench.detector if against is None else _other(bench, against)
        found = detector.detect(photo)
        suffix = "" if against is None else f"-{against}"
        map_id = bench.images.add_map(f"{image_id}-heatmap{suffix}", found.anomaly_map)
        regions = find_regions(found.anomaly_map, THRESHOLD)
        y, x = np.unravel_index(int(found.anomaly_map.argmax()), found.anomaly_map.shape)
        level = level_of(found.score)
        held = "" if against is None else f", against {against}"
        peak = place_of(x + 0.5, y + 0.5, photo.width, photo.height)
        count = (
            f"{len(regions)} region{'s' if len(regions) != 1 else ''} at or above it"
            if regions
            else "no region reaches it"
        )
        return Evidence(
            id="",
            tool="heatmap",
            arguments={"image_id": image_id} | ({} if against is None else {"against": against}),
            summary=f"Heat map ({detector.setting}{held}): score {found.score:.2f} ({level}), threshold {THRESHOLD:.2f}, {count}, peak in the {peak}.",
            values={
                "score": found.score,
                "level": level,
                "threshold": THRESHOLD,
                "raw_distance": found.raw,
                "basis": found.calibration.basis,
                "place": peak,
                "peak_box_px": _around(int(x), int(y), photo.width, photo.height),
                "regions": [
                    {"box_px": list(r.box), "peak": r.peak, "place": place_of_box(r.box, photo.width, photo.height)}
                    for r in regions
                ],
            },
            image_ids=[map_id],
        )

    def measure(where: Sequence[int] | str, image_id: str = TEST) -> Evidence:
        photo = bench.images.photo(image_id)
        box = _box(bench, where, image_id, photo)
        anomaly_map = bench.images.anomaly_map(f"{image_id}-heatmap")
        inside = anomaly_map[box[1] : box[3], box[0] : box[2]]
        mask = anomaly_map >= min(THRESHOLD, 0.8 * float(inside.max()))
        found = measure_region(np.asarray(photo), mask, box)
        place = place_of_box(box, photo.width, photo.height)
        shape = "long and thin" if found.elongation >= 3 else "longish" if found.elongation >= 1.8 else "compact"
        tone = "darker than" if found.contrast < -0.02 else "brighter than" if found.contrast > 0.02 else "as bright as"
        size, values = f"{found.length_px:.0f} by {found.width_px:.0f} px", asdict(found)
        if bench.mm_per_px:
            values |= {
                "length_mm": found.length_px * bench.mm_per_px,
                "width_mm": found.width_px * bench.mm_per_px,
                "area_mm2": found.area_px * bench.mm_per_px**2,
            }
            size = f"{values['length_mm']:.2f} by {values['width_mm']:.2f} mm"
        by = f" by {abs(found.contrast) * 100:.0f} %" if tone != "as bright as" else ""
        return Evidence(
            id="",
            tool="measure",
            arguments={"image_id": image_id, "where": list(box)},
            summary=f"Region in the {place}: {size}, {found.area_fraction * 100:.1f} % of the image, {shape}, {tone} its surround{by}.",
            values=values | {"place": place, "shape": shape, "tone": tone},
        )

    def zoom(where: Sequence[int] | str, image_id: str = TEST) -> Evidence:
        photo = bench.images.photo(image_id)
        box = _box(bench, where, image_id, photo)
        frame = _square(box, photo.width, photo.height)
        crop = photo.crop(frame).resize((CLOSE_UP, CLOSE_UP))
        crop_id = bench.images.add(f"{image_id}-{'-'.join(map(str, frame))}", crop)
        factor = CLOSE_UP / (frame[2] - frame[0])
        place = place_of_box(box, photo.width, photo.height)
        like = list(bench.likeness(crop)) if bench.likeness else []
        said = f"; likeness: {', '.join(f'{kind} {p:.2f}' for kind, p in like)}" if like else ""
        return Evidence(
            id="",
            tool="zoom",
            arguments={"image_id": image_id, "where": list(box)},
            summary=f"Close-up of the region in the {place}, {factor:.1f} times enlarged{said}.",
            values={
                "box_px": list(frame),
                "factor": factor,
                "place": place,
                "likeness": [{"kind": kind, "probability": round(p, 3)} for kind, p in like],
            },
            image_ids=[crop_id],
        )

    def compare(where: Sequence[int] | str, image_id: str = TEST) -> Evidence:
        photo = bench.images.photo(image_id)
        box = _box(bench, where, image_id, photo)
        seen = bench.encoder.patches(photo).features
        bank = np.concatenate([_flat(bench.encoder.patches(bench.images.photo(r)).features) for r in bench.references])
        distance = smoothed(nearest_distance(seen, bank))
        h, w = distance.shape
        rows = slice(box[1] * h // photo.height, max(box[1] * h // photo.height + 1, -(-box[3] * h // photo.height)))
        columns = slice(box[0] * w // photo.width, max(box[0] * w // photo.width + 1, -(-box[2] * w // photo.width)))
        here, usual = float(distance[rows, columns].max()), float(np.median(distance))
        place = place_of_box(box, photo.width, photo.height)
        ratio = here / max(usual, 1e-3)
        says = (
            "nothing in it looks like"
            if ratio >= 2
            else "it looks much like"
            if ratio < 1.4
            else "it differs a little from"
        )
        return Evidence(
            id="",
            tool="compare",
            arguments={"image_id": image_id, "where": list(box)},
            summary=f"Against the reference: {says} the {place} of the test image, distance {here:.2f} there and {usual:.2f} in general.",
            values={"distance_there": here, "distance_median": usual, "ratio": ratio, "place": place},
        )

    def query_facts(query: str, defect_types: list[str] | None = None, category: str | None = None) -> Evidence:
        found: dict[str, Fact] = {}
        for defect_type in defect_types or []:
            for kind in KINDS_OF_A_DEFECT:
                about = f"{defect_type.replace('_', ' ')} {kind}"
                for fact in bench.facts.search(
                    about, category=category, kinds=[kind], defect_types=[defect_type], limit=1
                ):
                    found[fact.id] = fact
        if not found:
            described = bench.facts.search(query, category=category, kinds=["defect"], limit=8 * DESCRIBED)
            first = {f.defect_type: f for f in reversed(described)}  # the best fact on each defect
            found = {f.id: f for f in [f for f in described if first[f.defect_type] is f][:DESCRIBED]}
        for fact in bench.facts.search(query, category=category, kinds=["object"], limit=1):
            found[fact.id] = fact
        known = (
            ", ".join(dict.fromkeys((f.defect_type or f.category).replace("_", " ") for f in found.values()))
            or "nothing"
        )
        return Evidence(
            id="",
            tool="query_facts",
            arguments={"query": query, "defect_types": defect_types or [], "category": category},
            summary=f"{len(found)} facts found, on {known}.",
            values={"facts": [f.model_dump() for f in found.values()]},
        )

    def similar_cases() -> Evidence:
        assert bench.cases is not None
        photo = bench.images.photo(TEST)
        try:
            return find_similar(photo, bench.encoder, bench.cases, exclude_sha256=bench.own)
        except StoreError as error:  # what is known of this part is known without it
            raise ToolError(str(error)) from error

    calls: dict[str, tuple[Callable[..., Evidence], type[BaseModel], str]] = {
        "heatmap": (heatmap, _Heatmap, "Show where a photo departs from what is normal, with a calibrated score."),
        "measure": (measure, _Place, "Measure size, shape and contrast of the marked region inside a box."),
        "zoom": (zoom, _Place, "Look at a box of a photo enlarged; returns a new image."),
        "query_facts": (query_facts, _Facts, "Look up facts on defects of this product: looks, cause, impact, remedy."),
    }
    if bench.cases is not None:
        calls["similar_cases"] = (similar_cases, _Nothing, "Find past inspections of parts that look like this one.")
    if bench.references:
        calls["compare"] = (compare, _Place, "Compare a box of the photo with the normal reference.")
    return [_tool(name, function, schema, text) for name, (function, schema, text) in calls.items()]


def _tool(name: str, function: Callable[..., Evidence], schema: type[BaseModel], description: str) -> BaseTool:
    def call(**arguments: object) -> tuple[str, Evidence]:
        evidence = function(**arguments)
        return evidence.summary, evidence

    return StructuredTool.from_function(
        call, name=name, description=description, args_schema=schema, response_format="content_and_artifact"
    )


def _flat(features: np.ndarray) -> np.ndarray:
    return features.reshape(-1, features.shape[-1])


def _other(bench: Bench, name: str) -> Detector:
    if bench.others is None:
        raise ToolError(f"against {name!r}: there is no other detector or reference here; leave it out")
    return bench.others(name)


def _box(bench: Bench, where: Sequence[int] | str, image_id: str, photo: Image.Image) -> Box:
    """A box as given; for a place in words the strongest region that lies there, or else that ninth of the photo."""
    if not isinstance(where, str):
        return _checked(where, photo.width, photo.height)
    place = read_place(where)
    if place is None:
        raise ToolError(f"where {where!r}: not a place; expected one of {', '.join(PLACES)}, or a box x0, y0, x1, y1")
    if bench.images.has_map(f"{image_id}-heatmap"):
        for region in find_regions(bench.images.anomaly_map(f"{image_id}-heatmap"), THRESHOLD):
            if place_of_box(region.box, photo.width, photo.height) == place:
                return region.box
    return box_of_place(place, photo.width, photo.height)


def _checked(box: Sequence[int], width: int, height: int) -> Box:
    x0, y0, x1, y1 = max(0, box[0]), max(0, box[1]), min(width, box[2]), min(height, box[3])
    if x1 <= x0 or y1 <= y0:
        raise ToolError(
            f"where {list(box)!r}: empty inside the {width} x {height} image; expected [x0, y0, x1, y1] with x0 < x1, y0 < y1"
        )
    return x0, y0, x1, y1


def _around(x: int, y: int, width: int, height: int) -> list[int]:
    """A box of an eighth of the photo around a point."""
    w, h = width // 16, height // 16
    return [max(0, x - w), max(0, y - h), min(width, x + w + 1), min(height, y + h + 1)]


def _square(box: Box, width: int, height: int) -> Box:
    """A square around the box, half as large again, at least a sixth of the photo's short side, inside the photo."""
    side = min(max(round(1.5 * max(box[2] - box[0], box[3] - box[1])), min(width, height) // 6, 16), min(width, height))
    x0 = min(max(0, (box[0] + box[2] - side) // 2), width - side)
    y0 = min(max(0, (box[1] + box[3] - side) // 2), height - side)
    return x0, y0, x0 + side, y0 + side
