"""Image loading: any input becomes one upright RGB image with an id, or one clear line of error."""

from __future__ import annotations

import hashlib
import io
import os
import re
import reprlib
import stat
import struct
import sys
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from PIL import Image, ImageFile, ImageOps

if TYPE_CHECKING:
    import numpy as np

    from agent.report import ImageInfo

MIN_SIDE = 16  # pixels of the shorter side; below this there is nothing to inspect
MAX_MEGAPIXELS = 64  # width times height, in millions of pixels; 192 MB once decoded
MAX_ASPECT = 50  # longer side over shorter side; beyond this a resized image shows nothing
MAX_FILE_BYTES = 256 * 2**20  # of the encoded file
# The only decoders of Pillow that run on files: others may start programs (EPS) or are seldom tested.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")

ImageSource: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image | np.ndarray[Any, Any]"
"""Path, content of a file, PIL image of any mode, or (H, W, 3) uint8 RGB array with values 0 to 255."""

# Two letters before the colon, since `C:/photo.png` is a path; one slash, since Path() folds two into one.
_URL = re.compile(r"[a-z][a-z0-9+.-]+:/|data:", re.IGNORECASE)
# The layouts of which Pillow keeps the high byte; `RGB;16` and `BGR;16` without a letter are 5-6-5 bits.
_HIGH_BYTE = re.compile(r"\b(LA|RGB.?|CMYK);16[BLN]")
# What Pillow raises on damaged files, found by feeding it a million of them.
_UNDECODABLE = (
    *(OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, AttributeError, AssertionError),
    *(struct.error, MemoryError, OverflowError, Image.DecompressionBombError, Image.DecompressionBombWarning),
)
_shorten = reprlib.Repr()
_shorten.maxstring = _shorten.maxother = 120


class InputError(ValueError):
    """Bad input of the user; one line: argument, value, what is wrong, what was expected, the next step."""


class _Problem(Exception):
    """What is wrong with an image; `load_image` adds whose. No ValueError, or _UNDECODABLE would catch it."""


@dataclass(frozen=True)
class LoadedImage:
    """An image as every later step sees it."""

    id: str
    """First 16 hex digits of `sha256`."""
    source: str
    """Path as given, or `<PIL image>`, `<array>`, `<bytes>`."""
    sha256: str
    """Of width, height and RGB pixels: the same picture has one name in any container."""
    pixels: Image.Image = field(compare=False, repr=False)
    """Mode RGB, EXIF rotation applied, no metadata."""
    warnings: tuple[str, ...]
    """How the image was read where that was a choice: depth, transparency, frames."""

    def info(self) -> ImageInfo:
        """The entry for the report; width and height in pixels."""
        from agent.report import ImageInfo  # loads pydantic

        width, height = self.pixels.size
        return ImageInfo(source=self.source, sha256=self.sha256, width=width, height=height)


def load_image(image: ImageSource, *, argument: str = "image") -> LoadedImage:
    """Load one image: the first frame of a file, the current frame of a PIL image, which stays as it is.

    The header is checked before anything is decoded. Raises InputError, which calls the image `argument`, for
    what cannot be read or lies outside the limits of this module.
    """
    notes: list[str] = []
    try:
        if isinstance(image, Image.Image):
            source, pixels = "<PIL image>", _finish(image, notes)
        elif isinstance(image, bytes):
            source, pixels = "<bytes>", _from_file(io.BytesIO(image), len(image), notes)
        elif isinstance(image, str | os.PathLike):
            path = os.fsdecode(image)
            # A file name that is not UTF-8 holds surrogates, which no JSON report can carry.
            source = path.encode("utf-8", "backslashreplace").decode()
            pixels = _from_path(path, notes)
        elif (numpy := sys.modules.get("numpy")) and isinstance(image, numpy.ndarray):  # else no array exists
            source, pixels = "<array>", _from_array(image)
        else:
            raise _Problem("has the wrong type; expected a path, bytes, PIL image or array; convert it first")
    except _Problem as problem:
        raise InputError(f"{argument}={_show(image)}: {problem}") from problem
    sha256 = hashlib.sha256(f"{pixels.width}x{pixels.height}:".encode() + pixels.tobytes()).hexdigest()
    return LoadedImage(sha256[:16], source, sha256, pixels, tuple(notes))


