"""`cobnut tune`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cobnut.cli import options
from cobnut.cli.terminal import err, out, progress, remark
from cobnut.cli.watching import training_listeners

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from rich.progress import Progress

    from cobnut.evaluation.trials import TrialRow, Tuning
    from cobnut.recipe import Recipe
    from cobnut.records import Sample
    from cobnut.study.cluster import Cluster
    from cobnut.study.ledger import Ledger
    from cobnut.study.space import Space
    from cobnut.study.tune import Task
    from cobnut.training.train import Listeners

BEST, PAGE, ROWS, ENDING = "best.toml", "page.html", "trials.csv", "ending.lock"

SpaceFile = Annotated[
    Path | None,
    typer.Option(
        "--space",
        metavar="FILE.toml",
        help="What is searched: a line per option, a list of choices or a range. Default: a space that fits the "
        "recipe's network, without the options that --set fixes.",
        show_default=False,
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        help="Database for workers on several machines, such as postgresql://…; default: SQLite in OUT.",
        show_default=False,
    ),
]
Trials = Annotated[int, typer.Option(min=1, help="Trials in all, whoever works at them; more go on later.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of the search and of every training.")]
Out = Annotated[
    Path, typer.Option("--out", help="Folder of the tuning; one that is there goes on.", show_default=False)
]
RecipeName = Annotated[
    str, typer.Option("--recipe", help="The recipe to begin with: a name that `cobnut recipes` lists, or a file.")
]
NoTruth = Annotated[bool, typer.Option("--no-truth", help="Do not look at the test images, not even at the end.")]


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command("tune")(tune)


def tune(
    data: options.Data = None,
    *,
    out_path: Out,
    recipe: RecipeName = options.DEFAULT_RECIPE,
    good: options.Good = None,
    defective: options.Defective = None,
    trials: Trials = 30,
    space: SpaceFile = None,
    storage: Storage = None,
    seed: Seed = None,
    settings: options.Settings = None,
    weights: options.Weights = None,
    loggers: options.Loggers = None,
    no_truth: NoTruth = False,
    engine: options.RunsOn = "local",
    address: options.Address = None,
    workers: options.Workers = None,
) -> None:
    """Search the settings of a recipe that tell good images best from the same images with synthetic defects.

    The test images are put aside: each trial trains as `cobnut train` does and is judged on good validation images.
    Trainings that lag behind are pruned where pixels are rebuilt. The first trial is the recipe as it is. When all is
    chosen, the test is looked at once, to show how well the synthetic defects stood for the real ones.

    The same command goes on with a tuning that was interrupted or killed; in several terminals it shares the trials.
    A space of your own is a TOML file such as

        "network.noise" = { low = 0.0, high = 0.6 }

        "network.code" = [16, 32, 64]

    OUT receives best.toml, page.html, trials.csv, and each trial's detector as a bundle.

    Example: cobnut tune photos/hazelnut --trials 30 --out tuning
    """
    from cobnut.data.layouts import read_dataset
    from cobnut.errors import require_extra
    from cobnut.recipe import read_recipe

    for module in ("torch", "optuna", "tomli_w", "filelock"):
        require_extra(module, "tune", "tuning")
    from cobnut.training.loggers import check_loggers

    options.use_weights(weights)
    check_loggers(loggers or ())
    cluster = options.build_cluster(engine, address, workers)
    plain, samples = read_recipe(recipe, settings or (), seed), read_dataset(data, good, defective)
    task = _plan(plain, samples, space, settings or ())
    with _open(task, out_path, storage) as ledger:
        _search(task, ledger, trials, loggers or options.DEFAULT_LOGGERS, cluster, storage)
        _end(ledger, task.space, plain, [] if no_truth else samples, options.name_of(data, good), trials)


def _plan(recipe: "Recipe", samples: "list[Sample]", space: Path | None, settings: "Sequence[str]") -> "Task":
    """What every trial starts from, all of it checked; what ``settings`` fix is not searched."""
    _load_software()
    from cobnut.study.space import read_space
    from cobnut.study.tune import build_task

    fixed = [setting.partition("=")[0].strip() for setting in settings]
    return build_task(samples, recipe, read_space(recipe, space, fixed))


def _open(task: "Task", out_path: Path, storage: str | None) -> "AbstractContextManager[Ledger]":
    from cobnut.study.ledger import fingerprint, open_ledger

    return open_ledger(out_path, task.recipe, task.space, fingerprint(task.samples, task.hashes), storage)


def _load_software() -> None:
    with progress("loading the training software"):
        import cobnut.study.tune  # noqa: F401


def _search(
    task: "Task",
    ledger: "Ledger",
    trials: int,
    loggers: "Sequence[str]",
    cluster: "Cluster | None",
    storage: str | None,
) -> None:
    """Work at trials with a bar for the one at hand and a line for each that ends."""
    from cobnut.study.claims import finished
    from cobnut.study.tune import TuneListeners, tune

    if done := len(finished(ledger.study)):
        remark(f"{done} of {trials} trials are done already")
    for key, values in task.space.lines():
        remark(f"searching {key}: {values}")
    with progress("") as bar:
        listeners = TuneListeners(
            on_begin=lambda number, recipe: _begin(bar, number, recipe),
            on_end=lambda number, rows: _tell(number, rows, trials),
        )
        if cluster is None:
            tune(task, ledger, trials, listeners, loggers)
        else:
            from cobnut.study.cluster import tune_on_cluster

            bar.update(bar.task_ids[0], description="trials on the cluster", total=None)
            tune_on_cluster(task, ledger, trials, storage, cluster, listeners, loggers)


def _begin(bar: "Progress", number: int, recipe: "Recipe") -> "Listeners":
    bar.update(bar.task_ids[0], description=f"trial {number}: reading", completed=0, total=None, remark="")
    return training_listeners(bar, f"trial {number}", recipe.training)


def _tell(number: int, rows: "list[TrialRow]", trials: int) -> None:
    row = next(each for each in rows if each.number == number)
    ended = sum(each.outcome != "running" for each in rows)
    best = max((each.objective for each in rows if each.objective is not None), default=None)
    what = {
        "finished": f"objective {row.objective or 0:.4f}",
        "pruned": f"pruned after {row.epochs} epochs",
        "failed": f"failed: {row.reason}",
    }[row.outcome]
    settings = "  ".join(f"{key.rpartition('.')[2]} {_value(value)}" for key, value in row.settings.items())
    place = f"{ended:>{len(str(trials))}} of {trials}"
    best_text = "none yet" if best is None else f"{best:.4f}"
    err.print(f"{place}  trial {number}: {what}, best {best_text}  ({settings})", markup=False)


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _end(ledger: "Ledger", space: "Space", recipe: "Recipe", samples: "list[Sample]", data: str, trials: int) -> None:
    """Write the best recipe, then look at the test, then draw; the last worker does it, the others only say so."""
    from cobnut.report.tune_page import write_tune_page
    from cobnut.study.ending import is_over, look_at_truth, sum_up, sweep, write_best
    from cobnut.study.rows import write_rows

    with ledger.lock(ENDING):
        if not is_over(ledger, trials):
            remark("other workers are still at their last trials; the last one writes the page")
            return
        sweep(ledger)
        tuning = sum_up(ledger, space, data, recipe)
        tuned = write_best(tuning, recipe, out_path := ledger.out / BEST)
        if any(sample.is_defective for sample in samples):
            with progress("looking at the test, now that all is chosen") as bar:
                bar.update(bar.task_ids[0], total=len(tuning.finished))
                look_at_truth(ledger, tuning.finished, samples, lambda _: bar.advance(bar.task_ids[0]))
            tuning = sum_up(ledger, space, data, recipe)
        with progress("drawing the page"):
            write_rows(tuning.rows, ledger.out / ROWS)
            write_tune_page(tuning, tuned, ledger.out / PAGE)
    _print_end(tuning, ledger, out_path)


def _print_end(tuning: "Tuning", ledger: "Ledger", best: Path) -> None:
    from cobnut.evaluation.trials import track
    from cobnut.report.tune_words import choice_sentence, few_images, tracking_sentence

    if warning := few_images(tuning):
        remark(warning)
    out.print(choice_sentence(tuning), markup=False)
    out.print(tracking_sentence(track(tuning), tuning), markup=False)
    names = {"recipe": best, "bundle": ledger.bundle(tuning.best.number), "page": ledger.out / PAGE}
    for name, place in {**names, "rows": ledger.out / ROWS}.items():
        out.print(f"{name:<7} {place}", markup=False)
