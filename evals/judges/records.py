"""AD-PL records of a file, all of them sound."""

from __future__ import annotations

from pathlib import Path

from evals.errors import EvalError
from training.adpl import PreferenceRecord
from training.adpl_file import AdplFault, read_adpl


def read_records(path: Path | str, images: Path | None = None) -> list[PreferenceRecord]:
    """Read a JSON array of records, or JSON lines.

    Args:
        path: of the file.
        images: folder of the images; where given, each image must be there, and each mask must fit its photo.

    Raises:
        EvalError: a fault in the file; one bad record would shift the numbers of all that follow.
    """
    read = list(read_adpl(Path(path), images))
    faults = [one for one in read if isinstance(one, AdplFault)]
    if faults:
        raise EvalError(
            f"data {str(path)!r}: {faults[0]}; expected AD-PL records, {len(faults)} faults in all; "
            "`sage-iad data check` lists them"
        )
    return [one for one in read if isinstance(one, PreferenceRecord)]
