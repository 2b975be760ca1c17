"""Training text against the case it speaks of: what the model learns to say must pass the agent's own checks."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from agent.verify import problems_of
from agent.vlm.kinds import SOUND
from agent.vlm.nano import ALIASES, shipped
from agent.vlm.prompt import DECLINED, VERDICT_QUESTION, Sentence, read_answer, read_plan
from agent.vlm.tool_calls import read_tool_calls
from knowledge.categories import CategoryNames
from knowledge.facts import Fact, shipped_pack
from tools.evidence import Evidence
from tools.regions import PLACES, place_of_box
from training import follow_ups
from training.copying import Copying
from training.draw.families import FAMILIES
from training.draw.scene import Case, draw_case
from training.draw.splits import HELD_OUT_TYPES
from training.fact_index import KINDS, FactIndex, numbered
from training.finding import Finding
from training.follow_ups import HELD_OUT_PROPERTIES, UNSEEN_PROPERTIES, UNSEEN_SIDES
from training.hearing import Hearing
from training.preference.scene import PLACES as drawn_places
from training.preference.scene import places_of
from training.story import Looks, Story, words
from training.text import GROUND, USUAL, Example, Writer
from training.wordings import HELD_OUT_WORDINGS, NAMING, PERSONS, PLACED, SPOKEN, THINGS, WORDINGS, ask
from training.wordings import KINDS as KINDS_OF_QUESTIONS

CASES = 90
TYPES = frozenset(fact.defect_type for fact in shipped_pack().facts if fact.defect_type)
SETTINGS = (("zero-shot", 0), ("one-shot", 1), ("fitted", 4))
_FACT = re.compile(r"^\[(F\d+)\] (?:(\w+) )?(object|defect|cause|impact|remedy): (.+)$", re.MULTILINE)
_EVIDENCE = re.compile(r"^\[(E\d+)\] (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Told:
    """A drawn case with everything that is said about it."""

    case: Case
    found: Looks
    examples: list[Example]


def told(index: int, look: Any, seed: int = 31) -> Told:
    setting, references = SETTINGS[index % 3]
    case = draw_case((seed, index), anomalous=0.6, references=references)
    found = look(case, setting)
    if setting != "one-shot":
        case = replace(case, references=())
    return Told(
        case, found, Writer(FactIndex(shipped_pack())).examples(case, found, np.random.default_rng([seed, index]))
    )


@pytest.fixture(scope="module")
def cases(cheap_looks: Any) -> list[Told]:
    return [told(i, cheap_looks) for i in range(CASES)]


def facts_of(example: Example, category: str) -> dict[str, Fact]:
    """The facts of a prompt, as the agent's checks want them."""
    return {
        alias: Fact.create(text, category=category, kind=kind, source="the pack", defect_type=about or None)  # type: ignore[arg-type]
        for alias, about, kind, text in _FACT.findall(example.text)
    }


def evidence_of(example: Example, found: Looks) -> dict[str, Evidence]:
    """The evidence that a prompt shows, with the numbers behind it."""
    known = {
        f"E{i}": Evidence(id=f"E{i}", tool=look.tool, summary=look.summary, values=look.values)
        for i, look in enumerate(found.looks, 1)
    }
    shown = dict(_EVIDENCE.findall(example.text))
    assert all(known[id].summary == summary for id, summary in shown.items())
    return {id: known[id] for id in shown}


def answers(cases: list[Told]) -> list[tuple[Told, Example, list[Sentence]]]:
    """Every reply that gives reasons."""
    return [
        (t, e, read_answer(e.reply)[1])
        for t in cases
        for e in t.examples
        if e.task in ("verdict", "question", "screen", "judge")
    ]


