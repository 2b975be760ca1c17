"""`sage-iad data rank --from-corrections`: what persons corrected in sessions, as AD-PL."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from agent.cli_errors import one_line_errors, stop

if TYPE_CHECKING:
    from agent.conversation import Correction
    from agent.session.corrected import CorrectedSession
    from training.rank.corrections import CorrectedAnswer, CorrectedCase


def from_corrections(out: Path, home: Path | None) -> None:
    """Write AD-PL of every corrected session; what cannot become a record is named with the reason."""
    from agent.home import default_home
    from agent.render.text import plain
    from agent.session.corrected import corrected_cases
    from knowledge.facts import shipped_pack
    from training.rank.corrections import CorrectionError, corrected_record

    if out.is_dir():
        stop(
            f"--out {str(out)!r}: is a folder, expected the JSON file to write, such as {str(out / 'corrected.json')!r}"
        )
    folder, records, left_out = out.parent / f"{out.stem}-images", list[dict[str, object]](), list[str]()
    seen = dict[tuple[tuple[str, ...], ...], str]()
    with one_line_errors(OSError):
        for found in corrected_cases(home or default_home()):
            # A fork begins with the corrections of the session it comes from.
            said = tuple((c.by, c.at.isoformat(), c.why) for c in found.corrections)
            if seen.setdefault(said, found.session_id) != found.session_id:
                left_out.append(f"{found.session_id}: has the corrections of {seen[said]}")
                continue
            try:
                case = _case(found)
                if case.reference_image is None:
                    raise CorrectionError("has no reference photo, which a record needs")
                pictures = {"test": case.test_image, "reference": case.reference_image}
                names = {key: f"{folder.name}/{found.session_id}-{key}{path.suffix}" for key, path in pictures.items()}
                if missing := [path for path in pictures.values() if not path.is_file()]:
                    raise CorrectionError(f"its photo {missing[0]} is gone")
                made = corrected_record(case, names["test"], names["reference"], shipped_pack())
            except CorrectionError as error:
                left_out.append(f"{found.session_id}: {error}")
                continue
            left_out += [f"{found.session_id}: {note}" for note in made.notes]
            folder.mkdir(parents=True, exist_ok=True)
            for key, path in pictures.items():
                shutil.copyfile(path, out.parent / names[key])
            records.append(made.record.model_dump(mode="json", exclude_none=True))
        for line in left_out:
            typer.echo(f"left out: {plain(line)}", err=True)
        if not records:
            why = "no session has corrections that make a record" if left_out else "no session has a correction"
            stop(f"--from-corrections: {why}; correct one in `sage-iad chat` or with agent.Session.correct")
        out.write_text(json.dumps(records, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    typer.echo(f"{out}: {len(records)} records, photos in {folder}; {len(left_out)} left out")
    typer.echo(f"next: sage-iad data check {out} --images {out.parent}")


def _case(found: CorrectedSession) -> CorrectedCase:
    """The corrections of a session joined: of each thing, what was said last."""
    from training.rank.corrections import CorrectedCase

    anomalous, box, defect_type = None, None, None
    for correction in found.corrections:
        if correction.verdict is not None:
            anomalous = correction.verdict == "anomalous"
        if correction.verdict == "normal":
            box, defect_type = None, None
        box, defect_type = correction.box or box, correction.defect_type or defect_type
    facts, evidence = dict(found.facts), {f"E{i}": summary for i, summary in enumerate(found.evidence, 1)}
    answers: dict[str, tuple[int | None, CorrectedAnswer]] = {}
    for correction in found.corrections:
        _add_answer(correction, found, answers, facts, evidence)
    return CorrectedCase(
        id=found.session_id,
        test_image=found.test_image,
        reference_image=found.reference_image,
        category=found.category,
        facts=facts,
        evidence=evidence,
        said=found.said,
        called={"normal": False, "anomalous": True}.get(found.corrections[0].verdict_before),
        anomalous=anomalous,
        box=box,
        defect_type=defect_type,
        answers=tuple(answer for _, answer in answers.values()),
    )


def _add_answer(
    correction: Correction,
    found: CorrectedSession,
    answers: dict[str, tuple[int | None, CorrectedAnswer]],
    facts: dict[str, str],
    evidence: dict[str, str],
) -> None:
    """Add a corrected answer, and what the agent looked up and looked at for the one it stands for."""
    from agent.person import ASK_PERSON
    from agent.vlm.prompt import VERDICT_QUESTION
    from training.rank.corrections import CorrectedAnswer

    if correction.answer is None:
        return
    question = correction.question or VERDICT_QUESTION
    before = correction.instead_of or ("" if correction.question else found.said)
    turn_before, first = answers.get(question, (None, None))
    # Where the same answer was corrected twice, it is still the agent's that was wrong; the same question asked twice is
    # another matter, and a record holds it once: the one that was corrected last.
    if first is not None and turn_before == correction.turn:
        before = first.instead_of
    answers[question] = (correction.turn, CorrectedAnswer(question, correction.answer, before))
    for turn in [turn for turn in found.turns if turn.number == correction.turn]:
        facts |= {fact.id: fact.text for fact in turn.facts}
        for look in turn.looks:
            if look.tool not in ("query_facts", ASK_PERSON):
                evidence.setdefault(look.id, look.summary)
