"""The inspector: models and stores loaded once, photos inspected one after another."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from agent.fusion import Fusion
from agent.graph import STEPS
from agent.home import default_home
from agent.images import ImageSource, InputError, LoadedImage, load_image
from agent.model import Vlm, load_vlm
from agent.nodes import Knowledge
from agent.person import ASK_PERSON
from agent.report import Depth, InspectionReport
from agent.reporting import report_of
from agent.setup import Setup
from agent.vlm import Eye, Kinds
from agent.vlm.nano import shipped
from agent.vlm.prompt import VERDICT_QUESTION, Views, choice_text, question_text
from knowledge.cases import CaseStore
from tools.calibration import Calibration
from tools.card import find_detector
from tools.detector import Detector, PatchEncoder, ZeroShotDetector
from tools.fit import FittedDetector, fit_detector, sample_photos
from tools.images import ImageStore, ToolError
from tools.reference import ReferenceDetector
from tools.toolbox import NAMES, TEST, Bench, Likeness, build_tools

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage
    from langchain_core.tools import BaseTool
    from PIL import Image

    from agent.sample import Gathered
    from knowledge import FactStore
    from knowledge.facts import Fact

MAX_QUESTION = 2_000
"""Characters of a question; more is a document, not a question."""
MAX_REFERENCES = 8
Part = Literal["facts", "zoom", "measure", "compare", "similar_cases"]
"""What an inspection can do without; the heat map it cannot."""


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
        likeness: Likeness | None = None,
    ) -> None:
        self.vlm, self.encoder, self.facts, self.home, self.weights = vlm, encoder, facts, home, weights
        self.without, self.likeness = without, likeness
        self.cases = CaseStore(home / "cases", encoder_revision=encoder.revision)

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
        vlm, kinds = load_vlm(model), Kinds.load(shipped("sage-kinds"))
        return cls(vlm, Eye.load(weights), FactStore(place / "facts"), place, weights, without, kinds)

    @classmethod
    def shared(cls, model: str | None = None, home: Path | None = None) -> Inspector:
        """The same for the same arguments, loaded at the first call and kept; raises as `load`."""
        return _loaded(model, default_home() if home is None else home)

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
        tools: Sequence[BaseTool] = (),
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
            tools: LangChain tools of your own that the model may call besides the agent's; what one returns can be cited.
                One that raises `langchain_core.tools.ToolException` tells the model what was wrong; any other exception is yours.

        Raises:
            InputError: bad input, which names the argument, the value, and what was expected; or no answer from the model.
            tools.detector.DetectorError: the fitted detector of the category cannot be read.
        """
        start = time.perf_counter()
        if depth not in get_args(Depth):
            raise InputError(f"depth={depth!r}: expected 'screen' or 'full'")
        if question is not None:
            check_question(question)
        photo = load_image(image)
        references = [load_image(r, argument="reference") for r in several(reference)]
        setup = self.set_up(
            photo, references, ImageStore(), category=category, mm_per_px=mm_per_px, detector=detector, tools=tools
        )
        graph = setup.graph(self.vlm)
        beginning: Any = setup.beginning(depth, question, (time.perf_counter() - start) * 1000)
        state = dict(graph.invoke(beginning, {"recursion_limit": STEPS}))
        return report_of(setup, self.vlm, state)

    def set_up(
        self,
        photo: LoadedImage,
        references: Sequence[LoadedImage],
        images: ImageStore,
        *,
        category: str | None = None,
        mm_per_px: float | None = None,
        detector: Detector | None = None,
        tools: Sequence[BaseTool] = (),
    ) -> Setup:
        """The detector, the tools and the pictures for one photo; arguments as of `inspect`.

        Args:
            photo: the photo.
            references: normal photos of the same product.
            images: takes the pictures.
            category: as in `inspect`.
            mm_per_px: as in `inspect`.
            detector: as in `inspect`.
            tools: as in `inspect`.

        Raises:
            InputError: bad input.
            tools.detector.DetectorError: the fitted detector of the category cannot be read.
        """
        if mm_per_px is not None and not 0 < mm_per_px < 1000:
            raise InputError(
                f"mm_per_px={mm_per_px!r}: expected millimetres per pixel, above 0 and below 1000, such as 0.05"
            )
        fitted, family = self._category(category)
        notes = list(photo.warnings)
        if category is not None and fitted is None and family != category:
            notes.append(f"no fitted detector is called {category!r}; it was taken for the product family {family}")
        chosen = detector or fitted or self._unfitted([r.pixels for r in references])
        images.add(TEST, photo.pixels)
        ids = tuple(images.add(f"reference-{i}", r.pixels) for i, r in enumerate(references, 1))
        facts = _NoFacts(self.facts) if "facts" in self.without else self.facts
        cases = None if "similar_cases" in self.without else self.cases
        bench = Bench(
            images,
            self.encoder,
            chosen,
            facts,
            ids,
            mm_per_px,
            others=self._others(images),
            cases=cases,
            likeness=self.likeness,
            own=(photo.sha256, *(r.sha256 for r in references)),
        )
        ours = [tool for tool in build_tools(bench) if tool.name not in self.without]
        _check_tools(tools)
        return Setup(
            photo=photo,
            references=references,
            category=category,
            family=family,
            detector=chosen,
            images=images,
            reference_ids=ids,
            tools=[*ours, *tools],
            facts=facts,
            fusion=self._fusion(chosen.setting),
            notes=notes,
        )

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
        photos = [load_image(image).pixels, *(load_image(r, argument="reference").pixels for r in several(reference))]
        views = Views(len(photos) - 1, heat_map=heat_map is not None)
        return self.vlm.ask(photos if heat_map is None else [*photos, heat_map], views, text, **limits)

    def _category(self, category: str | None) -> tuple[Detector | None, str | None]:
        """The fitted detector and the product family a name stands for."""
        if category is None:
            return None, None
        fitted = find_detector(self.home, category, self.encoder)
        family = self.facts.resolve_category(category)
        if fitted is None and family is None:
            raise InputError(
                f"category={category!r}: neither a fitted detector ({', '.join(self._fitted()) or 'none yet'}) nor a product family "
                f"({', '.join(self.facts.categories())}); fit one with `sage-iad fit {category} NORMAL_DIR`, or leave it out"
            )
        return fitted, family

    def _others(self, images: ImageStore) -> Callable[[str], Detector]:
        """Detectors by name, for a second heat map: fitted ones, and reference photos of this inspection."""

        def other(name: str) -> Detector:
            if name in images.photos and name != TEST:
                return self._unfitted([images.photo(name)])
            # Only names that are there: the model's word never becomes a path.
            fitted = find_detector(self.home, name, self.encoder) if name in self._fitted() else None
            if fitted is None:
                there = [*self._fitted(), *(id for id in images.photos if id.startswith("reference-"))]
                raise ToolError(f"against {name!r}: neither a fitted detector nor a reference; there are {there}")
            return fitted

        return other

    def _fitted(self) -> list[str]:
        return sorted(p.name for p in (self.home / "detectors").glob("*") if not p.name.startswith("."))

    def _unfitted(self, references: Sequence[Image.Image]) -> Detector:
        cards = json.loads((self.weights / "calibration.json").read_text(encoding="utf-8"))
        calibrations = {name: Calibration(**card) for name, card in cards.items()}
        if not references:
            return ZeroShotDetector(self.encoder, calibrations["zero-shot"])
        setting = "one-shot" if len(references) == 1 else "few-shot"
        return ReferenceDetector(self.encoder, references, calibrations[setting], calibrations[f"{setting}, aligned"])

    def _fusion(self, setting: str) -> Fusion:
        return Fusion() if self.vlm.folder is None else Fusion.load(self.vlm.folder / "fusion.json", setting)


