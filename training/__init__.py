"""Data, drawn and ranked, and the training of the models."""

import os

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # before anything imports the hub's client: TRL reports its use
