"""What tools would report in a session, for training text: further looks at drawn cases, earlier cases, answers of persons.

Numbers are made up where a tool would have to run; the model learns to ask for them and to copy them. The wording is that of the
tools, which a test holds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.vlm.kinds import SOUND
from training.draw.families import FAMILIES
from training.draw.noise import Rng
from training.draw.splits import HELD_OUT_FAMILIES, HELD_OUT_TYPES, TRAINED_KINDS
from training.preference.scene import PLACES
from training.story import Look
from training.wordings import PERSONS

CLOSE_UP = 448
"""Side of a close-up in pixels, as that of the tools."""
CALLED_BEFORE = "was called with these arguments before; what it found is [{}]"
"""What the agent says of a call that is made a second time."""
_WHYS = (
    "there is no such tool; there are heatmap, query_facts", "it took too long", "where 'there': not a place", "it cannot be reached",
    CALLED_BEFORE.format("Q1"),
)  # fmt: skip


def zoomed(place: str, rng: Rng) -> Look:
    """A close-up."""
    factor = float(np.exp(rng.uniform(np.log(0.5), np.log(8))))
    kinds = [str(kind) for kind in rng.choice(TRAINED_KINDS, 3, replace=False)]
    if rng.random() < 0.5:  # as at most places of a part
        kinds = [SOUND, *kinds[:2]]
    chances = np.sort(rng.dirichlet([0.5] * 4)[:3])[::-1]
    likeness = ", ".join(f"{kind} {p:.2f}" for kind, p in zip(kinds, chances, strict=True))
    summary = f"Close-up of the region in the {place}, {factor:.1f} times enlarged; likeness: {likeness}."
    like = [{"kind": kind, "probability": float(p)} for kind, p in zip(kinds, chances, strict=True)]
    return Look("zoom", summary, {"place": place, "factor": factor, "likeness": like})


def measured(place: str, rng: Rng) -> Look:
    """A measurement; now and then in millimetres, as where the scale of the photo is known."""
    length = float(np.exp(rng.uniform(np.log(4), np.log(400))))
    width = max(1.0, length / float(np.exp(rng.uniform(0, np.log(6)))))
    elongation, contrast = length / width, float(rng.normal(0, 0.12))
    shape = "long and thin" if elongation >= 3 else "longish" if elongation >= 1.8 else "compact"
    tone = "darker than" if contrast < -0.02 else "brighter than" if contrast > 0.02 else "as bright as"
    values = {"place": place, "length_px": length, "width_px": width, "shape": shape, "tone": tone}
    size = f"{length:.0f} by {width:.0f} px"
    if rng.random() < 0.2:
        scale = float(rng.uniform(0.02, 0.3))
        values |= {"length_mm": length * scale, "width_mm": width * scale}
        size = f"{length * scale:.2f} by {width * scale:.2f} mm"
    share = float(np.exp(rng.uniform(np.log(0.001), np.log(0.15))))
    by = f" by {abs(contrast) * 100:.0f} %" if tone != "as bright as" else ""
    summary = f"Region in the {place}: {size}, {share * 100:.1f} % of the image, {shape}, {tone} its surround{by}."
    return Look("measure", summary, values)


def compared(place: str, rng: Rng) -> Look:
    """A comparison with the reference."""
    usual = float(rng.uniform(0.08, 0.5))
    ratio = float(rng.choice([rng.uniform(1, 1.35), rng.uniform(1.45, 1.95), rng.uniform(2.05, 4)]))
    says = (
        "nothing in it looks like"
        if ratio >= 2
        else "it looks much like"
        if ratio < 1.4
        else "it differs a little from"
    )
    summary = f"Against the reference: {says} the {place} of the test image, distance {usual * ratio:.2f} there and {usual:.2f} in general."
    return Look("compare", summary, {"place": place, "ratio": ratio})


def similar(rng: Rng) -> Look:
    """Earlier cases like this one."""
    if rng.random() < 0.2:
        return Look("similar_cases", "No similar case is on record.", {"cases": []})
    families = [family for family in FAMILIES if family.name not in HELD_OUT_FAMILIES]
    family = families[int(rng.integers(len(families)))]
    types = [t for t in family.defect_types if t not in HELD_OUT_TYPES]
    similarity, cases = float(rng.uniform(0.7, 1)), []
    for _ in range(int(rng.integers(1, 5))):
        name = str(rng.choice([family.name, family.category])).replace("_", " ")
        verdict = "normal" if rng.random() < 0.4 else f"anomalous, {str(rng.choice(types)).replace('_', ' ')}"
        reference = "reference, " if rng.random() < 0.15 else ""
        by = "a person" if rng.random() < 0.4 else "the agent"
        cases.append(f"{name}, {reference}{verdict} (similarity {similarity:.2f}, decided by {by})")
        similarity *= float(rng.uniform(0.9, 1))
    count = f"{len(cases)} similar case{'s' if len(cases) > 1 else ''}"
    return Look("similar_cases", f"{count}: {'; '.join(cases)}.", {"cases": cases})


def told(topic: str, said: str, rng: Rng) -> Look:
    """What the person answered, to a question on a topic of `training.wordings.PERSONS`."""
    stop = "." if rng.random() < 0.5 else ""
    question = PERSONS[topic][0]
    return Look("ask_person", f"Asked {question!r}, the person says: {said}{stop}", {"said": said, "topic": topic})


def why_failed(rng: Rng) -> str:
    """Why a call came to nothing."""
    return _WHYS[int(rng.integers(len(_WHYS)))]


LOOKS = {"zoom": zoomed, "measure": measured, "compare": compared}


def crop(photo: NDArray[np.uint8], place: str) -> NDArray[np.uint8]:
    """The close-up that `zoom` gives of a ninth of a photo, (CLOSE_UP, CLOSE_UP, 3)."""
    from PIL import Image

    height, width = photo.shape[:2]
    row, column = divmod(PLACES.index(place), 3)
    side = min(max(round(1.5 * max(width, height) / 3), 16), width, height)
    x0 = min(max(0, (2 * column + 1) * width // 6 - side // 2), width - side)
    y0 = min(max(0, (2 * row + 1) * height // 6 - side // 2), height - side)
    return np.asarray(Image.fromarray(photo[y0 : y0 + side, x0 : x0 + side]).resize((CLOSE_UP, CLOSE_UP)), np.uint8)
