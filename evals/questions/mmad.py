"""The task `mmad`: MMAD's multiple-choice questions, answered by the letter of an option.

Source: Jiang et al., MMAD, ICLR 2025, arXiv 2410.09453. As in its own scoring, a subtask's accuracy is the mean over its
sets (the first part of a photo's path), in Anomaly Detection normal and anomalous photos weigh the same, and `accuracy` is
the mean over subtasks within each set, then over sets; what differs is that a reply which chooses no option is wrong, where
theirs leaves it out. Options stand in the set's order. The letter is read from the first token's probabilities.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from evals.dataset import pick
from evals.engine import made
from evals.errors import EvalError
from evals.figures.clustered import Value
from evals.pages.questions import write_report
from evals.questions.asked import Answering, Asked, AskedPhoto, Due, Reply, ask_all
from evals.questions.results import QuestionResults, System, Values, build
from training.data import DataError, Question, Sample
from training.data.layouts import read_dataset

MmadSetting = Literal["zero-shot", "one-shot"]
DETECTION = "Anomaly Detection"
SUBTASKS = (
    DETECTION, "Defect Classification", "Defect Localization", "Defect Description", "Defect Analysis",
    "Object Classification", "Object Analysis",
)  # fmt: skip
_PART_OF = {"Object Structure": "Object Analysis", "Object Details": "Object Analysis"}
"""Names in the file that the set's own scoring counts under a subtask."""
REPORTED = Path(__file__).with_name("mmad_pill.txt")
"""Photos reported to show another product than they are named for."""


def run_mmad(
    inspecting: Answering,
    data: Path | str,
    setting: MmadSetting = "one-shot",
    limit: int | None = None,
    seed: int = 0,
    out: Path | str = "runs/eval",
    *,
    category: str | None = None,
    exclude: Path | None = None,
    model: str | None = None,
    jobs: int = 1,
    show: bool = True,
) -> QuestionResults:
    """Evaluate the agent on MMAD, beside the model alone on the same questions.

    Leaves results.json, report.html, summary.md and logs/ in `out`. A run that was stopped is taken up where it stood
    when the same evaluation is run into the same `out`.

    Args:
        inspecting: The agent.
        data: Folder with mmad.json and its photos.
        setting: `one-shot` shows the normal photo that the set drew for this one, `zero-shot` none.
        limit: At most so many photos, drawn by the seed, with the share of normal ones kept.
        seed: Draws the photos of `limit` and the bootstrap.
        out: Folder for everything the evaluation leaves; made if missing.
        category: One product; by default all.
        exclude: File with the ids of photos to leave out, one a line, such as `REPORTED`; lines with # are comments.
        model: What `inspecting` runs, as a user names it: a stopped run is not taken up with another model.
        jobs: How many photos are asked about at once.
        show: Print progress to stderr.

    Raises:
        EvalError: a folder, list, setting or output folder that cannot be used.
    """
    if setting not in ("zero-shot", "one-shot"):
        raise EvalError(f"setting {setting!r}: expected zero-shot or one-shot; the set draws one normal photo for each")
    place = made(Path(out))
    samples, notes = _picked(data, limit, seed, category, exclude)
    by_id = {sample.id: sample for sample in samples}
    asked: dict[str, Any] = {
        "data": str(Path(data).resolve()),
        "setting": setting,
        "limit": limit,
        "seed": seed,
        "model": model,
        "category": category,
        "samples": hashlib.sha256("\n".join(by_id).encode()).hexdigest(),  # what `exclude` left
    }
    due = [Due(s.id, tuple(kind_of(question) for question in _answerable(s))) for s in samples]

    def look(id: str) -> AskedPhoto:
        return answer_photo(inspecting, by_id[id], setting)

    with ask_all("mmad", due, look, asked, place, jobs=jobs, show=show) as run:
        notes += _unread(run.photos)
        results = build("mmad", Path(data).resolve().name, setting, seed, run, measure, notes)
        known = {kind: at for at, kind in enumerate(SUBTASKS)}
        in_order = sorted(results.per_category.items(), key=lambda kind: known.get(kind[0], len(known)))
        results.per_category = dict(in_order)
        results.save(place / "results.json")
        write_report(results, run.photos, place)
    return results


