"""What a person can do in a chat besides asking."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from rich.table import Table
from rich.text import Text

from agent.chat import showing
from agent.chat.correcting import Cancelled, Wish, ask_what_is_right
from agent.chat.pictures import photo_part
from agent.images import InputError

if TYPE_CHECKING:
    from PIL import Image

    from agent.chat.loop import Chat

Item = TypeVar("Item")


@dataclass(frozen=True)
class Command:
    """One command."""

    name: str
    takes: str
    """What may follow it."""
    does: str
    example: str
    run: Callable[[Chat, str], None]
    """Called with what followed the name."""
    needs: Literal["nothing", "verdict", "quiet"] = "verdict"
    """The inspection must be done; for `quiet` no answer may be half written, nor the agent wait for one."""


def run_command(chat: Chat, line: str) -> None:
    """Do what `line` says; it begins with a slash.

    Raises:
        InputError: it is no command, or what follows cannot be used.
    """
    name, _, rest = line.partition(" ")
    name = _OTHER_NAMES.get(name.lower(), name.lower())
    if name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(f"there is no command {name!r}; {hint}/help lists them; questions begin without a slash")
    command = COMMANDS[name]
    if command.needs != "nothing" and not chat.inspect():
        return
    if command.needs == "quiet":
        chat.leave_stopped()
        if (pause := chat.session.pause) is not None and pause.kind == "question":
            raise InputError(f"{name}: the agent waits for your answer first: {pause.text}")
    command.run(chat, rest.strip())


def choices(chat: Chat, line: str) -> Iterable[tuple[str, str]]:
    """What may stand at the end of `line`, each with a word on what it is."""
    name, space, _ = line.partition(" ")
    if not space:
        yield from ((command.name, command.does) for command in COMMANDS.values())
    elif not chat.inspected:
        return
    elif name in ("/show", "/open"):
        yield from _pictures(chat)
    elif name == "/facts":
        yield from ((fact.id, showing.short(fact.text, 40)) for fact in showing.facts_of(*chat.known()).values())
    elif name == "/evidence":
        yield from ((item.id, showing.short(item.summary, 40)) for item in showing.evidence_of(*chat.known()).values())
    elif name == "/fork":
        yield from ((str(turn.number), showing.short(turn.question, 40)) for turn in chat.known()[1])


def _help(chat: Chat, rest: str) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("Command", "What it does", "Example"):
        table.add_column(heading, overflow="fold")
    for command in COMMANDS.values():
        table.add_row(Text(f"{command.name} {command.takes}".strip(), "cyan"), command.does, Text(command.example))
    chat.to.console.print(table, markup=False)
    chat.to.lines(("Anything else is a question to the agent. Ctrl-C stops an answer, Ctrl-D leaves.", "dim"))


def _report(chat: Chat, rest: str) -> None:
    from agent.render.terminal import print_report

    print_report(chat.session.report, chat.to.console)


def _show(chat: Chat, rest: str) -> None:
    picture, name, words, boxes = _picture(chat, rest)
    chat.pictures.show(picture, name, words, boxes=boxes)


def _open(chat: Chat, rest: str) -> None:
    if rest in ("", "overlay"):  # with its legend, which a viewer shows large enough
        chat.pictures.open(chat.session.overlay(), "overlay")
        return
    picture, name, *_ = _picture(chat, rest)
    chat.pictures.open(picture, name)


def _facts(chat: Chat, rest: str) -> None:
    report, turns = chat.known()
    facts = showing.facts_of(report, turns)
    showing.print_facts(_chosen(facts, rest, "fact"), showing.cited_ids(report, turns), chat.to)


def _evidence(chat: Chat, rest: str) -> None:
    items = showing.evidence_of(*chat.known())
    showing.print_evidence(_chosen(items, rest, "piece of evidence"), chat.to, values=bool(rest))
    if not rest:
        chat.to.lines(("/evidence ID shows the numbers behind one, /show ID the place it is about.", "dim"), indent=2)


def _accept(chat: Chat, rest: str) -> None:
    pause = chat.session.pause
    if pause is None or pause.kind != "review":
        chat.to.lines(("No review is due: the verdict stands. If it is wrong, /correct it.", ""))
        return
    chat.session.accept(by=chat.by, why=rest)
    chat.to.lines((f"Accepted by {chat.by}: the verdict {chat.session.report.verdict} stands.", "green"))


def _correct(chat: Chat, rest: str) -> None:
    report, wish = chat.session.report, Wish(chat.by)
    before = report.verdict, report.findings
    while True:
        try:
            ask_what_is_right(
                wish,
                chat.reader,
                chat.to,
                verdict=report.verdict,
                size=(report.image.width, report.image.height),
                turns=chat.session.turns(),
                types=sorted({finding.defect_type for finding in report.findings} - {"unclassified"})[:3],
            )
        except Cancelled:
            chat.to.lines(("Nothing was corrected.", ""))
            return
        if not wish.says_something:
            chat.to.lines(("Every step was skipped, so nothing was corrected.", ""))
            return
        try:
            chat.session.correct(
                by=wish.by,
                why=wish.why or "",
                verdict=wish.verdict,
                box=wish.box,
                defect_type=wish.defect_type,
                answer=wish.answer,
                turn=wish.turn,
            )
        except InputError as error:
            chat.problem(error)
            chat.to.lines(("What you said is kept; change what is wrong.", ""))
            continue
        break
    chat.to.lines((f"Kept, as said by {wish.by}. /history lists corrections.", "green"))
    report = chat.session.report
    if (report.verdict, report.findings) != before:
        showing.print_verdict_in_short(report, chat.to)


def _history(chat: Chat, rest: str) -> None:
    turns, corrections = chat.session.turns(), chat.session.corrections
    if not turns and not corrections:
        chat.to.lines(("Nothing was asked yet.", ""))
    showing.print_turns(turns, corrections, chat.to)
    showing.print_corrections(corrections, chat.to)


def _fork(chat: Chat, rest: str) -> None:
    turns = chat.session.turns()
    if rest and (not rest.isdecimal() or int(rest) > len(turns)):
        raise InputError(f"/fork {rest!r}: expected the number of a question, 0 to {len(turns)}; /history lists them")
    old = chat.session.id
    chat.talk_about(chat.session.fork(int(rest) if rest else None))
    number = int(rest) if rest else len(turns)
    at = f"after question {number}" if number else "after the inspection"
    chat.to.lines(("This is session", ""), (chat.session.id, "cyan"), (f"now; it goes on {at}.", ""))
    chat.to.whole(("The one before stays as it was:", ""), (f"sage-iad chat --resume {old}", "cyan"))


def _export(chat: Chat, rest: str) -> None:
    if not rest:
        raise InputError("/export needs the name of a file, such as /export record.html")
    path = Path(rest.strip("\"'")).expanduser()
    path = path if path.suffix else path.with_suffix(".html")
    if path.exists():
        answer = chat.reader.read(f"{path} exists; write over it, yes or no", keep=False)
        if not answer.lower().startswith("y"):
            chat.to.lines(("Nothing was written.", ""))
            return
    try:
        chat.session.export(path)
    except OSError as error:
        raise InputError(f"/export {str(path)!r}: cannot be written ({error.strerror}); name another file") from error
    chat.to.whole(("Written to", ""), (str(path), "cyan"))


def _sessions(chat: Chat, rest: str) -> None:
    showing.print_sessions(chat.sessions(), chat.to, chat.session.id)
    chat.to.lines(("Go on with one: sage-iad chat --resume ID", "dim"))


def _finish(chat: Chat, rest: str) -> None:
    if not chat.session.unfinished:
        chat.to.lines(("Nothing was stopped or cut off; ask on.", ""))
        return
    chat.play(chat.session.finish())


def _quit(chat: Chat, rest: str) -> None:
    raise EOFError


def _chosen(known: dict[str, Item], id: str, what: str) -> list[Item]:
    if not id:
        return list(known.values())
    if id not in known:
        raise InputError(f"there is no {what} {id!r}; there are {', '.join(known) or 'none'}")
    return [known[id]]


Shown = tuple["Image.Image", str, str, list[tuple[int, int, int, int]]]
"""A picture, its name, words under it, and boxes to draw onto it."""


def _pictures(chat: Chat) -> Iterable[tuple[str, str]]:
    """What can be shown: its name, and what it is."""
    report, turns = chat.known()
    yield "overlay", "the photo with heat map and findings"
    yield "test", "the photo"
    yield from ((f"reference-{number}", "a good part") for number in range(1, len(report.references) + 1))
    yield from ((str(number), f"finding: {f.defect_type}") for number, f in enumerate(report.findings, start=1))
    for id, item in showing.evidence_of(report, turns).items():
        if _box_of(item) is not None:
            yield id, item.tool


def _picture(chat: Chat, id: str) -> Shown:
    session, (report, turns) = chat.session, chat.known()
    if id in ("", "overlay"):
        part, scale = photo_part(session.overlay(), report.image.width, report.image.height)
        boxes = [finding.box for finding in report.findings]
        scaled = [
            (round(x0 * scale), round(y0 * scale), round(x1 * scale), round(y1 * scale)) for x0, y0, x1, y1 in boxes
        ]
        return part, "overlay", f"{report.image.source}: heat map and findings", scaled
    if id.isdecimal() and 0 < int(id) <= len(report.findings):
        finding = report.findings[int(id) - 1]
        return _cut(chat, "test", finding.box), f"finding-{id}", f"Finding {id}: {finding.defect_type}", []
    item = showing.evidence_of(report, turns).get(id)
    if item is not None and (box := _box_of(item)) is not None:
        return _cut(chat, str(item.arguments.get("image_id", "test")), box), id, f"{id}: {item.summary}", []
    names = dict(_pictures(chat))
    if id not in names and id not in chat.crops:
        raise InputError(f"there is no picture {id!r}; there are {', '.join(names)}")
    return session.picture(id), id, names.get(id, id), []


def _box_of(item: showing.AnyEvidence) -> tuple[int, int, int, int] | None:
    """The place a piece of evidence is about, in pixels of its photo."""
    places = (item.values.get("box_px"), item.values.get("box"), item.arguments.get("where"))
    box = next((place for place in places if place is not None), None)
    if isinstance(box, list | tuple) and len(box) == 4 and all(isinstance(at, int) for at in box):
        x0, y0, x1, y1 = box
        return x0, y0, x1, y1
    return None


def _cut(chat: Chat, image_id: str, box: tuple[int, int, int, int]) -> Image.Image:
    """The place with a little of its surround."""
    photo = chat.session.picture(image_id)
    x0, y0, x1, y1 = box
    margin = max(8, (max(x1 - x0, y1 - y0)) // 8)
    frame = max(0, x0 - margin), max(0, y0 - margin), min(photo.width, x1 + margin), min(photo.height, y1 + margin)
    return photo.crop(frame)


_COMMANDS = (
    Command("/help", "", "This list", "/help", _help, needs="nothing"),
    Command("/report", "", "The full report", "/report", _report),
    Command("/show", "[ID]", "A picture: the overlay, the photo, a reference, the place of a finding or of evidence", "/show E2", _show),
    Command("/open", "[ID]", "The same in your picture viewer", "/open", _open),
    Command("/facts", "[ID]", "Facts that were looked up, with their sources", "/facts", _facts),
    Command("/evidence", "[ID]", "What the tools found; with an id, its numbers", "/evidence E1", _evidence),
    Command("/accept", "[WHY]", "End a review: the verdict stands", "/accept seen under the microscope", _accept, needs="quiet"),
    Command("/correct", "", "Say what is right: verdict, box, kind, answer; asked step by step", "/correct", _correct, needs="quiet"),
    Command("/history", "", "Questions, answers and corrections so far", "/history", _history),
    Command("/fork", "[NUMBER]", "A new session that goes on from after that question (0: the inspection)", "/fork 1", _fork),
    Command("/finish", "", "Go on with an answer that was stopped", "/finish", _finish, needs="nothing"),
    Command("/export", "FILE", "Everything as one HTML file", "/export record.html", _export),
    Command("/sessions", "", "All sessions, newest first", "/sessions", _sessions, needs="nothing"),
    Command("/quit", "", "Leave; the session is kept", "/quit", _quit, needs="nothing"),
)  # fmt: skip
COMMANDS = {command.name: command for command in _COMMANDS}
_OTHER_NAMES = {"/exit": "/quit", "/?": "/help", "/": "/help"}
