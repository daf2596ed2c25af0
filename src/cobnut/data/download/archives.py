"""Archives of images: what one must hold, and an unpacking that leaves its target folder whole or untouched."""

import lzma
import tarfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, NamedTuple, cast

from cobnut.data.layouts import image_files
from cobnut.errors import DownloadError
from cobnut.files import make_folder, write_whole_folder

MOST_BYTES = 30_000_000_000
MOST_MEMBERS = 50_000
_TEXTS = ("license.txt", "readme.txt")
# What may be read beyond the contents of members: one header with its long name, and the padding at the end.
_SLACK_BYTES = 65_536


class Counts(NamedTuple):
    """How many images a category holds."""

    train_good: int
    test_good: int
    test_defective: int

    def __str__(self) -> str:
        return f"{self.train_good} train good, {self.test_good} test good, {self.test_defective} test defective"


@dataclass(frozen=True, slots=True)
class Archive:
    """One ``.tar.xz`` on the net: its mirrors, what proves it, and the image counts of every category in it."""

    name: str
    urls: tuple[str, ...]
    sha256: str | None
    size_bytes: int | None
    counts: Mapping[str, Counts]

    @property
    def filename(self) -> str:
        """The name under which it is kept on disk."""
        return f"{self.name}.tar.xz"


def count_images(folder: Path) -> Counts:
    """Count the images of a category in MVTec layout; all zero where there is no such folder."""
    test_good = len(image_files(folder / "test" / "good"))
    return Counts(len(image_files(folder / "train" / "good")), test_good, len(image_files(folder / "test")) - test_good)


def unpack(
    path: Path,
    folder: Path,
    categories: Mapping[str, Counts],
    *,
    skip: Collection[str] = (),
    most_bytes: int = MOST_BYTES,
    most_members: int = MOST_MEMBERS,
) -> list[Path]:
    """Unpack the categories of a ``.tar.xz`` into ``folder``, each replacing what stood there.

    Categories in ``skip`` may stand in the archive and are left out. Raises :class:`DownloadError`, with nothing put
    into place, for a damaged archive, a member that is no plain file or folder below a category, more than
    ``most_bytes`` or ``most_members``, or other image counts than those of ``categories``.
    """
    if not path.is_file():
        raise DownloadError(f"{path}: no such archive; download it first")
    with disk_errors(folder), TemporaryDirectory(dir=make_folder(folder), prefix=".unpack.", suffix=".part") as name:
        scratch = Path(name)
        rules = _Rules(path, categories, {*categories, *skip}, most_bytes, most_members)
        _extract(rules, scratch)
        for category, published in categories.items():
            _require_counts(path, category, count_images(scratch / category), published)
        for text in _TEXTS:
            if (scratch / text).is_file():
                (scratch / text).replace(folder / text)
        return [_put(scratch / category, folder / category) for category in categories]


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the disk refuses, a lack of space above all, into one plain :class:`DownloadError`."""
    try:
        yield
    except OSError as error:
        cause = error.strerror or type(error).__name__
        raise DownloadError(
            f"{path}: cannot be written ({cause}); make room or name another folder, then run the same command again"
        ) from None


@dataclass(frozen=True, slots=True)
class _Rules:
    """What one archive may hold."""

    path: Path
    wanted: Collection[str]
    known: Collection[str]
    most_bytes: int
    most_members: int

    def refuse(self, member: str, cause: str) -> DownloadError:
        return DownloadError(f"{self.path}: member {member!r} {cause}; nothing was unpacked: delete the archive")


class _Metered:
    """A stream that gives only what was allowed, so that a forged header cannot fill the memory."""

    def __init__(self, stream: lzma.LZMAFile) -> None:
        self.stream = stream
        self.allowed = _SLACK_BYTES

    def read(self, size: int) -> bytes:
        chunk = self.stream.read(size)
        self.allowed -= len(chunk)
        if self.allowed < 0:
            raise tarfile.ReadError(f"more than {_SLACK_BYTES} bytes that belong to no member")
        return chunk


def _extract(rules: _Rules, scratch: Path) -> None:
    try:
        with lzma.open(rules.path) as file:
            stream = _Metered(file)
            # One pass, since decompressing 5 GB takes minutes; a bad member at the end costs only the scratch folder.
            with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|") as tar:  # in this mode it only reads
                # Python before 3.11.4 lacks the filter; our own rules are the stricter ones.
                tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
                for member in _safe_members(rules, tar, stream):
                    _write(tar, member, scratch)
            # xz checks a block at its very end, behind the end of the tar.
            if stream.read(2 * _SLACK_BYTES).strip(b"\0"):
                raise tarfile.ReadError("data after its end")
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise DownloadError(
            f"{rules.path}: not a whole .tar.xz archive ({cause}); delete it and download it again"
        ) from None


def _safe_members(rules: _Rules, tar: tarfile.TarFile, stream: _Metered) -> Iterator[tarfile.TarInfo]:
    """Yield the wanted members under their clean relative names; every member is judged, wanted or not."""
    unpacked_bytes = 0
    for number, member in enumerate(tar, start=1):
        place = _judge(rules, member)
        unpacked_bytes += member.size
        if number > rules.most_members:
            raise rules.refuse(member.name, f"is one more than the {rules.most_members} allowed")
        if unpacked_bytes > rules.most_bytes:
            raise rules.refuse(member.name, f"brings the contents beyond the {rules.most_bytes} bytes allowed")
        stream.allowed = member.size + _SLACK_BYTES
        if place and (place[0] in rules.wanted or place[0] in _TEXTS):
            member.name = "/".join(place)
            yield member


def _judge(rules: _Rules, member: tarfile.TarInfo) -> tuple[str, ...]:
    """The parts of a harmless member's name, without the archive's own leading folder; raises for any other."""
    if not (member.isdir() or member.type in (tarfile.REGTYPE, tarfile.AREGTYPE)) or member.size < 0:
        raise rules.refuse(member.name, "is a link, a device or otherwise no plain file or folder")
    parts = PurePosixPath(member.name).parts
    if member.name.startswith("/") or ".." in parts:
        raise rules.refuse(member.name, "leads out of the target folder")
    if not member.name.isprintable() or set(member.name) & set("\\:"):
        raise rules.refuse(member.name, "holds a character that not every system takes in a name")
    leading = rules.path.name.removesuffix(".tar.xz")
    if parts[:1] == (leading,) and leading not in rules.known:
        parts = parts[1:]
    is_text = len(parts) == 1 and parts[0] in _TEXTS and member.isfile()
    is_root = not parts and member.isdir()
    if not (is_text or is_root or (parts and parts[0] in rules.known)):
        raise rules.refuse(member.name, f"lies outside of {', '.join(sorted(rules.known))}")
    return parts


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, scratch: Path) -> None:
    target = scratch / member.name
    try:
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            tar.extract(member, scratch, set_attrs=False)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise tarfile.ReadError(f"member {member.name!r} stands where another member stands") from None


def _require_counts(path: Path, category: str, found: Counts, published: Counts) -> None:
    if found != published:
        raise DownloadError(
            f"{path}: {category} holds {found}, but {published} are published; nothing was unpacked: "
            "delete the archive and download it again"
        )


def _put(source: Path, target: Path) -> Path:
    with write_whole_folder(target) as partial:
        partial.rmdir()
        source.rename(partial)
    return target
