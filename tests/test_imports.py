"""Importing a package must stay cheap: the heavy libraries load where they are used."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "transformers",
    "anomalib",
    "chromadb",
    "lightning",
    "langgraph",
    "langchain_core",
    "trl",
    "datasets",
    "inspect_ai",
    "sklearn",
)


@pytest.mark.parametrize("package", ["agent", "tools", "knowledge", "training", "evals", "agent.cli"])
def test_no_heavy_import(package: str) -> None:
    code = f"import sys, {package}; print([m for m in {HEAVY!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.stdout.strip() == "[]", run.stdout + run.stderr


def test_inspecting_does_not_import_anomalib() -> None:
    code = "import sys, agent.inspector, agent.graph, tools.toolbox; print('anomalib' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == "False", run.stderr


@pytest.mark.parametrize("package", ["agent.vlm", "training.sfe.train"])
def test_nothing_is_reported_to_the_hub(package: str) -> None:
    """Trainers and models report their use to the hub unless told not to, before its client is imported."""
    if package.startswith("training"):
        pytest.importorskip("trl")
    code = f"import {package}; from huggingface_hub import constants; print(constants.HF_HUB_DISABLE_TELEMETRY)"
    clean = {name: value for name, value in os.environ.items() if "TELEMETRY" not in name}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=clean)
    assert run.stdout.strip() == "True", run.stderr
