"""Surface cues: how well answers can be ranked without the photo, the facts or the question.

A preference model that finds such a cue learns it instead of what the answers say.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any, Literal

from training.adpl import ANSWERS, PreferenceRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MINIMAL_EDIT = 6
"""Two answers that differ in at most so many words and signs are a minimal pair."""
TELLING = 6
"""Words named of a word cue."""
_TOKEN = r"\w+|[^\w\s]"  # words and signs
_Z = 1.959964  # the middle 95 % of the normal distribution

Ranks = Literal["first-last", "adjacent", "all"]
_RANKS: dict[Ranks, tuple[tuple[int, int], ...]] = {
    "first-last": ((0, ANSWERS - 1),),
    "adjacent": tuple(pairwise(range(ANSWERS))),
    "all": tuple(combinations(range(ANSWERS), 2)),
}


@dataclass(frozen=True)
class Cue:
    """Share of answer pairs that a rule ranks right, 0..1, a tie counting half; chance is 0.5."""

    accuracy: float
    low: float
    high: float
    """`low` to `high` is the 95 % interval; pairs of one record count as related."""
    pairs: int
    words: tuple[str, ...] = ()
    """What told most: `+word` speaks for the better answer, `-word` for the worse."""


@dataclass(frozen=True)
class _Pair:
    """Two answers to a question of record number `record`, tokens in lower case."""

    better: str
    worse: str
    record: int


def length_cue(records: Sequence[PreferenceRecord], ranks: Ranks = "first-last") -> Cue | None:
    """How often the better of two answers has more words; well below 0.5 is a cue as well.

    Returns:
        None with fewer than two records, from which no interval follows.
    """
    pairs = list(_pairs(records, ranks))
    longer = [len(pair.better.split()) - len(pair.worse.split()) for pair in pairs]
    return _cue(longer, pairs)


def word_cue(records: Sequence[PreferenceRecord], *, minimal: bool = False, seed: int = 0) -> Cue | None:
    """How well a logistic model on differences of word counts ranks the answers of records it has not seen.

    It is trained on the pairs of one half of the records and tested on those of the other.

    Args:
        minimal: take only pairs that differ in at most `MINIMAL_EDIT` words and signs, in both halves.
        seed: of the halves.

    Returns:
        None where there are too few pairs: fewer than two to train with, or to test with those of fewer than two
        records. The interval is that of the test half; how much another half would have taught is not in it.
    """
    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    order = np.random.default_rng(seed).permutation(len(records))
    learned = set(order[: len(records) // 2].tolist())
    pairs = [p for p in _pairs(records, "all") if not minimal or is_minimal(p.better, p.worse)]
    train = [p for p in pairs if p.record in learned]
    test = [p for p in pairs if p.record not in learned]
    if len(train) < 2 or not test:
        return None
    count = CountVectorizer(token_pattern=_TOKEN).fit(text for p in train for text in (p.better, p.worse))

    def differences(of: list[_Pair]) -> Any:
        return count.transform(p.better for p in of) - count.transform(p.worse for p in of)

    # Every second pair is turned round: two classes to fit, and without an intercept the same model.
    sign = np.where(np.arange(len(train)) % 2, -1, 1)
    taught = differences(train)
    model = LogisticRegression(fit_intercept=False, max_iter=2000).fit(taught.multiply(sign[:, None]).tocsr(), sign)
    cue = _cue(model.decision_function(differences(test)), test)
    spread = np.sqrt(np.asarray(taught.multiply(taught).mean(0)).ravel())
    told, names = model.coef_[0] * spread, count.get_feature_names_out()
    strongest = np.argsort(-np.abs(told), kind="stable")[:TELLING]
    words = tuple(f"{'+' if told[k] > 0 else '-'}{names[k]}" for k in strongest if abs(told[k]) > 1e-6)
    return replace(cue, words=words) if cue else None


def is_minimal(one: str, other: str) -> bool:
    """Whether two answers differ in at most `MINIMAL_EDIT` words and signs, those put in the place of others counted
    once; upper and lower case are the same."""
    a, b = (re.findall(_TOKEN, text.lower()) for text in (one, other))
    # A bound from below that is quickly had: what one has more of than the other, in whatever order.
    more, less = Counter(a), Counter(b)
    if max((more - less).total(), (less - more).total()) > MINIMAL_EDIT:
        return False
    edits = SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    return sum(max(i1 - i0, j1 - j0) for kind, i0, i1, j0, j1 in edits if kind != "equal") <= MINIMAL_EDIT


def _pairs(records: Sequence[PreferenceRecord], ranks: Ranks) -> Iterator[_Pair]:
    for number, record in enumerate(records):
        for question in record.question_answer:
            texts = [option.answer_en for option in question.answer_options]
            yield from (_Pair(texts[better], texts[worse], number) for better, worse in _RANKS[ranks])


def _cue(margins: Sequence[float] | NDArray[np.float64], pairs: Sequence[_Pair]) -> Cue | None:
    """The accuracy of a rule that ranks a pair right where its margin is above zero.

    The interval is Wilson's, with as many independent pairs as would scatter like the means of the records do: it keeps
    a width where every pair is ranked right.
    """
    import numpy as np

    right = (np.sign(np.asarray(margins, np.float64)) + 1) / 2
    _, record = np.unique([pair.record for pair in pairs], return_inverse=True)
    records = int(record.max()) + 1 if len(pairs) else 0
    if records < 2:
        return None
    p = float(right.mean())
    off = np.bincount(record, right - p)
    variance = records / (records - 1) * float((off**2).sum()) / len(pairs) ** 2
    n = min(p * (1 - p) / variance, len(pairs)) if variance > 0 else records
    middle = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * float(np.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))) / (1 + _Z**2 / n)
    # Rounding must not put the accuracy outside.
    return Cue(p, min(p, max(0.0, middle - half)), max(p, min(1.0, middle + half)), len(pairs))
