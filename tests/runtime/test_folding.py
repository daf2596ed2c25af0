"""A folded network answers as before, with fewer operations."""

import pytest
import torch
from torch import Tensor, nn

from cobnut.models.encoders import build_encoder
from cobnut.runtime.folding import fold


def shaken(network: nn.Module) -> nn.Module:
    """The network in evaluation, its normalisations as if they had learned something."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
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
    with torch.inference_mode():
        for ours, theirs in zip(folded(images), encoder(images), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))


def test_the_network_itself_stays_as_it_was() -> None:
    network, images = shaken(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU6())), torch.rand(1, 3, 8, 8)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    fold(network, images)
    assert [type(each) for each in network] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU6]
    assert all(tensor.equal(before[name]) for name, tensor in network.state_dict().items())
    assert not any(each._forward_hooks for each in network.modules())


class Twice(nn.Module):
    """One convolution behind which two normalisations stand."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.first, self.second = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        convolved = self.conv(x)
        return self.first(convolved) * self.second(convolved + 1) + self.second(self.conv(x.square()))


class Before(nn.Module):
    """The normalisation comes first."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        convolved: Tensor = self.conv(self.norm(x))
        return convolved


@pytest.mark.parametrize("kind", [Twice, Before])
def test_what_cannot_be_folded_stays(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network, images = shaken(kind()), torch.rand(2, 3, 8, 8)
    folded = fold(network, images)
    assert normalisations(folded) == normalisations(network)
    with torch.inference_mode():
        torch.testing.assert_close(folded(images), network(images))
