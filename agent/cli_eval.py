"""The commands `sage-iad eval ...`: runs on folders and benchmarks, their comparison, and judges and raters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from agent.cli_errors import make_folder, one_line_errors, stop

if TYPE_CHECKING:
    from evals.mle import Judge

eval_app = typer.Typer(help="Measure the agent beside the plain detector and the plain model.", no_args_is_help=True)

Setting = Literal["zero-shot", "one-shot", "few-shot", "fitted"]
Data = Annotated[Path, typer.Option(help="Folder of the data.")]
InSetting = Annotated[Setting, typer.Option(help="What the agent is given besides the photo.")]
Shots = Annotated[Literal["zero-shot", "one-shot"], typer.Option(help="Without or with one normal photo.")]
AtDepth = Annotated[
    Literal["screen", "full"],
    typer.Option(help="`screen` scores only; `full` reasons about every photo, and its words are judged."),
]
Limit = Annotated[int | None, typer.Option(help="At most so many samples (of each product), drawn by the seed.")]
Seed = Annotated[int, typer.Option(min=0, help="Draws references, the samples of --limit and the bootstrap.")]
Model = Annotated[
    str | None,
    typer.Option(
        help="Folder or id of a transformers model, or http://HOST/v1[#NAME]; default: the embedded sage-nano."
    ),
]
Out = Annotated[Path, typer.Option(help="Folder for results.json, report.html, summary.md and the raw logs.")]
Jobs = Annotated[int, typer.Option(min=1, help="Samples looked at at once; changes no result.")]
Runner = Annotated[
    Literal["local", "ray"],
    typer.Option(help="`ray`: --jobs workers on the cluster of RAY_ADDRESS, or on this machine."),
]
MaxFailures = Annotated[
    int | None,
    typer.Option(min=0, help="Exit with 1 when more samples than this failed; default: any number is reported."),
]
Track = Annotated[
    Literal["mlflow", "tensorboard"] | None, typer.Option(help="Log the run there too; needs the `track` extra.")
]
OneCategory = Annotated[str | None, typer.Option(help="One product of the set; default: all.")]
JudgeModel = Annotated[
    str | None, typer.Option(help="A chat model that judges too: an id, a folder, or http://HOST/v1[#NAME].")
]
Records = Annotated[Path, typer.Option(help="AD-PL records: a JSON array or JSON lines.")]
Images = Annotated[Path, typer.Option(help="Folder that the records' photos are below.")]

BENCHMARKS = {
    "mvtec": "MVTec AD", "visa": "VisA", "loco": "MVTec LOCO AD", "mpdd": "MPDD", "realiad": "Real-IAD", "btad": "BTAD",
    "manta": "MANTA",
}  # fmt: skip


@contextmanager
def _errors(*more: type[Exception], extra: str = "eval") -> Iterator[None]:
    from evals import EvalError

    with one_line_errors(EvalError, *more, extra=extra):
        yield


def _run(
    task: Any, data: Path, out: Path, track: str | None, max_failures: int | None, model: str | None, **asked: Any
) -> None:
    with _errors(extra="ray" if asked["runner"] == "ray" else "eval"):
        make_folder(out)
        from agent.inspector import Inspector
        from evals.pages.summary import print_results
        from evals.run import run_dataset

        results = run_dataset(partial(Inspector.load, model), data, task, out=out, model=model, **asked)
        print_results(results)
    if track is not None:
        with _errors(extra="track"):
            from evals.pages.tracking import track as log

            typer.echo(f"logged to {log(results, track, out)}", err=True)  # type: ignore[arg-type]
    _too_many(results.failed, max_failures)


def _too_many(failed: int, most: int | None) -> None:
    if most is not None and failed > most:
        typer.echo(f"sage-iad: {failed} samples failed, more than the {most} of --max-failures", err=True)
        raise typer.Exit(1)


@eval_app.command("folder")
def eval_folder(
    data: Annotated[
        Path, typer.Option(help="Folder in the layout of MVTec AD: train/good, test/good, test/DEFECT, ground_truth.")
    ],
    setting: InSetting = "one-shot",
    depth: AtDepth = "screen",
    limit: Limit = None,
    seed: Seed = 0,
    model: Model = None,
    out: Out = Path("runs/eval"),
    jobs: Jobs = 1,
    runner: Runner = "local",
    max_failures: MaxFailures = None,
    track: Track = None,
) -> None:
    """Evaluate on a folder of labelled photos; prints the detector, the model and their blend beside the agent.

    Example: sage-iad eval folder --data photos --setting fitted --out runs/photos
    """
    _run(
        "folder", data, out, track, max_failures, model,
        setting=setting, depth=depth, limit=limit, seed=seed, jobs=jobs, runner=runner,
    )  # fmt: skip


def _benchmark(task: str) -> Callable[..., None]:
    def command(
        data: Data,
        setting: InSetting = "one-shot",
        depth: AtDepth = "screen",
        category: OneCategory = None,
        limit: Limit = None,
        seed: Seed = 0,
        model: Model = None,
        out: Out = Path("runs/eval"),
        jobs: Jobs = 1,
        runner: Runner = "local",
        max_failures: MaxFailures = None,
        track: Track = None,
    ) -> None:
        _run(
            task, data, out, track, max_failures, model,
            setting=setting, depth=depth, category=category, limit=limit, seed=seed, jobs=jobs, runner=runner,
        )  # fmt: skip

    return command


for _task, _title in BENCHMARKS.items():
    eval_app.command(
        _task, help=f"Evaluate on {_title}, in the folders its authors publish; figures are means over its products."
    )(_benchmark(_task))


@eval_app.command("suite")
def eval_suite(
    data: Annotated[Path, typer.Option(help="Folder whose sub-folders are laid out as for `eval folder`.")],
    setting: Annotated[list[str] | None, typer.Option(help="Only this setting; may be given several times.")] = None,
    depth: AtDepth = "screen",
    limit: Limit = None,
    seed: Seed = 0,
    model: Model = None,
    out: Out = Path("runs/suite"),
    jobs: Jobs = 1,
    max_failures: MaxFailures = None,
) -> None:
    """Evaluate on every folder below a folder in every setting; leaves a run each and one table.

    Example: sage-iad eval suite --data photos --limit 60 && python -m evals.suite runs/suite --write README.md
    """
    with _errors():
        make_folder(out)
        from agent.inspector import Inspector
        from evals.suite import SETTINGS, run_suite, table

        chosen = [name for name in SETTINGS if not setting or name in setting]
        if unknown := sorted(set(setting or ()) - set(SETTINGS)):
            stop(f"--setting {unknown[0]!r}: expected one of {', '.join(SETTINGS)}")
        results = run_suite(
            partial(Inspector.load, model), data, chosen, depth, limit, seed, out, model=model, jobs=jobs
        )
        typer.echo(table(results), nl=False)
    _too_many(sum(result.failed for result in results), max_failures)


@eval_app.command("ablation")
def eval_ablation(
    data: Data,
    setting: InSetting = "one-shot",
    limit: Limit = None,
    seed: Seed = 0,
    model: Model = None,
    out: Out = Path("runs/ablation"),
) -> None:
    """What facts, zoom, measure and compare are each worth: the agent without one at a time, on the same photos."""
    with _errors():
        make_folder(out)
        from agent.inspector import Inspector, Part
        from evals.ablation import print_ablation, run_ablation

        def load(without: tuple[Part, ...]) -> Inspector:
            return Inspector.load(model, without=without)

        print_ablation(run_ablation(load, data, setting, limit, seed, out, model=model))


@eval_app.command("adpl")
def eval_adpl(
    data: Records,
    images: Images,
    setting: Shots = "one-shot",
    limit: Limit = None,
    seed: Seed = 0,
    model: Model = None,
    judge: JudgeModel = None,
    out: Out = Path("runs/adpl"),
    jobs: Jobs = 1,
    max_failures: MaxFailures = None,
) -> None:
    """The five questions of every AD-PL record: accuracy of single questions and whole groups, and MLE of the answers.

    Example: sage-iad data make --pairs 40 --out adpl && sage-iad eval adpl --data adpl/validation.jsonl --images adpl
    """
    with _errors():
        make_folder(out)
        from agent.inspector import Inspector
        from evals.pages.questions import print_results
        from evals.questions.adpl import run_adpl

        judges = [_judge(None, out), *([_judge(judge, out)] if judge else [])]
        results = run_adpl(
            Inspector.load(model), data, images, setting, limit, seed, out, judges=judges, model=model, jobs=jobs
        )
        print_results(results)
    _too_many(results.failed, max_failures)


@eval_app.command("mmad")
def eval_mmad(
    data: Annotated[Path, typer.Option(help="Folder with mmad.json and its photos.")],
    setting: Shots = "one-shot",
    category: OneCategory = None,
    exclude: Annotated[
        str | None,
        typer.Option(help="File of photo ids to leave out, or `reported`: pill photos reported to show metal nuts."),
    ] = None,
    limit: Limit = None,
    seed: Seed = 0,
    model: Model = None,
    out: Out = Path("runs/mmad"),
    jobs: Jobs = 1,
    max_failures: MaxFailures = None,
) -> None:
    """MMAD's multiple-choice questions, its seven subtasks; option letters are scored by their probability."""
    with _errors():
        make_folder(out)
        from agent.inspector import Inspector
        from evals.pages.questions import print_results
        from evals.questions.mmad import REPORTED, run_mmad

        left_out = REPORTED if exclude == "reported" else None if exclude is None else Path(exclude)
        results = run_mmad(
            Inspector.load(model),
            data,
            setting,
            limit,
            seed,
            out,
            category=category,
            exclude=left_out,
            model=model,
            jobs=jobs,
        )
        print_results(results)
    _too_many(results.failed, max_failures)


