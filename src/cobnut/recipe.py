"""Everything that decides a detector, as one checked record; it travels with the weights.

An option is documented once, in the ``description`` of its field: that text is the documentation, the help of
``cobnut recipes NAME`` and what an error shows.
"""

import tomllib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from cobnut.errors import RecipeError

Auto = Literal["auto"]
Width = Annotated[int, Field(ge=1, le=4096)]
Weight = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


def _check_odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"must be odd, for example {value + 1}")
    return value


class Options(BaseModel):
    """A group of options: unchangeable, and closed to misspelt names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ImageOptions(Options):
    """How a photograph becomes the array that the network sees."""

    size: int = Field(128, ge=16, le=2048, description="side of the square that images are resized to, in pixels")
    mode: Literal["rgb", "grey"] = Field("rgb", description="colour channels that the network sees")
    bits: int = Field(16, ge=8, le=16, description="significant bits of 16-bit images (10, 12 or 14 for such cameras)")

    @property
    def channels(self) -> int:
        """3 for rgb, 1 for grey."""
        return 3 if self.mode == "rgb" else 1


class SplitOptions(Options):
    """Which good training images do not train."""

    validation: Fraction = Field(0.15, gt=0, description="share that stops training early and chooses the options")
    calibration: Fraction = Field(0.15, gt=0, description="share that nothing has seen and that sets the threshold")
    test: Fraction | Auto = Field(
        "auto", description="share held out for the test; auto: 0.2 when the data set gives under 20 good test images"
    )


class DenseOptions(Options):
    """The study's first network (3.2.1): three convolutions and two dense layers, mirrored."""

    name: Literal["dense"] = Field("dense", description="three convolutions and two dense layers, and their mirror")
    widths: tuple[Width, Width, Width] = Field(
        (16, 32, 64), description="channels after each of the three convolutions"
    )
    hidden: int = Field(256, ge=1, le=65_536, description="units of the first dense layer")
    latent: int = Field(64, ge=1, le=65_536, description="units of the code, the narrowest place")


class TrainingOptions(Options):
    """How the network learns (study, 3.3)."""

    loss: dict[str, Weight] = Field({"mse": 1.0}, min_length=1, description="weight of each loss in the sum")
    epochs: int = Field(150, ge=1, description="most passes over the training images")
    patience: int = Field(30, ge=1, description="epochs without a better validation loss after which training stops")
    batch_size: int = Field(8, ge=4, description="images a step")
    learning_rate: float = Field(1e-3, gt=0, description="first step size of Adam")
    step_epochs: int = Field(
        60, ge=1, description="epochs after which StepLR lowers the learning rate, again and again"
    )
    step_gamma: float = Field(0.3, gt=0, le=1, description="factor by which StepLR lowers the learning rate")
    picture_epochs: int = Field(10, ge=1, description="epochs between two pictures of reconstructions")


class ScoreOptions(Options):
    """How an error becomes an anomaly map and one number."""

    error: Literal["squared", "absolute"] = Field("squared", description="difference of image and reconstruction")
    smoothing: Annotated[int, AfterValidator(_check_odd)] = Field(
        1, ge=1, le=63, description="side of the square mean over the map, in pixels, odd; 1 is none"
    )
    least_area: Fraction | Auto = Field(
        "auto", description="share of the map that must lie above the threshold; auto: chosen on good validation images"
    )


class CalibrationOptions(Options):
    """How scores of good images become a decision."""

    method: Literal["percentile"] = Field("percentile", description="percentile of the good images' pixel errors")
    q: Annotated[float, Field(ge=0, le=100)] | Auto = Field(
        "auto", description="the percentile, 0 to 100; auto: chosen on good validation images"
    )
    tolerated_false_alarms: float = Field(
        0.05, ge=0, lt=1, description="false-alarm rate on good validation images that the automatic choice stays under"
    )


class Recipe(Options):
    """One point of the grid: what is rebuilt, by whom, and how it is judged."""

    name: str = Field(description="what the recipe is called")
    about: str = Field("", description="the recipe in one line")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="seed of the split, the weights and the order of the images")
    image: ImageOptions = ImageOptions.model_validate({})
    split: SplitOptions = SplitOptions.model_validate({})
    network: DenseOptions = DenseOptions.model_validate({})
    training: TrainingOptions = TrainingOptions.model_validate({})
    score: ScoreOptions = ScoreOptions.model_validate({})
    calibration: CalibrationOptions = CalibrationOptions.model_validate({})


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


def parse_recipe(options: dict[str, Any], source: str) -> Recipe:
    """Check nested options and make the recipe; ``source`` names them in an error."""
    try:
        recipe = Recipe.model_validate(options)
    except ValidationError as error:
        raise RecipeError(f"recipe {source}: {_first_fault(error)}") from None
    if recipe.split.validation + recipe.split.calibration > 0.8:
        raise RecipeError(
            f"recipe {source}: split leaves under a fifth of the good images for training; lower the shares"
        )
    return recipe


def option_rows(group: type[Options] = Recipe, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Every option as (dotted key, default, description), in the order of the recipe."""
    for name, field in group.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Options):
            yield from option_rows(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", None if field.is_required() else field.default, field.description or ""


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
    keys = [row[0] for row in option_rows()]
    key = key.strip()
    if not equals:
        raise RecipeError(f"--set {setting}: write it as key=value, for example training.epochs=50")
    if key not in keys and not key.startswith("training.loss."):
        close = get_close_matches(key, keys, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise RecipeError(f"--set {setting}: there is no option {key!r}; {hint}valid are {', '.join(keys)}")
    *groups, last = key.split(".")
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


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    known = {key: description for key, _, description in option_rows()}
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"there is no option {place!r}; valid are {', '.join(known)}"
    # pydantic's place goes on into the alternatives of a type; the option is the part of it that we know
    key = max((key for key in known if f"{place}.".startswith(f"{key}.")), key=len, default=place)
    value = "" if fault["type"] == "missing" else f" = {fault['input']!r}"
    return f"{key}{value}: {fault['msg'][0].lower()}{fault['msg'][1:]} ({known.get(key, 'a group of options')})"
