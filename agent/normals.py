"""Photos of good parts for a detector: found in folders, sampled, read one at a time; what was left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent.images import InputError, load_image

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""Files of a folder taken for photos; a file named by the user is read whatever its ending."""
_NAMED = 3
"""File names that a sentence lists before it goes on with a number."""


class Normals:
    """The photos under some folders and files; iterating reads them, once."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Find the photos; nothing is read yet.

        Raises:
            InputError: a path is not there, or there is no photo.
        """
        self.paths = list(paths)
        self._folders = [path for path in paths if path.is_dir()]
        self.found: list[Path] = []
        """Every photo found, sorted within its folder."""
        self.others: list[Path] = []
        """Files in the folders that are no photos by their ending."""
        for path in paths:
            if path.is_dir():
                files = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
                self.found += [p for p in files if p.suffix.lower() in SUFFIXES]
                self.others += [p for p in files if p.suffix.lower() not in SUFFIXES]
            elif path.exists():
                self.found.append(path)
            else:
                raise InputError(f"NORMAL_DIR {str(path)!r}: not there; expected a folder with photos of good parts")
        if not self.found:
            given = ", ".join(repr(str(path)) for path in paths)
            raise InputError(f"NORMAL_DIR {given}: no photo in it; expected files ending in {', '.join(SUFFIXES)}")
        self.chosen = self.found
        """What will be read, in this order; a sample where there are too many."""
        self.files: list[Path] = []
        """What was read, in the order in which it was yielded."""
        self.names: list[str] = []
        """Of `files`: as seen from the folder given."""
        self.skipped: dict[Path, str] = {}
        """What could not be read, and why."""
        self.sizes: Counter[tuple[int, int]] = Counter()
        """Photos read, by width and height."""

    def __iter__(self) -> Iterator[Image]:
        """RGB photos; one that cannot be read is skipped."""
        return self.read(self.chosen)

    def read(self, paths: Iterable[Path]) -> Iterator[Image]:
        """The same over `paths`, such as the chosen ones behind a progress bar."""
        for path in paths:
            try:
                photo = load_image(path, argument="photo").pixels
            except InputError as error:
                self.skipped[path] = str(error)
                continue
            self.files.append(path)
            self.names.append(self._name(path))
            self.sizes[photo.size] += 1
            yield photo

    def _name(self, path: Path) -> str:
        inside = [folder for folder in self._folders if path.is_relative_to(folder)]
        name = path.relative_to(inside[0]) if inside else path.name
        return str(name).encode("utf-8", "backslashreplace").decode()  # no JSON card can carry half a character

    def warnings(self) -> list[str]:
        """What a reader should know, one sentence each; complete once all has been read."""
        said = []
        if len(self.chosen) < len(self.found):
            said.append(f"{len(self.found)} photos found; a random sample of {len(self.chosen)} is used")
        if self.others:
            said.append(f"no photos, left out: {_listed([p.name for p in self.others])}")
        for path, why in list(self.skipped.items())[:_NAMED]:
            said.append(f"skipped {path.name}: {why.removeprefix(f'photo={str(path)!r}: ')}")
        if (more := len(self.skipped) - _NAMED) > 0:
            said.append(f"skipped {more} more that cannot be read")
        if len(self.sizes) > 1:
            (width, height), often = self.sizes.most_common(1)[0]
            said.append(
                f"photos come in {len(self.sizes)} sizes, {often} of {self.sizes.total()} in {width} × {height} px; all "
                "are squashed to one square, so take them from one camera at one distance if you can"
            )
        return said


def _listed(names: Sequence[str]) -> str:
    shown, more = ", ".join(names[:_NAMED]), len(names) - _NAMED
    return f"{shown} and {more} more" if more > 0 else shown
