"""Pictures as arrays, uint8 (h, w, 3), with numpy and Pillow alone: heat, overlays, outlines and grids."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cobnut.files import write_whole

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]
TRUTH: Colour = (60, 225, 255)
_PALE: Colour = (200, 200, 200)
_HALO: Colour = (0, 30, 45)
GAP = 4
_TINY = 1e-12
# Black, violet, red, orange, pale yellow: dark to bright all along, so it reads in grey print too.
_HEAT = np.array([[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]], np.float64)
# Magenta to yellow, none of it dark: hardly any product has this colour, so it stands out from wood, metal and glass.
_GLOW = np.array([[255, 0, 150], [255, 90, 90], [255, 240, 60]], np.float64)


def heat(values: NDArray[np.floating], low: float, high: float) -> Picture:
    """Colour an anomaly map (h, w): ``low`` and below black, ``high`` and above pale yellow."""
    return _coloured(np.clip((values - low) / max(high - low, _TINY), 0, 1), _HEAT)


def overlay(
    image: Picture,
    values: NDArray[np.floating],
    threshold: float,
    inspected: NDArray[np.bool_] | None = None,
    strength: float = 0.55,
) -> Picture:
    """Lay a glow with a bright rim over an image of the same size where the map (h, w) lies above ``threshold``.

    The glow goes from magenta at the threshold to yellow at four times the threshold; all else stays as it is. What is
    not ``inspected``, a mask of any size, pales.
    """
    hot = values > threshold
    result = to_rgb(image).copy()
    if inspected is not None:
        result = tint(result, ~resized_mask(inspected, values.shape), _PALE, strength=0.7)
    colours = _coloured(np.clip((values[hot] - threshold) / max(3 * abs(threshold), _TINY), 0, 1), _GLOW)
    result[hot] = ((1 - strength) * result[hot] + strength * colours).astype(np.uint8)
    result[hot & ~_shrink(hot, 1)] = _GLOW[0]
    return result


def outline(image: Picture, mask: NDArray[np.bool_], colour: Colour = TRUTH) -> Picture:
    """Draw a line around a mask (h, w) on an image of the same size: two bright pixels, then a dark one.

    The line lies outside the mask, so that a thin defect stays in sight; where the mask meets the edge of the image,
    the line lies on it.
    """
    result = to_rgb(image).copy()
    near = _grow(mask, 2)
    result[_grow(mask, 3) & ~near] = _HALO
    result[near & ~mask] = colour
    result[mask & ~_shrink(np.ones_like(mask), 2)] = colour
    return result


def tint(image: Picture, mask: NDArray[np.bool_], colour: Colour = TRUTH, strength: float = 0.25) -> Picture:
    """Lay a light veil of ``colour`` over the masked (h, w) part of an image of the same size."""
    result = to_rgb(image).copy()
    result[mask] = ((1 - strength) * result[mask] + strength * np.array(colour)).astype(np.uint8)
    return result


def to_rgb(image: Picture) -> Picture:
    """A picture with three channels from one with one or three."""
    if image.ndim == 2:
        image = image[..., None]
    return np.broadcast_to(image, (*image.shape[:2], 3))


def resized(image: Picture, shape: tuple[int, int]) -> Picture:
    """A picture at another (height, width)."""
    if image.shape[:2] == shape:
        return to_rgb(image)
    return np.asarray(Image.fromarray(np.ascontiguousarray(to_rgb(image))).resize((shape[1], shape[0])))


def resized_mask(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask at another (height, width), true wherever it touches a marked pixel, so that thin defects survive."""
    if mask.shape == shape:
        return mask
    size = (shape[1], shape[0])
    return np.asarray(np.asarray(Image.fromarray(mask.astype(np.float32)).resize(size, Image.Resampling.BOX)) > 0)


def letterboxed(picture: Picture, shape: tuple[int, int], ground: int = 255) -> Picture:
    """A picture in the middle of a (height, width) that it fits into, with ``ground`` where it leaves room."""
    height, width = picture.shape[:2]
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    canvas = np.full((*shape, 3), ground, np.uint8)
    canvas[top : top + height, left : left + width] = to_rgb(picture)
    return canvas


def grid(rows: Sequence[Sequence[Picture]], ground: int = 255) -> Picture:
    """Rows of pictures with narrow gaps; rows may differ in length, and a smaller picture stands in the middle."""
    pictures = [picture for row in rows for picture in row]
    height, width = (max(picture.shape[axis] for picture in pictures) for axis in (0, 1))
    columns = max(len(row) for row in rows)
    canvas = np.full((len(rows) * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), ground, np.uint8)
    for top, row in enumerate(rows):
        for left, picture in enumerate(row):
            y, x = top * (height + GAP), left * (width + GAP)
            canvas[y : y + height, x : x + width] = letterboxed(picture, (height, width), ground)
    return canvas


def encode_picture(picture: Picture) -> bytes:
    """A picture as PNG."""
    encoded = BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(encoded, "PNG")
    return encoded.getvalue()


def save_picture(picture: Picture, path: Path) -> None:
    """Write a PNG, whole or not at all."""
    with write_whole(path) as partial:
        partial.write_bytes(encode_picture(picture))


def _coloured(places: NDArray[np.floating], colours: NDArray[np.float64]) -> Picture:
    """Places 0 to 1 of any shape (…) on a ramp of colours (n, 3): uint8 (…, 3)."""
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(places, stops, channel) for channel in colours.T], axis=-1).astype(np.uint8)


def _grow(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    padded = np.pad(mask, by)
    height, width = mask.shape
    shifts = [padded[y : y + height, x : x + width] for y in range(2 * by + 1) for x in range(2 * by + 1)]
    return np.asarray(np.any(shifts, axis=0))


def _shrink(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """The mask without its outermost ``by`` pixels; beyond the edge of the image nothing is masked."""
    return ~_grow(np.pad(~mask, by, constant_values=True), by)[by : mask.shape[0] + by, by : mask.shape[1] + by]
