"""Arrays that lie in files: their pages are given back once they have been seen, so that memory stays small."""

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray


def release(kept: NDArray[Any]) -> None:
    """Let go of what is in memory of a read-only memory-mapped array, or of a part of one; it is read anew when needed.

    Any other array stays as it is, and so do all of them where the system cannot do that.
    """
    base: object = kept
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and not kept.flags.writeable and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
