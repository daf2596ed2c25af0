"""`cobnut train` and `cobnut demo`."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cobnut.cli import options
from cobnut.cli.terminal import out, progress, remark
from cobnut.recipe import Effort

if TYPE_CHECKING:
    from cobnut.recipe import Recipe
    from cobnut.records import Sample, Split
    from cobnut.runtime.bundle import Epoch, Manifest

FEW = 20


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command("demo")(demo)
    app.command("train")(train)


def train(
    data: options.Data = None,
    *,
    out_path: Annotated[Path, typer.Option("--out", help="The bundle to write, a folder.", show_default=False)],
    recipe: Annotated[
        str, typer.Option("--recipe", help="A name that `cobnut recipes` lists, or a .toml file.")
    ] = options.DEFAULT_RECIPE,
    effort: Annotated[
        Effort, typer.Option("--effort", help="Time for accuracy, of a recipe of features: image size and steps.")
    ] = Effort.DEFAULT,
    good: options.Good = None,
    defective: options.Defective = None,
    inspect_only: options.InspectOnly = None,
    ignore: options.Ignore = None,
    settings: options.Settings = None,
    smallest_defect: options.SmallestDefect = None,
    alpha: options.Alpha = None,
    confidence: options.Confidence = None,
    folds: options.Folds = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of split, weights and order; the same seed gives the same detector.")
    ] = None,
    devices: options.Devices = None,
    weights: options.Weights = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted training of this bundle.")
    ] = False,
    loggers: options.Loggers = None,
) -> None:
    """Train a detector on good images and write it as a bundle.

    The good images are parted into training, validation, calibration and, where the data set brings few good test
    images, test. Defective images are never looked at. Logs and reconstructions stand in OUT.run; MLflow's go to
    $MLFLOW_TRACKING_URI where that is set.

    Example: cobnut train photos/hazelnut --out hazelnut.cobnut
    """
    from cobnut.data.layouts import read_dataset
    from cobnut.errors import require_extra
    from cobnut.recipe import with_effort

    require_extra("torch", "train", "training")
    from cobnut.training.loggers import check_loggers

    options.use_weights(weights)
    told = (
        *(("calibration.method=conformal",) if folds else ()),  # of the study's recipes too, unless --set says no
        *(settings or ()),
        *options.as_settings(options.promise(alpha, confidence, folds), inspect_only, ignore, smallest_defect, devices),
    )
    checked = with_effort(recipe, effort, told, seed)
    is_feature = checked.network.rebuilds == "features"
    best = with_effort(recipe, Effort.BEST, told, seed).image.size if is_feature else 0
    check_loggers(loggers or ())
    samples = read_dataset(data, good, defective)
    manifest = run_training(samples, checked, out_path, resume, loggers or options.DEFAULT_LOGGERS, best)
    _tell(manifest, out_path)
    out.print(f"next       {evaluate_command(out_path, data, good, defective)}", markup=False)


def demo(
    out_path: Annotated[
        Path, typer.Option("--out", help="Folder for the rendered parts, the bundle and the report.")
    ] = Path("demo"),
) -> None:
    """Render parts, train on the good ones, judge the rest and write a report: the whole way in a few minutes."""
    from cobnut.cli.evaluating import run_evaluation
    from cobnut.data.layouts import read_dataset
    from cobnut.data.sample_parts import write_sample_parts
    from cobnut.errors import require_extra
    from cobnut.recipe import read_recipe

    require_extra("torch", "train", "the demo")
    parts = out_path / "parts"
    if not (parts / "train").is_dir():
        with progress("rendering parts") as bar:
            write_sample_parts(
                parts, on_progress=lambda done, total: bar.update(bar.task_ids[0], completed=done, total=total)
            )
    remark(f"rendered parts stand in {parts}")
    samples = read_dataset(parts)
    bundle, report = out_path / "parts.cobnut", out_path / "report.html"
    run_training(samples, read_recipe(options.DEFAULT_RECIPE), bundle)
    run_evaluation(bundle, samples, "rendered parts", report=report, json_file=out_path / "figures.json")


def run_training(
    samples: "list[Sample]",
    recipe: "Recipe",
    bundle: Path,
    resume: bool = False,
    loggers: Sequence[str] = options.DEFAULT_LOGGERS,
    best: int = 0,
) -> "Manifest":
    """Train with the terminal's bars and remarks; ``best`` is the size that the best effort may take."""
    with progress("loading the training software"):
        from cobnut.training.train import Listeners, train

    with progress("reading images") as bar:
        task, epochs, fold = bar.task_ids[0], recipe.training.epochs, ""

        def on_split(counts: "dict[Split, int]") -> None:
            nonlocal epochs
            epochs = recipe.training.epochs_for(counts["train"])
            where = "good images of each fold: " if recipe.calibration.folds else "good images: "
            remark(where + ", ".join(f"{count} {split}" for split, count in counts.items()))
            bar.update(task, total=counts["train"] + counts["validation"] + counts["calibration"])

        def on_fold(number: int, count: int) -> None:
            nonlocal fold
            fold = f"fold {number} of {count}: "
            if not bar.console.is_terminal:
                remark(fold.rstrip(": "))

        def on_epoch(epoch: "Epoch", best_epoch: int) -> None:
            if epoch.epoch == 1 or bar.tasks[task].description != f"{fold}training":
                bar.update(task, description=f"{fold}training", completed=0, total=epochs)
            losses = f"loss {epoch.train_loss:.5f}  validation {epoch.val_loss:.5f}  best epoch {best_epoch}"
            bar.update(task, completed=epoch.epoch, remark=losses)
            if not bar.console.is_terminal and (epoch.epoch == 1 or epoch.epoch % 10 == 0):
                remark(f"epoch {epoch.epoch}/{epochs}  {losses}")

        listeners = Listeners(
            on_split=on_split,
            on_size=lambda at_size, finest: _remark_on_size(at_size, finest, best),
            on_image=lambda count: bar.advance(task, count),
            on_features=lambda done, total: bar.update(
                task, description=f"{fold}computing features", completed=done, total=total
            ),
            on_epoch=on_epoch,
            on_stage=lambda stage: bar.update(task, description=fold + stage, completed=0, total=None, remark=""),
            on_fold=on_fold,
        )
        return train(samples, recipe, bundle, resume, listeners, loggers)


