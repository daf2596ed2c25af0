"""`cobnut recipes`."""

from typing import Annotated

import typer

from cobnut.cli.terminal import out


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command("recipes")(recipes)


def recipes(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="Show every option of this recipe (a name or a .toml file).", show_default=False
        ),
    ] = None,
) -> None:
    """List the recipes, or all options of one with their meaning.

    Any option can be changed with `cobnut train … --set KEY=VALUE`, or in a .toml file of your own.
    """
    from cobnut.recipe import option_rows, read_recipe, recipe_names

    if name is None:
        for each in recipe_names():
            out.print(f"{each:<16} {read_recipe(each).about}", markup=False)
        return
    recipe = read_recipe(name)
    out.print(f"# {recipe.about}" if recipe.about else f"# {recipe.name}", markup=False)
    for key, _, description in option_rows(recipe.network.name):
        value = recipe.model_dump(mode="json")
        for part in key.split("."):
            value = value[part]
        if key not in ("name", "about"):
            out.print(f"{f'{key} = {_as_toml(value)}':<44} # {description}", markup=False)


def _as_toml(value: object) -> str:
    import json

    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_as_toml(each)}" for name, each in value.items()) + " }"
    return json.dumps(value)
