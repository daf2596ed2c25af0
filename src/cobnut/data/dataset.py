"""Kept images as batches of tensors, in an order, and with a chance, that depend on seed and epoch alone."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from cobnut.data.augment import augment, cut_patches
from cobnut.data.mapped import release
from cobnut.data.spoil import spoil
from cobnut.options import AugmentationOptions
from cobnut.recipe import Recipe

Images = NDArray[np.uint8]
Features = NDArray[np.floating[Any]]


class Batch(NamedTuple):
    """What a network sees, what it shall give back, and where the two differ on purpose."""

    seen: torch.Tensor  # uint8 (b, h, w, c), or the features (b, c, h, w) that a frozen encoder made of them
    wanted: torch.Tensor  # uint8 (b, h, w, c)
    spoilt: torch.Tensor  # bool (b, h, w)


class Draw(NamedTuple):
    """The positions of one batch, and the seed of all chance in it."""

    positions: NDArray[np.intp]
    seed: tuple[int, ...]


Preparation = Callable[[Images, np.random.Generator], tuple[Images, Images, NDArray[np.bool_]]]


def build_preparation(recipe: Recipe, is_training: bool) -> Preparation:
    """The way from images as they are kept to (seen, wanted, spoilt): cut, augmented where they train, spoilt."""
    augmentation, side = recipe.augmentation, recipe.patches.size
    is_augmented = is_training and augmentation != AugmentationOptions.model_validate({})

    def prepare(images: Images, random: np.random.Generator) -> tuple[Images, Images, NDArray[np.bool_]]:
        wanted = cut_patches(images, side, random) if side else images
        if is_augmented:
            wanted = augment(wanted, augmentation, random)
        seen, spoilt = spoil(wanted, recipe.corruption, random)
        return seen, wanted, spoilt

    return prepare


class ImageBatches(Dataset[Batch]):
    """Whole batches out of one array, prepared; or, with ``features``, those of the images beside them."""

    def __init__(self, images: Images, prepare: Preparation, features: Features | None = None) -> None:
        self.images, self.prepare, self.features = images, prepare, features

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: Draw) -> Batch:
        seen, wanted, spoilt = self.prepare(self.images[draw.positions], np.random.default_rng(draw.seed))
        release(self.images)
        if self.features is not None:
            features = self.features[draw.positions].astype(np.float32, copy=False)
            release(self.features)
            return Batch(torch.from_numpy(features), *_tensors(wanted, spoilt))
        return Batch(*_tensors(seen, wanted, spoilt))


class EpochOrder(Sampler[Draw]):
    """Batches of positions, shuffled anew each epoch by (seed, epoch), so that an interrupted run goes on exactly.

    The positions are dealt into batches of nearly equal size: no batch of one image upsets batch normalisation. Without
    shuffling every epoch is the same, chance and all: losses of such epochs can be compared. Of processes that train
    together each gets its :func:`share` of every batch, with a chance of its own.
    """

    def __init__(
        self, count: int, batch_size: int, seed: int, shuffle: bool, rank: int = 0, processes: int = 1
    ) -> None:
        self.count, self.batch_size, self.seed, self.shuffle, self.epoch = count, batch_size, seed, shuffle, 0
        self.rank, self.processes = rank, processes

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.count // self.batch_size)

    def __iter__(self) -> Iterator[Draw]:
        order = np.arange(self.count)
        chance = (self.seed, self.epoch) if self.shuffle else (self.seed,)
        if self.shuffle:
            np.random.default_rng(chance).shuffle(order)
        for number, positions in enumerate(np.array_split(order, len(self))):
            yield Draw(share(positions, self.rank, self.processes), (*chance, number, 1 + self.rank))


def share(positions: NDArray[np.intp], rank: int, processes: int) -> NDArray[np.intp]:
    """What one of several processes learns from of a batch: as many positions as each of the others, two at least.

    A batch that does not divide begins again at its end, so that no process waits for another's step.
    """
    if processes == 1:
        return positions
    each = max(2, -(-len(positions) // processes))
    shared: NDArray[np.intp] = np.resize(positions, (processes, each))[rank]
    return shared


def batches(
    images: ImageBatches, batch_size: int, seed: int, shuffle: bool, rank: int = 0, processes: int = 1
) -> DataLoader[Batch]:
    """Batches of ``images``: shuffled and spoilt anew each epoch, or in their order and always alike."""
    order = EpochOrder(len(images), batch_size, seed, shuffle, rank, processes)
    return DataLoader(images, sampler=order, batch_size=None)


def _tensors(*arrays: NDArray[np.uint8] | NDArray[np.bool_]) -> Iterator[torch.Tensor]:
    return (torch.from_numpy(np.ascontiguousarray(array)) for array in arrays)
