"""What an answer claims, how far that is true, and the graded scores that follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from knowledge.kinds import near
from training.adpl import MleScores
from training.draw.allowed import VARIATIONS
from training.draw.noise import Rng
from training.draw.scene import VARIED
from training.preference.scene import PLACES, Scene


@dataclass(frozen=True)
class Telling:
    """An account of an image pair: what it says is seen, which facts it rests on, what it concludes."""

    scene: Scene
    about: str
    """Kind of defect the facts are about that it cites: the one it names, unless the citation is wrong."""
    named: str
    """Kind of defect it names: as present in an anomalous scene, as absent in a normal one."""
    accepts: bool
    """Concludes that the part can be accepted."""


def honest(scene: Scene, absent: str) -> Telling:
    """A telling that follows from its scene. A normal scene is told by the `absent` kind of defect."""
    named = scene.marks[0].defect_type if scene.marks else absent
    return Telling(scene, about=named, named=named, accepts=not scene.anomalous)


def flawed(truth: Telling, other: Scene, absent: str, other_facts: str, rng: Rng) -> Iterator[Telling]:
    """Ways in which the telling can go wrong: what is seen, which facts are cited, what is concluded, or all of it.

    What is wrong in one account is right in another, of another part of the same product: no word is in itself a sign of
    a bad answer. To that end the ways are the same for good parts and bad ones.

    Args:
        truth: the right telling.
        other: an anomalous scene of the same product.
        absent: kind of defect that an account of a normal part names.
        other_facts: a kind of defect that the prompt has facts about, other than the one that is named.
        rng: chooses what is seen wrongly.
    """
    for seen, cites, concludes in product((False, True), repeat=3):
        told = _seen_wrong(truth, other, rng) if seen else truth
        if concludes:
            told = replace(told, accepts=not told.accepts)
        if cites:
            # With the kind swapped too, the facts stay those of the true kind.
            told = replace(told, about=truth.about if told.named != truth.named else other_facts)
        if told != truth:
            yield told
    opposite = honest(Scene((), truth.scene.differences) if truth.scene.anomalous else other, absent)
    yield opposite
    yield replace(opposite, accepts=not opposite.accepts)
    if opposite.about != other_facts:
        yield replace(opposite, about=other_facts)


def _seen_wrong(truth: Telling, other: Scene, rng: Rng) -> Telling:
    """The telling with one or two things seen otherwise than they are; the same where the other scene is too alike."""
    if not truth.scene.anomalous:
        return replace(truth, scene=Scene((), (_other_difference(truth.scene.differences, rng),)))
    mine, theirs = truth.scene.marks[0], other.marks[0]
    fields = [name for name in ("place", "extent", "tone") if getattr(mine, name) != getattr(theirs, name)]
    if theirs.defect_type not in truth.scene.types:
        fields.append("defect_type")
    if not fields:
        return truth
    chosen = [str(name) for name in rng.permutation(fields)][: 1 + int(rng.random() < 0.4)]
    mark = replace(mine, **{name: getattr(theirs, name) for name in chosen})
    if "place" in chosen:
        mark = replace(mark, touched=frozenset({mark.place}))
    return replace(truth, scene=replace(truth.scene, marks=(mark,)), about=mark.defect_type, named=mark.defect_type)


def _other_difference(real: tuple[str, ...], rng: Rng) -> str:
    """An allowed difference that is not there, each as often wrong as it is right: `plain` is right most often."""
    plain = (1 - VARIED) ** len(VARIATIONS)
    if real != ("plain",) and rng.random() < plain / (1 - plain):
        return "plain"
    missing = [(name, (1 - VARIED) ** place) for place, name in enumerate(VARIATIONS) if name not in real]
    if not missing:
        return "plain"
    weights = np.array([weight for _, weight in missing])
    return str(rng.choice([name for name, _ in missing], p=weights / weights.sum()))


def score(told: Telling, truth: Telling, right: bool) -> MleScores:
    """Graded by what is wrong.

    Args:
        told: the account of the answer.
        truth: the right one.
        right: whether the answer's True or False is the right one.
    """
    said, is_so = told.scene, truth.scene
    if said.anomalous != is_so.anomalous:
        kind, place, logic = 2, 1, 3
    elif said.anomalous:
        mine, real = said.marks[0], is_so.marks[0]
        kind = _kind_score(mine.defect_type, is_so)
        place = _place_score(mine.place, is_so) - (mine.extent != real.extent) - (mine.tone != real.tone)
        logic = 5
    else:
        kind, place, logic = 5, 5 if said.differences == is_so.differences else 3, 5
    logic -= 2 * (told.about != told.named) + 3 * (told.accepts == said.anomalous)
    if not right:
        kind, logic = 1, logic - 1
    return MleScores(type=kind, location=max(1, place), logic=max(1, logic))


def _kind_score(named: str, truth: Scene) -> int:
    if named == truth.marks[0].defect_type:
        return 5
    return 3 if any(near(named, real) for real in truth.types) else 2


def _place_score(named: str, truth: Scene) -> int:
    if named == truth.marks[0].place:
        return 5
    (y, x), (b, a) = divmod(PLACES.index(named), 3), divmod(PLACES.index(truth.marks[0].place), 3)
    return 3 if max(abs(y - b), abs(x - a)) == 1 else 1
