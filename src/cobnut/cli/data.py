"""`cobnut data`, `cobnut parts` and `cobnut download`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from cobnut.cli import options
from cobnut.cli.terminal import check_target, out, progress, remark

if TYPE_CHECKING:
    from cobnut.data.audit import Audit


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command("data")(data)
    app.command("parts")(parts)
    app.command("download")(download)


def data(
    data: options.Data = None,
    good: options.Good = None,
    defective: options.Defective = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--picture",
            metavar="FILE.png",
            help="Where to draw samples of each class.",
            show_default="NAME-samples.png",
        ),
    ] = None,
) -> None:
    """Tell what a data set holds, what is wrong with it, and draw one picture of it.

    Prints counts per split and class, sizes, colour modes, missing masks and damaged files.

    Example: cobnut data photos/hazelnut --picture hazelnut.png
    """
    from cobnut.data.audit import audit
    from cobnut.data.layouts import read_dataset
    from cobnut.report.sheet import write_sheet

    picture = picture or Path(f"{options.name_of(data, good)}-samples.png")
    check_target(picture, "--picture")
    samples = read_dataset(data, good, defective)
    with progress("looking at images") as bar:
        bar.update(bar.task_ids[0], total=len(samples))
        found = audit(samples, lambda count: bar.advance(bar.task_ids[0], count))
    _print_audit(found)
    write_sheet(samples, picture)
    out.print(f"picture  {picture}", markup=False)
    if found.damaged or found.bad_masks:
        raise typer.Exit(2)


def parts(
    out_path: Annotated[Path, typer.Option("--out", help="Folder to write, in MVTec layout.", show_default=False)],
    good: Annotated[int, typer.Option(min=1, help="Good images for training.")] = 100,
    test_good: Annotated[int, typer.Option(min=0, help="Good images for the test.")] = 20,
    defective: Annotated[int, typer.Option(min=0, help="Defective images for the test, per defect type.")] = 10,
    side: Annotated[int, typer.Option(min=32, max=1024, help="Side of the images, in pixels.")] = 256,
    seed: Annotated[int, typer.Option(min=0, help="The same seed renders the same parts.")] = 0,
) -> None:
    """Render photographs of nuts, good and defective, with exact masks: data to try everything on.

    Example: cobnut parts --out parts
    """
    from cobnut.data.sample_parts import write_sample_parts

    with progress("rendering parts") as bar:
        write_sample_parts(
            out_path,
            good=good,
            test_good=test_good,
            defective=defective,
            side=side,
            seed=seed,
            on_progress=lambda done, total: bar.update(bar.task_ids[0], completed=done, total=total),
        )
    out.print(f"parts  {out_path}", markup=False)


def download(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="The data set; there is one: mvtec.", show_default=False)
    ],
    categories: Annotated[
        list[str] | None,
        typer.Argument(metavar="CATEGORY", help="Its categories, such as hazelnut carpet.", show_default=False),
    ] = None,
    all_categories: Annotated[bool, typer.Option("--all", help="All 15 categories, one archive of 5.3 GB.")] = False,
    out_path: Annotated[Path, typer.Option("--out", help="Folder that receives a folder per category.")] = Path(
        "mvtec"
    ),
    sha256: Annotated[
        str | None, typer.Option("--sha256", help="The hash that a single archive must have.", show_default=False)
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the archives beside the images.")] = False,
) -> None:
    """Fetch a published data set: resumed after a break, proved by its hash, unpacked safely.

    The whole archive (--all) has a known SHA-256. For a single category the first download pins what it finds.

    Example: cobnut download mvtec hazelnut carpet --out mvtec
    """
    from cobnut.data.download import MVTEC_ALL, MVTEC_LICENCE, find_archives
    from cobnut.data.download import download as download_archives
    from cobnut.errors import DownloadError

    if dataset != "mvtec":
        raise DownloadError(f"{dataset}: no such data set; valid is mvtec, as in: cobnut download mvtec hazelnut")
    if all_categories and categories:
        raise DownloadError(f"{categories[0]} --all: name categories or say --all, not both")
    archives = [MVTEC_ALL] if all_categories else find_archives(categories or ())
    remark(MVTEC_LICENCE)
    with progress("fetching", as_bytes=True) as bar:
        task = bar.task_ids[0]

        def on_message(message: str) -> None:
            remark(message)
            bar.reset(task, description=message.partition(" (")[0])

        folders = download_archives(
            archives,
            out_path,
            sha256=sha256,
            keep=keep,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
            on_message=on_message,
        )
    for folder in folders:
        out.print(f"data  {folder}", markup=False)


def _print_audit(found: "Audit") -> None:
    from rich.table import Table

    table = Table()
    for heading in ("split", "class", "images", "masks"):
        table.add_column(heading, justify="right" if heading in ("images", "masks") else "left")
    for (split, name), count in sorted(found.counts.items(), key=lambda item: (item[0][0] != "train", item[0])):
        table.add_row(split, escape(name), str(count), "" if name == "good" else str(found.masks[split, name]))
    out.print(table)
    sizes = [f"{width} × {height} ({count})" for (width, height), count in found.sizes.most_common(6)]
    more = f" and {len(found.sizes) - 6} more" if len(found.sizes) > 6 else ""
    out.print(f"sizes          {', '.join(sizes)}{more}")
    out.print(f"modes          {', '.join(f'{mode} ({count})' for mode, count in found.modes.most_common())}")
    out.print(f"missing masks  {found.missing_masks}" + (" (left out of pixel figures)" if found.missing_masks else ""))
    out.print(f"damaged files  {len(found.damaged) + len(found.bad_masks)}")
    for line in found.damaged + found.bad_masks:
        out.print(f"  {line}", style="red", markup=False)
    if 8 < found.deepest_bits < 16:
        remark(
            f"the 16-bit images use only {found.deepest_bits} bits: train with --set image.bits={found.deepest_bits}"
        )
