"""A codebook of good features: each place is rebuilt by the nearest prototype of its surroundings."""

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Features that k-means learns from; more change the prototypes little and cost time.
MOST_PATCHES = 120_000
ROUNDS = 8
# Of the features that prototypes are learned from, so many are drawn by how unusual they are, the others evenly, as far
# as not all of them are taken.
UNUSUAL = 0.9
# Of the prototypes, so many are features that lie farthest from all others: k-means has none for the rarest.
RARE = 1 / 8
# No image of four or more makes more than this of those: one that is odd everywhere would take the place of what others
# show here and there.
RARE_OF_ONE_IMAGE = 1 / 4
# For each of those so many features are looked through, the ones that lie farthest from the means; fewer where few
# images, each with as many as it may make, offer no more.
CANDIDATES = 32
# Directions in which the nearest prototype is looked for: with all of them it took as long as the encoder.
SEARCHED = 64
# Held-out features that the training ones count for where they tell what is usual for a prototype.
PRIOR = 100.0
# Training features that the mean of all counts for in the same place.
PRIOR_OF_TRAINING = 3.0
_BATCH = 8192
# Rows whose distances to all prototypes are looked through at once: 16 MB by default, which fit into many a cache.
_BLOCK = 2048
# How far away a prototype lies that stands for nothing: nearest to no feature.
_FAR = 1e4
_TINY = torch.finfo(torch.float32).tiny


