"""What a recipe could not be trained with is told before anything is trained."""

import pytest

from cobnut.errors import RecipeError
from cobnut.options import DenseOptions
from cobnut.recipe import read_recipe
from cobnut.training.checks import check_recipe
from program import TINY


@pytest.mark.parametrize(
    "settings", [["patches.size=16", "patches.stride=16"], ["corruption.name=mask"], ["score.error=mine"]]
)
def test_a_recipe_that_could_not_be_trained_to_its_end_is_refused_at_once(settings: list[str]) -> None:
    with pytest.raises(
        RecipeError, match="a sparse part can only be split off|there is no such error; valid are squared"
    ):
        check_recipe(read_recipe("robust", [*TINY, *settings]))


class NewOptions(DenseOptions):
    """The options of a network that nothing else has heard of."""

    losses = ("l1",)
    errors = ("odd",)
    rebuilds = "features"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["score.error=odd"], "training.loss.mse: network dense has no such loss; valid are l1"),
        (
            ["training.loss={ l1 = 1.0 }"],
            "score.error = 'squared': network dense has no such error; valid are odd, auto",
        ),
        (["score.error=odd", "corruption.name=noise"], "network dense learns from kept features: leave out patches"),
    ],
)
def test_a_new_network_tells_by_its_options_what_fits_it(settings: list[str], message: str) -> None:
    recipe = read_recipe("cae", [*TINY, *settings])
    with pytest.raises(RecipeError, match=message):
        check_recipe(recipe.model_copy(update={"network": NewOptions()}))


def test_what_a_sparse_part_cannot_be_split_off_is_named() -> None:
    class Shrinking(DenseOptions):
        keeps_size = False

    recipe = read_recipe("robust", [*TINY, "corruption.name=noise"])
    with pytest.raises(RecipeError, match="or leave out corruption and network dense$"):
        check_recipe(recipe.model_copy(update={"network": Shrinking()}))
