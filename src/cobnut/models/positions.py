"""A Gaussian for each position: what features are usual where, for parts that always lie alike."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Positions a side, at most; larger grids are brought down to it, so that the covariances stay small.
SIDE = 32
# Added to the variances: directions in which a position never varied say little, and are not blown up.
FLOOR = 0.01


class Positions(nn.Module):
    """Features (n, d, h, w) in; their squared Mahalanobis distance to what is usual at their position, (n, h, w).

    PaDiM (Defard et al. 2021, section 3) on random orthogonal directions of the features instead of random channels
    (Kim et al. 2021, «Semi-orthogonal embedding»). The distance is told a direction. The inverses, which are most of
    what is deployed, are kept as triangles of half precision; engines unpack them when they load a model.
    """

    directions: Tensor
    mean: Tensor
    triangles: Tensor
    unpacked: Tensor

    def __init__(self, components: int, directions: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.factors = (_factor(grid[0]), _factor(grid[1]))
        self.grid = (grid[0] // self.factors[0], grid[1] // self.factors[1])
        positions, count = self.grid[0] * self.grid[1], min(directions, components)
        self.register_buffer("directions", torch.zeros(count, components))
        self.register_buffer("mean", torch.zeros(positions, count))
        self.register_buffer("triangles", torch.zeros(positions, count * (count + 1) // 2, dtype=torch.float16))
        self.register_buffer("unpacked", _places(count), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Distances on the features' grid."""
        points = self._points(features) - self.mean[:, None]
        squared = (points @ self._whitener()).square().mean(dim=2).T
        grid = squared.reshape(-1, 1, *self.grid)
        if max(self.factors) > 1:
            scale = (float(self.factors[0]), float(self.factors[1]))
            grid = F.interpolate(grid, scale_factor=scale, mode="bilinear", align_corners=False)
        return grid[:, 0]

    def learn(self, train: Iterable[Tensor], scale: Tensor, seed: int) -> None:
        """Set directions, means and covariances by batches of features (n, d, h, w), times ``scale`` (d,)."""
        random = torch.Generator().manual_seed(seed)
        directions = torch.linalg.qr(torch.randn(self.directions.T.shape, generator=random))[0]
        self.directions.copy_(directions.T * scale)
        count, total = 0, torch.zeros(self.mean.shape, dtype=torch.float64)
        products = total.new_zeros(*total.shape, total.shape[1])
        for batch in train:
            points = self._points(batch).double()
            count += points.shape[1]
            total += points.sum(dim=1)
            products += points.mT @ points
        mean = total / count
        covariance = products / count - mean[:, :, None] * mean[:, None]
        factor = torch.linalg.cholesky(covariance + FLOOR * torch.eye(mean.shape[1]))
        self.mean.copy_(mean)
        rows, columns = torch.triu_indices(*factor.shape[1:])
        self.triangles.copy_(torch.linalg.inv(factor).mT[:, rows, columns])

    def _whitener(self) -> Tensor:
        """The upper triangles as matrices: (positions, directions, directions)."""
        count = len(self.unpacked)
        entries = F.pad(self.triangles.float(), (0, 1))  # engines can pad no halves
        return entries.index_select(1, self.unpacked.flatten()).reshape(-1, count, count)

    def _points(self, features: Tensor) -> Tensor:
        """Projected features by position: (positions, n, directions)."""
        projected = F.conv2d(features, self.directions[:, :, None, None])
        around = F.avg_pool2d(projected, 3, stride=1, padding=1, count_include_pad=False)
        return F.avg_pool2d(around, self.factors).flatten(2).permute(2, 0, 1)


def _places(count: int) -> Tensor:
    """Where each entry of an upper triangular matrix lies in its packed triangle, (count, count); zeros come last."""
    places = torch.full((count, count), count * (count + 1) // 2)
    rows, columns = torch.triu_indices(count, count)
    places[rows, columns] = torch.arange(len(rows))
    return places


def _factor(side: int) -> int:
    """The least divisor of a side that brings it down."""
    return next(each for each in range(1, side + 1) if side % each == 0 and side // each <= SIDE)
