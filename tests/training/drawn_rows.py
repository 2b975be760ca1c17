"""Rows of kept cases, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def rows_of(folder: Path, **more: Any) -> Iterator[dict[str, Any]]:
    from training.sfe.rows import Telling, rows
    from training.text import USUAL

    settings: dict[str, Any] = {
        "seed": 6, "telling": Telling(True, USUAL, 1), "batch": 2, "skip": 0, "shards": [0], "streams": 2,
    }  # fmt: skip
    return rows(str(folder), **(settings | more))
