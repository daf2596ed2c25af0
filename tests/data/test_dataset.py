"""Batches come in an order that seed and epoch alone decide."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cobnut.data.dataset import EpochOrder, batches


@given(st.integers(2, 200), st.integers(4, 32), st.integers(0, 9), st.integers(0, 9))
@settings(max_examples=50)
def test_an_epoch_shows_every_image_once_and_no_batch_is_left_with_one(
    count: int, size: int, seed: int, epoch: int
) -> None:
    order = EpochOrder(count, size, seed)
    order.set_epoch(epoch)
    dealt = list(order)
    assert sorted(np.concatenate(dealt)) == list(range(count))
    assert len(dealt) == len(order)
    assert all(2 <= len(batch) <= size for batch in dealt)


def test_order_depends_on_seed_and_epoch_and_nothing_else() -> None:
    def first_batch(seed: int, epoch: int) -> list[int]:
        order = EpochOrder(100, 10, seed)
        order.set_epoch(epoch)
        return list(next(iter(order)))

    assert first_batch(0, 3) == first_batch(0, 3)
    assert first_batch(0, 3) != first_batch(0, 4)
    assert first_batch(0, 3) != first_batch(1, 3)


def test_without_a_seed_the_images_come_in_their_order() -> None:
    images = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)
    assert torch.cat(list(batches(images, 4))).flatten().tolist() == list(range(10))
