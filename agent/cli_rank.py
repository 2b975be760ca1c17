"""`sage-iad data rank`: answers sampled from a model, put in order or corrected by people, compared, written as AD-PL."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agent.cli_errors import one_line_errors, stop, user_errors

if TYPE_CHECKING:
    from training.rank.agreement import Estimate
    from training.rank.folder import RankFolder

rank_app = typer.Typer(help="Rankings by people: sample answers, put them in order, compare raters, export AD-PL.")

PairType = Literal["standard comparison", "defect identification", "defect diagnosis"]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder made by `data rank sample`.")]
Rater = Annotated[str, typer.Option(help="Who ranks; any name, always the same.")]


@rank_app.callback(invoke_without_command=True)
def rank(
    context: typer.Context,
    from_corrections: Annotated[
        bool,
        typer.Option(
            "--from-corrections",
            help="Write AD-PL of what persons corrected in sessions: their answer over the model's.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="With --from-corrections: JSON file to write; the photos go into a folder beside it."),
    ] = None,
    home: Annotated[
        Path | None, typer.Option(help="With --from-corrections: folder of the agent's state; default: $SAGE_HOME.")
    ] = None,
) -> None:
    """Rankings by people: sample answers, put them in order, compare raters, export AD-PL.

    Example: sage-iad data rank --from-corrections --out corrected.json
    """
    if context.invoked_subcommand is not None:
        if from_corrections or out or home:
            stop(
                f"--from-corrections, --out and --home go without a command, not before {context.invoked_subcommand!r}"
            )
    elif from_corrections and out is not None:
        from agent.cli_corrections import from_corrections as write

        write(out, home)
    elif from_corrections:
        stop("--from-corrections: --out is missing, expected the JSON file to write, such as --out corrected.json")
    elif out or home:
        stop("--out and --home: expected --from-corrections beside them, or a command such as `export` before them")
    else:
        typer.echo(context.get_help())


@rank_app.command("sample")
def rank_sample(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Photos of parts; paths are kept as given.")],
    reference: Annotated[Path, typer.Option(help="A normal photo of the same product.")],
    out: Annotated[Path, typer.Option(help="Folder for the candidates; pairs that are in it already are left alone.")],
    questions: Annotated[
        Path | None, typer.Option(help="Text file with five questions, one a line; default: five general ones.")
    ] = None,
    category: Annotated[
        str | None, typer.Option(help="Name of a fitted detector, or of a product family such as `weld` or `pcb`.")
    ] = None,
    domain: Annotated[
        str | None, typer.Option(help="Product, for the records; default: the category, given or found.")
    ] = None,
    pair_type: Annotated[PairType, typer.Option(help="Kind of questions, for the records.")] = "standard comparison",
    temperature: Annotated[float, typer.Option(help="Above 0; higher gives answers that differ more.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same answers on the same device.")] = 0,
    model: Annotated[
        str | None,
        typer.Option(
            help="Folder or id of a transformers model, or http://HOST/v1[#NAME]; default: the embedded sage-nano."
        ),
    ] = None,
) -> None:
    """Draw four answers that differ to each of five questions on every photo, as the agent would answer them.

    Example: sage-iad data rank sample parts/*.png --reference good.png --out ranking
    """
    import numpy as np

    from training.rank.folder import LETTERS, Pair, RankError, RankFolder
    from training.rank.sample import TRIES, sample_question

    if not 0 < temperature <= 10:
        stop(f"--temperature {temperature:g}: expected above 0 and at most 10, such as 1.0")
    asked = _questions(questions)
    folder, bad = RankFolder(out), 0
    with one_line_errors(RankError, OSError):
        known = {pair.id for pair in folder.pairs()}
        from agent.inspector import Inspector
        from agent.sample import gather

        inspector = Inspector.load(model)
    for image in images:
        try:
            id = _pair_id(image, reference)
            if id in known:
                typer.echo(f"{id}: is in {out} already")
                continue
            gathered = gather(inspector, image, reference=reference, category=category)
            drawn = []
            for number, question in enumerate(asked, 1):
                # From the pair's own name: what a pair is asked does not depend on which others were sampled before it.
                rng = np.random.default_rng([seed, *id.encode(), number])
                name = inspector.vlm.info.name
                drawn.append(sample_question(gathered, question, name=name, temperature=temperature, rng=rng))
            pair = Pair(
                id=id,
                test_image=image.as_posix(),
                reference_image=reference.as_posix(),
                domain=domain or gathered.report.category or "unknown",
                pair_type=pair_type,
                facts={fact.id: fact.text for fact in gathered.facts},
                evidence=gathered.evidence,
                questions=drawn,
            )
            with one_line_errors(OSError):
                folder.add_pair(pair)
            known.add(id)
        except user_errors() as error:
            bad += 1
            typer.echo(f"sage-iad: {' '.join(str(error).split())}", err=True)
            continue
        typer.echo(f"{id}: {sum(len(question.candidates) for question in pair.questions)} answers")
        for number, sampled in enumerate(pair.questions, 1):
            if (count := len(sampled.candidates)) < len(LETTERS):
                typer.echo(
                    f"{id}:{number} stays open: {TRIES} draws gave {count} of {len(LETTERS)} answers that differ; write the "
                    "others when ranking, or sample into a new folder at a higher --temperature"
                )
    if bad:
        raise typer.Exit(2)
    typer.echo(f"next: sage-iad data rank order {out} --rater NAME")


def _questions(path: Path | None) -> list[str]:
    from training.adpl import QUESTIONS
    from training.rank.sample import DEFAULT_QUESTIONS

    if path is None:
        return list(DEFAULT_QUESTIONS)
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        stop(f"--questions {str(path)!r}: cannot be read ({error}); expected a text file with a question a line")
    if len(lines) != QUESTIONS or len(set(lines)) != QUESTIONS:
        stop(
            f"--questions {str(path)!r}: holds {len(lines)} questions, {len(set(lines))} different, expected exactly {QUESTIONS}"
        )
    return lines


def _pair_id(image: Path, reference: Path) -> str:
    """Name of a pair: the photo's, with a digest of both pictures."""
    from agent.images import load_image

    digests = load_image(image).sha256 + load_image(reference, argument="--reference").sha256
    return f"{image.stem}-{hashlib.sha256(digests.encode()).hexdigest()[:8]}"


@rank_app.command("order")
def rank_order(
    folder: Folder,
    rater: Rater,
    show_scores: Annotated[
        bool, typer.Option("--show-scores", help="Show which share of each answer's sentences holds; may bias a rater.")
    ] = False,
    again: Annotated[bool, typer.Option("--all", help="Ask what was ranked already, too, to correct it.")] = False,
) -> None:
    """Rank in the terminal, one question after another; every answer is kept at once, and the next run goes on there.

    Example: sage-iad data rank order ranking --rater me
    """
    from rich.console import Console

    from training.rank.folder import RankError
    from training.rank.terminal import rank_in_terminal

    with one_line_errors(RankError, OSError):
        rank_in_terminal(_open(folder), _named(rater), Console(highlight=False), scores=show_scores, again=again)


@rank_app.command("sheet")
def rank_sheet(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="CSV file to write.")],
    rater: Annotated[str | None, typer.Option(help="Fill in what this rater has said, to be corrected.")] = None,
) -> None:
    """Write a sheet to rank in a spreadsheet: fill in verdict (true or false) and order (such as CABD), and read it.

    Example: sage-iad data rank sheet ranking --out sheet.csv
    """
    from training.rank.folder import RankError
    from training.rank.sheet import sheet

    if out.exists():
        stop(f"--out {str(out)!r}: is there already, and may be filled in; name a new file")
    with one_line_errors(RankError, OSError):
        # The mark at the beginning tells spreadsheets that this is UTF-8.
        out.write_text(sheet(_open(folder), rater), encoding="utf-8-sig", newline="")
    typer.echo(f"{out}: fill in verdict and order, then: sage-iad data rank read {folder} {out} --rater NAME")


@rank_app.command("read")
def rank_read(
    folder: Folder,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV with the columns question, verdict, order[, conclusion].")
    ],
    rater: Rater,
) -> None:
    """Read rankings from a sheet; a faulty line is named, and then nothing of the sheet is kept.

    Example: sage-iad data rank read ranking sheet.csv --rater me
    """
    from training.rank.folder import RankError
    from training.rank.sheet import read_sheet

    with one_line_errors(RankError, OSError):
        place, name = _open(folder), _named(rater)
        try:
            read = read_sheet(place, file, name)
        except RankError as error:
            for line in str(error).splitlines():
                typer.echo(f"sage-iad: {line}", err=True)
            raise typer.Exit(2) from error
    typer.echo(
        f"{name}: {read.ranked} rankings kept, {read.reworded} answers reworded, {read.empty} rows without a ranking"
    )


@rank_app.command("agreement")
def rank_agreement(folder: Folder) -> None:
    """How far raters agree: Kendall's tau of each two, Krippendorff's alpha of all, with 95 % intervals.

    Example: sage-iad data rank agreement ranking
    """
    from training.rank.agreement import agreement
    from training.rank.folder import RankError

    with one_line_errors(RankError, OSError):
        place = _open(folder)
        rankings = place.rankings()
        outdated = len(place.newest()) - len(rankings)
        found = agreement(rankings)
    for rater in sorted({name for name, _ in rankings}):
        typer.echo(f"{rater}: {sum(name == rater for name, _ in rankings)} questions ranked")
    if outdated:
        typer.echo(f"{outdated} rankings left aside: an answer was reworded after them; `order` asks again")
    if found is None:
        typer.echo("nothing to compare: no question was ranked by two raters")
        return
    for pair in found.pairs:
        one, other = pair.raters
        typer.echo(f"{one}, {other}: Kendall's tau-b {_shown(pair.tau)}; same verdict in {pair.verdicts:.0%}")
    typer.echo(f"all: Krippendorff's alpha (ordinal) {_shown(found.alpha)}")


def _shown(estimate: Estimate) -> str:
    if estimate.interval is None:
        return f"{estimate.value:.2f}, 1 question, too few for an interval"
    low, high = estimate.interval
    return f"{estimate.value:.2f} (95 % interval {low:.2f} to {high:.2f}), {estimate.questions} questions"


@rank_app.command("export")
def rank_export(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    rater: Annotated[str | None, typer.Option(help="This rater's rankings alone; default: those of all.")] = None,
) -> None:
    """Write AD-PL records of the pairs whose five questions are ranked; several raters count by mean rank.

    Example: sage-iad data rank export ranking --out adpl.json
    """
    from agent.render.text import plain
    from training.rank.export import TIES, export
    from training.rank.folder import RankError

    with one_line_errors(RankError, OSError):
        place = _open(folder)
        found = export(place, rater)
        for line in found.left_out:
            typer.echo(f"left out: {plain(line)}", err=True)
        if not found.records:
            stop(f"DIR {str(folder)!r}: no pair is ranked whole, so there is nothing to export; go on ranking")
        records = [record.model_dump(mode="json", exclude_none=True) for record in found.records]
        out.write_text(json.dumps(records, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    raters = {name for name, _ in place.rankings()} if rater is None else {rater}
    typer.echo(f"{out}: {len(records)} pairs, {len(found.left_out)} left out")
    if len(raters) > 1:
        typer.echo(f"orders of {len(raters)} raters joined by mean rank; {TIES}")


def _open(folder: Path) -> RankFolder:
    from training.rank.folder import RankFolder

    return RankFolder.open(folder)


def _named(rater: str) -> str:
    if not rater.strip():
        stop(f"--rater {rater!r}: is empty, expected a name")
    return rater.strip()
