"""The study's transfer learning: a frozen encoder, or one that learns on, and a decoder of deconvolutions."""

import pytest
import torch
from torch import nn

from cobnut.errors import RecipeError
from cobnut.models import build_detector, build_network
from cobnut.models.transfer import FineTuned, HalfFrozen
from cobnut.recipe import Recipe, read_recipe

RESNET = ["network.weights=random", "image.size=64", "network.width=16"]


def resnet(*settings: str) -> Recipe:
    return read_recipe("transfer-resnet", [*RESNET, *settings])


@pytest.mark.parametrize(("side", "deconvolutions"), [(8, 1), (32, 3)])
def test_it_has_just_enough_strided_deconvolutions_for_its_small_reconstruction(side: int, deconvolutions: int) -> None:
    network = build_network(resnet(f"network.side={side}")).eval()
    assert network(torch.rand(2, 3, 64, 64)).shape == (2, 3, side, side)
    layers = [layer for layer in network.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert len(layers) == deconvolutions
    assert all(layer.stride == (2, 2) for layer in layers)


def test_a_frozen_encoder_keeps_weights_and_statistics_while_the_decoder_learns() -> None:
    network = build_network(resnet()).train()
    assert isinstance(network, HalfFrozen)
    before = {name: value.clone() for name, value in network.frozen.state_dict().items()}
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network(torch.rand(2, 3, 64, 64)).sum().backward()
    optimizer.step()
    assert all(torch.equal(value, before[name]) for name, value in network.frozen.state_dict().items())
    assert {id(p) for p in network.learning.parameters()} == {id(p) for p in network.parameters() if p.requires_grad}


def test_an_encoder_that_learns_on_has_a_lower_rate() -> None:
    network = build_network(resnet("network.encoder_rate=0.05"))
    assert isinstance(network, FineTuned)
    encoder, decoder = network.rates(0.01)
    assert (encoder["lr"], decoder["lr"]) == (pytest.approx(0.0005), 0.01)
    assert len(encoder["params"]) + len(decoder["params"]) == len(list(network.parameters()))


def test_map_and_reconstruction_come_at_the_size_of_the_image() -> None:
    recipe = resnet()
    detector = build_detector(build_network(recipe).eval(), recipe).eval()
    maps, scores, rebuilt = detector(torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8))
    assert (maps.shape, scores.shape, rebuilt.shape) == ((2, 64, 64), (2,), (2, 64, 64, 3))


@pytest.mark.parametrize("settings", [["network.side=32"], ["network.side=8", "network.stride=8"]])
def test_a_size_that_cannot_be_reached_by_doubling_is_refused(settings: list[str]) -> None:
    with pytest.raises(RecipeError, match=r"network.side = \d+: features of"):
        build_network(resnet("image.size=96", *settings))
