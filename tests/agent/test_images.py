"""Image loading: what is read, and the exact pixels that come out."""

from __future__ import annotations

import hashlib
import io
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import encode, photo, pixel, png, refusal, tiff
from PIL import Image

from agent.images import load_image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ORIENTATION = 274  # EXIF tag


# What is read


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP", "GIF", "JPEG"])
def test_every_format_is_read_from_path_and_bytes(tmp_path: Path, kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    original = photo().quantize(16).convert("RGB")
    content = encode(original, kind, **options)
    path = tmp_path / "photo"
    path.write_bytes(content)
    first, second, third = load_image(path), load_image(str(path)), load_image(content)
    assert first.pixels.mode == "RGB"
    assert first.source == second.source == str(path)
    assert third.source == "<bytes>"
    assert first.id == second.id == third.id
    assert first.warnings == ()
    if kind != "JPEG":
        assert first.pixels.tobytes() == original.tobytes()


def test_the_id_is_of_the_size_and_the_pixels_alone() -> None:
    original = photo(40, 24)
    digest = hashlib.sha256(b"40x24:" + original.tobytes()).hexdigest()
    sources = (original, encode(original), encode(original, "BMP"), np.asarray(original))
    assert {load_image(source).sha256 for source in sources} == {digest}
    assert load_image(original).id == digest[:16]
    turned = Image.frombytes("RGB", (24, 40), original.tobytes())
    assert load_image(turned).id != load_image(original).id


def test_info_is_the_report_entry() -> None:
    loaded = load_image(np.zeros((20, 30, 3), np.uint8))
    info = loaded.info()
    assert (info.source, info.width, info.height, info.sha256) == ("<array>", 30, 20, loaded.sha256)


def test_two_loads_of_one_picture_are_equal_and_hashable() -> None:
    assert len({load_image(photo()), load_image(photo())}) == 1


def test_a_file_name_that_is_not_utf8_still_makes_a_report(tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.png")
    try:
        with open(path, "wb") as file:
            file.write(encode(photo()))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    loaded = load_image(os.fsdecode(path))
    assert loaded.info().source.endswith("caf\\udce9.png")


# Arrays and PIL images stay as they are


@pytest.mark.parametrize("view", [np.ascontiguousarray, np.flipud, np.asfortranarray, lambda a: a[::2, ::-1]])
def test_arrays_of_any_memory_layout_are_copied(view: Callable[[Any], Any]) -> None:
    array = view(np.asarray(photo(64, 48)).copy())
    before = array.copy()
    loaded = load_image(array)
    assert np.array_equal(np.asarray(loaded.pixels), before)
    array[:] = 7
    assert np.array_equal(np.asarray(loaded.pixels), before)


def test_a_pil_image_is_copied_and_keeps_its_state() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    original = Image.open(io.BytesIO(encode(photo(40, 24), exif=exif)))
    original.load()
    before = (original.tobytes(), original.size, original.mode, dict(original.info), original.getexif()[274])
    loaded = load_image(original)
    loaded.pixels.putpixel((0, 0), (1, 2, 3))
    after = (original.tobytes(), original.size, original.mode, dict(original.info), original.getexif()[274])
    assert before == after
    assert loaded.source == "<PIL image>"
    assert loaded.pixels.size == (24, 40)
    assert loaded.pixels.info == {}
    plain = photo()
    load_image(plain).pixels.putpixel((0, 0), (1, 2, 3))
    assert plain.tobytes() == photo().tobytes()


@pytest.mark.parametrize("kind", ["GIF", "TIFF"])
def test_edits_of_a_loaded_multi_frame_image_survive(kind: str) -> None:
    pages = [Image.new("L", (20, 20), level) for level in (10, 200)]
    original = Image.open(io.BytesIO(encode(pages[0], kind, save_all=True, append_images=pages[1:])))
    original.load()
    original.paste(0, (0, 0, 20, 20))
    before = original.tobytes()
    load_image(original)
    assert original.tobytes() == before


def test_a_pil_image_is_read_at_its_current_frame() -> None:
    pages = [Image.new("RGB", (20, 20), colour) for colour in (RED, GREEN, BLUE)]
    original = Image.open(io.BytesIO(encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])))
    original.seek(1)
    loaded = load_image(original)
    assert pixel(loaded) == GREEN
    assert loaded.warnings == ("it holds 3 frames; only frame 2 was read",)
    assert original.tell() == 1


def test_a_loaded_image_whose_file_is_closed_is_read(tmp_path: Path) -> None:
    pages = [Image.new("L", (20, 20), level) for level in (10, 200)]
    pages[0].save(tmp_path / "a.gif", save_all=True, append_images=pages[1:])
    with Image.open(tmp_path / "a.gif") as image:
        image.load()
    assert pixel(load_image(image)) == (10, 10, 10)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF", "BMP"])
