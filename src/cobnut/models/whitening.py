"""Directions in which good features differ much and little, brought to one scale."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

# Added to the variances, which are 1 in the mean: directions that hardly vary are noise, and are not blown up.
FLOOR = 0.01
# Of the median one: a channel that was still while it was learned is not blown up by the first thing that moves it.
LEAST_DEVIATION = 0.01


class Moments:
    """Sums over features that come bit by bit: their number, their sum (k,) and that of their products (k, k)."""

    def __init__(self, channels: int) -> None:
        self.count, self.total = 0, torch.zeros(channels, dtype=torch.float64)
        self.products = torch.zeros(channels, channels, dtype=torch.float64)

    def add(self, features: Tensor) -> None:
        """Count features (n, k, h, w) or (n, k, places) in; what each time adds is added up in double precision."""
        rows = features.detach().movedim(1, -1).flatten(0, -2)
        self.count += len(rows)
        self.total += rows.sum(dim=0, dtype=torch.float64)
        self.products += (rows.T @ rows).double()


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
        """Learn mean and directions from batches (n, k, h, w), in one pass."""
        moments = Moments(self.mean.shape[1])
        for batch in batches:
            moments.add(batch)
        self.follow(moments)

    def follow(self, moments: Moments) -> None:
        """Take mean and directions from sums over all features."""
        mean = moments.total / moments.count
        covariance = moments.products / moments.count - torch.outer(mean, mean)
        deviation = covariance.diagonal().clamp(min=0).sqrt()
        deviation = deviation.clamp(min=LEAST_DEVIATION * deviation.median()) + 1e-4
        variances, directions = torch.linalg.eigh(covariance / torch.outer(deviation, deviation))
        strongest = torch.arange(len(mean)).flip(0)[: len(self.spread)]
        spread = (variances[strongest].clamp(min=0) + FLOOR).sqrt()
        matrix = directions[:, strongest].T / deviation / spread[:, None]
        self.mean.copy_(mean[None, :, None, None])
        self.matrix.copy_(matrix[:, :, None, None])
        self.spread.copy_(spread)
