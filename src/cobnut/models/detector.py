"""The whole detector as one module, from the camera's bytes to map and score: what is exported is what was trained."""

import torch
from torch import Tensor, nn

from cobnut.losses import ERRORS
from cobnut.models.scores import area_score, smooth
from cobnut.recipe import ScoreOptions


class Detector(nn.Module):
    """A network with everything around it: normalisation before, error, smoothing and score after."""

    def __init__(self, network: nn.Module, options: ScoreOptions, least_area: float) -> None:
        super().__init__()
        self.network = network
        self.error = ERRORS[options.error]
        self.smoothing = options.smoothing
        self.least_area = least_area

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images uint8 (n, h, w, c) in; maps (n, h, w), scores (n,) and reconstructions uint8 (n, h, w, c) out."""
        image = to_unit(images)
        reconstruction = self.network(image)
        maps = smooth(self.error(reconstruction, image), self.smoothing)
        return maps, area_score(maps, self.least_area), to_bytes(reconstruction)


def to_unit(images: Tensor) -> Tensor:
    """Bytes as cameras give them, uint8 (n, h, w, c), to what networks see, float32 (n, c, h, w) in [0, 1]."""
    return images.permute(0, 3, 1, 2).to(torch.float32) / 255


def to_bytes(images: Tensor) -> Tensor:
    """The way back: float (n, c, h, w) in [0, 1] to uint8 (n, h, w, c), rounded."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
