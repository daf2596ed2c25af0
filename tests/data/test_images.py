"""Any photograph becomes one kind of array, or one clear line."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cobnut.data.images import image_facts, in_chunks, read_full_image, read_image, read_mask, resize_map
from cobnut.errors import ImageError
from cobnut.options import ImageOptions

Write = Callable[..., Path]
RGB = ImageOptions(size=16, mode="rgb")
GREY = ImageOptions(size=16, mode="grey")


def ramp(mode: str = "RGB", side: int = 32) -> Image.Image:
    """Dark at the left, bright at the right."""
    row = np.linspace(0, 255, side).astype(np.uint8)
    return Image.fromarray(np.broadcast_to(row, (side, side)).copy()).convert(mode)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "tiff", "webp"])
def test_every_format_gives_nearly_the_same_pixels(write_image: Write, suffix: str) -> None:
    pixels = read_image(write_image(f"a.{suffix}", ramp()), RGB)
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels, read_image(write_image("a.png", ramp()), RGB), atol=6)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK", "YCbCr", "I;16"])
def test_every_mode_gives_nearly_the_same_pixels(write_image: Write, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.asarray(ramp("L")).astype(np.uint16) * 257)
    else:
        image = ramp("RGB").convert(mode)
    pixels = read_image(write_image(f"a.{'jpg' if mode == 'YCbCr' else 'tif'}", image), GREY)
    np.testing.assert_allclose(pixels, read_image(write_image("l.png", ramp("L")), GREY), atol=6)


def test_a_black_and_white_image_is_read(write_image: Write) -> None:
    assert set(np.unique(read_image(write_image("a.png", ramp().convert("1", dither=0), bits=1), RGB))) >= {0, 255}


def test_sixteen_bit_images_keep_the_significant_bits_that_the_recipe_names(write_image: Write) -> None:
    path = write_image("a.png", np.full((8, 8), 4095, np.uint16))
    assert read_image(path, ImageOptions(size=16, mode="grey", bits=12)).min() == 255
    assert read_image(path, GREY).max() == 15


def test_transparency_is_laid_on_white(write_image: Write) -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert read_image(write_image("a.png", clear), RGB).min() == 255
    palette = Image.new("P", (8, 8), 0)
    assert read_image(write_image("p.png", palette, transparency=0), RGB).min() == 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_exif_says(write_image: Write, orientation: int) -> None:
    upright = np.zeros((16, 16, 3), np.uint8)
    upright[:8, :4] = 255
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = Image.fromarray(upright)
    if orientation in back:
        stored = stored.transpose(back[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = read_image(write_image("a.png", stored, exif=exif), RGB)
    np.testing.assert_array_equal(pixels, upright)


def test_a_large_jpeg_decoded_small_is_the_same_picture(write_image: Write) -> None:
    large = ramp(side=1024)
    fast = read_image(write_image("a.jpg", large, quality=95), RGB).astype(int)
    slow = read_image(write_image("a.png", large), RGB).astype(int)
    assert abs(fast - slow).max() <= 4


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_long_image_is_read_at_the_shape_of_its_aspect(write_image: Write, suffix: str, orientation: int) -> None:
    stripes = np.zeros((1536, 384), np.uint8)
    stripes[:, ::2] = 255  # one pixel wide: they must melt to grey, not to a moiré
    stripes[:400] = 0
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(stripes)
    stored = stored.transpose(Image.Transpose.ROTATE_90) if orientation == 6 else stored
    pixels = read_image(
        write_image(f"a.{suffix}", stored, exif=exif), ImageOptions(size=128, aspect=0.25, mode="grey")
    )[..., 0]
    assert pixels.shape == (256, 64)
    assert pixels[:64].max() < 8
    np.testing.assert_allclose(pixels[70:, 1:-1], 127, atol=3)


def test_an_image_on_its_side_is_decoded_no_smaller_than_it_is_needed(write_image: Write) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, shown standing
    noise = np.random.default_rng(0).integers(0, 255, (64, 256), np.uint8)
    lying = Image.fromarray(noise).resize((4096, 1024), Image.Resampling.NEAREST)
    wide = ImageOptions(size=256, aspect=4.0, mode="grey")
    fast = read_image(write_image("a.jpg", lying, exif=exif, quality=95), wide).astype(int)
    slow = read_image(write_image("a.png", lying, exif=exif), wide).astype(int)
    assert abs(fast - slow).mean() < 2


def test_a_full_image_keeps_its_shape(write_image: Write) -> None:
    path = write_image("a.png", Image.new("L", (100, 40)))
    assert read_full_image(path, RGB, 50).shape == (20, 50, 3)
    assert read_full_image(path, RGB, 500).shape == (40, 100, 3)


def test_facts_tell_size_as_displayed_mode_and_bits(write_image: Write) -> None:
    facts = image_facts(write_image("a.png", np.full((4, 6), 1023, np.uint16)))
    assert (facts.width, facts.height, facts.mode, facts.bits) == (6, 4, "I;16", 10)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_a_mask_is_read_whatever_its_mode(write_image: Write, mode: str) -> None:
    marked = np.zeros((6, 5), np.uint8)
    marked[1:3, 2:4] = 255
    mask = read_mask(write_image("m.png", Image.fromarray(marked).convert(mode)))
    np.testing.assert_array_equal(mask, marked > 0)


@given(st.integers(2, 40), st.integers(2, 40))
@settings(max_examples=20)
def test_a_resized_map_keeps_its_range(height: int, width: int) -> None:
    values = np.random.default_rng(0).random((8, 8)).astype(np.float32)
    resized = resize_map(values, (height, width))
    assert resized.shape == (height, width)
    assert values.min() - 1e-6 <= resized.min() <= resized.max() <= values.max() + 1e-6


def encoded(suffix: str) -> bytes:
    buffer = BytesIO()
    ramp().save(buffer, suffix)
    return buffer.getvalue()


DAMAGED = {
    "empty.png": (b"", "the file is empty"),
    "text.png": (b"this is no image at all, only words", "no image format that Pillow knows"),
    "zeros.jpg": (bytes(4096), "no image format that Pillow knows"),
    "page.webp": (b"<html>404</html>" * 9, "no image format that Pillow knows"),
    **{
        f"half.{s}": (encoded(s)[: len(encoded(s)) // 2], "not a whole image")
        for s in ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
    },
    **{f"head.{s}": (encoded(s)[:30], "not a whole image") for s in ("PNG", "JPEG", "BMP", "TIFF", "WEBP")},
    "crc.png": (encoded("PNG").replace(b"IDAT", b"IDAT\x07", 1), "not a whole image"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_bytes_are_told_in_one_line(tmp_path: Path, name: str) -> None:
    content, told = DAMAGED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError) as error:
        read_image(tmp_path / name, RGB)
    assert told in str(error.value)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_an_absurdly_large_image_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    header = bytearray(encoded("PNG"))
    header[16:24] = (60_000).to_bytes(4) * 2
    import zlib

    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4)
    (tmp_path / "bomb.png").write_bytes(header)
    with pytest.raises(ImageError, match="too large"):
        read_image(tmp_path / "bomb.png", RGB)


def test_pixels_without_a_known_white_are_refused(write_image: Write) -> None:
    with pytest.raises(ImageError, match="floating-point pixels, whose white is unknown"):
        read_image(write_image("f.tif", np.zeros((8, 8), np.float32)), RGB)
    with pytest.raises(ImageError, match="holds 32-bit pixels up to 100000"):
        read_image(write_image("i.tif", np.full((8, 8), 100_000, np.int32)), RGB)
    with pytest.raises(ImageError, match="brightest pixel 5000 does not fit image.bits = 12"):
        read_image(write_image("b.png", np.full((8, 8), 5000, np.uint16)), ImageOptions(size=16, bits=12))


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such image"):
        read_image(tmp_path / "none.png", RGB)
    with pytest.raises(ImageError, match=str(tmp_path)):
        read_image(tmp_path, RGB)


@given(st.binary(min_size=1, max_size=400), st.sampled_from(["PNG", "JPEG", "TIFF", "BMP", "WEBP"]), st.data())
@settings(max_examples=150)
def test_any_overwritten_bytes_give_an_image_or_an_image_error(junk: bytes, suffix: str, data: st.DataObject) -> None:
    content = bytearray(encoded(suffix))
    start = data.draw(st.integers(0, len(content)))
    content[start : start + len(junk)] = junk
    try:
        assert read_image(BytesIO(content), RGB).shape == (16, 16, 3)
    except ImageError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(("count", "side", "sizes"), [(20, 32, [16, 4]), (5, 512, [4, 1]), (2, 2048, [1, 1])])
def test_large_images_are_taken_fewer_at_a_time(count: int, side: int, sizes: list[int]) -> None:
    images = np.broadcast_to(np.uint8(7), (count, side, side, 3))
    assert [len(chunk) for chunk in in_chunks(images)] == sizes
