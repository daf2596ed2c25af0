"""`cobnut export`: a bundle in another form, for less space or another engine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cobnut.cli import options
from cobnut.cli.terminal import out, progress

if TYPE_CHECKING:
    from cobnut.training.conversion import Converted


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command("export")(export)


def export(
    bundle: options.Bundle,
    images: options.Images,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORM",
            help="float16: weights of half the size, as fast as before; int8: arithmetic of 8 bits, faster on "
            "processors with VNNI; openvino: OpenVINO's own format.",
        ),
    ],
    out_path: Annotated[
        Path, typer.Option("--out", metavar="BUNDLE", help="Where the new bundle goes.", show_default=False)
    ],
    require_signature: options.RequireSignature = None,
) -> None:
    """Write a bundle in another form, proved on the good images that it was made with.

    Name the folder that it was trained on: its images are known by their contents. The threshold is set anew by the
    calibration images, so the promise stays; a form that tells synthetic defects from good validation images worse is
    refused. The new bundle holds what is deployed, and cannot be trained on.

    Example: cobnut export hazelnut.cobnut photos/hazelnut/train --to float16 --out small.cobnut
    """
    from cobnut.errors import CobnutError, require_extra
    from cobnut.runtime.judge_files import find_images

    require_extra("onnx", "train", "cobnut export")
    with progress("loading the training software") as bar:
        from cobnut.training.conversion import FORMS, convert

        form = next((each for each in FORMS if each == to), None)
        if form is None:
            raise CobnutError(f"--to {to}: there is no such form; valid are {', '.join(FORMS)}")

        def on_stage(stage: str) -> None:
            bar.update(bar.task_ids[0], description=stage)

        paths = [found.path for found in find_images(images)]
        place, version = options.split_version(bundle)
        converted = convert(place, paths, form, out_path, on_stage, version, require_signature or None)
    _tell(converted)
    out.print(f"bundle     {out_path}", markup=False)
    out.print(f"next       cobnut inspect {out_path} IMAGES", markup=False)


def _tell(converted: "Converted") -> None:
    """What the new form is worth beside the old one."""
    from rich.table import Table

    table = Table("", "before", "after", title="on good validation images and synthetic defects", title_justify="left")
    before, after = converted.before, converted.after
    for words, was, comes in (
        ("megabytes", f"{before.bytes / 1e6:.1f}", f"{after.bytes / 1e6:.1f}"),
        ("ms an image, decoding apart", f"{before.milliseconds:.1f}", f"{after.milliseconds:.1f}"),
        ("AUROC of synthetic defects", f"{before.auroc:.3f}", f"{after.auroc:.3f}"),
        ("of them found", f"{100 * before.found:.0f} %", f"{100 * after.found:.0f} %"),
        ("good images that pass", f"{100 * before.passed:.0f} %", f"{100 * after.passed:.0f} %"),
    ):
        table.add_row(words, was, comes)
    out.print(table)
    out.print(f"scores     differ by at most {100 * converted.difference:.2g} % of their spread", markup=False)
    out.print(f"threshold  {converted.manifest.threshold:.4g}", markup=False)
