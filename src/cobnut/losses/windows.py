"""Weighted means over the square around each pixel, as two matrix products, which a CPU does best."""

import math

import torch
from torch import Tensor


def window_matrix(side: int, radius: int, sigma: float = math.inf, margin: int = 0) -> Tensor:
    """The weights of a window along one axis as a band matrix, (side − 2 · margin, side), every row of sum one.

    Row i holds a Gaussian of ``sigma`` pixels around pixel i + margin, cut off ``radius`` pixels away and at the border
    of the image; an infinite sigma gives the plain mean. ``margin`` leaves out that many pixels at either end.
    """
    place = torch.arange(side)
    offset = place[margin : side - margin, None] - place[None, :]
    weight = torch.exp(-0.5 * (offset / sigma) ** 2) * (offset.abs() <= radius)
    return weight / weight.sum(dim=1, keepdim=True)


def local_mean(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The mean over every pixel's window: (…, h, w) in, (…, len(rows), len(columns)) out."""
    return rows @ (image @ columns.T)