@eval_app.command("compare")
def eval_compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Folder of a run.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Folder of another run on the same photos.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for compare.html, with pictures of every photo that changed side.")
    ] = None,
) -> None:
    """Two runs on the same photos: the difference of every metric with its interval, and which photos changed side."""
    with _errors():
        make_folder(out)
        from evals.compare import compare
        from evals.pages.comparison import print_comparison, write_comparison

        found = compare(first, second)
        print_comparison(found)
        if out is not None:
            typer.echo(write_comparison(found, first, second, out), err=True)


@eval_app.command("agreement")
def eval_agreement(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE...]", help="Scores: CSV or JSON lines; see evals/human_scores.py."),
    ] = None,
    ranking: Annotated[list[Path] | None, typer.Option(help="Folder of `sage-iad data rank`.")] = None,
    data: Annotated[Path | None, typer.Option(help="AD-PL records; their order is a rater too.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder that the records' photos are below.")] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(help="Judge the records: `reference`, or a chat model; may be given several times."),
    ] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write a CSV for a person to fill in, and stop.")] = None,
    rater: Annotated[str, typer.Option(help="Name on the sheet.")] = "me",
    out: Annotated[Path, typer.Option(help="Folder for agreement.json and the judges' scores.")] = Path(
        "runs/agreement"
    ),
) -> None:
    """How far judges and people agree: weighted kappa, Kendall's tau and Krippendorff's alpha, with intervals.

    Example: sage-iad eval agreement anna.csv --data adpl/validation.jsonl --images adpl --judge reference
    """
    from training.rank.folder import RankError

    with _errors(RankError, OSError):
        from evals.files import write_whole
        from evals.judges.agreement import agreement, print_agreement
        from evals.judges.records import read_records
        from evals.judges.scores import (
            judged,
            orders_of_folder,
            ratings_of_records,
            read_scores,
            score_sheet,
            write_scores,
        )
        from evals.judges.truth import truths_below

        records = read_records(data) if data is not None else []
        if sheet is not None:
            if not records:
                stop("--sheet: expected --data with the records to score")
            write_whole(sheet, score_sheet(records, rater))
            typer.echo(f"{sheet}: fill in type, location and logic, 1 (worst) to 5", err=True)
            return
        make_folder(out)
        paths = list(files or [])
        for number, name in enumerate(judge or [], 1):
            if not records or images is None:
                stop("--judge: expected --data and --images with the records to judge")
            one = _judge(None if name == "reference" else name, out)
            path = out / ("reference.csv" if name == "reference" else f"judge-{number}.csv")
            write_scores(path, one.name, judged(records, one, truths_below(images)))
            paths.append(path)
        ratings = read_scores(paths) if paths else []
        if ranking:
            from training.rank.folder import RankFolder

            ratings += [rating for folder in ranking for rating in orders_of_folder(RankFolder.open(folder))]
        ratings += ratings_of_records(records, "records") if records else []
        found = agreement(ratings)
        print_agreement(found)
        write_whole(out / "agreement.json", found.model_dump_json(indent=2) + "\n")


