"""A recipe is closed to mistakes, and says what is valid."""

from pathlib import Path

import pytest

from cobnut.errors import RecipeError
from cobnut.recipe import Effort, Recipe, option_rows, parse_recipe, read_recipe, recipe_names, with_effort


def test_every_recipe_that_comes_with_cobnut_is_valid_and_described() -> None:
    assert "cae" in recipe_names()
    for name in recipe_names():
        recipe = read_recipe(name)
        assert recipe.name == name
        assert 10 < len(recipe.about) < 120


def test_every_option_is_documented() -> None:
    rows = list(option_rows())
    assert len(rows) > 20
    assert all(description for _, _, description in rows)


def test_settings_and_seed_lie_over_the_recipe() -> None:
    recipe = read_recipe("cae", ["training.epochs=7", "network.widths=[1, 2, 3]", "image.mode=grey"], seed=5)
    assert recipe.training.epochs == 7
    assert recipe.network.widths == (1, 2, 3)
    assert recipe.image.channels == 1
    assert recipe.seed == 5


def test_a_file_of_ones_own_is_a_recipe_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[training]\nepochs = 3\n")
    recipe = read_recipe(str(path))
    assert (recipe.name, recipe.training.epochs) == ("mine", 3)


def test_a_recipe_survives_the_way_through_json() -> None:
    recipe = read_recipe("cae")
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_a_loss_may_be_weighted_by_name() -> None:
    recipe = read_recipe("cae", ["training.loss.l1=0.5"])
    assert recipe.training.loss == {"mse": 1.0, "l1": 0.5}
    assert read_recipe("cae", ["training.loss={ l1 = 2.0 }"]).training.loss == {"l1": 2.0}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["training.epoch=3"], "did you mean training.epochs"),
        (["epochs=3"], "valid are name, about, seed"),
        (["training.epochs"], "write it as key=value"),
        (["training.epochs=0"], "training.epochs = 0: input should be greater than or equal to 1"),
        (["training.epochs=many"], "training.epochs = 'many': input should be a valid integer"),
        (["network.widths=[1, 2, 3, 4, 5, 6, 7]"], "network.widths"),
        (["image.mode=cmyk"], "image.mode = 'cmyk': input should be 'rgb' or 'grey'"),
        (["calibration.q=101"], "calibration.q = 101"),
        (["score.least_area=1"], "score.least_area = 1"),
        (["split.validation=0.5", "split.calibration=0.4"], "leaves under a fifth"),
        (["seed=-1"], "seed = -1"),
    ],
)
def test_a_wrong_setting_says_value_cause_and_what_is_valid(settings: list[str], told: str) -> None:
    with pytest.raises(RecipeError) as error:
        read_recipe("cae", settings)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_recipe_lists_the_valid_ones() -> None:
    with pytest.raises(RecipeError, match="'cat': there is none; valid are cae"):
        read_recipe("cat")


def test_an_unknown_option_in_a_file_lists_the_valid_ones() -> None:
    with pytest.raises(RecipeError, match="no option 'training.speed'; valid are name"):
        parse_recipe({"name": "x", "training": {"speed": 1}}, "x")


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[training\n")
    with pytest.raises(RecipeError, match="line 1"):
        read_recipe(str(path))


def test_a_wrong_value_is_explained_by_the_text_of_the_recipes_own_network() -> None:
    with pytest.raises(RecipeError, match="channels after each of the convolutions"):
        read_recipe("cae", ["network.widths=[]"])
    with pytest.raises(RecipeError, match="channels of each level"):
        read_recipe("upsampling", ["network.widths=[8]"])


def test_effort_trades_time_for_accuracy_and_yields_to_settings() -> None:
    fast, best = (with_effort("feature", effort) for effort in (Effort.FAST, Effort.BEST))
    assert fast.image.size < read_recipe("feature").image.size < best.image.size
    assert fast.training.most_steps < best.training.most_steps
    steps = [best.training.epochs_for(images) * best.training.batches_for(images) for images in (8, 14, 100, 50_000)]
    assert all(1000 <= each < 1020 for each in steps), "as many steps of few images as of many"
    assert with_effort("feature", Effort.FAST, ["image.size=128"]).image.size == 128
    assert with_effort("cae", Effort.DEFAULT) == read_recipe("cae")


def test_effort_belongs_to_recipes_of_features() -> None:
    with pytest.raises(RecipeError, match="--effort fast: recipe cae does not rebuild features"):
        with_effort("cae", Effort.FAST)
