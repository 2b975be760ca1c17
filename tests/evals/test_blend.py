"""The blend of detector and model that drawn cases ask for."""

from __future__ import annotations

import numpy as np
import pytest

from agent.fusion import Fusion, logit
from evals.drawn import blend_of

RNG = np.random.default_rng(0)
LABEL = RNG.random(400) < 0.5
SIDE = np.where(LABEL, 1.0, -1.0)


def noisy(strength: float, offset: float = 0.0) -> np.ndarray:
    return strength * SIDE + offset + RNG.normal(0, 1, len(SIDE))


def test_a_model_that_is_never_undecided_at_a_half_is_heard_where_it_is() -> None:
    blend = blend_of(np.stack([noisy(0.8), noisy(0.8, offset=2.0)], 1), LABEL)
    assert logit(blend.vlm_threshold) == pytest.approx(2.0, abs=0.3)
    assert blend.vlm == pytest.approx(blend.detector, rel=0.4)
    assert blend.fuse(0.5, blend.vlm_threshold) == pytest.approx(0.5)
    assert blend.heard(blend.vlm_threshold) == pytest.approx(0.5)


@pytest.mark.parametrize("strength", [-0.8, 0.0])
def test_a_model_that_misleads_or_says_nothing_has_next_to_no_part(strength: float) -> None:
    blend = blend_of(np.stack([noisy(1.5), noisy(strength)], 1), LABEL)
    assert blend.vlm <= 0.1 * blend.detector
    if strength < 0:
        assert blend == Fusion(1.0, 0.0)
