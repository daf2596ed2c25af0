"""Whole images, rebuilt patch by patch or from what surrounds each place."""

import pytest
import torch
from torch import nn

from cobnut.errors import RecipeError
from cobnut.models import build_detector, build_network, build_rebuilding
from cobnut.models.rebuilding import Inpainting, Patchwise
from cobnut.options import CorruptionOptions, PatchOptions
from cobnut.recipe import read_recipe


class Count(nn.Module):
    """A network that gives back what it sees, and counts how often it is asked."""

    calls = 0

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return image


class Grey(nn.Module):
    """A network that rebuilds everything as middle grey."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.full_like(image, 0.5)


@pytest.mark.parametrize(("size", "stride", "calls"), [(16, 8, 9), (16, 16, 4), (32, 8, 1), (20, 10, 9)])
def test_patches_that_are_rebuilt_perfectly_make_a_perfect_whole(size: int, stride: int, calls: int) -> None:
    image, network = torch.rand(2, 3, 32, 32), Count()
    rebuilt = Patchwise(network, PatchOptions(size=size, stride=stride), 32)(image)
    torch.testing.assert_close(rebuilt, image)
    assert network.calls == calls


@pytest.mark.parametrize("cells", [(4,), (4, 8)])
def test_inpainting_never_gives_back_a_pixel_that_the_network_saw(cells: tuple[int, ...]) -> None:
    image, network = torch.rand(2, 3, 32, 32), Count()
    rebuilt = Inpainting(network, CorruptionOptions(name="mask", cells=cells, parts=3), 32)(image)
    assert network.calls == 3 * len(cells)
    torch.testing.assert_close(rebuilt, torch.full_like(rebuilt, 128 / 255))


def test_inpainting_takes_every_pixel_from_exactly_one_part_a_size() -> None:
    rebuilding = Inpainting(Grey(), CorruptionOptions(name="mask", cells=(4, 8), parts=4), 32)
    torch.testing.assert_close(rebuilding(torch.rand(1, 3, 32, 32)), torch.full((1, 3, 32, 32), 0.5))
    assert rebuilding.masks.sum(dim=0).eq(2).all()


def test_the_recipe_says_how_a_whole_image_is_rebuilt() -> None:
    for settings, kind in (
        (["patches.size=16", "patches.stride=8"], Patchwise),
        (["corruption.name=mask"], Inpainting),
        (["corruption.name=defects"], type(build_network(read_recipe("cae", ["image.size=32"])))),
    ):
        recipe = read_recipe("cae", ["image.size=32", *settings])
        network = build_network(recipe).eval()
        assert isinstance(build_rebuilding(network, recipe), kind)
        maps, scores, rebuilt = build_detector(network, recipe)(torch.zeros(2, 32, 32, 3, dtype=torch.uint8))
        assert (maps.shape, scores.shape, rebuilt.shape) == ((2, 32, 32), (2,), (2, 32, 32, 3))


def test_patches_of_a_network_that_fills_in_are_filled_in() -> None:
    patches = ["patches.size=16", "patches.stride=16"]
    recipe = read_recipe("cae", ["image.size=32", "corruption.name=mask", "corruption.cells=[4]", *patches])
    rebuilding = build_rebuilding(Count(), recipe)
    rebuilt = rebuilding(torch.rand(1, 3, 32, 32))
    torch.testing.assert_close(rebuilt, torch.full_like(rebuilt, 128 / 255))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["patches.size=64"], "patches.size = 64: is larger than image.size = 32"),
        (["patches.size=16"], "patches.stride = 32: leaves gaps between patches of 16; set patches.stride to 16"),
        (["patches.size=8", "patches.stride=1"], "patches.stride = 1: makes 625 patches of each image"),
    ],
)
def test_patches_that_do_not_cover_the_image_are_refused(settings: list[str], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        build_network(read_recipe("cae", ["image.size=32", *settings]))
