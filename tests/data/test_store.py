"""Images are decoded once and kept."""

import errno
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cobnut.data import store
from cobnut.data.images import read_image
from cobnut.data.split import content_hashes
from cobnut.data.store import cache_folder, kept_images
from cobnut.errors import DataError
from cobnut.options import ImageOptions
from cobnut.records import Sample

OPTIONS = ImageOptions(size=16)


@pytest.fixture
def files(samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Path], list[str]]:
    monkeypatch.setenv("COBNUT_CACHE", str(tmp_path / "cache"))
    hashes = content_hashes(samples[:5])
    return list(hashes), list(hashes.values())


def test_the_kept_array_holds_the_decoded_images_in_order(files: tuple[list[Path], list[str]]) -> None:
    heard: list[int] = []
    kept = kept_images(*files, OPTIONS, heard.append)
    assert isinstance(kept, np.memmap)
    np.testing.assert_array_equal(kept, np.stack([read_image(path, OPTIONS) for path in files[0]]))
    assert sum(heard) == 5


def test_a_second_call_decodes_nothing(files: tuple[list[Path], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    first = np.array(kept_images(*files, OPTIONS))
    monkeypatch.setattr(store, "read_image", lambda *_: pytest.fail("decoded again"))
    np.testing.assert_array_equal(kept_images(*files, OPTIONS), first)


def test_other_options_or_contents_are_kept_apart(files: tuple[list[Path], list[str]]) -> None:
    kept_images(*files, OPTIONS)
    kept_images(*files, ImageOptions(size=24))
    kept_images(*files, ImageOptions(size=64, aspect=2.0))
    kept_images(*files, ImageOptions(size=64, aspect=0.5))
    kept_images(files[0][:4], files[1][:4], OPTIONS)
    assert len(list(cache_folder().glob("*.npy"))) == 5


def test_a_damaged_image_is_named_and_nothing_is_kept(files: tuple[list[Path], list[str]], tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"bad\.png.*2 images of 7 are damaged.*`cobnut data` lists them"):
        kept_images([*files[0], tmp_path / "bad.png", tmp_path / "bad.png"], [*files[1], "x", "y"], OPTIONS)
    assert list(cache_folder().iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(
    files: tuple[list[Path], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    with pytest.raises(OSError, match="No space left"):
        kept_images(*files, OPTIONS)
    assert list(cache_folder().iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"rubbish"])
def test_a_damaged_array_is_made_anew(files: tuple[list[Path], list[str]], content: bytes) -> None:
    whole = np.array(kept_images(*files, OPTIONS))
    next(cache_folder().glob("*.npy")).write_bytes(content)
    np.testing.assert_array_equal(kept_images(*files, OPTIONS), whole)


def test_the_cache_stays_within_its_limit(files: tuple[list[Path], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []
    monkeypatch.setenv("COBNUT_CACHE_GB", "30e-6")
    for size in (16, 32, 48, 16):  # 4, 15 and 35 kB
        kept_images(*files, ImageOptions(size=size))
        kept.append(sum(path.stat().st_size for path in cache_folder().glob("*.npy")) // 1000)
    assert kept == [3, 19, 34, 3], "what is wanted counts before it is there, and what is wanted now is made anyway"


def test_what_is_in_use_stays_however_large_it_is(
    files: tuple[list[Path], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COBNUT_CACHE_GB", "0")
    part = kept_images(*files, ImageOptions(size=16))[1:]
    kept_images(*files, ImageOptions(size=24))
    assert len(list(cache_folder().glob("*.npy"))) == 2
    del part
    kept_images(*files, ImageOptions(size=32))
    assert len(list(cache_folder().glob("*.npy"))) == 1


def test_a_disk_without_room_is_told_before_anything_is_decoded_or_taken_away(
    files: tuple[list[Path], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_images(*files, OPTIONS)
    monkeypatch.setattr(store, "read_image", lambda *_: pytest.fail("decoded"))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(DataError, match=r"needs 0\.0 GB .*, and 0\.0 can be had; make room, set \$COBNUT_CACHE"):
        kept_images(*files, ImageOptions(size=48))
    assert len(list(cache_folder().glob("*.npy"))) == 1


def test_what_was_used_longest_ago_makes_room_on_a_full_disk(
    files: tuple[list[Path], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (24, 32):  # 9 and 15 kB
        kept_images(*files, ImageOptions(size=size))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    kept_images(*files, OPTIONS)  # 4 kB
    sizes = sorted(path.stat().st_size // 1000 for path in cache_folder().glob("*.npy"))
    assert sizes == [3, 15]


@pytest.mark.parametrize("named", ["many", "-1", "nan"])
def test_a_limit_that_is_no_number_is_refused(
    named: str, files: tuple[list[Path], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COBNUT_CACHE_GB", named)
    with pytest.raises(DataError, match=f"COBNUT_CACHE_GB={named}: is no number of gigabytes"):
        kept_images(*files, OPTIONS)


def test_what_is_in_use_makes_no_room_on_a_full_disk(
    files: tuple[list[Path], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = kept_images(*files, ImageOptions(size=48))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(DataError, match="make room"):
        kept_images(*files, OPTIONS)
    assert held.shape == (5, 48, 48, 3)
