"""How a whole image is rebuilt at inspection: at once, patch by patch, or from what surrounds each place."""

import numpy as np
import torch
from torch import Tensor, nn

from cobnut.data.spoil import BLANK, deal_cells
from cobnut.options import CorruptionOptions, PatchOptions


class Patchwise(nn.Module):
    """Overlapping patches, each rebuilt by itself, and the mean where they overlap (Bergmann 2019, 4.1)."""

    counts: Tensor

    def __init__(self, network: nn.Module, options: PatchOptions, side: int) -> None:
        super().__init__()
        self.network, self.size = network, options.size
        last = side - options.size
        starts = [*range(0, last, options.stride), last]
        self.corners = [(top, left) for top in starts for left in starts]
        counts = torch.zeros(1, 1, side, side)
        for top, left in self.corners:
            counts[..., top : top + self.size, left : left + self.size] += 1
        self.register_buffer("counts", counts, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Rebuild images (n, c, s, s) in [0, 1]."""
        size, side = self.size, image.shape[-1]
        total = torch.zeros_like(image)
        for top, left in self.corners:
            patch = self.network(image[..., top : top + size, left : left + size])
            around = (left, side - left - size, top, side - top - size)
            total = total + nn.functional.pad(patch, around)
        return total / self.counts


class Inpainting(nn.Module):
    """Every pixel blotted out once and rebuilt from what surrounds it (Haselmann 2018; Zavrtanik, RIAD, 2021, 3.2).

    For each size of cells the image is rebuilt once per part, and each part's pixels are taken from the reconstruction
    that did not see them; the sizes' mean counts.
    """

    masks: Tensor

    def __init__(self, network: nn.Module, options: CorruptionOptions, side: int) -> None:
        super().__init__()
        self.network, self.sizes = network, len(options.cells)
        random = np.random.default_rng(0)
        dealt = np.stack([deal_cells(side, side, cells, options.parts, random) for cells in options.cells])
        masks = dealt[:, None] == np.arange(options.parts)[None, :, None, None]
        self.register_buffer("masks", torch.from_numpy(masks).flatten(0, 1).float()[:, None], persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Rebuild images (n, c, s, s) in [0, 1]."""
        total = torch.zeros_like(image)
        for mask in self.masks:  # (1, s, s), 1 where blotted out
            total = total + mask * self.network(image * (1 - mask) + mask * (BLANK / 255))
        return total / self.sizes
