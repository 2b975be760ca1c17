"""How commands end when something is wrong that a person can mend: one line on stderr, exit code 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer


def stop(message: object) -> NoReturn:
    """One line on stderr, exit code 2: bad input or usage."""
    typer.echo(f"sage-iad: {' '.join(str(message).split())}", err=True)
    raise typer.Exit(2)


def user_errors() -> tuple[type[Exception], ...]:
    """What a person can mend: these end a command with one line instead of a traceback."""
    from agent.images import InputError
    from knowledge import FactError, StoreError
    from tools.detector import DetectorError

    return InputError, FactError, StoreError, DetectorError


@contextmanager
def one_line_errors(*more: type[Exception], extra: str | None = None) -> Iterator[None]:
    """Turn what a person can mend into one line and exit code 2; `extra` is what a missing package comes with."""
    try:
        yield
    except ModuleNotFoundError as error:
        if extra is None:
            raise
        stop(f"{error.name} is not installed; this command needs the `{extra}` extra: pip install 'sage-iad[{extra}]'")
    except (*user_errors(), *more) as error:
        stop(error)


def make_folder(out: Path | None) -> None:
    """Find out before the work, not after it, that the results have nowhere to go."""
    from agent.images import InputError

    if out is None:
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"--out {str(out)!r}: cannot be written ({error.strerror}); give a folder that can") from error
