import errno
import hashlib
import socket
from pathlib import Path
from typing import NamedTuple

import pytest

from cobnut.data.download.archives import Archive
from cobnut.data.download.transfer import fetch
from cobnut.errors import DownloadError

CONTENT = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Free(NamedTuple):
    total: int
    used: int
    free: int


def archive_at(*urls: str, sha256: str | None = SHA256, size_bytes: int | None = None) -> Archive:
    return Archive("carpet", urls, sha256, size_bytes, {})


@pytest.fixture
def url(server) -> str:
    return server.offer("carpet.tar.xz", CONTENT)


def refused(archive: Archive, folder: Path, **options) -> str:
    with pytest.raises(DownloadError) as caught:
        fetch(archive, folder, pause_seconds=0, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_fetches_and_leaves_nothing_else(server, url: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = fetch(archive_at(url), tmp_path / "new", on_progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert names_in(tmp_path / "new") == ["carpet.tar.xz"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    assert server.ranges == [None]


def test_resumes_a_broken_off_transfer(server, url: str, tmp_path: Path) -> None:
    server.break_after = [300_000, 200_000]
    assert fetch(archive_at(url), tmp_path, pause_seconds=0).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_resumes_on_another_day(server, url: str, tmp_path: Path) -> None:
    server.break_after = [300_000]
    message = refused(archive_at(url), tmp_path, tries=1)
    assert "broken off after 300000 of 1048576 bytes" in message
    assert "run the same command again" in message
    assert names_in(tmp_path) == ["carpet.tar.xz.part", "carpet.tar.xz.part.json"]
    assert fetch(archive_at(url), tmp_path).read_bytes() == CONTENT
    assert server.requests[-1].headers["Range"] == "bytes=300000-"
    assert server.requests[-1].headers["If-Range"] == '"1"'


def test_new_bytes_renew_the_tries(server, url: str, tmp_path: Path) -> None:
    server.break_after = [100_000] * 8
    assert fetch(archive_at(url), tmp_path, tries=2, pause_seconds=0).read_bytes() == CONTENT
    assert len(server.requests) == 9


def test_gives_up_after_tries_without_a_new_byte(server, url: str, tmp_path: Path) -> None:
    server.break_after = [0] * 9
    assert "after 3 tries" in refused(archive_at(url), tmp_path, tries=3)
    assert len(server.requests) == 3


@pytest.mark.parametrize("validator", ["etag", "weak etag", "modified", "none"])
def test_resumes_with_every_kind_of_validator(server, url: str, tmp_path: Path, validator: str) -> None:
    server.validator = validator
    server.break_after = [300_000]
    assert fetch(archive_at(url), tmp_path, pause_seconds=0).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]
    assert (server.requests[-1].headers["If-Range"] is not None) == (validator in {"etag", "modified"})


def test_starts_over_where_the_server_ignores_ranges(server, url: str, tmp_path: Path) -> None:
    server.ignores_range = True
    server.break_after = [300_000]
    assert fetch(archive_at(url), tmp_path, pause_seconds=0).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]


@pytest.mark.parametrize("validator", ["etag", "weak etag", "modified"])
@pytest.mark.parametrize("ignores_if_range", [False, True])
def test_never_glues_two_versions(server, url: str, tmp_path: Path, validator: str, ignores_if_range: bool) -> None:
    server.validator, server.ignores_if_range = validator, ignores_if_range
    server.break_after = [300_000]
    refused(archive_at(url, sha256=None), tmp_path, tries=1)
    changed = CONTENT[::-1]
    server.offer("carpet.tar.xz", changed)
    server.version = 2
    assert fetch(archive_at(url, sha256=None), tmp_path, pause_seconds=0).read_bytes() == changed


def test_starts_over_where_another_range_comes(server, url: str, tmp_path: Path) -> None:
    server.break_after = [300_000]
    server.range_shift = 10
    assert fetch(archive_at(url), tmp_path, pause_seconds=0).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-", None]


@pytest.mark.parametrize("extra", [b"", b"stale"], ids=["complete", "stale"])
def test_416_means_a_complete_part_or_a_stale_one(server, url: str, tmp_path: Path, extra: bytes) -> None:
    server.break_after = [300_000]
    refused(archive_at(url), tmp_path, tries=1)
    (tmp_path / "carpet.tar.xz.part").write_bytes(CONTENT + extra)
    assert fetch(archive_at(url), tmp_path, pause_seconds=0).read_bytes() == CONTENT
    assert server.ranges[1:] == ([f"bytes={len(CONTENT)}-"] if not extra else [f"bytes={len(CONTENT) + 5}-", None])


@pytest.mark.parametrize("note", [None, "", "[]", '{"url": 1}'])
def test_starts_over_where_nothing_vouches_for_the_part(server, url: str, tmp_path: Path, note: str | None) -> None:
    (tmp_path / "carpet.tar.xz.part").write_bytes(b"of unknown descent")
    if note is not None:
        (tmp_path / "carpet.tar.xz.part.json").write_text(note)
    assert fetch(archive_at(url), tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None]


def test_a_wrong_hash_removes_the_part(url: str, tmp_path: Path) -> None:
    message = refused(archive_at(url, sha256="0" * 64), tmp_path)
    assert SHA256 in message
    assert "0" * 64 in message
    assert "it was removed" in message
    assert names_in(tmp_path) == []


def test_an_own_hash_overrides_hash_and_size(url: str, tmp_path: Path) -> None:
    archive = archive_at(url, sha256="0" * 64, size_bytes=5)
    assert fetch(archive, tmp_path, sha256=SHA256.upper()).read_bytes() == CONTENT
    assert "expected 1111" in refused(archive, tmp_path, sha256="1" * 64)
    assert names_in(tmp_path) == ["carpet.tar.xz"]
    assert "64 hexadecimal digits" in refused(archive, tmp_path, sha256="abc")


def test_an_archive_that_is_there_is_proved_without_a_request(server, url: str, tmp_path: Path) -> None:
    (tmp_path / "carpet.tar.xz").write_bytes(CONTENT)
    fetch(archive_at(url), tmp_path)
    (tmp_path / "carpet.tar.xz").write_bytes(b"damaged")
    assert "delete" in refused(archive_at(url), tmp_path)
    assert server.requests == []


@pytest.mark.parametrize("status", [403, 404, 410])
def test_falls_through_to_the_next_mirror(server, url: str, tmp_path: Path, status: int) -> None:
    gone = server.url("gone.tar.xz")
    server.statuses["gone.tar.xz"] = [status]
    assert fetch(archive_at(gone, url), tmp_path).read_bytes() == CONTENT
    assert [request.name for request in server.requests] == ["gone.tar.xz", "carpet.tar.xz"]


def test_continues_at_the_mirror_that_the_part_came_from(server, url: str, tmp_path: Path) -> None:
    other = server.offer("other.tar.xz", CONTENT)
    server.break_after = [300_000]
    refused(archive_at(other), tmp_path, tries=1)
    fetch(archive_at(url, other), tmp_path)
    assert server.requests[-1].name == "other.tar.xz"
    assert server.ranges[-1] == "bytes=300000-"


def test_starts_over_at_another_mirror(server, url: str, tmp_path: Path) -> None:
    other = server.offer("other.tar.xz", CONTENT)
    server.break_after = [300_000]
    assert fetch(archive_at(other, url), tmp_path, tries=1).read_bytes() == CONTENT
    assert server.ranges == [None, None]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_tries_again_after_a_passing_trouble(server, url: str, tmp_path: Path, status: int) -> None:
    server.statuses["carpet.tar.xz"] = [status, status]
    assert fetch(archive_at(url), tmp_path, pause_seconds=0.01).read_bytes() == CONTENT


def test_names_every_mirror_that_failed(server, tmp_path: Path) -> None:
    message = refused(archive_at(server.url("a"), server.url("b")), tmp_path)
    assert f"{server.url('a')}: HTTP 404; {server.url('b')}: HTTP 404" in message
    assert "check the network" in message


def test_refuses_a_server_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    assert "after 2 tries" in refused(archive_at("http://127.0.0.1:9/carpet.tar.xz"), tmp_path, tries=2)


def test_gives_up_a_server_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/carpet.tar.xz"
        assert "timed out" in refused(archive_at(address), tmp_path, tries=2, timeout_seconds=0.05)


def test_refuses_a_web_page_and_another_size(server, url: str, tmp_path: Path) -> None:
    assert f"offers {len(CONTENT)} bytes instead of 5" in refused(archive_at(url, size_bytes=5), tmp_path)
    server.content_type = "text/html; charset=utf-8"
    assert "HTTP 200 with text/html, no archive" in refused(archive_at(url), tmp_path)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(("size_bytes", "requests"), [(len(CONTENT), 0), (None, 1)])
def test_refuses_a_full_disk_first(server, url, tmp_path, monkeypatch, size_bytes, requests) -> None:
    monkeypatch.setattr("cobnut.data.download.part.disk_usage", lambda _: Free(10**9, 10**9 - 1, 2 * len(CONTENT) - 1))
    message = refused(archive_at(url, size_bytes=size_bytes), tmp_path)
    assert "need 0.0 GB" in message
    assert "make room" in message
    assert len(server.requests) == requests
    assert not (tmp_path / "carpet.tar.xz.part").exists()


def test_tells_a_disk_that_fills_up_and_keeps_the_part(server, url: str, tmp_path: Path) -> None:
    def fill_up(*_: int | None) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert "No space left on device); make room" in refused(archive_at(url), tmp_path, on_progress=fill_up)
    assert (tmp_path / "carpet.tar.xz.part").stat().st_size > 0
    assert fetch(archive_at(url), tmp_path).read_bytes() == CONTENT
    assert server.ranges[0] is None
    assert server.ranges[1] is not None