def test_the_cases_are_of_every_kind(cases: list[Told]) -> None:
    """Else what follows would prove little."""
    heat = [t.found.looks[0].values for t in cases]
    assert {bool(v["regions"]) for v in heat} == {True, False}
    assert {t.case.anomalous for t in cases} == {True, False}
    assert {e.task for t in cases for e in t.examples} == set(USUAL)
    assert {look.tool for t in cases for look in t.found.looks} == {"heatmap", "zoom", "measure", "compare"}
    assert len({t.case.family for t in cases}) > 20


# --- what the agent itself would say of the replies ---


def test_the_agents_checks_find_no_fault_in_any_reply(cases: list[Told]) -> None:
    checked = 0
    for t, example, sentences in answers(cases):
        facts, evidence = facts_of(example, t.case.category), evidence_of(example, t.found)
        for sentence in sentences:
            checked += 1
            assert problems_of(sentence, facts, evidence, TYPES) == [], (sentence, example.text)
    assert checked > 150


def test_every_citation_is_in_the_prompt_and_is_one_of_the_tokens(cases: list[Told]) -> None:
    for t in cases:
        for example in t.examples:
            cited = [] if read_tool_calls(example.reply)[0] else re.findall(r"\[[^\]]*\]", example.reply)
            assert all(c in example.text for c in cited), (cited, example.text)
            assert set(cited) <= set(ALIASES)
            shown = re.findall(r"^(\[[FE]\d+\])", example.text, re.MULTILINE)
            assert len(set(shown)) == len(shown)
            assert set(shown) <= set(ALIASES)


def test_every_sentence_cites_something(cases: list[Told]) -> None:
    for _, example, sentences in answers(cases):
        assert sentences, example.reply
        assert all(s.cites or s.text.startswith(DECLINED) for s in sentences), example.reply


def test_every_number_is_in_what_its_sentence_cites(cases: list[Told]) -> None:
    for t, example, sentences in answers(cases):
        facts, evidence = facts_of(example, t.case.category), evidence_of(example, t.found)
        for s in sentences:
            read = " ".join([facts[id].text if id in facts else evidence[id].summary for id in s.cites])
            for number in re.findall(r"\d+(?:\.\d+)?", s.text):
                assert number in re.findall(r"\d+(?:\.\d+)?", read), (s, read)


def test_what_is_said_of_a_look_is_in_its_summary(cases: list[Told]) -> None:
    """Places, levels, shapes and tones are copied, so that the model learns to copy them."""
    for t, example, sentences in answers(cases):
        evidence = evidence_of(example, t.found)
        copied = [
            str(value)
            for item in evidence.values()
            for key, value in item.values.items()
            if key in ("level", "shape", "tone")
        ]
        for s in sentences:
            summaries = " ".join(evidence[id].summary for id in s.cites if id in evidence)
            for word in copied:
                if re.search(rf"\b{re.escape(word)}\b", s.text) and any(id in evidence for id in s.cites):
                    assert word in summaries, (s, summaries)


# --- the truth ---


def test_verdicts_open_as_the_case_is(cases: list[Told]) -> None:
    for t in cases:
        for example in t.examples:
            if example.task in ("verdict", "screen", "alone", "judge"):
                assert VERDICT_QUESTION in example.text
                assert example.reply.split()[0] == ("True." if t.case.anomalous else "False.")
                assert read_answer(example.reply)[0] is t.case.anomalous
            if example.task == "alone":
                assert example.reply in ("True.", "False.")


def likely(found: Looks) -> list[str]:
    """Kinds of defect that the close-up looks like."""
    (zoom,) = (look for look in found.looks if look.tool == "zoom")
    return [item["kind"] for item in zoom.values["likeness"] if item["kind"] != SOUND]


