"""How answers are worded: every sentence has many forms, chosen without regard to whether it is true.

`<a|b>` is a choice between phrases, `{name}` a value.
"""

from __future__ import annotations

import re

from training.draw.noise import Rng

_CHOICE = re.compile(r"<([^<>]*)>")


def say(rng: Rng, forms: tuple[str, ...], **values: str) -> str:
    """One form of a sentence, with its choices made and its values filled in."""
    form = forms[int(rng.integers(len(forms)))]
    while found := _CHOICE.search(form):
        options = found[1].split("|")
        form = form[: found.start()] + options[int(rng.integers(len(options)))] + form[found.end() :]
    return form.format(**values)


UNCOUNTED = frozenset(
    [
        "colour_mismatch",
        "cold_solder",
        "contamination",
        "corrosion",
        "crazing",
        "delamination",
        "discolouration",
        "excess_solder",
        "exposed_conductor",
        "fibre_misalignment",
        "flash",
        "insufficient_solder",
        "insulation_damage",
        "lack_of_fusion",
        "misalignment",
        "mould",
        "mura",
        "orange_peel",
        "peel",
        "pitting",
        "porosity",
        "rolled_in_scale",
        "shrinkage",
        "spalling",
        "spatter",
        "spurious_copper",
        "thread_damage",
        "warpage",
        "wear",
    ]
)
"""Kinds of defect that take no article."""


def named(defect_type: str) -> str:
    """A defect type as one writes it in a sentence: `corrosion`, `a scratch`, `an open circuit`."""
    name = defect_type.replace("_", " ")
    return name if defect_type in UNCOUNTED else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


SENTENCES: dict[str, tuple[str, ...]] = {
    # what is seen on an anomalous part
    "mark": (
        "<One|A> {extent} <mark|spot|area> in the {place} of the test image is {tone} its surround.",
        "In the {place} <there is|one sees> a {extent} <mark|area>, {tone} <the rest|its surround>.",
        "The {place} of the test image <shows|carries> a {extent} irregularity that is {tone} the surface around it.",
        "What stands out is a {extent} <patch|mark> in the {place}, {tone} its surround.",
        "Looking at the {place}, a {extent} area there is {tone} what lies around it.",
        "A {extent} <region|spot> in the {place} does not belong there; it is {tone} its surround.",
        "There, in the {place}, the <part|surface> has a {extent} mark that is {tone} its neighbourhood.",
    ),
    # what is seen on a normal part
    "dust": (
        "<A few|Some> specks of dust <are visible|lie on the part>, smaller than what counts as a defect.",
        "The part <carries|shows> <a little|some> dust, fine enough to be <allowed|within limits>.",
        "What looks like specks is fine dust, below the size <that matters|of a defect>.",
    ),
    "batch_colour": (
        "The colour is a shade off that of the reference, as batches <are|may be>.",
        "<A slight|A small> change of shade against the reference is what another batch <brings|looks like>.",
        "The whole part is evenly a little <different in shade|off in tone>, which <batches explain|is within limits>.",
    ),
    "cloud": (
        "Brightness drifts softly over the part, without an edge anywhere.",
        "The finish is a little cloudy <all over|as a whole>, which <cleaning leaves|is allowed>.",
        "<Soft|Slow> changes of brightness run over the whole part and <mark|bound> no place.",
    ),
    "passing_shadow": (
        "A soft shadow <lies|falls> over one side, from something outside the picture.",
        "One side is <darker|dimmer> with a soft edge: a shadow, not a mark.",
        "<Part of the image|One side> lies in a soft shadow that <follows no relief|belongs to the light>.",
    ),
    "plain": (
        "Pose and grain apart, the test image repeats the reference: no dust, no shadow, no other shade.",
        "<Dust, shadows and changes of shade|Changes of shade, shadows and dust> are not to be seen.",
        "There is <neither dust nor a shadow|no dust and no shadow>, and the shade is that of the reference.",
    ),
    # comparison
    "unlike": (
        "<Nothing of the kind|Nothing like it> is in the reference.",
        "The reference <shows|has> nothing like it.",
        "In the reference there is no such <mark|place>.",
        "The reference part <does not have it|lacks it>.",
    ),
    "alike": (
        "Outline, colour and surface agree with the reference.",
        "In <shape|outline> and surface it matches the reference.",
        "The reference <looks the same in all that counts|shows the same part>.",
        "Against the reference <nothing is missing or added|no part is lost or gained>.",
    ),
    # kind
    "kind": (
        "It has the look of {kind} {cite}.",
        "This fits <what is known of|the description of> {kind} {cite}.",
        "The <look|appearance> is that of {kind} {cite}.",
        "Among the described defects, {kind} fits <best|it best> {cite}.",
        "By the facts this is {kind} {cite}.",
    ),
    "no_kind": (
        "Nothing <has the look of|looks like> {kind} {cite}.",
        "There is no sign of {kind} {cite}.",
        "The <look|appearance> of {kind} is <not found|nowhere> {cite}.",
        "Among the described defects, {kind} is one that does not <fit|show> {cite}.",
        "By the facts this is not {kind} {cite}.",
    ),
    # what the facts add
    "means": (
        "The facts <name|give> its usual cause {cause} and what it does to the part {impact}.",
        "Its <origin|cause> is known {cause}, and so is the harm {impact}.",
        "What leads to it {cause} and what it leads to {impact} is <in the facts|on record>.",
    ),
    "no_means": (
        "So neither its usual cause {cause} nor its harm {impact} <is of concern|comes in>.",
        "Its <origin|cause> {cause} and the harm it does {impact} do not <matter|apply> here.",
        "What leads to it {cause} and what it leads to {impact} <need not be looked at|have no bearing>.",
    ),
    # relation to the question
    "here": ("The {place} asked about is affected.", "That <reaches|is in> the {place}.", "The {place} is <not clean|touched by it>."),
    "not_here": ("The {place} asked about is <undisturbed|clean>.", "The {place} itself is <clean|in order>.", "Nothing of it <is in|reaches> the {place}."),
    "of_kind": ("So there is {asked}.", "So {asked} is <present|there>.", "That is {asked}, then."),
    "not_of_kind": ("So there is no sign of {asked}.", "So {asked} is <absent|not there>.", "That is not {asked}, then."),
    "quote_fits": ("The quoted sentence is about {asked} {quoted}, which is <there|present>.", "What is quoted belongs to {asked} {quoted}, and that is seen."),
    "quote_misses": ("The quoted sentence is about {asked} {quoted}, which is <not there|absent>.", "What is quoted belongs to {asked} {quoted}, and that is not seen."),
    # conclusion
    "reject": (
        "So the part should be <set apart|held back> {end}.",
        "The part <is not to be|should not be> accepted as it is {end}.",
        "It follows that the part <fails|has to be taken out> {end}.",
        "Hence the part is <anomalous|not good> {end}.",
    ),
    "accept": (
        "So the part can be <accepted|passed on> {end}.",
        "The part <is to be|should be> accepted as it is {end}.",
        "It follows that the part <passes|can go on> {end}.",
        "Hence the part is <normal|good> {end}.",
    ),
}  # fmt: skip
