"""The graph as LangGraph Studio opens it, and as the README shows it."""

from __future__ import annotations

import asyncio
import json
from importlib import import_module
from pathlib import Path

import pytest
from parts import plate, scripted
from sessions import INSPECTION, use

from agent.images import InputError
from agent.studio import graph, picture

ROOT = Path(__file__).parents[2]


def test_the_readme_shows_the_graph_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, scripted(), tmp_path)
    assert f"```mermaid\n{picture().rstrip()}\n```" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_studio_finds_the_graph_and_runs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, scripted(*INSPECTION), tmp_path)
    file, _, name = json.loads((ROOT / "langgraph.json").read_text())["graphs"]["inspection"].partition(":")
    assert getattr(import_module(file.removeprefix("./").removesuffix(".py").replace("/", ".")), name) is graph
    part, good = tmp_path / "part.png", tmp_path / "good.png"
    plate(True).save(part)
    plate(False).save(good)
    configured = asyncio.run(graph({"configurable": {"image": str(part), "references": [str(good)]}}))
    assert configured.invoke({})["verdict"] == "anomalous"


def test_without_a_photo_it_can_be_looked_at_but_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, scripted(), tmp_path)
    empty = asyncio.run(graph({}))
    assert "agent" in empty.get_graph().nodes
    with pytest.raises(InputError, match="set `image`, the path of a photo"):
        empty.invoke({})
