"""The study's first network."""

import pytest
import torch
from torch import nn

from cobnut.errors import RecipeError
from cobnut.models import build_network
from cobnut.recipe import Recipe, read_recipe


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["image.mode=grey"],
        ["image.size=64", "network.widths=[3, 5, 7]"],
        ["network.widths=[4, 8, 8, 8]"],
        ["network.widths=[4]", "image.size=32"],
    ],
)
def test_it_rebuilds_images_of_its_size_in_zero_to_one(settings: list[str]) -> None:
    recipe = read_recipe("cae", settings)
    images = torch.rand(2, recipe.image.channels, recipe.image.size, recipe.image.size)
    rebuilt = build_network(recipe).eval()(images)
    assert rebuilt.shape == images.shape
    assert 0 <= rebuilt.min() <= rebuilt.max() <= 1


def test_it_has_three_convolutions_and_two_dense_layers_normalised_each_way() -> None:
    network = build_network(read_recipe("cae"))
    for half, convolution in (("encoder", nn.Conv2d), ("decoder", nn.ConvTranspose2d)):
        layers = list(network.get_submodule(half).modules())
        assert sum(isinstance(layer, convolution) for layer in layers) == 3
        assert sum(isinstance(layer, nn.Linear) for layer in layers) == 2
        assert sum(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in layers) >= 3


def test_the_whole_image_passes_through_its_latent_numbers(tiny_recipe: Recipe) -> None:
    network = build_network(tiny_recipe).eval()
    assert network.get_submodule("encoder")(torch.rand(5, 3, 32, 32)).shape == (5, 8)


def test_a_side_that_cannot_be_halved_three_times_is_refused() -> None:
    with pytest.raises(RecipeError, match="image.size = 36: network dense needs a multiple of 8"):
        build_network(read_recipe("cae", ["image.size=36"]))
