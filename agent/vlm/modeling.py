"""The core model on transformers' InternVL classes: the same code from sage-nano to InternVL3-8B."""

from __future__ import annotations

import math
from os import PathLike
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
    CLOSE_UP,
    COMPARISON,
    FACT,
    MARKS,
    REFERENCE,
    FactFusion,
    Layout,
    Patches,
    ZeroLinear,
    chosen_patches,
    fact_embeddings,
    sharpnesses,
    with_marks,
)

# Checkpoints of InternVL name their weights as its first release did, and are read so.
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
    close_up_token_id: int | None = None
    distinct_patches: int = 16
    """Test patches that the fusion looks at, k of section 3.2."""
    fusion_heads: int = 4


class _BeginsAtZero:
    """Weight initialisation of the fusion, also where a checkpoint lacks it: its `ZeroLinear` stays at zero."""

    def _init_weights(self, module: torch.nn.Module) -> None:
        super()._init_weights(module)  # type: ignore[misc]
        if isinstance(module, ZeroLinear):
            init.zeros_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, FactFusion):
            init.copy_(module.sharpness, sharpnesses(module.heads))


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
        pictured = pixel_values is not None or (mm_encoder_outputs or {}).get("image") is not None
        if not (pictured and input_ids is not None and hasattr(self, "fact_fusion")):
            return super().forward(
                input_ids=input_ids,
                pixel_values=pixel_values,
                inputs_embeds=inputs_embeds,
                mm_encoder_outputs=mm_encoder_outputs,
                **kwargs,
            )
        looks = {name: kwargs.pop(name, None) for name in ("vision_feature_layer", "vision_feature_select_strategy")}
        if pixel_values is None:
            encoded = (mm_encoder_outputs or {})["image"]
        else:
            encoded = self.get_image_features(pixel_values=pixel_values, return_dict=True, **looks)
        embedded = self.embedded(input_ids, encoded)
        seen = self.patches_seen(encoded.last_hidden_state).to(embedded.device)
        outputs = super().forward(inputs_embeds=self.with_comparisons(input_ids, embedded, seen), **kwargs)
        outputs.image_hidden_states = encoded.pooler_output
        return outputs

    def embedded(self, input_ids: Tensor, encoded: Any) -> Tensor:
        """Word embeddings with the image features at their places, (B, T, d).

        Args:
            input_ids: (B, T).
            encoded: as `get_image_features` gives it.
        """
        words: Tensor = self.get_input_embeddings()(input_ids)
        features = encoded.pooler_output.to(words.device, words.dtype)
        places = self.get_placeholder_mask(
            cast("torch.LongTensor", input_ids), inputs_embeds=words, image_features=features
        )
        embedded: Tensor = words.masked_scatter(places, features)
        return embedded

    def patches_seen(self, hidden: Tensor) -> Tensor:
        """The vision encoder's features, grouped by the image tokens that they become.

        Args:
            hidden: (n, N, c), N a square number of patches, behind a class token where the encoder has one.

        Returns:
            (n · N / s, s, c), s patches to one image token.
        """
        side, per_token = math.isqrt(hidden.shape[1]), round(1 / self.config.downsample_ratio) ** 2
        grid = hidden[:, hidden.shape[1] - side**2 :].unflatten(1, (side, side))
        shuffled = self.pixel_shuffle(grid, scale_factor=self.config.downsample_ratio)
        seen: Tensor = shuffled.reshape(-1, per_token, hidden.shape[-1])
        return seen

    def with_comparisons(self, input_ids: Tensor, embedded: Tensor, seen: Tensor) -> Tensor:
        """Add the comparison embedding of every fact at its closing mark.

        Args:
            input_ids: (B, T).
            embedded: (B, T, d), image features at their places.
            seen: as `patches_seen` gives them.
        """
        compared = self.compared(input_ids, embedded, seen)
        if compared is None:
            return embedded
        layout, facts, patches = compared
        fused: Tensor = self.fact_fusion(
            facts, patches.features, patches.distinctness, patches.there, patches.referenced
        )
        number = (layout.comparison.cumsum(1) - 1).clamp(0, facts.shape[1] - 1)
        added = fused.to(embedded.device).gather(1, number.unsqueeze(-1).expand_as(embedded))
        return embedded + added * layout.comparison.unsqueeze(-1)

    def compared(self, input_ids: Tensor, embedded: Tensor, seen: Tensor) -> tuple[Layout, Tensor, Patches] | None:
        """What the fusion compares: where things stand, the facts (B, L, d), and the patches they are held against.

        Arguments as for `with_comparisons`. None where the prompts hold no fact, or no test image.
        """
        config = self.config
        layout = Layout.of(
            input_ids,
            config.image_token_id,
            config.fact_token_id,
            config.comparison_token_id,
            config.reference_token_id,
            config.close_up_token_id,
        )
        if not layout.comparison.any():
            return None
        # The text encoder is the language model's own word embeddings; no gradient reaches them through the facts.
        facts = fact_embeddings(embedded.detach(), layout)
        patches = chosen_patches(embedded, seen, layout, config.distinct_patches)
        return (layout, facts, patches) if patches.features.shape[1] else None


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

        Its tokenizer needs the marks: `with_marks(AutoTokenizer.from_pretrained(path))`.

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
            close_up_token_id=ids[CLOSE_UP],
            distinct_patches=distinct_patches,
            fusion_heads=fusion_heads,
        )
        model: Self = cls.from_pretrained(path, config=config, use_safetensors=True, **loading)
        words: Any = model.get_input_embeddings()
        if len(tokenizer) > (known := words.num_embeddings):
            model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
            with torch.no_grad():  # the same every time, since adapters are trained beside them and stored without them
                for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
                    rows: Any = cast("Any", layer).weight
                    rows[known:] = rows[:known].mean(0)
        return model

    def save_pretrained(self, save_directory: str | PathLike[Any], **kwargs: Any) -> None:  # type: ignore[override]  # passed on
        """As of the base class, but with the weights under the names of their modules: a trainer that goes on from a
        checkpoint loads by those, and would silently pass over InternVL's first names."""
        super().save_pretrained(save_directory, **{"save_original_format": False, **kwargs})

    def without_fusion(self) -> None:
        """Leave facts to be read as words alone: the fusion's weights are dropped, for good."""
        del self.model.fact_fusion
        self.config.fact_token_id = None
