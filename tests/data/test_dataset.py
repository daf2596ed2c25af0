"""Batches come in an order, and with a chance, that seed and epoch alone decide."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cobnut.data.dataset import EpochOrder, ImageBatches, batches, build_preparation
from cobnut.recipe import read_recipe

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 16, 16, 3), dtype=np.uint8)


def prepared(settings: list[str], is_training: bool = True, features: np.ndarray | None = None) -> ImageBatches:
    return ImageBatches(IMAGES, build_preparation(read_recipe("cae", settings), is_training), features)


@given(st.integers(2, 200), st.integers(4, 32), st.integers(0, 9), st.integers(0, 9))
@settings(max_examples=50)
def test_an_epoch_shows_every_image_once_and_no_batch_is_left_with_one(
    count: int, size: int, seed: int, epoch: int
) -> None:
    order = EpochOrder(count, size, seed, shuffle=True)
    order.set_epoch(epoch)
    dealt = [draw.positions for draw in order]
    assert sorted(np.concatenate(dealt)) == list(range(count))
    assert len(dealt) == len(order)
    assert all(2 <= len(batch) <= size for batch in dealt)


def test_order_and_chance_depend_on_seed_and_epoch_and_nothing_else() -> None:
    def first_draw(seed: int, epoch: int) -> tuple[list[int], tuple[int, ...]]:
        order = EpochOrder(100, 10, seed, shuffle=True)
        order.set_epoch(epoch)
        draw = next(iter(order))
        return list(draw.positions), draw.seed

    assert first_draw(0, 3) == first_draw(0, 3)
    for other in ((0, 4), (1, 3)):
        assert first_draw(0, 3)[0] != first_draw(*other)[0]
        assert first_draw(0, 3)[1] != first_draw(*other)[1]


def test_without_shuffling_every_epoch_is_the_same_spoilt_places_and_all() -> None:
    loader = batches(prepared(["corruption.name=defects"]), 4, seed=0, shuffle=False)
    first, second = list(loader), list(loader)
    assert torch.equal(torch.cat([batch.wanted for batch in first]), torch.from_numpy(IMAGES))
    for one, two in zip(first, second, strict=True):
        assert torch.equal(one.seen, two.seen)
        assert not torch.equal(one.seen, one.wanted)


def test_a_plain_recipe_wants_what_it_sees() -> None:
    batch = next(iter(batches(prepared([]), 4, seed=0, shuffle=True)))
    assert torch.equal(batch.seen, batch.wanted)
    assert not batch.spoilt.any()


@pytest.mark.parametrize("setting", ["augmentation.flip_vertical=true", "augmentation.zoom=0.5"])
def test_only_training_images_are_augmented(setting: str) -> None:
    validation = torch.cat([b.wanted for b in batches(prepared([setting], is_training=False), 4, 0, shuffle=False)])
    assert torch.equal(validation, torch.from_numpy(IMAGES))
    training = torch.cat([b.wanted for b in batches(prepared([setting]), 4, 0, shuffle=False)])
    assert not torch.equal(training, torch.from_numpy(IMAGES))


def test_patches_are_cut_where_the_recipe_wants_them() -> None:
    batch = next(iter(batches(prepared(["patches.size=8"]), 4, seed=0, shuffle=True)))
    assert batch.seen.shape[1:] == (8, 8, 3)


def test_kept_features_stand_in_for_the_images_that_they_were_made_of() -> None:
    features = IMAGES.mean(axis=(1, 2)).astype(np.float32)
    for batch in batches(prepared([], features=features), 4, seed=0, shuffle=True):
        assert torch.allclose(batch.seen, batch.wanted.float().mean(dim=(1, 2)))
