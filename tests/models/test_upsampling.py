"""The study's third network."""

import pytest
import torch
from torch import nn

from cobnut.errors import RecipeError
from cobnut.models import build_network
from cobnut.recipe import read_recipe

SMALL = ["network.name=upsampling", "network.widths=[4, 8, 8]", "image.size=32"]


def build(*settings: str) -> nn.Module:
    return build_network(read_recipe("cae", [*SMALL, *settings])).eval()


@pytest.mark.parametrize("settings", [[], ["image.mode=grey"], ["network.skips=true"], ["network.layers=1"]])
def test_it_rebuilds_images_of_its_size_in_zero_to_one(settings: list[str]) -> None:
    images = torch.rand(2, 1 if "image.mode=grey" in settings else 3, 32, 32)
    rebuilt = build(*settings)(images)
    assert rebuilt.shape == images.shape
    assert 0 <= rebuilt.min() <= rebuilt.max() <= 1


def test_it_has_only_convolution_pooling_and_upsampling_as_the_study_says() -> None:
    kinds = {type(layer) for layer in build().modules() if not list(layer.children())}
    assert kinds == {nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.Upsample, nn.Sigmoid}


def test_without_skips_all_passes_through_the_smallest_level_and_with_them_not() -> None:
    image = torch.rand(1, 3, 32, 32)
    for skips, passes in (("false", False), ("true", True)):
        network = build(f"network.skips={skips}")
        lowest = network.get_submodule("down.2")
        lowest.register_forward_hook(lambda layer, given, features: torch.zeros_like(features))
        moved = (network(image) - network(1 - image)).abs().max().item()
        assert (moved > 0) == passes


def test_a_side_that_its_levels_cannot_halve_is_refused() -> None:
    with pytest.raises(RecipeError, match="image.size = 34: network upsampling needs a multiple of 4"):
        build("image.size=34")
