"""Pictures and files for tests of image loading, and the checks that hold for every refusal."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agent.images import InputError, LoadedImage, load_image


def photo(width: int = 40, height: int = 24) -> Image.Image:
    """Seeded noise, so that every codec has something to store."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG by hand: Pillow writes neither 16-bit RGB nor a header that lies about its size."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(width: int, height: int, bits: int, rows: bytes) -> bytes:
    """A grey little-endian TIFF by hand: Pillow does not write 12-bit ones."""
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(rows)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<2sHI", b"II", 42, 8 + len(rows)) + rows + struct.pack("<H", len(tags)) + entries + bytes(4)


def pixel(loaded: LoadedImage, x: int = 0, y: int = 0) -> tuple[int, ...]:
    value = loaded.pixels.getpixel((x, y))
    assert isinstance(value, tuple)
    return value


def refusal(image: Any, argument: str = "image") -> str:
    """The error of a bad image, after the checks that hold for every one of them."""
    with pytest.raises(InputError) as caught:
        load_image(image, argument=argument)
    line = str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert line.splitlines() == [line]
    assert line.startswith(f"{argument}=")
    assert "; expected " in line
    assert len(line) < 500
    return line
