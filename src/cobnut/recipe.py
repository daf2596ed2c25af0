"""Everything that decides a detector, as one checked record; it travels with the weights."""

import tomllib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo

from cobnut.errors import RecipeError
from cobnut.options import (
    NETWORK_OPTIONS,
    AugmentationOptions,
    CalibrationOptions,
    CorruptionOptions,
    DenseOptions,
    ImageOptions,
    NetworkOptions,
    Options,
    PatchOptions,
    RegionOptions,
    RobustOptions,
    ScoreOptions,
    SplitOptions,
    TrainingOptions,
)

G = TypeVar("G", bound=Options)


class Recipe(Options):
    """One point of the grid: what is rebuilt, by whom, and how it is judged."""

    name: str = Field(description="what the recipe is called")
    about: str = Field("", description="the recipe in one line")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="seed of the split, the weights and the order of the images")
    image: ImageOptions = ImageOptions.model_validate({})
    region: RegionOptions = RegionOptions.model_validate({})
    split: SplitOptions = SplitOptions.model_validate({})
    network: NetworkOptions = DenseOptions.model_validate({})
    patches: PatchOptions = PatchOptions.model_validate({})
    augmentation: AugmentationOptions = AugmentationOptions.model_validate({})
    corruption: CorruptionOptions = CorruptionOptions.model_validate({})
    robust: RobustOptions = RobustOptions.model_validate({})
    training: TrainingOptions = TrainingOptions.model_validate({})
    score: ScoreOptions = ScoreOptions.model_validate({})
    calibration: CalibrationOptions = CalibrationOptions.model_validate({})

    def automatic(self) -> dict[str, Any]:
        """The options that can be left to be chosen on validation images, as they stand here."""
        score = self.score
        view = {"normalise": score.normalise, "smoothing": score.smoothing, "least_area": score.least_area}
        if score.error == "auto":
            view["error"] = "auto"
        return {**view, "q": self.calibration.q} if self.calibration.method == "percentile" else view

    @property
    def changes_images(self) -> bool:
        """Whether training shows an image anew each time, cut, augmented, spoilt or split."""
        changes = (self.patches, self.augmentation, self.corruption, self.robust)
        return any(group != type(group).model_validate({}) for group in changes)


def recipe_names() -> list[str]:
    """The recipes that come with Cobnut, in alphabetical order."""
    folder = resources.files("cobnut.recipes")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def read_recipe(name_or_file: str, settings: Sequence[str] = (), seed: int | None = None) -> Recipe:
    """Read a recipe by name or from a TOML file, and lay ``key=value`` settings and a seed over it.

    Raises :class:`RecipeError` for an unknown recipe, key or value; the message lists the valid ones.
    """
    options = _read_options(name_or_file)
    for setting in settings:
        _lay_over(options, setting)
    if seed is not None:
        options["seed"] = seed
    options.setdefault("name", Path(name_or_file).stem)
    return parse_recipe(options, source=name_or_file)


class Effort(StrEnum):
    """Time for accuracy, of the recipes that rebuild features."""

    FAST = "fast"
    DEFAULT = "default"
    BEST = "best"


_EFFORTS = {
    Effort.FAST: ("image.size=256", "training.most_steps=150", "network.prototypes=1024"),
    Effort.DEFAULT: (),
    # With so many epochs its steps are taken of few images too.
    Effort.BEST: (
        "image.size=768",
        "training.most_steps=1000",
        "training.epochs=1000",
        "training.patience=1000",
        "network.prototypes=4096",
    ),
}


def with_effort(name_or_file: str, effort: Effort, settings: Sequence[str] = (), seed: int | None = None) -> Recipe:
    """Read a recipe as :func:`read_recipe` does, at an effort; ``settings`` come after it.

    Raises :class:`RecipeError` when the recipe does not rebuild features and another effort than the default is asked.
    """
    plain = read_recipe(name_or_file, settings, seed)
    if effort is Effort.DEFAULT:
        return plain
    if plain.network.rebuilds != "features":
        raise RecipeError(
            f"--effort {effort}: recipe {plain.name} does not rebuild features; set training.epochs instead"
        )
    return read_recipe(name_or_file, (*_EFFORTS[effort], *settings), seed)


def parse_recipe(options: dict[str, Any], source: str) -> Recipe:
    """Check nested options and make the recipe; ``source`` names them in an error."""
    if isinstance(network := options.get("network"), dict):
        options = {**options, "network": {"name": "dense", **network}}
    try:
        recipe = Recipe.model_validate(options)
    except ValidationError as error:
        raise RecipeError(f"recipe {source}: {_first_fault(error, options)}") from None
    if recipe.split.validation + recipe.split.calibration > 0.8:
        raise RecipeError(
            f"recipe {source}: split leaves under a fifth of the good images for training; lower the shares"
        )
    calibration = recipe.calibration
    if calibration.folds and calibration.method == "percentile":
        raise RecipeError(
            f"recipe {source}: calibration.folds = {calibration.folds}: needs calibration.method conformal"
        )
    if calibration.folds and calibration.confidence:
        raise RecipeError(
            f"recipe {source}: calibration.confidence = {calibration.confidence:g}: with folds nothing is proved of "
            "one very set; leave out confidence, or folds"
        )
    return recipe


