"""How people ask during an inspection session, by what they want to know; some wordings are kept from training, for the exam."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from training.draw.noise import Rng
from training.preference.scene import PLACES

Kind = Literal[
    "position", "size", "shape", "type", "cause", "consequence", "remedy", "reference", "heat", "why", "closer",
    "measure", "compare", "known", "of_cause", "of_consequence", "of_remedy", "similar", "person", "unseen",
]  # fmt: skip
"""`closer`, `measure` and `compare` name a place; `known` and `of_…` name a kind of defect."""
KINDS: tuple[Kind, ...] = get_args(Kind)
PLACED: tuple[Kind, ...] = ("closer", "measure", "compare")
NAMING: tuple[Kind, ...] = ("known", "of_cause", "of_consequence", "of_remedy")


@dataclass(frozen=True)
class Asked:
    """A question of a session, and what it is about."""

    kind: Kind
    question: str
    where: str | None = None
    """A word of `PLACES`."""
    defect_type: str | None = None
    """Snake case."""
    topic: str | None = None
    """What only a person knows, a key of `PERSONS`; for `unseen`, what nobody can see."""


WORDINGS: dict[Kind, tuple[str, ...]] = {
    "position": (
        "Where is the {thing}?", "Where is it?", "In which part of the image is the {thing}?", "Where exactly is the {thing}?",
        "Where on the part is it?", "In which area is it?", "Which part of the image is affected?", "Where should I look?",
        "Show me where it is.", "Tell me where the {thing} is.", "Where does the heat map point?", "Its position?",
        "Where is the damaged place?", "At which place is the {thing}?", "Where do I find the {thing}?", "Point me to the {thing}.",
        "Which place does the {thing} lie in?", "In which corner is it?", "Is it left or right?",
        "Is the {thing} at the top or at the bottom?", "Tell me the place of the {thing}.", "What is the position of the {thing}?",
        "Where on the photo do you see it?", "Where does it lie?", "Its place, please.", "At what place did you find it?",
        "Where did you find the {thing}?", "Whereabouts is the {thing}?",
    ),
    "size": (
        "How large is it?", "What size is the {thing}?", "How big is the region?", "How big is it?", "What are its dimensions?",
        "How long and how wide is it?", "How large is the {thing}?", "What is the size of the {thing}?", "How many pixels does it measure?",
        "Measure it.", "Measure the {thing}.", "Please measure the region.", "Its size?", "How long is the {thing}?", "How wide is it?",
        "Give me the dimensions of the {thing}.", "What are the dimensions of the {thing}?", "How many pixels long is the {thing}?",
        "How much of the image does it cover?", "Tell me the size of the {thing}.", "What length does it have?", "How wide is the {thing}?",
        "Is it large or small?", "I need its dimensions.", "How large is that?", "Length and width?", "What does it measure?",
        "Take its measure.", "What is the extent of the {thing}?",
    ),
    "shape": (
        "What shape is it?", "What shape does the region have?", "Is it long or compact?", "Is it darker than its surround?",
        "Is it brighter or darker than the surface around it?", "What is its shape?", "How does its tone differ from the surround?",
        "Does it look long and thin?", "Describe the shape of the {thing}.", "Is the {thing} dark or bright?", "Describe its form and tone.",
        "What does its outline look like?", "Is the {thing} long and thin?", "Is the {thing} lighter than the rest?",
        "What tone does it have?", "Is it compact?", "Is it a line or a spot?", "Tell me its shape.", "How is the {thing} shaped?",
        "What shape and tone does the {thing} have?", "Does it stand out dark or bright?",
    ),
    "type": (
        "What kind of {thing} is it?", "Which {thing} is it?", "What is it?", "Of what type is the {thing}?", "What type of {thing} is this?",
        "What sort of {thing} is it?", "Which kind of {thing} do you see?", "What is this {thing}?", "Name the {thing}.",
        "What would you call it?", "Which description fits it?", "What do you think it is?", "What does it look like?",
        "What exactly is the {thing}?", "Which kind is it?", "Can you name the {thing}?", "How would you classify it?",
        "What do you take it for?", "Of which kind is the {thing}?", "Do you know what it is?", "Tell me what kind of {thing} this is.",
        "What is that?", "Is it a known kind of {thing}?", "Say what it is.", "What have we got here?", "What sort of {thing} is that?",
    ),
    "cause": (
        "What causes it?", "What is the likely cause?", "Where does such a {thing} come from?", "What caused it?", "How did this happen?",
        "Why did this happen?", "How does such damage come about?", "What is the reason for it?", "What went wrong in the process?",
        "How could it have come about?", "What is the cause of the {thing}?", "What leads to such a {thing}?", "Who or what did this?",
        "Why does the part have this {thing}?", "Which step of production causes it?", "What is behind it?",
        "What is the origin of the {thing}?", "Where did it come from?", "What may have led to it?", "How did the {thing} get there?",
        "What brought it about?", "Why is it there?", "What made this {thing}?", "Tell me the cause.", "Do you know why this happened?",
        "Its cause?", "What usually causes that?", "Which fault in the process leads to it?",
    ),
    "consequence": (
        "What does it do to the part?", "Why does it matter?", "What is the consequence?", "Is it dangerous?",
        "What happens if we ignore it?", "What are the consequences?", "What effect does it have?", "How bad is it?",
        "Does it affect the function?", "Is it serious?", "What can it lead to?", "What harm does it do?",
        "Can the part still be used with it?", "What is the effect on the part?", "What would happen in use?", "How serious is the {thing}?",
        "What does the {thing} mean for the part?", "What follows from it?", "Will it harm the part?", "What could go wrong with it?",
        "What are the risks?", "Is it harmful?", "What impact does it have?", "Why should I care?", "Does it make the part unusable?",
        "Tell me its consequences.", "What is the danger of it?", "Will the part fail?", "How does it affect the part?",
    ),
    "remedy": (
        "What should be done?", "What do you recommend?", "How is it put right?", "What should we do?", "How do I fix it?",
        "Can it be repaired?", "What is the remedy?", "How can we prevent it?", "What now?", "What is to be done with the part?",
        "How can it be mended?", "What do you advise?", "How do we avoid this in future?", "What is your recommendation?",
        "Should it be reworked?", "What must be done?", "Is there a remedy?", "How do we get rid of it?", "What do I do now?",
        "What is the next step?", "Which action do you recommend?", "How should we react?", "What can be done about it?",
        "What can we do against the {thing}?", "Can one repair the {thing}?", "Tell me what to do.", "How do I put it right?",
        "What would help?", "What is to be changed so that it does not happen again?",
    ),
    "reference": (
        "How does it compare with the reference?", "Does the reference show it too?", "Is it different from the reference?",
        "Does the good part look the same there?", "Is this also on the reference?", "What does the reference show there?",
        "Compare it with the reference.", "Does it differ from the good part?", "Is the reference the same?",
        "Would a good part look like that?", "Does a normal part have this {thing} too?", "Does the reference look like that?",
        "Is the {thing} on the reference too?", "Is that normal for this part?", "Does the reference agree?", "Compare it to the good part.",
        "And on the reference?", "What about the reference?", "Is it new compared with the reference?",
        "Do you see the {thing} on the good part as well?", "How does that place look on the reference?",
    ),
    "heat": (
        "What does the heat map show?", "What does the heat map say?", "How high is the score?", "What did the detector find?",
        "Does anything stand out?", "Did the heat map mark anything?", "How strong is the heat map?", "What is the result of the heat map?",
        "Tell me about the heat map.", "Read me the heat map.", "What is the anomaly score?", "What score did you get?",
        "How sure is the detector?", "Is anything above the threshold?", "What did the heat map find?", "Give me the score.",
    ),
    "why": (
        "Why?", "Why do you say so?", "How do you know?", "What makes you think so?", "Explain your verdict.", "What are your reasons?",
        "On what do you base that?", "Why did you decide so?", "Can you explain that?", "What is the evidence?", "Are you sure?",
        "Give me your reasons.", "Why do you think so?", "Justify your answer.", "Explain.", "Please explain.", "Explain it.",
        "Explain this to me.", "What led you to that?", "How did you come to that?", "What speaks for it?", "Give reasons.",
        "For what reason?", "Tell me why.", "Why is that?", "How can you tell?", "What is that based on?", "What proof do you have?",
        "How come?", "Can you justify that?", "Your reasons?",
    ),
    "closer": (
        "Look closer at the {}.", "Zoom in on the {}.", "Take a closer look at the {}.", "Look at the {} again.", "Check the {}.",
        "Can you zoom in on the {}?", "Please look closely at the {}.", "Enlarge the {}.", "Show me the {}.", "What about the {}?",
        "What is in the {}?", "Is there anything in the {}?", "Have a look at the {}.", "Inspect the {} once more.", "And the {}?",
        "What do you see in the {}?", "Could you look at the {} more closely?", "Go closer to the {}.", "I want to see the {} enlarged.",
        "Magnify the {}.", "Let me see the {}.", "A close-up of the {}.", "Examine the {}.", "Do you see anything in the {}?",
        "Is there a mark in the {}?", "What is there in the {}?", "Study the {} more closely.", "Now the {}.", "Is the {} all right?",
        "Anything in the {}?", "Give me a closer view of the {}.", "Did you look at the {}?",
    ),
    "measure": (
        "Measure the region in the {}.", "How large is the region in the {}?", "Measure the {}.", "How big is the {thing} in the {}?",
        "What size is the {thing} in the {}?", "Please measure what is in the {}.", "What are the dimensions of the region in the {}?",
        "How long is the {thing} in the {}?", "Give me the size of the region in the {}.", "Can you measure the {}?",
        "How wide is the thing in the {}?", "Size of the region in the {}?", "Take the dimensions of what is in the {}.",
        "Measure what you see in the {}.", "How large is what is in the {}?", "How many pixels does the region in the {} measure?",
        "Tell me how large the {thing} in the {} is.", "I need the size of the {thing} in the {}.",
        "What does the region in the {} measure?",
    ),
    "compare": (
        "Compare the {} with the reference.", "Does the {} look like the reference?", "Is the {} the same in the reference?",
        "How does the {} differ from the reference?", "Check the {} against the reference.", "Is the {} different from the good part?",
        "Does the reference look the same in the {}?", "Compare the {} with the good part.", "Hold the {} against the reference.",
        "Set the {} beside the reference.", "Does the {} agree with the reference?", "And the {} in the reference?",
        "Does the {} differ from the reference?", "How does the reference look in the {}?", "Is the {} as in the good part?",
        "Tell me how the {} compares with the reference.", "Check the {} with the good part.", "Look at the {} in the reference.",
        "What about the {} compared with the reference?",
    ),
    "known": (
        "What is known of {}?", "What do you know about {}?", "Tell me about {}.", "What do the facts say of {}?",
        "How does one recognise {}?", "What do {} look like?", "Explain {} to me.", "Is anything known about {}?", "Look up {}.",
        "What are {}?", "Give me the facts on {}.", "What do we know of {}?", "Describe {}.", "How do {} look?",
        "What should I know about {}?", "I want to know about {}.", "What is written about {}?", "How can I recognise {}?",
        "Do you know {}?",
    ),
    "of_cause": (
        "What causes {}?", "Where do {} come from?", "What is the usual cause of {}?", "How do {} come about?", "Why do parts have {}?",
        "What leads to {}?", "How do {} happen?", "How come parts have {}?", "What is behind {}?", "What brings about {}?",
        "What are the causes of {}?", "Tell me the cause of {}.", "What usually leads to {}?", "From what do {} come?", "Why are there {}?",
    ),
    "of_consequence": (
        "What do {} do to the part?", "Why do {} matter?", "How dangerous are {}?", "What is the consequence of {}?", "What can {} lead to?",
        "How bad are {}?", "What harm do {} do?", "What are the consequences of {}?", "How serious are {}?", "What happens with {}?",
        "What damage do {} do?", "Are {} dangerous?", "What effects do {} have?", "Why are {} bad?", "Tell me the effect of {} on the part.",
        "What do {} mean for the part?",
    ),
    "of_remedy": (
        "What is done about {}?", "How does one fix {}?", "What is the remedy for {}?", "How are {} prevented?", "How do we avoid {}?",
        "What do you recommend against {}?", "What should we do about {}?", "How can we prevent {}?", "What helps against {}?",
        "What can be done against {}?", "How does one get rid of {}?", "What is to be done about {}?", "How do I repair {}?",
        "What stops {}?", "Tell me the remedy for {}.", "How should one deal with {}?",
    ),
    "similar": (
        "Have you seen such a part before?", "Have you seen this before?", "Are there similar cases?", "Did we have this before?",
        "Is there a case like this on record?", "Show me similar cases.", "Was there a part like this before?", "Do you know such cases?",
        "Which earlier cases are like this one?", "What was decided in similar cases?", "Has this happened before?",
        "Look for similar parts.", "Was there anything like it before?", "Any similar cases?", "Look up similar cases.",
        "Is this a known case?", "Which cases resemble this one?", "Did this part come up before?", "What happened in similar cases?",
        "Are there earlier cases like that?", "Compare it with earlier cases.", "Have there been such parts?",
        "Do you remember a part like that?", "Search the earlier cases.",
    ),
}  # fmt: skip
HELD_OUT_WORDINGS: dict[Kind, tuple[str, ...]] = {
    "position": ("Where can I find the defect?", "Where do you see the flaw?", "In what place is it?"),
    "size": ("How large is the defect?", "What is its size?", "How many pixels is it long?"),
    "shape": ("What form does it have?", "Is the mark darker or brighter than what is around it?"),
    "type": ("What defect is this?", "What kind of flaw do you see?", "Which type is it?"),
    "cause": ("What could have caused the defect?", "How does it come about?", "What is the reason for the flaw?"),
    "consequence": ("What harm can it do?", "What effect does the defect have on the part?", "Why is it bad?"),
    "remedy": ("What should I do with it?", "How can it be fixed?", "What would you recommend?"),
    "reference": ("Does the reference have this mark?", "How does it differ from the good part?"),
    "heat": ("What is on the heat map?", "What does the detector say?"),
    "why": ("Why do you believe that?", "What is your evidence?", "Explain that, please."),
    "closer": ("Please zoom in on the {}.", "Look more closely at the {}.", "Is something in the {}?"),
    "measure": ("What is the size of the region in the {}?", "Please measure the {}."),
    "compare": ("Is the {} like that of the reference?", "Please compare the {} with the reference."),
    "known": ("What can you tell me about {}?", "What is there to know about {}?"),
    "of_cause": ("What is the cause of {}?", "Why do {} happen?"),
    "of_consequence": ("What harm can {} do?", "What is the effect of {}?"),
    "of_remedy": ("How can {} be avoided?", "How do I fix {}?"),
    "similar": ("Have you seen a similar part before?", "Did you have such cases before?"),
}
THINGS = ("defect", "defect", "flaw", "mark", "damage", "fault", "blemish", "spot", "problem", "anomaly")
"""What people call what is wrong with a part, as `{thing}` in their wordings."""
_OPENINGS = (
    "Please:", "And:", "Now:", "OK.", "OK,", "Thanks.", "Then:", "Tell me:", "Can you say:", "One more question:", "I want to know:",
    "Next:", "Well,", "Hm.", "So:",
)  # fmt: skip
PERSONS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "use": (
        "How is the part used?",
        ("Is that a problem for its use?", "Is it good enough for its use?", "Will it do for what the part is for?"),
        ("it holds a cover in place", "it carries water under pressure", "it is only decoration", "it is used outdoors", "it is a spare part"),
    ),
    "drawing": (
        "What does the drawing allow?",
        ("Does the drawing allow it?", "Is it within the drawing?", "What does the specification allow?", "Is that within tolerance?"),
        ("no marks are allowed", "marks below 2 mm are allowed", "the drawing says nothing of it", "one mark a part is allowed"),
    ),
    "side": (
        "Which side does the customer see?",
        ("Does the customer see this side?", "Is this the visible side?", "Is this side visible in use?"),
        ("this is the visible side", "this side is hidden", "the customer sees both sides", "it is covered by a label"),
    ),
    "history": (
        "What was done with the part before?",
        ("Was the part used before?", "What was done with the part before?", "Is the part new?", "Has it been repaired before?"),
        ("it is new", "it was returned by a customer", "it was reworked once", "it fell from the table"),
    ),
    "photo": (
        "How was the photo taken?",
        ("Was the light the same as usual?", "How was the photo taken?", "Was the part cleaned before the photo?"),
        ("with a lamp from the left", "it was not cleaned", "with another camera than usual", "as always"),
    ),
    "process": (
        "What was changed in production?",
        ("Was anything changed in production?", "Is the tool new?", "Did we change the process?"),
        ("the tool is new", "nothing was changed", "we have a new supplier", "the night shift runs it faster"),
    ),
}  # fmt: skip
"""What no photo shows, but the person who asks may know: what to ask back, how the question is put, what they may say."""
HELD_OUT_PERSONS: dict[str, tuple[str, ...]] = {
    "use": ("Is it a problem for the use of the part?",),
    "drawing": ("Is this allowed by the drawing?", "Is it within the specification?"),
    "side": ("Is this side seen by the customer?",),
    "history": ("Was the part repaired before?",),
    "photo": ("Was the photo taken with the same light as usual?",),
    "process": ("Was the process changed?",),
}
UNKNOWN = "I do not know"
"""A person may not know either."""
_EDGES = {
    "middle left": ("left", "left edge", "left side", "left-hand side"),
    "middle right": ("right", "right edge", "right side", "right-hand side"),
    "upper centre": ("top", "top edge", "upper edge", "upper side"),
    "lower centre": ("bottom", "bottom edge", "lower edge", "lower side"),
    "centre": ("middle", "center"),
    "upper left": ("top left", "upper left corner", "top left corner"),
    "upper right": ("top right", "upper right corner", "top right corner"),
    "lower left": ("bottom left", "lower left corner", "bottom left corner"),
    "lower right": ("bottom right", "lower right corner", "bottom right corner"),
}
SPOKEN: dict[str, tuple[str, ...]] = {
    place: (place, place, f"{place} of the image", *_EDGES[place]) for place in PLACES
}
"""How people call each ninth of a photo."""
_NO_PLURAL = frozenset({"porosity", "corrosion", "contamination", "delamination", "discolouration", "shrinkage", "wear", "spalling",
    "flash", "mould", "mura", "orange peel", "chatter", "damage", "lack of fusion", "crazing", "pitting", "rolled in scale", "warpage",
    "thread damage", "insulation damage", "fibre misalignment", "misalignment", "spurious copper", "deformation", "cold solder",
    "excess solder", "insufficient solder", "spatter", "undercut", "underfill", "colour mismatch", "wrong count", "fray"})  # fmt: skip


def plural(defect: str) -> str:
    """The name of a defect as one asks of its kind: `crack` gives `cracks`."""
    if defect in _NO_PLURAL:
        return defect
    return f"{defect}es" if defect.endswith(("s", "ch", "sh", "x")) else f"{defect}s"


def _plain(wording: str) -> str:
    return " ".join(re.findall(r"[a-z{}]+", wording.lower()))


_KEPT = frozenset(_plain(wording) for wordings in HELD_OUT_WORDINGS.values() for wording in wordings)


def typed(question: str, rng: Rng) -> str:
    """A question as people type it into a chat: now and then with a few words before it, or without capitals and stop."""
    if rng.random() < 0.15:
        question = f"{_OPENINGS[int(rng.integers(len(_OPENINGS)))]} {question}"
    return question.lower().rstrip("?.") if rng.random() < 0.1 else question


def ask(kind: Kind, rng: Rng, place: str | None, defect_type: str | None, *, held_out: bool = False) -> Asked:
    """A question in one of the wordings of its kind.

    Args:
        kind: what it is about; not `unseen`, which `training.follow_ups` writes.
        rng: chooses the words.
        place: for those that name a place, a word of `PLACES`.
        defect_type: for those that name a kind of defect.
        held_out: in words that training does not use.
    """

    def pick(choices: tuple[str, ...]) -> str:
        return choices[int(rng.integers(len(choices)))]

    if kind == "person":
        topic = pick(tuple(PERSONS))
        question = pick(HELD_OUT_PERSONS[topic]) if held_out else typed(pick(PERSONS[topic][1]), rng)
        return Asked(kind, question, topic=topic)
    wording = pick(HELD_OUT_WORDINGS[kind]) if held_out else _trained(kind, rng)
    if kind in PLACED and place is not None:
        return Asked(kind, wording.format(pick(SPOKEN[place])), where=place)
    if kind in NAMING and defect_type is not None:
        name = defect_type.replace("_", " ")
        many = re.search(r" (?:are|do|have|there) \{\}", wording)
        about = plural(name) if many else pick((plural(name), f"the defect {name}"))
        return Asked(kind, wording.format(about), defect_type=defect_type)
    return Asked(kind, wording)


def _trained(kind: Kind, rng: Rng) -> str:
    """A wording of training; where its words for the defect would make one that is kept from it, another."""
    while True:
        wording = WORDINGS[kind][int(rng.integers(len(WORDINGS[kind])))]
        wording = wording.replace("{thing}", THINGS[int(rng.integers(len(THINGS)))])
        said = typed(wording, rng)
        if not _KEPT.intersection((_plain(wording), _plain(said))):
            return said
