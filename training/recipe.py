"""A recipe: a YAML file and `key=value` overrides, read into the dataclasses of an entry point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


class RecipeError(ValueError):
    """A recipe or an override that cannot be used."""


def read(config: Path, overrides: list[str]) -> dict[str, Any]:
    """The values of a recipe file with the overrides applied.

    Raises:
        RecipeError: unreadable file or malformed override.
    """
    try:
        values = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())
        raise RecipeError(
            f"--config {str(config)!r}: not a readable YAML file ({why}); see training/recipes"
        ) from error
    if not isinstance(values, dict):
        raise RecipeError(f"--config {str(config)!r}: expected `key: value` lines, found {type(values).__name__}")
    for override in overrides:
        key, sign, value = override.partition("=")
        if not sign or not key:
            raise RecipeError(f"override {override!r}: expected key=value, such as learning_rate=1e-4")
        try:
            values[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise RecipeError(
                f"override {override!r}: expected key=value with a value in YAML, such as [a, b]"
            ) from error
    # YAML 1.1 reads 1e-4 as text; the dataclasses want the number.
    for key, value in values.items():
        if isinstance(value, str):
            try:
                values[key] = float(value)
            except ValueError:
                continue
    return values


def parse(types: Any, config: Path, overrides: list[str]) -> tuple[Any, ...]:
    """Fill one dataclass of each of `types` from a recipe; a key that fits none is an error.

    Raises:
        RecipeError: as `read`, and for an unknown key or a value its dataclass refuses.
    """
    from transformers import HfArgumentParser

    values = read(config, overrides)
    try:
        return tuple(HfArgumentParser(types).parse_dict(values, allow_extra_keys=False))
    except (ValueError, TypeError, ImportError) as error:  # the last: a package that a setting needs, such as deepspeed
        raise RecipeError(f"--config {str(config)!r}: {' '.join(str(error).split())}") from error
