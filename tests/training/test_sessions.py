"""Sessions as training text: each step is one call that the tools take or an answer that holds, and every session ends."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agent.verify import problems_of
from agent.vlm.nano import ALIASES
from agent.vlm.prompt import DECLINED, NumberedFact, read_answer
from agent.vlm.quotes import quoted
from agent.vlm.tool_calls import read_tool_calls
from knowledge.facts import Fact, shipped_pack
from tools.evidence import Evidence
from tools.images import ImageStore
from tools.regions import PLACES, read_place
from tools.toolbox import Bench, build_tools
from training import looks as made_up
from training.draw.scene import Case, draw_case
from training.fact_index import FactIndex, numbered
from training.looks import LOOKS, crop
from training.sessions import STEPS, Sessions, Told
from training.steps import Step
from training.story import Look, Looks, Story
from training.wordings import (
    HELD_OUT_PERSONS,
    HELD_OUT_WORDINGS,
    KINDS,
    NAMING,
    PERSONS,
    PLACED,
    SPOKEN,
    WORDINGS,
    Asked,
    Kind,
    ask,
    plural,
)

INDEX = FactIndex(shipped_pack())
TYPES = frozenset(fact.defect_type for fact in shipped_pack().facts if fact.defect_type)
SETTINGS = (("zero-shot", 0), ("one-shot", 1), ("fitted", 4))
_FACT = re.compile(r"^\[(F\d+)\] (?:(\w+) )?(object|defect|cause|impact|remedy): (.+)$", re.MULTILINE)
_EVIDENCE = re.compile(r"^\[(E\d+)\] (.+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def drawn(cheap_looks: Any) -> list[tuple[Case, Looks]]:
    out = []
    for i in range(24):
        setting, references = SETTINGS[i % 3]
        case = draw_case((51, i), anomalous=0.6, references=references)
        found = cheap_looks(case, setting)
        out.append((case if setting == "one-shot" else replace(case, references=()), found))
    return out


@pytest.fixture(scope="module")
def sessions(drawn: list[tuple[Case, Looks]]) -> list[tuple[Case, list[Told]]]:
    made = Sessions(INDEX, 8)
    return [
        (case, list(made.session(case, found, np.random.default_rng([52, i, j]))))
        for i, (case, found) in enumerate(drawn)
        for j in range(25)
    ]


def test_every_session_ends_in_an_answer(sessions: list[tuple[Case, list[Told]]]) -> None:
    lengths = [len(steps) for _, steps in sessions]
    assert max(lengths) <= STEPS
    assert {1, 2, 3} <= set(lengths)
    for _, steps in sessions:
        calls = [read_tool_calls(step.reply)[0] for step in steps]
        assert all(len(found) == 1 for found in calls[:-1])
        assert not calls[-1], steps[-1]


def test_every_call_is_one_that_the_tools_take(sessions: list[tuple[Case, list[Told]]]) -> None:
    names = set()
    for case, steps in sessions:
        for step in steps[:-1]:
            (call,), problems, rest = read_tool_calls(step.reply)
            assert not problems
            assert not rest
            names.add(call.name)
            if call.name in LOOKS:
                assert set(call.arguments) == {"where"}
                assert call.arguments["where"] in PLACES
                assert call.name != "compare" or case.references
            elif call.name == "query_facts":
                assert set(call.arguments) == {"query", "defect_types"}
                assert set(call.arguments["defect_types"]) <= TYPES
            elif call.name == "ask_person":
                assert call.arguments["question"] in {question for question, *_ in PERSONS.values()}
            else:
                assert (call.name, call.arguments) == ("similar_cases", {})
    assert names == {*LOOKS, "query_facts", "similar_cases", "ask_person"}


def test_the_agents_checks_find_no_fault_in_any_answer(sessions: list[tuple[Case, list[Told]]]) -> None:
    checked = 0
    for case, steps in sessions:
        text, reply = steps[-1].text, steps[-1].reply
        facts = {
            alias: Fact.create(said, category=case.category, kind=kind, source="the pack", defect_type=about or None)  # type: ignore[arg-type]
            for alias, about, kind, said in _FACT.findall(text)
        }
        everywhere = {"regions": [{"place": place} for place in PLACES]}
        evidence = {
            id: Evidence(id=id, tool="any", summary=said, values=everywhere) for id, said in _EVIDENCE.findall(text)
        }
        assert len(evidence) + len(facts) == len(re.findall(r"^\[[EF]\d+\]", text, re.MULTILINE))
        assert {f"[{id}]" for id in (*facts, *evidence)} <= set(ALIASES)
        for sentence in read_answer(quoted(reply, {alias: fact.text for alias, fact in facts.items()}))[1]:
            if "similar case" in sentence.text:  # it names kinds, which only evidence speaks of
                continue
            checked += 1
            read = " ".join(facts[id].text for id in sentence.cites if id in facts)
            problems = problems_of(sentence, facts, evidence, TYPES)
            # A fact may speak of a centre that is no place of the photo.
            assert [p for p in problems if "lies in the centre" not in p or "centre" not in read] == [], (
                sentence,
                text,
            )
    assert checked > 500


def test_what_a_call_found_is_in_the_next_prompt(sessions: list[tuple[Case, list[Told]]]) -> None:
    for _, steps in sessions:
        for step, then in pairwise(steps):
            call = read_tool_calls(step.reply)[0][0]
            if f"Calls that failed: {call.name}: " in then.text:
                assert then.reply.startswith(DECLINED) or call.name == "compare"
                continue
            new = set(then.text.splitlines()) - set(step.text.splitlines())
            assert new
            if call.name in LOOKS and len(new) == 1:
                assert any(place in new.copy().pop() for place in PLACES)


def test_the_close_up_before_the_model_is_the_newest(drawn: list[tuple[Case, Looks]]) -> None:
    case, found = next((c, f) for c, f in drawn if f.close_up is not None)
    seen = 0
    for j in range(300):
        for step in Sessions(INDEX, 8).session(case, found, np.random.default_rng([53, j])):
            if step.close_up is not None:
                seen += 1
                assert step.views.close_up
                assert "Close-up of the region" in step.text
    assert seen


# --- the rules


def step(kind: Kind, looks: list[Look], facts: list[NumberedFact], case: Case, **about: Any) -> str:
    asked = Asked(kind, "?", **about)
    return Step(Story(case, looks, facts, np.random.default_rng(0)), asked, bool(case.references)).reply()


@pytest.fixture(scope="module")
def case() -> Case:
    return next(c for i in range(50) if (c := draw_case((54, i), anomalous=1.0, references=1)).category == "wood")


def heat(place: str = "centre", regions: bool = True) -> Look:
    at = [{"box_px": [0, 0, 9, 9], "peak": 0.9, "place": place}] if regions else []
    return Look("heatmap", f"Heat map: high, peak in the {place}.", {"level": "high", "place": place, "regions": at})


RNG = np.random.default_rng(3)


def test_what_is_not_there_is_asked_for_and_what_is_there_is_not(case: Case) -> None:
    for kind, tool in (("size", "measure"), ("shape", "measure"), ("reference", "compare"), ("type", "zoom")):
        call = read_tool_calls(step(kind, [heat("upper left")], [], case))[0][0]  # type: ignore[arg-type]
        assert (call.name, call.arguments) == (tool, {"where": "upper left"})
    looks = [heat("upper left"), *(LOOKS[tool]("upper left", RNG) for tool in LOOKS)]
    described = numbered(INDEX.defects(case.category, 8))
    for kind in ("size", "shape", "reference", "type", "position", "why", "heat"):
        assert not read_tool_calls(step(kind, looks, described, case))[0]  # type: ignore[arg-type]


def test_a_named_place_is_looked_at_though_another_was(case: Case) -> None:
    looks = [heat("centre"), *(LOOKS[tool]("centre", RNG) for tool in LOOKS)]
    for kind, tool in (("closer", "zoom"), ("measure", "measure"), ("compare", "compare")):
        call = read_tool_calls(step(kind, looks, [], case, where="lower right"))[0][0]  # type: ignore[arg-type]
        assert (call.name, call.arguments) == (tool, {"where": "lower right"})
    looks.append(LOOKS["measure"]("lower right", RNG))
    values = looks[-1].values
    answer = step("measure", looks, [], case, where="lower right")
    assert f"{values['length_px']:.0f} by {values['width_px']:.0f} px" in answer or "mm" in answer
    assert "[E5]" in answer


def test_causes_point_at_the_facts_on_them(case: Case) -> None:
    facts = numbered(INDEX.about(case.category, ["crack", "stain"]))
    for kind, fact_kind in (("cause", "cause"), ("consequence", "impact"), ("remedy", "remedy")):
        answer = step(kind, [heat()], facts, case)  # type: ignore[arg-type]
        told = quoted(answer, {fact.alias: fact.text for fact in facts})
        for fact in facts:
            assert (f"{fact.text.rstrip('.')} [{fact.alias}]." in told) == (fact.kind == fact_kind)
    described = numbered(INDEX.defects(case.category, 8))
    call = read_tool_calls(step("cause", [heat()], described, case))[0][0]
    assert call.name == "query_facts"
    assert len(call.arguments["defect_types"]) == 1
    call = read_tool_calls(step("of_remedy", [heat()], facts, case, defect_type="scratch"))[0][0]
    assert call.arguments == {"query": "remedy for scratch", "defect_types": ["scratch"]}


def test_without_a_reference_nothing_is_compared(case: Case) -> None:
    alone = replace(case, references=())
    for kind in ("reference", "compare"):
        assert step(kind, [heat()], [], alone, where="centre").startswith(DECLINED)
    looks = [heat(), LOOKS["zoom"]("upper left", RNG)]
    assert not read_tool_calls(step("closer", looks, [], alone, where="upper left"))[0]
    call = read_tool_calls(step("closer", looks, [], case, where="upper left"))[0][0]
    assert call.name == "compare"


def test_what_a_call_failed_at_is_not_asked_for_again(case: Case) -> None:
    for kind, tool in (
        ("size", "measure"),
        ("cause", "query_facts"),
        ("similar", "similar_cases"),
        ("person", "ask_person"),
    ):
        asked = Asked(kind, "?", topic="use")  # type: ignore[arg-type]
        story = Story(case, [heat()], [], np.random.default_rng(0))
        assert Step(story, asked, True, (tool,)).reply().startswith(DECLINED)


# --- words


def test_wordings_of_the_exam_are_none_of_training() -> None:
    spoken = {text for texts in WORDINGS.values() for text in texts} | {
        t for _, texts, _ in PERSONS.values() for t in texts
    }
    kept = {text for texts in (*HELD_OUT_WORDINGS.values(), *HELD_OUT_PERSONS.values()) for text in texts}
    assert not spoken & kept
    assert set(WORDINGS) == set(HELD_OUT_WORDINGS) == set(KINDS) - {"person", "unseen"}
    assert set(PERSONS) == set(HELD_OUT_PERSONS)


def test_no_wording_stands_for_two_kinds() -> None:
    texts = [text for texts in WORDINGS.values() for text in texts]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("held_out", [False, True])
def test_questions_name_what_they_are_about(held_out: bool) -> None:
    rng = np.random.default_rng(5)
    for kind in KINDS:
        if kind == "unseen":
            continue
        for _ in range(30):
            asked = ask(kind, rng, "upper left", "missing_part", held_out=held_out)
            assert "{" not in asked.question
            assert (asked.where is not None) == (kind in PLACED)
            assert (asked.defect_type is not None) == (kind in NAMING)
            assert ("missing part" in asked.question) == (kind in NAMING)
            assert asked.where is None or read_place(asked.question.split(" of the image")[0]) is not None


def test_the_words_for_a_place_mean_it_to_the_tools_too() -> None:
    for place, spoken in SPOKEN.items():
        assert {read_place(words) for words in spoken} == {place}


@pytest.mark.parametrize(("one", "many"), [("crack", "cracks"), ("scratch", "scratches"), ("corrosion", "corrosion")])
def test_plurals(one: str, many: str) -> None:
    assert plural(one) == many


# --- what tools would report


def template(summary: str) -> str:
    text = re.sub(r"\d+(?:\.\d+)?", "#", summary)
    head, said, kinds = text.partition("; likeness: ")
    text = head + said + re.sub(r"[a-z_]+", "KIND", kinds)
    return re.sub("|".join(sorted(PLACES, key=len, reverse=True)), "PLACE", text)


def test_made_up_looks_read_as_those_of_the_tools(drawn: list[tuple[Case, Looks]]) -> None:
    rng = np.random.default_rng(6)
    known = {template(LOOKS[tool]("centre", rng).summary) for tool in LOOKS for _ in range(400)}
    real = {template(look.summary) for _, found in drawn for look in found.looks if look.tool != "heatmap"}
    assert len(real) > 5
    assert real <= known, real - known


def test_what_was_looked_at_before_is_read_and_not_given_up(drawn: list[tuple[Case, Looks]]) -> None:
    sessions, read = Sessions(FactIndex(shipped_pack()), 8), 0
    for i in range(400):
        case, found = drawn[i % len(drawn)]
        *_, last = sessions.session(case, found, np.random.default_rng([8, i]))
        before = re.search(r"was called with these arguments before; what it found is \[(E\d+)\]", last.text)
        if before:
            assert f"[{before[1]}]" in last.reply
            assert not last.reply.startswith(DECLINED)
            read += 1
    assert read > 3


def test_made_up_values_are_those_of_the_summary() -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        values, summary = (look := LOOKS["measure"]("upper left", rng)).values, look.summary
        px = f"{values['length_px']:.0f} by {values['width_px']:.0f} px"
        assert px in summary or f"{values.get('length_mm', 0):.2f} by {values.get('width_mm', 0):.2f} mm" in summary
        assert f"{values['shape']}, {values['tone']} its surround" in summary
        similar = made_up.similar(rng)
        assert all(case in similar.summary for case in similar.values["cases"])


def test_a_made_up_close_up_is_that_of_the_tools(drawn: list[tuple[Case, Looks]]) -> None:
    class Nothing:
        def search(self, *_: object, **__: object) -> list[Any]:
            return []

    photo = drawn[0][0].test
    images = ImageStore()
    images.add("test", Image.fromarray(photo))
    tools = {t.name: t for t in build_tools(Bench(images, None, None, Nothing()))}  # type: ignore[arg-type]
    for place in PLACES:
        message = tools["zoom"].invoke({"type": "tool_call", "name": "zoom", "args": {"where": place}, "id": "1"})
        shown = np.asarray(images.photo(message.artifact.image_ids[0]), float)
        assert shown.shape == crop(photo, place).shape
        assert np.abs(shown - crop(photo, place)).mean() < 12  # a pixel of the photo this way or that
