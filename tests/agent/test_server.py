"""An OpenAI-compatible server, scripted on loopback."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from langchain_core.tools import tool
from parts import plate

from agent.images import InputError
from agent.model import REFUSED, load_vlm
from agent.vlm.chat import probability_true
from agent.vlm.prompt import Views


class Scripted(BaseHTTPRequestHandler):
    """Answers every completion alike and keeps what it was asked."""

    asked: list[dict[str, Any]]
    refuses = False
    """Whether completions are turned down."""
    refuses_tools = False
    """Whether those that offer tools are."""
    page = False
    """Whether everything is answered with a web page."""

    def _send(self, body: dict[str, Any]) -> None:
        data = b"<html>Welcome</html>" if self.page else json.dumps(body).encode()
        refused = self.refuses or (self.refuses_tools and "tools" in (self.asked or [{}])[-1])
        self.send_response(400 if "choices" in body and refused else 200)
        self.send_header("Content-Type", "text/html" if self.page else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self._send({"object": "list", "data": [{"id": "vision-1", "object": "model", "created": 0, "owned_by": "x"}]})

    def do_POST(self) -> None:
        self.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        top = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in (("True", 0.8), ("False", 0.2))]
        self._send({
            "id": "1", "object": "chat.completion", "created": 0, "model": "vision-1",
            "choices": [{
                "index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "True. Hot [E1]."},
                "logprobs": {"content": [{**top[0], "top_logprobs": top}]},
            }],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        })  # fmt: skip

    def log_message(self, format: str, *arguments: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    Scripted.asked = []
    http = HTTPServer(("127.0.0.1", 0), Scripted)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}/v1", Scripted.asked
    http.shutdown()
    http.server_close()
    thread.join()


def test_a_server_is_asked_with_pictures_and_read_by_log_probabilities(
    server: tuple[str, list[dict[str, Any]]],
) -> None:
    address, asked = server
    vlm = load_vlm(address)
    assert vlm.info.name == "vision-1"
    reply = vlm.chat.invoke(vlm.messages([plate(True), plate(False)], Views(1), "Is it good?"))
    assert reply.content == "True. Hot [E1]."
    assert probability_true(reply) == pytest.approx(0.8)
    parts = asked[0]["messages"][1]["content"]
    assert [p["type"] for p in parts].count("image_url") == 2
    assert asked[0]["logprobs"] is True


def test_a_dead_server_is_one_line() -> None:
    with pytest.raises(InputError, match="no list of models from the server"):
        load_vlm("http://127.0.0.1:9/v1")


def test_a_page_in_place_of_a_server_is_one_line(
    server: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scripted, "page", True)
    with pytest.raises(InputError, match=r"no list of models from the server.*ends in /v1"):
        load_vlm(server[0])


def test_a_question_that_a_server_turns_down_is_one_line(
    server: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scripted, "refuses", True)
    vlm = load_vlm(f"{server[0]}#vision-2")
    with pytest.raises(InputError, match=r"^model='vision-2': gave no answer \(Error code: 400") as caught:
        vlm.ask([plate(True)], Views(), "Is it good?")
    assert "\n" not in str(caught.value)


@tool
def look(where: str) -> str:
    """Look at a place."""
    return where


def test_tools_are_offered_to_a_server(server: tuple[str, list[dict[str, Any]]]) -> None:
    address, asked = server
    reply = load_vlm(address).ask([plate(True)], Views(), "Is it good?", tools=[look])
    assert [offered["function"]["name"] for offered in asked[-1]["tools"]] == ["look"]
    assert REFUSED not in reply.response_metadata


def test_a_server_that_takes_no_tools_is_asked_without_and_that_is_told(
    server: tuple[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, asked = server
    monkeypatch.setattr(Scripted, "refuses_tools", True)
    reply = load_vlm(address).ask([plate(True)], Views(), "Is it good?", tools=[look])
    assert reply.content == "True. Hot [E1]."
    assert ["tools" in request for request in asked] == [True, False]
    assert "Error code: 400" in reply.response_metadata[REFUSED]
