"""What a network sees of an image, as a hash: the same for a copy that was saved again without loss."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cobnut.data.images import read_image
from cobnut.data.region import Region, paint, shrink_region
from cobnut.errors import ImageError
from cobnut.options import ImageOptions


def hash_pixels(image: NDArray[np.uint8]) -> str:
    """SHA-256 of an image (height, width, channels) as :func:`read_image` gives it, 64 hexadecimal digits."""
    return hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()


def pixel_hashes(paths: Iterable[Path], options: ImageOptions, region: Region | None = None) -> dict[Path, str]:
    """The hash of each image's pixels, painted over outside ``region``; those that cannot be read are left out.

    Another format, other metadata or another compression change nothing, unless pixels were lost. A JPEG of over four
    times the sides of ``options.shape`` is decoded smaller than it is, so its copy in another format has other pixels.
    """

    painted = None if region is None else shrink_region(region, options.shape)

    def look(path: Path) -> str | None:
        try:
            return hash_pixels(paint(read_image(path, options), painted))
        except ImageError:
            return None

    paths = list(paths)
    with ThreadPoolExecutor() as pool:
        return {path: seen for path, seen in zip(paths, pool.map(look, paths), strict=True) if seen is not None}
