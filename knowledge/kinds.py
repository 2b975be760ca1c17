"""Which kinds of defect are near to each other."""

from __future__ import annotations

import functools
from pathlib import Path

import yaml


@functools.cache
def groups() -> dict[str, str]:
    """From a defect type to the name of its group."""
    read = yaml.safe_load(Path(__file__).with_name("kinds.yaml").read_text(encoding="utf-8"))
    return {kind: group for group, kinds in read.items() for kind in kinds}


def near(one: str, other: str) -> bool:
    """Whether two defect types are of one group, so that taking one for the other is a near miss."""
    known = groups()
    return one in known and known[one] == known.get(other)
