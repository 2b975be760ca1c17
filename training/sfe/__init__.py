"""Fine-tuning of the core model with self-guided fact enhancement (SFE), on TRL."""
