"""The grid of a study, every recipe on every category with every seed: checked whole before any cell begins."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cobnut.data.images import image_shape
from cobnut.data.layouts import read_dataset
from cobnut.data.split import content_hashes, split_samples
from cobnut.errors import CobnutError, DataError, RecipeError
from cobnut.files import hash_file
from cobnut.models.weights import find_weights, identify_weights
from cobnut.options import FeatureOptions, TransferOptions
from cobnut.recipe import Recipe, read_recipe
from cobnut.records import Sample
from cobnut.training.checks import check_recipe

OUTCOME, FAILURE = "figures.json", "failure.json"


@dataclass(frozen=True, slots=True)
class Category:
    """One data set of a study; ``hashes`` are the SHA-256 of its images, ``fingerprint`` sums up all that it is."""

    name: str
    data: Path
    samples: list[Sample]
    hashes: dict[Path, str]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One training of a study, and its folder, which is all its own.

    ``asked`` is the recipe as the user named it, with the cell's seed; :func:`prepared` tells how it is run.
    """

    category: Category
    asked: Recipe
    folder: Path

    @property
    def name(self) -> str:
        """What the cell is called in a message."""
        return f"{self.category.name}, {self.asked.name}, seed {self.asked.seed}"

    @property
    def bundle(self) -> Path:
        """Where its detector stands."""
        return self.folder / f"{self.asked.name}.cobnut"

    @property
    def outcome(self) -> Path:
        """The file that is written last: where it stands, the cell is done."""
        return self.folder / OUTCOME

    @property
    def failure(self) -> Path:
        """The file that says why the cell came to nothing."""
        return self.folder / FAILURE


@dataclass(frozen=True, slots=True)
class Grid:
    """What a study is to run, and the folder that it lives in."""

    out: Path
    categories: list[Category]
    recipes: list[Recipe]
    seeds: int

    def cells(self) -> Iterator[Cell]:
        """Every cell, seed by seed, so that a night cut short has all recipes to compare."""
        for seed in range(self.seeds):
            for category in self.categories:
                for recipe in self.recipes:
                    folder = self.out / category.name / recipe.name / f"seed-{seed}"
                    yield Cell(category, recipe.model_copy(update={"seed": seed}), folder)


def prepared(recipe: Recipe) -> tuple[Recipe, str | None]:
    """The recipe as the study runs it, and a remark for its row where that is not quite what its name promises.

    A comparison shall not end for want of one encoder: where its weights are looked for and not found, the study asks
    for random ones by name, and says so. Weights that the recipe or the user named must be there.
    """
    network = recipe.network
    if not isinstance(network, TransferOptions) or network.weights != "auto" or _has_weights(network.encoder):
        return recipe, None
    by_chance = network.model_copy(update={"weights": "random"})
    return recipe.model_copy(update={"network": by_chance}), "random weights"


def identify(recipe: Recipe) -> str:
    """Which weights the recipe's encoder begins with, by their SHA-256; empty where none are named or found."""
    network = recipe.network
    if not isinstance(network, TransferOptions | FeatureOptions):
        return ""
    return identify_weights(network.encoder, network.weights)


@cache
def _has_weights(encoder: str) -> bool:
    """Whether the encoder's weights can be had; asked once, because the hub may have to be asked."""
    try:
        find_weights(encoder, "auto")
    except RecipeError:
        return False
    return True


def read_grid(data: Sequence[Path], recipes: Sequence[str], settings: Sequence[str], seeds: int, out: Path) -> Grid:
    """Read and check everything that a study needs, so that no typo ends it at night.

    Raises :class:`CobnutError` for data sets without good and defective test images, names that come twice or cannot
    be a folder's, and recipes that cannot be built or leave too few images.
    """
    checked = _read_recipes(recipes, settings)
    categories = [_read_category(each) for each in data]
    _refuse_twins([(each.name, str(each.data)) for each in categories], "data sets", "rename one of the folders")
    for category in categories:
        for recipe in checked:
            for seed in range(seeds):
                _check_split(category, recipe, seed)
    return Grid(out.absolute(), categories, checked, seeds)


def _read_recipes(names: Sequence[str], settings: Sequence[str]) -> list[Recipe]:
    recipes = [read_recipe(name, settings, seed=0) for name in names]
    _refuse_twins(
        [(recipe.name, name) for recipe, name in zip(recipes, names, strict=True)], "recipes", "give one another name"
    )
    for recipe in recipes:
        if not re.fullmatch(r"[\w+-][\w.+-]*", recipe.name):
            raise RecipeError(
                f"recipe {recipe.name!r}: its name becomes a folder's; use letters, digits, dots, dashes, underscores"
            )
        check_recipe(prepared(recipe)[0])
    return recipes


def _read_category(data: Path) -> Category:
    samples = read_dataset(data)
    for sample in samples:
        if sample.split != "test":  # an unreadable test image is told and left out, and stops nothing
            image_shape(sample.path)
    hashes = content_hashes(samples)
    if not any(sample.is_defective for sample in samples):
        raise DataError(f"{data}: holds no defective test image, so a study could not tell recipes apart; add some")
    name = data.absolute().stem if data.suffix.lower() == ".csv" else data.absolute().name
    if name.startswith("."):
        raise DataError(f"{data}: a study names its folders after the data sets; give this one a name without a dot")
    return Category(name, data.absolute(), samples, hashes, _fingerprint(samples, hashes))


def _fingerprint(samples: Sequence[Sample], hashes: dict[Path, str]) -> str:
    """SHA-256 over contents, splits, truths and masks: renaming or moving files does not change it."""
    rows = sorted(
        f"{hashes[each.path]} {each.split} {each.defect_type} {hash_file(each.mask_path) if each.mask_path else ''}"
        for each in samples
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def _check_split(category: Category, recipe: Recipe, seed: int) -> None:
    try:
        dealt = split_samples(category.samples, recipe.split, seed, category.hashes)
    except DataError as error:
        raise DataError(f"{category.data}, recipe {recipe.name}: {error}") from None
    if not any(each.split == "test" and not each.is_defective for each in dealt):
        raise DataError(
            f"{category.data}, recipe {recipe.name}: no good image is left for the test; set split.test above 0"
        )


def _refuse_twins(names: Sequence[tuple[str, str]], what: str, cure: str) -> None:
    first: dict[str, str] = {}
    for name, source in names:
        if name in first:
            raise CobnutError(f"{first[name]} and {source}: two {what} named {name}; {cure}")
        first[name] = source
