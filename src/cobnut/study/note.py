"""What a study was begun with, so that going on with other recipes or images is noticed, and who works at it now."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from cobnut.errors import CobnutError, DataError
from cobnut.files import make_folder, write_whole
from cobnut.recipe import Recipe
from cobnut.study.grid import Grid, identify

NOTE, LOCK = "study.json", "study.lock"


class Note(BaseModel):
    """The recipes by name, seeds aside, the weights of their encoders as far as they are known, the fingerprints of
    the categories, and the last command.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str
    recipes: dict[str, Recipe]
    categories: dict[str, str]
    weights: dict[str, str] = {}


def read_note(out: Path) -> Note | None:
    """The note of the study in ``out``, ``None`` for a folder that is absent or empty.

    Raises :class:`CobnutError` when the folder is something else, or the note is damaged.
    """
    path = out / NOTE
    if out.exists() and not out.is_dir():
        raise CobnutError(f"{out}: a file stands where a folder is needed; choose another --out")
    if not path.is_file():
        if out.is_dir() and any(each.name != LOCK and not each.name.endswith(".part") for each in out.iterdir()):
            raise CobnutError(f"{out}: exists and is not the folder of a study; choose another --out")
        return None
    try:
        return Note.model_validate_json(path.read_bytes())
    except (ValidationError, CobnutError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: cannot be read ({reason}); begin a study in another --out") from None


@contextmanager
def hold_study(grid: Grid, command: str) -> Iterator[None]:
    """Keep the study's folder for oneself, and note what ``grid`` adds to it as :func:`update_note` does.

    The system frees the folder when the process ends, however it ends. Raises :class:`CobnutError` when another
    process works there.
    """
    read_note(grid.out)  # refuses a folder that is something else before a lock is put there
    lock = FileLock(make_folder(grid.out) / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise CobnutError(
            f"{grid.out}: another `cobnut study` is at work there; wait until it has ended, or choose another --out"
        ) from None
    try:
        update_note(grid, command)
        yield
    finally:
        lock.release()


def update_note(grid: Grid, command: str) -> None:
    """Note what ``grid`` adds to the study in its folder; raise :class:`CobnutError` when it would change it.

    More seeds, recipes or categories extend a study. A recipe or category of which nothing has begun may change.
    """
    former = read_note(grid.out) or Note(command="", recipes={}, categories={})
    weights = {each.name: found for each in grid.recipes if (found := identify(each))}
    for recipe in grid.recipes:
        known = former.recipes.get(recipe.name)
        if known is not None and known != recipe and any(grid.out.glob(f"*/{recipe.name}/seed-*")):
            raise CobnutError(
                f"{grid.out}: recipe {recipe.name} was begun with {_change(known, recipe)}; choose another --out, give "
                f"the recipe another name, or remove {grid.out / '*' / recipe.name} to train it anew"
            )
        now = weights.get(recipe.name, "")
        if now != former.weights.get(recipe.name, now) and now and any(grid.out.glob(f"*/{recipe.name}/seed-*")):
            raise CobnutError(
                f"{grid.out}: recipe {recipe.name} was begun with other weights of its encoder than are found now; "
                f"name theirs with --weights, choose another --out, or remove {grid.out / '*' / recipe.name} to train "
                "it anew"
            )
    for category in grid.categories:
        if former.categories.get(category.name, category.fingerprint) != category.fingerprint:
            folder = grid.out / category.name
            if any(folder.glob("*/seed-*")):
                raise CobnutError(
                    f"{category.data}: its images, truths or masks are not those that the study began with; "
                    f"choose another --out, or remove {folder} to train anew"
                )
    note = Note(
        command=command,
        recipes=former.recipes | {each.name: each for each in grid.recipes},
        weights=former.weights | weights,
        categories=former.categories | {each.name: each.fingerprint for each in grid.categories},
    )
    with write_whole(grid.out / NOTE) as partial:
        partial.write_text(json.dumps(note.model_dump(mode="json"), indent=1) + "\n", "utf-8")


def _change(known: Recipe, recipe: Recipe) -> str:
    """The first option in which two recipes differ, as «training.epochs = 150, not 50»."""
    before, after = dict(_flat(known.model_dump(mode="json"))), dict(_flat(recipe.model_dump(mode="json")))
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return f"{keys[0]} = {before.get(keys[0])}, not {after.get(keys[0])}"


def _flat(options: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
