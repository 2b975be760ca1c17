"""Five questions a pair type: what each asks, when its answer is true, and how it is worded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from training.preference.scene import Scene


@dataclass(frozen=True)
class Asked:
    """What a question is about."""

    kind: str
    """A defect type."""
    place: str
    quote: str = ""
    """Text of a fact on `kind`."""


@dataclass(frozen=True)
class Question:
    """A kind of question, in a form that the answer `True` affirms and in one that it denies."""

    name: str
    holds: Callable[[Scene, Asked], bool]
    """Whether the affirmed form is true of a scene."""
    affirmed: tuple[str, ...]
    denied: tuple[str, ...]
    fact: str = ""
    """Kind of fact it quotes."""
    yes: str = ""
    """Key of the sentence that relates the account to the question where the affirmed form is held true."""
    no: str = ""


def _anomalous(scene: Scene, asked: Asked) -> bool:
    return scene.anomalous


def _normal(scene: Scene, asked: Asked) -> bool:
    return not scene.anomalous


def _of_kind(scene: Scene, asked: Asked) -> bool:
    return asked.kind in scene.types


def _in_place(scene: Scene, asked: Asked) -> bool:
    return asked.place in scene.touched


def _large(scene: Scene, asked: Asked) -> bool:
    return any(mark.extent in ("medium-sized", "large") for mark in scene.marks)


def _darker(scene: Scene, asked: Asked) -> bool:
    return any(mark.tone == "darker than" for mark in scene.marks)


AGREES = Question(
    "agrees", _normal,
    (
        "Does the test part agree with the reference<| in all that matters>?",
        "Is the <test part|part in the test image> as good as the <reference|part in the reference image>?",
        "Do test image and reference show equally good parts?",
    ),
    (
        "Does the test part differ from the reference in <a way|something> that matters?",
        "Is the <test part|part in the test image> worse than the <reference|part in the reference image>?",
        "Compared with the reference, is anything wrong with the test part?",
    ),
)  # fmt: skip
AGREES_HERE = Question(
    "agrees_here", _in_place,
    (
        "Does the {place} of the test image show something that the reference does not allow?",
        "Is there a mark in the {place} that <the reference lacks|is not in the reference>?",
        "Comparing the {place} of both images, is the test part <worse|damaged> there?",
    ),
    (
        "Does the {place} of the test image agree with the reference?",
        "Is the {place} <as clean as|as free of marks as> in the reference?",
        "Comparing the {place} of both images, is the test part as good there?",
    ),
    yes="here", no="not_here",
)  # fmt: skip
WITHIN_LIMITS = Question(
    "within_limits", _normal,
    (
        "Is every difference between the two images within what is allowed?",
        "Are the differences between test and reference of the <harmless|allowed> kind<| only>?",
        "Can all that differs from the reference be <put down to|explained by> pose, light, dust or batch?",
    ),
    (
        "Does any difference between the two images go beyond what is allowed?",
        "Is there a difference from the reference that pose, light, dust or batch <do not explain|cannot account for>?",
        "Is some difference between test and reference more than <harmless|allowed> variation?",
    ),
)  # fmt: skip
SHOWS_KIND = Question(
    "shows_kind", _of_kind,
    (
        "Does the test <part|image> show {kind}<| that the reference lacks>?",
        "Is there {kind} <on the test part|in the test image>?",
        "Would you <say that the test part has|report> {kind}?",
    ),
    (
        "Is there no sign of {kind} <on the test part|in the test image>?",
        "Can {kind} be ruled out for the test part?",
        "Is it right that the test image does not show {kind}?",
    ),
    yes="of_kind", no="not_of_kind",
)  # fmt: skip
ACCEPT = Question(
    "accept", _normal,
    (
        "Can the test part be <accepted|released|passed on>?",
        "Does the test part meet what the reference stands for?",
        "Should the test part go on <to the next step|along the line>?",
    ),
    (
        "Should the test part be <set apart|held back|taken out>?",
        "Does the test part fall short of what the reference stands for?",
        "Is there a reason not to <accept|release|pass on> the test part?",
    ),
)  # fmt: skip
ANY_DEFECT = Question(
    "any_defect", _anomalous,
    (
        "Is there <a|any> defect on the test part?",
        "Does the test image show a defective part?",
        "Is something <wrong with|damaged on> the part in the test image?",
    ),
    (
        "Is the test part free of defects?",
        "Does the test image show a <good|sound> part?",
        "Is the part in the test image <in order|as it should be>?",
    ),
)  # fmt: skip
DEFECT_HERE = Question(
    "defect_here", _in_place,
    (
        "Is there a defect in the {place} of the test image?",
        "Does the {place} of the test image show a defect?",
        "Does a defect <lie in|reach into> the {place}?",
    ),
    (
        "Is the {place} of the test image free of defects?",
        "Is the {place} of the test part undamaged?",
        "Can the {place} of the test image be called clean?",
    ),
    yes="here", no="not_here",
)  # fmt: skip
LARGE = Question(
    "large", _large,
    (
        "Does a defect cover more than <one and a half per cent|1.5 %> of the test image?",
        "Is there a defect of medium size or larger?",
        "Does the test part have a defect <that is more than small|above a small one in size>?",
    ),
    (
        "Does no defect cover more than <one and a half per cent|1.5 %> of the test image?",
        "Is every defect, if there is one at all, <small|of small size at most>?",
        "Is the test part free of defects above a small size?",
    ),
)  # fmt: skip


DARKER = Question(
    "darker", _darker,
    (
        "Is there a mark that is darker than its surround?",
        "Does the test part have a dark <mark|defect>?",
        "Is one place of the test part darker than <it should be|what lies around it>?",
    ),
    (
        "Is the test part free of marks that are darker than their surround?",
        "Is there no dark <mark|defect> on the test part?",
        "Can dark <marks|defects> be ruled out for the test part?",
    ),
)  # fmt: skip


def _quoting(name: str, fact: str, affirmed: tuple[str, ...], denied: tuple[str, ...]) -> Question:
    return Question(name, _of_kind, affirmed, denied, fact=fact, yes="quote_fits", no="quote_misses")


CAUSE = _quoting(
    "cause", "cause",
    (
        'Is this a likely cause of what the test image shows: "{quote}"?',
        'Could this explain what is seen on the test part: "{quote}"?',
    ),
    (
        'Can this be ruled out as a cause of what the test image shows: "{quote}"?',
        'Would it be wrong to explain what is seen on the test part by this: "{quote}"?',
    ),
)  # fmt: skip
IMPACT = _quoting(
    "impact", "impact",
    (
        'Is this to be feared of the part in the test image: "{quote}"?',
        'Does this warning apply to the test part: "{quote}"?',
    ),
    (
        'Is there no reason to fear this of the part in the test image: "{quote}"?',
        'Would this warning be out of place for the test part: "{quote}"?',
    ),
)  # fmt: skip
REMEDY = _quoting(
    "remedy", "remedy",
    (
        'Is this what should be done about the test part: "{quote}"?',
        'Does this advice suit what the test image shows: "{quote}"?',
    ),
    (
        'Would this advice be wrong for the test part: "{quote}"?',
        'Does what the test image shows call for something else than this: "{quote}"?',
    ),
)  # fmt: skip

QUESTIONS: dict[str, tuple[Question, ...]] = {
    "standard comparison": (AGREES, AGREES_HERE, WITHIN_LIMITS, SHOWS_KIND, ACCEPT),
    "defect identification": (ANY_DEFECT, SHOWS_KIND, DEFECT_HERE, LARGE, DARKER),
    "defect diagnosis": (CAUSE, IMPACT, REMEDY, SHOWS_KIND, ACCEPT),
}
"""Of each pair type, in the order they are asked."""
