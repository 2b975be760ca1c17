"""The record of a session as a page: hostile text stays text, nothing is fetched, nothing gets lost."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from PIL import Image
from reports import (
    ANSI,
    BREAKOUT,
    HOSTILE_ID,
    MARKUP,
    SCRIPT,
    TEMPLATE,
    Page,
    bare_report,
    drawn_photo,
    hostile_report,
    hot_corner,
)

from agent.conversation import Acceptance, Correction, Turn
from agent.render.session_page import session_html
from agent.report import Answer, InspectionReport, Pictures, ReasoningStep
from knowledge.facts import Fact
from tools.evidence import Evidence

AT = datetime(2026, 5, 4, 3, 10, tzinfo=UTC)
FACT = Fact.create(f"Glare moves with the lamp {SCRIPT}", category="plate", kind="object", source=f"notes {BREAKOUT}")
ZOOM = Evidence(id="E2", tool=f"zoom{SCRIPT}", summary=f"Close-up {BREAKOUT} {ANSI}", image_ids=["crop"])
GONE = Evidence(id="E3", tool="zoom", summary="Another.", image_ids=["gone"])


def turn(number: int = 1, **changes: object) -> Turn:
    steps = [
        ReasoningStep(text=f"It is bright {SCRIPT} {TEMPLATE}", cites=["E2", "E1", FACT.id], supported=True),
        ReasoningStep(text=f"It is deep {MARKUP}", cites=["E99", HOSTILE_ID], supported=False),
    ]
    made = Turn(
        number=number, question=f"What is it? {SCRIPT}{BREAKOUT}", answer=Answer(value=True, text="not shown"), steps=steps,
        looks=[ZOOM, GONE], facts=[FACT], failed=[f"zoom: no such place {BREAKOUT}"],
    )  # fmt: skip
    return made.model_copy(update=changes)


def correction(**changes: object) -> Correction:
    made = Correction(
        by=f"ann {SCRIPT}", at=AT, why=f"It moves {BREAKOUT}\x1b[31m", verdict="normal", verdict_before="anomalous",
        box=(64, 48, 192, 96), defect_type=f"glare{SCRIPT}", answer=f"False. It is glare {SCRIPT}", question=turn().question, turn=turn().number,
        instead_of=f"True. A scratch {BREAKOUT}",
    )  # fmt: skip
    return made.model_copy(update=changes)


def picture(id: str) -> Image.Image:
    if id == "crop":
        return drawn_photo(900, 300)
    raise KeyError(id)


def page_of(report: InspectionReport | None = None) -> str:
    if report is None:
        report = hostile_report()
        report.keep_pictures(Pictures(drawn_photo(), (drawn_photo(100, 80),), hot_corner()))
    accepted = Acceptance(by=f"ben {SCRIPT}", at=AT, why=f"seen {BREAKOUT}")
    return session_html(report, [turn(), turn(2)], [correction()], accepted, picture)


def test_hostile_text_stays_text() -> None:
    page = Page(page_of())
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "embed", "form", "base"}
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on") or name == "style"]
    for shown in (
        f"What is it? {SCRIPT}{BREAKOUT}",
        f"It is bright {SCRIPT} {TEMPLATE}",
        MARKUP,
        f"no such place {BREAKOUT}",
        f"ann {SCRIPT}",
        f"It moves {BREAKOUT}",
        f"seen {BREAKOUT}",
        f"notes {BREAKOUT}",
    ):
        assert shown in page.text


def test_nothing_is_fetched_and_no_control_character_is_left() -> None:
    text = page_of()
    page = Page(text)
    assert all(src.startswith(("data:image/png;base64,", "data:image/jpeg;base64,")) for src in page.values("src"))
    assert all(href.startswith("#") or href == "data:," for href in page.values("href"))
    assert text.count("<style>") == 1
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)


def test_every_citation_leads_to_one_place_and_the_first_with_an_id_has_it() -> None:
    page = Page(page_of())
    ids, links = page.values("id"), page.values("href", "a")
    assert len(ids) == len(set(ids))
    assert all(link[1:] in ids for link in links)
    assert {"#evidence-E1", "#evidence-E2", f"#fact-{FACT.id}", "#correction-1", "#questions", "#accepted"} <= set(
        links
    )
    assert page.text.count("E99: not in this report") == 2


def test_an_answer_is_shown_sentence_by_sentence_with_what_was_looked_at() -> None:
    report = hostile_report(reasoning=[])
    page = session_html(report, [turn()], [], None, picture)
    assert page.count('<li class="unsupported"><strong class="flag">Unsupported</strong> It is deep') == 1
    text = Page(page).text
    assert "not shown" not in text
    assert "The picture that was looked at is gone" in text
    assert "A call that failed" in text
    (crop,) = [attrs for tag, attrs in Page(page).tags if tag == "img"]
    assert (crop["width"], crop["height"]) == ("400", "133")
    assert "Correct" not in text
    declined = turn(answer=Answer(value=None, text="The photo does not allow an answer."), steps=[])
    assert "The photo does not allow an answer." in Page(session_html(report, [declined], [], None, picture)).text


def test_corrections_say_who_when_why_and_what_was_there_before() -> None:
    text = Page(page_of()).text
    assert "1 correction by a person" in text
    assert "2026-05-04 03:10:00 UTC" in text
    assert "Verdict was anomalous now normal" in text
    assert "Box, px now 64, 48 – 192, 96" in text
    assert f"The agent said True. A scratch {BREAKOUT}" in text
    assert f"Instead False. It is glare {SCRIPT}" in text
    assert "Corrected by ann" in text
    assert f"ben {SCRIPT} let the verdict stand" in text
    left = session_html(hostile_report(), [], [correction(verdict=None, question=None, turn=None)], None, picture)
    assert "Verdict anomalous, left as it was" in Page(left).text
    assert "Question The verdict" in Page(left).text


@pytest.mark.parametrize("known", [True, False])
def test_a_report_without_pictures_shows_the_photo_where_it_is_kept(known: bool) -> None:
    def photo_alone(id: str) -> Image.Image:
        if id == "test" and known:
            return drawn_photo()
        raise FileNotFoundError(id)

    page = Page(session_html(bare_report("normal"), [], [], None, photo_alone))
    assert len(page.values("src")) == known
    assert "Questions" not in page.text
    assert "None" not in page.text
    assert page.text.startswith("Session, normal: plate.png")


def test_the_last_answer_stands_among_the_questions_alone() -> None:
    page = page_of()
    assert 'id="answer"' not in page
    assert 'id="answer"' in session_html(hostile_report(), [], [], None, picture)
