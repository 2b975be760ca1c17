"""The inspector: models and stores loaded once, photos inspected one after another."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from agent.fusion import Fusion
from agent.graph import Knowledge, build_graph, shown
from agent.images import ImageSource, InputError, LoadedImage, load_image
from agent.model import Vlm, load_vlm
from agent.report import Answer, CitedEvidence, CitedFact, Depth, InspectionReport, Pictures, Scores
from agent.vlm import Eye
from agent.vlm.nano import shipped
from agent.vlm.prompt import VERDICT_QUESTION, Views, choice_text, question_text
from tools.calibration import Calibration
from tools.card import find_detector
from tools.detector import Detector, PatchEncoder, ZeroShotDetector
from tools.fit import FittedDetector, fit_detector, sample_photos
from tools.images import ImageStore
from tools.reference import ReferenceDetector
from tools.toolbox import Bench, build_tools

if TYPE_CHECKING:
    import numpy as np
    from langchain_core.messages import BaseMessage
    from numpy.typing import NDArray
    from PIL import Image

    from agent.sample import Gathered
    from knowledge import FactStore
    from knowledge.facts import Fact
    from tools.evidence import Evidence

MAX_QUESTION = 2_000
"""Characters of a question; more is a document, not a question."""
MAX_REFERENCES = 8
Part = Literal["facts", "zoom", "measure", "compare"]
"""What an inspection can do without; the heat map it cannot."""


def default_home() -> Path:
    """`$SAGE_HOME`, or the platform's folder for user data."""
    from platformdirs import user_data_dir

    return Path(os.environ.get("SAGE_HOME") or user_data_dir("sage-iad", appauthor=False))


