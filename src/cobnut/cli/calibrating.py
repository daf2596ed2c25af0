"""`cobnut calibrate`, `cobnut replay` and `cobnut rollback`: a new promise, what it would change, and the way back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cobnut.cli import costs, options
from cobnut.cli.terminal import out, progress, remark

if TYPE_CHECKING:
    from cobnut.runtime.bundle import Manifest


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command("calibrate")(calibrate)
    app.command("replay")(replay)
    app.command("rollback")(rollback)


def calibrate(
    bundle: options.Bundle,
    images: options.Images,
    alpha: options.Alpha = None,
    confidence: options.Confidence = None,
    defective: costs.Defective = None,
    cost_miss: costs.CostMiss = None,
    cost_false_alarm: costs.CostFalseAlarm = None,
    defect_rate: costs.DefectRate = None,
    require_signature: options.RequireSignature = None,
) -> None:
    """Set the threshold anew by good images that the bundle was not made with: a new version of it.

    For a new lamp, a new lot, or another promise. The model stays; the old version is kept: `cobnut rollback` returns
    to it, and `cobnut replay` shows whose verdict would change. What an alpha is worth depends on what errors cost: the
    three options of cost choose it.

    Example: cobnut calibrate hazelnut.cobnut good/today --alpha 0.01
    """
    from cobnut.calibration.costs import LeastCost
    from cobnut.errors import require_extra
    from cobnut.report.making import promise_text
    from cobnut.runtime.bundle import SIGNATURES, read_manifest
    from cobnut.runtime.judge_files import find_images
    from cobnut.runtime.versions import calibrate, defective_scores

    given = costs.read_costs(cost_miss, cost_false_alarm, defect_rate, defective, alpha)
    if defective is not None:
        require_extra("scipy", "report", "--defective")
    paths = [found.path for found in find_images(images)]
    faulty = [found.path for found in find_images([defective])] if defective else []
    before, required = read_manifest(bundle), require_signature or None
    with progress("judging images") as bar:
        bar.update(bar.task_ids[0], total=len(paths) + len(faulty))

        def step(count: int) -> None:
            bar.advance(bar.task_ids[0], count)

        scores = defective_scores(bundle, faulty, paths, step, required) if faulty else None
        by_cost = LeastCost(given, scores) if given is not None and scores is not None else None
        made = calibrate(bundle, paths, options.promise(alpha, confidence), step, by_cost, required)
    out.print(f"version    {made.version} of {bundle}; version {before.version} is kept", markup=False)
    out.print(f"threshold  {made.threshold:.4g}  (it was {before.threshold:.4g})", markup=False)
    if made.recipe.calibration.method == "conformal":
        out.print(f"promise    {promise_text(made)}", markup=False)
    if by_cost is not None:
        costs.print_chosen(by_cost, len(made.calibration_scores))
    if scores is not None:
        costs.print_misses(scores.values(), made.threshold, is_chosen=by_cost is not None)
    if required or (bundle / SIGNATURES).is_dir():
        remark(f"version {made.version} is not signed yet; `cobnut sign {bundle} --key NAME.key` signs it")
    out.print(f"next       cobnut replay {bundle}@{before.version} {bundle} IMAGES", markup=False)


def replay(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A bundle, or a version of it: BUNDLE@1.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The bundle or version that shall take its place.")],
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="LOG|IMAGE|DIR",
            help="Images, folders of images, or logs and rows that `cobnut inspect` wrote (.jsonl, .csv, .parquet).",
            show_default=False,
        ),
    ],
    maps: Annotated[
        Path | None,
        typer.Option(
            "--maps", metavar="DIR", help="Draw what NEW says of each image that changes, as PNG.", show_default=False
        ),
    ] = None,
    require_signature: options.RequireSignature = None,
) -> None:
    """Judge the same images by two bundles, or two versions of one, and show each whose verdict changes.

    Beside each verdict stands how many times its threshold the score is. Exit code 3: some images could not be judged.

    Example: cobnut replay hazelnut.cobnut@1 hazelnut.cobnut verdicts.csv
    """
    from cobnut.runtime.judge_files import Found, draw_map
    from cobnut.runtime.logs import images_of
    from cobnut.runtime.replay import replay

    present, future = (options.open_inspector(each, require_signature) for each in (old, new))
    found = images_of(images)
    changed = alarms = broken = 0
    with progress("judging twice") as bar:
        bar.update(bar.task_ids[0], total=len(found))
        for each in replay(present, future, found):
            bar.advance(bar.task_ids[0])
            broken += bool(each.error)
            if each.error:
                remark(f"left out: {each.error}")
            if each.new is not None and each.is_changed:
                changed += 1
                alarms += each.new.is_defective
                out.print(each.line(), markup=False)
                if maps is not None:
                    draw_map(future, Found(each.path, Path(f"{changed:04}-{each.path.name}")), each.new, maps)
    judged = len(found) - broken
    ways = f"{alarms} from good to defective, {changed - alarms} from defective to good"
    out.print(f"{changed} of {judged} verdicts change: {ways}")
    if broken:
        raise typer.Exit(3)


def rollback(
    bundle: options.Bundle,
    to: Annotated[
        int | None, typer.Option("--to", metavar="VERSION", help="Which version.", show_default="the one before")
    ] = None,
    list_versions: Annotated[bool, typer.Option("--list", help="Only list the versions that are kept.")] = False,
) -> None:
    """Return to an earlier calibration of a bundle; the present one is kept too.

    Example: cobnut rollback hazelnut.cobnut
    """
    from cobnut.errors import BundleError
    from cobnut.runtime.bundle import read_manifest
    from cobnut.runtime.versions import roll_back, versions

    present = read_manifest(bundle) if list_versions else roll_back(bundle, to)
    if not list_versions:
        out.print(f"version {present.version} of {bundle} is the present one", markup=False)
    for version in versions(bundle) or [present.version]:
        try:
            each = present if version == present.version else read_manifest(bundle, version)
        except BundleError as error:
            out.print(f"  {version:>3}  {error}", markup=False)
        else:
            out.print(f"{'→' if version == present.version else ' '} {_line(each)}", markup=False)


def _line(manifest: "Manifest") -> str:
    calibration, images = manifest.recipe.calibration, len(manifest.calibration_scores)
    promise = f"alpha {calibration.alpha:g}" if isinstance(calibration.alpha, float) else "percentile"
    sure = f", confidence {calibration.confidence:g}" if calibration.confidence else ""
    day = (manifest.calibrated or manifest.created)[:16].replace("T", " ")
    return f"{manifest.version:>3}  {day}  threshold {manifest.threshold:<10.4g} {promise}{sure}, {images} good images"
