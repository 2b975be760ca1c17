"""One evaluation from photos to report: the call behind `sage-iad eval folder` and the benchmarks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from evals.dataset import TaskName, pick, read_products
from evals.errors import EvalError

if TYPE_CHECKING:
    from agent.report import Depth, Setting
    from evals.dataset import Product, Sample
    from evals.engine import Ran
    from evals.look import Look, Looker
    from evals.outcome import Inspecting, Outcome
    from evals.results import Results, Run
    from evals.setting import Shown

Runner = Literal["local", "ray"]


def run_folder(
    inspecting: Inspecting,
    data: Path | str,
    setting: Setting = "one-shot",
    depth: Depth = "screen",
    limit: int | None = None,
    seed: int = 0,
    out: Path | str = "runs/eval",
    *,
    show: bool = True,
) -> Results:
    """`run_dataset` of a folder of one's own, with an agent that is loaded already."""
    return run_dataset(lambda: inspecting, data, "folder", setting, depth, limit, seed, out, show=show)


def run_dataset(
    load: Callable[[], Inspecting],
    data: Path | str,
    task: TaskName = "folder",
    setting: Setting = "one-shot",
    depth: Depth = "screen",
    limit: int | None = None,
    seed: int = 0,
    out: Path | str = "runs/eval",
    *,
    category: str | None = None,
    model: str | None = None,
    jobs: int = 1,
    runner: Runner = "local",
    show: bool = True,
) -> Results:
    """Evaluate the agent on labelled photos, beside its baselines.

    Leaves results.json, samples.jsonl, report.html, summary.md, logs/ (Inspect's, one folder a run) and maps/ in `out`.
    A run that was stopped is taken up where it stood when the same is run into the same `out`, but for the photos that were in
    flight; after a finished one a new run starts. A photo that cannot be inspected is in `Results.failures`, whose
    number is `Results.failed`.

    Args:
        load: Gives the agent; with `ray` it is called on every worker, and must go there by cloudpickle.
        data: The folder; layout in `evals.dataset`.
        task: What is evaluated.
        setting: What the agent is shown besides the photo; see `evals.setting`.
        depth: `screen` or `full`.
        limit: At most so many photos of each product, drawn by the seed.
        seed: Draws references, photos to fit to, the photos of `limit` and the bootstrap.
        out: Folder for everything the evaluation leaves; made if missing.
        category: One product of a benchmark; by default all of them.
        model: What `load` loads, as a user names it: a stopped run is not taken up with another model.
        jobs: How many photos are inspected at once: threads, or Ray's workers. Changes no result.
        runner: This process, or a Ray cluster; see `evals.ray_pool`.
        show: Print progress to stderr.

    Raises:
        EvalError: data, a setting or an output folder that cannot be used.
        tools.detector.DetectorError: a detector that cannot be fitted, in the fitted setting.
        ModuleNotFoundError: `ray`, which is not installed.
    """
    from evals import engine
    from evals.figures.maps import save_pair
    from evals.outcome import Outcome
    from evals.pages.markdown import write_summary
    from evals.pages.report import write_report
    from evals.results import build
    from evals.samples import write_samples
    from evals.setting import shown

    if runner not in get_args(Runner):
        raise EvalError(f"runner {runner!r}: expected one of {', '.join(get_args(Runner))}")
    if seed < 0:
        raise EvalError(f"seed {seed!r}: expected 0 or more")
    place = engine.made(Path(out))
    products = read_products(task, data, category)
    seen = {product.name: shown(product, setting, seed) for product in products}
    samples = [sample for product in products for sample in pick(product.samples, limit, seed)]
    by_id = {sample.id: sample for sample in samples}
    asked: dict[str, Any] = {
        "task": task,
        "data": str(Path(data).resolve()),
        "category": category,
        "model": model,
        "setting": setting,
        "depth": depth,
        "limit": limit,
        "seed": seed,
    }
    items = [engine.Item(s.id, {"category": s.category, "defect_type": s.defect_type}) for s in samples]
    with _looking(partial(_looker, load, seen, depth, seed), runner, jobs) as look_at:

        def keep(found: Look) -> None:
            save_pair(place / found.outcome.map, found.anomaly_map, found.mask)

        keeping = engine.in_thread(keep)

        async def look(id: str) -> Outcome:
            found = await look_at(by_id[id])
            await keeping(found)
            return found.outcome

        with engine.ran(
            task, items, look, lambda outcome: float(outcome.right), Outcome, asked, place, jobs=jobs, show=show
        ) as ran:
            run = _run(ran, by_id, asked, _notes(task, products, seen, samples, setting, seed))
            with _status("computing metrics", show):
                results = build(run, place)
                write_samples(run.outcomes, place)
                write_summary(results, place)
                write_report(results, run, Path(data), place)
                results.save(place / "results.json")  # last: where it lies, the run is whole
    return results


