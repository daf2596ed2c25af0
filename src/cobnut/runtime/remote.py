"""Images that lie behind a URL, in a bucket or elsewhere, through fsspec."""

import glob
import posixpath
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import Any

from cobnut.data.layouts import is_photograph
from cobnut.errors import CobnutError, DataError, require_extra


def is_url(place: str) -> bool:
    """Whether a place is a URL such as ``s3://bucket/folder``, not a path on this machine."""
    return protocol_of(place) is not None


def protocol_of(place: str) -> str | None:
    """``s3`` of ``s3://bucket/folder``; ``None`` for a path on this machine."""
    protocol, mark, _ = place.partition("://")
    return protocol.lower() if mark and protocol.replace("+", "").isalnum() else None


def check_protocol(place: str) -> None:
    """Raise :class:`CobnutError` when what reaches this URL is not installed."""
    require_extra("fsspec", "remote", place)
    from fsspec.registry import known_implementations, registry

    protocol = str(protocol_of(place))
    if protocol in registry:
        return
    if protocol not in known_implementations:
        raise CobnutError(
            f"{place}: {protocol}:// is no protocol that fsspec knows; use s3://, gs:// or another of its"
        )
    module = known_implementations[protocol]["class"].partition(".")[0]
    if find_spec(module) is None:
        raise CobnutError(
            f"{place} needs the package {module}, which is not installed: pip install 'cobnut[remote]' {module}"
        )


def read_url(url: str) -> bytes:
    """All bytes behind a URL; raises :class:`OSError` as of a file."""
    system, path = _open_system(url)
    try:
        return bytes(system.cat_file(path))
    except OSError:
        raise
    except Exception as error:  # each protocol has errors of its own
        raise OSError(" ".join(f"{type(error).__name__}: {error}".split())[:200]) from None


def list_url(url: str) -> list[str]:
    """The image that a URL names, or the photographs below the folder or of the pattern that it names, sorted.

    They are called by the protocol that ``url`` has. Raises :class:`DataError` where there is none.
    """
    system, path = _open_system(url)
    try:
        if not glob.has_magic(path) and system.isfile(path):
            return [url]
        found = system.glob(path) if glob.has_magic(path) else system.find(path)
    except Exception as error:  # each protocol has errors of its own
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise DataError(f"{url}: cannot be listed ({reason}); look at its name and at your rights to it") from None
    folder, names = before_pattern(path), [str(each) for each in found]
    photographs = [name for name in names if is_photograph(PurePosixPath(posixpath.relpath(name, folder)))]
    if not photographs:
        raise DataError(f"{url}: holds no image; name a folder with images, a pattern, or an image")
    called = (str(system.unstrip_protocol(name)).partition("://")[2] for name in photographs)
    return sorted(f"{url.partition('://')[0]}://{each}" for each in called)


def before_pattern(place: str) -> str:
    """The deepest folder that holds all that a pattern can match; of a folder itself."""
    while glob.has_magic(place):
        place = posixpath.dirname(place)
    return place


def url_beside(url: str, name: str) -> str:
    """A name told in the file at ``url``: itself where it is a URL, else what lies in the same folder."""
    return name if is_url(name) else posixpath.join(posixpath.dirname(url), name)


def _open_system(url: str) -> tuple[Any, str]:
    check_protocol(url)
    from fsspec.core import url_to_fs

    try:
        system, path = url_to_fs(url)
    except Exception as error:  # wrong keys, a name that is no bucket, and whatever else a protocol checks
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise CobnutError(f"{url}: cannot be reached ({reason}); look at its name and at your rights to it") from None
    return system, path
