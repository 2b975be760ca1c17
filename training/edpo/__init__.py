"""Entropy-aware direct preference optimisation (E-DPO): the core model aligned with ranked answers, on TRL.

Source: Zang et al., ACM Multimedia 2025, section 3.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.edpo.method import edpo_loss, select_pairs, self_information

if TYPE_CHECKING:
    from training.edpo.trainer import EDPOConfig, EDPOTrainer

__all__ = ["EDPOConfig", "EDPOTrainer", "edpo_loss", "select_pairs", "self_information"]


def __getattr__(name: str) -> object:
    # Loaded on first use: TRL takes seconds, and the functions above need nothing of it.
    if name not in ("EDPOConfig", "EDPOTrainer"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from training.edpo import trainer

    return getattr(trainer, name)
