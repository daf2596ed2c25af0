"""Rows that were written before, read again: which images they speak of, and what was said."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cobnut.errors import DataError, require_extra
from cobnut.files import make_folder
from cobnut.runtime.judge_files import Row, find_images

ENDINGS = (".jsonl", ".csv", ".parquet")


def read_log(path: Path) -> list[dict[str, Any]]:
    """The rows of a file that ``cobnut inspect`` wrote with ``--out`` or ``--log``, in their order.

    A last line that a killed run left unfinished is dropped. Raises :class:`DataError` when it holds something else.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such log; `cobnut inspect … --log {path}` writes one")
    try:
        rows = list(_READERS[path.suffix.lower()](path))
    except (ValueError, OSError, KeyError) as error:
        raise DataError(f"{path}: is no log of Cobnut's ({' '.join(str(error).split())[:100]})") from None
    if rows and not {"path", "score"} <= rows[0].keys():
        raise DataError(f"{path}: has no columns path and score; name a file that `cobnut inspect` wrote")
    return rows


@contextmanager
def append_log(path: Path, version: int) -> Iterator[Callable[[Row], None]]:
    """A function that appends a row to the log ``path``, with the time and the bundle's version; each is there at once.

    A line that a killed run left unfinished is cut off first. Raises :class:`CobnutError` when it is no log.
    """
    if path.suffix.lower() != ".jsonl":
        raise DataError(f"--log {path}: a log grows line by line; name a .jsonl file")
    make_folder(path.absolute().parent)
    if path.is_file():
        read_log(path)
        _cut_unfinished(path)
    with path.open("a", encoding="utf-8") as file:

        def write(row: Row) -> None:
            moment = datetime.now(UTC).isoformat(timespec="milliseconds")
            print(json.dumps({"time": moment, "version": version, **asdict(row)}, ensure_ascii=False), file=file)
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


def _cut_unfinished(path: Path) -> None:
    with path.open("rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


def _read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for line in lines:
        if line.endswith("\n"):
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("a line is not a row")
            yield row


def _read_csv(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            numbers = {name: float(row[name]) if row.get(name) else None for name in ("score", "threshold", "p_value")}
            yield {**row, **numbers, "is_defective": row.get("is_defective") == "True"}


def _read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    require_extra("pyarrow", "parquet", str(path))
    import pyarrow.parquet as pq

    yield from pq.read_table(path).to_pylist()


_READERS = {".jsonl": _read_json_lines, ".csv": _read_csv, ".parquet": _read_parquet}
