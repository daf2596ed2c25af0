"""From an anomaly map to one number for the image."""

import torch
import torch.nn.functional as F
from torch import Tensor


def smooth(maps: Tensor, side: int) -> Tensor:
    """Mean over a square of ``side`` pixels (odd), cut off at the image's border: (n, h, w) in and out."""
    if side == 1:
        return maps
    return F.avg_pool2d(maps[:, None], side, stride=1, padding=side // 2, count_include_pad=False)[:, 0]


def area_score(maps: Tensor, least_area: float, inspected: int | None = None) -> Tensor:
    """The level that more than a share ``least_area`` of the map lies at or above: (n, h, w) in, (n,) out.

    Where only so many pixels are ``inspected`` it is a share of these, and the others are the lowest.

    It is the k-th largest pixel with k = ⌊least_area · h · w⌋ + 1, so «score > t» says exactly «more than that share of
    the pixels lies above t», the study's decision (3.4). ``least_area`` 0 gives the largest pixel.
    """
    pixels = maps.flatten(1)
    count = int(least_area * (inspected or pixels.shape[1])) + 1
    return torch.topk(pixels, count, dim=1).values[:, -1]