def test_no_sentence_claims_a_defect_that_was_neither_drawn_nor_read(cases: list[Told]) -> None:
    """With a close-up before it the model reads from its line what it looks like; without one it has the photo alone."""
    read = 0
    for t, example, sentences in answers(cases):
        true = {d.defect_type for d in t.case.defects}
        if true and "likeness: " in example.text:
            true = set(likely(t.found))
            read += 1
        named = {f.defect_type for f in facts_of(example, t.case.category).values() if f.defect_type}
        for s in sentences:
            if s.text.startswith("If it is"):
                continue
            said = {n for n in named if re.search(rf"\b{re.escape(words(n))}\b", s.text)}
            # A longer name may hold a shorter one.
            assert all(any(words(n) in words(d) for d in true) for n in said), (s, true)
    assert read > 10


def test_questions_are_answered_truly(cases: list[Told], cheap_looks: Any) -> None:
    asked = declined = 0
    for t in [*cases, *(told(i, cheap_looks, seed=32) for i in range(CASES))]:
        for example in t.examples:
            if example.task != "question":
                continue
            asked += 1
            question = example.text.rsplit("Question: ", 1)[1]
            value = read_answer(example.reply)[0]
            true = [d.defect_type for d in t.case.defects]
            unseen = any(re.search(rf"\b{thing}\b", question) for thing in (*UNSEEN_PROPERTIES, *UNSEEN_SIDES))
            unmeasured = example.reply == f"{DECLINED}: no region of it was measured."
            assert example.reply.startswith(DECLINED) is (unseen or unmeasured), (question, example.reply)
            declined += unseen
            if unseen or unmeasured:
                assert value is None or example.reply.startswith("No "), question
            elif re.search(r"free of defects|be accepted", question):
                assert value is (not t.case.anomalous), question
            elif kind := re.search(r"of the type (.+)\?|show the defect (.+)\?", question):
                assert value is ((kind[1] or kind[2]) in map(words, true)), question
            elif where := re.search(r"in the ((?:\w+ )*\w+) of the image|Does the (.+) show a defect", question):
                assert value is (t.case.anomalous and (where[1] or where[2]) in places_of(t.case.mask)[1]), question
            else:
                assert value is None or example.reply.startswith("No "), question
    assert asked > 60
    assert declined > 10


def test_what_no_photo_shows_is_kept_apart_for_the_exam() -> None:
    assert not set(HELD_OUT_PROPERTIES) & set(UNSEEN_PROPERTIES)


def test_open_questions_are_answered_from_what_was_found(cases: list[Told], cheap_looks: Any) -> None:
    """With a tool call nobody could make here; the rules themselves are tested with the sessions."""
    seen = 0
    for t in [*cases, *(told(i, cheap_looks, seed=35) for i in range(CASES))]:
        for types in (["crack"], []):
            facts = numbered(FactIndex(shipped_pack()).about(t.case.category, types))
            story = Story(t.case, t.found.looks, facts, np.random.default_rng(1))
            for i in range(8):
                story.rng = np.random.default_rng([i, 2])
                question, reply = follow_ups.open_question(story)
                assert question
                assert reply
                assert not read_tool_calls(reply)[0]
                seen += "If it is the defect crack" in reply
    assert seen > 20


def test_places_mean_the_same_in_training_and_in_the_tools() -> None:
    assert drawn_places == PLACES
    for x in range(3):
        for y in range(3):
            mask = np.zeros((96, 96), bool)
            mask[y * 32 + 8 : y * 32 + 24, x * 32 + 8 : x * 32 + 24] = True
            box = (x * 32 + 8, y * 32 + 8, x * 32 + 24, y * 32 + 24)
            assert places_of(mask)[0] == place_of_box(box, 96, 96)


# --- plans ---


def test_plans_are_what_the_agent_reads(cases: list[Told]) -> None:
    for t in cases:
        for example in t.examples:
            plan = read_plan(example.reply)
            if example.task == "plan":
                assert plan.category == t.case.category
                assert plan.looks == ["heatmap", "zoom", "measure", *(["compare"] if t.case.references else [])]
                assert "Evidence:" not in example.text
            if example.task == "suspect":
                assert plan.facts == (likely(t.found)[:2] if t.case.defects else [])
                assert "Evidence:" in example.text
                assert "Facts:" in example.text


