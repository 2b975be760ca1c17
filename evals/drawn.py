"""The agent's tools on drawn cases: evidence to train the model on, and the calibration of scores."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from tqdm import tqdm

from agent.gather import CLOSE_LOOKS, take_looks
from agent.vlm import Eye, Kinds
from agent.vlm.nano import shipped
from tools.calibration import Calibration
from tools.detector import Detector, PatchEncoder, ZeroShotDetector
from tools.fit import fit_detector
from tools.images import ImageStore
from tools.reference import ReferenceDetector
from tools.settings import PLAIN
from tools.toolbox import Bench, build_tools
from training.draw.scene import Case, draw_case
from training.draw.splits import SPLITS
from training.story import Look, Looks

if TYPE_CHECKING:
    from agent.report import Setting

SEED = 7_000_000
"""Of the cases scores are calibrated on; training uses others."""
REFERENCES: dict[Setting, int] = {"zero-shot": 0, "one-shot": 1, "few-shot": 4, "fitted": 8}
"""Normal photos drawn for a case of each setting."""
FALSE_ALARM_RATE = 0.1


def detector_for(
    encoder: PatchEncoder, case: Case, setting: Setting, calibrations: Mapping[str, Calibration]
) -> Detector:
    """The detector the agent would use on a drawn case."""
    references = [Image.fromarray(r) for r in case.references]
    if setting == "zero-shot":
        return ZeroShotDetector(encoder, calibrations[setting])
    if setting == "fitted":
        return fit_detector(encoder, references, FALSE_ALARM_RATE, settings=PLAIN, bank=len(references) * 28 * 28)
    return ReferenceDetector(encoder, references, calibrations[setting], calibrations[f"{setting}, aligned"])


def read_calibrations(eye: Path) -> dict[str, Calibration]:
    """The calibration of every unfitted setting."""
    cards = json.loads((eye / "calibration.json").read_text(encoding="utf-8"))
    return {setting: Calibration(**card) for setting, card in cards.items()}


class DrawnLooks:
    """Runs the agent's own tools on drawn cases; a worker process loads the eye at its first case."""

    def __init__(self, eye: Path) -> None:
        self.eye = eye
        self._loaded: tuple[Eye, Kinds, dict[str, Calibration]] | None = None

    def __call__(self, case: Case, setting: Setting) -> Looks:
        """Looks of the setting: of the case's references the model sees one in `one-shot`, four in `few-shot`, else none."""
        if self._loaded is None:
            self._loaded = Eye.load(self.eye), Kinds.load(shipped("sage-kinds")), read_calibrations(self.eye)
        encoder, kinds, calibrations = self._loaded
        images = ImageStore()
        images.add("test", Image.fromarray(case.test))
        shown = case.references if setting in ("one-shot", "few-shot") else ()
        references = tuple(images.add(f"reference-{i}", Image.fromarray(r)) for i, r in enumerate(shown, 1))
        detector = detector_for(encoder, case, setting, calibrations)
        bench = Bench(images, encoder, detector, _NoFacts(), references, likeness=kinds)
        tools = {t.name: t for t in build_tools(bench)}
        taken, _ = take_looks(tools, "test", CLOSE_LOOKS)
        crops = [id for item in taken if item.tool == "zoom" for id in item.image_ids]
        close_up = np.asarray(images.photo(crops[0])) if crops else None
        return Looks(tuple(Look(item.tool, item.summary, item.values) for item in taken), close_up)


class _NoFacts:
    def search(self, query: str, **filters: object) -> list:  # type: ignore[type-arg]
        """No looks at facts are taken here."""
        return []


def _case(seed: int, index: int, setting: Setting, aligned: float = 0.15) -> Case:
    """A case to calibrate on; what is held out of training is held out here too."""
    split = SPLITS["validation"]
    return draw_case(
        (seed, index), references=REFERENCES[setting], families=split.families, types=split.types, aligned=aligned
    )


def calibrate_eye(eye: Path, cases: int) -> dict[str, Calibration]:
    """Fit threshold and scale of the unfitted settings by logistic regression on drawn cases; writes calibration.json."""
    from sklearn.linear_model import LogisticRegression

    encoder = Eye.load(eye)
    nothing = Calibration(0.0, 1.0, "")
    made: dict[str, Calibration] = {}
    unfitted: tuple[tuple[Setting, bool], ...] = (
        ("zero-shot", False), ("one-shot", False), ("one-shot", True), ("few-shot", False), ("few-shot", True)
    )  # fmt: skip
    for setting, aligned in unfitted:
        name = f"{setting}, aligned" if aligned else setting
        raw, label = [], []
        for i in tqdm(range(cases), desc=f"calibrating {name}"):
            case = _case(SEED, i, setting, float(aligned))
            photo = Image.fromarray(case.test)
            detector = detector_for(encoder, case, setting, defaultdict(lambda: nothing))
            # A pair drawn aligned may not look so, and the other way round: the score belongs to what was found.
            if isinstance(detector, ReferenceDetector) and detector.aligned(photo) != aligned:
                continue
            raw.append(detector.detect(photo).raw)
            label.append(case.anomalous)
        model = LogisticRegression(C=1e6).fit(np.asarray(raw)[:, None], label)
        weight, bias = float(model.coef_[0, 0]), float(model.intercept_[0])
        made[name] = Calibration(
            -bias / weight, 1 / weight, f"logistic regression on {len(raw)} drawn cases, half of them anomalous"
        )
    (eye / "calibration.json").write_text(
        json.dumps({k: vars(v) for k, v in made.items()}, indent=2) + "\n", encoding="utf-8"
    )
    return made


def calibrate_fusion(eye: Path, model: Path, cases: int) -> dict[str, dict[str, float]]:
    """Fit the blend of detector and model by logistic regression on drawn cases; writes fusion.json."""
    import tempfile

    from agent.fusion import logit
    from agent.inspector import Inspector

    calibrations = read_calibrations(eye)
    made: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as home:
        inspector = Inspector.load(str(model), Path(home), eye)
        for setting in REFERENCES:
            scores, label = [], []
            for i in tqdm(range(cases), desc=f"fusing {setting}"):
                case = _case(SEED + 1, i, setting)
                shown = [Image.fromarray(r) for r in case.references] if setting in ("one-shot", "few-shot") else None
                detector = detector_for(inspector.encoder, case, setting, calibrations)
                report = inspector.inspect(
                    Image.fromarray(case.test), reference=shown, depth="screen", detector=detector
                )
                if report.scores.detector is None or report.scores.vlm is None:
                    continue
                scores.append((logit(report.scores.detector), logit(report.scores.vlm)))
                label.append(case.anomalous)
            made[setting] = _blend(np.asarray(scores), np.asarray(label))
    (model / "fusion.json").write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    return made


def _blend(scores: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Weights of the two scores' log-odds, (n, 2); a model that misleads gets no say, and the detector's score stays."""
    from sklearn.linear_model import LogisticRegression

    detector, vlm = (float(w) for w in LogisticRegression(C=1.0, fit_intercept=False).fit(scores, label).coef_[0])
    return {"detector": detector, "vlm": vlm} if min(detector, vlm) > 0 else {"detector": 1.0, "vlm": 0.0}
