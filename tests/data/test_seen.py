"""An image is known by its pixels, however it was saved, as long as none was lost."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from cobnut.data.images import read_image
from cobnut.data.seen import hash_pixels, pixel_hashes
from cobnut.options import ImageOptions

OPTIONS = ImageOptions(size=32, mode="rgb", bits=16)


@pytest.fixture
def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 40, 3), np.uint8))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.bmp", {}),
        ("a.tiff", {"compression": "tiff_lzw"}),
        ("a.webp", {"lossless": True}),
        ("packed.png", {"compress_level": 9}),
    ],
)
def test_a_copy_without_loss_has_the_same_hash(
    write_image: Callable[..., Path], picture: Image.Image, name: str, options: dict[str, object]
) -> None:
    first, copy = write_image("first.png", picture), write_image(name, picture, **options)
    assert first.read_bytes() != copy.read_bytes()
    hashes = pixel_hashes([first, copy], OPTIONS)
    assert hashes[first] == hashes[copy] == hash_pixels(read_image(first, OPTIONS))


def test_metadata_and_a_turn_that_exif_undoes_change_nothing(
    write_image: Callable[..., Path], picture: Image.Image
) -> None:
    text, exif = PngImagePlugin.PngInfo(), Image.Exif()
    text.add_text("Comment", "line 4")
    exif[0x0112] = 6
    first = write_image("first.png", picture)
    noted = write_image("noted.png", picture, pnginfo=text)
    turned = write_image("turned.png", picture.transpose(Image.Transpose.ROTATE_90), exif=exif)
    assert len(set(pixel_hashes([first, noted, turned], OPTIONS).values())) == 1


def test_another_pixel_or_a_lossy_copy_is_another_image(write_image: Callable[..., Path], picture: Image.Image) -> None:
    other = picture.copy()
    other.paste((0, 0, 0), (10, 10, 14, 14))
    paths = [write_image("a.png", picture), write_image("b.png", other), write_image("c.jpg", picture, quality=95)]
    assert len(set(pixel_hashes(paths, OPTIONS).values())) == 3


def test_what_cannot_be_read_is_left_out(write_image: Callable[..., Path], picture: Image.Image) -> None:
    first = write_image("first.png", picture)
    broken = first.with_name("broken.png")
    broken.write_bytes(b"no image")
    assert list(pixel_hashes([broken, first], OPTIONS)) == [first]
