"""What every refusal of the tools has in common."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tools.detector import DetectorError


def refusal(call: Callable[[], object]) -> str:
    """The one line with which a call is refused."""
    with pytest.raises(DetectorError) as caught:
        call()
    line = str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert line.splitlines() == [line]
    return line
