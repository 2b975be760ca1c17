"""What a recipe of `train sfe` can set, beside TRL's `SFTConfig` and `ModelConfig`."""

from __future__ import annotations

from dataclasses import dataclass, field

from training.text import USUAL


@dataclass
class SfeArguments:
    """Data, a new model's sizes, and the parts of SFE; the model to start from and its adapters are TRL's `ModelConfig`."""

    eye: str | None = field(default=None, metadata={"help": "Folder of the trained encoder; none: the shipped one."})
    adpl: str | None = field(default=None, metadata={"help": "AD-PL file to learn from, in place of drawn cases."})
    images_dir: str | None = field(default=None, metadata={"help": "Folder of its photos; none: the file's own."})
    seed_of_drawing: int = field(
        default=5_000_000, metadata={"help": "Seed of the drawn cases, apart from the encoder's."}
    )
    cases: int = field(default=8000, metadata={"help": "Cases to draw; kept in CASES_DIR and used again."})
    cases_dir: str = field(default="runs/cases", metadata={"help": "Folder of the drawn cases."})
    drawing_processes: int = field(default=2, metadata={"help": "Processes that draw."})
    images: bool = field(
        default=True, metadata={"help": "False: text alone, to learn to read evidence and facts before looking."}
    )
    tasks: list[str] = field(
        default_factory=lambda: list(USUAL),
        metadata={
            "help": "Which kinds of rows to learn; `copy`, `hear` and `find`, for a small model from nothing, only where they are named."
        },
    )
    tasks_without_images: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Of these, told without photos, which takes a third of the time, though others are told with them."
        },
    )
    tellings: int = field(default=1, metadata={"help": "How often the text of each drawn case is written anew."})
    exam_cases: int = field(default=0, metadata={"help": "Drawn cases of the validation split to judge by; 0: none."})
    exam_dir: str = field(default="runs/exam", metadata={"help": "Folder of the cases to judge by."})
    remembered: int = field(
        default=0,
        metadata={
            "help": "Photos whose frozen features are kept in memory, not computed again: 200 KB each for sage-nano."
        },
    )
    facts: bool = field(default=True, metadata={"help": "Facts in the prompt, as words."})
    fusion: bool = field(default=True, metadata={"help": "Comparison embeddings at facts and question."})
    fusion_trained: bool = field(
        default=True,
        metadata={
            "help": "False: the fusion stays as it is, so that other tasks do not drown what it says of defects."
        },
    )
    references: bool = field(default=True, metadata={"help": "Normal references before the model."})
    distinct_patches: int | None = field(
        default=None,
        metadata={"help": "Test patches the fusion looks at, k of the paper; none: the model's own, or 16."},
    )
    tiles: int | None = field(
        default=None, metadata={"help": "Most tiles of a photo; none: as the model is used to, 6 for a plain InternVL."}
    )
    tokenizer_cases: int = field(default=300, metadata={"help": "A new model: cases its tokenizer is trained on."})
    vocabulary: int = field(default=3072, metadata={"help": "A new model: size of its tokenizer."})
    width: int = field(default=256, metadata={"help": "A new model: hidden size of its language model."})
    layers: int = field(default=5, metadata={"help": "A new model: layers of its language model."})
    heads: int = field(default=4, metadata={"help": "A new model: attention heads."})
    ratio: float = field(
        default=0.25, metadata={"help": "A new model: pixel-shuffle ratio: 28 x 28 patches become 7 x 7 tokens."}
    )


OF_A_NEW_MODEL = ("tokenizer_cases", "vocabulary", "width", "layers", "heads", "ratio")
