"""A folded network answers as before, with fewer operations."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cobnut.models.encoders import build_encoder
from cobnut.runtime.folding import fold


def shaken(network: nn.Module) -> nn.Module:
    """The network in evaluation, its normalisations as if they had learned something."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.track_running_stats:
            for tensor in (module.running_mean, module.running_var, module.weight.data, module.bias.data):
                tensor.add_(0.3 * torch.rand(tensor.shape, generator=generator))
    return network.eval()


def normalisations(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18", "mobilenetv3_small_100", "vgg11_bn"])
def test_an_encoder_answers_as_before_without_normalisations(name: str) -> None:
    torch.manual_seed(0)
    encoder, images = shaken(build_encoder(name, "random", (8, 16))), torch.rand(2, 3, 64, 64)
    folded = fold(encoder, images)
    assert normalisations(encoder) > 0
    assert normalisations(folded) == 0
    assert not any(isinstance(module, nn.ReLU6) for module in folded.modules())
    with torch.inference_mode():
        for ours, theirs in zip(folded(images), encoder(images), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))


def test_the_network_itself_stays_as_it_was() -> None:
    network, images = shaken(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU6())), torch.rand(1, 3, 8, 8)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    folded = fold(network, images)
    assert normalisations(folded) == 0
    assert [type(each) for each in network] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU6]
    assert all(tensor.equal(before[name]) for name, tensor in network.state_dict().items())
    assert not any(each._forward_hooks for each in network.modules())


class Shown(nn.Module):
    """What the convolution made is used beside its normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        convolved = self.conv(x)
        normalised: Tensor = self.norm(convolved) + convolved
        return normalised


class Twice(nn.Module):
    """Behind one convolution stand two normalisations."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.first, self.second = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        convolved = self.conv(x)
        product: Tensor = self.first(convolved) * self.second(convolved)
        return product


class Named(nn.Module):
    """The normalisation is kept in a list as well, and called from there."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        self.norms = [self.norm]

    def forward(self, x: Tensor) -> Tensor:
        normalised: Tensor = self.norms[0](self.conv(x))
        return normalised


class Before(nn.Module):
    """The normalisation comes first."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        convolved: Tensor = self.conv(self.norm(x))
        return convolved


def between() -> nn.Module:
    """An activation that works in place stands between."""
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.BatchNorm2d(4))


def of_the_batch() -> nn.Module:
    """The normalisation keeps no mean: it takes that of the batch."""
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False))


@pytest.mark.parametrize("make", [Shown, Twice, Named, Before, between, of_the_batch])
def test_what_cannot_be_folded_stays(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    network, images = shaken(make()), torch.rand(2, 3, 8, 8)
    folded = fold(network, images)
    assert normalisations(folded) == normalisations(network)
    with torch.inference_mode():
        torch.testing.assert_close(folded(images), network(images))


def test_what_is_used_several_times_is_folded_once() -> None:
    torch.manual_seed(0)
    block = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    network, images = shaken(nn.Sequential(block, nn.ReLU(), block)), torch.rand(2, 3, 8, 8)
    folded = fold(network, images)
    assert normalisations(folded) == 0
    with torch.inference_mode():
        torch.testing.assert_close(folded(images), network(images), atol=1e-5, rtol=1e-4)
