"""The result of one tool call, in a form that an answer can cite."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Evidence(BaseModel):
    """What one tool call found."""

    model_config = ConfigDict(extra="forbid")

    id: str
    """Unique within an inspection, `E1`, `E2`, …, in the order of the calls."""
    tool: str
    """Name of the tool."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the call; images appear as ids."""
    summary: str
    """One or two sentences for the model and the reader, with units."""
    values: dict[str, Any] = Field(default_factory=dict)
    """The numbers behind the summary; a unit is the suffix of its key (`_px`, `_mm`, `_fraction`, `_ms`)."""
    image_ids: list[str] = Field(default_factory=list)
    """Images the call made, as ids in the image store."""
