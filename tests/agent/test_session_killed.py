"""A session whose process is killed in mid-answer: what was finished is neither lost nor done twice."""

from __future__ import annotations

import os
import re
import signal
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool, tool
from sessions import ALONE, GOOD, PLAN, begun, use

from agent.model import Vlm
from agent.report import ModelInfo
from agent.session import Reply, Session
from agent.vlm.tool_calls import read_tool_calls, tool_call_text

LOOKS = 5
PAUSE_S = 0.02
QUESTION = "Look five times."


class Steady(BaseChatModel):
    """Says what follows from the prompt alone, so that it says the same in any process."""

    @property
    def _llm_type(self) -> str:
        return "steady"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        text = str(messages[1].content[-1]["text"])  # type: ignore[index]
        time.sleep(PAUSE_S)
        if text.startswith("Question") and kwargs.get("max_tokens") == 1:
            reply = ALONE[0]
        elif "Plan:" in text:
            reply = PLAN[0]
        elif QUESTION in text:
            done = len(re.findall(r"slow look \d", text))
            reply = tool_call_text("slow_look", {"number": done}) if done < LOOKS else "It was looked at [E1]."
        else:
            reply = GOOD
        calls, _, rest = read_tool_calls(reply)
        made = [{"name": call.name, "args": call.arguments, "id": "call"} for call in calls]
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=rest, tool_calls=made))])


def slow_look_into(log: Path) -> BaseTool:
    @tool
    def slow_look(number: int) -> str:
        """Look, and write it down."""
        with log.open("a") as file:
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())
        time.sleep(PAUSE_S)
        return f"slow look {number} found nothing"

    return slow_look


def steady() -> Vlm:
    return Vlm(Steady(), ModelInfo(name="steady", revision="0", stage="external"), side=32, follows_instructions=False)


def ask(home: Path, log: Path, id: str) -> None:
    Session.resume(id, home=home, tools=[slow_look_into(log)]).ask(QUESTION)
    os._exit(0)


@pytest.mark.parametrize("tries", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_in_mid_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tries: int) -> None:
    use(monkeypatch, steady(), tmp_path)
    cut = number = 0
    while cut < tries:
        number += 1
        assert number < 4 * tries, "the answer ends before the kill, again and again"
        log = tmp_path / f"log-{number}"
        log.touch()
        session = begun(tmp_path)
        assert session.inspected is False
        assert session.report.evidence
        session._thread.checkpoints.saver.conn.close()  # type: ignore[attr-defined]
        process = get_context("fork").Process(target=ask, args=(tmp_path, log, session.id))
        process.start()
        goal = number % (LOOKS - 1)  # killed when so many looks were begun, at another moment of the step each time
        while len(log.read_text().split()) <= goal and process.is_alive():
            time.sleep(0.001)
        time.sleep((number * 0.0071) % (2 * PAUSE_S))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()

        again = Session.resume(session.id, home=tmp_path, tools=[slow_look_into(log)])
        if not again.unfinished:  # On a busy machine the kill may come too late.
            continue
        kept = [look.arguments["number"] for look in again.values["fresh"]]
        begun_before = len(log.read_text().split())
        assert kept == list(range(len(kept)))
        assert begun_before - len(kept) <= 1, "of the looks that were begun, at most the last was not kept"
        cut += 1
        [*_, reply] = again.finish()
        assert isinstance(reply, Reply)
        assert [look.arguments["number"] for look in reply.turn.looks] == list(range(LOOKS)), "nothing is lost"
        made = [int(line) for line in log.read_text().split()]
        assert all(made.count(look) == 1 for look in kept), "nothing that was finished is done twice"
        assert len(made) <= LOOKS + 1
        assert [turn.question for turn in again.turns()] == [QUESTION]
        assert not again.unfinished
        again._thread.checkpoints.saver.conn.close()  # type: ignore[attr-defined]
