"""`cobnut batch`: many images, one file of verdicts."""

import time
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cobnut.cli import options
from cobnut.cli.terminal import out, progress, remark

if TYPE_CHECKING:
    from cobnut.runtime.batch import Batch, Request
    from cobnut.runtime.shards import Workforce

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE…",
        help="Folders, patterns such as 'in/**/*.png', images, lists (.csv and .parquet with a column path, .txt with "
        "a path a line), and URLs of any of these: s3://…, gs://…. Folders and patterns leave out hidden files and "
        "folders called ground_truth.",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the batch; one that is there goes on.")]
Maps = Annotated[
    bool, typer.Option("--maps", help="Draw each image with its anomalies, as PNG below DIR/maps.", show_default=False)
]
Form = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="Of the verdicts: parquet, csv or jsonl.",
        show_default="parquet; csv where pyarrow is not installed",
    ),
]
EngineName = Annotated[
    str, typer.Option("--engine", metavar="NAME", help="Who judges: local, processes here; or ray, a cluster.")
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, max=4096, help="How many judge at once.", show_default="one a core"),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", min=1, max=1024, help="Threads of each worker.", show_default="its share of the cores; 1 on Ray"
    ),
]
Shard = Annotated[
    int | None,
    typer.Option(
        "--shard",
        metavar="IMAGES",
        min=1,
        max=65536,
        help="Images that are kept together: what is judged anew when a worker dies.",
        show_default="32 to 256, by their number",
    ),
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Begin anew: take away what a batch has left in DIR.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command("batch")(batch)


def batch(
    bundle: options.Bundle,
    sources: Sources,
    out_folder: Out,
    maps: Maps = False,
    form: Form = None,
    engine: EngineName = "local",
    address: options.Address = None,
    workers: Workers = None,
    threads: Threads = None,
    shard: Shard = None,
    fresh: Fresh = False,
    require_signature: options.RequireSignature = None,
) -> None:
    """Judge very many images with all cores, or a cluster, into one file with a row an image.

    Goes on where it was when it is given again after it was killed: each image has one row, none is lost. An image
    that cannot be read is a row with its error. Exit code 0: all were judged, 3: some could not be.

    Example: cobnut batch hazelnut.cobnut 'archive/2026-*/*.png' --out judged
    """
    from cobnut.runtime.batch import Request

    place, version = options.split_version(bundle)
    request = Request(
        bundle=place,
        version=version,
        sources=sources,
        out=out_folder,
        maps=maps,
        form=_form(form),
        shard=shard,
        is_fresh=fresh,
        digest=_vouched(place, version, require_signature) if require_signature else None,
    )
    _refuse_among(request)
    done = _run(request, _build_engine(engine, address, workers, threads))
    _tell(done, out_folder, maps)
    if done.record.unreadable:
        raise typer.Exit(3)


def _vouched(bundle: Path, version: int | None, keys: list[Path]) -> str:
    """The digest of a bundle that one of the keys has signed; workers refuse to judge with another."""
    import json

    from cobnut.runtime.bundle import read_contents
    from cobnut.runtime.signatures import check_signed

    contents = read_contents(bundle, version)
    check_signed(bundle, contents, keys)
    return str(json.loads(contents.record)["digest"])


def _form(name: str | None) -> str:
    """The ending of the verdicts' file."""
    from importlib.util import find_spec

    from cobnut.errors import CobnutError, require_extra
    from cobnut.runtime.batch import FORMS

    if name is None and find_spec("pyarrow") is None:
        remark("verdicts become CSV: pyarrow, which writes Parquet, is not installed (pip install 'cobnut[parquet]')")
        return ".csv"
    form = f".{name or 'parquet'}".lower()
    if form not in FORMS:
        raise CobnutError(f"--format {name}: is not one of {', '.join(each[1:] for each in FORMS)}")
    if form == ".parquet":
        require_extra("pyarrow", "parquet", "--format parquet")
    return form


def _build_engine(name: str, address: str | None, workers: int | None, threads: int | None) -> "Workforce":
    from cobnut.errors import CobnutError, require_extra

    if name == "local":
        from cobnut.machine import cores
        from cobnut.runtime.workers import LocalWorkers

        if address is not None:
            raise CobnutError(f"--address {address}: goes with --engine ray")
        return LocalWorkers(workers or max(1, cores() // (threads or 1)), threads)
    if name == "ray":
        from cobnut.runtime.ray_workers import RayWorkers

        require_extra("ray", "ray", "--engine ray")
        return RayWorkers(workers, address, threads)
    raise CobnutError(f"--engine {name}: is not one of local, ray")


def _refuse_among(request: "Request") -> None:
    """Refuse to draw pictures where the next run would take them for photographs."""
    from cobnut.errors import CobnutError
    from cobnut.runtime.batch import MAPS

    folder = (request.out / MAPS).absolute()
    if request.maps and any(_takes(source, folder) for source in request.sources):
        raise CobnutError(
            f"--out {request.out}: lies among the images, and its maps would be judged next time; choose another folder"
        )


def _takes(source: str, folder: Path) -> bool:
    """Whether a source may take in what lies in a folder, whose path is absolute."""
    from cobnut.runtime.remote import before_pattern

    if "**" in source or Path(source).is_dir():
        return folder.is_relative_to(Path(before_pattern(source)).absolute())
    pattern = Path(source).absolute().parts
    return len(pattern) > len(folder.parts) and all(map(fnmatch, folder.parts, pattern))


def _run(request: "Request", engine: "Workforce") -> "Batch":
    """Run the batch with a bar that tells how many images are done, and how many a second."""
    from cobnut.runtime.batch import BatchListeners, run_batch

    with progress("judging") as bar:
        task, started, judged = bar.task_ids[0], time.monotonic(), 0

        def on_plan(images: int, done: int) -> None:
            bar.update(task, total=images, completed=done)
            if done:
                remark(f"{done} of {images} images are judged already")

        def on_shard(images: int) -> None:
            nonlocal judged
            judged += images
            bar.update(task, advance=images, remark=f"{judged / (time.monotonic() - started):.1f} images/s")

        return run_batch(request, engine, BatchListeners(on_plan, on_shard))


def _tell(done: "Batch", out_folder: Path, maps: bool) -> None:
    from cobnut.runtime.batch import MAPS, UNREADABLE

    record = done.record
    if done.was_finished:
        remark(f"finished before ({record.finished}); nothing is left to do, and --fresh begins anew")
    if done.newcomers:
        remark(f"{done.newcomers} images came since this batch was planned; judge them in another --out, or --fresh")
    if record.repeated:
        remark(f"{record.repeated} were named more than once, and are judged once")
    unreadable = f", {record.unreadable} unreadable" if record.unreadable else ""
    good = record.judged - record.defective
    out.print(f"{record.judged} judged: {record.defective} defective, {good} good{unreadable}")
    if record.images_per_second is not None and record.cores_busy is not None:
        out.print(f"speed     {record.images_per_second:.1f} images/s, {record.cores_busy:.1f} cores busy on average")
    places = [("verdicts", record.verdicts)]
    places += [("maps", MAPS)] if maps else []
    places += [("not read", UNREADABLE)] if record.unreadable else []
    for name, place in places:
        out.print(f"{name:<9} {out_folder / place}", markup=False)
    if record.unreadable:
        remark(f"name {out_folder / UNREADABLE} as SOURCE of another batch to try those again")
