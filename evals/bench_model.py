"""Speed of the core model by itself: reading a prompt, what the fusion adds to it, and writing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

TOKENS = 64
"""Written for the pace of writing."""


def model_figures(times: int = 5) -> dict[str, tuple[float, str]]:
    """Values and units: prefill of a one-shot prompt with ten facts, the share of it that the fusion takes (left out where a model
    has none), and tokens written a second.

    Medians of `times`; batch of one, the device the model is loaded on.
    """
    import numpy as np
    import torch
    from PIL import Image

    from agent.model import load_vlm
    from agent.vlm.prompt import VERDICT_QUESTION, NumberedFact, Views, question_text
    from knowledge.facts import shipped_pack

    vlm = load_vlm()
    chat: Any = vlm.chat
    model = chat.model
    facts = [NumberedFact(f"F{i}", f.kind, f.defect_type, f.text) for i, f in enumerate(shipped_pack().facts[:10], 1)]
    text = question_text(VERDICT_QUESTION, facts, [("E1", "Heat map (one-shot): score 0.93 (very high).")])
    photos = [Image.fromarray(np.random.default_rng(i).integers(0, 255, (224, 224, 3), np.uint8)) for i in range(3)]
    inputs = chat.inputs(vlm.messages(photos, Views(1, True), text))[1]
    ids = inputs["input_ids"]
    with torch.inference_mode():
        prefill = _median(lambda: model(**inputs, logits_to_keep=1), times)
        out = {"prefill_seconds": (prefill, "s")}
        if hasattr(model.model, "fact_fusion"):
            encoded = model.model.get_image_features(inputs["pixel_values"], return_dict=True)
            embedded = model.model.embedded(ids, encoded)

            def fuse() -> object:
                seen = model.model.patches_seen(encoded.last_hidden_state)
                return model.model.with_comparisons(ids, embedded, seen)

            out["fusion_share_of_prefill"] = (_median(fuse, times) / prefill, "of it")

        def write(most: int) -> float:
            return _median(
                lambda: model.generate(**inputs, max_new_tokens=most, min_new_tokens=most, do_sample=False), times
            )

        seconds = write(TOKENS) - write(1)
    out["decoded_tokens_per_second"] = ((TOKENS - 1) / seconds, "1/s")
    return out


def _median(work: Callable[[], object], times: int) -> float:
    work()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)
