"""Files are whole or absent."""

from pathlib import Path

import pytest

from cobnut.errors import CobnutError
from cobnut.files import hash_file, make_folder, write_whole, write_whole_folder


def test_a_finished_file_takes_its_name_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    with write_whole(tmp_path / "new" / "a.txt") as partial:
        partial.write_text("done")
    assert (tmp_path / "new" / "a.txt").read_text() == "done"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_a_failed_file_leaves_the_former_one_untouched(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("former")
    with pytest.raises(OSError, match="full"), write_whole(target) as partial:
        partial.write_text("half")
        raise OSError("disk full")
    assert target.read_text() == "former"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_folder_leaves_the_former_one_untouched(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "former").touch()
    with pytest.raises(OSError, match="full"), write_whole_folder(target) as partial:
        (partial / "half").touch()
        raise OSError("disk full")
    assert [path.name for path in target.iterdir()] == ["former"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_finished_folder_replaces_the_former_one(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    for name in ("first", "second"):
        with write_whole_folder(target) as partial:
            (partial / name).touch()
    assert [path.name for path in target.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_in_the_way_of_a_folder_is_told_plainly(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(CobnutError, match="a file stands where a folder is needed"):
        make_folder(tmp_path / "a" / "b")


def test_the_hash_is_sha_256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert hash_file(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
