"""One photo of a data set, whichever layout it was read from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

GOOD = "good"
"""Defect type of a normal photo."""

Split = Literal["train", "validation", "test"]


class DataError(ValueError):
    """A data set that cannot be read; one line: argument, value, what was expected and found."""


@dataclass(frozen=True)
class Question:
    """A multiple-choice question about one photo, as its set asks it."""

    text: str
    options: tuple[tuple[str, str], ...]
    """Letter and text of each option, in the set's order."""
    answer: str
    """Letter of the right option."""
    kind: str
    """What is asked for in the set's words, such as `Anomaly Detection`."""


@dataclass(frozen=True)
class Sample:
    """One photo."""

    id: str
    """Path below the root of the set, with `/`; unique."""
    path: Path
    label: Literal[0, 1]
    """0 normal, 1 anomalous."""
    defect_type: str
    """The set's own name of the defect; `good` for a normal photo."""
    split: Split
    category: str
    """Name of the product."""
    masks: tuple[Path, ...] = ()
    """Pictures of the photo's size that mark the defects, to be united by `read_mask`; more than one where the set
    marks each defect apart, none for normal photos and where nobody marked the defect."""
    references: tuple[Path, ...] = ()
    """Normal photos that the set itself pairs with this one, the most alike first. Empty in most sets: draw from
    `Dataset.normals` then, whose photos show the product but not this place in this pose."""
    random_references: tuple[Path, ...] = ()
    """Normal photos that the set drew by chance for this one, so that every model is shown the same."""
    view: str | None = None
    """Camera, in sets that take each part from several sides."""
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """A data set or one category of it."""

    name: str
    """Of its folder."""
    root: Path
    samples: tuple[Sample, ...]
    """Of all splits, by category; inside it by split, defect type and name, or in the order of the set's own list."""

    def normals(self, sample: Sample) -> tuple[Path, ...]:
        """Normal training photos of the same product from the same view, without the sample's own photo."""
        return tuple(p for p in self._normals.get((sample.category, sample.view), ()) if p != sample.path)

    @cached_property
    def _normals(self) -> dict[tuple[str, str | None], list[Path]]:
        found: dict[tuple[str, str | None], list[Path]] = {}
        for sample in self.samples:
            if sample.split == "train" and sample.label == 0:
                found.setdefault((sample.category, sample.view), []).append(sample.path)
        return found
