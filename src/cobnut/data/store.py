"""Images decoded and resized once and kept on disk, memory-mapped, so that the second epoch decodes nothing."""

import hashlib
import json
import math
import os
import shutil
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import platformdirs
from numpy.typing import NDArray

from cobnut.data.images import read_image
from cobnut.data.region import Region, paint
from cobnut.errors import DataError, ImageError
from cobnut.files import make_folder, write_whole
from cobnut.machine import cores
from cobnut.options import ImageOptions

Scalar = TypeVar("Scalar", bound=np.generic)
# Raise when read_image comes to give other pixels for the same file and options.
DECODER_VERSION = 1
MOST_KEPT_GIGABYTES = 8.0
# How many arrays of a file this process holds: what is in use is never taken away to make room, however large it is.
_IN_USE = Counter[Path]()
_DAY_SECONDS = 86_400


def cache_folder() -> Path:
    """Where kept arrays lie: ``$COBNUT_CACHE``, else the user's cache folder."""
    named = os.environ.get("COBNUT_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("cobnut", appauthor=False))


def most_kept() -> float:
    """Bytes that kept arrays may take, but for those in use: ``$COBNUT_CACHE_GB`` gigabytes (10⁹ bytes), else 8.

    Raises :class:`DataError` for what is no number.
    """
    named = os.environ.get("COBNUT_CACHE_GB") or str(MOST_KEPT_GIGABYTES)
    try:
        gigabytes = float(named)
    except ValueError:
        gigabytes = math.nan
    if not gigabytes >= 0:
        raise DataError(f"COBNUT_CACHE_GB={named}: is no number of gigabytes; set one, such as 20")
    return gigabytes * 1e9


def kept_images(
    paths: Sequence[Path],
    hashes: Sequence[str],
    options: ImageOptions,
    on_progress: Callable[[int], None] = lambda _: None,
    region: Region | None = None,
) -> NDArray[np.uint8]:
    """The images as one read-only memory-mapped array, uint8 (n, height, width, channels), in the order of ``paths``.

    What lies outside ``region`` (height, width) is painted over. Kept under a key of all that: what was decoded once is
    only opened. ``on_progress`` hears of every image that is done. Raises :class:`DataError` naming the first damaged
    image and how many there are.
    """
    told = 0

    def decoded() -> Iterator[NDArray[np.uint8]]:
        nonlocal told
        for pixels in _decoded(paths, options):
            yield paint(pixels, region)
            told += 1
            on_progress(1)

    shape = (len(paths), *options.shape, options.channels)
    kept = kept_array(_key(hashes, options, region), shape, np.dtype(np.uint8), decoded())
    if not told:
        on_progress(len(paths))
    return kept


def kept_array(
    key: str, shape: tuple[int, ...], dtype: np.dtype[Scalar], chunks: Iterator[NDArray[Scalar]]
) -> NDArray[Scalar]:
    """The array kept under ``key``, read-only and memory-mapped; made from ``chunks`` of it where it is not there.

    Raises :class:`DataError` before anything is made where the disk has no room for it, and when what was written
    cannot be read back.
    """
    target = cache_folder() / f"{key}.npy"
    kept = _open_kept(target, shape, dtype)
    if kept is not None:
        os.utime(target)  # the least recently used go first when space is needed
        return kept
    _make_room(target.parent, math.prod(shape) * dtype.itemsize)
    with write_whole(target) as partial, partial.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        # Plain writes, not a writable map: a full disk then raises an error instead of killing the process.
        for chunk in chunks:
            file.write(chunk.tobytes())
    kept = _open_kept(target, shape, dtype)
    if kept is None:
        raise DataError(f"{target}: cannot be read back; check the disk, or set $COBNUT_CACHE to another one")
    return kept


def _open_kept(path: Path, shape: tuple[int, ...], dtype: np.dtype[Scalar]) -> NDArray[Scalar] | None:
    """The kept array, or ``None`` where there is none or it is damaged."""
    try:
        kept: NDArray[Scalar] = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    if kept.shape != shape or kept.dtype != dtype:
        return None
    _IN_USE[path] += 1
    weakref.finalize(kept.base, _IN_USE.subtract, [path])  # views share the base, and keep it
    return kept


def _decoded(paths: Sequence[Path], options: ImageOptions) -> Iterator[NDArray[np.uint8]]:
    damaged: list[ImageError] = []

    def decode(path: Path) -> NDArray[np.uint8] | ImageError:
        try:
            return read_image(path, options)
        except ImageError as error:
            return error

    with ThreadPoolExecutor(max_workers=cores()) as pool:
        for result in pool.map(decode, paths):
            if isinstance(result, ImageError):
                damaged.append(result)
            elif not damaged:
                yield result
    if damaged:
        more = f" ({len(damaged)} images of {len(paths)} are damaged)" if len(damaged) > 1 else ""
        raise DataError(f"{damaged[0]}{more}; `cobnut data` lists them")


def _key(hashes: Sequence[str], options: ImageOptions, region: Region | None) -> str:
    painted = [] if region is None else [hashlib.sha256(region.tobytes()).hexdigest()]
    text = json.dumps([DECODER_VERSION, options.shape, options.mode, options.bits, list(hashes), *painted])
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _make_room(folder: Path, wanted: int) -> None:
    """Take away what was used longest ago, until so many bytes fit on the disk, and below the limit beside the rest.

    Nothing is taken away where that would not be enough.
    """
    most = most_kept()
    make_folder(folder)
    for broken_off in folder.glob(".*.part"):
        if time.time() - _facts(broken_off)[0] > _DAY_SECONDS:
            broken_off.unlink(missing_ok=True)
    kept = sorted((*_facts(path), path) for path in folder.glob("*.npy"))
    free = shutil.disk_usage(folder).free
    room = free + sum(size for _, size, path in kept if not _IN_USE[path])
    if wanted > room:
        raise DataError(
            f"{folder}: needs {wanted / 1e9:.1f} GB for what is kept of the images, and {room / 1e9:.1f} can be had; "
            "make room, set $COBNUT_CACHE to a larger disk, or lower image.size"
        )
    total = sum(size for _, size, _ in kept) + wanted
    for _, size, path in kept:
        if (total > most or wanted > free) and not _IN_USE[path]:
            path.unlink(missing_ok=True)
            total, free = total - size, free + size


def _facts(path: Path) -> tuple[float, int]:
    """When a file was used last and its size; now and nothing for one that another process has just taken away."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return time.time(), 0
    return facts.st_mtime, facts.st_size