class Inspector:
    """Inspects photos with one model, one eye and one fact store."""

    def __init__(
        self,
        vlm: Vlm,
        encoder: PatchEncoder,
        facts: FactStore,
        home: Path,
        weights: Path,
        without: Collection[Part] = (),
    ) -> None:
        self.vlm, self.encoder, self.facts, self.home, self.weights = vlm, encoder, facts, home, weights
        self.without = without

    @classmethod
    def load(
        cls,
        model: str | None = None,
        home: Path | None = None,
        eye: Path | None = None,
        without: Collection[Part] = (),
    ) -> Inspector:
        """Load the parts.

        Args:
            model: as in `agent.model.load_vlm`.
            home: folder of the agent's state; by default `default_home()`.
            eye: folder of a trained encoder; by default the shipped one.
            without: parts to do without, to measure what they are worth.

        Raises:
            InputError: the model cannot be loaded.
            knowledge.StoreError: the fact store cannot be used.
        """
        from transformers.utils import logging

        from knowledge import FactStore

        if model is None:
            # Weights of a few megabytes need no progress bar.
            logging.disable_progress_bar()
        place = default_home() if home is None else home
        weights = shipped("sage-eye") if eye is None else eye
        return cls(load_vlm(model), Eye.load(weights), FactStore(place / "facts"), place, weights, without)

    def inspect(
        self,
        image: ImageSource,
        *,
        reference: ImageSource | Sequence[ImageSource] | None = None,
        category: str | None = None,
        question: str | None = None,
        depth: Depth = "full",
        mm_per_px: float | None = None,
        detector: Detector | None = None,
    ) -> InspectionReport:
        """Inspect one photo.

        Args:
            image: path, PIL image, (H, W, 3) uint8 array, or the bytes of an image file.
            reference: one or several normal photos of the same product, at most 8.
            category: name of a fitted detector, or of a product family of the fact store, such as `weld` or `hex nut`.
            question: something to answer besides the verdict.
            depth: `screen` for verdict, scores, boxes and heat map alone; `full` for facts, reasoning and advice too.
            mm_per_px: scale of the photo, so that measurements are in millimetres; above 0.
            detector: in place of the one that `category` and `reference` would choose.

        Raises:
            InputError: bad input, which names the argument, the value, and what was expected; or no answer from the model.
            tools.detector.DetectorError: the fitted detector of the category cannot be read.
        """
        start = time.perf_counter()
        if depth not in get_args(Depth):
            raise InputError(f"depth={depth!r}: expected 'screen' or 'full'")
        if question is not None and (not question.strip() or len(question) > MAX_QUESTION):
            raise InputError(
                f"question={question[:40]!r}…: {len(question)} characters, expected 1 to {MAX_QUESTION}; ask one question"
            )
        if mm_per_px is not None and not 0 < mm_per_px < 1000:
            raise InputError(
                f"mm_per_px={mm_per_px!r}: expected millimetres per pixel, above 0 and below 1000, such as 0.05"
            )
        photo = load_image(image)
        references = [load_image(r, argument="reference") for r in _several(reference)]
        fitted, family = self._category(category)
        notes = list(photo.warnings)
        if category is not None and fitted is None and family != category:
            notes.append(f"no fitted detector is called {category!r}; it was taken for the product family {family}")
        chosen = detector or fitted or self._unfitted([r.pixels for r in references])
        images = ImageStore()
        images.add("test", photo.pixels)
        ids = tuple(images.add(f"reference-{i}", r.pixels) for i, r in enumerate(references, 1))
        facts = _NoFacts(self.facts) if "facts" in self.without else self.facts
        tools = build_tools(Bench(images, self.encoder, chosen, facts, ids, mm_per_px))
        used = [tool for tool in tools if tool.name not in self.without]
        graph = build_graph(vlm=self.vlm, tools=used, facts=facts, images=images, fusion=self._fusion(chosen.setting))
        loaded = (time.perf_counter() - start) * 1000
        state = graph.invoke({
            "image_id": "test", "reference_ids": list(ids), "category": family, "question": question, "depth": depth,
            "evidence": [], "warnings": notes, "timings": {"load": loaded},
        })  # fmt: skip
        return self._report(photo, references, category, chosen, dict(state), images)

    def fit(self, photos: Sequence[ImageSource], *, false_alarm_rate: float = 0.01, seed: int = 0) -> FittedDetector:
        """Fit a detector to normal photos; `detector.save(...)` or `inspect(detector=...)` comes next.

        Raises:
            InputError: a photo cannot be read.
            tools.detector.DetectorError: too few photos, or a rate out of range.
        """
        loaded = (load_image(photo, argument="photo").pixels for photo in sample_photos(photos, seed))
        return fit_detector(self.encoder, loaded, false_alarm_rate, seed, given=len(photos))

    def vlm_alone(
        self,
        image: ImageSource,
        *,
        reference: ImageSource | Sequence[ImageSource] | None = None,
        heat_map: Image.Image | None = None,
    ) -> float | None:
        """Probability of *anomalous* from the model alone, without tools or facts: a baseline the agent has to beat.

        With `heat_map`, a picture of the photo with a detector's heat map over it, the model is shown that too.
        """
        from agent.vlm.chat import probability_true

        text = question_text(VERDICT_QUESTION, [], [])
        return probability_true(self._ask_alone(image, reference, text, heat_map, max_tokens=1))

    def answer_alone(
        self, image: ImageSource, question: str, *, reference: ImageSource | Sequence[ImageSource] | None = None
    ) -> str:
        """The answer of the model alone, without tools or facts: a baseline the agent has to beat."""
        return str(self._ask_alone(image, reference, question_text(question, [], [])).content).strip()

    def choose_alone(
        self,
        image: ImageSource,
        question: str,
        options: Mapping[str, str],
        *,
        reference: ImageSource | Sequence[ImageSource] | None = None,
    ) -> dict[str, float] | None:
        """Probability of each option's letter by the model alone; see `agent.vlm.chat.letter_probabilities`."""
        from agent.vlm.chat import letter_probabilities

        reply = self._ask_alone(image, reference, choice_text(question, options), max_tokens=1)
        return letter_probabilities(reply, list(options))

    def gather(self, image: ImageSource, *, reference: ImageSource | Sequence[ImageSource] | None = None) -> Gathered:
        """Inspect a photo in full once, to ask several questions about it; see `agent.sample.gather`."""
        from agent.sample import gather

        return gather(self, image, reference=reference)

    def _ask_alone(
        self,
        image: ImageSource,
        reference: ImageSource | Sequence[ImageSource] | None,
        text: str,
        heat_map: Image.Image | None = None,
        **limits: Any,
    ) -> BaseMessage:
        photos = [load_image(image).pixels, *(load_image(r, argument="reference").pixels for r in _several(reference))]
        views = Views(len(photos) - 1, heat_map=heat_map is not None)
        return self.vlm.ask(photos if heat_map is None else [*photos, heat_map], views, text, **limits)

    def _category(self, category: str | None) -> tuple[Detector | None, str | None]:
        """The fitted detector and the product family a name stands for."""
        if category is None:
            return None, None
        fitted = find_detector(self.home, category, self.encoder)
        family = self.facts.resolve_category(category)
        if fitted is None and family is None:
            known = sorted(p.name for p in (self.home / "detectors").glob("*") if not p.name.startswith("."))
            raise InputError(
                f"category={category!r}: neither a fitted detector ({', '.join(known) or 'none yet'}) nor a product family "
                f"({', '.join(self.facts.categories())}); fit one with `sage-iad fit {category} NORMAL_DIR`, or leave it out"
            )
        return fitted, family

    def _unfitted(self, references: Sequence[Image.Image]) -> Detector:
        cards = json.loads((self.weights / "calibration.json").read_text(encoding="utf-8"))
        calibrations = {name: Calibration(**card) for name, card in cards.items()}
        if not references:
            return ZeroShotDetector(self.encoder, calibrations["zero-shot"])
        setting = "one-shot" if len(references) == 1 else "few-shot"
        return ReferenceDetector(self.encoder, references, calibrations[setting], calibrations[f"{setting}, aligned"])

    def _fusion(self, setting: str) -> Fusion:
        return Fusion() if self.vlm.folder is None else Fusion.load(self.vlm.folder / "fusion.json", setting)

    def _report(
        self, photo: LoadedImage, references: list[LoadedImage], category: str | None, detector: Detector, state: dict[str, Any], images: ImageStore
    ) -> InspectionReport:  # fmt: skip
        heat = next(item for item in state["evidence"] if item.tool == "heatmap")
        report = InspectionReport(
            id=f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}",
            created=datetime.now(UTC),
            image=photo.info(),
            references=[r.info() for r in references],
            category=category or state.get("category"),
            setting=detector.setting,  # type: ignore[arg-type]
            verdict=state["verdict"],
            anomaly_score=state["anomaly_score"],
            scores=Scores(detector=heat.values["score"], vlm=state.get("vlm_score")),
            confidence=state["confidence"],
            findings=state["findings"],
            answer=_answer(state),
            reasoning=state.get("reasoning", []),
            facts=[CitedFact(id=f.id, text=f.text, source=f.source, score=f.score) for f in state.get("facts") or []],
            evidence=[_cited(item) for item in state["evidence"]],
            model=self.vlm.info,
            timings=state["timings"],
            warnings=state["warnings"],
        )
        report.keep_pictures(
            Pictures(
                photo.pixels,
                tuple(r.pixels for r in references),
                images.anomaly_map("test-heatmap"),
                lambda: self._attended(state, images),
            )
        )
        return report

    def _attended(self, state: dict[str, Any], images: ImageStore) -> list[NDArray[np.float32]]:
        if "asked" not in state:
            return []
        photos, views = shown(state, images, close_up=True)  # type: ignore[arg-type]
        zoom = next((item for item in state["evidence"] if item.tool == "zoom"), None)
        sides = photos[0].size * 2
        box = None if zoom is None else tuple(at / side for at, side in zip(zoom.values["box_px"], sides, strict=True))
        return self.vlm.attended(photos, views, state["asked"], box)[:-1]  # the last is the question's


