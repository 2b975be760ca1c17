"""What an answer claims, how far that is true, and the graded scores that follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

from knowledge.kinds import near
from training.adpl import MleScores
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


def flawed(truth: Telling, anomalous: Telling, normal: Telling, other_facts: str) -> Iterator[Telling]:
    """Every way in which the telling can go wrong that this code knows.

    What is wrong in one account is right in another, of another part of the same product: no word is in itself a sign of
    a bad answer.

    Args:
        truth: the right telling.
        anomalous: honest, of another, anomalous scene of the same product.
        normal: honest, of another, normal scene of it.
        other_facts: a kind of defect that the prompt has facts about, other than the one that is named.
    """
    steps = ["cites", "concludes"]
    if truth.scene.anomalous:
        mine, other = truth.scene.marks[0], anomalous.scene.marks[0]
        steps += [
            name for name in ("defect_type", "place", "extent", "tone") if getattr(mine, name) != getattr(other, name)
        ]
        if other.defect_type in truth.scene.types and "defect_type" in steps:
            steps.remove("defect_type")
    elif normal.scene.differences[0] not in truth.scene.differences:
        steps.append("differences")
    for count in (1, 2, 3):
        for chosen in combinations(steps, count):
            yield _gone_wrong(truth, chosen, anomalous.scene, normal.scene, other_facts)
    opposite = normal if truth.scene.anomalous else anomalous
    yield opposite
    yield replace(opposite, accepts=not opposite.accepts)
    if opposite.about != other_facts:
        yield replace(opposite, about=other_facts)


def _gone_wrong(truth: Telling, steps: tuple[str, ...], anomalous: Scene, normal: Scene, other_facts: str) -> Telling:
    told = truth
    fields = {name for name in steps if name in ("defect_type", "place", "extent", "tone")}
    if fields:
        other = anomalous.marks[0]
        mark = replace(truth.scene.marks[0], **{name: getattr(other, name) for name in fields})
        if "place" in fields:
            mark = replace(mark, touched=frozenset({other.place}))
        told = replace(told, scene=replace(truth.scene, marks=(mark,)), about=mark.defect_type, named=mark.defect_type)
    if "differences" in steps:
        told = replace(told, scene=replace(told.scene, differences=normal.differences))
    if "concludes" in steps:
        told = replace(told, accepts=not told.accepts)
    if "cites" in steps:
        # With the kind swapped too, the facts stay those of the true kind.
        told = replace(told, about=truth.about if "defect_type" in steps else other_facts)
    return told


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
