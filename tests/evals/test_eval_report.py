"""The page, the table, the sentences, and the summary for a pull request."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from drawn_run import drawn_run, leave, mixed, outcome, steps
from rich.console import Console

from evals import EvalError
from evals.figures.metrics import Metric
from evals.mle import Fault, MleScore
from evals.pages.charts import calibration_svg, histogram_svg, pr_svg, roc_svg
from evals.pages.markdown import markdown, write_summary
from evals.pages.report import report_html, write_report
from evals.pages.summary import figure, print_results, sentence
from evals.results import Failure, Results


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and value:
                self.sources.append(value)
            if name == "id" and value:
                self.ids.append(value)


def page_of(tmp_path: Path, outcomes: list[Any], **changes: Any) -> tuple[str, Results]:
    results = leave(tmp_path / "out", outcomes, tmp_path / "data", **changes)
    page = write_report(results, drawn_run(outcomes, **changes), tmp_path / "data", tmp_path / "out")
    return page.read_text(), results


def printed(results: Results, width: int = 100) -> str:
    text = io.StringIO()
    print_results(results, Console(file=text, width=width))
    return text.getvalue()


def test_the_page_stands_alone(tmp_path: Path) -> None:
    text, _ = page_of(tmp_path, mixed(16))
    page = _Page(text)
    assert page.sources
    assert all(s.startswith(("data:", "#")) for s in page.sources)
    assert "script" not in page.tags
    assert page.tags.count("svg") == 4
    assert page.tags.count("img") >= 2 * 8
    assert len(page.ids) == len(set(page.ids))
    assert not re.search(r"url\((?!#)", text)
    assert "http" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", text).replace("http-equiv", "")


def test_the_page_escapes_every_text_from_outside(tmp_path: Path) -> None:
    evil = "<b>&amp;<script>alert(1)</script>$x$"
    fault = Fault(kind="wrong place", scale="location", points=1, why=evil, step=0)
    reasoned = {
        "named": evil,
        "reasoning": [s.model_copy(update={"text": evil, "cites": [evil]}) for s in steps(False)],
        "mle": MleScore(type=1, location=2, logic=3, faults=(fault,)),
    }
    outcomes = [
        outcome("test/crack/&amp;<i>.png", **reasoned),
        outcome("test/good/0.png", 0),
        outcome("x.png", defect_type=evil),
    ]
    failed = Failure(id=evil, category="plates", defect_type=evil, error=evil)
    text, _ = page_of(tmp_path, outcomes, data=evil, notes=[evil], failures=[failed])
    page = _Page(text)
    assert "script" not in page.tags
    assert "<b>&amp;" not in text
    assert text.count("&lt;script&gt;") >= 8
    assert "test/crack/&amp;amp;&lt;i&gt;.png" in text


def test_the_page_shows_reasons_kinds_and_latency(tmp_path: Path) -> None:
    fault = Fault(kind="wrong type", scale="type", points=2, why="it names dent, right is crack", step=1)
    right = outcome(
        "a.png", named="crack", reasoning=steps(True, False), mle=MleScore(type=3, location=5, logic=4, faults=(fault,))
    )
    unscored = outcome("b.png", 0, seconds=3.25, reasoning=steps(True), mle=MleScore(unscored="the judge gave up"))
    text, _ = page_of(tmp_path, [right, unscored])
    flat = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))
    assert "1 of 2 sentences supported · MLE 4.0" in flat
    assert "type −2, sentence 2: it names dent, right is crack" in flat
    assert "not supported, MLE 4.3" in flat  # of the second sentence alone; the first has no fault
    assert ", supported, MLE 5.0" in flat
    assert "Unscored: the judge gave up" in flat
    assert "Kinds of defect: true and named" in flat
    assert "longest 3.25 s a photo" in flat
    assert "seed 0" in flat
    screened = report_html(leave(tmp_path / "screen", [right, unscored], depth="screen"), [right, unscored])
    assert "Kinds of defect" not in screened
    assert "mle_type" not in screened


def test_a_benchmark_has_a_row_of_its_own_for_every_product(tmp_path: Path) -> None:
    outcomes = [
        o.model_copy(update={"category": name, "id": f"{name}/{o.id}"}) for name in ("nut", "bolt") for o in mixed(8)
    ]
    text, results = page_of(tmp_path, outcomes)
    assert set(results.per_category) == {"nut", "bolt"}
    assert text.count('<div class="track">') == 2


def test_charts_of_what_cannot_be_drawn_are_left_out() -> None:
    one_class = {"agent": ([1, 1], [0.4, 0.6])}
    assert roc_svg(one_class) is None
    assert pr_svg(one_class) is None
    assert histogram_svg([], []) is None
    assert calibration_svg([], []) is None


def test_the_calibration_counts_every_photo() -> None:
    svg = calibration_svg([0, 0, 1, 1, 1], [0.0, 0.05, 0.55, 1.0, 0.95])
    assert svg is not None
    numbers = re.findall(r"<text[^>]*>(\d+)</text>", svg)
    assert numbers == ["2", "1", "2"]


def test_nothing_inspected_still_makes_a_page(tmp_path: Path) -> None:
    failed = [Failure(id="a.png", category="plates", defect_type="crack", error="the lamp is off")]
    text, results = page_of(tmp_path, [], failures=failed)
    assert "the lamp is off" in text
    assert "svg" not in _Page(text).tags
    assert sentence(results).startswith("No photo could be inspected")


def test_the_table_fits_its_terminal(tmp_path: Path) -> None:
    results = leave(
        tmp_path,
        mixed(16, seed=1),
        failures=[Failure(id="z.png", category="plates", defect_type="crack", error="the lamp is off")],
    )
    for width in (80, 100):
        table = printed(results, width).splitlines()
        rows = [line for line in table if line.startswith("│")]
        assert rows
        assert all(len(line) <= width for line in rows)
        assert not any("…" in line for line in rows)
        auroc = next(line for line in rows if "image_auroc" in line)
        assert auroc.count("[") == (2 if width == 100 else 1)
    text = printed(results)
    assert "1 of 17 photos failed and are in no figure; z.png: the lamp is off" in text
    assert sentence(results) in text.replace("\n", " ")


def test_a_name_like_mark_up_is_printed_as_it_is(tmp_path: Path) -> None:
    printed = io.StringIO()
    print_results(leave(tmp_path, mixed(12), data="set [b] [/x]"), Console(file=printed, width=100))
    assert "set [b] [/x], zero-shot" in printed.getvalue()


def test_the_sentences_hold_the_agent_against_every_baseline(tmp_path: Path) -> None:
    results = leave(tmp_path, mixed(12))
    ahead, unsure, behind, level = Metric(0.1, (0.05, 0.15)), Metric(0.1, (-0.1, 0.2)), Metric(-0.2), Metric(0.0)

    def said(**against: dict[str, Metric]) -> str:
        return sentence(results.model_copy(update={"against": against}))

    alike = {"image_auroc": behind, "accuracy": level, "miss": behind}
    assert said(detector=alike, blend=alike, vlm={"image_auroc": ahead}) == (
        "The agent does not beat detector and blend anywhere by more than chance: it is behind on image_auroc, "
        "is level on accuracy and is ahead within chance on miss. "
        "The agent beats vlm on image_auroc, each by more than chance."
    )
    mixed_up = said(vlm_heatmap={"image_auroc": ahead, "image_ap": unsure, "miss": ahead})
    assert mixed_up == (
        "The agent does not beat vlm_heatmap everywhere: it is behind on miss and is ahead within chance on image_ap; "
        "it beats it by more than chance on image_auroc."
    )
    assert "cannot be held against vlm" in said(vlm={"image_auroc": Metric(None, None, "no image was scored")})
    assert "[0.05, 0.15]" in figure(ahead)
    assert figure(Metric(None, None, "why")) == "-"


def test_the_summary_says_what_the_table_says_and_links_nothing(tmp_path: Path) -> None:
    evil = "see https://evil.example www.evil.example @someone #12 [a](b) <img src=x> | `code` **b** _i_\n# heading"
    failed = Failure(id=evil, category="plates", defect_type="crack", error=evil)
    results = leave(tmp_path, mixed(12), data=evil, failures=[failed], notes=[evil])
    text = markdown(results)
    assert f"| image_auroc | {figure(results.metrics['image_auroc'])} |" in text
    assert "| mle |" in text
    assert "seed 0" in text
    for live in ("https://", "www.e", "@someone", "#12", "[a]", "<img", "**b", "_i"):
        assert live not in text.replace("\\" + live, "")
    assert not [line for line in text.splitlines()[1:] if line.lstrip("- ").startswith("#")]
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
    assert write_summary(results, tmp_path).read_text() == text
    with pytest.raises(EvalError, match="cannot be written"):
        write_summary(results, tmp_path / "nowhere")
