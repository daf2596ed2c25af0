"""Chance changes of training images that leave a good part good: flips and zoom (study, 3.2.3)."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cobnut.options import AugmentationOptions


def augment(images: NDArray[np.uint8], options: AugmentationOptions, random: np.random.Generator) -> NDArray[np.uint8]:
    """Each image of a batch (n, h, w, c) changed by itself; the same ``random`` gives the same changes."""
    return np.stack([_augment(image, options, random) for image in images])


def _augment(image: NDArray[np.uint8], options: AugmentationOptions, random: np.random.Generator) -> NDArray[np.uint8]:
    if options.flip_horizontal and random.random() < 0.5:
        image = image[:, ::-1]
    if options.flip_vertical and random.random() < 0.5:
        image = image[::-1]
    return zoom(image, random.uniform(1, 1 + options.zoom), random) if options.zoom else image


def zoom(image: NDArray[np.uint8], factor: float, random: np.random.Generator) -> NDArray[np.uint8]:
    """Enlarge an image (h, w, c) by ``factor``, at least 1, and cut its size out at a place of chance."""
    height, width, channels = image.shape
    tall, wide = height / factor, width / factor
    top, left = random.uniform(0, height - tall), random.uniform(0, width - wide)
    picture = Image.fromarray(image[..., 0] if channels == 1 else image)
    grown = picture.resize((width, height), Image.Resampling.BILINEAR, box=(left, top, left + wide, top + tall))
    return np.asarray(grown).reshape(height, width, channels)


def cut_patches(images: NDArray[np.uint8], side: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """One square of ``side`` pixels from a place of chance in each image: (n, h, w, c) → (n, side, side, c)."""
    count, height, width, _ = images.shape
    tops, lefts = random.integers(height - side + 1, size=count), random.integers(width - side + 1, size=count)
    return np.stack(
        [image[y : y + side, x : x + side] for image, y, x in zip(images, tops, lefts, strict=True)]
    )  # fmt: skip