def _show(image: object) -> str:
    if isinstance(image, Image.Image):
        return f"<PIL image, mode {image.mode}, {image.width} x {image.height}>"
    if isinstance(image, bytes):
        return f"{image[:12]!r}{'...' if len(image) > 12 else ''} ({len(image):,} bytes)"
    if isinstance(image, str | os.PathLike):
        return _shorten.repr(os.fsdecode(image))
    if hasattr(image, "shape") and hasattr(image, "dtype"):
        return f"<{type(image).__name__}, shape {image.shape}, dtype {image.dtype}>"
    return " ".join(_shorten.repr(image).split())


def _from_path(path: str, notes: list[str]) -> Image.Image:
    if _URL.match(path):
        raise _Problem("is a URL; expected a local file; download it first, since nothing is downloaded here")
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise _Problem("is a folder; expected one image file; name the files inside it")
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device may never end
            raise _Problem("is not a regular file; expected an image file; save it to a file first")
        with open(path, "rb") as file:
            return _from_file(file, status.st_size, notes)
    except (OSError, ValueError) as error:  # ValueError: NUL bytes, names the file system cannot encode
        found = f"cannot be opened ({getattr(error, 'strerror', None) or error})"
        raise _Problem(f"{found}; expected an image file; check the path and its permissions") from error


def _from_file(file: IO[bytes], size: int, notes: list[str]) -> Image.Image:
    if size == 0:
        raise _Problem("is empty (0 bytes); expected an image file; save or copy the image again")
    if size > MAX_FILE_BYTES:
        raise _Problem(f"has {size:,} bytes; expected at most {MAX_FILE_BYTES:,}; crop or downscale it first")
    if ImageFile.LOAD_TRUNCATED_IMAGES:  # another library set it; it is not ours to reset
        notes.append("Pillow is set to accept truncated files, so a cut-off image would go unnoticed")
    Image.init()  # registers all decoders, once; only those of FORMATS are called
    prefix = file.read(16)
    for name in FORMATS:
        # Not Image.open, whose bomb check warns at a higher limit: silencing that is not safe with threads.
        read_header, accepts = Image.OPEN[name]
        if accepts is None or accepts(prefix) is True:
            file.seek(0)
            try:
                image = read_header(file, "")
            except _UNDECODABLE as error:
                raise _undecodable(error) from error
            return _finish(image, notes)
    raise _Problem(f"is not a known kind of image; expected {', '.join(FORMATS)}; convert it to PNG first")


def _undecodable(error: BaseException) -> _Problem:
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    return _Problem(f"cannot be decoded ({reason}); expected a whole image of normal size; export it again")


def _from_array(array: np.ndarray[Any, Any]) -> Image.Image:
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != "uint8":
        raise _Problem(f"does not fit; expected an (H, W, 3) uint8 RGB array; {_conversion(array)}")
    height, width = array.shape[:2]
    _check_size(width, height)
    return Image.frombytes("RGB", (width, height), array.tobytes())


def _conversion(array: np.ndarray[Any, Any]) -> str:
    """The line of Python that makes of the user's array `a` what the contract asks for."""
    if array.size == 0 or array.ndim not in (2, 3):
        return "pass one image, such as a[0] of a batch"
    known = {"uint8": "a", "bool": "a.astype(np.uint8) * 255", "uint16": "(a / 257).round().astype(np.uint8)"}
    scale = " * 255" if array.dtype.kind == "f" and array.max() <= 1 else ""
    code = known.get(array.dtype.name, f"np.clip(a{scale}, 0, 255).astype(np.uint8)")
    if array.ndim == 2 or array.shape[2] == 1:
        code = f"np.dstack([{code}] * 3)"
    elif array.shape[2] != 3:
        code = f"np.moveaxis({code}, 0, -1)" if array.shape[0] == 3 else f"({code})[..., :3]"
    return f"convert it with: a = {code}"


