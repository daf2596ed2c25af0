"""`cobnut study`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cobnut.cli import options
from cobnut.cli.terminal import err, out, progress, remark
from cobnut.cli.watching import training_listeners

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.progress import Progress

    from cobnut.evaluation.outcome import Failure, Outcome
    from cobnut.study.cluster import Cluster
    from cobnut.study.grid import Cell, Grid

PAGE, ROWS, FIGURES, NOTES = "report.html", "results.csv", "results.json", "results.md"


DataSets = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="DATA…",
        help="Data sets, one a category: folders in MVTec layout or CSV manifests.",
        show_default=False,
    ),
]
Recipes = Annotated[
    list[str] | None,
    typer.Option(
        "--recipes",
        metavar="NAME,…",
        help="Names that `cobnut recipes` lists, or .toml files; commas between, repeatable. Default: all by name.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command("study")(study)


def study(
    data: DataSets = None,
    *,
    out_path: Annotated[
        Path, typer.Option("--out", help="Folder of the study; a study that is there goes on.", show_default=False)
    ],
    recipes: Recipes = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Trainings of each recipe: seeds 0, 1, 2 …")] = 3,
    settings: options.Settings = None,
    weights: options.Weights = None,
    loggers: options.Loggers = None,
    engine: options.RunsOn = "local",
    address: options.Address = None,
    workers: options.Workers = None,
) -> None:
    """Train every recipe on every data set with every seed, and compare them in one report.

    All recipes judge the same test images, so the report says which differences are more than chance. Everything is
    checked before the first training. A study that was interrupted goes on with the same command; more data sets,
    recipes or seeds extend it. A training that fails is told, the others go on, and the exit code is 3.

    OUT receives report.html, results.csv, results.json and results.md, and each detector as a bundle.

    Example: cobnut study photos/hazelnut photos/bottle --recipes cae,my.toml --seeds 3 --out night
    """
    from cobnut.errors import CobnutError, require_extra
    from cobnut.recipe import recipe_names

    require_extra("torch", "train", "a study")
    require_extra("jinja2", "report", "a study")
    from cobnut.training.loggers import check_loggers

    options.use_weights(weights)
    check_loggers(loggers or ())
    cluster = options.build_cluster(engine, address, workers)
    if not data:
        raise CobnutError("name at least one data set, for example cobnut study photos/hazelnut --out night")
    names = [name.strip() for each in recipes or recipe_names() for name in each.split(",") if name.strip()]
    with progress("checking recipes and data sets"):
        from cobnut.study.grid import read_grid
        from cobnut.study.note import hold_study

        grid = read_grid(data, names, settings or (), seeds, out_path)
    with hold_study(grid, _command(data, names, settings or (), seeds, weights, out_path)):
        _say_stand_ins(grid)
        failures = _run(grid, loggers or options.DEFAULT_LOGGERS, cluster)
        _write_results(out_path)
    if failures:
        for failure in failures:
            remark(f"failed: {failure.category}, {failure.recipe}, seed {failure.seed}: {failure.reason}")
        remark("the same command tries again what failed")
        raise typer.Exit(3)


def _say_stand_ins(grid: "Grid") -> None:
    from cobnut.study.grid import prepared

    for recipe in grid.recipes:
        if (stand_in := prepared(recipe)[1]) is not None:
            remark(f"{recipe.name}: its encoder's weights were not found (--weights DIR); it runs with {stand_in}")


def _run(grid: "Grid", loggers: "Sequence[str]", cluster: "Cluster | None") -> "list[Failure]":
    """Run the cells that wait, with a line for each that ends."""
    from cobnut.evaluation.outcome import Failure
    from cobnut.report.words import duration
    from cobnut.study.study import StudyListeners, remaining_seconds, run_study, waiting_cells

    total, waiting = sum(1 for _ in grid.cells()), waiting_cells(grid)
    if len(waiting) < total:
        remark(f"{total - len(waiting)} of {total} trainings are done already")
    took: list[tuple[Cell, float]] = []
    with progress("") as bar:

        def on_end(cell: "Cell", end: "Outcome | Failure", seconds: float) -> None:
            took.append((cell, seconds))
            waiting.remove(cell)
            what = f"failed: {end.reason}" if isinstance(end, Failure) else _headline(end)
            left = f", about {duration(remaining_seconds(took, waiting))} to go" if waiting else ""
            place = f"{total - len(waiting):>{len(str(total))}} of {total}"
            err.print(f"{place}  {cell.name}: {what}; {duration(seconds)}{left}", markup=False)

        listeners = StudyListeners(
            on_begin=lambda cell: bar.update(bar.task_ids[0], description=f"{cell.name}: reading", total=None),
            training=lambda cell: training_listeners(bar, cell.name, cell.asked.training),
            on_judge=lambda cell: _judging_listener(bar, cell),
            on_end=on_end,
        )
        if cluster is None:
            return run_study(grid, listeners, loggers)
        from cobnut.study.cluster import run_study_on_cluster

        bar.update(bar.task_ids[0], description="trainings on the cluster", total=None)
        return run_study_on_cluster(grid, cluster, listeners, loggers)


def _judging_listener(bar: "Progress", cell: "Cell") -> "Callable[[int], None]":
    task = bar.task_ids[0]
    bar.update(task, description=f"{cell.name}: judging", completed=0, total=None, remark="")
    return lambda count: bar.advance(task, count)


def _headline(outcome: "Outcome") -> str:
    accuracy, area = outcome.figures["accuracy"], outcome.figures["image_auroc"]
    return f"accuracy {accuracy or 0:.3f}, AUROC {area or 0:.3f}"


def _write_results(out_path: Path) -> None:
    """Gather what stands in the folder, and write and print it."""
    from cobnut.cli.standings import print_standings
    from cobnut.report.study_notes import write_notes
    from cobnut.report.study_page import write_study_page
    from cobnut.study.results import read_results, write_json, write_rows

    with progress("drawing the report"):
        results = read_results(out_path)
        write_rows(results, out_path / ROWS)
        write_json(results, out_path / FIGURES)
        write_notes(results, out_path / NOTES)
        write_study_page(results, out_path / PAGE)
    print_standings(results)
    for name, file in (("report", PAGE), ("rows", ROWS), ("figures", FIGURES), ("notes", NOTES)):
        out.print(f"{name:<8} {out_path / file}", markup=False)


def _command(
    data: list[Path], names: list[str], settings: "Sequence[str]", seeds: int, weights: Path | None, out_path: Path
) -> str:
    """The command that was given, so that a reader of the report can repeat it."""
    from shlex import join

    changed = [word for setting in settings for word in ("--set", setting)]
    places = ["--weights", str(weights)] if weights else []
    rest = ["--recipes", ",".join(names), "--seeds", str(seeds), *changed, *places, "--out", str(out_path)]
    return join(["cobnut", "study", *map(str, data), *rest])
