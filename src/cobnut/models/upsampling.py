"""The study's third network (3.2.3): convolution, max-pooling and upsampling, neither dense nor transposed layers."""

import torch
from torch import Tensor, nn

from cobnut.models.blocks import conv_same
from cobnut.options import ImageOptions, UpsamplingOptions


class UpsamplingAutoencoder(nn.Module):
    """Levels of convolutions, each half as large as the one before, and their mirror: (n, c, s, s) in and out.

    With ``skips`` each level's features also go straight across, as in a U-Net (Ronneberger et al. 2015): details then
    survive, so only a network that learns to undo corruption may have them.
    """

    def __init__(self, options: UpsamplingOptions, image: ImageOptions) -> None:
        super().__init__()
        widths = options.widths
        self.has_skips = options.skips
        self.down = nn.ModuleList(
            conv_same(before, after, options.layers)
            for before, after in zip((image.channels, *widths), widths, strict=False)
        )
        self.up = nn.ModuleList(
            conv_same(below + (here if options.skips else 0), here, options.layers)
            for below, here in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")
        self.last = nn.Sequential(nn.Conv2d(widths[0], image.channels, kernel_size=3, padding=1), nn.Sigmoid())

    def forward(self, image: Tensor) -> Tensor:
        """Rebuild images (n, c, s, s) in [0, 1]."""
        across: list[Tensor] = []
        features = image
        for number, level in enumerate(self.down):
            features = level(self.pool(features) if number else features)
            across.append(features)
        for level, beside in zip(self.up, across[-2::-1], strict=True):
            features = self.grow(features)
            features = level(torch.cat([features, beside], dim=1) if self.has_skips else features)
        reconstruction: Tensor = self.last(features)
        return reconstruction
