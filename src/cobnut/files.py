"""Files that are whole or absent: written under a temporary name, then renamed; and the hashes that prove them."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cobnut.errors import CobnutError


def _read_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# It can only be read by setting it for a moment: once, before there are threads.
_UMASK = _read_umask()


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is renamed to ``path``, on any failure it is removed."""
    path = Path(path)
    make_folder(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o666 & ~_UMASK)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def write_whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on success it takes its place, on any failure it is removed."""
    path = Path(path).resolve()
    make_folder(path.parent)
    partial = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
    try:
        yield partial
        partial.chmod(0o777 & ~_UMASK)
        former = partial.with_name(partial.name + ".former")
        if path.exists():
            path.rename(former)
        try:
            partial.rename(path)
        except OSError:
            former.rename(path)
            raise
        shutil.rmtree(former, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def make_folder(path: Path) -> Path:
    """Make ``path`` and its parents; raise :class:`CobnutError` when something that is no folder is in the way."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise CobnutError(f"{path}: a file stands where a folder is needed; choose another place or move it") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CobnutError(f"{path}: the folder cannot be made ({reason}); choose another place") from None
    return path


def hash_file(path: Path) -> str:
    """SHA-256 of the file's bytes, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def keep_through_a_power_cut(*paths: Path) -> None:
    """Return when files, and their names in their folders, are on the disk: what they stand for may be taken away."""
    for path in dict.fromkeys((*paths, *(path.parent for path in paths))):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError:  # some systems cannot do so with folders
            if not path.is_dir():
                raise
        finally:
            os.close(handle)
