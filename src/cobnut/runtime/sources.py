"""What is to be judged: folders, patterns, image files, lists and URLs as one list of images, each once."""

import csv
import glob
import hashlib
import io
import os
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cobnut.data.layouts import image_files, is_photograph
from cobnut.errors import DataError, require_extra
from cobnut.runtime.remote import before_pattern, is_url, list_url, protocol_of, read_url, url_beside

LISTS = (".csv", ".parquet", ".txt")


@dataclass(slots=True)
class Listing:
    """The images of all sources, in their order and each once.

    An image is a path as its source tells it, or a URL. ``roots`` are the deepest places that hold what a source
    brought, as :func:`place_of` tells places, each once; ``lists`` is the SHA-256 of each list that was read, and
    ``repeated`` how often an image was named again.
    """

    images: list[str] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)
    lists: dict[str, str] = field(default_factory=dict)
    repeated: int = 0


def read_sources(sources: Sequence[str]) -> Listing:
    """List what the sources hold; raises :class:`DataError` when one of them is not there or holds no image."""
    listing, seen = Listing(), set[str]()
    for source in sources:
        roots = set[str]()
        for image, root in _images_of(source, listing):
            place = place_of(image)
            if place in seen:
                listing.repeated += 1
                continue
            seen.add(place)
            roots.add(root)
            listing.images.append(image)
        listing.roots += {posixpath.commonpath(roots)} - {*listing.roots} if roots else ()
    return listing


def place_of(image: str, folder: str = "") -> str:
    """Where an image stands among all there are: ``/s3/bucket/name`` of a URL, else its absolute path.

    ``folder`` is what a relative path counts from, by default the working directory.
    """
    if is_url(image):
        return posixpath.normpath(f"/{protocol_of(image)}/{image.partition('://')[2]}")
    place = Path(whole_name(image, folder)).as_posix()
    return f"/{place.lstrip('/')}" if place.startswith("//") else place  # which POSIX leaves open, and we do not


def whole_name(source: str, folder: str = "") -> str:
    """A source so that it is the same from any working directory; a relative one counts from ``folder``."""
    return source if is_url(source) else os.path.abspath(os.path.join(folder, source))  # noqa: PTH100, PTH118 - links kept


def _images_of(source: str, listing: Listing) -> Iterator[tuple[str, str]]:
    """Each image of a source, with the place that holds them."""
    if posixpath.splitext(source)[1].lower() in LISTS and (is_url(source) or Path(source).is_file()):
        for image in _read_list(source, listing):
            yield image, posixpath.dirname(place_of(image))
    elif is_url(source):
        found = list_url(source)
        root = posixpath.commonpath([posixpath.dirname(place_of(image)) for image in found])
        above = before_pattern(place_of(source))  # a folder tells more than what its images have in common
        yield from ((image, above if root.startswith(f"{above}/") else root) for image in found)
    else:
        yield from _local_images(source)


def _local_images(source: str) -> Iterator[tuple[str, str]]:
    path = Path(source)
    if path.is_dir():
        inside = image_files(path)
        if not inside:
            raise DataError(f"{source}: holds no image; name a folder with images, a pattern, or image files")
        yield from ((str(each), place_of(source)) for each in inside)
    elif path.exists():
        yield source, posixpath.dirname(place_of(source))
    elif glob.has_magic(source):
        matches = sorted(Path(each) for each in glob.glob(source, recursive=True))  # noqa: PTH207 - absolute ones too
        folder = before_pattern(source)
        found = [each for each in matches if is_photograph(Path(os.path.relpath(each, folder))) and each.is_file()]
        if not found:
            raise DataError(f"{source}: no image matches this pattern; `**` stands for any folders")
        yield from ((str(each), before_pattern(place_of(source))) for each in found)
    else:
        raise DataError(f"{source}: no such file or folder")


def _read_list(source: str, listing: Listing) -> Iterator[str]:
    """The images that a list names; relative ones lie beside it."""
    try:
        content = read_url(source) if is_url(source) else Path(source).read_bytes()
    except FileNotFoundError:
        raise DataError(f"{source}: no such list") from None
    listing.lists[whole_name(source)] = hashlib.sha256(content).hexdigest()
    names = [name for name in _READERS[posixpath.splitext(source)[1].lower()](source, content) if name]
    if not names:
        raise DataError(f"{source}: names no image")
    for name in names:
        if is_url(source):
            yield url_beside(source, name)
        else:
            yield name if is_url(name) else str(Path(source).parent / name)


def _read_csv(source: str, content: bytes) -> list[str]:
    try:
        text = content.decode("utf-8-sig")
        delimiter = max(",;\t", key=text.partition("\n")[0].count)
        header, *rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{source}: not a CSV file in UTF-8 ({error}); save it as «CSV UTF-8»") from None
    columns = [name.strip().lower() for name in header]
    if "path" not in columns:
        raise DataError(f"{source}: lacks the column path, which names an image a row")
    return [row[columns.index("path")].strip() for row in rows if len(row) > columns.index("path")]


def _read_parquet(source: str, content: bytes) -> list[str]:
    require_extra("pyarrow", "parquet", source)
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_table(pa.BufferReader(content), columns=["path"])["path"].to_pylist()
    except (pa.ArrowException, KeyError, OSError) as error:
        reason = " ".join(str(error).split())[:100]
        raise DataError(f"{source}: is no Parquet file with a column path ({reason})") from None
    return [str(name) for name in names if name is not None]


def _read_text(source: str, content: bytes) -> list[str]:
    try:
        return [line.strip() for line in content.decode("utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: not a text in UTF-8 ({error}); save it as UTF-8, a path a line") from None


_READERS = {".csv": _read_csv, ".parquet": _read_parquet, ".txt": _read_text}
