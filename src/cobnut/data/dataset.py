"""Kept images as batches of tensors, in an order that depends on the seed and the epoch alone."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler


class ImageBatches(Dataset[torch.Tensor]):
    """Whole batches out of one array: an item is a list of positions, the answer uint8 (b, h, w, c)."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, positions: NDArray[np.intp]) -> torch.Tensor:
        return torch.from_numpy(self.images[positions])


class EpochOrder(Sampler[NDArray[np.intp]]):
    """Batches of positions, shuffled anew each epoch by (seed, epoch), so that an interrupted run goes on exactly.

    The positions are dealt into batches of nearly equal size: no batch of one image upsets batch normalisation.
    """

    def __init__(self, count: int, batch_size: int, seed: int | None) -> None:
        self.count, self.batch_size, self.seed, self.epoch = count, batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.count // self.batch_size)

    def __iter__(self) -> Iterator[NDArray[np.intp]]:
        order = np.arange(self.count)
        if self.seed is not None:
            np.random.default_rng([self.seed, self.epoch]).shuffle(order)
        yield from np.array_split(order, len(self))


def batches(images: NDArray[np.uint8], batch_size: int, seed: int | None = None) -> DataLoader[torch.Tensor]:
    """Batches of ``images``: in their order, or shuffled each epoch when there is a ``seed``."""
    return DataLoader(ImageBatches(images), sampler=EpochOrder(len(images), batch_size, seed), batch_size=None)
