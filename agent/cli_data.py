"""`sage-iad data`: make, check, describe, score and rank preference data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from agent.cli_errors import make_folder, one_line_errors, stop
from agent.cli_rank import rank_app

data_app = typer.Typer(help="Preference data: image pairs, questions, ranked answers.", no_args_is_help=True)
data_app.add_typer(rank_app, name="rank")


@data_app.command("check")
def data_check(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="AD-PL as a JSON array or JSON lines.")],
    images: Annotated[Path | None, typer.Option(help="Folder of the images: each one named must be there.")] = None,
) -> None:
    """Check AD-PL files; each fault is one line with its place: record, question, answer. Exit code 2 if there is one.

    Example: sage-iad data check adpl.json --images photos
    """
    from agent.home import default_home
    from knowledge import FactStore
    from training.adpl_file import AdplFault, read_adpl

    with one_line_errors():
        facts = {fact.id for fact in FactStore(default_home() / "facts").list()}
    faults, seen = 0, dict[str, str]()
    for path in paths:
        records = 0
        for read in read_adpl(path, images, facts, seen):
            if isinstance(read, AdplFault):
                faults += 1
                typer.echo(f"sage-iad: {path}: {read}", err=True)
            else:
                records += 1
        typer.echo(f"{path}: {records} good records")
    if faults:
        raise typer.Exit(2)


@data_app.command("make")
def data_make(
    out: Annotated[Path, typer.Option(help="Folder to make; a run that was stopped goes on there.")],
    pairs: Annotated[
        int, typer.Option(help="Image pairs, five questions each; 5683 is the size of the published set.")
    ] = 5683,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and version give the same bytes.")] = 0,
    size: Annotated[int, typer.Option(help="Side of the photos in pixels.")] = 256,
    aligned: Annotated[
        float, typer.Option(min=0, max=1, help="Share of pairs taken by a fixture that holds the part still.")
    ] = 0.15,
    processes: Annotated[int | None, typer.Option(min=1, help="How many work at once; default: one a core.")] = None,
    with_sheets: Annotated[bool, typer.Option("--sheet", help="Contact sheets to look at, one a family.")] = False,
) -> None:
    """Draw preference data: image pairs, masks, questions, ranked answers, in splits held out by family and by defect.

    Example: sage-iad data make --pairs 200 --out adpl --sheet
    """
    from training.make import MakeError, Order, make, write_sheets

    with one_line_errors(MakeError, OSError), typer.progressbar(length=pairs, label="making", file=sys.stderr) as bar:
        for done in make(Order(pairs, seed, size, aligned), out, processes):
            bar.update(done - bar.pos)
    if with_sheets:
        with one_line_errors(OSError):
            sheets = write_sheets(out)
        typer.echo(f"{len(sheets)} contact sheets in {out / 'sheets'}")
    typer.echo(
        f"{pairs} image pairs, {5 * pairs} questions in {out}; `sage-iad data check {out}/*.jsonl --images {out}` checks them"
    )


@data_app.command("answers")
def data_answers(
    out: Annotated[Path, typer.Option(help="Folder for SPLIT.jsonl, its photos and masks.")],
    model: Annotated[
        str | None, typer.Option(help="Folder of a core model of this package; default: the embedded sage-nano.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="Of the drawn world: train, validation, unseen_families or unseen_defects.")
    ] = "train",
    cases: Annotated[int, typer.Option(min=1, help="Cases to draw; about half have a reference and are used.")] = 600,
    draws: Annotated[int, typer.Option(min=3, help="Answers drawn to a question; three that differ are kept.")] = 6,
    temperature: Annotated[float, typer.Option(min=0.01, help="Higher gives answers that differ more.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of cases and answers.")] = 0,
) -> None:
    """Rank a model's own answers to questions about drawn cases, for `train edpo`; what was drawn says how good each is.

    Example: sage-iad data answers --out runs/answers && sage-iad data answers --out runs/answers --split unseen_families --cases 200
    """
    from training.draw.splits import SPLITS

    if split not in SPLITS:
        stop(f"--split {split!r}: expected one of {', '.join(SPLITS)}")
    make_folder(out)
    from agent.images import InputError
    from evals import EvalError
    from training.recipe import RecipeError

    with one_line_errors(EvalError, InputError, RecipeError, OSError, extra="train"):
        from evals.own_answers import answer_drawn_cases

        file, records, left_out = answer_drawn_cases(
            model, out, split=split, cases=cases, draws=draws, temperature=temperature, seed=seed
        )
    typer.echo(
        f"{file}: {records} records, five questions each; {left_out} cases are left out, some question had too few different answers"
    )


@data_app.command("stats")
def data_stats(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="AD-PL as a JSON array or JSON lines.")],
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images of all files; default: looked for beside each file.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for plots, PNG; none are made without it.")] = None,
) -> None:
    """Count what AD-PL files hold, and look for leaks between them and for cues that give the ranking away.

    Example: sage-iad data stats adpl/train.jsonl adpl/validation.jsonl --out plots
    """
    with one_line_errors(OSError, extra="train"):
        make_folder(out)
        from training.stats_report import data_stats as report

        faults = report(paths, images, out)
    for fault in faults:
        typer.echo(f"sage-iad: {fault}", err=True)
    if faults:
        raise typer.Exit(2)


@data_app.command("score")
def data_score(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="AD-PL as a JSON array or JSON lines.")],
    out: Annotated[Path, typer.Option(help="File to write, JSON lines; another than FILE.")],
    by: Annotated[
        str,
        typer.Option(
            metavar="reference|MODEL|reward:MODEL",
            help="`reference`: rules, for records with marked defects. MODEL: a chat model that judges: an id, a folder, or "
            "http://HOST/v1[#NAME]; reads words, among them the answer ranked first. reward:MODEL: folder or id of a reward "
            "model of transformers, one label, in safetensors; reads question and answer as text alone, no photo.",
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option(help="Folder that the photos are below; judges need it for marked defects, reward models do not."),
    ] = None,
) -> None:
    """Have an evaluator score every ranked answer, as E-DPO needs it: its `reward`, higher is better; ranks stay.

    A judge's reward is MLE, 1 to 5; a reward model's is its logit. A question with an answer that cannot be scored gets no
    rewards and is listed.

    Example: sage-iad data score adpl/train.jsonl --images adpl --by reference --out scored.jsonl
    """
    from evals import EvalError

    with one_line_errors(EvalError, OSError, extra="eval"):
        if out.is_dir() or (out.exists() and out.samefile(file)):
            stop(f"--out {str(out)!r}: is {'a folder' if out.is_dir() else 'the input'}; name another file")
        make_folder(out.parent)
        from evals.files import write_whole
        from evals.judges.records import read_records
        from evals.rewards import evaluator_named, reward

        records = read_records(file, images)
        evaluator = evaluator_named(by, records, images)
        with typer.progressbar(records, label="scoring", file=sys.stderr) as shown:
            found = reward(shown, evaluator)
        write_whole(out, "".join(f"{line}\n" for line in found.lines))
    for fault in found.unscored:
        typer.echo(f"sage-iad: {file}: {fault}", err=True)
    typer.echo(
        f"{out}: {found.scored} questions scored, {len(found.unscored)} not; in {found.other_best} the best answer by "
        f"{evaluator.name} is not the one ranked first"
    )
