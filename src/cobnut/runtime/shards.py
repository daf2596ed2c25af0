"""A shard: some images of a batch, judged one after the other by one worker, with the same rows wherever that is."""

import hashlib
import json
import posixpath
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cobnut.errors import BundleError, CobnutError, ImageError
from cobnut.pictures import encode_picture
from cobnut.records import Verdict
from cobnut.runtime.bundle import read_contents
from cobnut.runtime.inspect import Inspector
from cobnut.runtime.judge_files import Row, map_place, picture_of, printable, told_of
from cobnut.runtime.remote import is_url, read_url
from cobnut.runtime.sources import place_of

MOST_DEATHS = 3
_READERS, _REMOTE_READERS = 2, 16
_WAITS = (0.5, 2.0)  # seconds before a URL that did not answer is asked again
_FEWEST_UNREACHED = 8


@dataclass(frozen=True, slots=True)
class BatchRow(Row):
    """What is told of one image of a batch: also which bytes it was, and which bundle has judged it."""

    sha256: str | None = None
    bundle: str = ""
    version: int = 1


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker needs to know of a batch, beside its shards.

    ``digest`` is that of the bundle's manifest, ``folder`` the one that relative paths count from, and ``roots`` the
    places that hold what the sources brought.
    """

    bundle: Path
    version: int | None
    digest: str
    folder: str
    roots: tuple[str, ...]
    has_maps: bool


@dataclass(frozen=True, slots=True)
class Shard:
    """Images that are judged and kept together, and their number among the shards, from 0."""

    number: int
    images: Sequence[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A judged shard: a row an image, the pictures by their place, and the core time since the worker's last answer."""

    shard: Shard
    rows: list[BatchRow]
    pictures: list[tuple[str, bytes]]
    core_seconds: float


class Workforce(Protocol):
    """Who judges shards: its name, how many workers it has, and the shards' answers in any order, each once."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def workers(self) -> int | None: ...  # noqa: D102

    def judge(self, job: Job, shards: Sequence[Shard]) -> Iterator[Answer]: ...  # noqa: D102


@dataclass(slots=True)
class _Seen:
    """An image on its way: its hash once its bytes are there, these while a picture needs them, and what failed."""

    image: str
    sha256: str | None = None
    content: BytesIO | None = None
    failure: OSError | None = field(default=None)


class _Named(BytesIO):
    """Bytes with the name of the image that they are."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.name = name


