"""The benchmark measures children honestly and says why a figure is missing."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

import pytest

from evals import bench
from evals.bench import Figure

pytestmark = pytest.mark.alone


def test_missing_examples_and_failing_commands_have_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds, memory = bench.cold_inspection(tmp_path)
    assert seconds.value is memory.value is None
    assert seconds.reason is not None
    assert "no part.png" in seconds.reason
    for name in ("part.png", "reference.png"):
        (tmp_path / name).write_bytes(b"")
    script = [sys.executable, "-c", "import sys; sys.exit(3)"]
    monkeypatch.setattr(bench, "_console_script", lambda: script)
    assert "exit code 3" in str(bench.cold_inspection(tmp_path)[0].reason)
    assert "exit code 3" in str(bench.help_time(1).reason)


def test_wall_time_and_peak_memory_of_a_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("part.png", "reference.png"):
        (tmp_path / name).write_bytes(b"")
    script = [sys.executable, "-c", "import time; hog = bytearray(60_000_000); time.sleep(0.2)"]
    monkeypatch.setattr(bench, "_console_script", lambda: script)
    seconds, memory = bench.cold_inspection(tmp_path)
    assert seconds.value is not None
    assert memory.value is not None
    assert 0.2 <= seconds.value < 30
    # Linux counts what the parent held when it forked; the benchmark itself forks while it is small.
    parent = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    assert 57 <= memory.value < max(500, 1.1 * parent)


def test_import_time_is_taken_without_the_interpreter() -> None:
    found = bench.import_time("json", 1)
    assert found.value is not None
    assert found.value < 5
    assert bench.import_time("no_such_package", 1).value is None


def test_streaming_is_fast_enough_to_train_on() -> None:
    """Twelve pairs a second and core were asked for; this leaves room for a busy machine."""
    found = bench.streaming(pairs_each=1)
    assert found.value is not None
    assert found.value > 4


def test_the_core_model_is_timed_by_itself() -> None:
    found = bench.core_model(1)
    assert (found["prefill_seconds"].value or 0) > 0
    assert (found["decoded_tokens_per_second"].value or 0) > 10
    if "fusion_share_of_prefill" in found:
        assert 0 < (found["fusion_share_of_prefill"].value or 0) < 0.5


def test_prints_one_json_object(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fixed(*_: Any) -> dict[str, Figure]:
        return {"help_seconds": Figure(0.3, "s"), "warm_full_seconds": Figure(None, "s", "no weights")}

    monkeypatch.setattr(bench, "bench", fixed)
    bench.main(["--json"])
    read = json.loads(capsys.readouterr().out)
    assert read["figures"]["help_seconds"] == {"value": 0.3, "unit": "s", "reason": None}
    assert {"cores", "cpu", "python"} <= set(read["machine"])
    bench.main([])
    assert "no weights" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        bench.main(["--times", "0"])