@lru_cache(maxsize=2)
def _loaded(model: str | None, home: Path) -> Inspector:
    return Inspector.load(model, home)


class _NoFacts:
    """Knows the names of products and defects, and no fact about them."""

    def __init__(self, names: Knowledge) -> None:
        self.resolve_category, self.defect_types = names.resolve_category, names.defect_types

    def search(self, query: str, **filters: object) -> list[Fact]:
        """Nothing."""
        return []


def _check_tools(tools: Sequence[BaseTool]) -> None:
    """Raises `InputError` for a tool of the user's own that cannot be offered."""
    names = [tool.name for tool in tools]
    for tool in tools:
        if tool.name in (ASK_PERSON, *NAMES):
            raise InputError(f"tools: {tool.name} is the name of a tool of the agent's own; choose another")
        if names.count(tool.name) > 1:
            raise InputError(
                f"tools: {tool.name} is the name of {names.count(tool.name)} of them; give each a name of its own"
            )
        if getattr(tool, "func", tool) is None:
            raise InputError(f"tools: {tool.name} is asynchronous only; give it a plain function too")


def check_question(question: str) -> None:
    """Raises `InputError` for a question that is none."""
    if not question.strip() or len(question) > MAX_QUESTION:
        raise InputError(
            f"question={question[:40]!r}…: {len(question)} characters, expected 1 to {MAX_QUESTION}; ask one question"
        )


def several(reference: ImageSource | Sequence[ImageSource] | None) -> list[ImageSource]:
    if reference is None:
        return []
    if isinstance(reference, (list, tuple)):
        if len(reference) > MAX_REFERENCES:
            raise InputError(
                f"reference: {len(reference)} given, at most {MAX_REFERENCES}; fit a detector to more with `sage-iad fit`"
            )
        return list(reference)
    return [reference]  # type: ignore[list-item]
