"""The task `adpl`: the five true-or-false questions of every AD-PL record, answered by the agent and judged by MLE.

Source: Zang et al., ACM Multimedia 2025, section 5: accuracy over single questions, over whole groups of five (all five
right: a measure of consistency) and by pair type; MLE of the reasons.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evals.engine import made
from evals.errors import EvalError
from evals.figures.clustered import Value, mean
from evals.judges.records import read_records
from evals.judges.reference import ReferenceJudge
from evals.mle import SCALES, Judge, MleScore, Truth
from evals.pages.questions import write_report
from evals.questions.asked import Answering, Asked, AskedPhoto, Due, Reply, ask_all
from evals.questions.results import QuestionResults, System, Values, build
from evals.verdicts import verdict_of
from training.adpl import PreferenceRecord
from training.adpl_file import below
from training.data import GOOD

if TYPE_CHECKING:
    from agent.report import InspectionReport
    from training.adpl import RankedQuestion

AdplSetting = Literal["zero-shot", "one-shot"]
"""Whether the record's reference is shown."""
UNMARKED = "unmarked"
"""Defect type of a test image whose record does not say what is wrong with it."""


def run_adpl(
    inspecting: Answering,
    data: Path | str,
    images: Path | str,
    setting: AdplSetting = "one-shot",
    limit: int | None = None,
    seed: int = 0,
    out: Path | str = "runs/eval",
    *,
    judges: Sequence[Judge] | None = None,
    model: str | None = None,
    jobs: int = 1,
    show: bool = True,
) -> QuestionResults:
    """Evaluate the agent on an AD-PL file, beside the model alone on the same questions.

    Leaves results.json, report.html, summary.md and logs/ in `out`. A run that was stopped is taken up where it stood
    when the same evaluation is run into the same `out`.

    Args:
        inspecting: The agent.
        data: A JSON array of records, or JSON lines.
        images: Folder that the records' paths are below.
        setting: `one-shot` shows the record's reference, `zero-shot` does not.
        limit: At most so many records, drawn by the seed.
        seed: Draws the records of `limit` and the bootstrap.
        out: Folder for everything the evaluation leaves; made if missing.
        judges: Who scores the answers by MLE; the first one's scores are the metrics, and it scores the model alone
            too. By default the reference judge.
        model: What `inspecting` runs, as a user names it: a stopped run is not taken up with another model.
        jobs: How many records are answered at once.
        show: Print progress to stderr.

    Raises:
        EvalError: a file, setting or output folder that cannot be used.
    """
    if setting not in ("zero-shot", "one-shot"):
        raise EvalError(f"setting {setting!r}: expected zero-shot or one-shot; a record brings one reference")
    place, panel = made(Path(out)), [ReferenceJudge()] if judges is None else list(judges)
    records, notes = _picked(data, limit, seed)
    names = [judge.name for judge in panel]
    asked: dict[str, Any] = {
        "data": str(Path(data).resolve()),
        "images": str(Path(images).resolve()),
        "setting": setting,
        "limit": limit,
        "seed": seed,
        "model": model,
        "judges": names,
    }
    due = [Due(id, (record.pair_type,) * len(record.question_answer)) for id, record in records.items()]

    def look(id: str) -> AskedPhoto:
        return answer_record(inspecting, id, records[id], Path(images), setting, panel)

    def measured(photos: Sequence[AskedPhoto], system: System) -> Values:
        return measure(photos, system, names[0] if names else None)

    with ask_all("adpl", due, look, asked, place, jobs=jobs, show=show) as run:
        notes += [f"MLE by {names[0]}"] if names else []
        results = build("adpl", Path(data).resolve().name, setting, seed, run, measured, notes)
        for name in names[1:]:
            values = mle_values(run.photos, "agent", name)
            results.judges[name] = {metric: mean(of, seed=seed) for metric, of in values.items()}
        results.save(place / "results.json")
        write_report(results, run.photos, place)
    return results


