"""How sessions wear: the first word of an answer by sage-nano, and a session of very many turns.

python -m evals.bench_session [TURNS]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from agent.inspector import Inspector
from agent.session import Session, Token
from agent.vlm.tool_calls import read_tool_calls, tool_call_text
from training.draw.scene import Case, draw_case
from training.draw.splits import SPLITS

QUESTIONS = (
    "Where is the defect?",
    "How large is it?",
    "What kind of defect is it?",
    "What causes it?",
    "Why does it matter?",
    "What should be done?",
)
CASES = 5
AT_ONCE = 20
"""Turns whose median stands for one."""


class _Parrot(BaseChatModel):
    """Looks somewhere new for each question, and answers the same: what is left is the cost of the session itself."""

    looks: int = 0

    @property
    def _llm_type(self) -> str:
        return "parrot"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=tools)

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        text = str(messages[1].content[-1]["text"])  # type: ignore[index]
        reply = "It is in the upper left [E1]."
        if "tools" in kwargs and "Look" in text and f"number {self.looks}" in text:
            at = self.looks % 90
            reply = tool_call_text("zoom", {"where": [at, self.looks // 90, at + 40, self.looks // 90 + 40]})
            self.looks += 1
        calls, _, rest = read_tool_calls(reply)
        made = [{"name": call.name, "args": call.arguments, "id": "call"} for call in calls]
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=rest, tool_calls=made))])


def first_words(home: Path) -> list[float]:
    """Seconds from a question to the first word of its answer, warm, over drawn cases of families held out."""
    taken = []
    split = SPLITS["unseen_families"]
    for index in range(CASES):
        case: Case = draw_case((9, index), references=1, families=split.families, types=split.types)
        session = Session(case.test, reference=case.references[0], home=home)
        assert session.report.verdict
        for question in QUESTIONS:
            start, first = time.perf_counter(), None
            for event in session.stream(question):
                if isinstance(event, Token) and first is None:
                    first = time.perf_counter() - start
            if first is not None:
                taken.append(first)
    return taken


def long_session(home: Path, turns: int) -> tuple[list[float], list[int], int]:
    """Seconds of each turn, bytes of the newest checkpoint after each, and bytes of the store at the end."""
    inspector = Inspector.shared(None, home)
    parrot = Inspector(
        type(inspector.vlm)(_Parrot(), inspector.vlm.info, side=32, follows_instructions=False),
        inspector.encoder, inspector.facts, home, inspector.weights,
    )  # fmt: skip
    photo = np.random.default_rng(0).integers(90, 120, (128, 128, 3), np.uint8)
    session = Session(photo, inspector=parrot)
    assert session.report.verdict
    store: Any = session._thread.checkpoints.saver
    taken, sizes = [], []
    for number in range(turns):
        start = time.perf_counter()
        session.ask(f"Look at number {number}.")
        taken.append(time.perf_counter() - start)
        newest = "SELECT length(checkpoint) FROM checkpoints WHERE thread_id = ? ORDER BY checkpoint_id DESC LIMIT 1"
        sizes.append(store.conn.execute(newest, (session.id,)).fetchone()[0])
    return taken, sizes, sum(path.stat().st_size for path in (home / "sessions").glob("sessions.sqlite*"))


def main(turns: int) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        taken = first_words(Path(folder))
        print(f"first word: median {statistics.median(taken):.2f} s, worst {max(taken):.2f} s, of {len(taken)} answers")
        seconds, sizes, stored = long_session(Path(folder), turns)
        begin, end = statistics.median(seconds[:AT_ONCE]), statistics.median(seconds[-AT_ONCE:])
        print(
            f"{turns} turns: {begin * 1000:.0f} ms a turn at first, {end * 1000:.0f} ms at last ({end / begin:.2f} times)"
        )
        grown = max(np.diff(sizes), default=0)
        print(
            f"checkpoint: {sizes[0] / 1024:.1f} KB at first, {sizes[-1] / 1024:.1f} KB at last, at most {grown / 1024:.1f} KB more a turn"
        )
        print(f"store: {stored / 2**20:.0f} MB, {stored / turns / 1024:.0f} KB a turn")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
