"""A search space as data: which options of a recipe are tried, and with which values.

A TOML file whose keys are options: a list holds choices of any value, a table ``{ low, high, step, log }`` is a range.
"""

import json
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial
from pydantic import BaseModel, ConfigDict, StrictBool, StrictFloat, StrictInt, ValidationError, model_validator

from cobnut.errors import RecipeError
from cobnut.recipe import Recipe, option_rows, parse_recipe

Number = StrictInt | StrictFloat
_FALLBACK = "training"
_EVERY_VALUE = 1000  # ranges of so few whole numbers are checked number by number
# They say what is asked for, deal the images anew or scale the defects that judge: trials that differ in them could not
# be compared.
_NOT_SEARCHED = ("name", "about", "seed", "split.", "score.synthetic", "calibration.tolerated_false_alarms")


class Range(BaseModel):
    """Numbers from ``low`` to ``high``, both included; with ``log`` small and large ones are tried alike."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: Number
    high: Number
    step: Number | None = None
    log: StrictBool = False

    @model_validator(mode="after")
    def _check(self) -> "Range":
        if self.low >= self.high:
            raise ValueError("low must lie under high")
        if self.step is not None and (self.step <= 0 or self.step > self.high - self.low):
            raise ValueError("step must be above 0 and no more than high − low")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs a low above 0, and no step")
        return self


@dataclass(frozen=True, slots=True)
class Space:
    """The distribution of every option that is searched; choices are kept as JSON text, which any storage can hold."""

    distributions: dict[str, BaseDistribution]
    start: dict[str, Any]

    def suggest(self, trial: Trial) -> None:
        """Give the trial a value of every option that it has none of yet."""
        for key, each in self.distributions.items():
            if isinstance(each, CategoricalDistribution):
                trial.suggest_categorical(key, each.choices)
            elif isinstance(each, IntDistribution):
                trial.suggest_int(key, each.low, each.high, step=each.step, log=each.log)
            elif isinstance(each, FloatDistribution):
                trial.suggest_float(key, each.low, each.high, step=each.step, log=each.log)

    def values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """A trial's parameters as values of options."""
        return {
            key: json.loads(value) if isinstance(self.distributions[key], CategoricalDistribution) else value
            for key, value in params.items()
        }

    def choices(self) -> Iterator[tuple[str, Any]]:
        """Every option that is searched by choices, with each of its values."""
        for key, each in self.distributions.items():
            if isinstance(each, CategoricalDistribution):
                yield from ((key, json.loads(str(choice))) for choice in each.choices)

    def least(self, key: str) -> int | None:
        """The smallest whole number that is tried of an option, ``None`` where it is not searched or holds others."""
        each = self.distributions.get(key)
        if isinstance(each, CategoricalDistribution):
            values = [json.loads(str(choice)) for choice in each.choices]
            return min(values) if all(isinstance(value, int) for value in values) else None
        return each.low if isinstance(each, IntDistribution) else None

    def scale(self, key: str) -> str:
        """How the option is drawn: ``choices``, ``log`` or ``linear``."""
        distribution = self.distributions[key]
        if isinstance(distribution, CategoricalDistribution):
            return "choices"
        return "log" if getattr(distribution, "log", False) else "linear"

    def lines(self) -> Iterator[tuple[str, str]]:
        """Every option and what is tried of it, for people."""
        for key, each in self.distributions.items():
            if isinstance(each, CategoricalDistribution):
                yield key, ", ".join(map(str, each.choices))
            elif isinstance(each, IntDistribution | FloatDistribution):
                step = f", in steps of {each.step:g}" if each.step not in (None, 1) else ""
                yield key, f"{each.low:g} to {each.high:g}{', logarithmic' if each.log else step}"


def lay(recipe: Recipe, values: Mapping[str, Any], source: str) -> Recipe:
    """The recipe with the ``values`` of dotted options laid over it, checked; ``source`` names them in an error."""
    options = recipe.model_dump(mode="json")
    for key, value in values.items():
        *groups, last = key.split(".")
        place = options
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    return parse_recipe(options, source)


def read_space(recipe: Recipe, path: Path | None = None, fixed: Collection[str] = ()) -> Space:
    """The space of a TOML file, or the one that comes with the recipe's network without its ``fixed`` options.

    The recipe's own values always belong to it, so that the search can begin with the recipe as it is. Raises
    :class:`RecipeError` for an unknown option, a range that is none, or a value that the recipe refuses.
    """
    source = f"space {path}" if path else f"the space of network {recipe.network.name}"
    entries = _parse(_read_text(path, recipe), source)
    if path is None:
        entries = {key: entry for key, entry in entries.items() if key not in fixed}
    if not entries:
        raise RecipeError(f"{source}: names no option to search; name some in a file and say --space FILE.toml")
    known = _values(recipe)
    for key in entries:
        _check_key(key, known, source)
    missing = [key for key in entries if key not in known]
    if missing:
        raise RecipeError(f"{source}: the recipe has no {missing[0]} to begin with; give it one with --set")
    distributions = {key: _distribution(entry, known[key], f"{source}: {key}") for key, entry in entries.items()}
    for key, distribution in distributions.items():
        for value in _probes(distribution):
            lay(recipe, {key: value}, f"{recipe.name} with {source}")
    start = {
        key: json.dumps(known[key]) if isinstance(distribution, CategoricalDistribution) else known[key]
        for key, distribution in distributions.items()
    }
    return Space(distributions, start)


