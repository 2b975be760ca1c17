"""Ranking by people: the folder, the terminal, the sheet, the export."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from training.adpl import PairType, PreferenceRecord
from training.adpl_file import read_adpl
from training.rank.export import export, joint_order
from training.rank.folder import AskedQuestion, Candidate, Pair, RankError, RankFolder
from training.rank.sample import TRIES, sample_question
from training.rank.sheet import read_sheet, sheet
from training.rank.terminal import rank_in_terminal, read_reply


def candidate(text: str) -> Candidate:
    return Candidate(text=text, score=0.5, model="m", temperature=1.0, seed=1)


def pair(id: str = "p", answers: int = 4, pair_type: PairType = "standard comparison") -> Pair:
    asked = [
        AskedQuestion(
            question=f"Question {q}?",
            candidates=[candidate(f"True. Reason {a} of {q} [F1][E1].") for a in range(answers)],
        )
        for q in range(1, 6)
    ]
    return Pair(
        id=id, test_image=f"{id}.png", reference_image="good.png", domain="plate", pair_type=pair_type,
        facts={"plate-1": "A plate is flat."}, evidence=["Heat map: high."], questions=asked,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> RankFolder:
    made = RankFolder(tmp_path / "ranking")
    made.add_pair(pair())
    return made


def test_a_ranking_is_corrected_by_ranking_again_and_nothing_is_overwritten(folder: RankFolder) -> None:
    question = folder.questions()["p:1"]
    folder.rank("a", question, True, "ABCD")
    folder.rank("b", question, True, "DCBA")
    folder.rank("a", question, False, "BACD", "It is bent.")
    said = folder.rankings()
    assert {key: (r.verdict, r.order, r.conclusion) for key, r in said.items()} == {
        ("a", "p:1"): (False, "BACD", "It is bent."),
        ("b", "p:1"): (True, "DCBA", None),
    }
    assert len((folder.path / "rankings.jsonl").read_text().splitlines()) == 3


def test_a_reworded_answer_sets_earlier_rankings_of_its_question_aside(folder: RankFolder) -> None:
    for id in ("p:1", "p:2"):
        folder.rank("a", folder.questions()[id], True, "ABCD")
    folder.reword("b", folder.questions()["p:1"], "C", "True. It is bent [E1].")
    question = folder.questions()["p:1"]
    assert question.answer("C") == "True. It is bent [E1]."
    assert (question.score("C"), question.score("A")) == (None, 0.5)
    assert set(folder.rankings()) == {("a", "p:2")}
    assert set(folder.newest()) == {("a", "p:1"), ("a", "p:2")}
    with pytest.raises(RankError, match="same as answer A"):
        folder.reword("b", question, "B", question.answer("A").upper())
    with pytest.raises(RankError, match="answer B is empty"):
        folder.reword("b", question, "B", " ")


def test_an_open_question_is_ranked_once_a_person_has_written_the_missing_answer(tmp_path: Path) -> None:
    folder = RankFolder(tmp_path)
    folder.add_pair(pair(answers=3))
    question = folder.questions()["p:1"]
    assert question.missing == "D"
    with pytest.raises(RankError, match="answer D is missing"):
        folder.rank("a", question, True, "ABCD")
    folder.reword("a", question, "D", "False. Nothing is seen [E1].")
    folder.rank("a", folder.questions()["p:1"], True, "DABC")
    assert folder.rankings()["a", "p:1"].order == "DABC"


def test_what_is_wrong_with_a_folder_is_named_with_its_line(folder: RankFolder, tmp_path: Path) -> None:
    with pytest.raises(RankError, match=r"has no candidates\.jsonl"):
        RankFolder.open(tmp_path / "elsewhere")
    question = folder.questions()["p:1"]
    with pytest.raises(RankError, match="order 'ABCC', expected each of ABCD once"):
        folder.rank("a", question, True, "ABCC")
    folder.rank("a", question, True, "ABCD")
    with (folder.path / "rankings.jsonl").open("a") as file:
        file.write('{"rater": "a"')
    with pytest.raises(RankError, match=r"rankings\.jsonl, line 2: "):
        folder.rankings()


def test_answers_with_rare_line_breaks_are_read_back(tmp_path: Path) -> None:
    folder, text = RankFolder(tmp_path), "True.\u2028It is \x85 bent\nand [E1] torn."
    odd = pair()
    odd.questions[0].candidates[0] = candidate(text)
    folder.add_pair(odd)
    assert folder.questions()["p:1"].answer("A") == text


class Scripted:
    """Gives its replies in order, again and again, and keeps the seeds."""

    def __init__(self, *replies: str) -> None:
        self.replies, self.seeds = replies, list[int]()

    def answer(self, question: str, *, temperature: float, seed: int) -> str:
        self.seeds.append(seed)
        return self.replies[(len(self.seeds) - 1) % len(self.replies)]

    def support(self, answer: str) -> float | None:
        return 0.25


def draw(*replies: str, seed: int = 0) -> tuple[AskedQuestion, list[int]]:
    model = Scripted(*replies)
    rng = np.random.default_rng(seed)
    return sample_question(model, "Why?", name="m", temperature=0.7, rng=rng), model.seeds


def test_four_different_answers_are_drawn_in_an_order_that_says_nothing() -> None:
    replies = ("True. A.", "true.  a.", "", "True. B.", "False. C.", "False. D.", "False. E.")
    found, seeds = draw(*replies)
    assert sorted(c.text for c in found.candidates) == ["False. C.", "False. D.", "True. A.", "True. B."]
    assert len(seeds) == 6
    assert {(c.text, c.seed) for c in found.candidates} == {(replies[i], seeds[i]) for i in (0, 3, 4, 5)}
    assert draw(*replies) == (found, seeds)
    firsts = {draw(*replies, seed=seed)[0].candidates[0].text for seed in range(20)}
    assert len(firsts) == 4


def test_a_model_that_is_sure_leaves_the_question_open() -> None:
    found, seeds = draw("True. A.", "False. B.")
    assert {c.text for c in found.candidates} == {"True. A.", "False. B."}
    assert len(seeds) == TRIES


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str | type[BaseException]]]:
    """Lines a person types; then the end of input."""
    lines: list[str | type[BaseException]] = []

    def typed(*_: object) -> str:
        line = lines.pop(0) if lines else EOFError
        if isinstance(line, str):
            return line
        raise line

    monkeypatch.setattr("builtins.input", typed)
    yield lines
    assert not lines, f"nobody asked for {lines}"


def session(folder: RankFolder, rater: str = "a", *, scores: bool = False, again: bool = False) -> str:
    out = io.StringIO()
    rank_in_terminal(folder, rater, Console(file=out, width=200), scores=scores, again=again)
    return out.getvalue()


def test_each_ranking_is_kept_at_once_and_the_next_session_goes_on(
    folder: RankFolder, typing: list[str | type[BaseException]]
) -> None:
    typing += ["t cabd", "F D C B A", KeyboardInterrupt]
    shown = session(folder)
    assert "2 of 5 questions ranked" in shown
    assert "[F1] A plate is flat." in shown
    assert "50%" not in shown
    assert {q: (r.verdict, r.order) for (_, q), r in folder.rankings().items()} == {
        "p:1": (True, "CABD"),
        "p:2": (False, "DCBA"),
    }
    typing += ["q"]
    shown = session(folder, scores=True)
    assert "1 of 3: p:3" in shown
    assert "50% holds" in shown


def test_back_skip_edit_and_a_conclusion_on_the_pair(
    folder: RankFolder, typing: list[str | type[BaseException]]
) -> None:
    typing += ["t ABCD", "b", "t BACD", "s", "e C", "True. Mended [E1].", "x", "t CABD", "t ABCD", "f ABCD"]
    typing += ["The plate is bent."]
    shown = session(folder)
    assert "so far you said true ABCD" in shown
    assert "'x': expected such as t CABD" in shown
    said = {q: r for (_, q), r in folder.rankings().items()}
    assert {q: r.order for q, r in said.items()} == {"p:1": "BACD", "p:3": "CABD", "p:4": "ABCD", "p:5": "ABCD"}
    assert folder.questions()["p:3"].answer("C") == "True. Mended [E1]."
    assert said["p:5"].conclusion == "The plate is bent."
    # Asked again, the conclusion is left as it is by an empty line.
    typing += ["s", "s", "s", "s", "t BACD", ""]
    session(folder, again=True)
    assert folder.rankings()["a", "p:5"].conclusion == "The plate is bent."
    assert folder.rankings()["a", "p:5"].verdict is True


def test_diagnosis_asks_for_a_conclusion_on_each_question(
    tmp_path: Path, typing: list[str | type[BaseException]]
) -> None:
    folder = RankFolder(tmp_path)
    folder.add_pair(pair(pair_type="defect diagnosis"))
    typing += ["t ABCD", "A bend."]
    session(folder)
    assert folder.rankings()["a", "p:1"].conclusion == "A bend."


@pytest.mark.parametrize("typed", ["", "t", "t ABC", "t ABCDA", "ABCD", "e", "e E", "e AB", "sb"])
def test_replies_that_say_nothing(typed: str) -> None:
    with pytest.raises(RankError, match="expected such as t CABD"):
        read_reply(typed)


def filled(folder: RankFolder, changes: dict[str, dict[str, str]]) -> str:
    """The sheet with cells filled in, by question."""
    rows = list(csv.DictReader(io.StringIO(sheet(folder), newline="")))
    out = io.StringIO(newline="")
    table = csv.DictWriter(out, rows[0])
    table.writeheader()
    table.writerows(row | changes.get(row["question"], {}) for row in rows)
    return out.getvalue()


def saved(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sheet.csv"
    path.write_text(text, encoding="utf-8-sig", newline="")
    return path


def test_a_sheet_is_filled_in_read_and_corrected(folder: RankFolder, tmp_path: Path) -> None:
    changes = {
        "p:1": {"verdict": "TRUE", "order": "c, a, b, d", "conclusion": "Bent."},
        "p:2": {"verdict": "no", "order": "ABCD", "D": "False. Rewritten [E1]."},
    }
    path = saved(tmp_path, filled(folder, changes))
    read = read_sheet(folder, path, "a")
    assert (read.ranked, read.reworded, read.empty) == (2, 1, 3)
    said = folder.rankings()
    assert (said["a", "p:1"].order, said["a", "p:1"].conclusion) == ("CABD", "Bent.")
    assert said["a", "p:2"].verdict is False
    assert folder.questions()["p:2"].answer("D") == "False. Rewritten [E1]."
    again = read_sheet(folder, path, "a")
    assert (again.ranked, again.reworded) == (0, 0)
    rows = list(csv.DictReader(io.StringIO(sheet(folder, "a"), newline="")))
    assert [(row["verdict"], row["order"]) for row in rows[:3]] == [("true", "CABD"), ("false", "ABCD"), ("", "")]


def test_a_bare_sheet_with_semicolons_will_do(folder: RankFolder, tmp_path: Path) -> None:
    path = saved(tmp_path, "question;verdict;order\r\np:1;t;DCBA\r\n\r\n")
    assert read_sheet(folder, path, "a").ranked == 1


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"verdict": "maybe", "order": "ABCD"}, "verdict 'maybe', expected true or false"),
        ({"verdict": "t"}, "order '', expected each of ABCD once"),
        ({"verdict": "t", "order": "ABCC"}, "order 'ABCC', expected each of ABCD once"),
        ({"question": "q:9", "verdict": "t", "order": "ABCD"}, "question 'q:9' is not in the folder"),
        ({"question": "p:1", "verdict": "t", "order": "ABCD"}, "question 'p:1' stands in line 2 already"),
        ({"verdict": "t", "order": "ABCD", "A": "TRUE. reason 1 of 2 [F1][E1]."}, "answers A and B are the same"),
    ],
)
def test_a_faulty_line_is_named_and_nothing_of_the_sheet_is_kept(
    folder: RankFolder, tmp_path: Path, change: dict[str, str], fault: str
) -> None:
    # The cell with what is cited has two lines, so that the second row begins in line 4 of the file.
    text = filled(folder, {"p:1": {"verdict": "t", "order": "ABCD"}, "p:2": change})
    with pytest.raises(RankError) as error:
        read_sheet(folder, saved(tmp_path, text), "a")
    assert "sheet.csv, line 4: " + fault in str(error.value)
    assert not folder.rankings()


def test_wording_without_a_ranking_is_named_and_not_lost(folder: RankFolder, tmp_path: Path) -> None:
    first = next(iter(folder.questions()))
    path = saved(tmp_path, filled(folder, {first: {"B": "A better answer."}}))
    with pytest.raises(RankError, match="answer B was changed, but verdict and order are empty"):
        read_sheet(folder, path, "a")


def test_an_answer_that_looks_like_a_formula_is_inert_in_a_spreadsheet_and_comes_back_as_it_was(
    folder: RankFolder, tmp_path: Path
) -> None:
    question = next(iter(folder.questions().values()))
    folder.reword("a", question, "A", "=HYPERLINK(1)")
    text = sheet(folder)
    assert "'=HYPERLINK(1)" in text
    read_sheet(folder, saved(tmp_path, filled(folder, {question.id: {"verdict": "true", "order": "ABCD"}})), "a")
    assert folder.questions()[question.id].answers[0] == "=HYPERLINK(1)"


def test_half_a_line_does_not_swallow_the_next(folder: RankFolder) -> None:
    question = next(iter(folder.questions().values()))
    folder.rank("a", question, True, "ABCD")
    path = folder.path / "rankings.jsonl"
    whole = path.read_text()
    path.write_text(whole + whole[:20])
    folder.rank("b", question, True, "DCBA")
    lines = path.read_text().splitlines()
    assert lines[0] == whole.strip()
    assert '"rater":"b"' in lines[2]
    with pytest.raises(RankError, match="line 2"):
        folder.rankings()


def test_control_characters_of_an_answer_do_not_reach_the_terminal(
    folder: RankFolder, typing: list[str | type[BaseException]]
) -> None:
    question = next(iter(folder.questions().values()))
    folder.reword("a", question, "A", "red \x1b[31m alert")
    typing.append(EOFError)
    assert "\x1b" not in session(folder)


def test_a_sheet_older_than_a_correction_does_not_undo_it(folder: RankFolder, tmp_path: Path) -> None:
    path = saved(tmp_path, filled(folder, {"p:1": {"verdict": "t", "order": "ABCD"}}))
    folder.reword("b", folder.questions()["p:1"], "A", "True. Better [E1].")
    with pytest.raises(RankError, match="answer A was reworded after this sheet was written"):
        read_sheet(folder, path, "a")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is empty"),
        (b"question,order\n", "line 1: has no column verdict"),
        (b"question,verdict,order\n\xff", "is not UTF-8"),
    ],
)
def test_what_is_no_sheet(folder: RankFolder, tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "sheet.csv"
    path.write_bytes(content)
    with pytest.raises(RankError, match=fault):
        read_sheet(folder, path, "a")
    with pytest.raises(RankError, match="cannot be read"):
        read_sheet(folder, tmp_path / "none.csv", "a")


@pytest.mark.parametrize(
    ("orders", "joint"),
    [
        (["CABD"], "CABD"),
        (["ABCD", "BACD", "BCAD"], "BACD"),
        # A and B have the same sum and as many first places: the one shown first.
        (["ABCD", "BACD"], "ABCD"),
        # A and B have the same sum; B was put first once, A never.
        (["BACD", "CDAB"], "CBAD"),
    ],
)
def test_several_orders_are_joined_by_mean_rank(orders: list[str], joint: str) -> None:
    assert joint_order(orders) == joint


def rank_all(folder: RankFolder, rater: str, order: str, verdict: bool = True) -> None:
    for question in folder.questions().values():
        if question.pair.id == "p":
            folder.rank(rater, question, verdict, order)


@pytest.mark.parametrize("pair_type", ["standard comparison", "defect diagnosis"])
def test_whole_pairs_are_exported_as_valid_adpl_and_others_listed(tmp_path: Path, pair_type: PairType) -> None:
    folder = RankFolder(tmp_path)
    folder.add_pair(pair("p", pair_type=pair_type))
    folder.add_pair(pair("r"))
    folder.rank("a", folder.questions()["r:2"], True, "ABCD")
    rank_all(folder, "a", "CABD")
    rank_all(folder, "b", "CBAD")
    rank_all(folder, "c", "BCAD", verdict=False)
    if pair_type == "standard comparison":
        folder.rank("a", folder.questions()["p:5"], True, "CABD", "The plate is bent.")
    found = export(folder)
    (record,) = found.records
    assert isinstance(record, PreferenceRecord)
    first = record.question_answer[0]
    assert [a.answer_en for a in first.answer_options] == [f"True. Reason {i} of 1 [F1][E1]." for i in (2, 1, 0, 3)]
    assert first.answer is True
    if pair_type == "standard comparison":
        assert record.conclusion_en == "The plate is bent."
    else:  # The best answer stands for it, without ids.
        assert [q.conclusion_en for q in record.question_answer] == [f"Reason 2 of {i}." for i in range(1, 6)]
    (line,) = found.left_out
    assert line.startswith("r: question 1 is not ranked; question 3 is not ranked")
    path = tmp_path / "adpl.json"
    path.write_text(json.dumps([record.model_dump(mode="json", exclude_none=True)]))
    assert list(read_adpl(path, facts={"plate-1"})) == [record]


def test_one_rater_alone_and_raters_who_are_split(folder: RankFolder) -> None:
    rank_all(folder, "a", "CABD")
    rank_all(folder, "b", "DCBA", verdict=False)
    assert not export(folder).records
    assert "split evenly on the verdict of question 1" in export(folder).left_out[0]
    (record,) = export(folder, "a").records
    assert record.question_answer[0].answer is True
    assert record.question_answer[0].answer_options[0].answer_en == "True. Reason 2 of 1 [F1][E1]."
    # All four answers say True: none can be the best where the verdict is False.
    assert not export(folder, "b").records
    assert (
        "the best answer to question 1 does not open with False, the verdict; reword it"
        in export(folder, "b").left_out[0]
    )
    with pytest.raises(RankError, match="'z': has ranked nothing; there is a, b"):
        export(folder, "z")
