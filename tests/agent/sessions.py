"""Sessions over a scripted model, for tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from parts import ColourEye, FewFacts, plate

from agent.inspector import Inspector
from agent.model import Vlm
from agent.session import Session
from agent.vlm.tool_calls import tool_call_text

PLAN = ("category: metal_surface\nlooks: heatmap, zoom, measure, compare", None)
SUSPECTS = ("facts: scratch, stain", None)
ALONE = ("", 0.9)
GOOD = "True. The upper left stands out in the heat map [E1]. This fits the description of scratch [F1][E2]. Cause [F2], effect [F3], remedy [F4]."
INSPECTION = (PLAN, SUSPECTS, ALONE, (GOOD, 0.9))
"""What a scripted model says until the verdict."""


def use(monkeypatch: pytest.MonkeyPatch, vlm: Vlm, home: Path) -> Inspector:
    """Let sessions work with this model."""
    eye = home / "eye"
    eye.mkdir(parents=True, exist_ok=True)
    names = ("zero-shot", "one-shot", "one-shot, aligned", "few-shot", "few-shot, aligned")
    by_hand = {name: {"threshold": 0.2, "scale": 0.02, "basis": "by hand"} for name in names}
    (eye / "calibration.json").write_text(json.dumps(by_hand), encoding="utf-8")
    inspector = Inspector(vlm, ColourEye(), FewFacts(), home, eye)  # type: ignore[arg-type]
    monkeypatch.setattr(Inspector, "shared", lambda model=None, home=None: inspector)
    return inspector


def begun(home: Path, **options: object) -> Session:
    """A session about a plate with a spot."""
    return Session(plate(True), reference=plate(False), home=home, **options)  # type: ignore[arg-type]


def calls(name: str, **arguments: object) -> tuple[str, None]:
    """A reply that calls a tool."""
    return tool_call_text(name, arguments), None
