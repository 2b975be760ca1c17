"""The core model on transformers' InternVL classes: the same code from sage-nano to InternVL3-8B."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer, InternVLConfig, InternVLForConditionalGeneration, InternVLModel
from transformers import initialization as init
from transformers.configuration_utils import SubConfigSpec
from transformers.conversion_mapping import get_checkpoint_conversion_mapping, register_checkpoint_conversion_mapping
from transformers.utils.generic import can_return_tuple

from agent.vlm.sfe import (
    COMPARISON,
    FACT,
    MARKS,
    REFERENCE,
    FactFusion,
    Layout,
    ZeroLinear,
    chosen_patches,
    fact_embeddings,
)

# Checkpoints of InternVL name their weights as its first release did; ours are read and written in the same way.
for _ours, _theirs in (("sage", "internvl"), ("SageModel", "InternVLModel")):
    register_checkpoint_conversion_mapping(_ours, get_checkpoint_conversion_mapping(_theirs), overwrite=True)


class SageConfig(InternVLConfig):
    """InternVL's configuration with any registered vision tower, ours by default, and with SFE where its marks have ids."""

    model_type = "sage"
    sub_configs_defaults = {  # noqa: RUF012 - declares what the base declares
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="qwen2"),
        "vision_config": SubConfigSpec(config_class=AutoConfig, model_type="sage_vision"),
    }
    fact_token_id: int | None = None
    """Of `<|fact|>`; None: the model has no fusion, and facts enter as words alone."""
    comparison_token_id: int | None = None
    reference_token_id: int | None = None
    distinct_patches: int = 16
    """Test patches that the fusion looks at, k of section 3.2."""
    fusion_heads: int = 4


class _BeginsAtZero:
    """Weight initialisation that leaves `ZeroLinear` layers at zero, also where a checkpoint lacks them."""

    def _init_weights(self, module: torch.nn.Module) -> None:
        super()._init_weights(module)  # type: ignore[misc]
        if isinstance(module, ZeroLinear):
            init.zeros_(module.weight)
            init.zeros_(module.bias)


class SageModel(_BeginsAtZero, InternVLModel):
    """Vision tower, projector, fusion of facts and patches, and language model."""

    config_class = SageConfig

    def __init__(self, config: SageConfig) -> None:
        super().__init__(config)
        if config.fact_token_id is not None:
            self.fact_fusion = FactFusion(config.get_text_config().hidden_size, config.fusion_heads)
        self.post_init()

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        mm_encoder_outputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """As of the base class; where the prompt holds facts and an image, with comparison embeddings at their marks.

        While generating, the image features come encoded (`mm_encoder_outputs`) with the prompt, and later steps hold
        neither images nor marks.
        """
        seen = pixel_values is not None or (mm_encoder_outputs or {}).get("image") is not None
        if not (seen and input_ids is not None and hasattr(self, "fact_fusion")):
            return super().forward(
                input_ids=input_ids,
                pixel_values=pixel_values,
                inputs_embeds=inputs_embeds,
                mm_encoder_outputs=mm_encoder_outputs,
                **kwargs,
            )
        looks = {name: kwargs.pop(name, None) for name in ("vision_feature_layer", "vision_feature_select_strategy")}
        if pixel_values is None:
            features = (mm_encoder_outputs or {})["image"].pooler_output
        else:
            features = self.get_image_features(pixel_values=pixel_values, return_dict=True, **looks).pooler_output
        words = self.get_input_embeddings()(input_ids)
        features = features.to(words.device, words.dtype)
        places = self.get_placeholder_mask(
            cast("torch.LongTensor", input_ids), inputs_embeds=words, image_features=features
        )
        outputs = super().forward(
            inputs_embeds=self.with_comparisons(input_ids, words.masked_scatter(places, features)), **kwargs
        )
        outputs.image_hidden_states = features
        return outputs

    def with_comparisons(self, input_ids: Tensor, embedded: Tensor) -> Tensor:
        """Add the comparison embedding of every fact at its closing mark.

        Args:
            input_ids: (B, T).
            embedded: (B, T, d), image features at their places.
        """
        config = self.config
        layout = Layout.of(
            input_ids,
            config.image_token_id,
            config.fact_token_id,
            config.comparison_token_id,
            config.reference_token_id,
        )
        if not layout.comparison.any():
            return embedded
        # The facts are read by a frozen encoder: the language model's own embeddings, without a gradient.
        facts = fact_embeddings(embedded.detach(), layout)
        patches, there = chosen_patches(embedded, layout, config.distinct_patches)
        if patches.shape[1] == 0:
            return embedded
        compared: Tensor = self.fact_fusion(facts, patches, there)
        number = (layout.comparison.cumsum(1) - 1).clamp(0, facts.shape[1] - 1)
        added = compared.gather(1, number.unsqueeze(-1).expand_as(embedded))
        return embedded + added * layout.comparison.unsqueeze(-1)


class SageForConditionalGeneration(_BeginsAtZero, InternVLForConditionalGeneration):
    """`SageModel` with a language-model head."""

    config_class = SageConfig

    def __init__(self, config: SageConfig) -> None:
        super().__init__(config)
        self.model = SageModel(config)
        self.post_init()

    @classmethod
    def from_internvl(
        cls, path: str | Path, *, distinct_patches: int = 16, fusion_heads: int = 4, **loading: Any
    ) -> Self:
        """Any InternVL checkpoint of transformers with fresh fusion weights, which change no logit until they are trained.

        Its tokenizer needs the three marks: `with_marks(AutoTokenizer.from_pretrained(path))`.

        Args:
            path: folder or id.
            distinct_patches: k of section 3.2.
            fusion_heads: of the fusion attention; divides the language model's width.
            loading: as for `from_pretrained`, such as `dtype` and `device_map`.
        """
        tokenizer = with_marks(AutoTokenizer.from_pretrained(path))
        ids = dict(zip(MARKS, tokenizer.convert_tokens_to_ids(list(MARKS)), strict=True))
        plain = InternVLConfig.from_pretrained(path)
        config = SageConfig(
            **{**plain.to_dict(), "vision_config": plain.vision_config, "text_config": plain.text_config},
            fact_token_id=ids[FACT],
            comparison_token_id=ids[COMPARISON],
            reference_token_id=ids[REFERENCE],
            distinct_patches=distinct_patches,
            fusion_heads=fusion_heads,
        )
        model: Self = cls.from_pretrained(path, config=config, use_safetensors=True, **loading)
        words: Any = model.get_input_embeddings()
        if len(tokenizer) > words.num_embeddings:
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        return model


def with_marks(tokenizer: Any) -> Any:
    """The tokenizer with the three marks of SFE as special tokens, each one id; the same where it has them."""
    tokenizer.add_special_tokens({"additional_special_tokens": list(MARKS)}, replace_extra_special_tokens=False)
    return tokenizer
