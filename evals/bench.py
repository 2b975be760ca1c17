"""Speed and memory of the installed system: `python -m evals.bench [--json]`, run in a checkout.

Figures, not verdicts: what is fast enough is for the reader to say. A figure that cannot be taken here is
null, with the reason beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

    from agent.report import Depth

PACKAGES = ("agent", "tools", "knowledge", "training", "evals")
SIDE = 512
"""Of the photo of the warm inspections, in pixels."""
TIMES = 5
"""Repetitions behind a median."""
_LIMIT = 300  # seconds a child process may take


@dataclass(frozen=True)
class Figure:
    """One measurement."""

    value: float | None
    unit: str
    reason: str | None = None
    """Why there is no value."""


def bench(examples: Path, times: int = TIMES) -> dict[str, Figure]:
    """Take all figures.

    Args:
        examples: Folder with part.png and reference.png.
        times: Repetitions behind each median.
    """
    found = {"help_seconds": help_time(times)}
    for package in PACKAGES:
        found[f"import_{package}_seconds"] = import_time(package, times)
    found["cold_inspect_seconds"], found["cold_inspect_peak_mb"] = cold_inspection(examples)
    found.update(warm_inspections(examples, times))
    found["streamed_pairs_per_second"] = streaming()
    found.update(core_model(times))
    found.update(detectors())
    return found


def help_time(times: int = TIMES) -> Figure:
    """Median wall time of `sage-iad --help`."""
    return _median([*_console_script(), "--help"], times)


def import_time(package: str, times: int = TIMES) -> Figure:
    """Median wall time of importing one package in a fresh interpreter, whose own start is taken off."""
    bare = _median([sys.executable, "-c", "pass"], times)
    full = _median([sys.executable, "-c", f"import {package}"], times)
    if bare.value is None or full.value is None:
        return full if full.value is None else bare
    return Figure(round(max(0.0, full.value - bare.value), 4), "s")


def cold_inspection(examples: Path) -> tuple[Figure, Figure]:
    """Wall time and highest memory in use of one `sage-iad inspect part.png --reference reference.png`."""
    part, reference = examples / "part.png", examples / "reference.png"
    if not (part.is_file() and reference.is_file()):
        why = f"{examples} holds no part.png and reference.png"
        return Figure(None, "s", why), Figure(None, "MB", why)
    command = [*_console_script(), "inspect", str(part), "--reference", str(reference), "--json"]
    with tempfile.TemporaryFile() as complaints:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=complaints)
        # wait4 gives the memory of this one child; getrusage would give the largest of all children so far.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            complaints.seek(0)
            why = f"exit code {process.returncode}: {_last_line(complaints.read())}"
            return Figure(None, "s", why), Figure(None, "MB", why)
    per_mb = 2**20 if sys.platform == "darwin" else 2**10
    return Figure(round(seconds, 3), "s"), Figure(round(usage.ru_maxrss / per_mb, 1), "MB")


def warm_inspections(examples: Path, times: int = TIMES) -> dict[str, Figure]:
    """Median wall time of one-shot inspections at both depths on a `SIDE` photo, after one that warms up."""
    from agent.images import InputError
    from agent.inspector import Inspector

    names: dict[Depth, str] = {"full": "warm_full_seconds", "screen": "warm_screen_seconds"}
    try:
        inspector = Inspector.load()
    except (InputError, OSError) as error:
        return {name: Figure(None, "s", " ".join(str(error).split())) for name in names.values()}
    photo, reference = (_photo(examples / name) for name in ("part.png", "reference.png"))
    found = {}
    for depth, name in names.items():

        def inspect(depth: Depth = depth) -> object:
            return inspector.inspect(photo, reference=reference, depth=depth)

        inspect()
        found[name] = Figure(round(statistics.median(_times(inspect, times)), 4), "s")
    return found


def streaming(pairs_each: int = 3) -> Figure:
    """Drawn image pairs of 224 pixels with their questions and answers, a second on one core, mean over the families."""
    import cv2

    from knowledge.facts import shipped_pack
    from training.draw.families import FAMILIES
    from training.draw.scene import draw_case
    from training.fact_index import FactIndex
    from training.preference.record import AdplWriter

    writer, threads = AdplWriter(FactIndex(shipped_pack())), cv2.getNumThreads()

    def pair(family: int, index: int) -> None:
        case = draw_case((family, index), families=[FAMILIES[family]])
        writer.tell(case, "defect identification", (family, index))

    cv2.setNumThreads(1)
    try:
        pair(0, pairs_each)  # what loads at first use is not the drawing's
        start = time.perf_counter()
        for family in range(len(FAMILIES)):
            for index in range(pairs_each):
                pair(family, index)
        seconds = time.perf_counter() - start
    finally:
        cv2.setNumThreads(threads)
    return Figure(round(pairs_each * len(FAMILIES) / seconds, 1), "1/s")


def detectors() -> dict[str, Figure]:
    """Encoder, scoring, fitting, and anomalib's Engine beside ours on the same drawn photos."""
    from agent.vlm.nano import shipped
    from evals.bench_detectors import detector_figures

    try:
        measured = detector_figures(shipped("sage-eye"))
    except (OSError, ImportError, subprocess.SubprocessError) as error:
        return {"detectors": Figure(None, "", " ".join(str(error).split()))}
    return {name: Figure(round(value, 4), unit) for name, (value, unit) in measured.items()}


