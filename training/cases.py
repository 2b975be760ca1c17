"""Drawn cases with what the tools found in them, drawn once and kept on disk: each trains many times over."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, Features, Image, List, Value, load_from_disk
from numpy.typing import NDArray
from PIL import Image as PILImage

from agent.vlm.eye import weights_revision
from agent.vlm.nano import shipped
from training.draw.families import BY_NAME
from training.draw.scene import Case, Defect, draw_case
from training.draw.splits import SPLITS
from training.recipe import RecipeError
from training.story import Look, Looks

TakeLooks = Callable[[Case, Any], Looks]
"""Runs the agent's tools on a drawn case in a setting. Passed in, since training knows nothing of the tools."""
SETTINGS = {"zero-shot": (0.25, 0), "one-shot": (0.55, 1), "fitted": (0.2, 6)}
"""Share of the cases, and normal photos drawn, in each setting; the model sees a reference in `one-shot` alone."""
CARD = "drawn.json"
"""What the cases of a folder are, written when all are there."""
_FEATURES = Features(
    {
        "family": Value("string"),
        "test": Image(),
        "references": List(Image()),
        "close_up": Image(),
        "masks": List(Image()),
        "defects": Value("string"),
        "aligned": Value("bool"),
        "looks": Value("string"),
    }
)


def kept_cases(
    folder: Path, count: int, seed: int, look: TakeLooks, processes: int, eye: str, split: str = "train"
) -> Dataset:
    """The cases in `folder`; drawn first where it holds none, over several processes.

    Args:
        eye: revisions of the weights behind `look`, as `seen_with` tells them.
        split: a name of `training.draw.splits.SPLITS`.

    Raises:
        RecipeError: the folder holds cases that were drawn otherwise.
    """
    families = sorted(family.name for family in SPLITS[split].families)
    asked = {"cases": count, "seed": seed, "families": families, "types": sorted(SPLITS[split].types), "eye": eye}
    card = folder / CARD
    if card.is_file() and (made_with := json.loads(card.read_text(encoding="utf-8"))) != asked:
        differs = ", ".join(key for key in asked if made_with.get(key) != asked[key])
        raise RecipeError(f"cases_dir {str(folder)!r}: holds cases of other {differs}; name another folder")
    if not card.is_file():
        arguments = {"indices": list(range(count)), "seed": seed, "look": look, "split": split}
        # The cache of `datasets` is left out: its fingerprint would have to name every drawing function.
        made = Dataset.from_generator(
            _drawn, features=_FEATURES, gen_kwargs=arguments, num_proc=processes, cache_dir=str(folder / "drawing")
        )
        made.save_to_disk(folder)
        card.write_text(json.dumps(asked, indent=2) + "\n", encoding="utf-8")
        shutil.rmtree(folder / "drawing")
    return load_from_disk(folder)


def _drawn(indices: list[int], seed: int, look: TakeLooks, split: str) -> Iterator[dict[str, Any]]:
    import cv2
    import torch

    # One process a core: threads of their own would only wait for each other.
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    drawn = SPLITS[split]
    for index in indices:
        rng = np.random.default_rng([seed, index, 1])
        setting = str(rng.choice(list(SETTINGS), p=[share for share, _ in SETTINGS.values()]))
        case = draw_case(
            (seed, index), anomalous=0.6, references=SETTINGS[setting][1], families=drawn.families, types=drawn.types
        )
        found = look(case, setting)
        yield {
            "family": case.family,
            "test": PILImage.fromarray(case.test),
            "references": [PILImage.fromarray(r) for r in case.references] if setting == "one-shot" else [],
            "close_up": None if found.close_up is None else PILImage.fromarray(found.close_up),
            "masks": [PILImage.fromarray(d.mask) for d in case.defects],
            "defects": json.dumps([(d.defect_type, d.box, d.severity) for d in case.defects]),
            "aligned": case.aligned,
            "looks": json.dumps([(item.tool, item.summary, item.values) for item in found.looks]),
        }


def seen_with(eye: Path) -> str:
    """Revisions of the weights behind the tools' evidence: those of an encoder's folder, and of the shipped classifier of kinds."""
    return f"{weights_revision(eye)}, {weights_revision(shipped('sage-kinds'))}"


def without_photos(cases: Dataset) -> Dataset:
    """The cases with blank photos, which are read faster: which of them there are is still told."""
    unread = Image(decode=False)
    for column, feature in {"test": unread, "references": List(unread), "close_up": unread}.items():
        cases = cases.cast_column(column, feature)
    return cases


def read_case(kept: dict[str, Any]) -> tuple[Case, Looks]:
    """A case and its looks from one row."""
    masks = [np.asarray(mask, bool) for mask in kept["masks"]]
    defects = json.loads(kept["defects"])
    size = masks[0].shape if masks else (1, 1)
    case = Case(
        family=kept["family"],
        category=BY_NAME[kept["family"]].category,
        test=_pixels(kept["test"], size),
        references=tuple(_pixels(r, size) for r in kept["references"]),
        defects=tuple(
            Defect(name, mask, tuple(box), severity) for (name, box, severity), mask in zip(defects, masks, strict=True)
        ),
        aligned=kept["aligned"],
    )
    close_up = kept["close_up"]
    looks = tuple(Look(tool, summary, values) for tool, summary, values in json.loads(kept["looks"]))
    return case, Looks(looks, None if close_up is None else _pixels(close_up, size))


def _pixels(photo: PILImage.Image | dict[str, Any], blank: tuple[int, ...]) -> NDArray[np.uint8]:
    if isinstance(photo, dict):  # not decoded
        return np.zeros((*blank, 3), np.uint8)
    return np.asarray(photo.convert("RGB"), np.uint8)