def test_every_defect_has_a_place_in_the_facts_of_its_prompt() -> None:
    index = FactIndex(shipped_pack())
    for family in FAMILIES:
        types = family.defect_types
        for pair in pairwise(types):
            facts = numbered(index.about(family.category, pair))
            assert [f.alias for f in facts] == [f"F{i}" for i in range(1, len(facts) + 1)]
            assert {(f.defect_type, f.kind) for f in facts if f.defect_type} == {(t, k) for t in pair for k in KINDS}
            assert sum(f.kind == "object" for f in facts) == 1


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_training_falls_back_as_the_fact_store_does(family: Any) -> None:
    """Else the model would be trained on facts that an inspection does not find."""
    pack = shipped_pack()
    writer, chain = Writer(FactIndex(pack)), CategoryNames(pack.families).chain(family.category)
    for defect_type in family.defect_types:
        for kind in KINDS:
            nearest = [c for c in chain if (c, defect_type, kind) in writer.facts._facts]
            found = writer.facts.find(family.category, defect_type, kind)
            assert [found[0].category] == nearest[:1], (defect_type, kind, chain)


# --- images ---


def test_an_example_has_as_many_images_as_it_says(cases: list[Told]) -> None:
    from training.sfe.rows import row

    for t in cases[:12]:
        for example in t.examples:
            made = row(example, t.case, t.found)
            content = made["prompt"][-1]["content"]
            assert len(made["images"]) == sum(part["type"] == "image" for part in content) >= 1
            assert [p["text"] for p in content if p["type"] == "text"] == [*example.views.labels(), example.text]
            np.testing.assert_array_equal(np.asarray(made["images"][0]), t.case.test)
            assert example.views.references == len(t.case.references)
            if example.views.close_up:
                shown = t.found.close_up if example.close_up is None else example.close_up
                np.testing.assert_array_equal(np.asarray(made["images"][-1]), shown)


def test_the_same_case_is_told_in_the_same_words(cheap_looks: Any) -> None:
    assert told(4, cheap_looks).examples == told(4, cheap_looks).examples


# --- with the eye that is shipped ---


@pytest.mark.skipif(not (shipped("sage-eye") / "calibration.json").is_file(), reason="no shipped eye")
def test_the_shipped_eye_tells_no_tales_either() -> None:
    from evals.drawn import DrawnLooks

    look = DrawnLooks(shipped("sage-eye"))
    made = [told(i, look, seed=34) for i in range(9)]
    for t, example, sentences in answers(made):
        facts, evidence = facts_of(example, t.case.category), evidence_of(example, t.found)
        for sentence in sentences:
            assert problems_of(sentence, facts, evidence, TYPES) == [], (sentence, example.text)


def test_a_reply_that_says_again_is_in_its_prompt_word_for_word() -> None:
    copying, rng = Copying(FactIndex(shipped_pack())), np.random.default_rng(0)
    openings, absent = set(), 0
    for _ in range(300):
        text, reply = copying.row(rng)
        openings.add(text[:4])
        if nothing := re.fullmatch(r"Nothing on (\w+)\.", reply):
            absent += 1
            assert text.endswith(f"\nQuestion: What of {nothing[1]}?")
            assert f"] {nothing[1]}: " not in text
            continue
        cited = re.fullmatch(r"(?:On )?(.*) (\[[EF]\d\])\.", reply, re.DOTALL)
        if cited is None:
            assert text == f"Question: Say: {reply}"
        else:
            assert f"{cited[2]} {cited[1]}\n" in text
            question = text.rsplit("Question: ", 1)[1]
            assert cited[2] in question or cited[1].split(":")[0] in question
    assert openings == {"Ques", "Evid", "Fact"}
    assert 5 < absent < 50  # of the fifth that asks for a word