def test_an_unloaded_image_whose_file_is_closed_is_refused(tmp_path: Path, kind: str) -> None:
    pages = {"save_all": True, "append_images": [photo().rotate(90)]} if kind in ("TIFF", "GIF") else {}
    photo().save(tmp_path / "a", kind, **pages)
    with Image.open(tmp_path / "a") as image:
        pass
    assert "call load() before closing it" in refusal(image)


# EXIF


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(1, "tl"), (2, "tr"), (3, "br"), (4, "bl"), (5, "tl"), (6, "tr"), (7, "br"), (8, "bl")],
)
def test_exif_rotation_is_applied_once(kind: str, orientation: int, corner: str) -> None:
    image = Image.new("RGB", (64, 32), BLUE)
    image.paste(RED, (0, 0, 16, 16))  # top left as stored
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    loaded = load_image(encode(image, kind, exif=exif))
    width, height = loaded.pixels.size
    assert (width, height) == ((64, 32) if orientation < 5 else (32, 64))
    corners = {"tl": (4, 4), "tr": (width - 5, 4), "bl": (4, height - 5), "br": (width - 5, height - 5)}
    for name, (x, y) in corners.items():
        expected = RED if name == corner else BLUE
        assert np.abs(np.subtract(pixel(loaded, x, y), expected)).max() < 12, name
    assert load_image(loaded.pixels).id == loaded.id


def test_damaged_exif_does_not_cost_the_picture() -> None:
    image = encode(photo(), exif=b"Exif\0\0nonsense")
    loaded = load_image(image)
    assert loaded.pixels.tobytes() == photo().tobytes()
    assert loaded.warnings == ("its EXIF data is damaged, so no rotation was applied",)


# Depth, colour and transparency


DEEP = np.zeros((16, 16), np.uint16)
DEEP[0, :6] = (0, 128, 129, 257, 32768, 65535)
DEEP_AS_GREY = [0, 0, 1, 1, 128, 255]  # value / 257, rounded


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(Image.fromarray(DEEP), id="I;16"),
        pytest.param(encode(Image.fromarray(DEEP)), id="I;16 PNG"),
        pytest.param(encode(Image.fromarray(DEEP), "TIFF"), id="I;16 TIFF"),
        pytest.param(encode(Image.fromarray(DEEP), "TIFF", compression="tiff_lzw"), id="I;16 TIFF LZW"),
        pytest.param(tiff(16, 16, 16, DEEP.tobytes()), id="I;16 TIFF by hand"),
        pytest.param(Image.fromarray(DEEP.astype(np.int32)), id="I"),
        pytest.param(encode(Image.fromarray(DEEP.astype(np.int32)), "TIFF"), id="I TIFF"),
        pytest.param(b"P5 16 16 65535\n" + DEEP.astype(">u2").tobytes(), id="I PGM"),
    ],
)
def test_16_bit_grey_is_divided_by_257(image: Any) -> None:
    loaded = load_image(image)
    assert [pixel(loaded, x)[0] for x in range(6)] == DEEP_AS_GREY
    assert len(set(pixel(loaded, 4))) == 1
    assert re.fullmatch(
        r"(16-bit|integer) grey with values 0 to 65535 was read as 0 to 65535 and scaled to 0 to 255",
        loaded.warnings[0],
    )


def test_a_dark_16_bit_image_stays_dark_and_says_so() -> None:
    loaded = load_image(Image.fromarray(np.full((16, 16), 4095, np.uint16)))
    assert pixel(loaded) == (16, 16, 16)
    assert "values 4095 to 4095 was read as 0 to 65535" in loaded.warnings[0]


def test_12_bit_tiff_is_scaled_by_its_own_range() -> None:
    loaded = load_image(tiff(16, 16, 12, b"\xff\xff\xff" * 128))
    assert pixel(loaded) == WHITE
    assert "read as 0 to 4095" in loaded.warnings[0]


@pytest.mark.parametrize(
    ("values", "grey", "span"),
    [
        (np.full((16, 16), 200, np.int32), 200, "0 to 255"),
        (np.full((16, 16), 300, np.int32), 1, "0 to 65535"),
        (np.full((16, 16), 0.5, np.float32), 128, "0 to 1"),
        (np.full((16, 16), 1.0, np.float32), 255, "0 to 1"),
        (np.full((16, 16), 99.6, np.float32), 100, "0 to 255"),
    ],
)
def test_integer_and_float_grey_is_read_by_its_range(values: Any, grey: int, span: str) -> None:
    loaded = load_image(Image.fromarray(values))
    assert pixel(loaded) == (grey, grey, grey)
    assert f"was read as {span} and scaled" in loaded.warnings[0]


