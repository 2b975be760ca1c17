"""Outcomes, and a folder as a run leaves it, without a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from PIL import Image, ImageDraw

from agent.report import ModelInfo, ReasoningStep
from evals.figures.maps import save_pair
from evals.mle import SCALES, MleScore
from evals.outcome import Outcome
from evals.results import Results, Run, build
from evals.samples import write_samples

SIDE = 48
MODEL = ModelInfo(name="fake", revision="1", stage="sfe")


def outcome(id: str = "test/crack/0.png", label: Any = 1, **changes: Any) -> Outcome:
    """An anomalous photo that the agent got right, or what the changes make of it."""
    made: dict[str, Any] = {
        "id": id,
        "category": "plates",
        "label": label,
        "defect_type": "crack" if label else "good",
        "verdict": "anomalous" if label else "normal",
        "score": 0.8 if label else 0.2,
        "detector": 0.7 if label else 0.3,
        "vlm": 0.4,
        "vlm_heatmap": 0.45,
        "boxes": [(10, 10, 20, 20)] if label else [],
        "map": f"maps/{id}.npz",
        "hit": True if label else None,
        "detector_hit": False if label else None,
        "aligned": False,
        "seconds": 0.5,
        "model": MODEL,
    }
    return Outcome(**{**made, **changes})


def steps(*supported: bool, cites: bool = True) -> list[ReasoningStep]:
    return [ReasoningStep(text="It is dark.", cites=["E1"] if cites else [], supported=s) for s in supported]


def leave(out: Path, outcomes: list[Outcome], photos: Path | None = None, seed: int = 0, **changes: Any) -> Results:
    """What a run leaves in `out` of these outcomes: maps, results.json and samples.jsonl; photos in `photos`."""
    out.mkdir(parents=True, exist_ok=True)
    for o in outcomes:
        rng = np.random.default_rng([seed, crc32(o.id.encode())])  # the same map whatever the other photos are
        mask = np.zeros((SIDE, SIDE), bool)
        mask[10:20, 10:20] = o.label == 1
        save_pair(out / o.map, (rng.random((SIDE, SIDE)) * 0.6 + 0.4 * mask).astype(np.float16), mask)
        if photos is not None:
            photo = Image.new("RGB", (SIDE, SIDE), (120, 120, 120))
            ImageDraw.Draw(photo).rectangle((10, 10, 19, 19), fill=(250, 40, 40))
            (photos / o.id).parent.mkdir(parents=True, exist_ok=True)
            photo.save(photos / o.id)
    results = build(drawn_run(outcomes, **changes), out)
    results.save(out / "results.json")
    write_samples(outcomes, out)
    return results


def drawn_run(outcomes: list[Outcome], **changes: Any) -> Run:
    asked: dict[str, Any] = {"data": "plates", "setting": "zero-shot", "depth": "full", "seed": 0, "failures": []}
    return Run(**{**asked, "outcomes": outcomes, **changes})


def _judged(rng: np.random.Generator) -> MleScore:
    return MleScore(**dict(zip(SCALES, (float(n) for n in rng.integers(1, 6, 3)), strict=True)))


def mixed(count: int = 24, seed: int = 0, **changes: Any) -> list[Outcome]:
    """Half normal, half anomalous, scores that overlap, verdicts by the score, with sentences and names."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        label = i % 2
        score, other = (float(np.clip(rng.normal(0.35 + 0.3 * label, 0.2), 0, 1)) for _ in range(2))
        made.append(
            outcome(
                f"test/{'crack' if label else 'good'}/{i:03}.png",
                label,
                score=score,
                detector=other,
                verdict="anomalous" if score >= 0.5 else "normal",
                hit=bool(rng.random() < 0.5) if label else None,
                named=str(rng.choice(["crack", "dent"])) if score >= 0.5 else None,
                reasoning=steps(*(rng.random(3) < 0.7)),
                mle=_judged(rng) if i % (7 + seed) else MleScore(unscored="no reply"),
                **changes,
            )
        )
    return sorted(made, key=lambda o: o.id)
