"""Directions in which good features differ much and little, brought to one scale."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

# Added to the variances, which are 1 in the mean: directions that hardly vary are noise, and are not blown up.
FLOOR = 0.01


class Whitening(nn.Module):
    """Features (n, k, h, w) in; their ``components`` strongest principal components, whitened, (n, components, h, w).

    Channels are standardised first, so that none counts for its scale: PCA of the correlation matrix. Until it has
    learned it hands the first channels on. ``spread`` (components,) takes the whitening back: multiplied by it, a
    component has the standard deviation that it had before.
    """

    mean: Tensor
    matrix: Tensor
    spread: Tensor

    def __init__(self, channels: int, components: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("matrix", torch.eye(components, channels)[:, :, None, None])
        self.register_buffer("spread", torch.ones(components))

    def forward(self, features: Tensor) -> Tensor:
        """The whitened components."""
        return nn.functional.conv2d(features - self.mean, self.matrix)

    def learn(self, batches: Iterable[Tensor]) -> None:
        """Learn mean and directions from batches (n, k, h, w), in one pass, added up in double precision."""
        channels = self.mean.shape[1]
        count, total = 0, torch.zeros(channels, dtype=torch.float64)
        products = torch.zeros(channels, channels, dtype=torch.float64)
        for batch in batches:
            rows = batch.detach().movedim(1, -1).reshape(-1, channels)
            count += len(rows)
            total += rows.sum(dim=0, dtype=torch.float64)
            products += (rows.T @ rows).double()
        mean = total / count
        covariance = products / count - torch.outer(mean, mean)
        deviation = covariance.diagonal().clamp(min=0).sqrt() + 1e-4
        variances, directions = torch.linalg.eigh(covariance / torch.outer(deviation, deviation))
        strongest = torch.arange(channels).flip(0)[: len(self.spread)]
        spread = (variances[strongest].clamp(min=0) + FLOOR).sqrt()
        matrix = directions[:, strongest].T / deviation / spread[:, None]
        self.mean.copy_(mean[None, :, None, None])
        self.matrix.copy_(matrix[:, :, None, None])
        self.spread.copy_(spread)
