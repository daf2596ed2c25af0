"""The options that several commands share, each with its one help text."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cobnut.runtime.inspect import Inspector
    from cobnut.study.cluster import Cluster

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

Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="What runs the model: onnxruntime, openvino, or auto, the fastest that is installed, measured once.",
        show_default="$COBNUT_ENGINE, or auto",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Threads that run the model.", show_default="one for each core"),
]

RunsOn = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="Where trainings run: local, one at a time; or ray, a cluster that sees the folder.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        help="With --engine ray: the cluster, or auto for the one that this machine is a part of.",
        show_default="one of its own on this machine",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, max=4096, help="With --engine ray: trainings at once.", show_default="one on each node"
    ),
]

Images = Annotated[
    list[Path], typer.Argument(metavar="IMAGE|DIR", help="Images, or folders of images.", show_default=False)
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

JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write all figures as JSON.", show_default=False)
]
Alpha = Annotated[
    float | None,
    typer.Option(
        "--alpha",
        metavar="SHARE",
        help="Promise that at most this share of good parts is rejected, on average: 0.01 is 1 %. Needs 1/SHARE − 1 "
        "good calibration images, more with --folds.",
        show_default="0.05, or what the images can promise",
    ),
]
Confidence = Annotated[
    float | None,
    typer.Option(
        "--confidence",
        metavar="SHARE",
        help="Promise --alpha for this very calibration set, with this confidence: 0.95 is usual. Needs more images.",
        show_default="on average",
    ),
]
SmallestDefect = Annotated[
    float | None,
    typer.Option(
        "--smallest-defect",
        metavar="PIXELS",
        min=0.0,
        help="Width of the smallest defect worth finding, in pixels of the photographs; chooses the size to work at.",
        show_default="the images' own size",
    ),
]
Folds = Annotated[
    int | None,
    typer.Option(
        "--folds",
        metavar="COUNT",
        help="For few images: train so many detectors, each without its fold of the good images, so that every image "
        "trains and calibrates. `cobnut train` says which promise so many folds can keep.",
        show_default="0: one detector",
    ),
]

Devices = Annotated[
    int | None,
    typer.Option(
        "--devices",
        metavar="COUNT",
        min=1,
        help="GPUs of this machine that train together, or without any processes on the CPU.",
        show_default="1",
    ),
]
DefectRate = Annotated[
    float,
    typer.Option(
        "--defect-rate",
        metavar="SHARE",
        min=0.0,
        max=0.9,
        help="Share of parts that may be defective before «more are rejected than promised» is said; 0: each such "
        "part counts, and then defects or drift explain it.",
    ),
]
RequireSignature = Annotated[
    list[Path] | None,
    typer.Option(
        "--require-signature",
        metavar="NAME.pub",
        envvar="COBNUT_REQUIRE_SIGNATURE",
        help="Refuse a bundle that the owner of this public key has not signed. Repeatable: one of them is enough.",
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
InspectOnly = Annotated[
    str | None,
    typer.Option(
        "--inspect-only",
        metavar="MASK|POLYGON",
        help="Inspect only what lies inside: a mask image of the photographs' size, bright inside, or x,y x,y x,y in "
        "their pixels.",
        show_default=False,
    ),
]
Ignore = Annotated[
    str | None,
    typer.Option(
        "--ignore", metavar="MASK|POLYGON", help="Leave out what lies inside, told alike.", show_default=False
    ),
]
DEFAULT_LOGGERS = ("tensorboard",)
DEFAULT_RECIPE = "feature"


def promise(alpha: float | None, confidence: float | None, folds: int | None = None) -> dict[str, str | float]:
    """``--alpha``, ``--confidence`` and ``--folds`` as options of calibration; the first two decide by promise."""
    given = {"alpha": alpha, "confidence": confidence, "folds": folds}
    changes: dict[str, str | float] = {name: value for name, value in given.items() if value is not None}
    return {"method": "conformal", **changes} if {"alpha", "confidence"} & set(changes) else changes


def as_settings(
    promised: dict[str, str | float],
    inspect_only: str | None,
    ignore: str | None,
    smallest_defect: float | None,
    devices: int | None,
) -> list[str]:
    """What these options say, as ``key=value`` of a recipe."""
    told = {f"calibration.{name}": value for name, value in promised.items()}
    others = {
        "region.inspect": inspect_only,
        "region.ignore": ignore,
        "image.smallest_defect": smallest_defect,
        "training.devices": devices,
    }
    return [
        f"{key}={json.dumps(value, ensure_ascii=False)}"
        for key, value in {**told, **others}.items()
        if value is not None
    ]


def open_inspector(
    place: Path, require_signature: list[Path] | None = None, engine: str | None = "own", threads: int | None = None
) -> "Inspector":
    """The inspector of a bundle, or of a version of it that is named BUNDLE@2, signed where that is required."""
    from cobnut.runtime.inspect import Inspector

    bundle, version = split_version(place)
    return Inspector(bundle, threads, version, engine, require_signature or None)


def split_version(place: Path) -> tuple[Path, int | None]:
    """BUNDLE@2 as the bundle and the version of it, ``None`` where none is named."""
    name, at, version = str(place).rpartition("@")
    if at and version.isdigit() and not place.exists():
        return Path(name), int(version)
    return place, None


def build_cluster(engine: str, address: str | None, workers: int | None) -> "Cluster | None":
    """The cluster that these options name, ``None`` for this process alone."""
    from cobnut.errors import CobnutError, require_extra

    if engine not in ("local", "ray"):
        raise CobnutError(f"--engine {engine}: is not one of local, ray")
    if engine == "local":
        for name, value in (("--address", address), ("--workers", workers)):
            if value is not None:
                raise CobnutError(f"{name} {value}: goes with --engine ray")
        return None
    require_extra("ray", "ray", "--engine ray")
    from cobnut.study.cluster import Cluster

    return Cluster(address, workers)


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
