"""Rankings as AD-PL records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.vlm.prompt import read_answer
from training.adpl import PreferenceRecord, RankedAnswer, RankedQuestion
from training.rank.folder import LETTERS, Pair, Question, RankError, RankFolder, Ranking

TIES = "ties: the answer that more raters put first, then second, then third; then the one shown first"


@dataclass(frozen=True)
class Exported:
    """Pairs whose five questions are ranked, and why the others are not there."""

    records: list[PreferenceRecord]
    left_out: list[str]
    """A line for each pair that is no record yet."""


def export(folder: RankFolder, rater: str | None = None) -> Exported:
    """Make records of all raters' rankings together, or of one rater's.

    An answer's place is its mean rank among raters; of ties see `TIES`. The verdict is that of most raters. A conclusion
    is the newest that was written; where there is none, the best answer to the pair's first question stands for it, in
    `defect diagnosis` the best answer to each question.

    Raises:
        RankError: nobody of that name has ranked anything.
    """
    rankings = folder.rankings()
    raters = sorted({name for name, _ in rankings})
    if rater is not None and rater not in raters:
        raise RankError(f"--rater {rater!r}: has ranked nothing; there is {', '.join(raters) or 'nobody yet'}")
    said: dict[str, list[Ranking]] = {}
    for ranking in rankings.values():
        if rater in (None, ranking.rater):
            said.setdefault(ranking.question, []).append(ranking)
    by_pair: dict[str, list[Question]] = {}
    for question in folder.questions().values():
        by_pair.setdefault(question.pair.id, []).append(question)
    records, left_out = [], []
    for questions in by_pair.values():
        pair = questions[0].pair
        faults = [fault for question in questions if (fault := _fault(question, said.get(question.id, [])))]
        if faults:
            left_out.append(f"{pair.id}: {'; '.join(faults)}")
        else:
            records.append(_record(pair, questions, [said[question.id] for question in questions]))
    return Exported(records, left_out)


def _fault(question: Question, rankings: Sequence[Ranking]) -> str | None:
    if question.missing:
        return f"question {question.number} has no answer {', '.join(question.missing)}"
    if not rankings:
        return f"question {question.number} is not ranked"
    if sum(ranking.verdict for ranking in rankings) * 2 == len(rankings):
        return f"raters are split evenly on the verdict of question {question.number}"
    right = _verdict(rankings)
    if read_answer(_best_first(question, rankings)[0])[0] is (not right):
        return f"the best answer to question {question.number} does not open with {right}, the verdict; reword it"
    return None


def _verdict(rankings: Sequence[Ranking]) -> bool:
    return sum(ranking.verdict for ranking in rankings) * 2 > len(rankings)


def _best_first(question: Question, rankings: Sequence[Ranking]) -> list[str]:
    return [question.answer(letter) for letter in joint_order([ranking.order for ranking in rankings])]


def joint_order(orders: Sequence[str]) -> str:
    """One order out of several, by mean rank; of ties see `TIES`.

    >>> joint_order(["ABCD", "BACD", "BCAD"])
    'BACD'
    """

    def key(letter: str) -> tuple[int, list[int], str]:
        places = [order.index(letter) for order in orders]
        return sum(places), [-places.count(place) for place in range(len(LETTERS))], letter

    return "".join(sorted(LETTERS, key=key))


def _record(pair: Pair, questions: Sequence[Question], said: Sequence[Sequence[Ranking]]) -> PreferenceRecord:
    own = pair.pair_type == "defect diagnosis"
    ranked = []
    for question, rankings in zip(questions, said, strict=True):
        best_first = _best_first(question, rankings)
        ranked.append(
            RankedQuestion(
                question_en=question.asked.question,
                answer=_verdict(rankings),
                answer_options=[RankedAnswer(answer_en=text) for text in best_first],
                conclusion_en=_conclusion(rankings, best_first[0]) if own else None,
            )
        )
    all_rankings = [ranking for rankings in said for ranking in rankings]
    return PreferenceRecord.model_validate({
        "domain": pair.domain, "test_image": pair.test_image, "reference_image": pair.reference_image,
        "pair_type": pair.pair_type, "question_answer": ranked,
        "conclusion_en": None if own else _conclusion(all_rankings, ranked[0].answer_options[0].answer_en),
        "facts": list(pair.facts), "evidence": list(pair.evidence),
    })  # fmt: skip


def _conclusion(rankings: Sequence[Ranking], best: str) -> str:
    written = [r for r in rankings if r.conclusion is not None]
    if written:
        return str(max(written, key=lambda r: r.given).conclusion)
    return " ".join(sentence.text for sentence in read_answer(best)[1]) or best
