"""`sage-iad train`: the eye, the core model, their calibration, and what each part of the method is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent.cli_errors import make_folder, one_line_errors

train_app = typer.Typer(help="Train the models from recipes; needs the `train` extra.", no_args_is_help=True)

ablate_app = typer.Typer(
    help="What each part of the method is worth: trained with and without it.", no_args_is_help=True
)
train_app.add_typer(ablate_app, name="ablate")

Config = Annotated[Path, typer.Option(help="Recipe, a YAML file; see training/recipes.")]
Out = Annotated[Path, typer.Option(help="Folder of the runs, the table and the plot.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[key=value ...]", help="Values that take the place of the recipe's.")
]


@train_app.command("encoder")
def train_encoder(config: Config, overrides: Overrides = None) -> None:
    """Train the eye from drawn pairs; goes on from the last checkpoint of its output folder."""
    from training.recipe import RecipeError

    with one_line_errors(RecipeError, extra="train"):
        from training.encoder import train_encoder as train

        typer.echo(train(config, overrides or []))


@train_app.command("kinds")
def train_kinds(config: Config, overrides: Overrides = None) -> None:
    """Train what names the kind of defect in a close-up, from drawn defects; goes on from the last checkpoint.

    Example: sage-iad train kinds --config training/recipes/kinds-cpu.yaml
    """
    from training.recipe import RecipeError

    with one_line_errors(RecipeError, extra="train"):
        from training.kinds import train_kinds as train

        typer.echo(train(config, overrides or []))


@train_app.command("sfe")
def train_sfe(config: Config, overrides: Overrides = None) -> None:
    """Fine-tune the core model to answer from photos, facts and tool evidence; goes on from the last checkpoint.

    Several processes: accelerate launch -m agent train sfe --config FILE, or torchrun --nproc_per_node N -m agent train ...
    """
    from training.recipe import RecipeError

    with one_line_errors(RecipeError, extra="train"):
        from evals.drawn import DrawnLooks
        from evals.exam import Exam
        from training.sfe.train import train_sfe as train

        typer.echo(train(config, overrides or [], DrawnLooks, Exam))


@train_app.command("edpo")
def train_edpo(config: Config, overrides: Overrides = None) -> None:
    """Align the core model with ranked answers (AD-PL) by entropy-aware DPO; goes on from the last checkpoint.

    Example: sage-iad train edpo --config training/recipes/edpo-nano-cpu.yaml adpl=adpl/train.jsonl
    """
    from training.recipe import RecipeError

    with one_line_errors(RecipeError, extra="train"):
        from evals.drawn import DrawnLooks
        from evals.exam import Exam
        from training.edpo.train import train_edpo as train

        typer.echo(train(config, overrides or [], DrawnLooks, Exam))


@ablate_app.command("sfe")
def ablate_sfe(
    config: Config,
    out: Out,
    overrides: Overrides = None,
    cases: Annotated[int, typer.Option(help="Drawn cases of families held out of training to examine on.")] = 400,
) -> None:
    """Train without one part of SFE at a time, on equal data and steps, and compare; finished runs are kept.

    Example: sage-iad train ablate sfe --config training/recipes/sfe-nano-looking-cpu.yaml --out runs/ablation max_steps=200
    """
    from training.recipe import RecipeError

    make_folder(out)
    with one_line_errors(RecipeError, extra="train"):
        from evals.sfe_ablation import ablate_sfe as ablate

        typer.echo(ablate(config, overrides or [], out, cases))


@ablate_app.command("edpo")
def ablate_edpo(
    config: Config,
    out: Out,
    overrides: Overrides = None,
    held_out: Annotated[
        Path | None,
        typer.Option(help="AD-PL file to examine on; default: unseen_families.jsonl beside the recipe's data."),
    ] = None,
    records: Annotated[int, typer.Option(min=1, help="At most so many of its records, five questions each.")] = 200,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each way of training.")] = 3,
    arm: Annotated[list[str] | None, typer.Option(help="Only this way of training; may be given again.")] = None,
) -> None:
    """Compare E-DPO with supervised training, DPO, ODPO, MPO, and itself without each part; finished runs are kept.

    Example: sage-iad train ablate edpo --config training/recipes/edpo-nano-cpu.yaml --out runs/edpo-ablation max_steps=100
    """
    from evals.errors import EvalError
    from training.recipe import RecipeError

    make_folder(out)
    with one_line_errors(RecipeError, EvalError, extra="train"):
        from evals.edpo_ablation import ablate_edpo as ablate

        typer.echo(ablate(config, overrides or [], out, held_out, records, seeds, arm or []))


@train_app.command("calibrate")
def train_calibrate(
    eye: Annotated[Path, typer.Option(help="Folder of the trained encoder; gets calibration.json.")],
    model: Annotated[Path | None, typer.Option(help="Folder of the trained core model; gets fusion.json.")] = None,
    cases: Annotated[int, typer.Option(help="Drawn cases a setting.")] = 600,
) -> None:
    """Turn distances into scores and blend them with the model's, both fitted on drawn cases."""
    with one_line_errors(OSError, extra="train"):
        from evals.drawn import calibrate_eye, calibrate_fusion

        calibrate_eye(eye, cases)
        if model is not None:
            calibrate_fusion(eye, model, cases)
