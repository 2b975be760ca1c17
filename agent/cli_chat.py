"""`sage-iad chat`: a conversation over one inspected part, in the terminal."""

from __future__ import annotations

import getpass
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli_errors import one_line_errors, stop

if TYPE_CHECKING:
    from rich.console import Console

    from agent.conversation import ReviewRule
    from agent.render.lines import Lines


def chat(
    image: Annotated[Path | None, typer.Argument(metavar="IMAGE", help="Photo of a part.")] = None,
    reference: Annotated[
        list[Path] | None, typer.Option(help="A normal photo of the same product; may be given several times.")
    ] = None,
    category: Annotated[
        str | None, typer.Option(help="Name of a fitted detector, or of a product family such as `weld` or `pcb`.")
    ] = None,
    resume: Annotated[str | None, typer.Option(metavar="SESSION", help="Go on with a session from before.")] = None,
    list_sessions: Annotated[bool, typer.Option("--list", help="List the sessions there are, and end.")] = False,
    model: Annotated[
        str | None,
        typer.Option(
            help="Folder or id of a transformers model, or http://HOST/v1[#NAME]; default: the embedded sage-nano."
        ),
    ] = None,
    mm_per_px: Annotated[
        float | None, typer.Option(help="Scale of the photo: measurements come in millimetres.")
    ] = None,
    review: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="When a person must confirm the verdict: `uncertain`, `critical` (a critical finding) or `at odds` "
            "(detector and model on different sides); may be given several times.",
        ),
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who accepts and corrects; default: your user name.")
    ] = None,
    no_pictures: Annotated[
        bool, typer.Option("--no-pictures", help="Write pictures to files instead of showing them in the terminal.")
    ] = False,
) -> None:
    """Inspect a photo and talk about it: ask, look closer, correct; every session is kept and can go on later.

    Example: sage-iad chat part.png --reference good.png
    """
    if resume is not None:
        _refuse_with_resume(image, reference, category, mm_per_px, review)
    elif image is None and not list_sessions:
        stop("IMAGE is missing; name a photo to inspect, or --resume SESSION (--list shows those there are)")
    rules = _rules(review)
    with one_line_errors():
        from rich.console import Console

        console = Console(width=min(100, Console().width), highlight=False)
        with _working(console):  # the models and their libraries take seconds to load
            from agent.chat.loop import Chat
            from agent.chat.pictures import Pictures
            from agent.chat.reader import open_reader
            from agent.home import default_home
            from agent.render.lines import Lines
            from agent.session import Session, sessions

            lines, home = Lines(console), default_home() / "sessions"
            if list_sessions:
                _list(lines)
                return
            if resume is not None:
                session = Session.resume(resume, model=model)
            else:
                assert image is not None
                session = Session(
                    image,
                    reference=list(reference or []),
                    category=category,
                    mm_per_px=mm_per_px,
                    model=model,
                    review=rules,
                )
            talk = Chat(
                session,
                lines,
                Pictures(lines, home, wanted=not no_pictures),
                by or _user(),
                sessions,
                lambda choices: open_reader(console, home / "history", choices),
            )
        (talk.begin if resume is None else talk.go_on)()
    talk.run()
    if talk.problems and not talk.reader.by_person:
        raise typer.Exit(2)


def _list(to: Lines) -> None:
    from agent.chat.showing import print_sessions
    from agent.session import sessions

    known = sessions()
    print_sessions(known, to)
    hint = "Go on with one: sage-iad chat --resume ID" if known else "No sessions yet; begin one: sage-iad chat IMAGE"
    to.lines((hint, "dim"))


def _refuse_with_resume(
    image: Path | None,
    reference: list[Path] | None,
    category: str | None,
    mm_per_px: float | None,
    review: list[str] | None,
) -> None:
    """What a session was begun with stays with it."""
    given: dict[str, object] = {"IMAGE": image, "--reference": reference, "--category": category}
    given |= {"--mm-per-px": mm_per_px, "--review": review}
    if names := [name for name, value in given.items() if value]:
        stop(
            f"{', '.join(names)} with --resume: a session keeps what it was begun with; leave it out, or begin a new session"
        )


def _rules(given: list[str] | None) -> tuple[ReviewRule, ...]:
    if not given:
        return ()
    from agent.conversation import REVIEW_RULES

    rules = []
    for words in given:
        name = words.strip().lower().replace("-", " ")
        known = [rule for rule in REVIEW_RULES if rule == name]
        if not known:
            stop(f"--review {words!r}: expected one of {', '.join(map(repr, REVIEW_RULES))}")
        rules += known
    return tuple(rules)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # no such user, as in some containers
        return "somebody"


def _working(console: Console) -> AbstractContextManager[object]:
    return console.status("getting ready", spinner="line") if console.is_terminal else nullcontext()
