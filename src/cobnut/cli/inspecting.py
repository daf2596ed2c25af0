"""`cobnut inspect`: images as they come."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cobnut.cli import options
from cobnut.cli.drifting import remark_on_drift
from cobnut.cli.terminal import check_target, out, progress, remark

if TYPE_CHECKING:
    from cobnut.runtime.inspect import Inspector
    from cobnut.runtime.rows import Writer

Rows = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        help="Write a row per image: .csv, .jsonl or .parquet by its ending.",
        show_default=False,
    ),
]
Log = Annotated[
    Path | None,
    typer.Option(
        "--log",
        metavar="FILE.jsonl",
        help="Append a row per image, with the time, and watch the parts for drift and too many rejections.",
        show_default=False,
    ),
]
Maps = Annotated[
    Path | None,
    typer.Option("--maps", metavar="DIR", help="Draw each image with its anomalies, as PNG.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command("inspect")(inspect)


def inspect(
    bundle: options.Bundle,
    images: options.Images,
    out_file: Rows = None,
    log: Log = None,
    maps: Maps = None,
    defect_rate: options.DefectRate = 0.0,
    engine: options.Engine = None,
    threads: options.Threads = None,
    require_signature: options.RequireSignature = None,
) -> None:
    """Judge images: one row each, with score, threshold and decision.

    An image that cannot be read is a row with its error and does not stop the rest. Exit code 0: all were judged,
    3: some could not be.

    Example: cobnut inspect hazelnut.cobnut incoming/ --out verdicts.csv --maps pictures/
    """
    from cobnut.errors import CobnutError
    from cobnut.runtime.judge_files import find_images, judge_files
    from cobnut.runtime.rows import check_format

    check_target(out_file, "--out")
    if out_file is not None:
        check_format(out_file)
    if out_file is not None and log is not None and out_file.absolute() == log.absolute():
        raise CobnutError(f"--out and --log both name {log}; give each its own file: --out is written anew each time")
    _refuse_among(images, maps)
    inspector = options.open_inspector(bundle, require_signature, engine, threads)
    found = find_images(images)
    counts = Counter[bool | None]()
    with _row_writer(out_file) as write, _log_writer(log, inspector) as keep, progress("judging") as bar:
        bar.update(bar.task_ids[0], total=len(found))
        for row in judge_files(inspector, found, maps):
            write(row)
            keep(row)
            counts[row.is_defective] += 1
            bar.advance(bar.task_ids[0])
    out.print(f"{counts[True] + counts[False]} judged: {counts[True]} defective, {counts[False]} good")
    if log is not None:
        remark_on_drift(inspector.manifest, log, defect_rate)
    for name, place in (("rows", out_file), ("log ", log), ("maps", maps)):
        if place is not None:
            out.print(f"{name}  {place}", markup=False)
    if counts[None]:
        remark(f"{counts[None]} could not be read; their rows say why")
        raise typer.Exit(3)


def _refuse_among(images: list[Path], maps: Path | None) -> None:
    from cobnut.errors import CobnutError

    if maps is not None and any(maps.absolute().is_relative_to(each.absolute()) for each in images):
        raise CobnutError(f"--maps {maps}: lies among the images, and would be judged next time; choose another folder")


@contextmanager
def _row_writer(path: Path | None) -> "Iterator[Writer]":
    """Rows go to the file, or to the terminal where none is named."""
    if path is None:
        yield lambda row: out.print(row.line(), markup=False)
    else:
        from cobnut.runtime.rows import open_rows

        with open_rows(path) as write:
            yield write


@contextmanager
def _log_writer(path: Path | None, inspector: "Inspector") -> "Iterator[Writer]":
    """Rows go to the end of the log too, where one is named."""
    if path is None:
        yield lambda row: None
    else:
        from cobnut.runtime.logs import append_log

        with append_log(path, inspector.manifest.version) as write:
            yield write