def answer_record(
    inspecting: Answering,
    id: str,
    record: PreferenceRecord,
    images: Path,
    setting: AdplSetting,
    judges: Sequence[Judge] = (),
) -> AskedPhoto:
    """Inspect a record's pair once, put its questions to the agent and to the model alone, and have the answers judged.

    The plan, the looks and the facts of an inspection do not depend on the question, so five questions need but one.

    Raises:
        EvalError: an image outside `images`.
        Exception: whatever `inspecting` raises; the run records it as a failed record.
    """
    photo = _path(images, record.test_image)
    reference = _path(images, record.reference_image) if setting == "one-shot" else None
    start = time.perf_counter()
    gathered = inspecting.gather(photo, reference=reference)
    texts = [gathered.answer(question.question_en) for question in record.question_answer]
    seconds = time.perf_counter() - start
    asked = []
    for question, text in zip(record.question_answer, texts, strict=True):
        alone = inspecting.answer_alone(photo, question.question_en, reference=reference)
        truth = _truth(record, question, images, gathered.report) if judges else None
        agent, vlm = _reply(text, judges, truth), _reply(alone, judges[:1], truth)
        right = str(question.answer)
        asked.append(Asked(kind=record.pair_type, question=question.question_en, right=right, agent=agent, vlm=vlm))
    return AskedPhoto(
        id=id,
        category=record.domain,
        label=None if record.defects is None else int(bool(record.defects)),
        defect_type=_defects(record),
        photo=str(photo),
        reference=None if reference is None else str(reference),
        seconds=seconds,
        model=gathered.report.model,
        asked=asked,
    )


def measure(photos: Sequence[AskedPhoto], system: System, judge: str | None) -> Values:
    """Accuracy over questions and over whole groups, and MLE by the named judge where there is one."""
    single, group = [], []
    for photo in photos:
        right = [getattr(asked, system).given == asked.right for asked in photo.asked]
        single += [Value(f"{photo.id}/{n}", float(good), photo.id) for n, good in enumerate(right, 1)]
        group.append(Value(photo.id, float(all(right)), photo.id))
    found = {"single_accuracy": single, "group_accuracy": group}
    return found if judge is None else found | mle_values(photos, system, judge)


def mle_values(photos: Sequence[AskedPhoto], system: System, judge: str) -> Values:
    """MLE on its scales, 1 to 5, of the answers that were scored, and the share of those that were not."""
    found: Values = {name: [] for name in (*(f"mle_{scale}" for scale in SCALES), "mle", "unscored")}
    for photo in photos:
        for number, asked in enumerate(photo.asked, 1):
            score: MleScore | None = getattr(asked, system).scores.get(judge)
            if score is None:
                continue
            item = f"{photo.id}/{number}"
            found["unscored"].append(Value(item, float(score.unscored is not None), photo.id))
            for name, value in (*((f"mle_{scale}", getattr(score, scale)) for scale in SCALES), ("mle", score.mean)):
                if value is not None:
                    found[name].append(Value(item, value, photo.id))
    return found


def _picked(data: Path | str, limit: int | None, seed: int) -> tuple[dict[str, PreferenceRecord], list[str]]:
    """The records by their number in the file, from 1, and what to say about those that are left out."""
    if limit is not None and limit < 1:
        raise EvalError(f"limit {limit!r}: expected 1 or more records")
    records = {str(n): record for n, record in enumerate(read_records(data), 1)}
    if limit is None or limit >= len(records):
        return records, []
    drawn = sorted(random.Random(seed).sample(sorted(records), limit), key=int)
    return {id: records[id] for id in drawn}, [f"{limit} of {len(records)} records, drawn by seed {seed}"]


def _path(images: Path, name: str) -> Path:
    path = below(images, name)
    if path is None:
        raise EvalError(f"images {str(images)!r}: {name!r} is no path below it")
    return path


def _defects(record: PreferenceRecord) -> str:
    if record.defects is None:
        return UNMARKED
    return ", ".join(dict.fromkeys(defect.defect_type for defect in record.defects)) or GOOD


def _reply(text: str, judges: Sequence[Judge], truth: Truth | None) -> Reply:
    value = verdict_of(text)
    scores = {judge.name: judge.judge(text, truth) for judge in judges if truth is not None}
    return Reply(given=None if value is None else str(value), text=text, scores=scores)


def _truth(record: PreferenceRecord, question: RankedQuestion, images: Path, report: InspectionReport) -> Truth:
    """The truth behind a question, what may be cited by the short ids that the answer uses."""
    from evals.judges.truth import truth_of_question

    truth = truth_of_question(record, question, images, {}, report)
    numbers = {fact.id: f"F{i}" for i, fact in enumerate(report.facts, 1)}
    return truth.model_copy(update={"citable": {numbers.get(id, id): what for id, what in truth.citable.items()}})
