"""Sentences held against what they cite."""

from __future__ import annotations

import pytest
from parts import FACTS, TYPES

from agent.verify import problems_of, verdict_problems
from agent.vlm.prompt import DECLINED, Sentence, read_answer
from knowledge.facts import Fact, FactKind
from tools.evidence import Evidence


def _fact(kind: FactKind, text: str, about: str = "corrosion") -> Fact:
    return Fact.create(text, category="metal_surface", kind=kind, source="general practice", defect_type=about)


EVIDENCE = {
    "E1": Evidence(
        id="E1",
        tool="heatmap",
        summary="Heat map (one-shot): score 0.91 (very high), threshold 0.50, 1 region at or above it, peak in the upper left.",
        values={"score": 0.912, "level": "very high", "threshold": 0.5, "place": "upper left", "regions": [{"place": "upper left"}]},
    ),
    "E2": Evidence(
        id="E2",
        tool="measure",
        summary="Region in the upper left: 42 by 6 px, 3.2 % of the image, long and thin, darker than its surround by 11 %.",
        values={
            "place": "upper left", "length_px": 42.3, "width_px": 6.1, "area_fraction": 0.0321, "contrast": -0.11, "shape": "long and thin", "tone": "darker than",
        },
    ),
    "E3": Evidence(
        id="E3",
        tool="compare",
        summary="Against the reference: nothing in it looks like the upper left of the test image, distance 0.80 there and 0.30 in general.",
        values={"place": "upper left", "ratio": 2.67, "distance_there": 0.8, "distance_median": 0.3},
    ),
    "E4": Evidence(
        id="E4",
        tool="heatmap",
        summary="Heat map (one-shot): score 0.22 (low), threshold 0.50, no region reaches it, peak in the centre.",
        values={"score": 0.22, "level": "low", "threshold": 0.5, "place": "centre", "regions": []},
    ),
    "E5": Evidence(id="E5", tool="zoom", summary="Close-up of the region in the upper left, 4.0 times enlarged.", values={"place": "upper left", "factor": 4.0}),
    "E6": Evidence(id="E6", tool="ask_person", summary="A person was asked whether the mark wipes off, and said: No, it stays.", values={}),
    "E7": Evidence(id="E7", tool="thickness", summary="Thickness 1.42 mm in the centre, nominal 1.50 mm.", values={"thickness_mm": 1.42, "nominal_mm": 1.5}),
    "E8": Evidence(id="E8", tool="similar_cases", summary="2 similar cases: dent (0.77), dent (0.72).", values={}),
}  # fmt: skip
ALIASES = {f"F{i}": fact for i, fact in enumerate(FACTS, 1)} | {
    "F11": _fact("cause", "Metal surfaces corrode when moisture, salts or acids reach unprotected areas."),
    "F12": _fact("impact", "Corroded seats lose fit, wear seals quickly and start fatigue cracks."),
    "F13": _fact("remedy", "Reject corroded parts, verify the coating thickness and dry parts before packing."),
}
KINDS = (*TYPES, "corrosion", "dent")


def problems(text: str, *cites: str) -> list[str]:
    return problems_of(Sentence(text, cites), ALIASES, EVIDENCE, KINDS)


@pytest.mark.parametrize(
    ("text", "cites"),
    [
        ("The heat map reaches 0.91 in the upper left.", "E1"),
        ("It peaks in the top-left corner with a score of 0.9.", "E1"),
        ("Only one region is marked, and nothing else stands out.", "E1"),
        ("The lower right is inconspicuous.", "E1"),
        ("The score of 0.91 is well above the threshold of 0.50.", "E1"),
        ("No region reaches the threshold, and the map is low.", "E4"),
        ("It measures 42 by 6 px.", "E2"),
        ("About 40 pixels long, it covers 3 % of the image.", "E2"),
        ("It is a dark, narrow line.", "E2"),
        ("It is not brighter than its surround.", "E2"),
        ("Nothing in the reference looks like it.", "E3"),
        ("It differs clearly from the good part.", "E3"),
        ("The close-up shows a frayed edge with fine branches.", "E5"),
        ("It has the look of a scratch.", "F1 E2"),
        ("The part is flat.", "F9"),
        ("Corrosion arises where moisture or salts get to the unprotected metal.", "F11"),
        ("Corroded seats fit less well and may begin to crack.", "F12"),
        ("The facts on corrosion give its cause and what to do.", "F11 F13"),
        ("It should be rejected, and the thickness of the coating verified.", "F13"),
        ("The person says that the mark stays and does not wipe off.", "E6"),
        ("At 1.42 mm it is below the nominal 1.50 mm.", "E7"),
        ("Both similar cases were dents.", "E8"),
        (f"{DECLINED}: the weight cannot be seen in it.", ""),
    ],
)
def test_supported_sentences_pass(text: str, cites: str) -> None:
    assert problems(text, *cites.split()) == []


