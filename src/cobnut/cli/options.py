"""The options that several commands share, each with its one help text."""

import os
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

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change an option of the recipe; `cobnut recipes NAME` lists them. Repeatable.",
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="DIR",
        envvar="COBNUT_WEIGHTS",
        help="Folder with weights of pretrained encoders, NAME.safetensors by their timm names.",
        show_default=False,
    ),
]


Loggers = Annotated[
    list[str] | None,
    typer.Option(
        "--logger",
        metavar="NAME",
        help="Who writes the losses down: tensorboard (the default), mlflow, csv or none. Repeatable.",
        show_default=False,
    ),
]
DEFAULT_LOGGERS = ("tensorboard",)


def use_weights(folder: Path | None) -> None:
    """Let encoders look for their weights in ``folder``; raises :class:`CobnutError` when there is no such folder."""
    from cobnut.errors import CobnutError

    if folder is None:
        return
    if not folder.is_dir():
        raise CobnutError(f"--weights {folder}: there is no such folder; name the one that holds NAME.safetensors")
    os.environ["COBNUT_WEIGHTS"] = str(folder)


def name_of(data: Path | None, good: Path | None) -> str:
    """What a data set is called in messages and reports."""
    place = data or good
    return place.absolute().name if place else ""