def _tell(manifest: "Manifest", bundle: Path) -> None:
    """What came of a training: the decision, its promise, and how it works."""
    from cobnut.report.making import agreement_text, epochs_text, promise_text, working_text
    from cobnut.runtime.bundle import REGION, read_bundle_region

    _remark_on_few(manifest)
    out.print(f"bundle     {bundle}", markup=False)
    out.print(f"threshold  {manifest.threshold:.4g}  ({describe_decision(manifest)})", markup=False)
    if manifest.recipe.calibration.method == "conformal":
        out.print(f"promise    {promise_text(manifest)}", markup=False)
    region = read_bundle_region(bundle, manifest)
    if region is not None:
        out.print(f"inspects   {100 * region.mean():.0f} % of the image: {bundle / REGION}", markup=False)
    out.print(f"works      {working_text(manifest.recipe, manifest.finest_defect)}", markup=False)
    out.print(f"shows      the error «{manifest.recipe.score.error}»", markup=False)
    out.print(f"deployed   {agreement_text(manifest)}", markup=False)
    out.print(f"took       {manifest.seconds:.0f} s, {epochs_text(manifest)}")


def _remark_on_size(recipe: "Recipe", finest: float | None, best: int) -> None:
    from cobnut.report.making import reach_text, working_text

    remark(f"works {working_text(recipe, finest)}")
    if finest is not None and 0 < recipe.image.smallest_defect < finest:
        remark(reach_text(recipe, finest, best))


def _remark_on_few(manifest: "Manifest") -> None:
    count = len(manifest.fingerprint["validation"])
    if manifest.choice and count < FEW:
        remark(
            f"how the map becomes a score was chosen on only {count} validation images: "
            "a first guess, which more good images will sharpen"
        )


def evaluate_command(bundle: Path, data: Path | None, good: Path | None, defective: Path | None) -> str:
    """The command that judges the test images of the data that was named for the training, for a shell."""
    named = {"": data, "--good": good, "--defective": defective}
    words = [word for option, path in named.items() if path for word in (option, str(path)) if word]
    return shlex.join(["cobnut", "evaluate", str(bundle), *words, "--report", "report.html"])


def describe_decision(manifest: "Manifest") -> str:
    """The study's decision in words."""
    recipe = manifest.recipe
    area = recipe.score.least_area
    if manifest.folds:
        return f"defective when odder than that many left-out images to the {manifest.folds} detectors"
    where = f"more than {100 * area:g} % of {recipe.region.whole}" if area else "any pixel"
    if recipe.calibration.method == "conformal":
        return f"defective when {where} lies above"
    return f"percentile {recipe.calibration.q:g} of good pixel errors; defective when {where} lies above"