@pytest.mark.parametrize(
    ("text", "cites", "problem"),
    [
        ("The part is cracked.", "", "cites nothing"),
        ("The part is cracked.", "F99", "F99 does not exist"),
        ("The part is cracked.", "E17", "E17 does not exist"),
        # places
        ("The heat map reaches 0.91 in the lower right.", "E1", "lower right"),
        ("The upper centre is hot.", "E1", "upper centre"),
        ("The upper left is inconspicuous.", "E1", "upper left"),
        # numbers and units
        ("The heat map reaches 0.12.", "E1", "0.12"),
        ("It measures 42 by 60 px.", "E2", "60"),
        ("It measures 42 by 6 mm.", "E2", "mm"),
        ("It does not measure 42 by 6 px.", "E2", "42"),
        ("It covers 11 % of the image.", "E2", "11"),
        ("The score is 0.50.", "E1", "score"),
        ("At 1.42 mm it is above the nominal 1.50 mm.", "E7", "not above"),
        # the heat map
        ("The heat map is low.", "E1", "not low"),
        ("The map is weak.", "E1", "very high"),
        ("The heat map is not very high.", "E1", "very high"),
        ("No region reaches the threshold.", "E1", "a region reaches"),
        ("The centre exceeds the threshold.", "E4", "no region reaches"),
        ("Three regions are marked.", "E1", "1 region"),
        # measurements and comparisons
        ("It is brighter than its surround.", "E2", "darker than"),
        ("It is compact.", "E2", "long and thin"),
        ("It is neither darker nor brighter than its surround.", "E2", "darker than"),
        ("The reference looks much the same there.", "E3", "nothing in the reference"),
        ("It differs a little from the reference.", "E3", "nothing in the reference"),
        # kinds
        ("It has the look of a scratch.", "F5", "scratch"),
        ("It is a stain.", "E1", "stain"),
        ("This fits the description of crack.", "F1", "no cited fact is about crack"),
        ("A missing part.", "F1 E1", "no cited fact is about missing part"),
        ("A crack would run through it.", "E1", "crack"),
        ("Both similar cases were cracks.", "E8", "crack"),
        # claims
        ("Corrosion is caused by sunlight and noise.", "F11", "does not say"),
        ("Corrosion does not arise from moisture or salts.", "F11", "denies"),
        ("The usual cause of corrosion is in the facts.", "F13", "no cited fact gives the cause"),
        ("The facts do not give the cause of corrosion.", "F11", "does give"),
        ("The heat map is very high, which is a safety hazard.", "E1", "safety hazard"),
        ("Corroded seats lose fit, so the supplier must pay.", "F12", "supplier must pay"),
        ("It is darker than its surround.", "F11", "no cited evidence"),
        ("The close-up shows a frayed edge, which will soon fail.", "E5", "soon fail"),
        ("The person says that the mark came from a forklift.", "E6", "forklift"),
    ],
)
def test_unsupported_sentences_are_named(text: str, cites: str, problem: str) -> None:
    assert any(problem in found for found in problems(text, *cites.split())), problems(text, *cites.split())


def test_one_of_several_looks_of_a_tool_is_enough() -> None:
    elsewhere = Evidence(id="E9", tool="measure", summary="Region in the centre: 9 by 8 px, compact, brighter than its surround.",
                         values={"place": "centre", "length_px": 9.0, "width_px": 8.0, "shape": "compact", "tone": "brighter than"})  # fmt: skip
    both = Sentence("It is compact and brighter than its surround.", ("E2", "E9"))
    assert problems_of(both, ALIASES, EVIDENCE | {"E9": elsewhere}, KINDS) == []


def test_without_any_facts_a_kind_can_rest_on_the_picture() -> None:
    assert problems_of(Sentence("It has the look of the defect crack.", ("E5",)), {}, EVIDENCE, KINDS) == []


@pytest.mark.parametrize(
    "reply",
    [
        "True. The heat map is low [E4]. It has the look of a scratch [F1].",
        "True. Its look fits none of the described defects [F1][F5].",
        "False. The heat map is very high and marks the upper left [E1]. No mark of the described kinds is visible [F1].",
        "False. The part looks as it should [F9].",
        "It is a scratch [F1].",
    ],
)
def test_a_verdict_goes_with_its_sentences(reply: str) -> None:
    assert verdict_problems(*read_answer(reply), EVIDENCE) == []


@pytest.mark.parametrize(
    "reply",
    [
        "False. It has the look of the defect scratch [F1].",
        "False. The part must be rejected [F13].",
        "True. No mark of the described kinds is visible [F1].",
        "True. The part can be accepted [F9].",
        "True. Nothing unusual is visible [E5].",
    ],
)
def test_a_verdict_that_its_sentences_contradict_is_named(reply: str) -> None:
    assert verdict_problems(*read_answer(reply), EVIDENCE)
