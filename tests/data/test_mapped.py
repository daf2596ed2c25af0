"""Arrays in files leave the memory again, and nothing else does."""

import sys
from pathlib import Path

import numpy as np
import pytest

from cobnut.data.images import in_chunks
from cobnut.data.mapped import release

PIXELS = np.random.default_rng(0).integers(0, 256, (64, 256, 256, 3), dtype=np.uint8)


def mapped_megabytes() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssFile"))


@pytest.fixture
def kept(tmp_path: Path) -> np.ndarray:
    np.save(tmp_path / "kept.npy", PIXELS)
    array: np.ndarray = np.load(tmp_path / "kept.npy", mmap_mode="r")
    return array


@pytest.mark.skipif(sys.platform != "linux", reason="told by /proc")
def test_what_was_looked_at_in_chunks_is_no_longer_in_memory(kept: np.ndarray) -> None:
    before = mapped_megabytes()
    total = sum(int(batch.sum(dtype=np.int64)) for batch in in_chunks(kept))
    assert total == PIXELS.sum(dtype=np.int64)
    assert mapped_megabytes() - before < PIXELS.nbytes / 2**20 / 2


def test_it_is_read_anew_also_through_a_part_of_it(kept: np.ndarray) -> None:
    part = kept[1::2]
    release(part)
    np.testing.assert_array_equal(part, PIXELS[1::2])
    np.testing.assert_array_equal(kept, PIXELS)


def test_arrays_that_lie_in_no_file_or_may_be_written_keep_what_they_hold(tmp_path: Path) -> None:
    changed = PIXELS[:2].copy()
    release(changed)
    np.testing.assert_array_equal(changed, PIXELS[:2])
    np.save(tmp_path / "kept.npy", PIXELS[:2])
    written = np.load(tmp_path / "kept.npy", mmap_mode="c")
    written[:] = 7
    release(written)
    assert (written == 7).all()
