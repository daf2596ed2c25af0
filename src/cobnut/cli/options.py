"""The options that several commands share, each with its one help text."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path | None,
    typer.Argument(
        metavar="DATA",
        help="Data set: a folder in MVTec layout (train/good, test/…, ground_truth/…) or a CSV manifest "
        "(columns path, label; also split, defect_type, mask).",
        show_default=False,
    ),
]
Good = Annotated[
    Path | None, typer.Option("--good", help="Instead of DATA: a folder of good images.", show_default=False)
]
Defective = Annotated[
    Path | None,
    typer.Option(
        "--defective", help="With --good: a folder of defective images, a subfolder per type.", show_default=False
    ),
]
Bundle = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="The bundle that `cobnut train` wrote.", show_default=False)
]


def name_of(data: Path | None, good: Path | None) -> str:
    """What a data set is called in messages and reports."""
    place = data or good
    return place.absolute().name if place else ""