@eval_app.command("judge")
def eval_judge(
    data: Records,
    images: Images,
    judge: JudgeModel = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many records, from the first on.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for judge.json.")] = Path("runs/judge"),
) -> None:
    """Can a judge be trusted? Its order of answers of known worth, its steadiness against rewording, faults it catches.

    Without --judge the reference judge is tested. Example: sage-iad eval judge --data adpl/train.jsonl --images adpl
    """
    with _errors():
        make_folder(out)
        from evals.files import write_whole
        from evals.judges.check import check_judge, print_check
        from evals.judges.records import read_records
        from evals.judges.truth import truths_below

        found = check_judge(_judge(judge, out), read_records(data)[:limit], truths_below(images))
        write_whole(out / "judge.json", found.model_dump_json(indent=2) + "\n")
        print_check(found)


def _judge(model: str | None, out: Path) -> Judge:
    """The reference judge, or a model; a model's prompt is kept beside its scores."""
    if model is None:
        from evals.judges.reference import ReferenceJudge

        return ReferenceJudge()
    from agent.model import load_vlm
    from evals.files import write_whole
    from evals.judges.model import ModelJudge
    from evals.judges.prompt import prompt_text

    found = ModelJudge(load_vlm(model))
    write_whole(out / "judge_prompt.txt", prompt_text())
    return found
