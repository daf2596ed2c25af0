"""Judge many files: a row for each, whatever happens to it, and a picture where one is asked for."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cobnut.data.images import read_full_image, resize_map
from cobnut.data.layouts import image_files
from cobnut.errors import DataError, ImageError
from cobnut.records import Verdict
from cobnut.runtime.inspect import Inspector

MAP_SIDE = 1024
_TOLD = ("score", "threshold", "is_defective", "p_value", "brightness", "sharpness")


@dataclass(frozen=True, slots=True)
class Found:
    """An image file to judge, and its place below the folder that holds all that is judged."""

    path: Path
    place: Path


@dataclass(frozen=True, slots=True)
class Row:
    """What is told of one image; where it could not be read, ``error`` says why and the other values are ``None``."""

    path: str
    score: float | None = None
    threshold: float | None = None
    is_defective: bool | None = None
    p_value: float | None = None
    brightness: float | None = None
    sharpness: float | None = None
    error: str | None = None

    def line(self) -> str:
        """The row for a person."""
        if self.error is not None:
            return f"unreadable  {self.error}"
        decision = "DEFECTIVE" if self.is_defective else "good"
        return f"{decision:<10}  {self.score:<10.4g}  p {self.p_value:<6.2g}  {self.path}"


def find_images(places: Sequence[Path]) -> list[Found]:
    """The image files named, and those below the folders named; raises :class:`DataError` when a place holds none."""
    paths: list[Path] = []
    for place in places:
        if place.is_dir():
            inside = image_files(place)
            if not inside:
                raise DataError(f"{place}: holds no image; name a folder with images, or image files")
            paths += inside
        elif place.exists():
            paths.append(place)
        else:
            raise DataError(f"{place}: no such file or folder")
    root = os.path.commonpath([place.absolute() if place.is_dir() else place.absolute().parent for place in places])
    return [Found(path, path.absolute().relative_to(root)) for path in paths]


def judge_files(inspector: Inspector, found: Iterable[Found], maps: Path | None = None) -> Iterator[Row]:
    """A row for each file in turn, and its overlay below ``maps`` where that is given."""
    found = list(found)
    for each, answer in zip(found, inspector.inspect_files([each.path for each in found]), strict=True):
        try:
            if isinstance(answer, ImageError):
                raise answer
            if maps is not None:
                draw_map(inspector, each, answer, maps)
        except ImageError as error:
            yield Row(printable(each.path), error=printable(str(error)))
        else:
            yield Row(printable(each.path), **told_of(answer))


def told_of(verdict: Verdict) -> dict[str, Any]:
    """What a row tells of a verdict."""
    return {name: getattr(verdict, name) for name in _TOLD}


def printable(text: Path | str) -> str:
    """A name as text, whatever its bytes: what is not UTF-8 becomes a question mark in a lozenge."""
    return os.fsencode(text).decode("utf-8", "replace")


def draw_map(inspector: Inspector, found: Found, verdict: Verdict, maps: Path) -> None:
    """Draw an image with what is marked of its map, as PNG below ``maps``."""
    from cobnut.pictures import save_picture

    save_picture(picture_of(inspector, found.path, verdict), maps / map_place(found.place))


def map_place(place: PurePath) -> PurePath:
    """Where the picture of an image lies below the folder of all pictures."""
    return place.with_name(f"{place.name}.png")


def picture_of(inspector: Inspector, source: Path | BinaryIO, verdict: Verdict) -> NDArray[np.uint8]:
    """An image with what is marked of its map, uint8 (h, w, 3); raises :class:`ImageError`."""
    from cobnut.pictures import overlay

    image = read_full_image(source, inspector.manifest.recipe.image, MAP_SIDE)
    values = resize_map(verdict.anomaly_map, image.shape[:2])
    return overlay(image, values, verdict.shown_above, verdict.inspected)
