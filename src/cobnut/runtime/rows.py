"""Rows into a file as they come, CSV, JSON lines or Parquet by its ending; the file is whole or absent."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import get_args, get_type_hints

from cobnut.errors import CobnutError, require_extra
from cobnut.files import write_whole
from cobnut.runtime.judge_files import Row

Writer = Callable[[Row], None]
COLUMNS = [field.name for field in fields(Row)]
_GROUP = 4096


def check_format(path: Path) -> None:
    """Raise :class:`CobnutError` when rows cannot be written to a file of this ending."""
    if path.suffix.lower() not in _WRITERS:
        raise CobnutError(
            f"--out {path}: cannot write {path.suffix or 'a file without ending'}; use {', '.join(_WRITERS)}"
        )
    if path.suffix.lower() == ".parquet":
        require_extra("pyarrow", "parquet", f"--out {path}")


@contextmanager
def open_rows(path: Path, kind: type[Row] = Row) -> Iterator[Writer]:
    """A function that takes one row of a ``kind``; when the block ends well the file stands at ``path``."""
    check_format(path)
    with write_whole(path) as partly, _WRITERS[path.suffix.lower()](partly, kind) as write:
        yield write


@contextmanager
def _open_csv(path: Path, kind: type[Row]) -> Iterator[Writer]:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(kind)])
        writer.writeheader()
        yield lambda row: writer.writerow(asdict(row))


@contextmanager
def _open_json_lines(path: Path, _kind: type[Row]) -> Iterator[Writer]:
    with path.open("w", encoding="utf-8") as file:
        yield lambda row: print(json.dumps(asdict(row), ensure_ascii=False), file=file)


@contextmanager
def _open_parquet(path: Path, kind: type[Row]) -> Iterator[Writer]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
    schema = pa.schema([(name, types[(get_args(hint) or (hint,))[0]]) for name, hint in get_type_hints(kind).items()])
    waiting: list[Row] = []
    with pq.ParquetWriter(path, schema) as writer:

        def flush() -> None:
            writer.write_table(pa.Table.from_pylist([asdict(row) for row in waiting], schema=schema))
            waiting.clear()

        def write(row: Row) -> None:
            waiting.append(row)
            if len(waiting) == _GROUP:
                flush()

        yield write
        flush()


_WRITERS = {".csv": _open_csv, ".jsonl": _open_json_lines, ".parquet": _open_parquet}
