"""What a recipe of `train edpo` can set, beside `EDPOConfig` and TRL's `ModelConfig`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class EdpoArguments:
    """Data, and what the model is shown; the model to start from and its adapters are TRL's `ModelConfig`."""

    adpl: str | None = field(default=None, metadata={"help": "AD-PL file of ranked answers to learn from."})
    images_dir: str | None = field(
        default=None, metadata={"help": "Folder that the photos of both files lie below; none: each file's own."}
    )
    adpl_eval: str | None = field(default=None, metadata={"help": "AD-PL file to take the loss and the accuracies on."})
    facts: bool = field(default=True, metadata={"help": "Facts in the prompt, as words."})
    references: bool = field(default=True, metadata={"help": "Normal references before the model."})
    tiles: int | None = field(
        default=None, metadata={"help": "Most tiles of a photo; none: as the model is used to, 6 for a plain InternVL."}
    )
    remembered: int = field(
        default=0,
        metadata={
            "help": "Photos whose frozen features are kept in memory, not computed again: 200 KB each for sage-nano."
        },
    )
    eye: str | None = field(
        default=None, metadata={"help": "Folder of the trained encoder, for the exam's looks; none: the shipped one."}
    )
    exam_cases: int = field(default=0, metadata={"help": "Drawn cases of the validation split to judge by; 0: none."})
    exam_dir: str = field(default="runs/exam", metadata={"help": "Folder of the cases to judge by."})
    drawing_processes: int = field(default=2, metadata={"help": "Processes that draw them."})
