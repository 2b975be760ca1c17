"""Recipes: what is read, and what is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

import training
from training.recipe import RecipeError, parse, read

RECIPES = Path(training.__file__).parent / "recipes"


@dataclass
class Oven:
    heat: float = field(default=200.0)
    name: str = field(default="oven")
    trays: list[str] = field(default_factory=list)


@dataclass
class Cake:
    eggs: int = field()
    heat_proof: bool = field(default=False)

    def __post_init__(self) -> None:
        if self.eggs < 0:
            raise ValueError(f"eggs {self.eggs!r}: expected 0 or more")


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(RecipeError) as caught:
        call()
    line = str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert line.splitlines() == [line]
    return line


def test_a_recipe_fills_every_dataclass_and_leaves_defaults(recipe: Any) -> None:
    oven, cake = parse((Oven, Cake), recipe("eggs: 3\nheat: 180.5\ntrays: [a, b]\n"), [])
    assert oven == Oven(180.5, "oven", ["a", "b"])
    assert cake == Cake(3)


def test_overrides_come_after_the_file(recipe: Any) -> None:
    oven, cake = parse(
        (Oven, Cake), recipe("eggs: 3\n"), ["eggs=4", "heat_proof=true", "name=a=b", "trays=[x]", "eggs=5"]
    )
    assert (oven.name, oven.trays, cake) == ("a=b", ["x"], Cake(5, True))


@pytest.mark.parametrize(
    ("written", "number"),
    [("1e-4", 1e-4), ("2E3", 2000.0), ("-1e-4", -1e-4), ("0.002", 0.002), ("5", 5), ("1.5e+2", 150)],
)
def test_a_number_is_a_number_however_it_is_written(recipe: Any, written: str, number: float) -> None:
    """YAML 1.1 reads 1e-4 as text."""
    assert read(recipe(f"heat: {written}\n"), []) == {"heat": number}
    found = read(recipe(""), [f"heat={written}"])["heat"]
    assert found == number
    assert isinstance(found, (int, float))


def test_a_small_learning_rate_reaches_the_trainer(recipe: Any, tmp_path: Path) -> None:
    from transformers import TrainingArguments

    (run,) = parse(
        (TrainingArguments,), recipe("learning_rate: 1e-4\nuse_cpu: true\n"), [f"output_dir={tmp_path}", "max_steps=7"]
    )
    assert run.learning_rate == 1e-4
    assert run.max_steps == 7


def test_an_empty_recipe_is_all_defaults(recipe: Any) -> None:
    assert parse((Oven,), recipe(""), []) == (Oven(),)


def test_an_unknown_key_is_refused_by_name(recipe: Any) -> None:
    path = recipe("eggs: 3\nsugar: 1\n")
    line = refusal(lambda: parse((Oven, Cake), path, []))
    assert line.startswith(f"--config {str(path)!r}: ")
    assert "sugar" in line
    assert "salt" in refusal(lambda: parse((Oven, Cake), recipe("eggs: 3\n"), ["salt=1"]))


@pytest.mark.parametrize("override", ["eggs", "=3", "", "eggs:3", "eggs=[1,", "eggs={"])
def test_a_malformed_override_is_refused(recipe: Any, override: str) -> None:
    for call in (
        lambda: read(recipe("eggs: 3\n"), [override]),
        lambda: parse((Cake,), recipe("eggs: 3\n"), [override]),
    ):
        line = refusal(call)
        assert line.startswith(f"override {override!r}: expected key=value")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    for call in (lambda: read(path, []), lambda: parse((Oven,), path, [])):
        line = refusal(call)
        assert line.startswith(f"--config {str(path)!r}: not a readable YAML file")
        assert line.count("--config") == 1
        assert "training/recipes" in line


@pytest.mark.parametrize(
    "content", [b"eggs: [1,\n", b"eggs: 1\n\teggs: 2\n", b"\xff\xfeeggs", b"a: b: c", b"- a\n- b\n", b"text"]
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    assert refusal(lambda: read(path, [])).startswith(f"--config {str(path)!r}: ")


def test_a_folder_is_no_recipe(tmp_path: Path) -> None:
    assert "not a readable YAML file" in refusal(lambda: read(tmp_path, []))


def test_a_missing_value_and_a_refused_one_are_named(recipe: Any) -> None:
    assert "eggs" in refusal(lambda: parse((Oven, Cake), recipe("heat: 1\n"), []))
    assert "eggs -1: expected 0 or more" in refusal(lambda: parse((Cake,), recipe("eggs: -1\n"), []))


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.name)
def test_the_shipped_recipes_are_understood(path: Path, tmp_path: Path) -> None:
    from trl import ModelConfig, SFTConfig

    from training.edpo import EDPOConfig
    from training.edpo.arguments import EdpoArguments
    from training.encoder import EncoderArguments, TrainingArguments
    from training.kinds import KindsArguments
    from training.sfe.arguments import SfeArguments

    stages: dict[str, Any] = {
        "encoder": (EncoderArguments, TrainingArguments),
        "kinds": (KindsArguments, TrainingArguments),
        "sfe": (SfeArguments, ModelConfig, SFTConfig),
        "edpo": (EdpoArguments, ModelConfig, EDPOConfig),
    }
    types = stages[path.name.split("-")[0]]
    here = [f"output_dir={tmp_path}", "use_cpu=true", "bf16=false"]
    if "deepspeed" in path.name:
        pytest.importorskip("deepspeed")
    parsed = parse(types, path, here)
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    for key, value in given.items():
        if key not in ("output_dir", "report_to", "use_cpu", "bf16", "fsdp", "fsdp_config"):
            assert any(getattr(part, key, None) == value for part in parsed), key
