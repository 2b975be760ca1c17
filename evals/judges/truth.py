"""What is known of a part, put together for judges: from an AD-PL record, or from a labelled photo and its mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evals.errors import EvalError
from evals.mle import Citable, TrueDefect, Truth
from training.data import DataError, Sample, read_mask
from training.preference.scene import Mark, mark_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from agent.report import CitedEvidence, InspectionReport
    from knowledge.facts import Fact
    from tools.evidence import Evidence
    from training.adpl import PreferenceRecord, RankedQuestion
    from training.draw.scene import Case

    Mask = NDArray[np.bool_]
    Photo = NDArray[np.uint8]

_TONES = {"darker than": "darker", "brighter than": "brighter", "about as bright as": "alike"}


def truths_below(images: Path) -> Callable[[PreferenceRecord, RankedQuestion], Truth]:
    """`truth_of_question` with the facts of the shipped pack, for records whose photos lie below `images`."""
    from knowledge.facts import shipped_pack

    facts = {fact.id: fact for fact in shipped_pack().facts}
    return lambda record, question: truth_of_question(record, question, images, facts)


def truth_of_question(
    record: PreferenceRecord,
    question: RankedQuestion,
    images: Path,
    facts: Mapping[str, Fact],
    report: InspectionReport | None = None,
) -> Truth:
    """The truth behind one question of an AD-PL record.

    Args:
        record: whose `defects` are known; where they are not, kind and place stay unknown and only the reply is judged.
        question: one of its five.
        images: folder that the record's paths are below.
        facts: by id, such as those of the shipped pack; the record's first fact is cited as F1, its first evidence as E1.
        report: an inspection whose own facts and evidence an answer cites; none: an answer of the record itself.

    Raises:
        EvalError: a mask or photo that cannot be read.
    """
    defects = [] if record.defects is None else _marked(record, images)
    anomalous = bool(defects) if record.defects is not None else _says_anomalous(question, record)
    numbered = {f"F{i}": _of_fact(facts[id]) for i, id in enumerate(record.facts or (), 1) if id in facts}
    numbered |= {f"E{i}": Citable(text=text) for i, text in enumerate(record.evidence or (), 1)}
    return Truth(
        anomalous=anomalous,
        defects=tuple(defects),
        question=question.question_en,
        answer=question.answer,
        differences=None if record.differences is None else tuple(record.differences),
        citable=numbered if report is None else citable(report),
        reference_answer=question.answer_options[0].answer_en,
    )


def truth_of_sample(sample: Sample, mask: Mask | None, report: InspectionReport) -> Truth:
    """The truth behind a photo of a benchmark and the report on it; kind and place as far as the set gives them."""
    import numpy as np

    from evals.figures.kinds import kind_of

    kind = kind_of(sample.defect_type) if sample.label else None
    defects: list[TrueDefect] = []
    if sample.label and mask is not None:
        defects = [_defect(kind, mask, np.asarray(report.pictures.photo))]
    elif sample.label:
        defects = [TrueDefect(defect_type=kind)]
    return Truth(anomalous=bool(sample.label), defects=tuple(defects), citable=citable(report))


def truth_of_case(case: Case, facts: Mapping[str, Fact], evidence: Sequence[Evidence]) -> Truth:
    """The truth behind a drawn case; `facts`, by short id, and `evidence` are what is put before the model about it."""
    defects = [_defect(d.defect_type, d.mask, case.test) for d in case.defects]
    shown = {alias: _of_fact(fact) for alias, fact in facts.items()}
    shown |= {item.id: _of_evidence(item) for item in evidence}
    return Truth(
        anomalous=case.anomalous,
        defects=tuple(sorted(defects, key=lambda d: -(d.area_fraction or 0))),
        citable=shown,
    )


def citable(report: InspectionReport) -> dict[str, Citable]:
    """What the sentences of a report may cite, by id."""
    from knowledge.facts import shipped_pack

    known = {fact.id: fact for fact in shipped_pack().facts}
    found = {
        f.id: _of_fact(known[f.id]) if f.id in known else Citable(text=f.text, kind="object") for f in report.facts
    }
    found |= {item.id: _of_evidence(item) for item in report.evidence}
    return found


def _of_evidence(item: Evidence | CitedEvidence) -> Citable:
    places = [item.values.get("place"), *(region.get("place") for region in item.values.get("regions", []))]
    return Citable(text=item.summary, places=tuple(dict.fromkeys(p for p in places if p)))


def _of_fact(fact: Fact) -> Citable:
    return Citable(text=fact.text, kind=fact.kind, defect_type=fact.defect_type)


def _marked(record: PreferenceRecord, images: Path) -> list[TrueDefect]:
    """The marked defects of a record, largest first."""
    import numpy as np
    from PIL import Image

    if not record.defects:
        return []
    try:
        with Image.open(images / record.test_image) as photo:
            pixels = np.asarray(photo.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise EvalError(
            f"photo {record.test_image!r}: cannot be opened ({error}); expected an image below {str(images)!r}"
        ) from error
    found = []
    for defect in record.defects:
        try:
            mask = read_mask(images / defect.mask)
        except DataError as error:
            raise EvalError(str(error)) from error
        if mask.shape != pixels.shape[:2]:
            raise EvalError(
                f"mask {defect.mask!r}: is {mask.shape[::-1]} pixels; expected {pixels.shape[1::-1]} like its photo"
            )
        found.append(_defect(defect.defect_type, mask, pixels))
    return sorted(found, key=lambda d: -(d.area_fraction or 0))


def _defect(kind: str | None, mask: Mask, photo: Photo) -> TrueDefect:
    import numpy as np

    mark: Mark = mark_of(kind or "", mask, photo.astype(np.float32).mean(2))
    ys, xs = np.nonzero(mask)
    places = (mark.place, *sorted(mark.touched - {mark.place}))
    return TrueDefect(
        defect_type=kind,
        places=places,
        box=(int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1),
        area_fraction=float(mask.mean()),
        tone=_TONES[mark.tone],  # type: ignore[arg-type]
    )


def _says_anomalous(question: RankedQuestion, record: PreferenceRecord) -> bool:
    """Where nobody marked the defects: by the conclusion that the set gives."""
    from agent.verify.claims import read_claims
    from agent.vlm.prompt import Sentence

    text = question.conclusion_en or record.conclusion_en or ""
    claims = [read_claims(Sentence(part, ())) for part in text.split(". ") if part]
    return any(c.affirmed or c.defect or c.accepts is False for c in claims)
