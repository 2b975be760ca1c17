"""The record of a session as one self-contained web page: the report, each question with its answer, what persons said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from PIL import Image

from agent.conversation import Acceptance, Correction, Turn
from agent.render.html import close_ups, looked, named_references, slug, steps, targets
from agent.render.overlay import overlay
from agent.render.page import Picture, picture_of, render_page
from agent.render.text import duration_text, total_ms
from agent.report import InspectionReport, Pictures
from knowledge.facts import Fact
from tools.evidence import Evidence

_CROP_SIDE = 400


@dataclass(frozen=True)
class _Look:
    """Evidence of a turn as the page shows it."""

    evidence: Evidence
    anchor: str
    """Where citations lead; empty where an earlier look has the id."""
    crops: list[Picture | None]
    """None for a picture that is gone."""


@dataclass(frozen=True)
class _Asked:
    """A turn as the page shows it."""

    turn: Turn
    looks: list[_Look]
    facts: list[tuple[Fact, str]]
    """With their anchors, as above."""
    corrected: list[int]
    """Numbers of the corrections of its answer, from 1."""


def session_html(
    report: InspectionReport,
    turns: Sequence[Turn],
    corrections: Sequence[Correction],
    accepted: Acceptance | None,
    picture: Callable[[str], Image.Image],
) -> str:
    """The whole page as text; write it as UTF-8.

    Args:
        report: as it stands at the end, with what persons corrected; with its pictures where they are kept.
        turns: all of them, oldest first. Every text in them is escaped, as in the report.
        corrections: oldest first.
        accepted: by whom the verdict was let stand.
        picture: the picture of an id, such as a crop that was looked at. One that it raises KeyError, OSError or ValueError
            for is told to be gone.
    """
    pictures = _pictures_of(report)
    photo = pictures.photo if pictures else _picture_or_none(picture, "test")
    anchors, titles = targets(report)
    asked = list(_asked(turns, corrections, picture, anchors, titles))
    drawn = pictures and overlay(pictures.photo, pictures.anomaly_map, [finding.box for finding in report.findings])
    return render_page(
        "session.html.j2",
        "report.css",
        "session.css",
        report=report.model_copy(update={"answer": None}) if turns else report,  # it stands among the questions
        address="",
        anchors=anchors,
        titles=titles,
        overlay=picture_of(drawn) if drawn else None,
        photo=picture_of(photo) if photo else None,
        references=list(named_references(report.references, pictures.references if pictures else ())),
        close_ups=close_ups(report, photo) if photo else [],
        looked=list(looked(pictures.photo, pictures.attended())) if pictures else [],
        steps=steps(report),
        total=duration_text(total_ms(report.timings)),
        asked=asked,
        corrections=corrections,
        accepted=accepted,
    )


def _pictures_of(report: InspectionReport) -> Pictures | None:
    try:
        return report.pictures
    except ValueError:  # read from JSON
        return None


def _picture_or_none(picture: Callable[[str], Image.Image], id: str) -> Image.Image | None:
    try:
        return picture(id)
    except (KeyError, OSError, ValueError):  # deleted or damaged since: the record is made all the same
        return None


def _asked(
    turns: Sequence[Turn],
    corrections: Sequence[Correction],
    picture: Callable[[str], Image.Image],
    anchors: dict[str, str],
    titles: dict[str, str],
) -> Iterable[_Asked]:
    """The turns, whose evidence and facts are added to what citations lead to: the first with an id has it."""

    def anchor(kind: str, id: str, title: str) -> str:
        if id in anchors:
            return ""
        anchors[id], titles[id] = f"{kind}-{slug(id)}", title
        return anchors[id]

    for turn in turns:
        looks = []
        for look in turn.looks:
            crops = [_picture_or_none(picture, id) for id in look.image_ids]
            shown = [None if crop is None else picture_of(crop, _CROP_SIDE) for crop in crops]
            looks.append(_Look(look, anchor("evidence", look.id, look.summary), shown))
        facts = [(fact, anchor("fact", fact.id, fact.text)) for fact in turn.facts]
        corrected = [
            number
            for number, correction in enumerate(corrections, 1)
            if correction.answer is not None and correction.turn == turn.number
        ]
        yield _Asked(turn, looks, facts, corrected)
