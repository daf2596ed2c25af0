"""The pieces that networks are put together from: one layer, its normalisation and its non-linearity."""

from torch import nn


def conv_down(channels_in: int, channels_out: int) -> nn.Sequential:
    """Halve the side: (n, in, h, w) → (n, out, h/2, w/2)."""
    convolution = nn.Conv2d(channels_in, channels_out, kernel_size=4, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.ReLU())


def conv_up(channels_in: int, channels_out: int) -> nn.Sequential:
    """Double the side: (n, in, h, w) → (n, out, 2h, 2w)."""
    convolution = nn.ConvTranspose2d(channels_in, channels_out, kernel_size=4, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.ReLU())


def conv_same(channels_in: int, channels_out: int, layers: int) -> nn.Sequential:
    """``layers`` convolutions that keep the side: (n, in, h, w) → (n, out, h, w)."""
    blocks: list[nn.Module] = []
    for number in range(layers):
        before = channels_out if number else channels_in
        convolution = nn.Conv2d(before, channels_out, kernel_size=3, padding=1, bias=False)
        blocks += [convolution, nn.BatchNorm2d(channels_out), nn.ReLU()]
    return nn.Sequential(*blocks)


def dense(units_in: int, units_out: int) -> nn.Sequential:
    """A dense layer: (n, in) → (n, out)."""
    return nn.Sequential(nn.Linear(units_in, units_out, bias=False), nn.BatchNorm1d(units_out), nn.ReLU())