def _check_size(width: int, height: int) -> None:
    found = f"is {width} x {height} pixels"
    if min(width, height) < MIN_SIDE:
        raise _Problem(f"{found}; expected {MIN_SIDE} pixels a side or more; take a larger photo")
    if width * height > MAX_MEGAPIXELS * 10**6:
        raise _Problem(f"{found}; expected at most {MAX_MEGAPIXELS} megapixels; crop or downscale it first")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise _Problem(f"{found}; expected sides of at most {MAX_ASPECT} to 1; crop it into shorter pieces")


def _finish(image: Image.Image, notes: list[str]) -> Image.Image:
    """An upright RGB copy; only the header of `image` need have been read so far."""
    _check_size(*image.size)
    layout = str(getattr(image, "tile", None) or "")  # such as RGB;16B; empty once loaded
    if layout and getattr(image, "fp", image) is None:
        raise _Problem("has its file closed; expected an open or loaded image; call load() before closing it")
    try:
        # On a loaded GIF or TIFF, n_frames would seek and drop the caller's edits; vars() runs no property.
        frames = getattr(image, "n_frames", 1) if layout else vars(image).get("n_frames", 1)
        image.load()
    except _UNDECODABLE as error:
        raise _undecodable(error) from error
    if frames > 1:
        notes.append(f"it holds {frames} frames; only frame {image.tell() + 1} was read")
    try:
        image = ImageOps.exif_transpose(image)
    except _UNDECODABLE:  # the picture itself is sound
        notes.append("its EXIF data is damaged, so no rotation was applied")
    try:
        pixels = _deep_grey(image, layout, notes) if image.mode[0] in "IF" else _to_rgb(image, layout, notes)
    except (ValueError, MemoryError) as error:  # ValueError: a mode Pillow cannot turn into RGB, such as La
        raise _undecodable(error) from error
    pixels.info.clear()
    return pixels


def _to_rgb(image: Image.Image, layout: str, notes: list[str]) -> Image.Image:
    if _HIGH_BYTE.search(layout):
        notes.append("16 bits a channel were read as 8 bits (the high byte)")
    if image.mode == "CMYK":
        notes.append("CMYK was converted without its colour profile, so colours are approximate")
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    alpha = rgba.getchannel("A")
    if alpha.getextrema()[0] != 255:
        notes.append("transparent parts were laid over white")
    page = Image.new("RGB", rgba.size, "white")
    page.paste(rgba, mask=alpha)
    return page


def _deep_grey(image: Image.Image, layout: str, notes: list[str]) -> Image.Image:
    """From grey of more than 8 bits, by the range of the format, never by the image's own contrast."""
    import numpy as np

    values = np.asarray(image)
    low, high = values.min().item(), values.max().item()
    kind, top = "16-bit grey", 4095 if "I;12" in layout else 65535
    if image.mode == "F":
        kind, top = "floating-point grey", 1 if high <= 1 else 255
    elif image.mode == "I":
        kind, top = "integer grey", 255 if high <= 255 else 65535
    found = f"{kind} with values {low:g} to {high:g}"
    if not 0 <= low <= high <= top:  # NaN fails here too
        raise _Problem(f"is {found}; expected values from 0 to {top}; rescale it and save it as 8-bit PNG")
    notes.append(f"{found} was read as 0 to {top} and scaled to 0 to 255")
    scaled = np.rint(np.multiply(values, 255 / top, dtype=np.float32))
    return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")
