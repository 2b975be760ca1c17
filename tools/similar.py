"""Similar cases: what earlier photos most like this one were found to be."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tools.detector import PatchEncoder
from tools.evidence import Evidence

if TYPE_CHECKING:
    from PIL import Image

    from knowledge.cases import PastCase

Array = NDArray[np.float32]

LEAST_SIMILARITY = 0.85
"""Of a case worth telling, with the shipped eye: of a product on record 98 % or more of photos, drawn and real, find one at or
above it; of a product that is not, one drawn photo in nine finds another's (among hundreds), and no real one."""


class CaseSource(Protocol):
    """Where past cases come from."""

    def nearest(self, embedding: Array, limit: int = 3, exclude: Collection[str] = ()) -> list[PastCase]:
        """The cases most alike, best first, each with its `similarity`; none of the photos whose SHA-256 is excluded."""
        ...


def embed_photo(encoder: PatchEncoder, image: Image.Image) -> Array:
    """How a photo looks as a whole, (d,) float32 of length 1: the mean of its patches.

    It tells products apart, and hardly a good part from a defective one: a defect is a few of hundreds of patches.
    """
    features = encoder.patches(image).features
    mean = features.reshape(-1, features.shape[-1]).mean(axis=0, dtype=np.float64)
    return np.asarray(mean / np.linalg.norm(mean), np.float32)


def find_similar(
    photo: Image.Image,
    encoder: PatchEncoder,
    cases: CaseSource,
    *,
    limit: int = 3,
    exclude_sha256: Collection[str] = (),
    least_similarity: float = LEAST_SIMILARITY,
    image_id: str = "test",
) -> Evidence:
    """The past cases most like a photo, as evidence to be cited.

    Args:
        photo: RGB.
        encoder: the eye that the cases were seen with.
        cases: the memory of past inspections.
        limit: cases to tell of at most.
        exclude_sha256: photos not to tell of, such as this one.
        least_similarity: of a case to tell of, 0..1; another encoder than the shipped one wants another.
        image_id: what the arguments of the evidence call the photo.

    Raises:
        knowledge.StoreError: the memory cannot be read.
    """
    nearest = cases.nearest(embed_photo(encoder, photo), limit, exclude_sha256)
    found = [case for case in nearest if (case.similarity or 0.0) >= least_similarity]
    said = "; ".join(_said(case) for case in found)
    return Evidence(
        id="",
        tool="similar_cases",
        arguments={"image_id": image_id, "limit": limit},
        summary=f"{len(found)} similar case{'s' if len(found) != 1 else ''}: {said}."
        if found
        else "No similar case is on record.",
        values={"cases": [case.model_dump(mode="json") for case in found]},
    )


def _said(case: PastCase) -> str:
    """A case in a few words. Its note stays out: it is anybody's text, and a model reads this."""
    named = [_words(case.category or "") or "unnamed product"]
    named += ["reference"] if case.kind == "reference" else []
    named += [case.verdict, *filter(None, map(_words, case.defect_types))]
    by = "a person" if case.decided_by == "person" else "the agent"
    return f"{', '.join(named)} (similarity {case.similarity or 0.0:.2f}, decided by {by})"


def _words(name: str) -> str:
    """Words alone, so that no name can pass for another part of the sentence."""
    return " ".join(re.findall(r"[^\W_]+(?:-[^\W_]+)*", name))
