"""Rows that were written before, read again: which images they speak of, and what was said."""

import csv
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from cobnut.errors import DataError, require_extra
from cobnut.files import make_folder
from cobnut.runtime.judge_files import Row, find_images
from cobnut.runtime.kept import read_kept

ENDINGS = (".jsonl", ".csv", ".parquet")
_NUMBERS = {"score", "threshold", "p_value", "brightness", "sharpness"}


def read_log(path: Path) -> list[dict[str, Any]]:
    """The rows of a file that ``cobnut inspect`` wrote with ``--out`` or ``--log``, in their order.

    A last line that a killed run left unfinished is dropped. Raises :class:`DataError` when it holds something else.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such log; `cobnut inspect … --log {path}` writes one")
    try:
        rows = list(_READERS[path.suffix.lower()](path))
    except (ValueError, OSError, KeyError, csv.Error) as error:
        raise _no_log(path, error) from None
    return [_checked(row, f"{path}: row {number}") for number, row in enumerate(rows, start=1)]


def read_rows(path: Path, content: bytes, start: int = 0) -> list[dict[str, Any]]:
    """The rows of the log ``path`` that holds ``content``, from the byte ``start`` on, where a row begins."""
    try:
        rows = list(_json_lines(content[start:]))
    except ValueError as error:
        raise _no_log(path, error) from None
    before = content.count(b"\n", 0, start)
    return [_checked(row, f"{path}: row {number}") for number, row in enumerate(rows, start=before + 1)]


def _no_log(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: is no log of Cobnut's ({' '.join(str(error).split())[:100]})")


def _checked(row: dict[str, Any], place: str) -> dict[str, Any]:
    """A row whose values are of the kind that its readers count on."""
    if not {"path", "score"} <= row.keys():
        raise DataError(f"{place} has no path and score; name a file that `cobnut inspect` wrote")
    if not isinstance(row["path"], str):
        raise DataError(f"{place} names no image ({row['path']!r}); name a file that `cobnut inspect` wrote")
    for name in ("score", "threshold", "brightness", "sharpness", "version"):
        value = row.get(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if value is not None and not is_number:
            raise DataError(f"{place}: {name} = {value!r} is no number; name a file that `cobnut inspect` wrote")
    return row


@contextmanager
def append_log(path: Path, version: int) -> Iterator[Callable[[Row], None]]:
    """A function that appends a row to the log ``path``, with the time and the bundle's version; each is there at once.

    A line that a killed run left unfinished is cut off first. Raises :class:`CobnutError` when it is no log, or another
    inspection is writing to it.
    """
    if path.suffix.lower() != ".jsonl":
        raise DataError(f"--log {path}: a log grows line by line; name a .jsonl file")
    make_folder(path.absolute().parent)
    with path.open("a", encoding="utf-8", newline="\n") as file:
        _hold(file, path)
        _mend_end(path)

        def write(row: Row) -> None:
            moment = datetime.now(UTC).isoformat(timespec="milliseconds")
            place = os.path.abspath(row.path)  # noqa: PTH100 - a log outlives the folder that it was begun in
            print(
                json.dumps({"time": moment, "version": version, **asdict(row), "path": place}, ensure_ascii=False),
                file=file,
            )
            file.flush()

        yield write


def images_of(places: Sequence[Path]) -> list[Path]:
    """The images that are named, that lie in folders named, and that logs named speak of, each once."""
    paths: dict[Path, None] = {}
    for place in places:
        if place.suffix.lower() in ENDINGS and not place.is_dir():
            paths |= dict.fromkeys(Path(row["path"]) for row in read_log(place))
        else:
            paths |= dict.fromkeys(found.path for found in find_images([place]))
    return list(paths)


def _hold(file: TextIO, path: Path) -> None:
    """Keep other inspections out of a log; where the system has no such locks, trust that there is none."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise DataError(f"{path}: another inspection writes to this log; wait for it, or name another") from None


def _mend_end(path: Path) -> None:
    """Make a log end with a whole line: complete its last row, or cut off what a killed run left of one."""
    content = path.read_bytes()
    # what was watched before was read then, and need not be read again
    kept = read_kept(path, content)
    is_log = bool(read_rows(path, content, kept.position if kept else 0)) or kept is not None
    end = content.rpartition(b"\n")[2]
    if not end:
        return
    try:
        is_row = isinstance(json.loads(end), dict)
    except ValueError:
        is_row = False
    if not is_row and not is_log:
        raise DataError(f"{path}: is no log of Cobnut's; name another file, it will not be overwritten")
    with path.open("rb+") as file:
        file.seek(0, 2) if is_row else file.truncate(len(content) - len(end))
        file.write(b"\n" if is_row else b"")


def _json_lines(content: bytes) -> Iterator[dict[str, Any]]:
    *lines, end = content.split(b"\n")
    for line in lines:
        row = json.loads(line.decode("utf-8"))
        if not isinstance(row, dict):
            raise ValueError("a line is not a row")
        yield row
    try:
        row = json.loads(end.decode("utf-8"))
    except ValueError:  # cut off, or nothing: a whole line ends with a newline
        return
    if isinstance(row, dict):
        yield row


def _read_csv(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            numbers = {name: float(row[name]) if row[name] else None for name in _NUMBERS & row.keys()}
            yield {**row, **numbers}


def _read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    require_extra("pyarrow", "parquet", str(path))
    import pyarrow.parquet as pq

    yield from pq.read_table(path).to_pylist()


_READERS: dict[str, Callable[[Path], Iterator[dict[str, Any]]]] = {
    ".jsonl": lambda path: _json_lines(path.read_bytes()),
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
