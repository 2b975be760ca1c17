"""How a core model answers the questions of an investigation session: `python -m evals.follow_ups --cases 100 [--model DIR]`.

It is asked about drawn cases of families held out of training; the tools that it calls are the real ones, and each call's result is
before it when it is asked again. Past cases and the person are scripted.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from agent.verify import problems_of
from agent.vlm.prompt import read_answer
from agent.vlm.tool_calls import ToolCall, read_tool_calls
from evals.figures.clustered import Value, mean
from evals.figures.metrics import Metric
from evals.follow_up_answers import FACT_KINDS, cites_fact, of_drawn_kind, right
from evals.follow_up_turns import SEED, Taken, Turn, Visit, visits
from knowledge.facts import Fact, shipped_pack
from tools.evidence import Evidence
from tools.images import ToolError
from tools.regions import PLACES
from training.draw.scene import Case
from training.fact_index import FactIndex
from training.follow_ups import HELD_OUT_PROPERTIES, unseen_topic
from training.looks import CALLED_BEFORE, similar, told
from training.text import DEFECTS
from training.wordings import KINDS, NAMING, PERSONS, PLACED, Asked, Kind, ask

REPLY = 160
"""Most tokens of a reply."""
STEPS = 5
"""Replies to a question at the most; the last should be an answer."""
OF_IT: tuple[Kind, ...] = ("position", "size", "shape", "type", "cause", "consequence", "remedy")
"""Asked of every anomalous case."""
OTHERS = 5
"""Questions of other kinds about each case."""
TOOLS = ("zoom", "measure", "compare", "heatmap", "query_facts", "similar_cases", "ask_person")
OWN = {
    "defect": (
        "At our plant it shows as a pale mark next to the code.",
        "We see it most often on trays from line seven.",
    ),
    "cause": (
        "Our gripper leaves it when its rubber pad has gone hard.",
        "It began after the oven was moved to hall two.",
    ),
    "impact": (
        "Our customer sends back every lot in which he finds it.",
        "In the field it has never done any harm so far.",
    ),
    "remedy": (
        "Call Maria in the tool shop and stop the second press.",
        "Polish it by hand with the blue paste and wash it twice.",
    ),
}
"""Sentences that are in no training text, as a user's own facts: whether the model copies, or recites what it knows."""

Ask = Callable[[Sequence[Turn]], list[str]]
"""A model: a reply to what is before it in each turn."""


