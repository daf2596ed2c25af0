"""One archive fetched over HTTP: tried again after a broken-off transfer, then at the next mirror, and proved."""

import re
import time
from pathlib import Path

from cobnut.data.download.archives import Archive, disk_errors
from cobnut.data.download.part import BrokenOffError, Part, Progress, RefusedError, require_space
from cobnut.errors import DownloadError
from cobnut.files import hash_file, make_folder

_LONGEST_PAUSE_SECONDS = 30.0


def fetch(
    archive: Archive,
    folder: Path,
    *,
    on_progress: Progress | None = None,
    tries: int = 5,
    timeout_seconds: float = 30.0,
    pause_seconds: float = 1.0,
    sha256: str | None = None,
) -> Path:
    """Fetch an archive into ``folder``, prove its hash, and give its path; one that is there is proved, not fetched.

    What came before a failure stays as ``NAME.tar.xz.part`` and is continued by the next call. ``tries`` counts
    failures in a row without a new byte, on each mirror; the pause doubles after each. ``sha256`` overrides the
    archive's own hash and size. Raises :class:`DownloadError`.
    """
    expected = _normal_hash(sha256) if sha256 else archive.sha256
    with disk_errors(folder):
        path = make_folder(folder) / archive.filename
    if path.is_file():
        _prove(path, expected, f"delete {path} and run the same command again")
        return path
    # A hash of the caller's own may stand for another version, which may have another size.
    size_bytes = None if sha256 else archive.size_bytes
    part = Part(path.with_name(f"{path.name}.part"), size_bytes, timeout_seconds, on_progress)
    _fetch_from_any(part, archive, tries, pause_seconds)
    try:
        _prove(part.path, expected, "it was removed: run the same command again, or ask for the right hash")
    except DownloadError:
        part.discard()
        raise
    with disk_errors(path):
        part.path.replace(path)
        part.discard()
    return path


def _fetch_from_any(part: Part, archive: Archive, tries: int, pause_seconds: float) -> None:
    begun = part.version
    require_space(part.path.parent, part.size_bytes, part.done if begun else 0)
    failures = []
    # The mirror that a part came from goes first: any other would start over.
    for url in sorted(archive.urls, key=lambda url: begun is None or url != begun.url):
        try:
            return _fetch_from(part, url, tries, pause_seconds)
        except RefusedError as refused:
            failures.append(f"{url}: {refused}")
    raise DownloadError(
        f"{archive.filename}: cannot be fetched ({'; '.join(failures)}); check the network and run the same command "
        "again, it goes on where it stopped"
    )


def _fetch_from(part: Part, url: str, tries: int, pause_seconds: float) -> None:
    failures, reached = 0, part.done
    while True:
        try:
            return part.fetch_rest(url)
        except BrokenOffError as broken:
            failures = 1 if part.done > reached else failures + 1
            reached = max(reached, part.done)
            if failures >= tries:
                raise RefusedError(f"{broken}, after {tries} tries") from None
        time.sleep(min(pause_seconds * 2 ** (failures - 1), _LONGEST_PAUSE_SECONDS))


def _normal_hash(sha256: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise DownloadError(f"{sha256}: no SHA-256; give its 64 hexadecimal digits")
    return sha256.lower()


def _prove(path: Path, expected: str | None, remedy: str) -> None:
    if expected is not None and (found := hash_file(path)) != expected:
        raise DownloadError(f"{path}: SHA-256 is {found}, expected {expected}; {remedy}")