def _looker(load: Callable[[], Inspecting], seen: dict[str, Shown], depth: Depth, seed: int) -> Looker:
    from evals.look import Looker

    return Looker(load(), seen, depth, seed)


@contextmanager
def _looking(load: Callable[[], Looker], runner: Runner, jobs: int) -> Iterator[Callable[[Sample], Awaitable[Look]]]:
    """What looks at one sample, here or on a cluster."""
    from evals.engine import in_thread

    if runner == "ray":
        from evals.ray_pool import ray_pool

        with ray_pool(load, jobs) as pool:
            yield pool.look
        return
    looker = load()
    if len(looker.shown) == 1:
        looker.detector(*looker.shown)  # what cannot be fitted is said before the work
    yield in_thread(looker.look)


def _run(ran: Ran[Outcome], samples: dict[str, Sample], asked: dict[str, Any], notes: list[str]) -> Run:
    from evals.results import Failure, Run

    failures = [
        Failure(id=id, category=samples[id].category, defect_type=samples[id].defect_type, error=error)
        for id, error in ran.errors.items()
    ]
    fits = [outcome.fit_seconds for outcome in ran.records if outcome.fit_seconds is not None]
    name = Path(asked["data"]).name
    return Run(
        task=asked["task"],
        data=name if asked["category"] is None else f"{name}/{asked['category']}",
        setting=asked["setting"],
        depth=asked["depth"],
        seed=asked["seed"],
        outcomes=sorted(ran.records, key=lambda o: o.id),
        failures=sorted(failures, key=lambda f: f.id),
        fit_seconds=sum(fits) if fits else None,
        tokens=ran.tokens,
        notes=notes,
    )


def _notes(
    task: TaskName,
    products: list[Product],
    seen: dict[str, Shown],
    samples: list[Sample],
    setting: Setting,
    seed: int,
) -> list[str]:
    """How the photos, references and photos to fit to were chosen."""
    notes = []
    photos = sum(len(product.samples) for product in products)
    if len(samples) < photos:
        notes.append(f"{len(samples)} of {photos} photos, drawn by seed {seed}")
    drawn = [
        path.relative_to(p.root).as_posix() for p in products for some in seen[p.name].common.values() for path in some
    ]
    if drawn:
        which = ", ".join(drawn) if len(products) == 1 else "from each product's normal training photos"
        notes.append(f"references drawn by seed {seed}: {which}")
    if task == "loco":
        notes.append("pro is over all marked pixels, not the saturated overlap (sPRO) of MVTec LOCO's authors")
    if setting == "fitted":
        number = sorted({len(shown.fit_on) for shown in seen.values()})
        if len(products) == 1:
            notes.append(f"detector fitted to {number[0]} photos of train/good")
        else:
            many = " to ".join(map(str, dict.fromkeys((number[0], number[-1]))))
            notes.append(f"a detector of its own fitted to {many} normal photos of each product")
    return notes


@contextmanager
def _status(text: str, show: bool) -> Iterator[None]:
    from rich.console import Console

    if not show:
        yield
        return
    with Console(stderr=True).status(text):
        yield