class _NoFacts:
    """Knows the names of products and defects, and no fact about them."""

    def __init__(self, names: Knowledge) -> None:
        self.resolve_category, self.defect_types = names.resolve_category, names.defect_types

    def search(self, query: str, **filters: object) -> list[Fact]:
        """Nothing."""
        return []


def _cited(item: Evidence) -> CitedEvidence:
    values = item.values
    if item.tool == "query_facts":  # The facts stand in the report once already.
        values = {"facts": [fact["id"] for fact in values["facts"]]}
    return CitedEvidence(id=item.id, tool=item.tool, arguments=item.arguments, summary=item.summary, values=values)


def _answer(state: dict[str, Any]) -> Answer | None:
    from agent.vlm.prompt import read_answer

    if state.get("answer") is None:
        return None
    value, sentences = read_answer(state["answer"])
    names = {f"F{i}": f.id for i, f in enumerate(state.get("facts") or [], 1)}
    cited = [s.text + "".join(f" [{names.get(id, id)}]" for id in s.cites) for s in sentences]
    opening = [] if value is None else [f"{value}."]
    return Answer(value=value, text=" ".join([*opening, *cited]) or str(state["answer"]))


def _several(reference: ImageSource | Sequence[ImageSource] | None) -> list[ImageSource]:
    if reference is None:
        return []
    if isinstance(reference, (list, tuple)):
        if len(reference) > MAX_REFERENCES:
            raise InputError(
                f"reference: {len(reference)} given, at most {MAX_REFERENCES}; fit a detector to more with `sage-iad fit`"
            )
        return list(reference)
    return [reference]  # type: ignore[list-item]