def _read_text(path: Path | None, recipe: Recipe) -> str:
    if path is not None:
        if not path.is_file():
            raise RecipeError(f"space {path}: there is no such file; without --space the recipe's network brings one")
        return path.read_text(encoding="utf-8-sig", errors="replace")
    folder = resources.files("cobnut.study").joinpath("spaces")
    own = folder.joinpath(f"{recipe.network.name}.toml")
    return (own if own.is_file() else folder.joinpath(f"{_FALLBACK}.toml")).read_text(encoding="utf-8")


def _parse(text: str, source: str) -> dict[str, list[Any] | Range]:
    try:
        content = _flat(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{source}: not valid TOML: {error}") from None
    return {key: _entry(value, f"{source}: {key}") for key, value in content.items()}


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys, whether they were quoted, bare or headed by a [table]; a table with a ``low`` is a range."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        is_group = isinstance(value, dict) and not {"low", "high"} & set(value)
        flat |= _flat(value, f"{prefix}{key}.") if is_group else {f"{prefix}{key}": value}
    return flat


def _entry(value: Any, place: str) -> list[Any] | Range:
    if isinstance(value, list):
        if len(value) < 2:
            raise RecipeError(f"{place} = {value}: name two choices at least, or fix the option with --set")
        return value
    if not isinstance(value, dict):
        raise RecipeError(f"{place} = {value!r}: write [a, b, c] for choices, or {{ low = a, high = b }} for a range")
    try:
        return Range.model_validate(value)
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(str(part) for part in fault["loc"][:1])
        message = fault["msg"].removeprefix("Value error, ")
        raise RecipeError(f"{place}{'.' + name if name else ''}: {message[0].lower()}{message[1:]}") from None


def _values(recipe: Recipe) -> dict[str, Any]:
    options = recipe.model_dump(mode="json")
    return _flat(options) | {"training.loss": options["training"]["loss"]}


def _check_key(key: str, known: Mapping[str, Any], source: str) -> None:
    if key.startswith(_NOT_SEARCHED):
        raise RecipeError(f"{source}: {key} is not searched: trials that differ in it could not be compared")
    names = [*known, *(name for name, _, _ in option_rows() if name not in known)]
    if key not in names and not key.startswith("training.loss."):
        close = get_close_matches(key, names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"valid are {', '.join(known)}"
        raise RecipeError(f"{source}: there is no option {key!r}; {hint}")


def _distribution(entry: list[Any] | Range, start: Any, place: str) -> BaseDistribution:
    """What is tried of an option, its value at the ``start`` included."""
    if isinstance(entry, list):
        texts = [json.dumps(value) for value in entry]
        first = [json.dumps(start)] if start not in entry else []
        return CategoricalDistribution(tuple(dict.fromkeys([*first, *texts])))
    if isinstance(start, bool) or not isinstance(start, int | float):
        raise RecipeError(
            f"{place}: the recipe says {json.dumps(start)}, which is no number to begin a range with; "
            "set one with --set, or write a list of choices"
        )
    low, high, step = min(entry.low, start), max(entry.high, start), entry.step
    if step is not None and abs((start - entry.low) / step - round((start - entry.low) / step)) > 1e-9:
        raise RecipeError(f"{place}: the recipe's {start} lies on no step; change low or step, or set it with --set")
    if entry.log and low <= 0:
        raise RecipeError(f"{place}: the recipe's {start} has no place on a logarithmic range; set another with --set")
    if not isinstance(start, int):
        return FloatDistribution(float(low), float(high), log=entry.log, step=None if step is None else float(step))
    if not all(isinstance(number, int) for number in (low, high, step or 1)):
        raise RecipeError(f"{place}: takes whole numbers only")
    return IntDistribution(int(low), int(high), log=entry.log, step=int(step or 1))


def _probes(distribution: BaseDistribution) -> list[Any]:
    """The values by which a distribution is tried on the recipe: all of them, or the ends of a wide range."""
    if isinstance(distribution, CategoricalDistribution):
        return [json.loads(str(choice)) for choice in distribution.choices]
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if isinstance(distribution, IntDistribution):
        values = range(distribution.low, distribution.high + 1, distribution.step)
        if len(values) <= _EVERY_VALUE:
            return list(values)
    return [distribution.low, distribution.high]
