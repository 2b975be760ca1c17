"""Questions besides the verdict, with their answers: closed ones, open ones, and some that no photo can answer."""

from __future__ import annotations

from collections.abc import Sequence

from agent.vlm.tool_calls import read_tool_calls
from training.draw.noise import Rng
from training.preference.scene import PLACES, places_of
from training.steps import Step, unseen_reply
from training.story import Story, join, words
from training.wordings import Kind, ask, typed

OPEN: tuple[Kind, ...] = ("position", "size", "type", "type", "cause", "consequence", "remedy")
"""What is asked openly about a case whose evidence is complete."""

UNSEEN_PROPERTIES = (
    "weight", "price", "age", "hardness", "temperature", "smell", "electrical resistance", "tensile strength", "batch number",
    "serial number", "date of manufacture", "country of origin", "supplier", "alloy", "melting point", "density", "moisture content",
    "service life", "delivery date", "order number", "wall thickness", "inner diameter", "chemical composition", "noise level",
    "residual stress", "magnetic field", "operating voltage", "torque", "air pressure inside", "customer", "machine number",
    "shift it was made in", "storage time", "surface temperature", "elasticity", "thermal conductivity", "leak rate",
    "coating thickness", "bending strength", "friction", "taste", "acidity", "current through it", "fatigue limit", "scrap rate",
)  # fmt: skip
"""What no photo shows."""
HELD_OUT_PROPERTIES = (
    "mass", "cost", "production line", "impact strength", "odour", "insulation resistance", "expiry date", "roughness in micrometres",
    "purchase date", "volume", "water absorption", "stiffness",
)  # fmt: skip
"""Kept from training, to ask an agent for."""
UNSEEN_SIDES = ("back", "underside", "inside", "hidden side", "far side", "core")
_FRAMES = (
    "What is the {} of the part?", "What is its {}?", "Can you tell the {} of this part?", "How high is the {}?",
    "Please give the {}.", "Which {} does it have?", "Do you know the {}?", "Is the {} within its limits?",
)  # fmt: skip
_SIDE_FRAMES = (
    "Is the {} free of defects?", "Is there a crack on the {}?", "What does the {} look like?", "Does the {} show a scratch?",
)  # fmt: skip


def unseen_question(story: Story, properties: Sequence[str] = UNSEEN_PROPERTIES) -> tuple[str, str]:
    """A question that the photo does not allow to be answered, and the reply that says so."""
    question, topic = unseen_topic(story.rng, properties)
    return question, unseen_reply(topic)


def unseen_topic(rng: Rng, properties: Sequence[str] = UNSEEN_PROPERTIES) -> tuple[str, str]:
    """Such a question, and what it asks for."""

    def say(variants: Sequence[str]) -> str:
        return variants[int(rng.integers(len(variants)))]

    trained = properties is UNSEEN_PROPERTIES
    if trained and rng.random() < 0.3:
        side = say(UNSEEN_SIDES)
        return typed(say(_SIDE_FRAMES).format(side), rng), side
    name = say(properties)
    question = say(_FRAMES).format(name)
    return (typed(question, rng) if trained else question), name


def another_question(story: Story, types: Sequence[str]) -> tuple[str, str]:
    """A question besides the verdict, with its answer.

    Args:
        story: of the case.
        types: defects that such parts have.
    """
    choice = story.rng.random()
    if choice < 0.25:
        return unseen_question(story)
    return open_question(story) if choice < 0.65 else closed_question(story, types)


def open_question(story: Story) -> tuple[str, str]:
    """Where, how large, of what kind, whence, with what effect, what to do, as far as what was found answers it."""
    chosen = OPEN[int(story.rng.integers(len(OPEN)))]
    kinds: tuple[Kind, ...] = (chosen, "position")
    for kind in kinds:
        asked = ask(kind, story.rng, None, None)
        reply = Step(story, asked, bool(story.case.references)).reply()
        if not read_tool_calls(reply)[0]:
            break
    return asked.question, reply


def closed_question(story: Story, types: Sequence[str]) -> tuple[str, str]:
    """A question for True or False: about a kind, about acceptance, about a place."""
    true = [d.defect_type for d in story.case.defects]
    choice = story.rng.random()
    if choice < 0.45 and types:
        asked = true[0] if true and story.rng.random() < 0.5 else str(story.rng.choice(list(types)))
        question = story.say(
            f"Is there a defect of the type {words(asked)}?", f"Does the part show the defect {words(asked)}?"
        )
        if asked in true:
            return question, join("True.", story.heat(), story.kind())
        return question, join("False.", story.heat(), story.kind() if true else story.quiet())
    if choice < 0.75:
        question = story.say("Is the part free of defects?", "Can the part be accepted?")
        if not true:
            return question, join("True.", story.heat(), story.quiet())
        return question, join("False.", story.heat(), story.kind(), story.consequences())
    main, touched = places_of(story.case.mask) if true else ("", frozenset[str]())
    asked = main if main and story.rng.random() < 0.5 else str(story.rng.choice(PLACES))
    question = story.say(f"Is there a defect in the {asked} of the image?", f"Does the {asked} show a defect?")
    if asked in touched:
        return question, join("True.", story.heat(), story.kind())
    return question, join("False.", story.heat(), story.kind() if true else story.quiet())
