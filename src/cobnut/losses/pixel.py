"""Losses and errors that compare pixel by pixel."""

import torch
import torch.nn.functional as F
from torch import Tensor


def mse(reconstruction: Tensor, image: Tensor) -> Tensor:
    """Mean squared error over everything: a scalar, 0 for equal images (study 3.3, [15])."""
    return F.mse_loss(reconstruction, image)


def l1(reconstruction: Tensor, image: Tensor) -> Tensor:
    """Mean absolute error over everything: a scalar, 0 for equal images."""
    return F.l1_loss(reconstruction, image)


def squared_error(reconstruction: Tensor, image: Tensor) -> Tensor:
    """Squared difference, averaged over channels: (n, c, h, w) twice in, (n, h, w) out (study 3.4)."""
    return torch.mean((reconstruction - image) ** 2, dim=1)


def absolute_error(reconstruction: Tensor, image: Tensor) -> Tensor:
    """Absolute difference, averaged over channels: (n, c, h, w) twice in, (n, h, w) out."""
    return torch.mean(torch.abs(reconstruction - image), dim=1)
