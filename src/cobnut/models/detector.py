"""The whole detector as one module, from the camera's bytes to map and score: what is exported is what was trained."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cobnut.losses import build_error
from cobnut.models.scores import area_score, smooth
from cobnut.options import ScoreOptions


class Detector(nn.Module):
    """A rebuilding network with everything around it: normalisation before, error, smoothing and score after."""

    # The error (h, w) that good images show at each place; where it is given, maps are told in multiples of it.
    typical: Tensor | None

    def __init__(self, network: nn.Module, options: ScoreOptions, least_area: float) -> None:
        super().__init__()
        self.network = network
        self.error = build_error(options.error)
        self.smoothing = 1 if options.smoothing == "auto" else options.smoothing
        self.least_area = least_area
        self.register_buffer("typical", None)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images uint8 (n, h, w, c) in; maps (n, h, w), scores (n,) and reconstructions uint8 (n, h, w, c) out."""
        image = to_unit(images)
        reconstruction = self.network(image)
        maps = self.view(self._errors(image, reconstruction))
        return maps, area_score(maps, self.least_area), to_bytes(grow(reconstruction, image))

    def errors(self, images: Tensor) -> Tensor:
        """What :meth:`view` makes maps of: images uint8 (n, h, w, c) in, errors (n, h, w) out."""
        image = to_unit(images)
        return self._errors(image, self.network(image))

    def view(self, errors: Tensor) -> Tensor:
        """Errors (n, h, w) as an anomaly map: smoothed, and told in multiples of what is usual at their place."""
        maps = smooth(errors, self.smoothing)
        return maps if self.typical is None else maps / self.typical

    def _errors(self, image: Tensor, reconstruction: Tensor) -> Tensor:
        errors = self.error(reconstruction, shrink(image, reconstruction))
        return grow(errors[:, None], image)[:, 0]


def shrink(image: Tensor, to: Tensor) -> Tensor:
    """The image (n, c, h, w) at the size of a smaller reconstruction ``to``, each pixel the mean of those it covers."""
    if image.shape[-2:] == to.shape[-2:]:
        return image
    return F.avg_pool2d(image, image.shape[-1] // to.shape[-1])


def grow(small: Tensor, to: Tensor) -> Tensor:
    """Values (n, c, h, w) of a small reconstruction at the size of the image ``to``, bilinearly."""
    if small.shape[-2:] == to.shape[-2:]:
        return small
    return F.interpolate(small, size=to.shape[-2:], mode="bilinear", align_corners=False)


def to_unit(images: Tensor) -> Tensor:
    """Bytes as cameras give them, uint8 (n, h, w, c), to what networks see, float32 (n, c, h, w) in [0, 1]."""
    return images.permute(0, 3, 1, 2).to(torch.float32) / 255


def to_bytes(images: Tensor) -> Tensor:
    """The way back: float (n, c, h, w) in [0, 1] to uint8 (n, h, w, c), rounded."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
