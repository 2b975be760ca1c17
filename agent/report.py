"""The inspection report: what an inspection returns, as published JSON (schema version 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

Verdict = Literal["normal", "anomalous", "uncertain"]
Severity = Literal["minor", "major", "critical"]
Setting = Literal["zero-shot", "one-shot", "few-shot", "fitted"]
Depth = Literal["screen", "full"]
Unit = Field(ge=0.0, le=1.0)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ImageInfo(_Part):
    """The photo as inspected: after its EXIF rotation, before any resizing."""

    source: str
    """Path as given, or `<PIL image>`, `<array>`, `<bytes>`."""
    sha256: str
    """Of the decoded RGB pixels, so that the same picture has one name in any container."""
    width: int = Field(ge=1)
    height: int = Field(ge=1)


class Scores(_Part):
    """The two parts of the verdict; None where a part did not run, never a stand-in number."""

    detector: float | None = Field(default=None, ge=0.0, le=1.0)
    """Calibrated anomaly score of the detector; 0.5 is its threshold."""
    vlm: float | None = Field(default=None, ge=0.0, le=1.0)
    """Probability of *anomalous* from the logits of the model's first answer token."""


class Finding(_Part):
    """One defect."""

    defect_type: str
    box: tuple[int, int, int, int]
    """x0, y0, x1, y1 in pixels of the image as shown; x1 and y1 are exclusive."""
    area_fraction: float = Unit
    """Area of the region over the area of the image."""
    score: float = Unit
    """Highest heat-map value inside the region; 0.5 is the detector's threshold."""
    severity: Severity
    description: str
    cause: str | None = None
    impact: str | None = None
    recommendation: str | None = None
    cites: list[str] = Field(default_factory=list)
    """Ids of the facts and evidence it rests on."""


class Answer(_Part):
    """The reply to the user's question."""

    value: bool | None
    """True or False as the reply opens; None where it opens with neither."""
    text: str


class ReasoningStep(_Part):
    """One sentence of the model's reasoning."""

    text: str
    cites: list[str] = Field(default_factory=list)
    supported: bool
    """Every cited id exists and agrees with what the sentence says; False when nothing is cited."""


class CitedFact(_Part):
    """A fact that was put before the model."""

    id: str
    text: str
    source: str
    score: float | None = None
    """Similarity to the query, 0 to 1."""


class CitedEvidence(_Part):
    """A tool call's result that was put before the model."""

    id: str
    tool: str
    arguments: dict[str, Any]
    summary: str
    values: dict[str, Any]


class ModelInfo(_Part):
    """Which model reasoned."""

    name: str
    revision: str
    """Version, or the first 12 hex digits of the weights' SHA-256."""
    stage: str
    """`sfe`, `edpo`, or `external` for a model this project did not train."""


@dataclass(frozen=True)
class Pictures:
    """The pixels a report is about."""

    photo: Image.Image
    """RGB, as inspected."""
    references: tuple[Image.Image, ...]
    anomaly_map: NDArray[np.float32]
    """(H, W) of the photo, 0..1; 0.5 is the detector's threshold."""
    attended: Callable[[], Sequence[NDArray[np.float32]]] = tuple
    """Where the model looked for each of the report's facts, in their order, 0..1; computed when asked for. Empty for a model
    without fact fusion, for facts that it was not shown, and after a journey to another process."""

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "attended": tuple}


class InspectionReport(_Part):
    """The result of one inspection."""

    _pictures: Pictures | None = PrivateAttr(default=None)

    schema_version: Literal["1"] = "1"
    id: str
    created: datetime
    image: ImageInfo
    references: list[ImageInfo] = Field(default_factory=list)
    category: str | None
    """Product family as given, or as the model proposed it."""
    setting: Setting
    verdict: Verdict
    anomaly_score: float = Unit
    """Fusion of `scores`; 0.5 separates normal from anomalous."""
    scores: Scores
    confidence: float = Unit
    """How sure the verdict is: distance of the score from 0.5, lowered by disagreement and unsupported reasoning."""
    findings: list[Finding] = Field(default_factory=list)
    answer: Answer | None = None
    reasoning: list[ReasoningStep] = Field(default_factory=list)
    facts: list[CitedFact] = Field(default_factory=list)
    evidence: list[CitedEvidence] = Field(default_factory=list)
    heatmap: str | None = None
    """Path of the heat map (16-bit grey PNG, 65535 = 1.0) when files were written."""
    overlay: str | None = None
    """Path of the photo with heat map and boxes when files were written."""
    model: ModelInfo
    timings: dict[str, float] = Field(default_factory=dict)
    """Milliseconds a step."""
    warnings: list[str] = Field(default_factory=list)

    def keep_pictures(self, pictures: Pictures) -> None:
        """Attach the pixels the report is about; they are not part of its JSON."""
        self._pictures = pictures

    @property
    def pictures(self) -> Pictures:
        """Photo, references and heat map.

        Raises:
            ValueError: this report was read from JSON, which carries no pixels.
        """
        if self._pictures is None:
            raise ValueError(
                "report.pictures: this report was read from JSON and has no pixels; inspect the photo again"
            )
        return self._pictures

    def _repr_html_(self) -> str:
        """Show the report in a notebook as the page that `--out` writes."""
        from agent.render.html import notebook_html
        from agent.render.overlay import overlay

        if self._pictures is None:
            return notebook_html(self)
        p = self._pictures
        picture = overlay(p.photo, p.anomaly_map, [f.box for f in self.findings])
        return notebook_html(self, overlay=picture, photo=p.photo, references=p.references, attended=p.attended())
