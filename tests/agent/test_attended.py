"""Where facts looked: on the right place of the photo, tiles and close-ups included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from agent.vlm.attended import SIDE, _cells, attended


def test_tokens_lie_where_their_tiles_lie() -> None:
    one = _cells([5, 6, 7, 8], 4, 1.0)
    assert one == {5: (0, 0, 0.5, 0.5), 6: (0.5, 0, 1, 0.5), 7: (0, 0.5, 0.5, 1), 8: (0.5, 0.5, 1, 1)}
    # Six tiles and the whole of a wide photo: three columns, two rows.
    wide = _cells(list(range(28)), 4, 1.5)
    assert wide[0] == pytest.approx((0, 0, 1 / 6, 1 / 4))
    assert wide[4 * 2 + 3] == pytest.approx((5 / 6, 1 / 4, 1, 1 / 2))  # the last token of the third tile
    assert wide[4 * 5] == pytest.approx((2 / 3, 1 / 2, 5 / 6, 3 / 4))
    assert wide[24] == (0, 0, 0.5, 0.5)  # the whole photo comes last
    upright = _cells(list(range(28)), 4, 0.66)
    assert upright[4] == pytest.approx((1 / 2, 0, 3 / 4, 1 / 6))


@pytest.fixture
def sighted(tiny_internvl: Path) -> Any:
    from agent.vlm import SageForConditionalGeneration, SageProcessor
    from agent.vlm.chat import TransformersChat

    torch.manual_seed(0)
    model = SageForConditionalGeneration.from_internvl(tiny_internvl, distinct_patches=1, fusion_heads=2).eval()
    return TransformersChat(model=model, processor=SageProcessor.from_internvl(tiny_internvl, tiles=1))


def asked(*images: Image.Image, labels: tuple[str, ...], text: str) -> Any:
    from langchain_core.messages import HumanMessage

    from agent.vlm.chat import image_block

    content: list[Any] = []
    for label, image in zip(labels, images, strict=True):
        content += [{"type": "text", "text": label}, image_block(image)]
    return [HumanMessage([*content, {"type": "text", "text": text}])]


TEXT = "Facts:\n<data>\n[F1] scratch defect: A fine line.\n[F2] object: A plate.\n</data>\nQuestion: Is it fine?"


def test_each_fact_and_the_question_have_a_map_over_the_photo(sighted: Any) -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (56, 56, 3), dtype=np.uint8))
    maps = sighted.attended(asked(photo, labels=("Test image:",), text=TEXT), None)
    assert len(maps) == 3
    for seen in maps:
        # One patch of four is looked at, and nothing else.
        assert seen.shape == (SIDE, SIDE)
        assert set(np.unique(seen)) == {0.0, 1.0}
        assert (seen > 0).mean() == pytest.approx(0.25)


def test_what_a_fact_saw_in_a_close_up_is_drawn_where_the_close_up_was_taken(sighted: Any) -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (56, 56, 3), dtype=np.uint8))
    message = asked(photo, photo, labels=("Test image:", "Close-up:"), text=TEXT)
    seen = sighted.attended(message, (0.5, 0.5, 1.0, 1.0))[0]
    assert (seen[SIDE // 2 :, SIDE // 2 :] > 0).all()
    left_out = sighted.attended(message, None)[0]
    assert (left_out > 0).mean() == pytest.approx(0.25)


def test_a_model_without_fusion_or_a_prompt_without_a_photo_has_none(sighted: Any) -> None:
    photo = Image.new("RGB", (56, 56))
    inputs = dict(sighted.inputs(asked(photo, labels=("Test image:",), text=TEXT))[1])
    assert len(attended(sighted.model, inputs, 1.0)) == 3
    assert attended(sighted.model, {"input_ids": inputs["input_ids"]}, 1.0) == []
    sighted.model.without_fusion()
    assert attended(sighted.model, inputs, 1.0) == []
