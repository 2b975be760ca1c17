"""The report as a page: hostile text stays text, nothing is fetched, nothing gets lost."""

from __future__ import annotations

import html
import io
import re
from base64 import b64decode, b64encode
from hashlib import sha256

import numpy as np
import pytest
from PIL import Image
from reports import (
    BREAKOUT,
    MARKUP,
    SCRIPT,
    TEMPLATE,
    Page,
    bare_report,
    drawn_photo,
    hostile_report,
    hot_corner,
)

from agent.render.html import notebook_html, report_html
from agent.render.overlay import attention, overlay
from agent.report import CitedFact, InspectionReport, ReasoningStep, Verdict


def full_page(report: InspectionReport) -> str:
    photo = drawn_photo()
    picture = overlay(photo, hot_corner(), [finding.box for finding in report.findings])
    return report_html(report, overlay=picture, photo=photo, references=[drawn_photo(100, 80)])


def test_hostile_text_stays_text() -> None:
    page = Page(full_page(hostile_report()))
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "iframe", "object", "embed", "form", "base"}
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on") or name == "style"]
    for shown in (
        f"scratch {SCRIPT}",
        f"fact {BREAKOUT}",
        f"advice {TEMPLATE}",
        MARKUP,
        "javascript:alert(1)",
    ):
        assert shown in page.text


def test_nothing_is_fetched() -> None:
    page = Page(full_page(hostile_report()))
    assert all(src.startswith(("data:image/png;base64,", "data:image/jpeg;base64,")) for src in page.values("src"))
    assert all(href.startswith("#") or href == "data:," for href in page.values("href"))
    assert not [tag for tag, _ in page.tags if tag == "link" and _.get("rel") != "icon"]


def test_no_control_characters() -> None:
    text = full_page(hostile_report())
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    text.encode("utf-8")


def test_policy_allows_exactly_this_style() -> None:
    text = full_page(hostile_report())
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style
    digest = b64encode(sha256(style[1].encode()).digest()).decode()
    (policy,) = Page(text).values("content", "meta")[:1]
    assert "default-src 'none'" in policy
    assert f"style-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy


def test_every_known_cite_has_its_target() -> None:
    report = hostile_report()
    page = Page(full_page(report))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", id_) for id_ in ids)
    links = page.values("href", "a")
    assert links
    assert all(link[1:] in ids for link in links)
    assert {"#fact-F1", "#evidence-E1"} <= set(links)
    assert len(links) == 5  # F1 and E1 twice, the hostile id once; F99 leads nowhere
    assert "F99: not in this report" in page.text


def test_ids_that_look_alike_do_not_share_an_anchor() -> None:
    facts = [CitedFact(id=id_, text=id_, source="s") for id_ in ("a b", "a?b", "a-b", "", "?", "a b")]
    steps = [ReasoningStep(text="t", cites=[fact.id for fact in facts], supported=True)]
    page = Page(full_page(hostile_report(facts=facts, reasoning=steps, findings=[])))
    targets = [id_ for id_ in page.values("id") if id_.startswith("fact-")]
    assert len(targets) == len(set(targets)) == 5
    assert {link[1:] for link in page.values("href", "a")} == set(targets)


@pytest.mark.parametrize(("verdict", "word"), [("normal", "Normal"), ("uncertain", "Uncertain")])
def test_missing_scores_and_bare_report(verdict: Verdict, word: str) -> None:
    report = bare_report(verdict)
    page = Page(report_html(report, overlay=None, photo=None))
    assert word in page.text
    assert page.text.count("not available") == 2
    assert not page.values("src")
    assert "Warning" not in page.text
    assert "Reasoning" not in page.text
    assert "None" not in page.text


def test_unsupported_sentences_are_marked() -> None:
    text = full_page(hostile_report())
    assert text.count('<li class="unsupported">') == 1
    assert "1 of 3 sentences could not be verified" in text


def test_pictures_are_capped_and_carry_no_metadata() -> None:
    photo = drawn_photo(3000, 2000)
    photo.info["comment"] = b"where it was taken"
    text = report_html(hostile_report(), overlay=None, photo=photo)
    for uri in Page(text).values("src"):
        data = b64decode(uri.split(",", 1)[1])
        assert max(Image.open(io.BytesIO(data)).size) <= 1200
        assert b"taken" not in data


def test_close_up_of_a_box_off_the_photo() -> None:
    finding = hostile_report().findings[0].model_copy(update={"box": (9000, 9000, 9001, 9001)})
    assert "Close-up of finding 1" in full_page(hostile_report(findings=[finding]))


def test_notebook_frame_holds_the_page_and_links_within_itself() -> None:
    (frame,) = [attrs for tag, attrs in Page(notebook_html(hostile_report(), height=500)).tags if tag == "iframe"]
    assert frame["sandbox"] == ""
    assert frame["height"] == "500"
    inner = Page(frame["srcdoc"] or "")
    assert f"scratch {SCRIPT}" in inner.text
    assert not {"script", "iframe"} & {tag for tag, _ in inner.tags}
    links = inner.values("href", "a")
    assert links
    assert all(link.startswith("about:srcdoc#") for link in links)
    assert html.escape("<!doctype html>") in notebook_html(hostile_report())


def test_where_the_model_looked_stands_beside_the_facts_it_was_shown() -> None:
    facts = [CitedFact(id=id_, text=id_, source="s") for id_ in ("one", "two", "three")]
    report = hostile_report(facts=facts, reasoning=[], findings=[])
    photo = drawn_photo()
    corner = np.zeros((8, 8), np.float32)
    corner[:4, :4] = 1
    seen = [corner, 1 - corner]
    page = report_html(report, overlay=None, photo=photo, attended=seen)
    assert page.count('alt="The photo, lit where the model looked for this fact"') == 2
    assert "Looked at" in page
    plain = report_html(report, overlay=None, photo=photo)
    assert "Looked at" not in plain
    lit = np.asarray(attention(photo, seen[0]), np.float32).sum(-1)
    dark = np.asarray(attention(photo, seen[1]), np.float32).sum(-1)
    hot = np.asarray(Image.fromarray(seen[0]).resize(photo.size)) > 0.9
    assert lit[hot].mean() > dark[hot].mean() + 50
    assert lit[~hot].mean() < dark[~hot].mean()
