"""Image loading: what is refused, in one line that says why and what to do."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import encode, photo, png, refusal
from PIL import Image, ImageFile

from agent import images
from agent.images import load_image

# What is refused: sizes


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 1), "16 pixels a side"),
        ((15, 400), "16 pixels a side"),
        ((0, 0), "16 pixels a side"),
        ((16, 801), "50 to 1"),
        ((801, 16), "50 to 1"),
    ],
)
def test_small_and_narrow_images_are_refused(size: tuple[int, int], expected: str) -> None:
    image = Image.new("RGB", size)
    assert expected in refusal(image)
    assert f"is {size[0]} x {size[1]} pixels" in refusal(np.zeros((size[1], size[0], 3), np.uint8))
    if min(size) > 0:
        assert expected in refusal(encode(image))


@pytest.mark.parametrize("size", [(16, 16), (16, 800)])
def test_the_limits_themselves_are_allowed(size: tuple[int, int]) -> None:
    assert load_image(Image.new("RGB", size)).pixels.size == size


@pytest.mark.parametrize("side", [8001, 10_000, 20_000, 2**31 - 1])
def test_huge_images_are_refused_from_the_header(side: int) -> None:
    line = refusal(png(side, side, 1, 0, b""))  # it holds no pixels, so decoding would fail otherwise
    assert f"is {side} x {side} pixels; expected at most 64 megapixels; crop or downscale" in line


def test_huge_pil_images_are_refused_undecoded() -> None:
    assert "at most 64 megapixels" in refusal(Image.open(io.BytesIO(png(8001, 8001, 1, 0, b""))))


def test_pillow_settings_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert load_image(encode(photo())).pixels.size == (40, 24)
    refusal(png(20_000, 20_000, 1, 0, b""))
    assert Image.MAX_IMAGE_PIXELS == 10


def test_a_huge_webp_canvas_is_refused() -> None:
    content = bytearray(encode(photo(), "WEBP", save_all=True, append_images=[photo().rotate(90)]))
    assert content[12:16] == b"VP8X"
    content[24:30] = b"\xff\xff\x00\xff\xff\x00"  # 65,536 x 65,536
    refusal(bytes(content))


def test_large_files_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(b"")
    os.truncate(path, 256 * 2**20 + 1)  # sparse, so it takes no disk
    assert "268,435,457 bytes; expected at most 268,435,456" in refusal(path)
    monkeypatch.setattr(images, "MAX_FILE_BYTES", 100)
    assert "expected at most 100" in refusal(encode(photo()))


# What is refused: files


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's own, on the cut-off directory of a TIFF
def test_truncated_files_are_refused(tmp_path: Path, kind: str, kept: float) -> None:
    content = encode(photo(64, 64), kind)
    path = tmp_path / "cut"
    path.write_bytes(content[: int(len(content) * kept)])
    assert "cannot be decoded" in refusal(path)
    assert "cannot be decoded" in refusal(path.read_bytes())


def test_a_process_that_accepts_truncated_files_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    content = encode(photo(64, 64), "BMP")
    assert "accept truncated files" in load_image(content[:-3000]).warnings[0]


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty (0 bytes)"),
        (b"hello, I am text\n" * 9, "not a known kind of image"),
        (b"x", "not a known kind of image"),
        (b"%PDF-1.7\n%%EOF", "not a known kind of image"),
        (EPS, "not a known kind of image"),
        (encode(photo(), "TGA"), "not a known kind of image"),
        (encode(photo(32, 32), "ICO"), "not a known kind of image"),
        (b"\x89PNG\r\n\x1a\nnonsense", "cannot be decoded"),
        (b"\xff\xd8\xff", "cannot be decoded"),
        (b"P6 wide high 255\n", "cannot be decoded"),
        (b"II*\0", "cannot be decoded"),
    ],
)
def test_files_that_are_no_image_are_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    line = refusal(path, argument="reference")
    assert expected in line
    assert repr(str(path))[-12:] in line
    assert expected in refusal(content, argument="reference")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("missing.png", "No such file"),
        ("", "No such file"),
        ("a\0b.png", "null byte"),
        ("two\nlines.png", "No such file"),
        ("\udcff\u2028.png", "No such file"),
        ("x" * 1_000_000, "cannot be opened"),
        ("d/" * 100_000, "cannot be opened"),
        ("http://example.com/a.png", "is a URL"),
        ("HTTPS://example.com/a.png", "is a URL"),
        (Path("https://example.com/a.png"), "is a URL"),
        ("s3://bucket/a.png", "is a URL"),
        ("data:image/png;base64," + "A" * 100_000, "is a URL"),
        (r"C:\missing.png", "No such file"),
        ("C:/missing.png", "No such file"),
    ],
)
def test_paths_that_lead_nowhere_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str | Path, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert expected in refusal(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(tmp_path / "pipe")


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "photo.png"
    photo().save(path)

    def deny(*_: object) -> None:  # rather than chmod, which root ignores
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(images, "open", deny, raising=False)
    assert "cannot be opened (Permission denied)" in refusal(path)


# What is refused: arrays and other types


@pytest.mark.parametrize(
    ("array", "conversion"),
    [
        (np.zeros((20, 30), np.uint8), "a = np.dstack([a] * 3)"),
        (np.zeros((20, 30, 1), np.uint8), "a = np.dstack([a] * 3)"),
        (np.zeros((20, 30, 4), np.uint8), "a = (a)[..., :3]"),
        (np.zeros((3, 20, 30), np.uint8), "a = np.moveaxis(a, 0, -1)"),
        (np.ones((20, 30, 3), np.float32), "a = np.clip(a * 255, 0, 255).astype(np.uint8)"),
        (np.full((20, 30, 3), 255.0), "a = np.clip(a, 0, 255).astype(np.uint8)"),
        (np.full((20, 30), 0.5), "a = np.dstack([np.clip(a * 255, 0, 255).astype(np.uint8)] * 3)"),
        (np.full((20, 30, 3), 65535, np.uint16), "a = (a / 257).round().astype(np.uint8)"),
        (np.ones((20, 30, 3), np.int64), "a = np.clip(a, 0, 255).astype(np.uint8)"),
        (np.ones((20, 30), np.bool_), "a = np.dstack([a.astype(np.uint8) * 255] * 3)"),
    ],
)
def test_the_conversion_shown_for_an_array_works(array: Any, conversion: str) -> None:
    line = refusal(array)
    assert f"shape {array.shape}, dtype {array.dtype}" in line
    assert line.endswith(f"convert it with: {conversion}")
    names: dict[str, Any] = {"np": np, "a": array}
    exec(conversion, names)
    assert load_image(names["a"]).pixels.size == (30, 20)


@pytest.mark.parametrize("shape", [(0,), (0, 0, 3), (20, 0, 3), (), (5,), (2, 20, 20, 3), (1, 1, 1, 1, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_arrays_that_are_no_single_image_are_refused(shape: tuple[int, ...], dtype: Any) -> None:
    line = refusal(np.zeros(shape, dtype))
    assert f"shape {shape}" in line


class Awkward:
    """A value whose repr runs over several lines."""

    def __repr__(self) -> str:
        return "first\nsecond\u2028third " * 100


@pytest.mark.parametrize("value", [None, 7, 1.5, [[1, 2], [3, 4]] * 1000, {"a": 1}, object(), Awkward(), io.BytesIO()])
def test_other_types_are_refused(value: Any) -> None:
    assert "wrong type" in refusal(value, argument="references[3]")


def test_a_long_path_is_shortened_but_keeps_its_end() -> None:
    line = refusal("x" * 5000 + "/photo.png")
    assert "..." in line
    assert "/photo.png'" in line


def test_importing_the_module_is_cheap() -> None:
    code = "import sys, agent.images; print([m for m in ('numpy', 'pydantic', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
