"""Models of this project on transformers; importing it registers them with the Auto classes (and loads torch)."""

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageClassification,
    AutoModelForImageTextToText,
    AutoProcessor,
)

from agent.vlm.eye import Eye
from agent.vlm.kinds import Kinds, SageVisionForImageClassification
from agent.vlm.modeling import SageConfig, SageForConditionalGeneration, SageModel
from agent.vlm.processing import SageProcessor
from agent.vlm.sfe import distinct_patches
from agent.vlm.vision import SageVisionConfig, SageVisionModel

AutoConfig.register("sage_vision", SageVisionConfig, exist_ok=True)
AutoConfig.register("sage", SageConfig, exist_ok=True)
AutoModel.register(SageVisionConfig, SageVisionModel, exist_ok=True)
AutoModel.register(SageConfig, SageModel, exist_ok=True)
AutoModelForImageClassification.register(SageVisionConfig, SageVisionForImageClassification, exist_ok=True)
AutoModelForImageTextToText.register(SageConfig, SageForConditionalGeneration, exist_ok=True)
AutoProcessor.register(SageConfig, SageProcessor, exist_ok=True)

__all__ = [
    "Eye",
    "Kinds",
    "SageConfig",
    "SageForConditionalGeneration",
    "SageModel",
    "SageProcessor",
    "SageVisionConfig",
    "SageVisionForImageClassification",
    "SageVisionModel",
    "distinct_patches",
]
