"""Where the agent keeps its state."""

from __future__ import annotations

import os
from pathlib import Path


def default_home() -> Path:
    """`$SAGE_HOME`, or the platform's folder for user data."""
    from platformdirs import user_data_dir

    return Path(os.environ.get("SAGE_HOME") or user_data_dir("sage-iad", appauthor=False))
