import io
import lzma
import os
import tarfile
from pathlib import Path

import pytest

from cobnut.data.download.archives import Counts, count_images, unpack
from cobnut.errors import DownloadError

COUNTS = Counts(2, 1, 1)
IMAGES = ["train/good/000.png", "train/good/001.png", "test/good/000.png", "test/cut/000.png"]


def entry(name: str, content: bytes = b"pixels", kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    member.size = len(content) if kind == tarfile.REGTYPE else 0
    return member, io.BytesIO(content)


def category(name: str, leading: str = "") -> list[tuple]:
    folders = [entry(f"{leading}{name}{rest}", kind=tarfile.DIRTYPE) for rest in ("/", "/ground_truth")]
    images = [entry(f"{leading}{name}/{image}") for image in IMAGES]
    return [*folders, *images, entry(f"{leading}{name}/ground_truth/cut/000_mask.png")]


def pack(path: Path, entries: list[tuple]) -> Path:
    with tarfile.open(path, "w:xz") as tar:
        for member, content in entries:
            content.seek(0)
            tar.addfile(member, content)
    return path


def everything_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*")) if folder.exists() else []


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "carpet.tar.xz"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


def test_unpacks_the_asked_categories_and_texts_only(tmp_path: Path, target: Path) -> None:
    texts = [entry("license.txt", b"CC BY-NC-SA 4.0"), entry("readme.txt", b"cite us")]
    path = pack(tmp_path / "mvtec.tar.xz", [*texts, *category("carpet"), *category("grid")])
    assert unpack(path, target, {"carpet": COUNTS}, skip={"grid"}) == [target / "carpet"]
    assert sorted(child.name for child in target.iterdir()) == ["carpet", "license.txt", "readme.txt"]
    assert (target / "carpet/test/cut/000.png").read_bytes() == b"pixels"
    assert count_images(target / "carpet") == COUNTS


@pytest.mark.parametrize("leading", ["mvtec_anomaly_detection/", "./", "./mvtec_anomaly_detection/"])
def test_accepts_a_leading_folder_of_the_archives_own_name(tmp_path: Path, target: Path, leading: str) -> None:
    root = entry(leading, kind=tarfile.DIRTYPE)
    path = pack(tmp_path / "mvtec_anomaly_detection.tar.xz", [root, *category("carpet", leading)])
    unpack(path, target, {"carpet": COUNTS})
    assert count_images(target / "carpet") == COUNTS


def test_replaces_an_earlier_folder_and_keeps_its_neighbours(archive: Path, target: Path) -> None:
    (target / "carpet").mkdir(parents=True)
    (target / "carpet/old.png").write_bytes(b"old")
    (target / "grid").mkdir()
    unpack(pack(archive, category("carpet")), target, {"carpet": COUNTS})
    assert not (target / "carpet/old.png").exists()
    assert sorted(child.name for child in target.iterdir()) == ["carpet", "grid"]


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_gives_the_images_plain_permissions(archive: Path, target: Path) -> None:
    entries = category("carpet")
    for member, _ in entries:
        member.mode = 0o4777
    unpack(pack(archive, entries), target, {"carpet": COUNTS})
    mask = os.umask(0)
    os.umask(mask)
    assert (target / "carpet/train/good/000.png").stat().st_mode & 0o7777 == 0o666 & ~mask
    assert (target / "carpet").stat().st_mode & 0o7777 == 0o777 & ~mask


HOSTILE = {
    "absolute": (entry("/carpet/train/good/x.png"), "leads out"),
    "parent": (entry("carpet/../../evil.png"), "leads out"),
    "parent only": (entry("..", kind=tarfile.DIRTYPE), "leads out"),
    "symlink": (entry("carpet/link", kind=tarfile.SYMTYPE, link="../../evil"), "is a link"),
    "harmless symlink": (entry("carpet/link", kind=tarfile.SYMTYPE, link="train"), "is a link"),
    "hardlink": (entry("carpet/link", kind=tarfile.LNKTYPE, link="/etc/passwd"), "is a link"),
    "device": (entry("carpet/null", kind=tarfile.CHRTYPE), "is a link, a device"),
    "fifo": (entry("carpet/pipe", kind=tarfile.FIFOTYPE), "is a link, a device"),
    "link in a skipped category": (entry("grid/link", kind=tarfile.SYMTYPE, link="/"), "is a link"),
    "other category": (entry("bottle/train/good/x.png"), "lies outside of carpet, grid"),
    "other file": (entry("setup.py"), "lies outside"),
    "text that is a folder": (entry("license.txt", kind=tarfile.DIRTYPE), "lies outside"),
    "backslash": (entry("carpet\\..\\..\\evil.png"), "holds a character"),
    "drive": (entry("carpet/C:evil.png"), "holds a character"),
    "terminal codes": (entry("carpet/\x1b[2J.png"), "holds a character"),
}


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda name: name.replace(" ", "-"))
@pytest.mark.parametrize("is_last", [True, False])
def test_refuses_a_hostile_member_and_writes_nothing(archive: Path, target: Path, hostile: str, is_last: bool) -> None:
    member, cause = HOSTILE[hostile]
    entries = [*category("carpet"), member] if is_last else [member, *category("carpet")]
    with pytest.raises(DownloadError) as caught:
        unpack(pack(archive, entries), target, {"carpet": COUNTS}, skip={"grid"})
    assert cause in str(caught.value)
    assert repr(member[0].name) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert everything_in(target) == []
    assert sorted(child.name for child in archive.parent.iterdir()) == ["carpet.tar.xz", "target"]


