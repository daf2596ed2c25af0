"""What the default network rebuilds: features of a frozen encoder, whitened and on one grid."""

from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cobnut.data.region import Region, shrink_region
from cobnut.models.encoders import build_encoder
from cobnut.models.whitening import Moments, Whitening
from cobnut.options import FeatureOptions


class FeatureSpace(nn.Module):
    """What is rebuilt: several stages of a frozen encoder, brought to one stride and whitened.

    Images (n, c, h, w) in [0, 1] in, features (n, components, h/stride, w/stride) out. The first ``detail`` components
    come from the stages that see detail; the others, from the deepest one, tell what surrounds it.
    """

    def __init__(self, options: FeatureOptions) -> None:
        super().__init__()
        taps = (*options.taps, *((options.context,) if options.context else ()))
        self.encoder = build_encoder(options.encoder, options.weights, taps)
        self.stride = options.stride
        channels = sum(self.encoder.channels[: len(options.taps)])
        self.stages_of_detail, self.detail = len(options.taps), min(options.components, channels)
        whitenings = [Whitening(channels, self.detail)]
        if options.context:
            deepest = self.encoder.channels[-1]
            whitenings.append(Whitening(deepest, min(options.context_components, deepest)))
        self.components = sum(len(each.spread) for each in whitenings)
        self.whitenings = nn.ModuleList(whitenings)

    def forward(self, image: Tensor) -> Tensor:
        """The whitened features of images."""
        grid = self._grid(image)
        whitened = [whiten(maps) for whiten, maps in zip(self.whitenings, self.stages(image), strict=True)]
        return torch.cat([_to_grid(each, grid) for each in whitened], dim=1)

    def stages(self, image: Tensor) -> list[Tensor]:
        """The encoder's maps: those of detail together on one grid, and the deepest as it is."""
        grid = self._grid(image)
        maps: list[Tensor] = self.encoder(image)
        detail = [_to_grid(each, grid) for each in maps[: self.stages_of_detail]]
        return [torch.cat(detail, dim=1), *maps[self.stages_of_detail :]]

    def _grid(self, image: Tensor) -> tuple[int, int]:
        return image.shape[-2] // self.stride, image.shape[-1] // self.stride

    def learn(self, images: Iterable[Tensor], region: Region | None = None) -> None:
        """Learn the whitening from batches of good images in [0, 1], where a ``region`` (h, w) of their size holds."""
        whitenings = [cast("Whitening", each) for each in self.whitenings]
        moments = [Moments(each.mean.shape[1]) for each in whitenings]
        with torch.inference_mode():
            for batch in images:
                for sums, maps in zip(moments, self.stages(batch), strict=True):
                    sums.add(_inside(maps, region))
            for whitening, sums in zip(whitenings, moments, strict=True):
                whitening.follow(sums)

    @property
    def spread(self) -> Tensor:
        """What the components' standard deviations were before they were whitened: (components,)."""
        return torch.cat([cast("Whitening", each).spread for each in self.whitenings])


def _inside(maps: Tensor, region: Region | None) -> Tensor:
    """Maps (n, k, h, w) where a region on a finer grid holds: (n, k, places)."""
    if region is None:
        return maps
    return maps[..., torch.from_numpy(shrink_region(region, (maps.shape[-2], maps.shape[-1])))]


def _to_grid(features: Tensor, grid: tuple[int, int]) -> Tensor:
    width = features.shape[-1]
    if width > grid[1]:
        return F.avg_pool2d(features, width // grid[1])
    if width < grid[1]:
        return F.interpolate(features, size=grid, mode="bilinear", align_corners=False)
    return features