def core_model(times: int = TIMES) -> dict[str, Figure]:
    """The core model by itself."""
    from agent.images import InputError
    from evals.bench_model import model_figures

    try:
        measured = model_figures(times)
    except (InputError, OSError) as error:
        return {"core_model": Figure(None, "", " ".join(str(error).split()))}
    return {name: Figure(round(value, 4), unit) for name, (value, unit) in measured.items()}


def machine() -> dict[str, str]:
    """Cores, processor and versions."""
    from evals.results import environment

    found = environment()
    found["cpu"] = _cpu()
    if hasattr(os, "sched_getaffinity"):
        found["usable cores"] = str(len(os.sched_getaffinity(0)))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m evals.bench", description="Speed and memory of sage-iad.")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--examples", type=Path, default=Path("examples"), help="folder with part.png and reference.png"
    )
    parser.add_argument("--times", type=int, default=TIMES, help="repetitions behind each median")
    given = parser.parse_args(arguments)
    if given.times < 1:
        parser.error(f"--times {given.times}: expected 1 or more")
    figures, where = bench(given.examples, given.times), machine()
    if given.json:
        print(json.dumps({"figures": {name: asdict(f) for name, f in figures.items()}, "machine": where}))
        return
    for name, figure in figures.items():
        print(f"{name:34} {'-' if figure.value is None else figure.value} {figure.reason or figure.unit}")
    print(", ".join(f"{name} {value}" for name, value in where.items()))


def _console_script() -> list[str]:
    """`sage-iad` of this environment, or the same by way of the interpreter where it is not installed."""
    beside = shutil.which("sage-iad", path=str(Path(sys.executable).parent))
    return [beside] if beside else [sys.executable, "-c", "from agent.cli import app; app()"]


def _median(command: list[str], times: int) -> Figure:
    def run() -> None:
        subprocess.run(command, check=True, capture_output=True, timeout=_LIMIT)

    try:
        run()  # fills the file cache and writes the .pyc files
        return Figure(round(statistics.median(_times(run, times)), 4), "s")
    except subprocess.CalledProcessError as error:
        return Figure(None, "s", f"exit code {error.returncode}: {_last_line(error.stderr)}")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Figure(None, "s", " ".join(str(error).split()))


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "nothing on stderr"


def _times(run: Callable[[], object], times: int) -> list[float]:
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return found


def _photo(path: Path) -> Image.Image:
    """The photo at `SIDE` pixels square, or a drawn plate where there is none."""
    from PIL import Image, ImageDraw

    if path.is_file():
        with Image.open(path) as photo:
            return photo.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    plate = Image.new("RGB", (SIDE, SIDE), (150, 152, 156))
    draw = ImageDraw.Draw(plate)
    draw.ellipse((180, 180, 330, 330), fill=(60, 62, 66))
    if path.stem == "part":
        draw.line((60, 90, 190, 140), fill=(235, 235, 235), width=4)
    return plate


def _cpu() -> str:
    import platform

    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or "unknown"


if __name__ == "__main__":
    main()
