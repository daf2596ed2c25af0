"""What every command shares of the terminal: two streams, a progress bar, tables of options."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

# Results go to standard output; progress, remarks and errors to standard error, so that pipes stay clean.
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def complain(message: str) -> None:
    """Say an error in one line."""
    err.print(f"error: {' '.join(message.split())}", style="red", markup=False)


def remark(message: str) -> None:
    """Say what is going on."""
    err.print(message, style="dim", markup=False)


@contextmanager
def progress(description: str, as_bytes: bool = False) -> Iterator[Progress]:
    """A bar with count (or bytes), elapsed and remaining time; drawn only on a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        DownloadColumn() if as_bytes else MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[remark]}", style="dim"),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        bar.add_task(description, total=None, remark="")
        yield bar


def check_target(path: Path | None, option: str) -> None:
    """Refuse a file target that cannot be written, before long work begins."""
    from cobnut.errors import CobnutError

    if path is None:
        return
    if path.is_dir():
        raise CobnutError(f"{option} {path}: is a folder; name a file")
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not os.access(parent, os.W_OK):
        raise CobnutError(f"{option} {path}: {parent} cannot be written to; choose another place")
    if not parent.is_dir():
        raise CobnutError(f"{option} {path}: {parent} is a file, not a folder; choose another place")
