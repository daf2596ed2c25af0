"""Run the grid: train and judge every cell that is not done, write down the ones that fail, lose and repeat nothing."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cobnut.errors import CobnutError, DataError
from cobnut.evaluation.evaluate import Evaluation, evaluate
from cobnut.evaluation.outcome import Failure, JudgedImage, Outcome, read_outcome, write_failure, write_outcome
from cobnut.recipe import Recipe
from cobnut.runtime.inspect import Inspector
from cobnut.study.grid import Cell, Grid, prepared
from cobnut.training.run import run_folder, was_begun_with
from cobnut.training.train import Listeners, train


@dataclass(frozen=True, slots=True)
class StudyListeners:
    """Who wants to hear how a study goes on; all silent unless given."""

    on_begin: Callable[[Cell], None] = field(default=lambda cell: None)
    training: Callable[[Cell], Listeners] = field(default=lambda cell: Listeners())
    on_judge: Callable[[Cell], Callable[[int], None]] = field(default=lambda cell: lambda count: None)
    on_end: Callable[[Cell, Outcome | Failure, float], None] = field(default=lambda cell, end, seconds: None)


def run_study(
    grid: Grid, listeners: StudyListeners | None = None, loggers: Sequence[str] = ("tensorboard",)
) -> list[Failure]:
    """Run every cell that is not done, and give those that failed; a cell that failed before is tried again.

    A finished cell is never touched. A cell that was interrupted goes on from its last checkpoint to the result that it
    would have had. ``on_end`` hears the seconds that the cell took now, and ``loggers``
    name who writes the losses down.
    """
    listeners, failures = listeners or StudyListeners(), []
    for cell in waiting_cells(grid):
        started = time.perf_counter()
        listeners.on_begin(cell)
        end = run_or_record(cell, listeners, loggers)
        if isinstance(end, Failure):
            failures.append(end)
        listeners.on_end(cell, end, time.perf_counter() - started)
    return failures


def waiting_cells(grid: Grid) -> list[Cell]:
    """The cells that are not done, in the order in which they run; raises :class:`CobnutError` for a foreign one."""
    return [cell for cell in grid.cells() if not is_done(cell)]


def is_done(cell: Cell) -> bool:
    """Whether the cell's figures stand there, made with its recipe and its images."""
    if not cell.outcome.is_file():
        return False
    outcome = read_outcome(cell.outcome)
    if outcome.recipe != cell.asked or outcome.data != cell.category.fingerprint:
        raise DataError(
            f"{cell.outcome}: was made with another recipe or other images; choose another --out, or remove "
            f"{cell.folder} to train it anew"
        )
    remark = prepared(cell.asked)[1] or ""
    if outcome.remark != remark:
        raise DataError(
            f"{cell.outcome}: was made as «{outcome.remark or 'named'}», and would now be made as "
            f"«{remark or 'named'}»; choose another --out, or remove {cell.folder} to train it anew"
        )
    return True


def run_or_record(cell: Cell, listeners: StudyListeners, loggers: Sequence[str]) -> Outcome | Failure:
    """Run a cell, or go on with it, and write down what it came to; whatever stops it is a failure on record."""
    try:
        outcome = _run_cell(cell, listeners, loggers)
        write_outcome(outcome, cell.outcome)
    except Exception as error:  # whatever it is, it must not end the night for the other cells
        kind = "" if isinstance(error, CobnutError) else f"{type(error).__name__}: "
        failure = Failure(
            category=cell.category.name,
            recipe=cell.asked.name,
            seed=cell.asked.seed,
            reason=" ".join(f"{kind}{error}".split())[:400],
        )
        write_failure(failure, cell.failure)
        return failure
    cell.failure.unlink(missing_ok=True)
    return outcome


def _run_cell(cell: Cell, listeners: StudyListeners, loggers: Sequence[str]) -> Outcome:
    recipe, remark = prepared(cell.asked)
    train(cell.category.samples, recipe, cell.bundle, _has_begun(cell, recipe), listeners.training(cell), loggers)
    evaluation = evaluate(
        Inspector(cell.bundle, engine="own", require_signature=False),
        cell.category.samples,
        cell.category.name,
        on_progress=listeners.on_judge(cell),
    )
    manifest = evaluation.manifest
    return Outcome(
        category=cell.category.name,
        recipe=cell.asked,
        remark=remark or "",
        data=cell.category.fingerprint,
        bundle=cell.bundle,
        threshold=manifest.threshold,
        figures=evaluation.figures,
        intervals=evaluation.intervals,
        images=_images(cell, evaluation),
        unreadable=evaluation.unreadable,
        history=manifest.history,
        best_epoch=manifest.best_epoch,
        parameters=manifest.parameters,
        # The manifest of a resumed training counts its last part alone, its epochs are those of all parts. An epoch
        # that an interruption made necessary twice counts once.
        train_seconds=max(manifest.seconds, sum(each.seconds for each in manifest.history)),
        ms_per_image=evaluation.ms_per_image,
        versions=manifest.versions,
    )


def _has_begun(cell: Cell, recipe: Recipe) -> bool:
    """Whether there is a training to go on with; what no training can go on from is swept away.

    That is one that was killed before it wrote its note, or one that was begun with random weights when the encoder's
    have been found since: the study's own note holds that all else is the same. Raises :class:`CobnutError` rather
    than lose a training with the encoder's own weights when these are not found now.
    """
    if was_begun_with(cell.bundle, recipe):
        return True
    if was_begun_with(cell.bundle, cell.asked):
        raise CobnutError(
            f"{run_folder(cell.bundle)}: was begun with the encoder's own weights, which are not found now; name their "
            "folder with --weights as before, or remove this one to begin anew"
        )
    shutil.rmtree(run_folder(cell.bundle), ignore_errors=True)
    return False


def _images(cell: Cell, evaluation: Evaluation) -> list[JudgedImage]:
    images = [
        JudgedImage(
            content=cell.category.hashes[each.sample.path],
            path=each.sample.path.absolute(),
            mask_path=each.sample.mask_path.absolute() if each.sample.mask_path else None,
            defect_type=each.sample.defect_type,
            is_defective=each.sample.is_defective,
            score=each.score,
            is_rejected=each.is_rejected,
        )
        for each in evaluation.judged
    ]
    return sorted(images, key=lambda each: each.content)


def remaining_seconds(took: Sequence[tuple[Cell, float]], waiting: Sequence[Cell]) -> float:
    """How long the waiting cells will take, judged by those of the same recipe and category, else by all."""
    total = 0.0
    for cell in waiting:
        alike = [
            s for each, s in took if (each.asked.name, each.category.name) == (cell.asked.name, cell.category.name)
        ]
        known = alike or [s for each, s in took if each.asked.name == cell.asked.name] or [s for _, s in took]
        total += sum(known) / len(known) if known else 0.0
    return total
