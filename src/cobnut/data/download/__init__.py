"""Published data sets brought to disk: fetched, proved, unpacked; what is already there is left alone."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cobnut.data.download.archives import Archive, Counts, count_images, disk_errors, unpack
from cobnut.data.download.mvtec import MVTEC, MVTEC_ALL, MVTEC_LICENCE, find_archives
from cobnut.data.download.part import Progress
from cobnut.data.download.transfer import fetch
from cobnut.errors import DownloadError
from cobnut.files import hash_file, write_whole

__all__ = [
    "MVTEC",
    "MVTEC_ALL",
    "MVTEC_LICENCE",
    "Archive",
    "Counts",
    "Progress",
    "download",
    "fetch",
    "find_archives",
    "unpack",
]

PINS = ".cobnut-download.json"
"""The hashes of archives that their publisher gives none for, as the first download found them."""


def download(
    archives: Sequence[Archive],
    folder: Path,
    *,
    sha256: str | None = None,
    keep: bool = False,
    on_progress: Progress | None = None,
    on_message: Callable[[str], None] | None = None,
    tries: int = 5,
    timeout_seconds: float = 30.0,
    pause_seconds: float = 1.0,
) -> list[Path]:
    """Bring every category of the archives into ``folder`` and give their paths; what is complete asks no server.

    ``sha256`` overrides the hash of a single archive; ``keep`` leaves the archives beside the images. A category that
    is there with other images is the user's and is refused, never replaced. Raises :class:`DownloadError`.
    """
    if sha256 and len(archives) != 1:
        raise DownloadError(f"--sha256 {sha256}: proves one archive, but {len(archives)} are named; name just one")
    say = on_message or _say_nothing
    missing = [_missing(archive, folder) for archive in archives]
    for archive, counts in zip(archives, missing, strict=True):
        if not counts:
            say(f"{archive.name}: already complete in {folder}")
            continue
        say(f"{archive.name}: fetching")
        path = fetch(
            archive,
            folder,
            on_progress=on_progress,
            tries=tries,
            timeout_seconds=timeout_seconds,
            pause_seconds=pause_seconds,
            sha256=sha256,
        )
        say(f"{archive.name}: unpacking")
        skip = archive.counts.keys() - counts.keys()
        if archive.sha256:
            unpack(path, folder, counts, skip=skip)
        else:
            found = _require_pin(path, folder / PINS, is_overridden=sha256 is not None)
            unpack(path, folder, counts, skip=skip)
            _pin(path, folder / PINS, found)
            say(f"{archive.name}: SHA-256 {found}, pinned in {folder / PINS}")
        if not keep:
            path.unlink()
    return [folder / category for archive in archives for category in archive.counts]


def _missing(archive: Archive, folder: Path) -> Mapping[str, Counts]:
    """The categories of the archive that are not in ``folder``; raises for one that is there with other images."""
    missing = {}
    for category, published in archive.counts.items():
        place = folder / category
        found = count_images(place)
        if found == published:
            continue
        if place.exists() and not (place.is_dir() and not any(place.iterdir())):
            raise DownloadError(
                f"{place}: is there already, with {found} images where {published} are published; "
                "move it away or name another folder"
            )
        missing[category] = published
    return missing


def _require_pin(path: Path, pins: Path, *, is_overridden: bool) -> str:
    found = hash_file(path)
    pinned = _read_pins(pins).get(path.name, found)
    if pinned != found and not is_overridden:
        raise DownloadError(
            f"{path}: SHA-256 is {found}, but {pins} pins {pinned} from the first download; delete the archive and run "
            f"the same command again, or, if you trust the new file, give --sha256 {found}"
        )
    return found


def _pin(path: Path, pins: Path, sha256: str) -> None:
    content = _read_pins(pins) | {path.name: sha256}
    with disk_errors(pins), write_whole(pins) as partial:
        partial.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _read_pins(pins: Path) -> dict[str, str]:
    if not pins.is_file():
        return {}
    try:
        content = json.loads(pins.read_text(encoding="utf-8"))
        return {str(name): str(sha256) for name, sha256 in content.items()}
    except (ValueError, AttributeError):
        raise DownloadError(f"{pins}: damaged, no JSON object of file names and hashes; mend or delete it") from None


def _say_nothing(_: str) -> None: ...
