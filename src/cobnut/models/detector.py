"""The whole detector as one module, from the camera's bytes to map and score: what is exported is what was trained."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cobnut.data.region import GROUND, Region, shrink_region
from cobnut.losses import build_error
from cobnut.models.scores import area_score, smooth
from cobnut.options import ScoreOptions


class Detector(nn.Module):
    """A rebuilding network with everything around it: normalisation before, error, smoothing and score after."""

    # The error (h, w) that good images show at each place; where it is given, maps are told in multiples of it.
    typical: Tensor | None
    # Where it looks, of images (1, 1, h, w) as 0 and 1 and of maps (h, w); ``None`` is everywhere.
    region: Tensor | None
    inside: Tensor | None
    # How many places of a map that is.
    places: int | None = None

    def __init__(self, network: nn.Module, options: ScoreOptions, least_area: float) -> None:
        super().__init__()
        self.network = network
        # The errors that the map may show, and which it does.
        self.kinds: tuple[str, ...] = (options.error,)
        self.kind = 0
        self.smoothing = 1 if options.smoothing == "auto" else options.smoothing
        self.least_area = least_area
        for name in ("typical", "region", "inside"):
            self.register_buffer(name, None)

    def look_only_at(self, region: Region, channels: int) -> None:
        """Inspect only where ``region`` (h, w), of the images' size, holds: what lies elsewhere changes nothing.

        Images are painted over there before the network sees them, and maps are 0.
        """
        self.region = torch.from_numpy(region)[None, None].float()
        with torch.inference_mode():
            shape = self.rebuild(torch.zeros(1, channels, *region.shape), self.kinds[:1])[0].shape[-2:]
        self.inside = torch.from_numpy(shrink_region(region, (shape[0], shape[1])))
        self.places = int(self.inside.sum())

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images uint8 (n, h, w, c) in; maps and scores (n,) out, and where pixels are rebuilt, uint8 (n, h, w, c)."""
        image = self.paint(to_unit(images))
        errors, reconstruction = self.rebuild(image, (self.kinds[self.kind],))
        maps = self._shown(errors[:, 0])
        judged = (maps, area_score(maps, self.least_area, self.places))
        return judged if reconstruction is None else (*judged, to_bytes(grow(reconstruction, image)))

    def errors(self, images: Tensor) -> Tensor:
        """What :meth:`view` makes maps of: images uint8 (n, h, w, c) in, every error (n, kinds, h, w) out."""
        return self.rebuild(self.paint(to_unit(images)), self.kinds)[0]

    @property
    def looks_at(self) -> Region | None:
        """The region that was given, (h, w) of the images' size."""
        return None if self.region is None else self.region[0, 0].cpu().numpy() > 0

    def paint(self, image: Tensor) -> Tensor:
        """Images (n, c, h, w) in [0, 1], grey where nobody looks."""
        return image if self.region is None else image * self.region + (GROUND / 255) * (1 - self.region)

    def rebuild(self, image: Tensor, kinds: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        """Images (n, c, h, w) in [0, 1] in; errors (n, kinds, h, w) and the reconstructions of pixels out."""
        reconstruction = self.network(image)
        errors = [build_error(kind)(reconstruction, shrink(image, reconstruction)) for kind in kinds]
        return grow(torch.stack(errors, dim=1), image), reconstruction

    def view(self, errors: Tensor) -> Tensor:
        """Errors (n, kinds, h, w) as an anomaly map (n, h, w): of one kind, smoothed, and told in multiples of what is
        usual at their place."""
        return self._shown(errors[:, self.kind])

    def inspected(self, maps: Tensor) -> Tensor:
        """Maps (n, h, w) without what is not inspected: (n, 1, pixels) where that is anything."""
        return maps if self.inside is None else maps[:, None, self.inside]

    def _shown(self, errors: Tensor) -> Tensor:
        if self.inside is None:
            maps = smooth(errors, self.smoothing)
        else:
            inside = self.inside[None].float()
            near = smooth(inside, self.smoothing).clamp(min=1e-6)
            maps = smooth(errors * inside, self.smoothing) / near * inside
        return maps if self.typical is None else maps / self.typical


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
