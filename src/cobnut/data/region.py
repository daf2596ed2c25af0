"""Which part of the photographs is inspected: drawn as a mask image or as polygons, and painted over elsewhere."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cobnut.data.images import image_shape, read_mask
from cobnut.errors import DataError
from cobnut.options import RegionOptions
from cobnut.pictures import resized_mask

Region = NDArray[np.bool_]
# What images show where nobody looks: the grey in the middle, so that no edge to it is a strong one.
GROUND = 128
_POLYGONS = re.compile(r"[\s\d.,;+-]+")


def read_region(options: RegionOptions, paths: Sequence[Path]) -> Region | None:
    """What is inspected of photographs that lie at ``paths``: (h, w) of their size, ``None`` where that is everything.

    Raises :class:`DataError` when they differ in size, when a mask or polygon does not fit them, or when nothing is
    left to inspect.
    """
    if not options.inspect and not options.ignore:
        return None
    shape = _common_shape(paths)
    region = np.ones(shape, bool)
    if options.inspect:
        region &= _drawn("region.inspect", options.inspect, shape)
    if options.ignore:
        region &= ~_drawn("region.ignore", options.ignore, shape)
    if not region.any():
        raise DataError(
            f"{options.told()}: leaves nothing to inspect; draw a larger part, or ignore less (a mask is bright "
            "where it holds)"
        )
    return region


def shrink_region(region: Region, shape: tuple[int, int]) -> Region:
    """A region on a coarser grid (height, width): a cell is inspected when any of its pixels is."""
    return resized_mask(region, shape)


def paint(image: NDArray[np.uint8], region: Region | None) -> NDArray[np.uint8]:
    """An image (h, w, c) of the region's size with one grey where it is not inspected."""
    return image if region is None else np.where(region[..., None], image, np.uint8(GROUND))


def _common_shape(paths: Sequence[Path]) -> tuple[int, int]:
    shapes = {path: image_shape(path) for path in paths}
    first = next(iter(shapes))
    for path, shape in shapes.items():
        if shape != shapes[first]:
            raise DataError(
                f"{path}: is {_size(shape)} pixels and {first} is {_size(shapes[first])}; a region needs photographs "
                "of one size: sort them by camera setting, or crop them alike"
            )
    return shapes[first]


def _drawn(option: str, value: str, shape: tuple[int, int]) -> Region:
    if _POLYGONS.fullmatch(value):
        return _filled(option, value, shape)
    path = Path(value)
    if len(path.name) > 255 or not path.is_file():
        raise DataError(
            f"{option} = {value}: no such mask image, and no polygon; a polygon is written as x,y x,y x,y in pixels, "
            "several with semicolons between them"
        )
    mask = read_mask(path)
    if mask.shape != shape:
        raise DataError(
            f"{option} = {value}: the mask is {_size((mask.shape[0], mask.shape[1]))} pixels, the photographs are "
            f"{_size(shape)}; draw it on one of them"
        )
    if not mask.any():
        raise DataError(f"{option} = {value}: marks nothing; paint the region bright on black")
    return mask


def _filled(option: str, value: str, shape: tuple[int, int]) -> Region:
    height, width = shape
    canvas = Image.new("1", (width, height))
    for text in filter(str.strip, value.split(";")):
        points = _points(option, text)
        outside = [(x, y) for x, y in points if not (0 <= x <= width and 0 <= y <= height)]
        if outside:
            x, y = outside[0]
            raise DataError(
                f"{option}: point {x:g},{y:g} lies outside the photographs, which are {_size(shape)} pixels"
            )
        if _area(points) < 1:
            raise DataError(f"{option} = {text.strip()}: encloses nothing; name its corners one after the other")
        ImageDraw.Draw(canvas).polygon(points, fill=1)
    return np.asarray(canvas, dtype=bool)


def _area(points: list[tuple[float, float]]) -> float:
    """Of a polygon, by the shoelace formula, in pixels."""
    around = zip(points, points[1:] + points[:1], strict=True)
    return abs(sum(x * after_y - after_x * y for (x, y), (after_x, after_y) in around)) / 2


def _points(option: str, text: str) -> list[tuple[float, float]]:
    try:
        points = [(float(x), float(y)) for x, y in (point.split(",") for point in text.split())]
    except ValueError:
        points = []
    if len(points) < 3:
        raise DataError(f"{option} = {text.strip()}: is no polygon; write three points or more as x,y x,y x,y")
    return points


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[1]} × {shape[0]}"