class ShardJudge:
    """A bundle, loaded once by one worker, that judges shards with so many ``threads``."""

    def __init__(self, job: Job, threads: int) -> None:
        # not the fastest engine of each machine, so that rows are the same to the last digit; whoever vouches for the
        # bundle has vouched for the digest
        self._inspector = Inspector(job.bundle, threads, job.version, engine="own", require_signature=False)
        if json.loads(self._inspector.record)["digest"] != job.digest:
            raise BundleError(f"{job.bundle}: was changed while the batch ran; put back the one that it began with")
        self._job, self._counted = job, 0.0

    def judge(self, shard: Shard) -> Answer:
        """Judge all images of a shard; raises :class:`CobnutError` where none of them can be reached at all."""
        seen = [_Seen(image) for image in shard.images]
        readers = _REMOTE_READERS if any(map(is_url, shard.images)) else _READERS
        answers = self._inspector.inspect_read((partial(self._read, each) for each in seen), readers)
        rows: list[BatchRow] = []
        pictures: list[tuple[str, bytes]] = []
        for each, answer in zip(seen, answers, strict=True):
            try:
                if isinstance(answer, ImageError):
                    raise answer
                if each.content is not None:
                    pictures.append(self._draw(each, each.content, answer))
                rows.append(self._row(each, answer, None))
            except ImageError as error:
                rows.append(self._row(each, None, printable(str(error))))
            each.content = None
        self._check_reached(shard, seen)
        return Answer(shard, rows, pictures, self._core_seconds())

    def _read(self, each: _Seen) -> NDArray[np.uint8]:
        """Fetch and decode an image, and note its hash; raises :class:`ImageError`."""
        try:
            content = _fetch(each.image, self._job.folder)
        except OSError as error:
            each.failure = error
            raise ImageError(f"{each.image}: {_why(error)}") from None
        each.sha256 = hashlib.sha256(content).hexdigest()
        if not content:
            raise ImageError(f"{each.image}: the file is empty; copy it again")
        named = _Named(content, each.image)
        if self._job.has_maps:
            each.content = named
        return self._inspector.read(named)

    def _row(self, each: _Seen, verdict: Verdict | None, error: str | None) -> BatchRow:
        told = {} if verdict is None else told_of(verdict)
        bundle, version = self._job.digest, self._inspector.manifest.version
        return BatchRow(printable(each.image), **told, error=error, sha256=each.sha256, bundle=bundle, version=version)

    def _draw(self, each: _Seen, content: BytesIO, verdict: Verdict) -> tuple[str, bytes]:
        place = PurePosixPath(place_of(each.image, self._job.folder)).relative_to(posixpath.commonpath(self._job.roots))
        return str(map_place(place)), encode_picture(picture_of(self._inspector, content, verdict))

    def _check_reached(self, shard: Shard, seen: Sequence[_Seen]) -> None:
        """Raise :class:`CobnutError` rather than tell of every image that it cannot be read when the place is gone."""
        failures = [each for each in seen if each.failure is not None]
        if not failures:
            return
        gone = next(filter(_is_emptied, roots_of([each.image for each in failures], self._job)), None)
        is_unreached = len(failures) == len(seen) >= _FEWEST_UNREACHED and not any(
            isinstance(each.failure, FileNotFoundError) for each in failures
        )
        if gone or is_unreached:
            first, why = failures[0].image, _why(failures[0].failure or OSError())
            others = f"{gone} is gone or empty" if gone else f"no other image of shard {shard.number} can"
            raise CobnutError(
                f"{printable(first)}: {why}, and {others}; mend the way to them, and the same command goes on"
            )

    def _core_seconds(self) -> float:
        before, self._counted = self._counted, time.process_time()
        return self._counted - before


def roots_of(images: Iterable[str], job: Job) -> list[Path]:
    """The folders that held what the sources brought of these images; URLs have none."""
    places = (Path(place_of(image, job.folder)) for image in images if not is_url(image))
    roots = (next((each for each in place.parents if each.as_posix() in job.roots), None) for place in places)
    return [root for root in dict.fromkeys(roots) if root is not None]


def read_digest(bundle: Path, version: int | None) -> str:
    """What a whole bundle's manifest is known by, 64 hexadecimal digits."""
    return str(json.loads(read_contents(bundle, version).record)["digest"])


def blame(deaths: Counter[int], shard: Shard, how: str) -> None:
    """Count a worker that died at a shard; raise :class:`CobnutError` when too many did."""
    deaths[shard.number] += 1
    if deaths[shard.number] >= MOST_DEATHS:
        raise CobnutError(
            f"shard {shard.number} ({len(shard.images)} images from {printable(shard.images[0])} on): "
            f"{MOST_DEATHS} workers died at it ({how}); give fewer --workers more memory, or take its images out"
        )


def _fetch(image: str, folder: str) -> bytes:
    if not is_url(image):
        try:
            return Path(folder, image).read_bytes()
        except ValueError as error:  # a name that no file can have
            raise OSError(str(error)) from None
    for wait in _WAITS:
        try:
            return read_url(image)
        except (FileNotFoundError, PermissionError):
            raise
        except OSError:
            time.sleep(wait)
    return read_url(image)


def _is_emptied(root: Path) -> bool:
    """Whether a place that held images is gone, or is a mount point that holds nothing now."""
    return not root.is_dir() or next(root.iterdir(), None) is None


def _why(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such image"
    if isinstance(error, PermissionError):
        return "may not be read; check the file's permissions"
    return f"cannot be read ({(error.strerror or str(error)).lower()})"
