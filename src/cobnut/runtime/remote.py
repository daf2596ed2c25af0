"""Images that lie behind a URL, in a bucket or elsewhere, through fsspec."""

import posixpath
from importlib.util import find_spec
from typing import Any

from cobnut.data.layouts import IMAGE_SUFFIXES
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
    """The image that a URL names, or those below the folder or of the pattern that it names, sorted.

    Raises :class:`DataError` where there is none.
    """
    system, path = _open_system(url)
    try:
        if "*" in path or "[" in path:
            found = [each for each in system.glob(path) if _is_image(each)]
        elif system.isfile(path):
            return [url]
        else:
            found = [each for each in system.find(path) if _is_image(posixpath.relpath(each, path))]
    except Exception as error:  # each protocol has errors of its own
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise DataError(f"{url}: cannot be listed ({reason}); look at its name and at your rights to it") from None
    if not found:
        raise DataError(f"{url}: holds no image; name a folder with images, a pattern, or an image")
    return sorted(str(system.unstrip_protocol(each)) for each in found)


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


def _is_image(path: str) -> bool:
    """By the rule of :func:`cobnut.data.layouts.image_files`: by suffix, not hidden, no mask."""
    *folders, name = path.split("/")
    is_hidden = any(part.startswith(".") and part != "." for part in (*folders, name))
    return posixpath.splitext(name)[1].lower() in IMAGE_SUFFIXES and not is_hidden and "ground_truth" not in folders
