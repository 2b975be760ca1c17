"""The processor of models with a `SageVisionModel` tower: one square per image, no tiling."""

from __future__ import annotations

from transformers import InternVLProcessor


class SageProcessor(InternVLProcessor):
    """InternVL's processor, which otherwise insists on cutting every image into tiles."""

    images_kwargs = {"crop_to_patches": False}  # type: ignore[typeddict-unknown-key]  # noqa: RUF012 - overrides a class attribute of the base
