import hashlib
import io
import json
import re
import tarfile
from pathlib import Path

import pytest

from cobnut.data.download import PINS, download
from cobnut.data.download.archives import Archive, Counts, count_images
from cobnut.data.download.mvtec import MVTEC, MVTEC_ALL, MVTEC_LICENCE, find_archives
from cobnut.errors import DownloadError

COUNTS = Counts(3, 2, 1)


def tar_xz(*categories: str, counts: Counts = COUNTS, pixels: bytes = b"pixels", leading: str = "") -> bytes:
    classes = zip(("train/good", "test/good", "test/cut"), counts, strict=True)
    names = [f"{folder}/{number:03}.png" for folder, count in classes for number in range(count)]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as tar:
        for category in categories:
            for name in names:
                member = tarfile.TarInfo(f"{leading}{category}/{name}")
                member.size = len(pixels)
                tar.addfile(member, io.BytesIO(pixels))
    return buffer.getvalue()


@pytest.fixture
def carpet(server) -> Archive:
    return Archive("carpet", (server.offer("carpet.tar.xz", tar_xz("carpet")),), None, None, {"carpet": COUNTS})


@pytest.fixture
def whole(server) -> Archive:
    content = tar_xz("carpet", "grid", leading="mvtec/")
    sha256 = hashlib.sha256(content).hexdigest()
    return Archive(
        "mvtec",
        (server.offer("mvtec.tar.xz", content),),
        sha256,
        len(content),
        dict.fromkeys(("carpet", "grid"), COUNTS),
    )


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refused(archive: Archive, folder: Path, **options) -> str:
    with pytest.raises(DownloadError) as caught:
        download([archive], folder, pause_seconds=0, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_brings_a_category_and_pins_its_hash(server, carpet: Archive, tmp_path: Path) -> None:
    messages: list[str] = []
    assert download([carpet], tmp_path, on_message=messages.append) == [tmp_path / "carpet"]
    sha256 = hashlib.sha256(server.files["carpet.tar.xz"]).hexdigest()
    assert names_in(tmp_path) == [PINS, "carpet"]
    assert json.loads((tmp_path / PINS).read_text()) == {"carpet.tar.xz": sha256}
    assert count_images(tmp_path / "carpet") == COUNTS
    assert messages[0] == "carpet: fetching"
    assert sha256 in messages[-1]


def test_a_second_run_fetches_nothing(server, carpet: Archive, whole: Archive, tmp_path: Path) -> None:
    first = download([carpet, whole], tmp_path)
    asked, messages = len(server.requests), []
    assert download([carpet, whole], tmp_path, on_message=messages.append) == first
    assert len(server.requests) == asked
    assert messages == [f"{name}: already complete in {tmp_path}" for name in ("carpet", "mvtec")]


def test_the_whole_set_brings_only_what_is_missing(carpet: Archive, whole: Archive, tmp_path: Path) -> None:
    download([carpet], tmp_path)
    (tmp_path / "carpet" / "notes.txt").write_text("mine")
    assert download([whole], tmp_path) == [tmp_path / "carpet", tmp_path / "grid"]
    assert (tmp_path / "carpet" / "notes.txt").read_text() == "mine"
    assert count_images(tmp_path / "grid") == COUNTS
    assert "mvtec.tar.xz" not in json.loads((tmp_path / PINS).read_text())


def test_resumes_and_tells_the_progress(server, carpet: Archive, tmp_path: Path) -> None:
    server.break_after = [100]
    seen: list[int] = []
    download([carpet], tmp_path, pause_seconds=0, on_progress=lambda done, _: seen.append(done))
    assert server.ranges == [None, "bytes=100-"]
    assert seen == [100, len(server.files["carpet.tar.xz"])]


def test_a_kept_archive_is_unpacked_again_without_a_request(server, carpet: Archive, tmp_path: Path) -> None:
    download([carpet], tmp_path, keep=True)
    (tmp_path / "carpet").rename(tmp_path / "moved")
    download([carpet], tmp_path)
    assert len(server.requests) == 1
    assert names_in(tmp_path) == [PINS, "carpet", "moved"]


def test_refuses_an_archive_that_differs_from_its_pin(server, carpet: Archive, tmp_path: Path) -> None:
    download([carpet], tmp_path)
    (tmp_path / "carpet").rename(tmp_path / "moved")
    server.offer("carpet.tar.xz", tar_xz("carpet", pixels=b"forged"))
    forged = hashlib.sha256(server.files["carpet.tar.xz"]).hexdigest()
    message = refused(carpet, tmp_path)
    assert re.search(rf"SHA-256 is {forged}, but .*{re.escape(PINS)} pins \w{{64}} .*give --sha256 {forged}", message)
    assert not (tmp_path / "carpet").exists()
    download([carpet], tmp_path, sha256=forged)
    assert json.loads((tmp_path / PINS).read_text()) == {"carpet.tar.xz": forged}


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_refuses_a_damaged_pin_file(carpet: Archive, tmp_path: Path, content: str) -> None:
    (tmp_path / PINS).write_text(content, encoding="latin-1")
    assert "damaged" in refused(carpet, tmp_path)


def test_pins_nothing_that_does_not_unpack(server, carpet: Archive, tmp_path: Path) -> None:
    server.offer("carpet.tar.xz", tar_xz("carpet")[:-20])
    assert "delete it and download it again" in refused(carpet, tmp_path)
    assert names_in(tmp_path) == ["carpet.tar.xz"]
    (tmp_path / "carpet.tar.xz").unlink()
    server.offer("carpet.tar.xz", tar_xz("carpet", counts=Counts(3, 2, 2)))
    assert "3 train good, 2 test good, 2 test defective, but 3 train" in refused(carpet, tmp_path)
    assert names_in(tmp_path) == ["carpet.tar.xz"]


def test_never_replaces_images_that_are_the_users(server, carpet: Archive, tmp_path: Path) -> None:
    (tmp_path / "carpet").mkdir()
    (tmp_path / "carpet" / "mine.png").write_bytes(b"mine")
    message = refused(carpet, tmp_path)
    assert "is there already, with 0 train good" in message
    assert "move it away or name another folder" in message
    assert server.requests == []
    (tmp_path / "carpet" / "mine.png").unlink()
    download([carpet], tmp_path)


def test_an_own_hash_goes_with_one_archive(carpet: Archive, whole: Archive, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="proves one archive, but 2 are named"):
        download([carpet, whole], tmp_path, sha256="0" * 64)
    assert "expected 0000" in refused(carpet, tmp_path, sha256="0" * 64)
    assert names_in(tmp_path) == []


def test_refuses_a_folder_that_is_a_file(server, carpet: Archive, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Exception, match="a file stands where a folder is needed"):
        download([carpet], tmp_path / "file")
    assert server.requests == []


def test_finds_the_archives_of_categories() -> None:
    assert [archive.name for archive in find_archives(["grid", "carpet", "grid"])] == ["grid", "carpet"]
    with pytest.raises(
        DownloadError, match=r"^hazelnuts: no such category of MVTec AD; name some of bottle, cable.*zipper"
    ):
        find_archives(["carpet", "hazelnuts"])
    with pytest.raises(DownloadError, match="no category named"):
        find_archives([])


def test_the_registry_is_that_of_the_paper() -> None:
    assert len(MVTEC) == 15
    assert all(url.endswith(f"/{archive.filename}") for archive in (*MVTEC.values(), MVTEC_ALL) for url in archive.urls)
    assert all(archive.counts.keys() == {name} for name, archive in MVTEC.items())
    # The paper's totals: 3629 images to train on, 1725 to test.
    assert sum(counts.train_good for counts in MVTEC_ALL.counts.values()) == 3629
    assert sum(counts.test_good + counts.test_defective for counts in MVTEC_ALL.counts.values()) == 1725
    assert re.fullmatch("[0-9a-f]{64}", MVTEC_ALL.sha256 or "")
    assert "not for commercial use" in MVTEC_LICENCE
