"""A codebook of good features: each place is rebuilt by the nearest prototype of its surroundings."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Features that the prototypes are learned from; more change them little and cost time.
MOST_PATCHES = 120_000
ROUNDS = 8
# Directions in which the nearest prototype is looked for: with all of them it took as long as the encoder.
SEARCHED = 64
# Held-out features that the training ones count for where they tell what is usual for a prototype.
PRIOR = 100.0
# Training features that the mean of all counts for in the same place.
PRIOR_OF_TRAINING = 3.0
_BATCH = 8192
# How far away a prototype lies that stands for nothing: nearest to no feature.
_FAR = 1e4


class Prototypes(nn.Module):
    """Features (n, d, h, w) in; squared distance to the nearest prototype, and what is usual for it, (n, h, w) each.

    A feature is the mean of its 3×3 neighbourhood, as in PatchCore (Roth et al. 2022, equation 2). In place of a memory
    of patches there are the centres of k-means, and in place of re-weighting by neighbours (equation 7) each prototype
    knows the distance that good features usually have to it. Training features tell how prototypes differ in that,
    held-out ones how far new features lie, and where there are many, which prototypes they lie farther from.

    Which one is the nearest is looked for among the strongest principal components; its distance is the whole one.
    """

    centres: Tensor
    searched: Tensor
    scale: Tensor
    usual: Tensor
    # What is usual for training features, in multiples of their mean.
    usual_of_training: Tensor

    def __init__(self, count: int, components: int) -> None:
        super().__init__()
        self.register_buffer("centres", torch.zeros(count, components))
        self.register_buffer("searched", torch.eye(components, min(SEARCHED, components)))
        self.register_buffer("scale", torch.ones(components))
        self.register_buffer("usual", torch.ones(count))
        self.register_buffer("usual_of_training", torch.ones(count), persistent=False)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Distances and what is usual."""
        distance, index = self._nearest(features)
        return distance, self.usual[index]

    def learn(self, train: Iterable[Tensor], images: int, seed: int, inside: Tensor | None = None) -> None:
        """Set the prototypes by k-means on a sample of batches of features (n, d, h, w), of so many images in all.

        The sample comes from where ``inside`` (h, w) holds.
        """
        from sklearn.cluster import MiniBatchKMeans

        random, share = torch.Generator().manual_seed(seed), max(1, MOST_PATCHES // images)
        sample = torch.cat([self._sample(batch, share * len(batch), random, inside) for batch in train])
        self.searched.copy_(_strongest(sample, self.searched.shape[1]))
        count = min(len(self.centres), len(sample))
        kmeans = MiniBatchKMeans(
            count, init="random", n_init=1, batch_size=_BATCH, max_iter=ROUNDS, random_state=seed, compute_labels=False
        )
        found = torch.from_numpy(kmeans.fit(sample.numpy()).cluster_centers_)
        far = _FAR * self.searched[:, -1]
        self.centres.copy_(far.expand_as(self.centres))
        self.centres[:count] = found
        nearest = [self._nearest_rows(rows) for rows in torch.split(sample, _BATCH)]
        counts, totals = self._by_prototype(*(torch.cat(each) for each in zip(*nearest, strict=True)))
        self.centres[counts == 0] = far  # of two that are alike only one may ever be the nearest
        mean = totals.sum() / counts.sum()
        usual = (totals + PRIOR_OF_TRAINING * mean) / (counts + PRIOR_OF_TRAINING)
        self.usual_of_training.copy_(usual / mean if mean else torch.ones_like(usual))

    def learn_usual(self, held_out: Iterable[Tensor], inside: Tensor | None = None) -> None:
        """Set what is usual for each prototype by batches of held-out features (n, d, h, w), where ``inside`` holds."""
        count, total = torch.zeros_like(self.usual), torch.zeros_like(self.usual)
        for batch in held_out:
            distance, index = self._nearest(batch)
            if inside is not None:
                distance, index = distance[:, inside], index[:, inside]
            counts, totals = self._by_prototype(distance, index)
            count, total = count + counts, total + totals
        expected = self.usual_of_training * total.sum() / count.sum()
        usual = (total + PRIOR * expected) / (count + PRIOR)
        self.usual.copy_(usual + torch.finfo(torch.float32).tiny)

    def _by_prototype(self, distance: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """How many features belong to each prototype, and their distances added up: (count,) both."""
        counts, totals = torch.zeros_like(self.usual), torch.zeros_like(self.usual)
        counts.index_add_(0, index.flatten(), torch.ones_like(distance).flatten())
        totals.index_add_(0, index.flatten(), distance.flatten())
        return counts, totals

    def _nearest(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Squared distance to the nearest prototype, and which it is: (n, h, w) both."""
        points = self._points(features).movedim(1, -1)
        distance, index = self._nearest_rows(points.flatten(0, 2))
        return distance.view(points.shape[:3]), index.view(points.shape[:3])

    def _nearest_rows(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        # |p − c|² = |p|² − 2pc + |c|², whose first term is the same for every prototype
        centres = self.centres @ self.searched
        index = (rows @ self.searched @ (-2 * centres.T) + centres.square().sum(dim=1)).argmin(dim=1)
        return (rows - self.centres[index]).square().sum(dim=1), index

    def _points(self, features: Tensor) -> Tensor:
        around = F.avg_pool2d(features, 3, stride=1, padding=1, count_include_pad=False)
        return around * self.scale[None, :, None, None]

    def _sample(self, batch: Tensor, count: int, random: torch.Generator, inside: Tensor | None) -> Tensor:
        points = self._points(batch).movedim(1, -1)
        rows = (points if inside is None else points[:, inside]).flatten(0, -2)
        return rows[torch.randperm(len(rows), generator=random)[:count]]


def _strongest(rows: Tensor, count: int) -> Tensor:
    """The directions in which rows (n, d) differ most: (d, count)."""
    centred = rows - rows.mean(dim=0)
    directions: Tensor = torch.linalg.eigh((centred.T @ centred).double())[1]
    return directions[:, -count:].float()