class Prototypes(nn.Module):
    """Features (n, d, h, w) in; squared distance to the nearest prototype, and what is usual for it, (n, h, w) each.

    A feature is the mean of its 3×3 neighbourhood, as in PatchCore (Roth et al. 2022, equation 2). In place of a memory
    of patches there are the centres of k-means and some of the rarest features, and in place of re-weighting by
    neighbours (equation 7) each prototype knows the distance that good features usually have to it. Training features
    tell how prototypes differ in that, held-out ones how far new features lie, and where there are many, which
    prototypes they lie farther from.

    Which one is the nearest is looked for among the strongest principal components; its distance is the whole one.
    """

    centres: Tensor
    searched: Tensor
    scale: Tensor
    usual: Tensor
    # What is usual for training features, in multiples of the sample's mean.
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
        """Set the prototypes by batches of features (n, d, h, w), of so many images in all.

        ``train`` is gone through twice: an iterator will not do.

        Most prototypes are the centres of k-means on a sample.

        The sample comes from where ``inside`` (h, w) holds. Where not all features fit into it, most of it is drawn by
        the fourth power of their distance to the mean of their batch: a small part on a plain ground would else have a
        handful of prototypes, and defects would lie hardly farther from them than good surfaces do. (Bachem et al.
        2018, «Scalable k-means clustering via lightweight coresets», draw half of it, by the square, and weigh what
        they draw.) The others are features of any image that lie farthest from the means and from each other: what few
        images show at few places may be in no sample.
        """
        random, share = torch.Generator().manual_seed(seed), max(1, MOST_PATCHES // images)
        sample = torch.cat([self._sample(batch, share * len(batch), random, inside) for batch in train])
        self.searched.copy_(_strongest(sample, self.searched.shape[1]))
        count = min(len(self.centres), len(sample))
        wanted = int(RARE * count)
        means = count - wanted
        far = _FAR * self.searched[:, -1]
        self.centres.copy_(far.expand_as(self.centres))
        self.centres[:means] = _k_means(sample, means, seed)
        rare, without = _farthest(*self._rare(train, images, wanted, inside), wanted)
        self.centres[means:count] = rare
        distance, index = self._nearest_rows(sample)
        is_counted = (index < means) | (distance > 0)  # features that are prototypes count once, in the sample or not
        of_others, of_them = (distance[is_counted], index[is_counted]), self._nearest_rows(rare)
        counts, totals = self._by_prototype(*map(torch.cat, zip(of_others, of_them, strict=True)))
        self.centres[counts == 0] = far  # of two that are alike only one may ever be the nearest
        self.usual_of_training.copy_(_usual(counts, totals, means, without))

    def _rare(self, train: Iterable[Tensor], images: int, wanted: int, inside: Tensor | None) -> tuple[Tensor, Tensor]:
        """Of batches of features (n, d, h, w) those far from the prototypes, enough to choose so many: (features, d).

        And their squared distances (features,).
        """
        of_one = math.ceil(wanted * max(RARE_OF_ONE_IMAGE, 1 / images))
        rows, distances = self.centres[:0], self.usual[:0]
        for batch in train:
            new = self._rows(batch, inside)
            distance, places = _highest(self._nearest_rows(new)[0].view(len(batch), -1), of_one)
            new = new.view(len(batch), -1, new.shape[1]).take_along_dim(places[..., None], dim=1)
            distances, kept = _highest(torch.cat([distances, distance.flatten()]), CANDIDATES * wanted)
            rows = torch.cat([rows, new.flatten(0, 1)])[kept]
        return rows, distances

    def learn_usual(self, held_out: Iterable[Tensor], inside: Tensor | None = None) -> None:
        """Set what is usual for each prototype by batches of held-out features (n, d, h, w), where ``inside`` holds."""
        count, total = torch.zeros_like(self.usual), torch.zeros_like(self.usual)
        for batch in held_out:
            distance, index = self._nearest(batch)
            if inside is not None:
                distance, index = distance[:, inside], index[:, inside]
            counts, totals = self._by_prototype(distance, index)
            count, total = count + counts, total + totals
        expected = self.usual_of_training * total.sum() / (count @ self.usual_of_training)
        usual = (total + PRIOR * expected) / (count + PRIOR)
        self.usual.copy_(usual + _TINY)

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
        squares, turned = centres.square().sum(dim=1), centres.T

        def look(rows: Tensor) -> tuple[Tensor, Tensor]:
            index = torch.addmm(squares, rows @ self.searched, turned, alpha=-2).argmin(dim=1)
            return (rows - self.centres[index]).square().sum(dim=1), index

        if torch.compiler.is_exporting():  # as one
            return look(rows)
        distances, places = zip(*map(look, torch.split(rows, _BLOCK)), strict=True)
        return torch.cat(distances), torch.cat(places)

    def _points(self, features: Tensor) -> Tensor:
        around = F.avg_pool2d(features, 3, stride=1, padding=1, count_include_pad=False)
        return around * self.scale[None, :, None, None]

    def _rows(self, batch: Tensor, inside: Tensor | None) -> Tensor:
        points = self._points(batch).movedim(1, -1)
        return (points if inside is None else points[:, inside]).flatten(0, -2)

    def _sample(self, batch: Tensor, count: int, random: torch.Generator, inside: Tensor | None) -> Tensor:
        rows = self._rows(batch, inside)
        fourth = (rows - rows.mean(dim=0)).square().sum(dim=1).square()
        chances = UNUSUAL * fourth / fourth.sum().clamp(min=_TINY) + (1 - UNUSUAL) / len(rows)
        return rows[torch.multinomial(chances, min(count, len(rows)), generator=random)]


def _highest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The highest values (…, n) of the last axis, so many or all, and their places."""
    found = values.topk(min(count, values.shape[-1]))
    return found.values, found.indices


def _farthest(rows: Tensor, nearest: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Of rows (n, d) so many that lie farthest from the prototypes and from each other (PatchCore, algorithm 1).

    ``nearest`` are their squared distances (n,) to the prototypes. Told beside the rows (count, d) are those to the
    nearest of all others, prototypes and rows that were chosen: (count,).
    """
    squares, others, places = rows.square().sum(dim=1), nearest.clone(), []
    is_free = torch.ones(len(rows), dtype=torch.bool)
    for _ in range(count):
        place = int(others.where(is_free, -1).argmax())
        distances = squares - 2 * (rows @ rows[place]) + squares[place]
        distances[place] = torch.inf
        torch.minimum(others, distances.clamp(min=0), out=others)
        is_free[place] = False
        places.append(place)
    return rows[places], others[places]


def _usual(counts: Tensor, totals: Tensor, means: int, without: Tensor) -> Tensor:
    """Mean distances by prototype, as if no feature had had a part in its own, in multiples of the mean of all.

    ``counts`` features (prototypes,) have distances that add up to ``totals``. The first ``means`` of them are means:
    squared distances of n features to their own mean are too short by the factor (n − 1) / n. Each of the others is a
    feature itself, which lies so far from all prototypes but its own: ``without``.
    """
    mean = totals.sum() / counts.sum()
    if not mean:
        return torch.ones_like(totals)
    counts, totals, alone = counts.clone(), totals.clone(), slice(means, means + len(without))
    totals[:means] *= counts[:means] / (counts[:means] - 1).clamp(min=1)
    counts[:means] *= counts[:means] > 1
    totals[alone] += without * (counts[alone] > 0)
    return (totals + PRIOR_OF_TRAINING * mean) / (counts + PRIOR_OF_TRAINING) / mean


def _k_means(rows: Tensor, count: int, seed: int) -> Tensor:
    """So many centres of rows (n, d): (count, d)."""
    from sklearn.cluster import MiniBatchKMeans

    kmeans = MiniBatchKMeans(
        count,
        init="random",
        n_init=1,
        batch_size=_BATCH,
        max_iter=ROUNDS,
        random_state=seed,
        compute_labels=False,
        reassignment_ratio=0,  # small centres stay: they stand for what is rare
    )
    return torch.from_numpy(kmeans.fit(rows.numpy()).cluster_centers_)


def _strongest(rows: Tensor, count: int) -> Tensor:
    """The directions in which rows (n, d) differ most: (d, count)."""
    centred = rows - rows.mean(dim=0)
    directions: Tensor = torch.linalg.eigh((centred.T @ centred).double())[1]
    return directions[:, -count:].float()
