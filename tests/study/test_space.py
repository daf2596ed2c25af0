"""A search space is checked as a whole before anything trains, and always holds the recipe it begins with."""

from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from cobnut.errors import RecipeError
from cobnut.recipe import Recipe, read_recipe, recipe_names
from cobnut.study.space import Space, lay, read_space


def space(tmp_path: Path, text: str, recipe: Recipe | None = None) -> Space:
    path = tmp_path / "space.toml"
    path.write_text(text, encoding="utf-8")
    return read_space(recipe or read_recipe("cae"), path)


def test_lists_are_choices_and_tables_are_ranges(tmp_path: Path) -> None:
    found = space(
        tmp_path,
        """
        "network.widths" = [[8, 16, 32], [16, 32, 64]]
        training.learning_rate = { low = 1e-4, high = 1e-2, log = true }
        "calibration.q" = ["auto", 99.0]
        [score]
        smoothing = { low = 1, high = 9, step = 2 }
        """,
        read_recipe("cae", ["score.smoothing=1"]),
    )
    assert found.distributions == {
        "network.widths": CategoricalDistribution(("[8, 16, 32]", "[16, 32, 64]")),
        "training.learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
        "calibration.q": CategoricalDistribution(('"auto"', "99.0")),
        "score.smoothing": IntDistribution(1, 9, step=2),
    }
    assert found.values({"network.widths": "[8, 16, 32]", "calibration.q": '"auto"'}) == {
        "network.widths": [8, 16, 32],
        "calibration.q": "auto",
    }
    assert found.scale("training.learning_rate") == "log"
    assert dict(found.lines())["score.smoothing"] == "1 to 9, in steps of 2"


def test_the_recipe_itself_always_belongs_to_the_space(tmp_path: Path) -> None:
    recipe = read_recipe("cae", ["network.widths=[4, 8, 8]", "training.epochs=3", "training.learning_rate=1.0"])
    found = space(
        tmp_path,
        '"network.widths" = [[8, 16, 32], [16, 32, 64]]\n"training.epochs" = { low = 60, high = 240 }\n'
        '"training.learning_rate" = { low = 1e-4, high = 1e-2 }\n',
        recipe,
    )
    assert found.distributions["training.epochs"] == IntDistribution(3, 240)
    assert found.distributions["training.learning_rate"] == FloatDistribution(1e-4, 1.0)
    assert lay(recipe, found.values(found.start), "start") == recipe


def test_a_network_brings_a_space_and_what_is_set_leaves_it() -> None:
    recipe = read_recipe("cae")
    assert {"network.widths", "network.latent", "training.epochs"} <= set(read_space(recipe).distributions)
    assert "training.epochs" not in read_space(recipe, fixed=["training.epochs"]).distributions


def test_the_default_recipe_is_searched_in_what_it_learns_and_not_in_what_good_images_cannot_tell() -> None:
    found = read_space(read_recipe("feature")).distributions
    assert {"network.code", "network.prototypes", "network.noise", "image.size"} <= set(found)
    assert not [key for key in found if key.startswith("score.")]


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_has_a_space_that_it_begins_in(name: str) -> None:
    recipe = read_recipe(name)
    found = read_space(recipe)
    assert {"training.learning_rate", "training.epochs", "training.most_steps"} & set(found.distributions)
    assert lay(recipe, found.values(found.start), "start") == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"training.learning_rat" = [1, 2]', "there is no option 'training.learning_rat'; did you mean training.learn"),
        ('"training.epochs" = { low = 9, high = 3 }', "training.epochs: low must lie under high"),
        ('"training.epochs" = { low = 1, high = 3, stp = 1 }', "training.epochs.stp: extra inputs"),
        ('"training.epochs" = { low = 1.5, high = 300 }', "training.epochs: takes whole numbers only"),
        ('"training.epochs" = { low = 0, high = 300, log = true }', "log needs a low above 0"),
        ('"training.epochs" = { low = 100, high = 200, step = 40 }', "the recipe's 150 lies on no step"),
        ('"training.epochs" = { low = "few", high = 300 }', "training.epochs.low: input should be a valid integer"),
        ('"training.epochs" = 7', "write [a, b, c] for choices"),
        ('"training.epochs" = [7]', "name two choices at least"),
        ('"score.smoothing" = ["auto", 2]', "score.smoothing = 2: "),
        ('"training.seconds" = [1, 2]', "there is no option 'training.seconds'"),
        ('"calibration.q" = { low = 90, high = 100 }', 'the recipe says "auto", which is no number to begin a range'),
        ('"training.loss.l1" = { low = 0.1, high = 1.0 }', "the recipe has no training.loss.l1 to begin with"),
        ("seed = [1, 2]", "seed is not searched: trials that differ in it could not be compared"),
        ('"split.validation" = [0.1, 0.3]', "split.validation is not searched"),
        ('"score.synthetic" = [0.4, 1.0]', "score.synthetic is not searched"),
        ("", "names no option to search"),
        ("training = [", "not valid TOML"),
    ],
)
def test_a_fault_is_told_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError) as fault:
        space(tmp_path, text)
    assert message in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="there is no such file"):
        read_space(read_recipe("cae"), tmp_path / "nowhere.toml")