def answer_photo(inspecting: Answering, sample: Sample, setting: MmadSetting) -> AskedPhoto:
    """Inspect a photo once, and put its questions to the agent and to the model alone.

    Raises:
        EvalError: a photo without a reference, in one-shot.
        Exception: whatever `inspecting` raises; the run records it as a failed photo.
    """
    reference = next(iter((*sample.random_references, *sample.references)), None) if setting == "one-shot" else None
    if setting == "one-shot" and reference is None:
        raise EvalError(f"photo {sample.id!r}: the set names no normal photo for it; expected one in setting one-shot")
    questions = _answerable(sample)
    start = time.perf_counter()
    gathered = inspecting.gather(sample.path, reference=reference)
    chosen = [gathered.choose(question.text, dict(question.options)) for question in questions]
    seconds = time.perf_counter() - start
    asked = []
    for question, probabilities in zip(questions, chosen, strict=True):
        options = dict(question.options)
        alone = inspecting.choose_alone(sample.path, question.text, options, reference=reference)
        asked.append(
            Asked(
                kind=kind_of(question),
                question=question.text,
                options=options,
                right=question.answer,
                agent=_reply(probabilities),
                vlm=_reply(alone),
            )
        )
    return AskedPhoto(
        id=sample.id,
        category=sample.category,
        label=sample.label,
        defect_type=sample.defect_type,
        photo=str(sample.path),
        reference=None if reference is None else str(reference),
        seconds=seconds,
        model=gathered.report.model,
        asked=asked,
    )


def measure(photos: Sequence[AskedPhoto], system: System) -> Values:
    """Accuracy over subtasks; overkill and miss from the questions whether there is a defect."""
    found: Values = {"accuracy": [], "overkill": [], "miss": []}
    for photo in photos:
        part, half = photo.id.split("/")[0], "anomalous" if photo.label else "normal"
        for number, asked in enumerate(photo.asked, 1):
            item, given = f"{photo.id}:{asked.question}:{number}", getattr(asked, system).given
            detection = asked.kind == DETECTION
            group = (part, asked.kind, half) if detection else (part, asked.kind)
            found["accuracy"].append(Value(item, float(given == asked.right), photo.id, group))
            if detection and isinstance(read := yes_and_no(asked, photo.label), tuple):
                yes, no = read
                name, wrong = ("miss", no) if photo.label else ("overkill", yes)
                found[name].append(Value(item, float(given == wrong), photo.id, (part,)))
    return found


def yes_and_no(asked: Asked, label: int | None) -> tuple[str, str] | str:
    """Which letters of a question whether there is a defect say that there is one and that there is none; or why that
    cannot be told."""
    says = {word: [letter for letter, text in asked.options.items() if _opens(text) == word] for word in ("yes", "no")}
    if len(asked.options) != 2 or len(says["yes"]) != 1 or len(says["no"]) != 1:
        return "the options are not one Yes and one No"
    if (asked.right == says["yes"][0]) != bool(label):
        return "the right answer contradicts the photo's folder"
    return says["yes"][0], says["no"][0]


def kind_of(question: Question) -> str:
    """The subtask a question belongs to."""
    return _PART_OF.get(question.kind, question.kind)


def read_ids(path: Path) -> set[str]:
    """The ids in a file, one a line; empty lines and those that begin with # are passed over.

    Raises:
        EvalError: the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EvalError(
            f"exclude {str(path)!r}: cannot be read ({error}); expected a text file with the id of a photo a line, "
            "such as DS-MVTec/pill/image/good/000.png"
        ) from error
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


def _picked(
    data: Path | str, limit: int | None, seed: int, category: str | None, exclude: Path | None
) -> tuple[list[Sample], list[str]]:
    """The photos to ask about, and what to say about those that are left out."""
    try:
        read = read_dataset("mmad", data, category).samples
    except DataError as error:
        raise EvalError(str(error)) from error
    out = set() if exclude is None else read_ids(exclude)
    excluded = sum(sample.id in out for sample in read)
    usable = [sample for sample in read if _answerable(sample) and sample.id not in out]
    if not usable:
        raise EvalError(f"data {str(data)!r}: has no photo with a question that can be answered")
    odd = sum(len(sample.questions) - len(_answerable(sample)) for sample in read)
    notes = [f"{excluded} photos left out by {exclude.name}"] if exclude is not None else []
    if odd:
        notes.append(f"{odd} questions left out: their right answer is none of their options")
    picked = pick(usable, limit, seed)
    if len(picked) < len(usable):
        notes.append(f"{len(picked)} of {len(usable)} photos, drawn by seed {seed}")
    return picked, notes


def _answerable(sample: Sample) -> list[Question]:
    return [question for question in sample.questions if question.answer in dict(question.options)]


def _reply(probabilities: Mapping[str, float] | None) -> Reply:
    if probabilities is None:
        return Reply(given=None)
    return Reply(given=max(probabilities, key=lambda letter: probabilities[letter]), probabilities=dict(probabilities))


def _opens(text: str) -> str | None:
    found = re.match(r"\W*(yes|no)\b", text, re.IGNORECASE)
    return found.group(1).lower() if found else None


def _unread(photos: Sequence[AskedPhoto]) -> list[str]:
    """Questions whether there is a defect that are in neither overkill nor miss, by the reason."""
    reasons = Counter(
        read
        for photo in photos
        for asked in photo.asked
        if asked.kind == DETECTION and isinstance(read := yes_and_no(asked, photo.label), str)
    )
    return [f"{count} questions are in neither overkill nor miss: {reason}" for reason, count in reasons.items()]
