"""What is to be judged: folders, patterns, files, lists and URLs become one list, each image once."""

import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cobnut.errors import CobnutError, DataError
from cobnut.runtime.sources import place_of, read_sources

NAMES = ["a/1.png", "a/2.PNG", "b/3.jpg", "b/deep/4.tif"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty files with the names of images, and some that are none; the working directory."""
    for name in (*NAMES, "a/notes.md", "a/.hidden.png", "ground_truth/1.png", "b/ground_truth/1.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bucket() -> Iterator[str]:
    """The same in a bucket that lies in this process's memory."""
    system = fsspec.filesystem("memory")
    for name in (*NAMES, "a/notes.md", "a/.hidden.png", "ground_truth/1.png", "b/ground_truth/1.png"):
        system.pipe(f"/bucket/in/{name}", b"")
    yield "memory://bucket"
    system.rm("/bucket", recursive=True)


@pytest.mark.usefixtures("folder")
def test_a_folder_gives_its_images_sorted_without_masks_and_hidden_files() -> None:
    listing = read_sources(["in"])
    assert listing.images == [f"in/{name}" for name in NAMES]
    assert listing.roots == [place_of("in")]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("pattern", "found"),
    [("in/*/*.png", ["a/1.png"]), ("in/**/*.*", NAMES[:2] + NAMES[2:]), ("in/?/[13].*", ["a/1.png", "b/3.jpg"])],
)
def test_a_pattern_gives_the_images_that_it_matches(pattern: str, found: list[str]) -> None:
    listing = read_sources([pattern])
    assert sorted(listing.images) == [f"in/{name}" for name in found]
    assert listing.roots == [place_of("in")]


def test_two_slashes_in_front_are_one_and_the_same_place() -> None:
    assert place_of("//line-4/1.png") == place_of("/line-4/1.png") == "/line-4/1.png"


@pytest.mark.usefixtures("folder")
def test_a_name_with_brackets_is_a_name_where_there_is_such_a_file() -> None:
    Path("in/part[1].png").touch()
    assert read_sources(["in/part[1].png"]).images == ["in/part[1].png"]


@pytest.mark.usefixtures("folder")
def test_every_kind_of_list_names_images_beside_itself_and_elsewhere() -> None:
    names = ["b/3.jpg", str(Path("in/a/1.png").absolute()), "memory://x/y.png"]
    Path("in/list.csv").write_text("Serial;Path\n" + "".join(f"7;{name}\n" for name in names), "utf-8-sig")
    Path("in/list.txt").write_text("".join(f"{name}\r\n\r\n" for name in names))
    pq.write_table(pa.table({"path": [*names, None], "n": [1, 2, 3, 4]}), "in/list.parquet")
    expected = ["in/b/3.jpg", *names[1:]]
    for kind in ("csv", "txt", "parquet"):
        listing = read_sources([f"in/list.{kind}"])
        assert listing.images == expected
        assert list(listing.lists) == [os.path.abspath(f"in/list.{kind}")]  # noqa: PTH100
        assert listing.roots == ["/"]


@pytest.mark.usefixtures("folder")
def test_an_image_that_is_named_again_counts_once_and_the_order_is_that_of_the_sources() -> None:
    listing = read_sources(["in/b", "in/a/1.png", "in", "./in/b/../a"])
    assert listing.images == [f"in/{name}" for name in (*NAMES[2:], *NAMES[:2])]
    assert listing.repeated == 3 + 2


def test_a_bucket_is_listed_as_a_folder_is(bucket: str) -> None:
    listing = read_sources([f"{bucket}/in"])
    assert [place_of(image) for image in listing.images] == [f"/memory/bucket/in/{name}" for name in NAMES]
    assert listing.roots == ["/memory/bucket/in"]
    assert [place_of(image) for image in read_sources([f"{bucket}/in/*/*.png"]).images] == ["/memory/bucket/in/a/1.png"]
    assert read_sources([f"{bucket}/in/a/1.png"]).images == [f"{bucket}/in/a/1.png"]


def test_a_list_in_a_bucket_names_what_lies_beside_it(bucket: str) -> None:
    fsspec.filesystem("memory").pipe("/bucket/in/list.csv", b"path\na/1.png\nmemory://other/2.png\n")
    listing = read_sources([f"{bucket}/in/list.csv"])
    assert listing.images == [f"{bucket}/in/a/1.png", "memory://other/2.png"]


@pytest.mark.usefixtures("folder", "bucket")
@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("nowhere", "nowhere: no such file or folder"),
        ("in/a/*.gif", "no image matches this pattern"),
        ("empty", "holds no image"),
        ("no-path.csv", "lacks the column path"),
        ("empty.csv", "lacks the column path"),
        ("binary.csv", "not a CSV file in UTF-8"),
        ("binary.txt", "not a text in UTF-8"),
        ("binary.parquet", "is no Parquet file with a column path"),
        ("other.parquet", "is no Parquet file with a column path"),
        ("blank.txt", "names no image"),
        ("memory://bucket/nowhere", "holds no image"),
        ("memory://bucket/nowhere.csv", "no such list"),
    ],
)
def test_what_holds_no_image_is_told_in_a_line(source: str, told: str) -> None:
    Path("empty").mkdir()
    Path("no-path.csv").write_text("file\n1.png\n")
    Path("empty.csv").touch()
    for kind in ("csv", "txt", "parquet"):
        Path(f"binary.{kind}").write_bytes(bytes(range(128, 256)))
    pq.write_table(pa.table({"file": ["1.png"]}), "other.parquet")
    Path("blank.txt").write_text("\n\n")
    with pytest.raises(DataError, match=told):
        read_sources([source])


def test_a_protocol_whose_package_is_not_installed_is_told_with_what_installs_it() -> None:
    protocol = next(name for name in ("s3", "gs", "abfs") if _lacks_package(name))
    with pytest.raises(
        CobnutError, match=r"needs the package \w+, which is not installed: pip install 'cobnut\[remote\]'"
    ):
        read_sources([f"{protocol}://bucket/in"])
    with pytest.raises(CobnutError, match="is no protocol that fsspec knows"):
        read_sources(["nonsense://bucket/in"])


def _lacks_package(protocol: str) -> bool:
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError:
        return True
    return False
