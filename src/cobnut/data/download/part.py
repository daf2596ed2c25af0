"""A half-fetched file: continued where it stopped, started over when its source changed, never glued from two."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from email.message import Message
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from shutil import disk_usage
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from cobnut import __version__
from cobnut.data.download.archives import disk_errors
from cobnut.errors import DownloadError
from cobnut.files import write_whole

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes in all; the first falls back when a transfer starts over."""

_CHUNK_BYTES = 1 << 18
_PASSING_TROUBLES = {408, 425, 429}


class BrokenOffError(Exception):
    """This attempt failed; the next one at the same address may not."""


class RefusedError(Exception):
    """This address does not serve the file; another may."""


@dataclass(frozen=True, slots=True)
class Version:
    """What a part is the beginning of; noted beside it, since the next attempt may be another day's."""

    url: str
    validator: str | None
    total: int | None

    def is_continued_by(self, validator: str | None, total: int | None) -> bool:
        """Whether a partial answer contradicts nothing; it may leave out what the whole one said."""
        return validator in (None, self.validator) and total in (None, self.total)


@dataclass(frozen=True, slots=True)
class Part:
    """The half-fetched file ``path``, which has ``size_bytes`` when it is whole, where that is known."""

    path: Path
    size_bytes: int | None
    timeout_seconds: float
    on_progress: Progress | None

    @property
    def done(self) -> int:
        """The bytes that are there."""
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def version(self) -> Version | None:
        """What the bytes belong to; ``None`` where there are none, or nothing vouches for them."""
        try:
            return Version(**json.loads(self._note.read_text(encoding="utf-8"))) if self.path.is_file() else None
        except (OSError, ValueError, TypeError):
            return None

    def discard(self) -> None:
        """Forget what is there."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def fetch_rest(self, url: str) -> None:
        """Make one attempt to fetch what is missing; the file is whole on return, as far as the server tells.

        Raises :class:`BrokenOffError`, :class:`RefusedError`, or :class:`DownloadError` when the disk is at fault.
        """
        version = self.version
        if version is not None and version.url != url:
            version = None
        response = self._open(url, version)
        if response is None:
            return
        with response:
            if url.startswith("https:") and not response.url.startswith("https:"):
                raise RefusedError(f"leads to the unencrypted {response.url}")
            self._append(response, self._settle(response, url, version))

    def _open(self, url: str, version: Version | None) -> HTTPResponse | None:
        """The server's answer, or ``None`` when it says that nothing is missing."""
        request = _request(url, self.done, version)
        try:
            response: HTTPResponse = urlopen(request, timeout=self.timeout_seconds)
        except HTTPError as error:
            with error:
                if error.code == 416 and version is not None:
                    self._require_complete(_content_range(error.headers)[1] or version.total)
                    return None
                if error.code in _PASSING_TROUBLES or error.code >= 500:
                    raise BrokenOffError(f"HTTP {error.code}") from None
                raise RefusedError(f"HTTP {error.code}") from None
        except (OSError, HTTPException) as error:
            raise BrokenOffError(_cause(error)) from None
        return response

    def _require_complete(self, total: int | None) -> None:
        if self.done != total:
            done = self.done
            self.discard()
            raise BrokenOffError(f"the {done} bytes here do not fit the {total} bytes there")

    def _settle(self, response: HTTPResponse, url: str, version: Version | None) -> int | None:
        """Cut the part to where the answer goes on, and give the bytes that it will hold when it is whole."""
        validator = response.headers["ETag"] or response.headers["Last-Modified"]
        if response.status == 206:
            start, total = _content_range(response.headers)
            if version is None or start != self.done or not version.is_continued_by(validator, total):
                self.discard()
                raise BrokenOffError("another version or place than was asked for")
            total = version.total
        elif response.status == 200 and response.headers.get_content_type() != "text/html":
            total = response.length
        else:
            raise RefusedError(f"HTTP {response.status} with {response.headers.get_content_type()}, no archive")
        if None not in (self.size_bytes, total) and self.size_bytes != total:
            raise RefusedError(f"offers {total} bytes instead of {self.size_bytes}")
        if response.status == 200:
            self._start_over(Version(url, validator, total))
        require_space(self.path.parent, total or self.size_bytes, self.done)
        return total or self.size_bytes

    def _start_over(self, version: Version) -> None:
        # In this order: were the note the first to change, a crash in between would vouch for the old bytes.
        with disk_errors(self.path):
            self.discard()
            with write_whole(self._note) as partial:
                partial.write_text(json.dumps(asdict(version)), encoding="utf-8")

    def _append(self, response: HTTPResponse, total: int | None) -> None:
        with disk_errors(self.path), self.path.open("ab") as file:
            done = file.tell()
            for chunk in _chunks(response):
                file.write(chunk)
                done += len(chunk)
                if self.on_progress:
                    self.on_progress(done, total)
                if total is not None and done >= total:
                    break
        # Where the connection just ends, urllib passes a short answer off as a whole one.
        if total not in (None, done):
            raise BrokenOffError(f"broken off after {done} of {total} bytes")

    @property
    def _note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")


def require_space(folder: Path, total: int | None, done: int) -> None:
    """Raise :class:`DownloadError` where an archive of ``total`` bytes and its images, as large again, do not fit."""
    if total is None:
        return
    needed, free = 2 * total - done, disk_usage(folder).free
    if free < needed:
        raise DownloadError(
            f"{folder}: {free / 1e9:.1f} GB are free, but the archive and its images need {needed / 1e9:.1f} GB; "
            "make room or name another folder"
        )


def _request(url: str, done: int, version: Version | None) -> Request:
    headers = {"User-Agent": f"cobnut/{__version__}"}
    if version is not None:
        headers["Range"] = f"bytes={done}-"
        # A weak ETag promises like contents, not like bytes: If-Range takes strong ones only.
        if version.validator and not version.validator.startswith("W/"):
            headers["If-Range"] = version.validator
    return Request(url, headers=headers)


def _content_range(headers: Message) -> tuple[int | None, int | None]:
    """The first byte and the total of a Content-Range header, each ``None`` where it does not say."""
    match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(?:(\d+)|\*)", headers["Content-Range"] or "")
    start, total = match.groups() if match else (None, None)
    return (None if start is None else int(start)), (None if total is None else int(total))


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    # What the network raises becomes no OSError here, so that one can only come from the disk.
    try:
        while chunk := response.read(_CHUNK_BYTES):
            yield chunk
    except (OSError, HTTPException) as error:
        raise BrokenOffError(_cause(error)) from None


def _cause(error: Exception) -> str:
    reason = error.reason if isinstance(error, URLError) else error
    return " ".join(str(reason).split()) or type(error).__name__
