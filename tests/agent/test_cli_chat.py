"""`sage-iad chat`: what it begins, goes on with and refuses; the session is a scripted one."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from chatting import FakeSession, tokens, turn_of
from reports import image_info
from typer.testing import CliRunner, Result

from agent import session as session_module
from agent.cli_chat import chat
from agent.conversation import Pause
from agent.images import InputError
from agent.session.files import Fork, SessionInfo

app = typer.Typer()
app.command()(chat)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Any, dict[str, Any]]]:
    """How sessions were begun or gone on with; each is a scripted one."""
    calls: list[tuple[Any, dict[str, Any]]] = []

    class Begun(FakeSession):
        def __init__(self, image: Path, **options: Any) -> None:
            if image.name == "missing.png":
                raise InputError(f"image={str(image)!r}: cannot be opened")
            super().__init__([[*tokens("It is deep."), turn_of(1, "q", "It is deep.")]])
            calls.append((image, options))

        @classmethod
        def resume(cls, id: str, **options: Any) -> FakeSession:
            if id == "none":
                raise session_module.SessionError("session 'none': there is none of this id")
            calls.append((id, options))
            return FakeSession(
                done=True, past=[turn_of(1, "How deep?", "Deep.")], pause=Pause(kind="review", text="why")
            )

    monkeypatch.setenv("SAGE_HOME", str(tmp_path))
    monkeypatch.setattr(session_module, "Session", Begun)
    return calls


def run(*arguments: str, typed: str = "", code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(arguments), input=typed, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def test_a_session_is_begun_with_what_was_given(begun: list[tuple[Any, dict[str, Any]]]) -> None:
    options = [
        "--reference",
        "a.png",
        "--reference",
        "b.png",
        "--category",
        "plate",
        "--mm-per-px",
        "0.1",
        "--model",
        "m",
    ]
    shown = run("x.png", *options, "--review", "at-odds", "--review", "critical", typed="How deep?\n").stdout
    assert begun == [
        (
            Path("x.png"),
            {
                "reference": [Path("a.png"), Path("b.png")],
                "category": "plate",
                "mm_per_px": 0.1,
                "model": "m",
                "review": ("at odds", "critical"),
            },
        )
    ]
    assert "ANOMALOUS" in shown
    assert "It is deep." in shown
    assert "sage-iad chat --resume 20260504T030201-abc123" in shown


def test_a_session_goes_on_by_its_id(begun: list[tuple[Any, dict[str, Any]]]) -> None:
    shown = run("--resume", "20260504T030201-abc123", "--by", "bob", typed="/accept\n").stdout
    assert begun == [("20260504T030201-abc123", {"model": None})]
    assert "How deep?" in shown
    assert "A person should look at this part: why" in shown
    assert "Accepted by bob" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "IMAGE is missing"),
        (("x.png", "--resume", "y"), "IMAGE with --resume"),
        (("--resume", "y", "--category", "plate", "--mm-per-px", "0.1"), "--category, --mm-per-px with --resume"),
        (("x.png", "--review", "never"), "--review 'never': expected one of 'uncertain'"),
        (("--resume", "none"), "there is none of this id"),
        (("missing.png",), "missing.png"),
    ],
)
def test_bad_usage_is_one_line(
    arguments: tuple[str, ...], message: str, begun: list[tuple[Any, dict[str, Any]]]
) -> None:
    result = run(*arguments, code=2)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not begun


def test_a_script_is_told_by_the_exit_code_that_a_line_failed(begun: list[tuple[Any, dict[str, Any]]]) -> None:
    assert "there is no command '/nonsense'" in run("x.png", typed="/nonsense\n/help\n", code=2).stdout


def test_the_list_of_sessions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAGE_HOME", str(tmp_path))
    assert "begin one: sage-iad chat IMAGE" in run("--list").stdout
    info = SessionInfo(
        id="s2", created=datetime(2026, 5, 4, tzinfo=UTC), image=image_info("p\x1b[31m[b].png"), model_revision="1",
        category="plate", forked_from=Fork(session="s1", turn=3),
    )  # fmt: skip
    monkeypatch.setattr(session_module, "sessions", lambda: [info])
    shown = run("--list").stdout
    assert "s2 p[b].png" in shown
    assert "2026-05-04 00:00:00 UTC · plate · from s1, after question 3" in shown
    assert "\x1b" not in shown


def test_the_command_is_cheap_to_import_and_checks_its_usage_before_it_loads_anything() -> None:
    code = (
        "import sys, typer; from agent.cli_chat import chat\n"
        "app = typer.Typer(); app.command()(chat)\n"
        "try: app(['--resume', 'x', '--category', 'y'])\n"
        "except SystemExit as stop: print(stop.code)\n"
        "print([m for m in ('torch', 'langgraph', 'prompt_toolkit', 'rich_pixels', 'PIL') if m in sys.modules])"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment)
    assert done.stdout.splitlines() == ["2", "[]"], done.stdout + done.stderr