@pytest.mark.parametrize(
    "values",
    [
        np.full((16, 16), -1, np.int32),
        np.full((16, 16), 65536, np.int32),
        np.full((16, 16), -0.1, np.float32),
        np.full((16, 16), 255.5, np.float32),
        np.full((16, 16), np.nan, np.float32),
        np.full((16, 16), np.inf, np.float32),
    ],
)
def test_grey_outside_every_known_range_is_refused(values: Any) -> None:
    assert "rescale it" in refusal(Image.fromarray(values))


@pytest.mark.parametrize(
    ("colour", "channels", "expected"),
    [
        (2, (65535, 0x80FF, 0), (255, 128, 0)),  # RGB
        (6, (65535, 0x80FF, 0, 65535), (255, 128, 0)),  # RGBA
        (4, (0x80FF, 65535), (128, 128, 128)),  # grey and alpha
    ],
)
def test_16_bit_colour_is_read_as_8_bit_with_a_warning(
    colour: int, channels: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    row = b"\0" + struct.pack(f">{len(channels)}H", *channels) * 16
    loaded = load_image(png(16, 16, 16, colour, row * 16))
    assert pixel(loaded) == expected
    assert loaded.warnings == ("16 bits a channel were read as 8 bits (the high byte)",)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "HSV", "YCbCr", "RGBX"])
def test_plain_modes_become_rgb_without_a_warning(mode: str) -> None:
    image = Image.new("RGB", (20, 20), WHITE)
    image.paste((0, 0, 0), (10, 0, 20, 20))
    loaded = load_image(image.convert(mode))
    assert (pixel(loaded, 0), pixel(loaded, 19)) == (WHITE, (0, 0, 0))
    assert loaded.warnings == ()


def test_palette_colours_are_kept() -> None:
    image = Image.new("P", (16, 16), 1)
    image.putpalette([9, 9, 9, 10, 20, 30])
    assert pixel(load_image(encode(image))) == (10, 20, 30)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_roughly_the_same_colour(kind: str) -> None:
    image = Image.new("CMYK", (20, 20), (0, 255, 255, 0))  # magenta and yellow ink make red
    loaded = load_image(encode(image, kind))
    assert np.abs(np.subtract(pixel(loaded), RED)).max() < 12
    assert "CMYK" in loaded.warnings[0]


def transparent(mode: str) -> Image.Image:
    """Black at an alpha of 51 of 255."""
    image = Image.new("RGBA", (16, 16), (0, 0, 0, 51))
    return image.convert(mode)


def palette_with_alpha() -> Image.Image:
    image = Image.new("P", (16, 16), 1)
    image.putpalette([255, 0, 0, 0, 0, 0])
    image.info["transparency"] = b"\xff\x33"
    return image


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(transparent("RGBA"), id="RGBA"),
        pytest.param(transparent("LA"), id="LA"),
        pytest.param(transparent("PA"), id="PA"),
        pytest.param(transparent("RGBa"), id="premultiplied"),
        pytest.param(palette_with_alpha(), id="P"),
        pytest.param(encode(transparent("RGBA")), id="RGBA PNG"),
        pytest.param(encode(transparent("LA")), id="LA PNG"),
        pytest.param(encode(palette_with_alpha()), id="P PNG"),
        pytest.param(encode(transparent("RGBA"), "WEBP", lossless=True), id="RGBA WEBP"),
        pytest.param(encode(transparent("RGBA"), "TIFF"), id="RGBA TIFF"),
    ],
)
def test_transparent_parts_are_laid_over_white(image: Any) -> None:
    loaded = load_image(image)
    assert pixel(loaded) == (204, 204, 204)
    assert loaded.warnings == ("transparent parts were laid over white",)


def test_a_transparent_colour_becomes_white() -> None:
    loaded = load_image(encode(Image.new("RGB", (16, 16), RED), transparency=RED))
    assert pixel(loaded) == WHITE
    assert loaded.warnings == ("transparent parts were laid over white",)


def test_an_opaque_alpha_channel_is_dropped_silently() -> None:
    loaded = load_image(encode(photo().convert("RGBA")))
    assert loaded.pixels.tobytes() == photo().tobytes()
    assert loaded.warnings == ()


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_the_first_of_several_frames_is_read(kind: str) -> None:
    pages = [Image.new("RGB", (20, 20), colour) for colour in (RED, GREEN, BLUE)]
    options = {"lossless": True} if kind == "WEBP" else {}
    loaded = load_image(encode(pages[0], kind, save_all=True, append_images=pages[1:], **options))
    assert pixel(loaded) == RED
    assert loaded.warnings == ("it holds 3 frames; only frame 1 was read",)