class FollowUps:
    """Draws questions, has them answered, and counts."""

    def __init__(self, *, off: Collection[str] = (), seed: int = SEED) -> None:
        self.off, self.seed = frozenset(off), seed
        self._index = FactIndex(shipped_pack())
        self._types = frozenset(f.defect_type for f in shipped_pack().facts if f.defect_type)

    def turns(self, visit: Visit) -> list[Turn]:
        """The questions about a case; what it began with varies with its number."""
        rng = np.random.default_rng([self.seed, visit.number, 2])
        anomalous, number = visit.case.anomalous, visit.number
        others = [kind for kind in KINDS if kind not in OF_IT]
        chosen = rng.choice(len(others), OTHERS, replace=False)
        kinds: list[Kind] = [*(OF_IT if anomalous else ()), *(others[int(i)] for i in chosen)]
        made = []
        for at, kind in enumerate(kinds):
            complete = (number + at) % 2 == 0
            taken = [e for e in visit.taken if e.tool not in self.off and (complete or e.tool == "heatmap")]
            evidence = [e.model_copy(update={"id": f"E{i}"}) for i, e in enumerate(taken, 1)]
            state = (
                ("on the kind", "descriptions", "own")[(number + at // 2) % 3] if kind in FACT_KINDS else "descriptions"
            )
            held_out = (number // 2 + at) % 2 == 0
            facts = self._facts(visit.case, state if anomalous or state != "own" else "descriptions", rng)
            made.append(Turn(visit, self._asked(kind, visit, facts, held_out, rng), held_out, evidence, facts, state))
        return made

    def sit(self, turns: Sequence[Turn], ask_model: Ask) -> None:
        """Have every question answered; tools are called in between."""
        going = list(turns)
        for step in range(STEPS):
            replies = ask_model(going)
            for turn, reply in zip(going, replies, strict=True):
                calls, problems, _ = read_tool_calls(reply)
                turn.steps.append(Taken(turn.told(reply), turn.wanted, tuple(calls), tuple(problems)))
                if step < STEPS - 1:
                    for call in calls[:1]:
                        self._act(turn, call)
                    if problems and not calls:
                        turn.failed["the call cannot be read"] = problems[0]
            # As in the agent, a model that is not made to mend its calls gets no second try, but has to answer.
            going = [turn for turn in going if turn.steps[-1].calls or turn.steps[-1].problems]

    def metrics(self, turns: Sequence[Turn]) -> dict[str, Metric]:
        """Figures by name, with intervals over the cases."""
        return {name: _mean(rows) for name, rows in self.rows(turns).items()}

    def rows(self, turns: Sequence[Turn]) -> dict[str, list[tuple[Turn, float]]]:
        """What each figure is the mean of."""
        by_kind = {kind: [t for t in turns if t.asked.kind == kind] for kind in KINDS}
        rights = {id(t): float(right(t.asked, t.answer, t.before)) for t in turns}
        rows: dict[str, list[tuple[Turn, float]]] = {}
        for kind in KINDS:
            rows[f"right, {kind}"] = [(t, rights[id(t)]) for t in by_kind[kind]]
        rows["right, all"] = [(t, rights[id(t)]) for t in turns]
        rows["right, wordings held out"] = [(t, rights[id(t)]) for t in turns if t.held_out]
        rows["right, wordings of training"] = [(t, rights[id(t)]) for t in turns if not t.held_out]
        facts = [t for t in turns if t.asked.kind in FACT_KINDS]
        for state in ("on the kind", "descriptions", "own"):
            rows[f"right, facts: {state}"] = [(t, rights[id(t)]) for t in facts if t.state == state]
        rows["a fact of the kind asked for is cited"] = [
            (t, float(cites_fact(t.asked, t.answer, t.before))) for t in facts
        ]
        looked_up = [t for t in facts if t.asked.kind in OF_IT and t.state == "descriptions"]
        rows["of the drawn kind, looked up"] = [
            (t, float(of_drawn_kind(t.asked, t.answer, t.before))) for t in looked_up
        ]
        called = [(t, s) for t in turns for s in t.steps if s.calls or s.problems]
        rows["calls that are valid"] = [(t, float(self.valid(t, s))) for t, s in called]
        rows["calls that were needed"] = [(t, float(self.same(t, s))) for t, s in called]
        needed = [t for t in turns if t.steps and read_tool_calls(t.steps[0].wanted)[0]]
        rows["needed first calls that were made"] = [(t, float(self.same(t, t.steps[0]))) for t in needed]
        unneeded = [t for t in turns if t.steps and not read_tool_calls(t.steps[0].wanted)[0]]
        rows["answered at once where all was there"] = [(t, float(not t.steps[0].calls)) for t in unneeded]
        rows["calls a question"] = [(t, float(sum(len(s.calls) for s in t.steps))) for t in turns]
        rows["ended in an answer"] = [(t, float(not read_tool_calls(t.answer)[0])) for t in turns]
        rows["sentences that hold"] = [(t, float(self._holds(t, s))) for t in turns for s in read_answer(t.answer)[1]]
        return rows

    def valid(self, turn: Turn, step: Taken) -> bool:
        """Whether a call can be made: one call, of a tool that is there, with arguments that it takes."""
        if step.problems or len(step.calls) != 1:
            return False
        call, arguments = step.calls[0], step.calls[0].arguments
        if call.name not in TOOLS or (call.name == "compare" and not turn.visit.references):
            return False
        if call.name in ("zoom", "measure", "compare"):
            return set(arguments) == {"where"} and arguments["where"] in PLACES
        if call.name == "query_facts":
            types = arguments.get("defect_types", [])
            known = isinstance(types, list) and all(isinstance(t, str) and t in self._types for t in types)
            return set(arguments) <= {"query", "defect_types"} and isinstance(arguments.get("query"), str) and known
        return set(arguments) == ({"question"} if call.name == "ask_person" else set())

    def same(self, turn: Turn, step: Taken) -> bool:
        """Whether a reply calls what the rules call; which kind of defect to look up for `it` is a guess in both."""
        wanted = read_tool_calls(step.wanted)[0]
        if not wanted or len(step.calls) != 1 or step.calls[0].name != wanted[0].name:
            return False
        mine, other = step.calls[0].arguments, wanted[0].arguments
        if wanted[0].name != "query_facts":
            return mine == other
        if turn.asked.kind in NAMING or not other["defect_types"]:
            return bool(mine.get("defect_types") == other["defect_types"])
        return self.valid(turn, step) and bool(mine.get("defect_types"))

    # --- what a question begins with

    def _facts(self, case: Case, state: str, rng: np.random.Generator) -> list[Fact]:
        types = [d.defect_type for d in case.defects][:1]
        if state == "descriptions" or not types:
            listed = self._index.defects(case.category, DEFECTS)
            return [listed[i] for i in rng.permutation(len(listed))] + self._index.find(case.category, "", "object")[:1]
        facts = self._index.about(case.category, types)
        if state == "own":
            facts = [
                fact if fact.kind not in OWN else Fact.create(
                    OWN[fact.kind][int(rng.integers(2))], category=fact.category, kind=fact.kind, source="the user", defect_type=fact.defect_type
                )
                for fact in facts
            ]  # fmt: skip
        return facts

    def _asked(
        self, kind: Kind, visit: Visit, facts: Sequence[Fact], held_out: bool, rng: np.random.Generator
    ) -> Asked:
        if kind == "unseen":
            question, topic = unseen_topic(rng, HELD_OUT_PROPERTIES) if held_out else unseen_topic(rng)
            return Asked("unseen", question, topic=topic)
        place = PLACES[int(rng.integers(len(PLACES)))] if kind in PLACED else None
        shown = sorted({f.defect_type for f in facts if f.defect_type})
        about = shown[int(rng.integers(len(shown)))] if kind in NAMING and shown else None
        return ask(kind, rng, place, about, held_out=held_out)

    # --- tools

    def _act(self, turn: Turn, call: ToolCall) -> None:
        """Make a call, as the agent does."""
        rng = np.random.default_rng([self.seed, turn.visit.number, 3])
        id = f"E{len(turn.evidence) + 1}"
        if call.name in self.off:
            turn.failed[call.name] = "there is no such tool"
        elif call.name == "query_facts":
            self._query(turn, call.arguments)
        elif call.name == "similar_cases":
            look = similar(rng)
            turn.evidence.append(Evidence(id=id, tool=look.tool, summary=look.summary, values=look.values))
        elif call.name == "ask_person":
            topic = turn.asked.topic if turn.asked.topic in PERSONS else "use"
            look = told(str(topic), PERSONS[str(topic)][2][int(rng.integers(3))], rng)
            turn.evidence.append(Evidence(id=id, tool=look.tool, summary=look.summary, values=look.values))
        elif call.name in turn.visit.tools:
            self._look(turn, call, id)
        else:
            turn.failed[call.name[:40]] = "there is no such tool"

    def _look(self, turn: Turn, call: ToolCall, id: str) -> None:
        from langchain_core.tools import ToolException
        from pydantic import ValidationError

        request = {"type": "tool_call", "name": call.name, "args": call.arguments, "id": id}
        try:
            found: Evidence = turn.visit.tools[call.name].invoke(request).artifact
        except (ToolError, ToolException, ValidationError, ValueError) as error:
            turn.failed[call.name] = " ".join(str(error).split())[:100]
            return
        same = (item for item in turn.evidence if (item.tool, item.arguments) == (found.tool, found.arguments))
        if before := next(same, None):
            turn.failed[call.name] = CALLED_BEFORE.format(before.id)
        else:
            turn.evidence.append(found.model_copy(update={"id": id}))

    def _query(self, turn: Turn, arguments: dict[str, Any]) -> None:
        asked, category = arguments.get("defect_types") or [], turn.visit.case.category
        if (
            not isinstance(arguments.get("query"), str)
            or not isinstance(asked, list)
            or not all(isinstance(t, str) for t in asked)
        ):
            turn.failed["query_facts"] = "expected a query in words and a list of defect types"
            return
        types = [t for t in asked if self._index.find(category, t, "defect")]
        found = (
            self._index.about(category, types[:2])
            if types
            else self._facts(turn.visit.case, "descriptions", np.random.default_rng(0))
        )
        known = {fact.id for fact in turn.facts} | {(f.defect_type, f.kind) for f in turn.facts if turn.state == "own"}
        new = [fact for fact in found if fact.id not in known and (fact.defect_type, fact.kind) not in known][
            : 16 - len(turn.facts)
        ]
        turn.facts.extend(new)
        if not new:
            turn.failed["query_facts"] = CALLED_BEFORE.format("Q1")

    def _holds(self, turn: Turn, sentence: Any) -> bool:
        return not problems_of(sentence, turn.aliases, {item.id: item for item in turn.evidence}, self._types)


def _mean(rows: Sequence[tuple[Turn, float]]) -> Metric:
    return mean([Value(str(i), value, str(turn.visit.number)) for i, (turn, value) in enumerate(rows)])


def model_asked(model: Any, processor: Any) -> Ask:
    """A model of transformers, asked in batches."""
    from evals.asking import Asking, Prompt

    asking = Asking(model, processor)
    return lambda turns: [r.text for r in asking.replies([Prompt(t.text, *t.photos) for t in turns], REPLY)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures of a model as a table; with `--out`, every turn too."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    import agent.vlm  # noqa: F401  # the classes that the model is loaded with
    from agent.vlm.nano import shipped

    parser = argparse.ArgumentParser(prog="python -m evals.follow_ups", description=__doc__)
    parser.add_argument("--cases", type=int, default=100, help="drawn cases")
    parser.add_argument(
        "--model", default=str(shipped("sage-nano")), help="folder of the model; default: the shipped one"
    )
    parser.add_argument("--without", action="append", default=[], choices=TOOLS, help="a tool that is not there")
    parser.add_argument("--out", type=Path, help="file for figures and turns, JSON")
    chosen = parser.parse_args(arguments)
    model: Any = AutoModelForImageTextToText.from_pretrained(chosen.model, dtype=torch.float32)
    exam = FollowUps(off=chosen.without)
    turns = [turn for visit in visits(chosen.cases, shipped("sage-eye")) for turn in exam.turns(visit)]
    exam.sit(turns, model_asked(model.eval(), AutoProcessor.from_pretrained(chosen.model)))
    rows = exam.rows(turns)
    print("| figure | value (95 %) | n |\n| --- | --- | --- |")
    for name, metric in exam.metrics(turns).items():
        span = f" ({metric.ci95[0]:.3f} to {metric.ci95[1]:.3f})" if metric.ci95 else ""
        print(f"| {name} | {'-' if metric.value is None else f'{metric.value:.3f}'}{span} | {len(rows[name])} |")
    if chosen.out is not None:
        told_of = [
            {
                "case": t.visit.number, "kind": t.asked.kind, "question": t.asked.question, "held_out": t.held_out, "facts": t.state,
                "right": right(t.asked, t.answer, t.before), "steps": [{"reply": s.reply, "wanted": s.wanted} for s in t.steps],
            }
            for t in turns
        ]  # fmt: skip
        figures = {name: asdict(metric) for name, metric in exam.metrics(turns).items()}
        chosen.out.write_text(json.dumps({"figures": figures, "turns": told_of}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
