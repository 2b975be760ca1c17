"""Tool calls in replies: what is written reads back, and whatever a model writes is a call or a problem in words."""

from __future__ import annotations

import pytest

from agent.vlm.prompt import inert
from agent.vlm.tool_calls import MOST, ToolCall, read_tool_calls, tool_call_text


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("zoom", {"where": "upper left"}),
        ("heatmap", {}),
        ("query_facts", {"query": "cause of crack", "defect_types": ["crack", "missing_part"]}),
        ("ask_person", {"question": 'Is "A" the front?\n</b> Größe {1}'}),
    ],
)
def test_what_is_written_reads_back(name: str, arguments: dict[str, object]) -> None:
    assert read_tool_calls(tool_call_text(name, arguments)) == ([ToolCall(name, arguments)], [], "")


def test_what_is_put_before_a_model_holds_no_call() -> None:
    assert read_tool_calls(inert(f"Scratched. {tool_call_text('zoom', {})}"))[0] == []


def test_the_form_is_the_widely_used_one() -> None:
    assert tool_call_text("zoom", {"where": "upper left"}) == (
        '<tool_call>\n{"name": "zoom", "arguments": {"where": "upper left"}}\n</tool_call>'
    )


@pytest.mark.parametrize(
    "reply",
    [
        '<tool_call>{"name":"zoom","arguments":{"where":"centre"}}</tool_call>',
        '  <tool_call>\n\n{"name": "zoom",\n "arguments": {"where": "centre"}}  </tool_call>\n',
        '<tool_call>\n{"name": "zoom", "arguments": {"where": "centre"}}',
        '< tool_call >{"name": " zoom ", "arguments": {"where": "centre"}}</ tool_call >',
        '<tool_call>```json\n{"name": "zoom", "arguments": {"where": "centre"}}\n```</tool_call>',
        '<tool_call>{"name": "zoom", "arguments": "{\\"where\\": \\"centre\\"}"}</tool_call>',
    ],
)
def test_other_ways_of_writing_are_understood(reply: str) -> None:
    assert read_tool_calls(reply) == ([ToolCall("zoom", {"where": "centre"})], [], "")


@pytest.mark.parametrize("arguments", ["", ', "arguments": null', ', "arguments": ""', ', "arguments": {}'])
def test_a_tool_may_need_no_arguments(arguments: str) -> None:
    calls, problems, _ = read_tool_calls(f'<tool_call>{{"name": "heatmap"{arguments}}}</tool_call>')
    assert (calls, problems) == ([ToolCall("heatmap")], [])


def test_several_calls_and_the_text_around_them() -> None:
    one, two = tool_call_text("zoom", {"where": "centre"}), tool_call_text("heatmap", {})
    calls, problems, rest = read_tool_calls(f"I look closer.\n{one}\nand{two} Then I answer.")
    assert [call.name for call in calls] == ["zoom", "heatmap"]
    assert not problems
    assert rest.split() == ["I", "look", "closer.", "and", "Then", "I", "answer."]


def test_an_open_call_ends_where_the_next_begins() -> None:
    calls, problems, _ = read_tool_calls('<tool_call>{"name": "a"}\n<tool_call>{"name": "b"}</tool_call>')
    assert [call.name for call in calls] == ["a", "b"]
    assert not problems


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "not valid JSON"),
        ("zoom(centre)", "not valid JSON"),
        ("{'name': 'zoom'}", "not valid JSON"),
        ('{"name": "zoom", "arguments": {"where": "cen', "not valid JSON"),
        ('["zoom"]', "is a JSON array"),
        ('"zoom"', "is a JSON string"),
        ("null", "is a JSON null"),
        ("3", "is a JSON number"),
        ('{"arguments": {}}', "has no name"),
        ('{"name": 3}', "has no name"),
        ('{"name": " "}', "has no name"),
        ('{"name": "zoom", "arguments": ["centre"]}', "arguments of tool 'zoom': are a JSON array"),
        ('{"name": "zoom", "arguments": "where"}', "arguments of tool 'zoom': not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"name": "zoom", "arguments": {"x": ' + "9" * 5000 + "}}", "not valid JSON"),
    ],
)
def test_what_cannot_be_read_is_a_problem_in_words(body: str, says: str) -> None:
    calls, problems, rest = read_tool_calls(f"<tool_call>{body}</tool_call>")
    assert not calls
    assert len(problems) == 1
    assert says in problems[0]
    assert "expected" in problems[0]
    assert len(problems[0]) < 250
    assert not rest


def test_a_bad_call_does_not_spoil_a_good_one() -> None:
    calls, problems, _ = read_tool_calls("<tool_call>zoom</tool_call>" + tool_call_text("heatmap", {}))
    assert calls == [ToolCall("heatmap")]
    assert len(problems) == 1


def test_a_model_that_repeats_itself_is_cut_short() -> None:
    calls, problems, _ = read_tool_calls(tool_call_text("heatmap", {}) * (MOST + 3))
    assert len(calls) == MOST
    assert "one call a reply" in problems[0]


@pytest.mark.parametrize("reply", ["", "True. It is in the centre [E1].", "</tool_call> so <tool>", "tool_call"])
def test_a_reply_without_calls_is_all_text(reply: str) -> None:
    calls, problems, rest = read_tool_calls(reply)
    assert not calls
    assert not problems
    assert rest == reply.replace("</tool_call>", "").strip()
