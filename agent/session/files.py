"""The folder of a session: what it is about, and its pictures, so that it does not hang on files that move."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from agent.conversation import ReviewRule, Turn
from agent.home import default_home
from agent.images import InputError, LoadedImage, load_image
from agent.report import ImageInfo
from knowledge import StoreError
from knowledge.folder import replace_file
from tools.images import ImageStore
from tools.toolbox import TEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = 1
"""Of what a session keeps; one of another version is not read."""
_CARD, _SHARED = "session.json", "turns.json"
_TURNS = TypeAdapter(list[Turn])


class SessionError(InputError):
    """A session that cannot be begun, read or gone on with; one line."""


class Fork(BaseModel):
    """Where a session came from."""

    model_config = ConfigDict(extra="forbid")

    session: str
    turn: int
    """The last one it shares with that session; 0: the inspection alone."""


class SessionInfo(BaseModel):
    """What a session is about."""

    model_config = ConfigDict(extra="forbid")

    version: int = VERSION
    id: str
    created: datetime
    image: ImageInfo
    references: list[ImageInfo] = Field(default_factory=list)
    category: str | None = None
    mm_per_px: float | None = None
    model: str | None = None
    """As it was asked for; None: the embedded one."""
    model_revision: str
    review: list[ReviewRule] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    """How the photo was read."""
    forked_from: Fork | None = None


class SessionFolder:
    """One session's folder, below `root`."""

    def __init__(self, root: Path, id: str) -> None:
        self.path = root / id

    def create(self, info: SessionInfo, photos: dict[str, Image.Image]) -> None:
        """Write the card, after the photos: a folder counts once it has one. Raises `SessionError`."""
        try:
            self.path.mkdir(parents=True)
            for id, photo in photos.items():
                photo.save(self.path / f"{id}.png", compress_level=1)
        except OSError as error:
            raise SessionError(
                f"{self.path}: the session cannot be kept ({error.strerror or error}); make room, or set SAGE_HOME to a "
                "folder that can be written"
            ) from error
        self.write(info)

    def remove(self) -> None:
        """Take it away again."""
        shutil.rmtree(self.path, ignore_errors=True)

    def write(self, info: SessionInfo) -> None:
        """Put this card in place of the last. Raises `SessionError`."""
        self._put(_CARD, info.model_dump_json(indent=1))

    def read(self) -> SessionInfo:
        """The card. Raises `SessionError`: there is no such session, or it is of another version, or damaged."""
        try:
            card = json.loads((self.path / _CARD).read_text(encoding="utf-8"))
            if isinstance(card, dict) and card.get("version") != VERSION:
                raise SessionError(
                    f"session {self.path.name!r}: is of version {card.get('version')!r}, expected {VERSION}; open it with the "
                    "version of sage-iad that made it, or begin a new one with the photo in its folder"
                )
            return SessionInfo.model_validate(card)
        except FileNotFoundError:
            raise SessionError(
                f"session {self.path.name!r}: there is none of this id; `sage-iad chat --list` shows those there are"
            ) from None
        except (OSError, ValidationError, ValueError) as error:
            if isinstance(error, SessionError):
                raise
            line = " ".join(str(error).split())[:160]
            raise SessionError(f"session {self.path.name!r}: its {_CARD} cannot be read ({line})") from error

    def share(self, turns: Sequence[Turn]) -> None:
        """Keep the turns that a fork has in common with the session it comes from. Raises `SessionError`."""
        self._put(_SHARED, _TURNS.dump_json(list(turns)).decode())

    def _put(self, name: str, text: str) -> None:
        try:
            replace_file(self.path / name, f"{text}\n")
        except StoreError as error:
            raise SessionError(f"{error}; make room, or set SAGE_HOME to a folder that can be written") from error

    def shared(self) -> list[Turn]:
        """Those turns; none where it is no fork. Raises `SessionError`: they are damaged."""
        path = self.path / _SHARED
        try:
            return _TURNS.validate_json(path.read_bytes()) if path.is_file() else []
        except (OSError, ValidationError) as error:
            raise SessionError(f"session {self.path.name!r}: its {_SHARED} cannot be read") from error

    def photos(self, info: SessionInfo) -> tuple[LoadedImage, list[LoadedImage], list[str]]:
        """The photo and its references as they were when the session began, and what has become of their files since.

        Raises:
            SessionError: the session's own copy of one is gone or another.
        """
        photo, notes = self._photo(TEST, info.image)
        references = []
        for i, reference in enumerate(info.references, 1):
            loaded, more = self._photo(f"reference-{i}", reference)
            references.append(loaded)
            notes += more
        return replace(photo, warnings=tuple(info.notes)), references, notes

    def _photo(self, id: str, info: ImageInfo) -> tuple[LoadedImage, list[str]]:
        kept = self.path / f"{id}.png"
        if not kept.is_file():
            raise SessionError(
                f"session {self.path.name!r}: its photo {kept.name} is gone; put it back, or begin a new session"
            )
        loaded = load_image(kept, argument=f"photo of session {self.path.name}")
        if loaded.sha256 != info.sha256:
            raise SessionError(
                f"session {self.path.name!r}: its photo {kept.name} is not the one it began with; put that back, or begin a new session"
            )
        notes = []
        source = Path(info.source)
        if not info.source.startswith("<"):
            if not source.is_file():
                notes.append(f"{info.source} is no longer there; the session goes on with its own copy")
            elif _changed(source, info.sha256):
                notes.append(f"{info.source} has changed since; the session goes on with the photo as it was")
        return LoadedImage(loaded.id, info.source, info.sha256, loaded.pixels, ()), notes


