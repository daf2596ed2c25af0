"""Any photograph as one kind of array: the only code that decodes, used alike in training and at the line."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from cobnut.data.mapped import release
from cobnut.errors import ImageError
from cobnut.options import ImageOptions

MOST_PIXELS = 200_000_000
# What a network sees at once: small images by the sixteen, large ones few at a time, so that memory stays bounded.
MOST_AT_ONCE, PIXELS_AT_ONCE = 16, 2**20
_TRANSPARENT_BECOMES = "white"
_EXIF_ORIENTATION, _LYING = 0x0112, (5, 6, 7, 8)
_SIXTEEN_BIT_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")


def read_image(source: Path | BinaryIO, options: ImageOptions) -> NDArray[np.uint8]:
    """Decode, turn as EXIF says, bring to 8 bits and to the recipe's shape: uint8 (height, width, channels).

    Transparency is laid on white; 16-bit images keep their ``bits`` significant bits' upper eight. Raises
    :class:`ImageError` for anything that is not one whole image.
    """
    height, width = options.shape
    image = _decode(source, "RGB" if options.mode == "rgb" else "L", draft=(width, height))
    return _to_shape(_to_mode(image, options, _name(source)), options)


def to_array(image: Image.Image, options: ImageOptions) -> NDArray[np.uint8]:
    """Bring an image that is in memory to what :func:`read_image` makes of a file of the same pixels.

    Raises :class:`ImageError` for pixels that it cannot tell the white of.
    """
    return _to_shape(_to_mode(ImageOps.exif_transpose(image), options, "image in memory"), options)


def _to_shape(image: Image.Image, options: ImageOptions) -> NDArray[np.uint8]:
    height, width = options.shape
    # Box-reduce by whole factors first, then antialias: several times faster on camera images, and the same everywhere.
    image = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels.reshape(height, width, options.channels)


def read_full_image(source: Path | BinaryIO, options: ImageOptions, longest_side: int) -> NDArray[np.uint8]:
    """Decode like :func:`read_image` but keep the shape, shrunk until its longest side fits: uint8 (h, w, 3)."""
    image = _decode(source, "RGB" if options.mode == "rgb" else "L")
    image = _to_mode(image, options, _name(source)).convert("RGB")
    image.thumbnail((longest_side, longest_side), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(image, dtype=np.uint8)


def read_photograph(path: Path, longest_side: int) -> NDArray[np.uint8]:
    """An image to look at, as bright as its own bits make it: uint8 (h, w, 3). Raises :class:`ImageError`."""
    bits = min(max(image_facts(path).bits, 8), 16)
    return read_full_image(path, ImageOptions(size=longest_side, mode="rgb", bits=bits), longest_side)


def image_shape(source: Path | BinaryIO) -> tuple[int, int]:
    """(height, width) of an image as displayed, from its header alone; raises :class:`ImageError`."""
    try:
        with Image.open(source) as image:
            return (image.width, image.height) if _is_lying(image) else (image.height, image.width)
    except Exception as error:  # as in _decode
        raise ImageError(f"{_name(source)}: not a whole image ({_reason(error)}); copy or export it again") from None


def in_chunks(images: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Images (n, h, w, c) as views of few at a time, the fewer the larger; kept ones leave the memory again."""
    step = max(1, min(MOST_AT_ONCE, PIXELS_AT_ONCE // (images.shape[1] * images.shape[2])))
    for start in range(0, len(images), step):
        yield images[start : start + step]
        release(images)


def read_mask(source: Path | BinaryIO) -> NDArray[np.bool_]:
    """Decode a defect mask: bool (h, w), true where any channel is brighter than black."""
    image = _decode(source)
    if "A" in image.getbands():
        image = image.convert("RGBA").convert("RGB")
    elif image.mode == "P":
        image = image.convert("RGB")
    pixels = np.asarray(image)
    return np.asarray(pixels.any(axis=2) if pixels.ndim == 3 else pixels > 0)


def resize_map(values: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Bring an anomaly map (h, w) to another (height, width), bilinear."""
    if values.shape == shape:
        return values
    image = Image.fromarray(values).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is known of an image once it is decoded: size as displayed, Pillow mode, significant bits of a channel."""

    width: int
    height: int
    mode: str
    bits: int


def image_facts(path: Path) -> ImageFacts:
    """Decode a whole image and tell its facts; raises :class:`ImageError` for a damaged one."""
    image = _decode(path)
    bits = int(np.asarray(image).max(initial=0)).bit_length() if image.mode in _SIXTEEN_BIT_MODES else 8
    return ImageFacts(image.width, image.height, image.mode, bits)


def _to_mode(image: Image.Image, options: ImageOptions, name: str) -> Image.Image:
    """Eight bits, no transparency, and the recipe's colours."""
    if image.mode in _SIXTEEN_BIT_MODES:
        image = _to_eight_bits(image, options.bits, name)
    elif image.mode == "F":
        raise ImageError(f"{name}: holds 32-bit floating-point pixels, whose white is unknown; save 8 or 16 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, _TRANSPARENT_BECOMES)
        image = Image.alpha_composite(ground, image)
    return image.convert("RGB" if options.mode == "rgb" else "L")


def _decode(source: Path | BinaryIO, mode: str = "RGB", draft: tuple[int, int] | None = None) -> Image.Image:
    if isinstance(source, Path):
        if not source.exists():
            raise ImageError(f"{source}: no such image")
        if source.stat().st_size == 0:
            raise ImageError(f"{source}: the file is empty; copy it again")
    try:
        with Image.open(source) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ImageError(_too_large(source, f"{image.width} × {image.height} pixels"))
            if draft and image.format == "JPEG":
                # libjpeg decodes straight to ½, ¼ or ⅛; twice the wanted size keeps the later antialiasing honest.
                width, height = draft[::-1] if _is_lying(image) else draft
                image.draft(mode, (2 * width, 2 * height))
            image.load()
            return ImageOps.exif_transpose(image)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(_too_large(source, "its header")) from None
    except PermissionError:
        raise ImageError(f"{_name(source)}: may not be read; check the file's permissions") from None
    except MemoryError:
        raise ImageError(f"{_name(source)}: needs more memory than there is; shrink it first") from None
    except Exception as error:  # Pillow's decoders raise anything from struct.error to KeyError on damaged bytes
        raise ImageError(f"{_name(source)}: not a whole image ({_reason(error)}); copy or export it again") from None


def _is_lying(image: Image.Image) -> bool:
    """Whether EXIF turns the image on its side."""
    return image.getexif().get(_EXIF_ORIENTATION, 1) in _LYING


def _to_eight_bits(image: Image.Image, bits: int, name: str) -> Image.Image:
    pixels = np.asarray(image).astype(np.int64)
    brightest = int(pixels.max(initial=0))
    if brightest > 65535 or int(pixels.min(initial=0)) < 0:
        raise ImageError(f"{name}: holds 32-bit pixels up to {brightest}; save it with 8 or 16 bits")
    if brightest >= 2**bits:
        raise ImageError(f"{name}: brightest pixel {brightest} does not fit image.bits = {bits}; raise it")
    return Image.fromarray((pixels >> (bits - 8)).astype(np.uint8))


def _too_large(source: Path | BinaryIO, what: str) -> str:
    return f"{_name(source)}: too large ({what}); the most is {MOST_PIXELS // 1_000_000} megapixels: crop or shrink it"


def _name(source: Path | BinaryIO) -> str:
    return str(source) if isinstance(source, Path) else str(getattr(source, "name", "image in memory"))


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return "no image format that Pillow knows" if "cannot identify image file" in text else text
