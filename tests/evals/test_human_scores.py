"""The files that scores come in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evals.errors import EvalError
from evals.judges.scores import Rating, read_scores, write_scores
from evals.mle import SCALES, MleScore


def rated(rater: str, item: str, *scores: float | None, place: int | None = None) -> Rating:
    given = scores or (None, None, None)
    return Rating(rater=rater, item=item, type=given[0], location=given[1], logic=given[2], place=place)


@pytest.mark.parametrize("written", ["csv", "semicolons", "json"])
def test_the_same_scores_come_from_every_form_of_file(tmp_path: Path, written: str) -> None:
    path = tmp_path / "scores"
    if written == "json":
        rows = [
            {"rater": "a", "item": "r/q/1", "type": 5, "location": None, "logic": 2.5, "note": "x"},
            {"rater": "a", "item": "r/q/2", "type": None, "location": None, "logic": None, "place": 2},
        ]
        path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    else:
        text = (
            '\ufeffrater,item,note,type,location,logic,place\n a ,r/q/1,"two\nlines",5,,2.5,\n\n,,,,,,\na,r/q/2,,,,,2\n'
        )
        path.write_text(text.replace(",", ";") if written == "semicolons" else text, encoding="utf-8")
    assert read_scores([path]) == [rated("a", "r/q/1", 5, None, 2.5), rated("a", "r/q/2", place=2)]


HEAD = "rater,item,type,location,logic\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD + "a,r/q/1,6,5,5\n", r"line 2: type '6', expected a number from 1 to 5, or nothing"),
        (HEAD + "a,r/q/1,1,2,3\na,r/q/2,1,four,3\n", r"line 3: location 'four', expected a number"),
        (HEAD + "a,r/q/1,1,2,nan\n", r"line 2: logic 'nan', expected a number"),
        (HEAD + "a,one,1,2,3\n", r"line 2: item 'one', expected `<record>/<question>/<answer>`"),
        (HEAD + ",r/q/1,1,2,3\n", r"line 2: rater None, expected a name"),
        (HEAD + "a,r/q/1,1,2,3\na,r/q/1,2,2,3\n", r"line 3: rater 'a' has rated item 'r/q/1' already, in .*line 2"),
        ("rater,item,typ,location,logic\na,r/q/1,1,2,3\n", r"line 1: has no column type; expected rater, item, type"),
        (
            '{"rater": "a", "item": "r/q/1", "type": "4", "location": 1, "logic": 1}',
            r"line 1: type '4', expected a number",
        ),
        ('{"rater": "a", "item": "r/q/1", "location": 1, "logic": 1}', r"line 1: type is missing, expected a number"),
        ('{"rater": "a", "item": "r/q/1"', r"line 1: is no JSON object with the keys rater, item"),
        ("", r"is empty; expected CSV with the columns rater, item"),
    ],
)
def test_a_fault_in_a_file_is_named_with_line_value_and_expectation(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EvalError, match=says) as caught:
        read_scores([path])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"cannot be read \(No such file"):
        read_scores([tmp_path / "none.csv"])
    (tmp_path / "bytes.csv").write_bytes(b"rater\xff")
    with pytest.raises(EvalError, match="byte 5 is not UTF-8"):
        read_scores([tmp_path / "bytes.csv"])
    with pytest.raises(EvalError, match="item 'no-slash', expected"):
        write_scores(tmp_path / "x.csv", "a", {"no-slash": MleScore(unscored="x")})


def test_scores_come_back_as_they_were_written(tmp_path: Path) -> None:
    scores = {
        "p/1.png/q/1": MleScore(type=11 / 3, location=1, logic=5),
        "p/1.png/q/2": MleScore(unscored='said "4",\nno'),
    }
    write_scores(tmp_path / "scores.csv", "judge (rev; prompt 1)", scores)
    first, second = read_scores([tmp_path / "scores.csv"])
    assert {scale: getattr(first, scale) for scale in SCALES} == {"type": 11 / 3, "location": 1, "logic": 5}
    assert (first.record, first.question) == ("p/1.png", "p/1.png/q")
    assert (second.mean, second.unscored) == (None, 'said "4",\nno')
