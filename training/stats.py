"""What AD-PL files hold, in numbers: records, verdicts, defects, lengths and scores of answers.

What a file does not say, as the published set says nothing of defects and scores, is None, never zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from training.adpl import ANSWERS, MleScores, PreferenceRecord, RankedQuestion
from training.adpl_file import AdplFault, read_adpl


@dataclass(frozen=True)
class AdplFile:
    """A file with its good records."""

    name: str
    records: tuple[PreferenceRecord, ...]
    faults: tuple[AdplFault, ...] = ()
    images: Path | None = None
    """Folder of its images; none where it is not known."""

    @property
    def questions(self) -> list[RankedQuestion]:
        return [question for record in self.records for question in record.question_answer]


@dataclass(frozen=True)
class Verdicts:
    """How many questions there are, and for how many of them `true` is right."""

    true: int
    questions: int


@dataclass(frozen=True)
class Defects:
    """The marked defects of the test images."""

    severities: dict[str, list[float]]
    """Of each defect type, 0..1, the commonest type first."""
    normal: int
    """Records whose test image has none."""
    unmarked: int
    """Records that do not say."""


@dataclass(frozen=True)
class Scores:
    """MLE scores of the questions whose four answers all have them."""

    by_rank: tuple[tuple[MleScores, ...], ...]
    """Of the best answers, of the second, and so on."""
    closest: tuple[float, ...]
    """Of each question, the smallest gap between neighbours in rank, 0..4."""
    widest: tuple[float, ...]
    """Of each question, how far the first answer is above the last, -4..4."""
    contradictions: int
    """Neighbours in rank of which the lower has the higher score."""
    unscored: int
    """Questions that lack scores."""


@dataclass(frozen=True)
class Stats:
    """The contents of one file."""

    file: AdplFile
    questions: int
    answers: int
    photos: int
    """Distinct names."""
    pair_types: Counter[str]
    domains: Counter[str]
    families: Counter[str] | None
    splits: Counter[str] | None
    verdicts: dict[str, Verdicts]
    """By pair type."""
    defects: Defects | None
    lengths: tuple[tuple[int, ...], ...]
    """Words of the best answers, of the second, and so on."""
    scores: Scores | None


def open_files(paths: Sequence[Path], images: Path | None = None) -> list[AdplFile]:
    """Read AD-PL files.

    Args:
        images: folder of the images of all of them; by default the folder `images` beside each file, or the file's
            own folder, whichever has the first image that is named there.
    """
    short = len({path.stem for path in paths}) == len(paths)
    files = []
    for path in paths:
        read = list(read_adpl(path))
        records = tuple(r for r in read if isinstance(r, PreferenceRecord))
        faults = tuple(r for r in read if isinstance(r, AdplFault))
        folder = images or _beside(path, records)
        files.append(AdplFile(path.stem if short else str(path), records, faults, folder))
    return files


def _beside(path: Path, records: Sequence[PreferenceRecord]) -> Path | None:
    folders = (path.parent / "images", path.parent)
    return next((f for f in folders if records and (f / records[0].test_image).is_file()), None)


def stats_of(file: AdplFile) -> Stats:
    """Count what a file holds."""
    records, questions = file.records, file.questions
    verdicts: dict[str, Verdicts] = {}
    for pair_type in dict.fromkeys(r.pair_type for r in records):
        right = [q.answer for r in records if r.pair_type == pair_type for q in r.question_answer]
        verdicts[pair_type] = Verdicts(sum(answer is True for answer in right), len(right))
    return Stats(
        file,
        questions=len(questions),
        answers=ANSWERS * len(questions),
        photos=len({name for r in records for name in (r.test_image, r.reference_image)}),
        pair_types=Counter(r.pair_type for r in records),
        domains=Counter(r.domain for r in records),
        families=_counted(r.family for r in records),
        splits=_counted(r.split for r in records),
        verdicts=verdicts,
        defects=_defects(records),
        lengths=tuple(tuple(len(q.answer_options[k].answer_en.split()) for q in questions) for k in range(ANSWERS)),
        scores=_scores(questions),
    )


def _counted(values: Iterable[str | None]) -> Counter[str] | None:
    return Counter(v for v in values if v is not None) or None


def _defects(records: Sequence[PreferenceRecord]) -> Defects | None:
    marked = [r.defects for r in records if r.defects is not None]
    if not marked:
        return None
    severities: dict[str, list[float]] = {}
    for defect in (d for defects in marked for d in defects):
        severities.setdefault(defect.defect_type, []).append(defect.severity)
    commonest = dict(sorted(severities.items(), key=lambda item: (-len(item[1]), item[0])))
    return Defects(commonest, sum(not defects for defects in marked), len(records) - len(marked))


def _scores(questions: Sequence[RankedQuestion]) -> Scores | None:
    scored = []
    for question in questions:
        given = [option.scores for option in question.answer_options if option.scores is not None]
        if len(given) == ANSWERS:
            scored.append(given)
    if not scored:
        return None
    drops = [[a.mean - b.mean for a, b in pairwise(given)] for given in scored]
    return Scores(
        by_rank=tuple(zip(*scored, strict=True)),
        closest=tuple(min(map(abs, each)) for each in drops),
        widest=tuple(given[0].mean - given[-1].mean for given in scored),
        contradictions=sum(drop < 0 for each in drops for drop in each),
        unscored=len(questions) - len(scored),
    )
