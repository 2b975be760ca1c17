"""What plain sentences are read as, such as a vision-language model writes in a report."""

from __future__ import annotations

import pytest

from agent.verify.claims import read_claims
from agent.vlm.prompt import Sentence, read_answer
from evals.mle import Citable, TrueDefect, Truth, judge_reference


@pytest.mark.parametrize(
    ("text", "affirmed", "denied"),
    [
        ("It is a crack, not a scratch.", {"crack"}, {"scratch"}),
        ("There is a scratch, and there are no dents.", {"scratch"}, {"dent"}),
        ("There is a scratch without any dents nearby.", {"scratch"}, {"dent"}),
        ("There is no scratch and no dent.", set(), {"scratch", "dent"}),
        ("The part is without scratches or dents.", set(), {"scratch", "dent"}),
        ("No other scratches are visible.", set(), set()),
        ("Apart from a scratch, the part shows no dents.", {"scratch"}, {"dent"}),
        ("A scratch runs across the surface.", {"scratch"}, set()),
        ("A crack breaks the surface.", {"crack"}, set()),
        ("A few chips are at the edge.", {"chip"}, set()),
        ("A scratch can lead to corrosion [F3].", {"scratch"}, set()),
        ("The drilled holes are centred and intact.", set(), set()),
        ("A hole is in the centre.", {"hole"}, set()),
        ("The capacitor is missing.", {"missing_part"}, set()),
        ("No component is missing.", set(), {"missing_part"}),
    ],
)
def test_kinds(text: str, affirmed: set[str], denied: set[str]) -> None:
    claims = read_claims(read_answer(text)[1][0] if "[" in text else Sentence(text, ()))
    assert (set(claims.affirmed), set(claims.denied)) == (affirmed, denied)


@pytest.mark.parametrize(
    ("text", "places", "clean"),
    [
        ("The upper left is fine; the lower right shows a dent.", ["lower right"], ["upper left"]),
        ("Except for a scratch in the upper left, the part is intact.", ["upper left"], []),
        ("There is no crack, but a scratch in the centre.", ["centre"], []),
        ("The heat map peaks at the lower left, but no defect is there.", [], ["lower left"]),
        ("The lower left shows a dark region that does not appear in the reference.", ["lower left"], []),
        ("The solder is missing in the upper left.", ["upper left"], []),
    ],
)
def test_places(text: str, places: list[str], clean: list[str]) -> None:
    claims = read_claims(Sentence(text, ()))
    assert [list(place) for place in claims.places] == [[name] for name in places]
    assert [list(place) for place in claims.clean] == [[name] for name in clean]


@pytest.mark.parametrize(
    ("text", "accepts", "defect"),
    [
        ("The rest of the part looks normal.", None, None),
        ("No other defects are visible.", None, None),
        ("No defects are visible.", None, False),
        ("The test image does not match the reference.", None, None),
        ("The test image matches the reference.", None, False),
        ("It deviates from the normal texture.", None, None),
        ("The damage may continue to grow.", None, None),
        ("The part must be repaired before it can be used.", False, None),
        ("The part can no longer be used.", False, None),
        ("The part can be used.", True, None),
        ("Everything looks normal.", True, None),
    ],
)
def test_conclusions(text: str, accepts: bool | None, defect: bool | None) -> None:
    claims = read_claims(Sentence(text, ()))
    assert (claims.accepts, claims.defect) == (accepts, defect)


def test_sizes_and_tones_are_of_the_defect() -> None:
    assert read_claims(Sentence("The mark in the centre is a little darker than its surround.", ())).extent is None
    assert read_claims(Sentence("A scratch is visible under the light.", ())).tone is None
    assert read_claims(Sentence("A light spot is in the centre.", ())).tone == "brighter"


def test_a_report_in_plain_words_has_no_fault() -> None:
    truth = Truth(
        anomalous=True,
        defects=(TrueDefect(defect_type="scratch", places=("upper left",), area_fraction=0.01, tone="brighter"),),
        citable={
            "F1": Citable(text="A scratch is a fine line cut into the surface.", kind="defect", defect_type="scratch"),
            "F2": Citable(text="A scratch lets corrosion begin.", kind="impact", defect_type="scratch"),
            "E1": Citable(text="The heat map is high in the upper left.", places=("upper left",)),
        },
    )
    text = (
        "True. The heat map is high and marks the upper left [E1]. A scratch runs from the upper left, not a crack [F1]. "
        "It can lead to corrosion [F2]. The rest of the part looks normal, and no other defects are visible. "
        "The test image does not match the reference. The part must be repaired before it can be used."
    )
    assert judge_reference(text, truth).faults == ()