def test_what_is_heard_is_the_kind_of_the_question_and_what_it_names() -> None:
    hearing, rng = Hearing(FactIndex(shipped_pack())), np.random.default_rng(0)
    kinds = set()
    for _ in range(400):
        text, reply = hearing.row(rng)
        asked = re.fullmatch(r"What is asked for\?\nQuestion: (.+)", text)
        heard = re.fullmatch(r"([a-z ]+)(?:: ([a-z_ ]+))?\.", reply)
        assert asked is not None
        assert heard is not None
        kind, named = heard[1].replace(" ", "_"), heard[2]
        kinds.add(kind)
        if kind in PLACED:
            assert any(words in asked[1] for words in SPOKEN[named])
        elif kind in NAMING:
            assert named in TYPES - HELD_OUT_TYPES
            assert words(named) in asked[1].lower()
        elif kind == "unseen":
            assert named in asked[1]
            assert named not in HELD_OUT_PROPERTIES
        elif kind == "person":
            assert any(plain(wording) in plain(asked[1]) for wording in PERSONS[named][1])
        else:
            assert named is None
            said = [w.replace("{thing}", thing) for w in WORDINGS[kind] for thing in THINGS]
            assert any(plain(wording) in plain(asked[1]) for wording in said)
    assert kinds == set(KINDS_OF_QUESTIONS)


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z]+", text.lower()))


def test_what_is_found_stands_in_the_line_that_is_named() -> None:
    finding, rng, absent = Finding(FactIndex(shipped_pack())), np.random.default_rng(0), 0
    close = {"close-up": "Close-up of", "measurement": " px, ", "comparison": "Against the reference"}
    for _ in range(400):
        text, reply = finding.row(rng)
        lines = {line[1:].split("]")[0]: line for line in text.splitlines() if line.startswith("[")}
        question = text.rsplit("Question: ", 1)[1]
        named = re.fullmatch(r"Yes \[([EF]\d+)\]\.", reply)
        holding = [lines[named[1]]] if named else list(lines.values())
        if fact := re.fullmatch(r"Is there a fact on ([a-z ]+), its (\w+)\?", question):
            kind = {"description": "defect", "effect": "impact"}.get(fact[2], fact[2])
            held = [f"] {fact[1].replace(' ', '_')} {kind}: " in line for line in holding]
        elif look := re.fullmatch(r"Is there a ([a-z-]+) of the (.+)\?", question):
            place = next(place for place, said in SPOKEN.items() if look[2] in said)
            at = re.compile(rf"\b(?:in|like|from) the {place}\b")
            held = [
                close[look[1]] in line.replace(" mm, ", " px, ") and at.search(line) is not None for line in holding
            ]
        elif person := re.fullmatch(r"Did the person answer: (.+)", question):
            held = [person[1] in line for line in holding]
        else:
            assert question == "Are similar cases listed?"
            held = ["similar case" in line for line in holding]
        assert all(held) if named else not any(held), (text, reply)
        absent += named is None
    assert 150 < absent < 250


def test_questions_are_typed_in_many_ways_but_never_in_those_of_the_exam() -> None:
    rng, named = np.random.default_rng(0), (*SPOKEN["centre"], "cracks", "the defect crack")
    kept = {plain(w.replace("{}", name)) for ws in HELD_OUT_WORDINGS.values() for w in ws for name in named}
    said = {ask(kind, rng, "centre", "crack").question for kind in WORDINGS for _ in range(400)}
    assert len(said) > 1500
    assert not kept & {plain(question) for question in said}


def test_the_ground_is_learnt_only_where_it_is_named(cheap_looks: Any) -> None:
    case = draw_case((4, 1), references=1)
    found = cheap_looks(case, "one-shot")
    for tasks, count in (([*USUAL, *GROUND], 1), (USUAL, 0)):
        examples = Writer(FactIndex(shipped_pack()), tasks=tasks).examples(case, found, np.random.default_rng(1))
        for task in GROUND:
            assert sum(e.task == task for e in examples) == count
