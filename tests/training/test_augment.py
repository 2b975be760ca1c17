"""What happens to drawn cases before the eye sees them: in range, in the right place, and with true labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")


def photos(*shape: int) -> Any:
    torch.manual_seed(0)
    return torch.rand(*shape) * 2 - 1


def test_jitter_stays_in_range_and_keeps_what_is_where() -> None:
    from training.augment import jitter

    photo = photos(4, 3, 16, 16)
    out = jitter(photo)
    assert out.shape == photo.shape
    assert -1 <= float(out.min()) <= float(out.max()) <= 1
    for before, after in zip(photo, out, strict=True):
        assert np.corrcoef(before.flatten(), after.flatten())[0, 1] > 0.6


def test_restyling_is_one_draw_a_case() -> None:
    from training.augment import restyle

    case = photos(6, 1, 3, 8, 8).expand(6, 3, 3, 8, 8)
    out = restyle(case)
    assert out.shape == case.shape
    assert -1 <= float(out.min()) <= float(out.max()) <= 1
    assert torch.equal(out[:, 0], out[:, 1]), "photos that were alike stay alike"
    assert not torch.allclose(out, case, atol=0.05)


def test_what_is_pasted_is_labelled_and_nothing_else_changes() -> None:
    from training.augment import paste_defects

    test, none = photos(32, 3, 64, 64), torch.zeros(32, 64, 64, dtype=torch.bool)
    out, mask = paste_defects(test, none, 1.0)
    changed = (out - test).abs().amax(1) > 0.12
    assert mask.flatten(1).any(1).sum() > 8, "most photos get a spot that can be seen"
    assert torch.all(changed[mask]), "what is labelled can be seen"
    grown = torch.nn.functional.max_pool2d(mask[:, None].float(), 5, 1, 2)[:, 0] > 0
    assert (changed & ~grown).float().mean() < 0.01, "what can be seen is labelled, but for its rim"
    untouched = ~mask.flatten(1).any(1)
    assert torch.equal(out[untouched], test[untouched])
    same, still_none = paste_defects(test, none, 0.0)
    assert torch.equal(same, test)
    assert not still_none.any()


def test_reframing_moves_photo_and_mask_together() -> None:
    from training.augment import reframe

    torch.manual_seed(0)
    mask = torch.zeros(16, 64, 64, dtype=torch.bool)
    mask[:, 20:36, 30:42] = True
    x = torch.where(mask[:, None, None], 1.0, -1.0).expand(16, 3, 3, 64, 64)
    still = torch.ones(16, dtype=torch.bool)
    out, moved = reframe(x, mask, still, still)
    inside = (out[:, 0, 0] > 0) == moved
    assert inside.float().mean() > 0.99
    assert torch.allclose(out[:, 0], out[:, 1]), "photos of a still station agree pixel by pixel"
    loose, _ = reframe(x, mask, still, ~still)
    assert not torch.allclose(loose[:, 0], loose[:, 1])
    assert moved.any()
