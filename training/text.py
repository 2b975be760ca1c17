"""Questions and reasoned answers about drawn cases; every sentence follows from the case or from the tools' evidence."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from agent.vlm.prompt import VERDICT_QUESTION, NumberedFact, Plan, Views, plan_reply, plan_text, question_text
from training.copying import Copying
from training.draw.families import BY_NAME
from training.draw.noise import Rng
from training.draw.scene import Case
from training.fact_index import FactIndex, numbered
from training.finding import Finding
from training.follow_ups import another_question
from training.hearing import Hearing
from training.sessions import Sessions
from training.story import Looks, Story

SHARE = {
    "screen": 0.4, "plan": 0.3, "alone": 0.9, "judge": 0.6, "suspect": 0.9, "verdict": 0.7, "question": 0.5, "follow_up": 4.2,
    "copy": 1, "hear": 1, "find": 1,
}  # fmt: skip
"""How many rows of each task are written for a case, on average."""
SESSIONS = 3
"""Questions of sessions about a case; each takes nearly one row and a half, since tools are called."""
SUSPECTS = 2
"""Kinds of defect that facts are wanted on."""
DEFECTS = 8
"""Descriptions of defects among which the model looks for the one it sees."""
TASKS = tuple(SHARE)
COPY, HEAR, FIND = GROUND = "copy", "hear", "find"
"""Told only where they are asked for: a large model has learnt them long ago."""
USUAL = tuple(task for task in TASKS if task not in GROUND)


@dataclass
class Example:
    """One prompt with the reply to learn."""

    text: str
    reply: str
    views: Views
    task: str
    close_up: np.ndarray | None = None
    """(H, W, 3) uint8, where it is another than that of the case."""


@dataclass
class Writer:
    """Writes the examples of a case."""

    facts: FactIndex
    shown: bool = True
    """Facts are put before the model, as words."""
    tasks: Collection[str] = USUAL
    """Sessions take long to write, and are left out where they are not asked for, as copying is."""

    def __post_init__(self) -> None:
        self._ground: dict[str, Copying | Hearing | Finding] = {}
        if COPY in self.tasks:
            self._ground[COPY] = Copying(self.facts)
        if HEAR in self.tasks:
            self._ground[HEAR] = Hearing(self.facts)
        if FIND in self.tasks:
            self._ground[FIND] = Finding(self.facts)

    def examples(self, case: Case, found: Looks, rng: Rng) -> list[Example]:
        """Some of: a plan, the verdict from the photos alone, from evidence or from facts alone, a suspicion, the verdict and
        another question over all of it, and questions of sessions with the tool calls that they take."""
        references = len(case.references)
        evidence = [(f"E{i}", look.summary) for i, look in enumerate(found.looks, 1)]
        near, close = Views(references), Views(references, found.close_up is not None)
        looks = ["heatmap", "zoom", "measure", "compare"] if references else ["heatmap", "zoom", "measure"]
        out = []

        def add(task: str, text: str, reply: str, views: Views) -> None:
            out.append(Example(text, reply, views, task))

        wanted = {task: rng.random() < share for task, share in SHARE.items() if task in USUAL and task != "follow_up"}
        if wanted["screen"]:
            seen = Story(case, found.looks, [], rng).seen()
            add("screen", question_text(VERDICT_QUESTION, [], evidence), seen, close)
        if wanted["plan"]:
            add("plan", plan_text([]), plan_reply(Plan(case.category, looks)), near)
        if wanted["alone"]:
            add("alone", question_text(VERDICT_QUESTION, [], []), "True." if case.anomalous else "False.", near)
        described = self._described(case, rng)
        if wanted["judge"]:
            add("judge", question_text(VERDICT_QUESTION, described, []), Story(case, [], described, rng).judged(), near)
        true = list(dict.fromkeys(d.defect_type for d in case.defects))
        suspected = (Story(case, found.looks, [], rng).likely[:SUSPECTS] or true) if true else []
        if wanted["suspect"]:
            add("suspect", plan_text(evidence, described), plan_reply(Plan(None, [], suspected)), close)
        facts = described
        if true or rng.random() < 0.3:
            # A suspicion is not always right: the model must also learn to say that no fact fits.
            others = rng.choice(BY_NAME[case.family].defect_types, 2, replace=False)
            suspects = suspected if true and rng.random() < 0.8 else [str(t) for t in others]
            facts = numbered(self.facts.about(case.category, suspects[:SUSPECTS])) if self.shown else []
        story = Story(case, found.looks, facts, rng)
        if wanted["verdict"]:
            add("verdict", question_text(VERDICT_QUESTION, facts, evidence), story.verdict(), close)
        if wanted["question"]:
            question, reply = another_question(story, self._types(case))
            add("question", question_text(question, facts, evidence), reply, close)
        # Behind all others, and with its own share, so that the rest is told as it was before there were sessions.
        if "follow_up" in self.tasks and found.looks and found.looks[0].tool == "heatmap":
            sessions = Sessions(self.facts, DEFECTS, self.shown)
            for step in (step for _ in range(SESSIONS) for step in sessions.session(case, found, rng)):
                out.append(Example(step.text, step.reply, step.views, "follow_up", step.close_up))
        for task, ground in self._ground.items():
            out.append(Example(*ground.row(rng), Views(), task))
        return out

    def _described(self, case: Case, rng: Rng) -> list[NumberedFact]:
        """What the agent looks up before it has a suspicion; in no order that could be learnt."""
        if not self.shown:
            return []
        facts = self.facts.defects(case.category, DEFECTS)
        return numbered(
            [facts[i] for i in rng.permutation(len(facts))] + self.facts.find(case.category, "", "object")[:1]
        )

    def _types(self, case: Case) -> list[str]:
        return list(
            dict.fromkeys(t for t in BY_NAME[case.family].defect_types if self.facts.find(case.category, t, "defect"))
        )
