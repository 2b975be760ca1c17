"""Judges of answers: by rules from the truth, and by a model; and what shows whether they can be trusted."""
