"""The core model on transformers' InternVL classes: the same code from sage-nano to InternVL3-8B."""

from __future__ import annotations

from transformers import AutoConfig, InternVLConfig, InternVLForConditionalGeneration, InternVLModel
from transformers.configuration_utils import SubConfigSpec


class SageConfig(InternVLConfig):
    """InternVL's configuration with any registered vision tower, ours by default."""

    model_type = "sage"
    sub_configs_defaults = {  # noqa: RUF012 - declares what the base declares
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="qwen2"),
        "vision_config": SubConfigSpec(config_class=AutoConfig, model_type="sage_vision"),
    }


class SageModel(InternVLModel):
    """Vision tower, projector and language model."""

    config_class = SageConfig


class SageForConditionalGeneration(InternVLForConditionalGeneration):
    """`SageModel` with a language-model head."""

    config_class = SageConfig

    def __init__(self, config: SageConfig) -> None:
        super().__init__(config)
        self.model = SageModel(config)
        self.post_init()
