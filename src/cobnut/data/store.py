"""Images decoded and resized once and kept on disk, memory-mapped, so that the second epoch decodes nothing."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from cobnut.data.images import read_image
from cobnut.errors import DataError, ImageError
from cobnut.files import make_folder, write_whole
from cobnut.recipe import ImageOptions

# Raise when read_image comes to give other pixels for the same file and options.
DECODER_VERSION = 1
MOST_KEPT_BYTES = 8 * 2**30
_DAY_SECONDS = 86_400


def cache_folder() -> Path:
    """Where kept arrays lie: ``$COBNUT_CACHE``, else the user's cache folder."""
    named = os.environ.get("COBNUT_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("cobnut", appauthor=False))


def kept_images(
    paths: Sequence[Path],
    hashes: Sequence[str],
    options: ImageOptions,
    on_progress: Callable[[int], None] = lambda _: None,
) -> NDArray[np.uint8]:
    """The images as one read-only memory-mapped array, uint8 (n, size, size, channels), in the order of ``paths``.

    Kept under a key of contents and options: what was decoded once is only opened. ``on_progress`` hears of every
    image that is done. Raises :class:`DataError` naming the first damaged image and how many there are.
    """
    target = cache_folder() / f"{_key(hashes, options)}.npy"
    shape = (len(paths), options.size, options.size, options.channels)
    kept = _open_kept(target, shape)
    if kept is not None:
        os.utime(target)  # the least recently used go first when space is needed
        on_progress(len(paths))
    else:
        _make_room(target.parent)
        with write_whole(target) as partial, partial.open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            # Plain writes, not a writable map: a full disk then raises an error instead of killing the process.
            for pixels in _decoded(paths, options):
                file.write(pixels.tobytes())
                on_progress(1)
        kept = _open_kept(target, shape)
    if kept is None:
        raise DataError(f"{target}: cannot be read back; check the disk, or set $COBNUT_CACHE to another one")
    return kept


def _open_kept(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """The kept array, or ``None`` where there is none or it is damaged."""
    try:
        kept: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return kept if kept.shape == shape and kept.dtype == np.uint8 else None


def _decoded(paths: Sequence[Path], options: ImageOptions) -> Iterator[NDArray[np.uint8]]:
    damaged: list[ImageError] = []

    def decode(path: Path) -> NDArray[np.uint8] | ImageError:
        try:
            return read_image(path, options)
        except ImageError as error:
            return error

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for result in pool.map(decode, paths):
            if isinstance(result, ImageError):
                damaged.append(result)
            elif not damaged:
                yield result
    if damaged:
        more = f" ({len(damaged)} images of {len(paths)} are damaged)" if len(damaged) > 1 else ""
        raise DataError(f"{damaged[0]}{more}; `cobnut data` lists them")


def _key(hashes: Sequence[str], options: ImageOptions) -> str:
    text = json.dumps([DECODER_VERSION, options.model_dump(), list(hashes)])
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _make_room(folder: Path) -> None:
    make_folder(folder)
    for broken_off in folder.glob(".*.part"):
        if time.time() - broken_off.stat().st_mtime > _DAY_SECONDS:
            broken_off.unlink(missing_ok=True)
    kept = sorted(folder.glob("*.npy"), key=lambda path: path.stat().st_mtime, reverse=True)
    total = 0
    for path in kept:
        total += path.stat().st_size
        if total > MOST_KEPT_BYTES:
            path.unlink(missing_ok=True)
