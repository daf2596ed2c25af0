"""The autoencoder of Bergmann et al. (2019)."""

import pytest
import torch
from torch import nn

from cobnut.errors import RecipeError
from cobnut.models import build_network
from cobnut.recipe import read_recipe

# Table 1 of the paper: output side and channels, kernel and stride of each layer of the encoder
TABLE = [
    (64, 32, 4, 2), (32, 32, 4, 2), (32, 32, 3, 1), (16, 64, 4, 2), (16, 64, 3, 1),
    (8, 128, 4, 2), (8, 64, 3, 1), (8, 32, 3, 1), (1, 100, 8, 1),
]  # fmt: skip


def build(*settings: str) -> nn.Module:
    return build_network(read_recipe("cae", ["network.name=ssim-ae", "network.latent=100", *settings])).eval()


def test_its_layers_are_those_of_the_papers_table() -> None:
    network = build()
    seen: list[tuple[int, int, int, int]] = []
    for layer in network.get_submodule("encoder").modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(
                lambda layer, given, out: seen.append(
                    (out.shape[-1], out.shape[1], layer.kernel_size[0], layer.stride[0])
                )
            )
    rebuilt = network(torch.rand(1, 3, 128, 128))
    assert seen == TABLE
    assert rebuilt.shape == (1, 3, 128, 128)


@pytest.mark.parametrize("side", [32, 64, 256])
def test_its_last_convolution_spans_whatever_is_left_of_other_sizes(side: int) -> None:
    network = build(f"image.size={side}", "network.width=4", "image.mode=grey")
    images = torch.rand(2, 1, side, side)
    assert network.get_submodule("encoder")(images).shape == (2, 100, 1, 1)
    assert network(images).shape == images.shape


def test_a_side_that_cannot_be_halved_four_times_is_refused() -> None:
    with pytest.raises(RecipeError, match="image.size = 40: network ssim-ae needs a multiple of 16"):
        build("image.size=40")