def _changed(source: Path, sha256: str) -> bool:
    try:
        return load_image(source).sha256 != sha256
    except InputError:
        return True


def sessions_root(home: Path | None) -> Path:
    """Where sessions are, of this folder of the agent's state or the default one."""
    return (default_home() if home is None else home) / "sessions"


def sessions(home: Path | None = None) -> list[SessionInfo]:
    """Every readable session, newest first."""
    found = []
    root = sessions_root(home)
    for card in root.glob(f"*/{_CARD}"):
        try:
            found.append(SessionFolder(root, card.parent.name).read())
        except SessionError:
            continue  # `resume` says what is wrong with it
    return sorted(found, key=lambda info: info.created, reverse=True)


class KeptImages(ImageStore):
    """Photos and heat maps of a session, written to its folder as they are made and read from it when they are asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def add(self, id: str, photo: Image.Image) -> str:
        """Keep an RGB photo under `id`. Raises `SessionError` where it cannot be written."""
        path = self._path(id, "png")
        if not path.exists():
            self._written(path, lambda part: photo.save(part, "PNG", compress_level=1))
        return super().add(id, photo)

    def add_map(self, id: str, anomaly_map: NDArray[np.float32]) -> str:
        """Keep a heat map (H, W) float32 in 0..1 under `id`. Raises `SessionError` where it cannot be written."""
        path = self._path(id, "npy")

        def write(part: Path) -> None:
            with part.open("wb") as file:
                np.save(file, anomaly_map, allow_pickle=False)

        self._written(path, write)
        return super().add_map(id, anomaly_map)

    @property
    def photos(self) -> list[str]:
        """Ids of the photos there are."""
        return sorted({*super().photos, *(path.stem for path in self.folder.glob("*.png"))})

    def photo(self, id: str) -> Image.Image:
        """As of the base class; from the folder where it is not in memory."""
        path = self._path(id, "png")
        if not super().has(id) and path.is_file():
            super().add(id, load_image(path).pixels)
        return super().photo(id)

    def has_map(self, id: str) -> bool:
        """As of the base class."""
        return super().has_map(id) or self._path(id, "npy").is_file()

    def anomaly_map(self, id: str) -> NDArray[np.float32]:
        """As of the base class; from the folder where it is not in memory."""
        path = self._path(id, "npy")
        if not super().has_map(id) and path.is_file():
            try:
                super().add_map(id, np.load(path, allow_pickle=False))
            except (OSError, ValueError) as error:
                raise SessionError(
                    f"{path}: the heat map cannot be read ({error}); fork the session from a copy of it"
                ) from error
        return super().anomaly_map(id)

    def _path(self, id: str, kind: str) -> Path:
        # Ids come from our own tools, except where a model names one to look at: those are only looked up.
        name = f"{id}.{kind}"
        return self.folder / (name if Path(name).name == name else "none")

    def _written(self, path: Path, write: Callable[[Path], None]) -> None:
        """So that nobody finds half a picture after a crash."""
        part = path.with_name(f".{path.name}.part")
        try:
            write(part)
            part.replace(path)
        except OSError as error:
            raise SessionError(
                f"{path}: a picture of the session cannot be kept ({error.strerror or error}); make room and go on with "
                f"`sage-iad chat --resume {self.folder.name}`"
            ) from error
        finally:
            part.unlink(missing_ok=True)


def copied(source: SessionFolder, target: SessionFolder) -> None:
    """Copy the pictures of a session to another. Raises `SessionError`."""
    try:
        shutil.copytree(source.path, target.path, ignore=shutil.ignore_patterns(_CARD, _SHARED, ".*", "shown"))
    except OSError as error:
        raise SessionError(f"{target.path}: cannot be copied ({error.strerror or error}); make room") from error
