"""Images in a bucket or on a network are judged as files are, and a run stops where the way to them is cut."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest

from batches import COUNT, InThisProcess, rows_of, stopped_half_way
from cobnut.errors import CobnutError
from cobnut.runtime.batch import Request, run_batch


def test_a_folder_that_is_gone_stops_the_run_rather_than_fill_it_with_errors(
    request_: Request, images: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    moving = stopped_half_way(request_, images, folder)
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(CobnutError, match="no such image, and .*/in is gone or empty; mend the way to them"):
        run_batch(moving, InThisProcess())
    (tmp_path / "elsewhere").rename(folder)
    assert run_batch(moving, InThisProcess()).record.judged == COUNT - 2


def test_a_mount_point_that_is_emptied_within_a_shard_stops_the_run(
    request_: Request, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(images, tmp_path / "in"))
    whole, reads = Path.read_bytes, 0

    def read_bytes(path: Path) -> bytes:
        nonlocal reads
        if path.parent == folder:
            reads += 1
            if reads == 4:
                for each in folder.iterdir():
                    each.unlink()
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    with pytest.raises(CobnutError, match="no such image, and .*/in is gone or empty"):
        run_batch(replace(request_, sources=[str(folder)], shard=8), InThisProcess())
    shutil.copytree(images, folder, dirs_exist_ok=True)
    assert run_batch(replace(request_, sources=[str(folder)], shard=8), InThisProcess()).record.judged == COUNT - 2


def test_one_of_several_sources_that_is_gone_stops_the_run(request_: Request, images: Path, tmp_path: Path) -> None:
    folders = [Path(shutil.copytree(images, tmp_path / name)) for name in ("left", "right")]
    both = replace(request_, sources=[str(each) for each in folders])
    with pytest.raises(KeyboardInterrupt):
        run_batch(both, InThisProcess(most=1))
    folders[0].rename(tmp_path / "elsewhere")
    with pytest.raises(CobnutError, match="no such image, and .*/left is gone or empty; mend the way to them"):
        run_batch(both, InThisProcess())
    (tmp_path / "elsewhere").rename(folders[0])
    assert run_batch(both, InThisProcess()).record.judged == 2 * (COUNT - 2)


def test_images_in_a_bucket_are_judged_as_files_are(request_: Request, images: Path, tmp_path: Path) -> None:
    system = fsspec.filesystem("memory")
    system.put(str(images), "/line-7", recursive=True)
    run_batch(replace(request_, out=tmp_path / "files"), InThisProcess())
    run_batch(replace(request_, sources=["memory://line-7"], maps=True), InThisProcess())
    for remote, local in zip(rows_of(request_.out), rows_of(tmp_path / "files"), strict=True):
        assert remote["path"] == f"memory:///line-7/{Path(local['path']).name}"
        same = ("score", "p_value", "is_defective", "brightness", "sharpness", "sha256")
        assert [remote[name] for name in same] == [local[name] for name in same]
        assert (remote["error"] is None) == (local["error"] is None)
    assert len(list((request_.out / "maps").rglob("*.png"))) == COUNT - 2
    system.rm("/line-7", recursive=True)


@pytest.mark.parametrize("protocol", ["local", "file"])
def test_pictures_of_images_behind_an_alias_of_a_protocol_find_their_place(
    request_: Request, images: Path, protocol: str
) -> None:
    run_batch(replace(request_, sources=[f"{protocol}://{images}"], maps=True), InThisProcess())
    assert len(list((request_.out / "maps").glob("*.png"))) == COUNT - 2
    assert rows_of(request_.out)[0]["path"].startswith(f"{protocol}://")


def test_a_connection_that_fails_for_all_stops_the_run(
    request_: Request, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = fsspec.filesystem("memory")
    system.put(str(images), "/line-8", recursive=True)
    monkeypatch.setattr("cobnut.runtime.shards._WAITS", (0.0, 0.0))
    remote = replace(request_, sources=["memory://line-8"], shard=10)
    broken = 3

    def cat_file(self: Any, path: str, **options: Any) -> bytes:
        nonlocal broken
        if broken or path.endswith("0007.png"):
            broken = max(0, broken - 1)
            raise ConnectionError("reset by peer")
        return whole(self, path, **options)

    whole = type(system).cat_file
    monkeypatch.setattr(type(system), "cat_file", cat_file)
    batch = run_batch(remote, InThisProcess())
    rows = rows_of(request_.out)
    assert "0007.png: cannot be read (reset by peer)" in rows[7]["error"]
    assert batch.record.unreadable in (3, 4)  # three failures in a row may all have hit one image
    broken = 10**6
    with pytest.raises(CobnutError, match="reset by peer.*mend the way to them, and the same command goes on"):
        run_batch(replace(remote, is_fresh=True), InThisProcess())
    system.rm("/line-8", recursive=True)
