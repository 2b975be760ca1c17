"""The command line: parses, wires, calls. The only module that may import every package, each when its command runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from agent.cli_chat import chat
from agent.cli_data import data_app
from agent.cli_errors import make_folder, one_line_errors, user_errors
from agent.cli_eval import eval_app
from agent.cli_fit import export, fit
from agent.cli_train import train_app

if TYPE_CHECKING:
    from agent.report import InspectionReport
    from knowledge import FactStore

app = typer.Typer(
    name="sage-iad",
    help="Visual inspection that explains itself: verdict, place, kind, cause and remedy, each claim with its evidence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
facts_app = typer.Typer(
    help="The fact store: what the agent knows of products and defects, and your own facts.", no_args_is_help=True
)
app.command()(chat)
app.command()(fit)
app.command()(export)
app.add_typer(facts_app, name="facts")
app.add_typer(data_app, name="data")
app.add_typer(eval_app, name="eval")
app.add_typer(train_app, name="train")

Setting = Literal["zero-shot", "one-shot", "few-shot", "fitted"]
Depth = Literal["screen", "full"]
Category = Annotated[
    str | None, typer.Option(help="Name of a fitted detector, or of a product family such as `weld` or `pcb`.")
]
Model = Annotated[
    str | None,
    typer.Option(
        help="Folder or id of a transformers model, or http://HOST/v1[#NAME]; default: the embedded sage-nano."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout, nothing else there.")]


@app.command()
def inspect(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Photos of parts.")],
    reference: Annotated[
        list[Path] | None, typer.Option(help="A normal photo of the same product; may be given several times.")
    ] = None,
    category: Category = None,
    question: Annotated[str | None, typer.Option(help="Something to answer besides the verdict.")] = None,
    depth: Annotated[
        Depth, typer.Option(help="`screen`: verdict, scores, boxes, heat map; `full`: facts, reasoning and advice too.")
    ] = "full",
    mm_per_px: Annotated[
        float | None, typer.Option(help="Scale of the photo: measurements come in millimetres.")
    ] = None,
    model: Model = None,
    as_json: AsJson = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.html, report.json, overlay and heat map of every photo.")
    ] = None,
    fail_on_anomaly: Annotated[
        bool, typer.Option("--fail-on-anomaly", help="Exit with 1 when a part is anomalous.")
    ] = False,
) -> None:
    """Inspect photos and print a report for each.

    Example: sage-iad inspect part.png --reference good.png --out report
    """
    with one_line_errors():
        make_folder(out)
        from agent.inspector import Inspector

        inspector = Inspector.load(model)
    bad, anomalous = 0, False
    for image in images:
        try:
            report = inspector.inspect(
                image,
                reference=list(reference or []),
                category=category,
                question=question,
                depth=depth,
                mm_per_px=mm_per_px,
            )
            if out is not None:
                from agent.render.files import write_report

                report = write_report(report, out if len(images) == 1 else out / report.id, mm_per_px=mm_per_px)
        except user_errors() as error:
            bad += 1
            line = " ".join(str(error).split())
            if as_json:
                typer.echo(json.dumps({"image": {"source": str(image)}, "error": line}))
            typer.echo(f"sage-iad: {line}", err=True)
            continue
        anomalous |= report.verdict == "anomalous"
        _show(report, as_json)
    if bad:
        raise typer.Exit(2)
    if fail_on_anomaly and anomalous:
        raise typer.Exit(1)


def _show(report: InspectionReport, as_json: bool) -> None:
    if as_json:
        typer.echo(report.model_dump_json())
        return
    from rich.console import Console

    from agent.render.terminal import print_report

    print_report(report, Console(width=min(100, Console().width)))


def _store() -> FactStore:
    from agent.home import default_home
    from knowledge import FactStore

    return FactStore(default_home() / "facts")


@facts_app.command("search")
def facts_search(
    query: str,
    category: Category = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 10,
    as_json: AsJson = False,
) -> None:
    """Facts nearest in meaning to QUERY."""
    with one_line_errors():
        _print_facts(_store().search(query, category=category, limit=limit), as_json)


@facts_app.command("list")
def facts_list(category: Category = None, as_json: AsJson = False) -> None:
    """Every fact, or those of one product family."""
    with one_line_errors():
        _print_facts(_store().list(category), as_json)


@facts_app.command("add")
def facts_add(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="YAML, JSON-lines, or text with one sentence a line.")
    ],
    category: Category = None,
) -> None:
    """Add facts of your own; they are kept apart from the shipped ones."""
    with one_line_errors():
        from knowledge.user_files import read_user_file

        packs = [read_user_file(path, category=category) for path in paths]
        store = _store()
        typer.echo(f"{sum(store.add(pack.facts, pack.families) for pack in packs)} facts added")


@facts_app.command("remove")
def facts_remove(id: Annotated[str, typer.Argument(help="Id as `facts list` shows it.")]) -> None:
    """Remove a fact of your own."""
    with one_line_errors():
        _store().remove(id)
    typer.echo(f"{id} removed")


@facts_app.command("rebuild")
def facts_rebuild() -> None:
    """Make the index anew from the shipped facts and your own, after damage or a change of the embedder."""
    with one_line_errors():
        from agent.home import default_home
        from knowledge import FactStore

        store = FactStore.rebuild(default_home() / "facts")
    typer.echo(f"{store.count()} facts")


def _print_facts(facts: list[Any], as_json: bool) -> None:
    for fact in facts:
        score = "" if fact.score is None else f"{fact.score:.2f}  "
        typer.echo(
            fact.model_dump_json() if as_json else f"{score}{fact.id}\n    {fact.text}\n    {fact.kind}; {fact.source}"
        )


@app.command()
def doctor() -> None:
    """Check the installation: versions, weights, fact store, folders."""
    from importlib.metadata import version

    from agent.home import default_home

    for name in ("torch", "transformers", "anomalib", "langgraph", "chromadb"):
        typer.echo(f"{name} {version(name)}")
    typer.echo(f"home {default_home()}")
    with one_line_errors():
        from agent.inspector import Inspector

        inspector = Inspector.load()
        typer.echo(f"model {inspector.vlm.info.name} {inspector.vlm.info.revision} ({inspector.vlm.info.stage})")
        typer.echo(f"eye {inspector.encoder.revision}")
        typer.echo(f"facts {inspector.facts.count()}")
    typer.echo("all is well")
