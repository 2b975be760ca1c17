"""Tool calls in the text of a reply, in the Hermes form that many open models write; replies are data and are only read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST = 8
"""Calls read from one reply; a model that repeats itself gets no more."""
CALL = "<tool_call>"
"""How a call begins."""
_CLOSE = "</tool_call>"
# A reply that was cut off, or a model that forgets the end, leaves the last call open.
_CALL = re.compile(r"<\s*tool_call\s*>(.*?)(?:<\s*/\s*tool_call\s*>|(?=<\s*tool_call\s*>)|\Z)", re.DOTALL)
_FENCE = re.compile(r"^```\w*\s*|\s*```$")
_STRAY = re.compile(r"<\s*/\s*tool_call\s*>")
_EXPECTED = f'expected {CALL}{{"name": "NAME", "arguments": {{...}}}}{_CLOSE}'


@dataclass(frozen=True)
class ToolCall:
    """A tool that a model wants called."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


def tool_call_text(name: str, arguments: Mapping[str, Any]) -> str:
    """A tool call as a model writes it."""
    return f"{CALL}\n{json.dumps({'name': name, 'arguments': dict(arguments)}, ensure_ascii=False)}\n{_CLOSE}"


def read_tool_calls(reply: str) -> tuple[list[ToolCall], list[str], str]:
    """Read the calls of a reply; whatever a model wrote, nothing is raised.

    Returns:
        The calls in their order; what is wrong with those that cannot be read, in words the model can act on; and the text
        around them.
    """
    calls: list[ToolCall] = []
    problems: list[str] = []
    found = _CALL.findall(reply)
    for body in found[:MOST]:
        read = _read(body)
        if isinstance(read, ToolCall):
            calls.append(read)
        else:
            problems.append(read)
    if len(found) > MOST:
        problems.append(f"{len(found)} tool calls in one reply: only the first {MOST} are read; make one call a reply")
    return calls, problems, _STRAY.sub(" ", _CALL.sub(" ", reply)).strip()


def outside_calls(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces of a reply up to its first call, as they come; what may be the beginning of one is held back."""
    held = ""
    for piece in pieces:
        text, mark, _ = (held + piece).partition(CALL)
        if mark:
            yield text.rstrip()
            return
        most = min(len(CALL) - 1, len(text))
        kept = next((n for n in range(most, 0, -1) if CALL.startswith(text[-n:])), 0)
        whole = text[: len(text) - kept].rstrip()
        held = text[len(whole) :]
        yield whole
    yield held


def tools_text(tools: Sequence[Mapping[str, Any]]) -> str:
    """Tools described to a model whose chat template knows none; each in the form of the OpenAI API."""
    lines = "\n".join(json.dumps(tool["function"], ensure_ascii=False) for tool in tools)
    return f"\nYou may call these tools:\n{lines}\nTo call one, reply with nothing but\n{tool_call_text('NAME', {})}"


def _read(body: str) -> ToolCall | str:
    """One call, or what is wrong with it."""
    text = _FENCE.sub("", body.strip())
    try:
        call = json.loads(text, strict=False)
    except (ValueError, RecursionError) as error:
        return f"tool call {_short(text)}: not valid JSON ({_why(error)}); {_EXPECTED}"
    if not isinstance(call, dict):
        return f"tool call {_short(text)}: is a JSON {_kind(call)}; {_EXPECTED}"
    name, arguments = call.get("name"), call.get("arguments", {})
    if not isinstance(name, str) or not name.strip():
        return f"tool call {_short(text)}: has no name; {_EXPECTED}"
    if isinstance(arguments, str):  # some models write the arguments as text once more
        try:
            arguments = json.loads(arguments, strict=False) if arguments.strip() else {}
        except (ValueError, RecursionError) as error:
            return f"arguments of tool {name.strip()!r}: not valid JSON ({_why(error)}); expected an object"
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        return f"arguments of tool {name.strip()!r}: are a JSON {_kind(arguments)}; expected an object"
    return ToolCall(name.strip(), arguments)


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos + 1}"
    return "nested too deep" if isinstance(error, RecursionError) else "a number too long to read"


def _kind(value: object) -> str:
    kinds = {list: "array", str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return kinds.get(type(value), "object")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 60 else f"{line[:59]}…")