def test_refuses_too_many_bytes_before_they_are_written(archive: Path, target: Path) -> None:
    pack(archive, [*category("carpet"), entry("carpet/bomb.png", bytes(5_000_000))])
    assert archive.stat().st_size < 10_000
    with pytest.raises(DownloadError, match=r"'carpet/bomb.png' brings the contents beyond the 1000000 bytes"):
        unpack(archive, target, {"carpet": COUNTS}, most_bytes=1_000_000)
    assert everything_in(target) == []


def test_refuses_too_many_members(archive: Path, target: Path) -> None:
    with pytest.raises(DownloadError, match=r"is one more than the 5 allowed"):
        unpack(pack(archive, category("carpet")), target, {"carpet": COUNTS}, most_members=5)


def test_refuses_a_header_that_would_fill_the_memory(archive: Path, target: Path) -> None:
    with pytest.raises(DownloadError, match="bytes that belong to no member"):
        unpack(pack(archive, [entry("carpet/" + "a" * 3_000_000)]), target, {"carpet": COUNTS})


@pytest.mark.parametrize("tail", [bytes(1_000_000), b"more"], ids=["zeros", "data"])
def test_refuses_what_follows_the_end(archive: Path, target: Path, tail: bytes) -> None:
    pack(archive, category("carpet"))
    archive.write_bytes(lzma.compress(lzma.decompress(archive.read_bytes()) + tail))
    with pytest.raises(DownloadError, match=r"not a whole \.tar\.xz archive"):
        unpack(archive, target, {"carpet": COUNTS})
    assert everything_in(target) == []


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_refuses_a_truncated_archive(archive: Path, target: Path, kept: float) -> None:
    content = pack(archive, category("carpet")).read_bytes()
    archive.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(DownloadError, match=r"not a whole \.tar\.xz archive .*; delete it and download it again"):
        unpack(archive, target, {"carpet": COUNTS})
    assert everything_in(target) == []


def test_refuses_a_flipped_byte_wherever_it_lies(archive: Path, target: Path) -> None:
    content = pack(archive, category("carpet")).read_bytes()
    for place in range(0, len(content), 7):
        archive.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        with pytest.raises(DownloadError):
            unpack(archive, target, {"carpet": COUNTS})
    assert everything_in(target) == []


def test_refuses_what_is_no_archive(archive: Path, target: Path) -> None:
    with pytest.raises(DownloadError, match="no such archive; download it first"):
        unpack(archive, target, {"carpet": COUNTS})
    archive.write_text("<!DOCTYPE html>")
    with pytest.raises(DownloadError, match=r"not a whole \.tar\.xz archive"):
        unpack(archive, target, {"carpet": COUNTS})


def test_refuses_other_counts_than_the_published_and_places_no_category(tmp_path: Path, target: Path) -> None:
    path = pack(tmp_path / "mvtec.tar.xz", [*category("carpet"), *category("grid")[:-2]])
    with pytest.raises(DownloadError, match=r"grid holds 2 train good, 1 test good, 0 test defective, but 2 train"):
        unpack(path, target, {"carpet": COUNTS, "grid": COUNTS})
    assert everything_in(target) == []


def test_refuses_a_file_where_a_folder_stands(archive: Path, target: Path) -> None:
    with pytest.raises(DownloadError, match="'carpet/train/good' stands where another member stands"):
        unpack(pack(archive, [*category("carpet"), entry("carpet/train/good")]), target, {"carpet": COUNTS})


def test_tells_a_full_disk_plainly(archive: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "extract", refuse)
    with pytest.raises(DownloadError, match=r"cannot be written \(No space left on device\); make room"):
        unpack(pack(archive, category("carpet")), target, {"carpet": COUNTS})
    assert everything_in(target) == []
