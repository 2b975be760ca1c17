"""Pictures in a chat: as coloured half blocks where the terminal can show them, else as files."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from agent.images import InputError
from agent.render.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

Box = tuple[int, int, int, int]
MAX_COLUMNS, MAX_ROWS = 72, 24
"""Of a picture in the terminal, in cells: larger ones push what was said off the screen."""
_FRAME = (64, 224, 255)  # as in the overlay


class Pictures:
    """Shows pictures, and keeps those it writes beside their session."""

    def __init__(self, to: Lines, home: Path, wanted: bool = True) -> None:
        self.to, self.home = to, home
        self.session_id = ""
        """Whose pictures they are; a folder of `home`."""
        self.inline = wanted and _has_colours(to)
        """Whether they appear between the lines."""

    def show(self, picture: Image.Image, name: str, words: str, *, boxes: Sequence[Box] = ()) -> None:
        """The picture and what it is; `boxes` in its own pixels are drawn again where it is made small."""
        if not self.inline:
            self.to.lines((words, "dim"), indent=2)
            self.to.whole(("Picture:", ""), (str(self.save(picture, name)), "cyan"), indent=2)
            return
        from rich_pixels import Pixels

        self.to.console.print(Pixels.from_image(self._small(picture, boxes)), end="")
        self.to.lines((words, "dim"), indent=2)

    def save(self, picture: Image.Image, name: str) -> Path:
        """Write the picture and return its path.

        Raises:
            InputError: the folder cannot be written.
        """
        path = self.home / self.session_id / "shown" / f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.png"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
        except OSError as error:
            raise InputError(f"the picture cannot be written to {str(path)!r} ({error.strerror})") from error
        return path

    def open(self, picture: Image.Image, name: str) -> None:
        """Write the picture and hand it to the system's viewer."""
        path = self.save(picture, name)
        self.to.whole(("Written to", ""), (str(path), "cyan"), indent=2)
        if not _has_screen() or typer.launch(str(path)) != 0:
            self.to.lines(("No picture viewer could be started here; open the file yourself.", "yellow"), indent=2)

    def _small(self, picture: Image.Image, boxes: Sequence[Box]) -> Image.Image:
        from PIL import Image, ImageDraw

        console = self.to.console
        columns = max(8, min(self.to.width - 2, MAX_COLUMNS))
        rows = max(6, min(console.height // 2, MAX_ROWS))
        scale = min(columns / picture.width, 2 * rows / picture.height)  # a cell is two pixels, one above the other
        size = max(1, round(picture.width * scale)), max(2, 2 * round(picture.height * scale / 2))
        small = picture.convert("RGB").resize(size, Image.Resampling.BOX)
        draw = ImageDraw.Draw(small)
        for x0, y0, x1, y1 in boxes:  # a line of the large picture is too thin to be seen in the small one
            right, bottom = max(x0, x1 - 1) * scale, max(y0, y1 - 1) * scale
            draw.rectangle((x0 * scale, y0 * scale, right, bottom), outline=_FRAME)
        return small


def photo_part(overlay: Image.Image, width: int, height: int) -> tuple[Image.Image, float]:
    """The overlay of a photo of this size without its legend, which cannot be read when it is small, and its scale."""
    from agent.render.overlay import MAX_SIDE, MIN_SIDE

    scale = min(max(width, height, MIN_SIDE), MAX_SIDE) / max(width, height)
    return overlay.crop((0, 0, round(width * scale), round(height * scale))), scale


def _has_colours(to: Lines) -> bool:
    console = to.console
    if console.no_color or console.color_system not in ("truecolor", "256"):
        return False
    return "▄".encode(console.encoding, "replace").decode(console.encoding) == "▄"


def _has_screen() -> bool:
    """Without one the system may start a viewer of its own inside the terminal, over the chat."""
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
