"""What a run itself costs: seconds and memory of everything but the agent. Run: `python -m evals.bench_run --samples 3000`.

A scripted agent does nothing; photos are 512 px, a third of them anomalous with masks. Overhead is the wall time
between the starts of two samples with one job, less what the agent took.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.report import ImageInfo, InspectionReport, ModelInfo, Pictures, Scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from tools.detector import Detector

SIDE = 512
_WARM_UP = 30
_DISTINCT = 8  # pictures on disk; the samples are links to them


@dataclass
class Idle:
    """An agent that gives prepared answers, and notes when it was asked and for how long it was busy."""

    starts: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    """Resident memory of the process at every start."""
    _prepared: tuple[Image.Image, NDArray[np.float32]] | None = None

    def inspect(self, image: Any, **_: Any) -> InspectionReport:
        """A report with a map that rises to the lower right."""
        import numpy as np
        from PIL import Image

        start = time.perf_counter()
        if self._prepared is None:
            ramp = np.linspace(0, 0.6, SIDE, dtype=np.float32)
            self._prepared = Image.open(image).convert("RGB"), ramp[:, None] * ramp[None, :] + 0.01
        photo, heat = self._prepared
        score = (len(self.starts) * 7 % 100) / 100
        report = InspectionReport(
            id="0",
            created=datetime.now(UTC),
            image=ImageInfo(source=str(image), sha256="0" * 64, width=SIDE, height=SIDE),
            category=None,
            setting="zero-shot",
            verdict="anomalous" if score > 0.5 else "normal",
            anomaly_score=score,
            scores=Scores(detector=score, vlm=score),
            confidence=0.5,
            findings=[],
            model=ModelInfo(name="idle", revision="1", stage="none"),
        )
        report.keep_pictures(Pictures(photo, (), heat))
        self.starts.append(start)
        self.busy.append(time.perf_counter() - start)
        self.megabytes.append(resident())
        return report

    def fit(self, photos: Sequence[Any], *, false_alarm_rate: float = 0.05, seed: int = 0) -> Detector:
        """Not asked for in this benchmark."""
        raise AssertionError("the zero-shot setting fits nothing")

    def vlm_alone(self, image: Any, **_: Any) -> float | None:
        """Even odds."""
        return 0.5


def resident() -> float:
    """Memory of this process in RAM, in MB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise OSError("/proc/self/status has no VmRSS")


def measure(samples: int, folder: Path, jobs: int = 1) -> dict[str, float]:
    """Evaluate so many drawn photos, after a few that load what has to be loaded.

    Args:
        samples: At least 30.
        folder: Empty; photos and results come to lie in it.
        jobs: As for `run_dataset`.

    Returns:
        `overhead_ms` and `overhead_ms_p95` a sample, with one job; `rss_mb` before, `rss_samples_mb` at the last sample,
        `rss_peak_mb` at any time, the metrics and the page included; `growth_mb` from before to the peak; `seconds`
        of all.
    """
    import numpy as np

    from evals.run import run_dataset

    draw(_WARM_UP, folder / "first")
    run_dataset(Idle, folder / "first", setting="zero-shot", out=folder / "first-out", jobs=jobs, show=False)
    draw(samples, folder / "photos")
    agent = Idle()
    gc.collect()
    before, start = resident(), time.perf_counter()
    run_dataset(lambda: agent, folder / "photos", setting="zero-shot", out=folder / "out", jobs=jobs, show=False)
    seconds = time.perf_counter() - start
    between = (np.diff(agent.starts) - np.array(agent.busy[:-1])) * 1000
    figures = {
        "overhead_ms": float(np.median(between)),
        "overhead_ms_p95": float(np.percentile(between, 95)),
        "rss_mb": before,
        "rss_samples_mb": agent.megabytes[-1],
        "rss_peak_mb": _peak(),
        "growth_mb": _peak() - before,
        "seconds": seconds,
    }
    return {"samples": samples} | {name: round(value, 1) for name, value in figures.items()}


def draw(samples: int, root: Path) -> None:
    """An MVTec-AD-like folder of noise, a third of it anomalous with a marked square."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    bad = samples // 3
    made = root / "pictures"
    made.mkdir(parents=True)
    for i in range(_DISTINCT):
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(made / f"{i}.png")
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[20 * i : 20 * i + 60, 200:260] = 255
        Image.fromarray(mask).save(made / f"{i}_mask.png")
    for kind, count in (("good", samples - bad), ("square", bad)):
        for folder in ("test", "ground_truth"):
            (root / folder / kind).mkdir(parents=True)
        for i in range(count):
            (root / "test" / kind / f"{i:05}.png").symlink_to(made / f"{i % _DISTINCT}.png")
            if kind != "good":
                (root / "ground_truth" / kind / f"{i:05}_mask.png").symlink_to(made / f"{i % _DISTINCT}_mask.png")


def _peak() -> float:
    """Highest resident memory of this process so far, in MB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main() -> None:
    """Measure and print as JSON."""
    import json

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--samples", type=int, default=3000, help="photos (default: 3000)")
    parser.add_argument("--jobs", type=int, default=1, help="photos at once (default: 1)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(args.samples, Path(folder), args.jobs)))


if __name__ == "__main__":
    main()