def check_options(group: G, update: dict[str, Any]) -> G:
    """A group of options with some of them changed, checked; raises :class:`RecipeError`."""
    try:
        return type(group).model_validate({**group.model_dump(), **update})
    except ValidationError as error:
        fault = error.errors()[0]
        raise RecipeError(f"{fault['loc'][0]} = {fault['input']!r}: {_plain(fault['msg'])}") from None


def option_rows(network: str = "dense") -> Iterator[tuple[str, Any, str]]:
    """Every option as (dotted key, default, description), in the order of a recipe with that network."""
    for name, field in Recipe.model_fields.items():
        group = NETWORK_OPTIONS[network] if name == "network" else field.annotation
        if isinstance(group, type) and issubclass(group, Options):
            yield from _group_rows(group, f"{name}.")
        else:
            yield from _row(name, field)


def _group_rows(group: type[Options], prefix: str) -> Iterator[tuple[str, Any, str]]:
    for name, field in group.model_fields.items():
        yield from _row(f"{prefix}{name}", field)


def _row(key: str, field: FieldInfo) -> Iterator[tuple[str, Any, str]]:
    yield key, None if field.is_required() else field.default, field.description or ""


def _known_options() -> dict[str, str]:
    """Descriptions by key, of the options of every network."""
    return {key: description for network in NETWORK_OPTIONS for key, _, description in option_rows(network)}


def _read_options(name_or_file: str) -> dict[str, Any]:
    path = Path(name_or_file)
    if path.suffix.lower() == ".toml":
        if not path.is_file():
            raise RecipeError(f"recipe file {path}: there is none; the recipes by name are {', '.join(recipe_names())}")
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    elif name_or_file in recipe_names():
        text = resources.files("cobnut.recipes").joinpath(f"{name_or_file}.toml").read_text(encoding="utf-8")
    else:
        raise RecipeError(
            f"recipe {name_or_file!r}: there is none; valid are {', '.join(recipe_names())}, or a .toml file"
        )
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe file {path}: not valid TOML: {error}") from None


def _lay_over(options: dict[str, Any], setting: str) -> None:
    key, equals, value = setting.partition("=")
    keys = list(_known_options())
    key = key.strip()
    if not equals:
        raise RecipeError(f"--set {setting}: write it as key=value, for example training.epochs=50")
    if key not in keys and not key.startswith("training.loss."):
        close = get_close_matches(key, keys, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise RecipeError(f"--set {setting}: there is no option {key!r}; {hint}valid are {', '.join(keys)}")
    *groups, last = key.split(".")
    if groups == ["training", "loss"]:  # a further loss joins those of the recipe, or the default one
        options.setdefault("training", {}).setdefault("loss", dict(TrainingOptions.model_fields["loss"].default))
    for group in groups:
        options = options.setdefault(group, {})
        if not isinstance(options, dict):
            raise RecipeError(f"--set {setting}: the recipe's {group!r} is no group of options; write it as [{group}]")
    options[last] = _parse_value(value.strip())


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _first_fault(error: ValidationError, options: dict[str, Any]) -> str:
    fault = error.errors()[0]
    own = options["network"].get("name") if isinstance(options.get("network"), dict) else None
    known = _known_options() | {key: text for key, _, text in option_rows(own if own in NETWORK_OPTIONS else "dense")}
    # pydantic names the network within the place of a fault of its options; users do not
    place = ".".join(str(part) for part in fault["loc"] if part not in NETWORK_OPTIONS)
    if fault["type"] == "extra_forbidden":
        network = options.get("network", {}).get("name", "dense")
        return f"there is no option {place!r}; valid are {', '.join(row[0] for row in option_rows(network))}"
    if fault["type"] == "union_tag_invalid":
        value = options["network"].get("name")
        return f"network.name = {value!r}: there is no such network; valid are {', '.join(NETWORK_OPTIONS)}"
    # pydantic's place goes on into the alternatives of a type; the option is the part of it that we know
    key = max((key for key in known if f"{place}.".startswith(f"{key}.")), key=len, default=place)
    value = "" if fault["type"] == "missing" else f" = {fault['input']!r}"
    return f"{key}{value}: {_plain(fault['msg'])} ({known.get(key, 'a group of options')})"


def _plain(message: str) -> str:
    """pydantic's message without its own words around ours."""
    message = message.removeprefix("Value error, ")
    return f"{message[0].lower()}{message[1:]}"
