"""sage-nano from nothing: its tokenizer, its processor and a model with random weights around a trained eye."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast, Qwen2Config
from transformers.models.got_ocr2.image_processing_got_ocr2 import GotOcr2ImageProcessor
from transformers.models.internvl.video_processing_internvl import InternVLVideoProcessor

from agent.vlm.modeling import SageConfig, SageForConditionalGeneration
from agent.vlm.processing import SageProcessor
from agent.vlm.prompt import DECLINED
from agent.vlm.sfe import CLOSE_UP, COMPARISON, FACT, MARKS, REFERENCE
from agent.vlm.tool_calls import tool_call_text
from agent.vlm.vision import SageVisionModel

IMAGE, START_IMAGE, END_IMAGE, VIDEO = "<IMG_CONTEXT>", "<img>", "</img>", "<video>"
PAD, END, START_TURN = "<|pad|>", "<|im_end|>", "<|im_start|>"
ALIASES = [f"[F{i}]" for i in range(1, 17)] + [f"[E{i}]" for i in range(1, 13)]
"""Citations are one token each, so that the model chooses an id as it chooses a word."""


def said_in_one() -> list[str]:
    """What is one token each, so that to call a tool, and which, or to decline is one choice: the first word of a reply.

    Spelled out, a call would be fifty tokens of which three say something, and what they say is learnt last.
    """
    places = [tool_call_text(tool, {"where": "|"}).split("|")[0] for tool in ("zoom", "measure", "compare")]
    person, end = tool_call_text("ask_person", {"question": "|"}).split("|")
    query = tool_call_text("query_facts", {"query": "|", "defect_types": ["|"]}).split("|")
    of_all = tool_call_text("query_facts", {"query": "|", "defect_types": []}).split("|")[1]
    return [*places, person, end, *query, of_all, tool_call_text("similar_cases", {}), DECLINED]


# The system message of larger models is left out: this model is trained on these prompts and needs no explanation.
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] != 'system' %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<IMG_CONTEXT>\n{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of our own, digits one by one so that numbers can be copied."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    special = [PAD, END, START_TURN, IMAGE, START_IMAGE, END_IMAGE, VIDEO, *MARKS]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"\d|[^\S\n]?[A-Za-z]+|[^\sA-Za-z\d]+|\s+"), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(alias, normalized=False) for alias in [*ALIASES, *said_in_one()]])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        extra_special_tokens={
            "start_image_token": START_IMAGE,
            "end_image_token": END_IMAGE,
            "context_image_token": IMAGE,
            "video_token": VIDEO,
        },
    )


def build_processor(tokenizer: PreTrainedTokenizerFast, side: int, image_tokens: int) -> SageProcessor:
    """Images squashed to (side, side) in -1..1, `image_tokens` placeholders each."""
    images = GotOcr2ImageProcessor(
        size={"height": side, "width": side},
        crop_to_patches=False,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        resample=2,
    )
    return SageProcessor(
        images, tokenizer, InternVLVideoProcessor(), image_seq_length=image_tokens, chat_template=CHAT_TEMPLATE
    )


def build_model(
    eye: SageVisionModel,
    tokenizer: PreTrainedTokenizerFast,
    *,
    width: int,
    layers: int,
    heads: int,
    ratio: float,
    seed: int,
) -> SageForConditionalGeneration:
    """A model of the InternVL family around the trained eye; projector and language model have random weights."""
    cells = eye.config.image_size // eye.stride
    text = Qwen2Config(
        vocab_size=-(-len(tokenizer) // 64) * 64,
        hidden_size=width,
        intermediate_size=(8 * width // 3 + 63) // 64 * 64,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=max(1, heads // 2),
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config = SageConfig(
        vision_config=eye.config,
        text_config=text,
        image_token_id=tokenizer.vocab[IMAGE],
        image_seq_length=round(cells * ratio) ** 2,
        downsample_ratio=ratio,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=True,
        fact_token_id=tokenizer.vocab[FACT],
        comparison_token_id=tokenizer.vocab[COMPARISON],
        reference_token_id=tokenizer.vocab[REFERENCE],
        close_up_token_id=tokenizer.vocab[CLOSE_UP],
    )
    eye.config.name_or_path = ""  # Where the eye was read from is nobody's business.
    torch.manual_seed(seed)
    model = SageForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(eye.state_dict())
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def shipped(name: str) -> Path:
    """Folder of weights inside the package: `sage-nano` or `sage-eye`."""
    return Path(__file__).parent / "weights" / name
