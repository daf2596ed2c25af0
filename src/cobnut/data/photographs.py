"""How images were taken: size, light and sharpness, and whether that alone tells the splits or the truth apart."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cobnut.data.images import image_shape, read_full_image
from cobnut.errors import ImageError
from cobnut.options import ImageOptions
from cobnut.records import Sample

SIDE = 512
# Robust deviations from the median from which one photograph is odd among many.
ODD = 6.0
# Share of pairs in which one group lies above the other, from which the camera alone nearly tells them apart.
APART = 0.9
_FEWEST = 8


@dataclass(frozen=True, slots=True)
class Photograph:
    """One image as a photograph: width / height, mean grey level, and mean step between neighbours in grey levels."""

    sample: Sample
    shape: float
    brightness: float
    sharpness: float


def take_photographs(
    samples: Sequence[Sample], on_progress: Callable[[int], None] = lambda _: None
) -> list[Photograph]:
    """Look at each image that can be read."""
    found = []
    for sample in samples:
        try:
            pixels = read_full_image(sample.path, ImageOptions(size=SIDE, mode="rgb", bits=16), SIDE)
            height, width = image_shape(sample.path)
        except ImageError:
            continue
        finally:
            on_progress(1)
        found.append(Photograph(sample, width / height, *brightness_and_sharpness(pixels)))
    return found


def brightness_and_sharpness(image: NDArray[np.uint8]) -> tuple[float, float]:
    """Mean grey level of an image (h, w, c), 0 to 255, and by how many neighbours differ; by every fourth row."""
    rows = image[::4].mean(axis=2, dtype=np.float32)
    return float(rows.mean()), float(np.abs(np.diff(rows, axis=1)).mean())


def odd_ones(photographs: Sequence[Photograph]) -> Iterator[tuple[Photograph, str]]:
    """Good images that were taken unlike the other good ones, and in what, in words."""
    good = [each for each in photographs if not each.sample.is_defective]
    for name, (more, less) in _WORDS.items():
        values = np.array([getattr(each, name) for each in good])
        if len(values) < _FEWEST:
            continue
        middle = np.median(values)
        spread = max(1.4826 * float(np.median(np.abs(values - middle))), 0.01 * abs(float(middle)), 1e-6)
        for each, value in zip(good, values, strict=True):
            if abs(value - middle) > ODD * spread:
                yield each, f"{more if value > middle else less} than the others ({value:.3g}, usual is {middle:.3g})"


def groups_apart(photographs: Sequence[Photograph]) -> Iterator[str]:
    """Where light, sharpness or shape alone nearly tells two groups of images apart, in words."""
    groups = {
        "good training images": [p for p in photographs if p.sample.split == "train" and not p.sample.is_defective],
        "good test images": [p for p in photographs if p.sample.split == "test" and not p.sample.is_defective],
        "defective images": [p for p in photographs if p.sample.is_defective],
    }
    for first, second in (("good training images", "good test images"), ("good test images", "defective images")):
        for name, (more, less) in _WORDS.items():
            one, two = (np.array([getattr(p, name) for p in groups[group]]) for group in (first, second))
            if min(len(one), len(two)) < _FEWEST:
                continue
            share = _share_above(one, two)
            if max(share, 1 - share) >= APART:
                way = more if share > 0.5 else less
                yield f"The {second} are {way} than the {first} in {100 * max(share, 1 - share):.0f} % of all pairs."


def _share_above(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    """Share of pairs in which a value of ``two`` lies above one of ``one``; ties count half."""
    return float(np.mean((two[None] > one[:, None]) + 0.5 * (two[None] == one[:, None])))


_WORDS = {"shape": ("wider", "narrower"), "brightness": ("brighter", "darker"), "sharpness": ("sharper", "less sharp")}
