"""A fitted detector on disk: arrays as safetensors, and a card in JSON that states everything else."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tools.bank import Bank
from tools.calibration import photos_needed
from tools.choice import Choice
from tools.detector import DetectorError, PatchEncoder
from tools.fit import FittedDetector
from tools.folder import read_checked, write_checked
from tools.other_detectors import NAMES, OtherDetector, load_other
from tools.settings import Settings

_FORMAT = 2
_BANK, _CARD = "bank.safetensors", "detector.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def save_detector(detector: FittedDetector, folder: Path) -> None:
    """Write to `folder`, whole or not at all; an older detector there is replaced.

    Raises:
        DetectorError: the folder cannot be written, or holds something else.
    """
    from safetensors.numpy import save

    arrays = {
        "patches": np.ascontiguousarray(detector.bank.patches),
        "owners": np.ascontiguousarray(detector.bank.owners),
        "normals": detector.normals,
    }
    write_checked(folder, _card(detector), save(arrays), (_CARD, _BANK), what="detector folder")


def load_detector(folder: Path, encoder: PatchEncoder) -> FittedDetector:
    """Read a detector.

    Raises:
        DetectorError: missing, damaged, or fitted with another encoder.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    again = f"fit it again with `sage-iad fit {folder.name} NORMAL_DIR`"
    card, data = read_checked(folder, (_CARD, _BANK), version=_FORMAT, what="detector", again=again)
    try:
        tensors = load(data)
        made_with = card["encoder"]
        made = FittedDetector(
            encoder,
            Choice(Settings(**card["settings"]), dict(card["settings_tried"]), str(card["settings_why"])),
            Bank(tensors["patches"], tensors["owners"]),
            tensors["normals"],
            tuple(card["normals"]["names"]),
            float(card["false_alarm_rate_asked"]),
            int(card["normals"]["given"]),
        )
        _check(made, card, folder, again)
    except DetectorError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise DetectorError(
            f"detector {str(folder)!r}: cannot be read ({type(error).__name__}: {error}); {again}"
        ) from error
    if made_with != encoder.revision:
        raise DetectorError(
            f"detector {str(folder)!r}: was fitted with encoder {made_with}, this one is {encoder.revision}; {again}"
        )
    return made


def find_detector(home: Path, category: str, encoder: PatchEncoder) -> FittedDetector | OtherDetector | None:
    """The fitted detector of a category, of whichever kind; None where there is none.

    Raises:
        DetectorError: it is damaged, or fitted with another encoder.
    """
    if not _NAME.fullmatch(category) or not (folder := detector_folder(home, category)).exists():
        return None
    try:
        other = json.loads((folder / _CARD).read_text(encoding="utf-8")).get("detector") in NAMES
    except (OSError, ValueError, AttributeError):
        other = False  # the reader of our own says what is wrong
    return load_other(folder, encoder) if other else load_detector(folder, encoder)


def detector_folder(home: Path, category: str) -> Path:
    """Where the fitted detector of a category is kept.

    Raises:
        DetectorError: the category cannot be a folder name.
    """
    if not _NAME.fullmatch(category):
        raise DetectorError(
            f"category {category!r}: expected 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit"
        )
    return home / "detectors" / category


def _card(detector: FittedDetector) -> dict[str, Any]:
    strange = detector.strange
    return {
        "format": _FORMAT,
        "detector": "patchcore",
        "encoder": detector.encoder.revision,
        "settings": asdict(detector.settings),
        "settings_why": detector.choice.why,
        "settings_tried": detector.choice.tried,
        "bank": {"patches": len(detector.bank), "matching": "local" if detector.settings.local else "global"},
        "threshold": detector.calibration.threshold,
        "scale": detector.calibration.scale,
        "basis": detector.calibration.basis,
        "false_alarm_rate": detector.rate,
        "false_alarm_rate_asked": detector.asked,
        "photos_needed_for_asked": photos_needed(detector.asked),
        "normals": {
            "given": detector.given,
            "count": len(detector.normals),
            "names": list(detector.names),
            "strange": [detector.names[i] for i in strange],
        },
    }


def _check(detector: FittedDetector, card: dict[str, Any], folder: Path, again: str) -> None:
    """Refuse what reads well but cannot have been written by a fit."""
    normals, bank, count = detector.normals, detector.bank, card["normals"]["count"]
    if normals.shape != (count,) or len(detector.names) != count or not np.isfinite(normals).all():
        raise DetectorError(
            f"detector {str(folder)!r}: expected {count} normal photos with a name and a score; {again}"
        )
    if asdict(detector.settings) != card["settings"]:
        raise DetectorError(f"detector {str(folder)!r}: settings {card['settings']!r} are not complete; {again}")
    if bank.local != detector.settings.local or bank.owners.shape != bank.patches.shape[:-1]:
        raise DetectorError(f"detector {str(folder)!r}: the bank has the shape {bank.patches.shape}; {again}")
    found = detector.calibration
    stated = (float(card["threshold"]), float(card["scale"]), float(card["false_alarm_rate"]), str(card["basis"]))
    if stated != (found.threshold, found.scale, detector.rate, found.basis):
        raise DetectorError(
            f"detector {str(folder)!r}: threshold {stated[0]!r} and scale {stated[1]!r} are no calibration of its normal "
            f"photos; {again}"
        )
